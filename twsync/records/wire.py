"""Records between their stored form and the forms in which they travel (docs/protocol/records.md)."""

from __future__ import annotations

from twsync.errors import FormatError
from twsync.records import texts, vcalendar, vcalendar_writing, vcard, zones
from twsync.records.alarms import LEGACY_NAMES
from twsync.records.capabilities import Capabilities, restrict
from twsync.records.component import Component, parse, plain, write
from twsync.records.contentline import lines_of
from twsync.records.family import DIRECTORY, VCALENDAR, VCARD_21, VNOTE, Family, Form
from twsync.records.transfer import decode_bytes

_ENTRIES = {Family.CALENDAR: "VEVENT", Family.TASKS: "VTODO"}
PRODID = "-//twsync//records//EN"


def check(family: Family, text: str) -> None:
    """Whether a text is one record in the stored form: vCard 3.0 or 4.0, iCalendar 2.0 with one event or task, text, vMessage.

    :raises FormatError: if it is not; the message says why.
    """
    if family is Family.NOTES:
        texts.plain_note(text)
    elif family is Family.SMS:
        texts.message(text)
    elif family is Family.CONTACTS:
        stored_card(text)
    else:
        stored_calendar(family, text)


def stored_card(text: str) -> Component:
    """A stored contact.

    :raises FormatError: if it is none.
    """
    card = parse(text)
    version = card.value("VERSION")
    if card.name != "VCARD" or version not in ("3.0", "4.0"):
        raise FormatError(f"a contact must be a VCARD of version 3.0 or 4.0, not {card.name[:40]} {version[:10]}; convert the file")
    return card


def stored_calendar(family: Family, text: str) -> Component:
    """A stored event or task.

    :raises FormatError: if it is none, or more than one.
    """
    calendar = parse(text)
    version = calendar.value("VERSION")
    if calendar.name != "VCALENDAR" or version != "2.0":
        raise FormatError(f"an entry must be a VCALENDAR of version 2.0, not {calendar.name[:40]} {version[:10]}; convert the file")
    kind = _ENTRIES[family]
    entries = [part for part in calendar.components if part.name in ("VEVENT", "VTODO", "VJOURNAL")]
    if not entries or any(entry.name != kind for entry in entries):
        found = entries[0].name if entries else "nothing"
        raise FormatError(f"an entry of {family} must be a {kind}, and this file holds {found}")
    if len({entry.value("UID") for entry in entries}) > 1 or sum(entry.get("RECURRENCE-ID") is None for entry in entries) > 1:
        raise FormatError("the file holds several entries; put each into a file of its own")
    return calendar


def modern(card: Component) -> Component:
    """A stored contact as vCard 3.0; one of 3.0 is returned as it is."""
    return vcard.stored(card, "4.0") if card.value("VERSION") == "4.0" else card


def _text_of(data: str | bytes) -> tuple[str, bool]:
    """The text, and whether it was octets of no known character set."""
    if isinstance(data, str):
        return data, False
    text = decode_bytes(data)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return text, True
    return text, False


def from_wire(family: Family, type: str, data: str | bytes, *, zone: str = "UTC", partial: bool = False) -> str:
    """The stored form of a record that came over a wire. The content decides what it is read as: devices get types wrong.

    :param type: the media type that came with it; decides only between plain text and the rest. Empty: none came.
    :param data: text, or octets that were no UTF-8.
    :param zone: IANA name of the device's zone: of local times that name none.
    :param partial: it holds some properties of a record only (FieldLevel), for `overlay`: nothing is filled in.
    :raises FormatError: if it is no record of the family, too large, or damaged beyond what devices do.
    """
    text, octets = _text_of(data)
    begins = text[:4096].lstrip("\ufeff \t\r\n").upper()
    if family is Family.NOTES:
        if begins.startswith("BEGIN:VNOTE"):
            return texts.from_vnote(text, octets)
        return texts.plain_note(text)
    if family is Family.SMS:
        texts.message(text)
        return "\r\n".join(lines_of(text)).rstrip() + "\r\n"
    if family is Family.CONTACTS:
        card = vcard.read(text, octets, whole=not partial)
        if card.get("FN") is None and not partial:
            raise FormatError("the contact has no name, no address and no number")
        return write(card)
    calendar = parse(text, vcalendar.is_legacy(text))
    if vcalendar.is_legacy(text):
        calendar = _from_vcalendar(family, calendar, zone, octets)
    elif calendar.get("VERSION") is None:
        calendar = Component(calendar.name, (plain("VERSION", "2.0"), *calendar.properties), calendar.components)
    made = write(_with_zones(calendar))
    stored_calendar(family, made)
    return made


