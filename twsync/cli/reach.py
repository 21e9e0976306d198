"""Whether the server answers, and with which certificate: asked by the doctor, over a connection of its own."""

from __future__ import annotations

import hashlib
import socket
import ssl
from dataclasses import dataclass

from twsync.peer.settings import Settings

#: Seconds for the TCP connection and the TLS handshake.
TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Reached:
    """What came of it."""

    connected: bool
    trusted: bool
    message: str
    fingerprint: str | None = None


def reach_server(settings: Settings) -> Reached:
    """Connect to the server as the daemon would, look at its certificate, and hang up."""
    server = settings.server
    where = f"{server.host} port {server.port}"
    try:
        with socket.create_connection((server.host, server.port), TIMEOUT) as plain:
            if not server.secure:
                return Reached(True, True, f"{where} answers (plain TCP on loopback)")
            return _handshake(settings, plain, where)
    except socket.gaierror:
        return Reached(False, False, f"the name {server.host} cannot be resolved; check the spelling and the network")
    except OSError as error:
        reason = error.strerror or "no answer in time"
        return Reached(False, False, f"{where} cannot be reached ({reason}); check that the server runs, the port and firewalls")


def _handshake(settings: Settings, plain: socket.socket, where: str) -> Reached:
    pin = settings.server_fingerprint
    context = ssl.create_default_context()
    if pin is not None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        with context.wrap_socket(plain, server_hostname=settings.server.host) as wrapped:
            der = wrapped.getpeercert(binary_form=True) or b""
    except ssl.SSLCertVerificationError as error:
        what = f"{where} shows a certificate that this machine does not trust ({error.verify_message})"
        return Reached(True, False, f"{what}; set [device] server_fingerprint to what `twsync ctl init` printed there")
    except ssl.SSLError as error:
        return Reached(True, False, f"{where} does not speak TLS as expected ({error.reason or error}); check the port")
    found = "sha256:" + hashlib.sha256(der).hexdigest()
    if pin is not None and pin != found:
        what = f"{where} shows the certificate {found}, not the one in the settings; ask its administrator which is right"
        return Reached(True, False, what, found)
    return Reached(True, True, f"{where} answers with the expected certificate", found)
