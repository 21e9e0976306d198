"""The folder of a new control server: settings, certificate and key, database."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from twsync.errors import ConfigError
from twsync.sip import grammar
from twsync.store.control import ControlDatabase
from twsync.transport import tls

_TEMPLATE = """\
# Settings of this twsync control server. Paths, also those inside endpoint strings, are relative to this file.
# Restart the server after a change: twistd -n syncctl --config {path}

[server]
# The SIP domain that users belong to. Passwords hold for this realm only, so it cannot be changed later.
realm = {realm}
# The name or address that devices reach this server by.
host = {host}
# Where to listen for SIP: Twisted's endpoint strings. Plain tcp: is for a TLS terminator on this machine, or for tests.
sip = [{sip}]
# Where the web pages are served. This version serves none yet.
web = {web}
# Where metrics are served in Prometheus' format, such as "tcp:9100:interface=127.0.0.1". This version serves none yet.
metrics = ""
# The database: sqlite:///FILE, or postgresql://USER:PASSWORD@HOST/NAME.
database = "sqlite:///syncctl.db"

[registration]
# Seconds that a registration lasts if the device names no number, and the bounds of what it may name.
expires = 60
min_expires = 30
max_expires = 3600
# Whether clients may sign in by MD5 digests. twsync's own devices use SHA-256; many telephones know MD5 only.
md5 = true
# How new users come: "closed" means by 'twsync ctl user add' only.
signup = "closed"

[limits]
# Connections at once; new ones of one address per second, and in one go or without anybody signed in. Raise the latter two
# for a company behind one address, or a TLS terminator before this server.
connections = 4096
connections_per_second = 100.0
connections_per_address = 512

[policy]
# Devices of one user always reach each other. Grants let a user open sessions with devices of another one,
# on one collection or on all: ["alice -> bob/photos", "alice -> carol"]
across_users = []

[log]
# debug, info, warn, error or critical
level = "info"
# One JSON document a line instead of text.
json = false
"""


@dataclass(frozen=True, slots=True)
class Made:
    """What `initialise` made."""

    settings: Path
    fingerprint: str
    enrolment: str
    "The command that enrols a device; USER and NAME are to be filled in."


def initialise(directory: Path, realm: str, host: str | None, sip_port: int, web_port: int, now: datetime.datetime) -> Made:
    """Make the folder of a new server.

    :param host: None takes this machine's name.
    :param now: the certificate is good from then on.
    :raises ConfigError: a name is wrong, or there already is something in the way.
    :raises StoreError: the disk refused.
    """
    realm, host = realm.lower(), _host(host)
    if not grammar.is_host(realm) or ":" in realm:
        raise ConfigError(f"The realm is a domain name such as example.org, unlike {realm!r}.", "bad-name")
    directory = directory.absolute()
    settings, certificate, key, database = (directory / name for name in ("syncctl.toml", "tls/cert.pem", "tls/key.pem", "syncctl.db"))
    for path in (settings, certificate, key, database):
        if path.exists():
            raise ConfigError(f"{path} already exists and is not written over; choose another folder, or move it away first.", "exists")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    names = [host] if host == "localhost" or _loopback(host) else [host, *([realm] if realm != host else [])]
    fingerprint = tls.create_server_certificate(certificate, key, names, now)
    ControlDatabase.create(database, realm)
    text = _TEMPLATE.format(
        path=settings,
        realm=json.dumps(realm),
        host=json.dumps(host),
        sip=json.dumps(f"ssl:{sip_port}:privateKey=tls/key.pem:certKey=tls/cert.pem"),
        web=json.dumps(f"ssl:{web_port}:privateKey=tls/key.pem:certKey=tls/cert.pem"),
    )
    # Last: a folder with settings is a whole one.
    descriptor = os.open(settings, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    shown = f"[{host}]" if ":" in host else host
    enrolment = f"twsync init DIR --server sips:USER@{shown}:{sip_port} --device NAME --server-fingerprint {fingerprint}"
    return Made(settings, fingerprint, enrolment)


def _host(host: str | None) -> str:
    name = (host or socket.getfqdn()).lower()
    try:
        return str(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        pass
    if not grammar.is_host(name):
        raise ConfigError(f"--host is a name or an address, unlike {name!r}.", "bad-name")
    return name


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
