"""The TLS contexts of every connection twsync makes or takes.

A device *is* the SHA-256 of its certificate, so no certificate authority says who is who: a data connection is believed if the other
side proved to hold the key of exactly the certificate that was announced. That proof is asked for twice, inside the handshake (the verify
callback, so that a wrong certificate ends in a TLS alert) and once more when it is done, before a byte is handed on; a callback that
was skipped for whatever reason is then noticed.

Only the connection to the control server may rest on the platform's certificate authorities instead, with the host name checked by
`service-identity` (RFC 9525).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer  # type: ignore[import-untyped]

from twsync.errors import ConfigError
from twsync.transport.keys import (
    Device,
    certificate_fingerprint,
    create_device,
    create_server_certificate,
    fingerprint,
    instance_urn,
    load_device,
    new_device,
    same_fingerprint,
    sign,
)
from twsync.transport.proof import PinError, demand, demand_name, peer_fingerprint, proved, verify_with, watch

__all__ = [
    "DATA_ALPN",
    "ClientTls",
    "Device",
    "PinError",
    "ServerTls",
    "certificate_fingerprint",
    "control_client",
    "control_server",
    "create_device",
    "create_server_certificate",
    "data_client",
    "data_server",
    "fingerprint",
    "instance_urn",
    "load_device",
    "negotiated",
    "new_device",
    "peer_fingerprint",
    "same_fingerprint",
    "sign",
]

#: ALPN name of the peer protocol.
DATA_ALPN = b"twsync/1"
#: AES-GCM first: every machine of the last decade has it in hardware.
TLS13_SUITES = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#: What TLS 1.2 may use towards stock SIP user agents: forward secrecy and an AEAD.
TLS12_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"
# Missing from the OpenSSL bindings of older pyOpenSSL; the values are OpenSSL's ABI.
_MODE_ENABLE_PARTIAL_WRITE = 1
_OP_NO_RENEGOTIATION = 0x40000000


def negotiated(transport: object) -> str:
    """What a TLS transport agreed on, for logs: version and cipher suite; empty without TLS."""
    ask = getattr(transport, "getHandle", None)
    handle = ask() if ask is not None else None
    if not isinstance(handle, SSL.Connection):
        return ""
    return f"{handle.get_protocol_version_name()} {handle.get_cipher_name()}"


def _context(oldest: int) -> SSL.Context:
    """What all our contexts have in common: no compression, no renegotiation, no resumption, AEAD suites only."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(oldest)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET | _OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
    # A resumed session would carry over a certificate without a new proof.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(b"twsync")
    context.set_cipher_list(TLS12_CIPHERS)
    choose = getattr(context, "set_tls13_ciphersuites", None)
    if choose is not None:  # pyOpenSSL from 25.2
        choose(TLS13_SUITES)
    return context


def _present(context: SSL.Context, device: Device) -> None:
    certificate: Any = x509.load_der_x509_certificate(device.certificate)  # Any: older stubs know only pyOpenSSL's own classes
    key: Any = device.key
    context.use_certificate(certificate)
    context.use_privatekey(key)


@implementer(IOpenSSLClientConnectionCreator)
class ClientTls:
    """Makes client connections from one context; what Twisted's `wrapClientTLS` and `TLSMemoryBIOFactory` want."""

    def __init__(self, context: SSL.Context, server_name: str | None = None) -> None:
        self._context = context
        self._server_name = server_name

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """A new connection in client state that knows its protocol, so that verification failures reach it."""
        connection = SSL.Connection(self._context, None)
        connection.set_app_data(tlsProtocol)
        if self._server_name is not None:
            connection.set_tlsext_host_name(self._server_name.encode("idna"))
        connection.set_connect_state()
        return connection


