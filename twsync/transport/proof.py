"""Whether the other side of a TLS connection is who it should be, and behaves: what OpenSSL's callbacks ask."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.python.failure import Failure

from twsync.limits import MAX_TLS_STEPS
from twsync.transport.keys import fingerprint, same_fingerprint


class PinError(Exception):
    """The other side proved another identity than the one asked for."""


def peer_fingerprint(transport: object) -> str | None:
    """Fingerprint of the certificate the other side of a TLS transport proved to hold; None without TLS or without a certificate.

    :param transport: what a protocol has as `transport`. Before the handshake is done the answer is None.
    """
    ask = getattr(transport, "getPeerCertificate", None)
    certificate = ask() if ask is not None else None
    if certificate is None:
        return None
    return fingerprint(crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate))


def verify_with(accepts: Callable[[str], bool]) -> Callable[[SSL.Connection, crypto.X509, int, int, int], bool]:
    """A verify callback that looks at the leaf's fingerprint alone; what stands above it in the chain says nothing."""

    def verify(_connection: SSL.Connection, certificate: crypto.X509, _error: int, depth: int, _ok: int) -> bool:
        return depth > 0 or accepts(fingerprint(crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)))

    return verify


def watch(context: SSL.Context, check: Callable[[SSL.Connection], None] | None = None) -> None:
    """Call `check` when the handshake is done; what it raises ends the connection before the protocol gets a byte.

    A change of keys (RFC 8446, section 4.6.3) costs its sender 27 bytes and us a derivation, and OpenSSL makes all that it is asked for
    before it comes back. So after too many of them the connection is over, as if the other side had closed it.
    """
    steps: WeakKeyDictionary[SSL.Connection, int] = WeakKeyDictionary()

    def happened(connection: SSL.Connection, where: int, _value: int) -> None:
        if where & SSL.SSL_CB_LOOP:
            steps[connection] = steps.get(connection, 0) + 1
            if steps[connection] > MAX_TLS_STEPS:
                connection.set_shutdown(SSL.RECEIVED_SHUTDOWN)
        if check is not None and where & SSL.SSL_CB_HANDSHAKE_DONE:
            try:
                check(connection)
            except Exception:  # an exception must not vanish inside OpenSSL: whatever it is, the connection is not good
                connection.get_app_data().failVerification(Failure())

    context.set_info_callback(happened)


def proved(connection: SSL.Connection) -> str:
    """The fingerprint that the other side proved; empty without a certificate."""
    certificate = connection.get_peer_certificate()
    return "" if certificate is None else fingerprint(crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate))


def demand(connection: SSL.Connection, expected: str) -> None:
    """For `watch`: the other side has this fingerprint.

    :raises PinError: it has another.
    """
    if not same_fingerprint(proved(connection), expected):
        raise PinError(f"the other side is {proved(connection) or 'nameless'}, not {expected}")


def demand_name(connection: SSL.Connection, host: str, address: bool) -> None:
    """For `watch`: the server's certificate, which an authority vouches for, is for this host (RFC 9525).

    :param address: whether the host is an IP address.
    :raises PinError: it is for another.
    """
    try:
        if address:
            verify_ip_address(connection, host)
        else:
            verify_hostname(connection, host)
    except (VerificationError, CertificateError) as error:
        raise PinError(f"the server's certificate is not for {host}") from error
