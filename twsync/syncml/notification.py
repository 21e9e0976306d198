"""The notification of OMA DS 1.2 (server alerted notification): a server asks a device to start a session (fact sheet section 3.7).

Binary, big endian: a digest, a header, and one entry for each datastore. What SyncML 1.1 has for it is an ordinary message with Alerts 206
to 210.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac

import msgspec

from twsync import limits
from twsync.errors import FormatError

MEDIA_TYPE = "application/vnd.syncml.ds.notification"

_DIGEST = 16
#: Version in tenths (10 bits), user interface mode (2), initiator (1), nothing (27), session id (16).
_HEADER = 7
_VERSION = 12
#: Low four bits of what an entry says, and of the number of entries: for later versions.
_NIBBLE = 4
_ALERT_BASE = 200


class Interface(enum.IntEnum):
    """How much of the session the user of the device is shown."""

    UNSPECIFIED = 0
    BACKGROUND = 1
    INFORMATIVE = 2
    INTERACTIVE = 3


class Alerted(msgspec.Struct, frozen=True):
    """A datastore to be synchronised."""

    code: int
    "As in an Alert: 206 to 210."
    uri: str
    "The server's datastore."
    content_type: int = 0
    "WSP content type: 3 text/plain, 6 text/x-vcalendar, 7 text/x-vcard; 0 not said."


class Notification(msgspec.Struct, frozen=True):
    """What a notification says."""

    server: str
    "The server's identifier, by which the device finds its account."
    session: int
    "Session id, 16 bits."
    datastores: tuple[Alerted, ...] = ()
    "Empty: all."
    interface: Interface = Interface.UNSPECIFIED
    by_server: bool = True
    "Whether the server began this, and not its user."


class Received(msgspec.Struct, frozen=True):
    """A notification that was read; nobody has to believe it before `proven` says so."""

    notification: Notification
    digest: bytes
    rest: bytes
    "What the digest covers."

    def proven(self, password: str, nonce: bytes) -> bool:
        """Whether it comes from somebody who knows the server's password.

        :param nonce: the one that the two sides agreed on for this.
        """
        return hmac.compare_digest(self.digest, _digest(self.notification.server, password, nonce, self.rest))


def build(notification: Notification, password: str, nonce: bytes) -> bytes:
    """Write a notification.

    :param password: the server's, as the device knows it.
    :param nonce: the one that the two sides agreed on for this.
    :raises FormatError: a value does not fit its field.
    """
    server = notification.server.encode()
    if len(notification.datastores) > 15 or not 0 <= notification.session < 1 << 16 or len(server) > 255:
        raise FormatError("a notification with more than 15 datastores, or a session id or server identifier that is too long")
    bits = _VERSION << 46 | notification.interface << 44 | notification.by_server << 43 | notification.session
    out = [bits.to_bytes(_HEADER), bytes((len(server),)), server, bytes((len(notification.datastores) << _NIBBLE,))]
    for entry in notification.datastores:
        uri = entry.uri.encode()
        if not 206 <= entry.code <= 210 or not 0 <= entry.content_type < 1 << 24 or len(uri) > 255:
            raise FormatError("a notification with an alert code, content type or datastore address that does not fit")
        out += (bytes((entry.code - _ALERT_BASE << _NIBBLE,)), entry.content_type.to_bytes(3), bytes((len(uri),)), uri)
    rest = b"".join(out)
    return _digest(notification.server, password, nonce, rest) + rest


def parse(data: bytes) -> Received:
    """Read a notification; what stands behind the last entry is the vendor's, and only part of the digest.

    :raises FormatError: it is cut, of another version, or says what cannot be.
    """
    if len(data) > limits.MAX_NOTIFICATION:
        raise FormatError(f"a notification of more than {limits.MAX_NOTIFICATION} bytes")
    digest, rest = data[:_DIGEST], data[_DIGEST:]
    header, position = _take(rest, 0, _HEADER)
    bits = int.from_bytes(header)
    if bits >> 46 != _VERSION:
        raise FormatError("a notification of a version other than 1.2")
    server, position = _string(rest, position)
    count, position = _take(rest, position, 1)
    entries: list[Alerted] = []
    for _ in range(count[0] >> _NIBBLE):
        head, position = _take(rest, position, 4)
        uri, position = _string(rest, position)
        code = _ALERT_BASE + (head[0] >> _NIBBLE)
        if not 206 <= code <= 210:
            raise FormatError(f"a notification that asks for a kind of session that there is not ({code})")
        entries.append(Alerted(code, uri, int.from_bytes(head[1:])))
    interface = Interface(bits >> 44 & 3)
    found = Notification(server, bits & 0xFFFF, tuple(entries), interface, bool(bits >> 43 & 1))
    return Received(found, digest, rest)


def _take(data: bytes, position: int, length: int) -> tuple[bytes, int]:
    """So many bytes, and the position behind them."""
    if position + length > len(data):
        raise FormatError("a notification that is cut")
    return data[position : position + length], position + length


def _string(data: bytes, position: int) -> tuple[str, int]:
    """A string behind its length, and the position behind it."""
    length, position = _take(data, position, 1)
    octets, position = _take(data, position, length[0])
    try:
        return octets.decode(), position
    except UnicodeDecodeError:
        raise FormatError("a notification with a name that is no UTF-8") from None


def _digest(server: str, password: str, nonce: bytes, rest: bytes) -> bytes:
    """MD5(B64(MD5(server ":" password)) ":" nonce ":" B64(MD5(rest))); the standard has no other."""
    secret = base64.b64encode(hashlib.md5(f"{server}:{password}".encode()).digest())
    return hashlib.md5(b":".join((secret, nonce, base64.b64encode(hashlib.md5(rest).digest())))).digest()
