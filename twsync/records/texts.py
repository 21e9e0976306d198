"""Notes as UTF-8 text, and vNote (IrMC section 11); messages as vMessage (IrMC section 9)."""

from __future__ import annotations

import binascii

from twsync.errors import FormatError
from twsync.records.component import Component, parse, plain, write
from twsync.records.contentline import lines_of
from twsync.records.transfer import base64_text, decode_bytes, decoded_text, is_base64
from twsync.records.values import legacy_escape, legacy_unescape
from twsync.records.vcard import legacy_line


def plain_note(text: str) -> str:
    """A note as stored: LF line ends, no byte order mark, one line end at the end unless it is empty.

    :raises FormatError: if it is too large or no text.
    """
    body = "\n".join(lines_of(text)).rstrip("\n")
    return f"{body}\n" if body else ""


def line_end(text: str) -> str:
    """The line end that most lines of a note have; empty if it has none."""
    lines = text.count("\n")
    return "\r\n" if text.count("\r\n") * 2 > lines else "\n" if lines else ""


def with_line_end(note: str, end: str) -> str:
    """A note as `plain_note` makes it, with another line end; an empty one stays as it is."""
    return note.replace("\n", end) if end not in ("", "\n") else note


def from_vnote(text: str, octets: bool) -> str:
    """The text of a vNote. A SUMMARY that the body does not begin with becomes its first line, for that is the title.

    :raises FormatError: if it is none.
    """
    note = parse(text, True)
    if note.name != "VNOTE":
        raise FormatError(f"a note must be a VNOTE, not a {note.name[:40]}")
    body, summary = (_text(note, key, octets) for key in ("BODY", "SUMMARY"))
    if summary and not body.lstrip().startswith(summary):
        body = f"{summary}\n{body}"
    return plain_note(body)


def _text(note: Component, key: str, octets: bool) -> str:
    prop = note.get(key)
    if prop is None:
        return ""
    if is_base64(prop):
        return decode_bytes(binascii.a2b_base64(base64_text(prop.value)))
    return legacy_unescape(decoded_text(prop, octets))


def to_vnote(text: str) -> str:
    """A stored note as vNote 1.1."""
    body = legacy_line("BODY", [], legacy_escape(plain_note(text).removesuffix("\n"), structured=False))
    return write(Component("VNOTE", (plain("VERSION", "1.1"), body)), legacy=True)


def message(text: str) -> Component:
    """A vMessage, line by line as it came: its own form is the stored one.

    :raises FormatError: if it is none.
    """
    found = parse(text, True)
    if found.name != "VMSG":
        raise FormatError(f"a message must be a VMSG, not a {found.name[:40]}")
    return found


def message_text(found: Component) -> str:
    """What the message says."""
    for part in found.walk():
        if part.name == "VBODY":
            subject = part.get("SUBJECT")
            said = "" if subject is None else legacy_unescape(decoded_text(subject, False))
            return "\n".join(line for line in (said, part.body or "") if line)
    return ""


def message_numbers(found: Component) -> list[str]:
    """The numbers that it came from and goes to."""
    return [prop.value.strip() for part in found.walk() if part.name == "VCARD" for prop in part.all("TEL") if prop.value.strip()]


def note_title(text: str) -> str:
    """The first line that is not empty."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
