"""rsync with TLS: its own ``rsync-ssl`` as the client, its daemon behind stunnel, both on loopback."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twsync.demo.commands import LOOPBACK, free_ports
from twsync.transport.tls import create_server_certificate
from wholesystem.rsync_tool import RsyncTool, listening, rsync_daemon
from wholesystem.tool import Missing

MISSING = Missing("rsync-ssl", "there is no rsync-ssl with stunnel here; on Debian and Ubuntu: apt install rsync stunnel4 openssl")
#: What stunnel is told; it gives everything that comes in to rsync's daemon.
_STUNNEL = """\
foreground = yes
debug = warning
pid =
syslog = no
[rsync]
accept = {address}:{port}
connect = {address}:{behind}
cert = {certificate}
key = {key}
"""


class RsyncSslTool(RsyncTool):
    """``rsync-ssl -a --no-whole-file`` to a daemon behind stunnel. Bytes on the wire are rsync's own count, before encryption."""

    name = "rsync-ssl"
    program = "rsync-ssl"


@contextmanager
def rsync_ssl_tool(folder: Path) -> Iterator[RsyncTool | Missing]:
    """rsync with its daemon and stunnel running."""
    if not all(map(shutil.which, ("rsync", "rsync-ssl", "stunnel", "openssl"))):
        yield MISSING
        return
    certificate, key = folder.with_suffix(".cert.pem"), folder.with_suffix(".key.pem")
    create_server_certificate(certificate, key, [LOOPBACK], datetime.datetime.now(datetime.UTC))
    (port,) = free_ports(1)
    config = folder.with_suffix(".stunnel.conf")
    with rsync_daemon(folder) as (behind, daemon):
        config.write_text(_STUNNEL.format(address=LOOPBACK, port=port, behind=behind, certificate=certificate, key=key))
        with listening(["stunnel", config], port) as stunnel:
            yield RsyncSslTool(folder, port, [daemon, stunnel], {"RSYNC_SSL_CA_CERT": str(certificate)})