@implementer(IOpenSSLServerConnectionCreator)
class ServerTls:
    """Makes server connections from one context; what Twisted's `TLSMemoryBIOFactory` wants."""

    def __init__(self, context: SSL.Context) -> None:
        self._context = context

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """A new connection in server state that knows its protocol, so that verification failures reach it."""
        connection = SSL.Connection(self._context, None)
        connection.set_app_data(tlsProtocol)
        connection.set_accept_state()
        return connection


def control_client(device: Device, host: str, pin: str | None = None, roots: Path | None = None) -> ClientTls:
    """TLS towards the control server; presents the device's certificate.

    :param host: the server's host name or IP address, as the user wrote it.
    :param pin: the fingerprint the server must have; if given, neither authorities nor the name count.
    :param roots: PEM file of authorities to trust instead of the platform's.
    """
    context = _context(SSL.TLS1_2_VERSION)
    _present(context, device)
    bare = host.strip("[]")
    address = _is_address(bare)
    if pin is not None:
        expected = pin.lower()
        context.set_verify(SSL.VERIFY_PEER, verify_with(lambda shown: same_fingerprint(shown, expected)))
        watch(context, lambda connection: demand(connection, expected))
    else:
        if roots is None:
            context.set_default_verify_paths()
        else:
            context.load_verify_locations(str(roots))
        context.set_verify(SSL.VERIFY_PEER, lambda _connection, _certificate, _error, _depth, ok: bool(ok))
        watch(context, lambda connection: demand_name(connection, bare, address))
    return ClientTls(context, None if address else bare)


def control_server(certificate: Path, key: Path) -> ServerTls:
    """TLS of the control server: asks for a client certificate (any: its fingerprint is what counts) and goes on without one.

    :param certificate: PEM file, the chain's leaf first.
    :raises ConfigError: a file cannot be used.
    """
    context = _context(SSL.TLS1_2_VERSION)
    try:
        context.use_certificate_chain_file(str(certificate))
        context.use_privatekey_file(str(key))
        context.check_privatekey()
    except SSL.Error as error:
        raise ConfigError(
            f"The server's certificate {certificate} and key {key} cannot be used; check that both are there, PEM, and belong together.",
            "bad-certificate",
        ) from error
    context.set_verify(SSL.VERIFY_PEER, verify_with(lambda _shown: True))
    watch(context)
    return ServerTls(context)


def data_client(device: Device, pin: str) -> ClientTls:
    """TLS of a session's caller: version 1.3, the callee must prove the fingerprint `pin`."""
    expected = pin.lower()
    context = _data_context(device)
    context.set_alpn_protos([DATA_ALPN])
    context.set_verify(SSL.VERIFY_PEER, verify_with(lambda shown: same_fingerprint(shown, expected)))
    watch(context, lambda connection: demand(connection, expected))
    return ClientTls(context)


def data_server(device: Device, accepts: Callable[[str], bool]) -> ServerTls:
    """TLS of a session's callee: version 1.3, a client must prove a fingerprint that `accepts` knows, and speak our protocol."""
    context = _data_context(device)
    select: Any = _select_data_protocol  # older stubs do not know the value that says "none of these"
    context.set_alpn_select_callback(select)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, verify_with(accepts))

    def check(connection: SSL.Connection) -> None:
        if connection.get_alpn_proto_negotiated() != DATA_ALPN:
            raise PinError("the other side does not speak the peer protocol")
        if not accepts(proved(connection)):
            raise PinError("no session waits for this device")

    watch(context, check)
    return ServerTls(context)


def _data_context(device: Device) -> SSL.Context:
    context = _context(SSL.TLS1_3_VERSION)
    _present(context, device)
    relax = getattr(context, "clear_mode", None)
    if relax is not None:  # pyOpenSSL from 25.0: lets one write make many records, see datachannel
        relax(_MODE_ENABLE_PARTIAL_WRITE)
    return context


def _select_data_protocol(_connection: SSL.Connection, offered: list[bytes]) -> bytes | object:
    return DATA_ALPN if DATA_ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
