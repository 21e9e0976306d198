"""The five kinds of records, and the forms in which each travels."""

from __future__ import annotations

import enum

import msgspec

from twsync.errors import FormatError


class Family(enum.StrEnum):
    """What a collection holds; the values are the collection types of the settings."""

    CONTACTS = "contacts"
    CALENDAR = "calendar"
    TASKS = "tasks"
    NOTES = "notes"
    SMS = "sms"


class Form(msgspec.Struct, frozen=True):
    """A form that a record travels in: media type and version, the CTType and VerCT of device information (fact sheet section 13)."""

    type: str
    version: str


VCARD_3 = Form("text/vcard", "3.0")
VCARD_21 = Form("text/x-vcard", "2.1")
DIRECTORY = Form("text/directory", "3.0")
ICALENDAR = Form("text/calendar", "2.0")
VCALENDAR = Form("text/x-vcalendar", "1.0")
PLAIN = Form("text/plain", "1.0")
VNOTE = Form("text/x-vnote", "1.1")
VMESSAGE = Form("text/x-vmsg", "1.1")

_FORMS: dict[Family, tuple[Form, ...]] = {
    Family.CONTACTS: (VCARD_3, VCARD_21, DIRECTORY),
    Family.CALENDAR: (ICALENDAR, VCALENDAR),
    Family.TASKS: (ICALENDAR, VCALENDAR),
    Family.NOTES: (PLAIN, VNOTE),
    Family.SMS: (VMESSAGE,),
}
_SUFFIXES = {Family.CONTACTS: ".vcf", Family.CALENDAR: ".ics", Family.TASKS: ".ics", Family.NOTES: ".txt", Family.SMS: ".vmg"}
#: Forms that predate folding by a dropped blank, escapes and named parameters: quoted-printable, nameless parameters.
LEGACY = frozenset({VCARD_21, VCALENDAR, VNOTE, VMESSAGE})


def forms(family: Family) -> tuple[Form, ...]:
    """The forms that records of a family can travel in, best first; the first is the stored form."""
    return _FORMS[family]


def form_of(family: Family, type: str, version: str = "") -> Form:
    """The form that a media type names.

    :param type: in any case, parameters behind it are ignored.
    :param version: VerCT; decides only where one type has two versions.
    :raises FormatError: if records of the family do not travel in it.
    """
    bare = type.partition(";")[0].strip().lower()
    for form in _FORMS[family]:
        if form.type == bare and version in ("", form.version):
            return form
    for form in _FORMS[family]:
        if form.type == bare:
            return form
    raise FormatError(f"{family} do not travel as {bare or 'nothing'}; use {' or '.join(form.type for form in _FORMS[family])}")


def suffix(family: Family) -> str:
    """The end of the file names of a family, such as ``.vcf``."""
    return _SUFFIXES[family]
