"""Transfer encodings and character sets of the legacy dialect (vCard 2.1 section 2.1.3; RFC 2045 section 6.7)."""

from __future__ import annotations

import codecs
import re
import string

from twsync.errors import FormatError
from twsync.records.contentline import Property

_HEX = frozenset(string.hexdigits)
#: What may stand for itself in a quoted-printable value; a dot or a blank at a line's end may be eaten on the way.
_PLAIN = frozenset(string.ascii_letters + string.digits + " !\"#$%&'()*+,-./:;<>?@[\\]^_`{|}~")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*\Z")
_EDGE = re.compile(r"(?:BEGIN|END):", re.IGNORECASE)
_BLANK = re.compile(r"\s+")
#: Characters sets that turn octets into octets: not text.
_NO_TEXT = frozenset({"base64", "bz2", "hex", "zlib", "quopri", "rot13", "uu", "punycode", "idna"})


def decode_bytes(data: bytes) -> str:
    """A whole record as text: UTF-8, else ISO-8859-1, which is what devices send that do not say (fact sheet section 14, 17)."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError as error:
            raise FormatError("the record is no UTF-16 text, though it begins so") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _decode(octets: bytes, charset: str) -> str:
    try:
        return octets.decode(charset or "utf-8")
    except (UnicodeDecodeError, LookupError):
        return octets.decode("latin-1") if charset else decode_bytes(octets)


def _charset_of(prop: Property) -> str:
    name = prop.first("CHARSET").strip()
    try:
        info = codecs.lookup(name) if name else None
    except (LookupError, ValueError):
        return ""
    return "" if info is None or info.name in _NO_TEXT else info.name


def quoted_printable(raw: str) -> bytes:
    """The octets of a quoted-printable value without soft line breaks; an equals sign before no hexadecimal digits stands for itself.

    Characters outside ASCII, which some devices leave as they are, become UTF-8.
    """
    out = bytearray()
    at = 0
    while (found := raw.find("=", at)) >= 0:
        out += raw[at:found].encode()
        digits = raw[found + 1 : found + 3]
        if len(digits) == 2 and digits[0] in _HEX and digits[1] in _HEX:
            out.append(int(digits, 16))
            at = found + 3
        else:
            out += b"="
            at = found + 1
    out += raw[at:].encode()
    return bytes(out)


def is_quoted_printable(prop: Property) -> bool:
    """Whether a value is quoted-printable, said with or without the name of the parameter."""
    return prop.first("ENCODING") == "QUOTED-PRINTABLE" or "QUOTED-PRINTABLE" in [value.upper() for value in prop.param("")]


def is_base64(prop: Property) -> bool:
    """Whether a value is base64, by any of its names."""
    return prop.first("ENCODING") in ("BASE64", "B") or "BASE64" in [value.upper() for value in prop.param("")]


def decoded_text(prop: Property, octets: bool) -> str:
    """The raw value of a property, freed from quoted-printable and its character set.

    :param octets: the record came as octets that are no UTF-8 and was read as ISO-8859-1, so that CHARSET still has to be applied.
    """
    if is_quoted_printable(prop):
        return _decode(quoted_printable(prop.value), _charset_of(prop)).replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    charset = _charset_of(prop)
    if octets and charset:
        return _decode(prop.value.encode("latin-1", "replace"), charset)
    return prop.value


def base64_text(value: str) -> str:
    """Base64 without blanks, with the padding that it should have.

    :raises FormatError: if it is none.
    """
    compact = _BLANK.sub("", value).rstrip("=")
    if not _BASE64.match(compact) or len(compact) % 4 == 1:
        raise FormatError("a binary value is no base64")
    return compact + "=" * (-len(compact) % 4)


def needs_quoting(text: str) -> bool:
    """Whether a legacy value must be quoted-printable: not ASCII, several lines, or blanks that readers strip."""
    return not text.isascii() or "\n" in text or not text.isprintable() or text != text.strip()


def encode_quoted_printable(text: str, room: int) -> str:
    """A text in UTF-8 as quoted-printable with soft line breaks, line ends as CRLF; a character is never cut in two by a soft break.

    :param room: characters left in the first line.
    """
    room = max(room, 20)
    # A line that says END where a soft break puts it at the start would end the record for many readers.
    plain = _PLAIN - {":"} if _EDGE.search(text) else _PLAIN
    lines: list[str] = []
    line: list[str] = []
    used = 0
    for char in text.replace("\n", "\r\n"):
        token = char if char in plain else "".join(f"={octet:02X}" for octet in char.encode())
        if used + len(token) > (room if not lines else 75):
            lines.append("".join(line))
            line, used = [], 0
        line.append(token)
        used += len(token)
    # Blanks before a soft break survive it: the equals sign stands behind them. Only the very last must be spelled.
    if line and line[-1] == " ":
        line[-1] = "=20"
    lines.append("".join(line))
    return "=\r\n".join(lines)
