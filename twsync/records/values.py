"""Raw values and what they mean: escapes, structured values, lists.

The newer dialect escapes in every text value (RFC 2426 section 5, RFC 5545 section 3.3.11). The legacy one escapes the semicolon only,
and real devices escape commas and backslashes too; a backslash before anything else is a backslash.
"""

from __future__ import annotations

import re

from twsync import limits
from twsync.errors import FormatError

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_LEGACY_ESCAPED = re.compile(r"\\([;,\\])")
_LEGACY_AMBIGUOUS = re.compile(r"\\(?=[;,\\]|\Z)")


def _meaning(match: re.Match[str]) -> str:
    char = match[1]
    return "\n" if char in "nN" else char


def unescape(raw: str) -> str:
    """The text of a raw value."""
    return _ESCAPED.sub(_meaning, raw) if "\\" in raw else raw


def escape(text: str) -> str:
    """The raw value of a text."""
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\r\n", "\n").replace("\n", "\\n")


def split(raw: str, separator: str) -> list[str]:
    """The parts of a raw value between separators that no backslash escapes; still raw.

    :raises FormatError: if there are more than a list may have.
    """
    if raw.count(separator) >= limits.MAX_RECORD_LIST:
        raise FormatError(f"a list has more than {limits.MAX_RECORD_LIST} values")
    if "\\" not in raw:
        return raw.split(separator)
    parts = []
    start = at = 0
    while at < len(raw):
        if raw[at] == "\\":
            at += 1
        elif raw[at] == separator:
            parts.append(raw[start:at])
            start = at + 1
        at += 1
    parts.append(raw[start:])
    return parts


def fields(raw: str) -> list[str]:
    """The texts of a structured value (N, ADR, ORG), without empty ones at the end."""
    found = [unescape(part).strip() for part in split(raw, ";")] if "\\" in raw else [part.strip() for part in raw.split(";")]
    while found and not found[-1]:
        found.pop()
    return found


def items(raw: str, separator: str = ",") -> list[str]:
    """The texts of a list (CATEGORIES), without empty ones."""
    return [text for part in split(raw, separator) if (text := unescape(part).strip())]


def legacy_unescape(raw: str) -> str:
    """The text of a raw legacy value."""
    return _LEGACY_ESCAPED.sub(r"\1", raw) if "\\" in raw else raw


def legacy_escape(text: str, structured: bool) -> str:
    """The raw legacy value of a text: as few backslashes as can be, for devices show them.

    :param structured: it is a field of a structured value, so its semicolons are escaped.
    """
    raw = _LEGACY_AMBIGUOUS.sub(r"\\\\", text) if "\\" in text else text
    return raw.replace(";", "\\;") if structured else raw
