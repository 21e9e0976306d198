"""Which record is which: UID, content, key properties; its name as a file and its title for people."""

from __future__ import annotations

import hashlib
import re
import unicodedata

import msgspec

from twsync import limits
from twsync.errors import FormatError
from twsync.records import texts
from twsync.records.component import Component, parse, plain, replace_property, write
from twsync.records.family import Family, suffix
from twsync.records.normal import Context, component_texts, digest
from twsync.records.values import fields, unescape
from twsync.records.vcalendar_writing import master_of
from twsync.records.wire import modern

_DIGITS = re.compile(r"\D+")
_SAFE_NAME = re.compile(r"[A-Za-z0-9_@][A-Za-z0-9_.@+-]*\Z")
#: Digits of a number from the right by which two spellings of it are the same: with and without country code.
_NUMBER_DIGITS = 8


class Identity(msgspec.Struct, frozen=True, gc=False):
    """What a slow sync matches records by, in this order."""

    uid: str
    "Empty: the record has none."
    digest: bytes
    "Of the content; the same for records that only differ in how they are written."
    keys: frozenset[str]
    "Key properties: name and number, name and address, summary and start. Two records that share one are probably the same thing."


def load(family: Family, text: str) -> Component:
    """A stored contact, calendar or message as a component. For merging and comparing: contacts as vCard 3.0.

    :raises FormatError: if it is none.
    """
    if family is Family.SMS:
        return texts.message(text)
    found = parse(text)
    return modern(found) if family is Family.CONTACTS else found


def content(family: Family, text: str) -> tuple[str, ...]:
    """The content as comparable texts.

    :raises FormatError: if the text is no record.
    """
    if family is Family.NOTES:
        return tuple(texts.plain_note(text).split("\n"))
    return tuple(component_texts(load(family, text)))


def fingerprint(family: Family, text: str) -> Identity:
    """What a record is known by.

    :raises FormatError: if the text is no record.
    """
    return Identity(uid(family, text), digest(content(family, text)), frozenset(_keys(family, text)))


def equal(family: Family, a: str, b: str) -> bool:
    """Whether two records say the same, whatever they are called and however they are written.

    :raises FormatError: if one is no record.
    """
    return a == b or content(family, a) == content(family, b)


def _keys(family: Family, text: str) -> set[str]:
    if family is Family.NOTES:
        first = texts.note_title(text)
        return {f"title|{first.casefold()}"} if first else set()
    record = load(family, text)
    if family is Family.CONTACTS:
        return _contact_keys(record)
    if family is Family.SMS:
        said = hashlib.blake2b(texts.message_text(record).strip().encode(), digest_size=8).hexdigest()
        return {f"message|{_number(number)}|{said}" for number in texts.message_numbers(record)}
    entry = master_of(record)
    when = entry.get("DTSTART") or entry.get("DUE")
    start = Context(entry, record).time(when, when.value).partition("/")[0] if when else ""
    summary = unescape(entry.value("SUMMARY")).strip().casefold()
    return {f"entry|{summary}|{start}"} if summary else set()


def _contact_keys(card: Component) -> set[str]:
    name = " ".join(sorted(word.casefold() for field in fields(card.value("N"))[:3] for word in field.split()))
    name = name or " ".join(sorted(unescape(card.value("FN")).casefold().split()))
    if not name:
        return set()
    found: set[str] = set()
    for prop in card.properties:
        key = prop.name.upper()
        if key == "TEL" and prop.value.strip():
            found.add(f"tel|{name}|{_number(prop.value)}")
        elif key == "EMAIL" and prop.value.strip():
            found.add(f"mail|{name}|{prop.value.strip().casefold()}")
    return found or {f"name|{name}|{'|'.join(fields(card.value('ORG'))).casefold()}"}


def _number(raw: str) -> str:
    digits = raw.removeprefix("+")
    if not digits.isdecimal():
        digits = _DIGITS.sub("", raw)
    return digits[-_NUMBER_DIGITS:] or raw.strip()


def uid(family: Family, text: str) -> str:
    """The UID; empty for notes, messages, and records without one.

    :raises FormatError: if the text is no record.
    """
    if family in (Family.NOTES, Family.SMS):
        return ""
    found = parse(text)
    return (found if family is Family.CONTACTS else master_of(found)).value("UID")


def with_uid(family: Family, text: str, uid: str) -> str:
    """The record with another UID; notes and messages stay as they are.

    :raises FormatError: if the text is no record, or the UID is empty or has control characters.
    """
    if not uid.strip() or not uid.isprintable():
        raise FormatError("a UID is empty or has control characters")
    if family in (Family.NOTES, Family.SMS):
        return text
    found = parse(text)
    return write(found_with_uid(found, uid))


def as_copy(family: Family, text: str) -> str:
    """The record as an item of its own beside the one that has its UID now.

    The new UID is made from the old one and the content (RFC 9562 section 5.8): hosts that set the same content aside make one copy. What
    has no UID stays as it is.

    :raises FormatError: if the text is no record.
    """
    was = fingerprint(family, text)
    if not was.uid:
        return text
    made = bytearray(hashlib.blake2b(was.digest + was.uid.encode(), digest_size=16, person=b"twsync-copy").digest())
    made[6], made[8] = made[6] & 0x0F | 0x80, made[8] & 0x3F | 0x80
    found = made.hex()
    return with_uid(family, text, "-".join((found[:8], found[8:12], found[12:16], found[16:20], found[20:])))


def found_with_uid(record: Component, uid: str) -> Component:
    """A contact, or a calendar with all of its entries, with a UID."""
    if record.name == "VCARD":
        return replace_property(record, plain("UID", uid))
    entries = ("VEVENT", "VTODO", "VJOURNAL")
    changed = [replace_property(part, plain("UID", uid)) if part.name in entries else part for part in record.components]
    return Component(record.name, record.properties, tuple(changed))


def title(family: Family, text: str) -> str:
    """One line for people, at most 80 characters; never empty.

    :raises FormatError: if the text is no record.
    """
    if family is Family.NOTES:
        found = texts.note_title(text)
    elif family is Family.SMS:
        message = texts.message(text)
        found = f"{', '.join(texts.message_numbers(message))}: {texts.note_title(texts.message_text(message))}".strip(": ")
    elif family is Family.CONTACTS:
        card = parse(text)
        found = (
            unescape(card.value("FN"))
            or " ".join(fields(card.value("N")))
            or unescape(card.value("ORG"))
            or card.value("EMAIL")
            or card.value("TEL")
        )
    else:
        entry = master_of(parse(text))
        when = entry.value("DTSTART") or entry.value("DUE")
        day = f"{when[:4]}-{when[4:6]}-{when[6:8]} " if when[:8].isdigit() and len(when) >= 8 else ""
        found = day + unescape(entry.value("SUMMARY"))
    line = " ".join("".join(char if char.isprintable() else " " for char in found).split())
    return (line if len(line) <= 80 else f"{line[:79]}…") or "(no title)"


def name_for(family: Family, text: str) -> str:
    """A safe file name: the UID if it can be one, else a digest (of the UID, or of the content of a record without one), and the suffix.

    :raises FormatError: if the text is no record.
    """
    found = unicodedata.normalize("NFC", uid(family, text))
    end = suffix(family)
    if _SAFE_NAME.match(found) and len(found) + len(end) <= limits.MAX_RECORD_NAME and not found.endswith("."):
        return found + end
    if found:
        return hashlib.blake2b(found.encode(), digest_size=16).hexdigest() + end
    return digest(content(family, text)).hex() + end
