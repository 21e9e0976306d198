"""Lexical rules of RFC 3261 section 25 that every header shares.

Scanners, not backtracking patterns: their work is linear in the input, whatever a stranger sends. `sipmessage` splits lists and
parameters without regard to quoted strings, and its quoted string runs to the *last* quote of a value; so these rules are our own.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from twsync.errors import FormatError

_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_HOSTNAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_\-.]*[A-Za-z0-9_.])?")
_DIGITS = re.compile(r"[0-9]{1,20}")
_PARAM_VALUE = re.compile(r"[A-Za-z0-9\-.!%*_+`'~\[\]:]+")
_TO_ESCAPE = re.compile('[\x00-\x08\x0b-\x1f\x7f"\\\\]')
_PAIR = re.compile(r"\\[\x00-\x09\x0b\x0c\x0e-\x7f]")
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_SPACE = " \t"
# Where a scanner has to look; it leaps over all else.
_IN_QUOTES = re.compile(r'["\\]')
_MARKS = {separator: re.compile(f'["<>{separator}]') for separator in ",;"}


def is_token(text: str) -> bool:
    """Whether `text` is a token."""
    return _TOKEN.fullmatch(text) is not None


def is_host(text: str) -> bool:
    """Whether `text` is a host name, an IPv4 address or an IPv6 reference in brackets.

    Underscores and labels that begin with a digit pass, as container and cloud networks use them.
    """
    if text.startswith("["):
        if not text.endswith("]") or "%" in text:
            return False
        try:
            ipaddress.IPv6Address(text[1:-1])
        except ValueError:
            return False
        return True
    return len(text) <= 255 and _HOSTNAME.fullmatch(text) is not None and ".." not in text


def number(text: str, largest: int) -> int:
    """An unsigned decimal number, ASCII digits only.

    :raises FormatError: for a sign, another script's digits, an empty text or a value above `largest`.
    """
    if _DIGITS.fullmatch(text) is None or int(text) > largest:
        raise FormatError("A number is not one, or too large.")
    return int(text)


def quote(text: str) -> str:
    """`text` as a quoted string.

    :raises FormatError: if it holds a line break, which no quoted string can carry.
    """
    if "\r" in text or "\n" in text:
        raise FormatError("A line break cannot stand in a quoted string.")
    return '"' + _TO_ESCAPE.sub(r"\\\g<0>", text) + '"'


def has_control(text: str) -> bool:
    """Whether a control character other than a tab, or a byte that was no UTF-8, stands there without a backslash before it.

    In a quoted string a backslash makes nearly all of them legal (RFC 3261 section 25.1, quoted-pair), and RFC 4475 has an example.
    """
    return _CONTROL.search(_PAIR.sub("", text)) is not None


def unquote(text: str) -> str:
    """The content of a quoted string; a text that is not quoted comes back as it is.

    :raises FormatError: if the closing quote is missing, or not at the end.
    """
    if not text.startswith('"'):
        return text
    end = quoted_end(text, 0)
    if end != len(text):
        raise FormatError("Something follows a quoted string.")
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


def quoted_end(text: str, start: int) -> int:
    """The index behind the quoted string that begins at `start`.

    :raises FormatError: if it does not end.
    """
    position = start + 1
    while (mark := _IN_QUOTES.search(text, position)) is not None:
        if mark[0] == '"':
            return mark.end()
        position = mark.end() + 1
    raise FormatError("A quoted string does not end.")


def split(text: str, separator: str) -> Iterator[str]:
    """The parts of `text` between separators that stand outside quoted strings and angle brackets, stripped.

    :param separator: a comma or a semicolon.
    :raises FormatError: for an unbalanced quote or bracket.
    """
    start = position = 0
    inside = False
    marks = _MARKS[separator]
    while (mark := marks.search(text, position)) is not None:
        at, character = mark.start(), mark[0]
        position = at + 1
        if character == '"':
            if not inside:
                position = quoted_end(text, at)
        elif character == "<":
            if inside:
                raise FormatError("An angle bracket opens twice.")
            inside = True
        elif character == ">":
            if not inside:
                raise FormatError("An angle bracket closes that was not open.")
            inside = False
        elif not inside:
            yield text[start:at].strip(_SPACE)
            start = position
    if inside:
        raise FormatError("An angle bracket does not close.")
    yield text[start:].strip(_SPACE)


def split_list(text: str) -> list[str]:
    """The values of a comma-separated header.

    :raises FormatError: if one is empty, or quotes or brackets are unbalanced.
    """
    parts = list(split(text, ","))
    if not all(parts):
        raise FormatError("A list of values has an empty one.")
    return parts


def split_parameters(text: str) -> tuple[str, list[tuple[str, str | None]]]:
    """The part before the first semicolon, and the parameters behind it, unquoted.

    :raises FormatError: if a name is not a token, comes twice (names know no case) or a value is malformed.
    """
    parts = split(text, ";")
    head = next(parts)
    pairs: list[tuple[str, str | None]] = []
    seen: set[str] = set()
    for part in parts:
        name, equals, raw = part.partition("=")
        name = name.rstrip(_SPACE)
        if not is_token(name) or name.lower() in seen:
            raise FormatError("A parameter has no proper name, or comes twice.")
        seen.add(name.lower())
        pairs.append((name, parameter_value(raw.lstrip(_SPACE)) if equals else None))
    return head, pairs


def parameter_value(raw: str) -> str:
    """The value of a header parameter: token, host or quoted string.

    :raises FormatError: if it is none of them.
    """
    if raw.startswith('"'):
        return unquote(raw)
    if _PARAM_VALUE.fullmatch(raw) is None or (not is_token(raw) and not is_host(raw) and not _is_host_port(raw)):
        raise FormatError("A parameter's value is neither token, host nor quoted string.")
    return raw


def format_parameter(name: str, value: str | None) -> str:
    """``;name=value``, the value quoted where it must be. Feature tags (``+…``) are always quoted (RFC 3840 section 9).

    :raises FormatError: if the name is not a token or the value cannot be written.
    """
    if not is_token(name):
        raise FormatError("A parameter's name is not a token.")
    if value is None:
        return f";{name}"
    if not name.startswith("+") and (is_token(value) or is_host(value)):
        return f";{name}={value}"
    return f";{name}={quote(value)}"


def _is_host_port(raw: str) -> bool:
    # Not in the grammar, but stock agents write maddr- and received-like values with a port.
    host, colon, port = raw.rpartition(":")
    return bool(colon) and _DIGITS.fullmatch(port) is not None and is_host(host)