def _with_zones(calendar: Component) -> Component:
    """With the VTIMEZONEs of the IANA zones that it names and does not bring along."""
    named = {prop.first("TZID"): prop for part in calendar.components for prop in part.properties if prop.param("TZID")}
    brought = {part.value("TZID").upper() for part in calendar.components if part.name == "VTIMEZONE"}
    missing = [prop for name, prop in named.items() if name not in brought and zones.iana(prop.param("TZID")[0]) is not None]
    made = tuple(zones.definition(prop.param("TZID")[0], zones.year_of(prop)) for prop in missing)
    return Component(calendar.name, calendar.properties, (*made, *calendar.components))


def _from_vcalendar(family: Family, calendar: Component, zone: str, octets: bool) -> Component:
    if calendar.name != "VCALENDAR":
        raise FormatError(f"a calendar entry must be a VCALENDAR, not a {calendar.name[:40]}")
    entries = [part for part in calendar.components if part.name in ("VEVENT", "VTODO")]
    if len(entries) != 1 or entries[0].name != _ENTRIES[family]:
        raise FormatError(f"an entry of {family} must hold one {_ENTRIES[family]}")
    entry = vcalendar.read_entry(calendar, entries[0], zone, octets)
    rest = [prop for prop in calendar.properties if prop.key.startswith("X-")]
    head = (plain("VERSION", "2.0"), plain("PRODID", calendar.value("PRODID").replace("\n", " ") or PRODID), *rest)
    return Component("VCALENDAR", head, (entry,))


def to_wire(family: Family, text: str, form: Form, *, capabilities: Capabilities | None = None, utc: bool = True, zone: str = "UTC") -> str:
    """A stored record in a form for a device. Between two twsync hosts the stored text travels as it is, without this.

    :param capabilities: what the device stores of the form; the rest is left out. None: it did not say, so it gets everything.
    :param utc: whether it understands times in UTC (DevInf UTC); vCalendar 1.0 only.
    :param zone: IANA name of its zone, for local times.
    :raises FormatError: if the text is no record of the family.
    """
    if family is Family.NOTES:
        return texts.to_vnote(text) if form == VNOTE else texts.plain_note(text).replace("\n", "\r\n")
    if family is Family.SMS:
        texts.message(text)
        return text
    if family is Family.CONTACTS:
        card = modern(stored_card(text))
        if form == VCARD_21:
            card = vcard.mail_named(card)
        if capabilities is not None:
            card = restrict(card, capabilities, form, cut=True)
        if form == DIRECTORY:
            card = Component(card.name, (plain("PROFILE", "VCARD"), *card.properties))
        return vcard.legacy(card) if form == VCARD_21 else write(card)
    calendar = stored_calendar(family, text)
    names: tuple[str, ...] = LEGACY_NAMES[:2]
    if capabilities is not None:
        calendar = restrict(calendar, capabilities, form, cut=True)
        names = tuple(name for name in LEGACY_NAMES if capabilities.stores(name))
    return vcalendar_writing.legacy(calendar, names, utc=utc, zone=zone) if form == VCALENDAR else write(calendar)
