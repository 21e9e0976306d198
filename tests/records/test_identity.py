"""UID, digest, keys, file names and titles."""

from __future__ import annotations

import pytest

from twsync import limits
from twsync.errors import FormatError
from twsync.records import Family, equal, fingerprint, forms, name_for, properties, suffix, title, uid, with_uid

CONTACTS, CALENDAR, TASKS, NOTES, SMS = Family


def card(*lines: str) -> str:
    return "\r\n".join(["BEGIN:VCARD", "VERSION:3.0", *lines, "END:VCARD", ""])


def event(*lines: str, kind: str = "VEVENT", uid: str = "u@x") -> str:
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", f"BEGIN:{kind}", f"UID:{uid}", *lines, f"END:{kind}", "END:VCALENDAR", ""])


MESSAGE = (
    "BEGIN:VMSG\r\nVERSION:1.1\r\nX-IRMC-BOX:INBOX\r\nBEGIN:VCARD\r\nVERSION:2.1\r\nTEL:+49123456789\r\nEND:VCARD\r\n"
    "BEGIN:VENV\r\nBEGIN:VBODY\r\nDate:1-1-2006\r\nHello: you\r\nthere\r\nEND:VBODY\r\nEND:VENV\r\nEND:VMSG\r\n"
)

#: Two spellings of one content.
SAME = [
    (
        CONTACTS,
        card("FN:A", "N:A;;;;", "TEL;TYPE=home,voice:1"),
        card("TEL;TYPE=HOME:1", "N:A", "FN:A", "NOTE:", "REV:20260101T000000Z", "UID:9"),
    ),
    (CONTACTS, card("FN:A", "NOTE:a long line of text"), card("FN:A", "NOTE:a long", "  line of text").replace("\r\n", "\n")),
    (CONTACTS, card("FN:A", "CATEGORIES:a,b"), card("fn:A", "categories:b,a")),
    (CONTACTS, card("FN:A", "item1.TEL:1", "item1.X-ABLabel:b"), card("FN:A", "x.TEL:1", "x.X-ABLabel:b")),
    (CONTACTS, card("FN:A", "BDAY:1970-01-02"), card("FN:A", "BDAY;VALUE=date:19700102")),
    (
        CALENDAR,
        event("DTSTART:20260601T080000Z", "DTEND:20260601T090000Z"),
        event("DTSTART;TZID=Europe/Berlin:20260601T100000", "DURATION:PT1H", uid="2"),
    ),
    (
        CALENDAR,
        event("DTSTART;VALUE=DATE:20260601"),
        event("DTSTART;VALUE=DATE:20260601", "DTEND;VALUE=DATE:20260602", "DTSTAMP:20260101T000000Z"),
    ),
    (
        CALENDAR,
        event("DTSTART:20260601T080000Z", "RRULE:FREQ=WEEKLY"),
        event("DTSTART:20260601T080000Z", "RRULE:BYDAY=MO;FREQ=WEEKLY;INTERVAL=1"),
    ),
    (
        CALENDAR,
        event("DTSTART:20260601T080000Z"),
        event("DTSTART:20260601T080000Z", "TRANSP:OPAQUE", "CLASS:PUBLIC", "PRIORITY:0", "SEQUENCE:3"),
    ),
    (NOTES, "a\nb", "\ufeffa\r\nb\r\n"),
]
DIFFERENT = [
    (CONTACTS, card("FN:A", "TEL;TYPE=HOME:1"), card("FN:A", "TEL;TYPE=WORK:1")),
    (CONTACTS, card("FN:A", "NOTE:a\\;b"), card("FN:A", "NOTE:a\\nb")),
    (CONTACTS, card("FN:A", "item1.TEL:1", "item1.X-ABLabel:b"), card("FN:A", "item1.TEL:1", "item1.X-ABLabel:c")),
    (CONTACTS, card("FN:A", "X-A:1"), card("FN:A", "X-A;X-B=1:1")),
    (CALENDAR, event("DTSTART:20260601T080000Z"), event("DTSTART:20260601T080000")),
    (CALENDAR, event("DTSTART:20260601T080000Z"), event("DTSTART:20260601T080000Z", "BEGIN:VALARM", "TRIGGER:-PT5M", "END:VALARM")),
    # The same hour in June, but not in December.
    (
        CALENDAR,
        event("DTSTART;TZID=Europe/Berlin:20261201T080000", "RRULE:FREQ=DAILY"),
        event("DTSTART;TZID=Africa/Lagos:20261201T080000", "RRULE:FREQ=DAILY"),
    ),
    (NOTES, "a\nb", "b\na"),
    (SMS, MESSAGE, MESSAGE.replace("there", "here")),
]


@pytest.mark.parametrize(("family", "one", "other"), SAME)
def test_same_content(family, one, other) -> None:
    assert fingerprint(family, one).digest == fingerprint(family, other).digest
    assert equal(family, one, other)


@pytest.mark.parametrize(("family", "one", "other"), DIFFERENT)
def test_different_content(family, one, other) -> None:
    assert fingerprint(family, one).digest != fingerprint(family, other).digest
    assert not equal(family, one, other)


def test_keys() -> None:
    one = fingerprint(CONTACTS, card("N:Doe;John;;;", "FN:x", "TEL:+49 30 1234567", "EMAIL:J@X.org"))
    other = fingerprint(CONTACTS, card("N:doe;JOHN", "FN:y", "TEL;TYPE=HOME:030-1234567"))
    assert one.keys & other.keys
    assert not one.keys & fingerprint(CONTACTS, card("N:Doe;Jane", "FN:y", "TEL:030-1234567")).keys
    assert fingerprint(CONTACTS, card("FN:Only A Name")).keys
    assert not fingerprint(CONTACTS, card("TEL:1")).keys
    at_ten = fingerprint(CALENDAR, event("SUMMARY:Lunch", "DTSTART;TZID=Europe/Berlin:20260601T100000")).keys
    assert at_ten == fingerprint(CALENDAR, event("SUMMARY:lunch ", "DTSTART:20260601T080000Z", "LOCATION:x")).keys
    assert fingerprint(TASKS, event("SUMMARY:a", "DUE;VALUE=DATE:20260601", kind="VTODO")).keys
    assert fingerprint(NOTES, "Milk\nx").keys == fingerprint(NOTES, "\nmilk\ny").keys
    assert fingerprint(SMS, MESSAGE).keys


def test_uids() -> None:
    assert uid(CONTACTS, card("FN:A", "UID:1")) == "1"
    assert uid(CONTACTS, with_uid(CONTACTS, card("FN:A"), "2")) == "2"
    both = event("DTSTART:20260601T080000Z").replace(
        "END:VCALENDAR", "BEGIN:VEVENT\r\nUID:u@x\r\nRECURRENCE-ID:20260602T080000Z\r\nEND:VEVENT\r\nEND:VCALENDAR"
    )
    changed = with_uid(CALENDAR, both, "new")
    assert uid(CALENDAR, changed) == "new"
    assert changed.count("UID:new") == 2
    assert uid(NOTES, "x") == uid(SMS, MESSAGE) == ""
    assert with_uid(NOTES, "x", "1") == "x"
    for bad in ("", " ", "a\r\nX-EVIL:1"):
        with pytest.raises(FormatError):
            with_uid(CONTACTS, card("FN:A"), bad)


@pytest.mark.parametrize("bad", ["../../etc/passwd", ".hidden", "a/b", "a b", "x" * 200, "ä", "-rf", "a\\nb", "con:1", ".", "..", "a."])
def test_names_of_files_are_safe(bad: str) -> None:
    name = name_for(CONTACTS, card("FN:A", f"UID:{bad}"))
    assert name.endswith(".vcf")
    assert "/" not in name
    assert name.isascii()
    assert not name.startswith((".", "-"))
    assert len(name) <= limits.MAX_RECORD_NAME
    # It is the same name each time, and another for another UID.
    assert name == name_for(CONTACTS, card("FN:B", f"UID:{bad}"))
    assert name != name_for(CONTACTS, card("FN:A", f"UID:{bad}x"))


def test_names_of_files() -> None:
    assert name_for(CONTACTS, card("FN:A", "UID:4fbe8971-0bc3@x.org")) == "4fbe8971-0bc3@x.org.vcf"
    assert name_for(CALENDAR, event("DTSTART:20260601T080000Z", uid="e1")) == "e1.ics"
    assert name_for(NOTES, "a\nb") == name_for(NOTES, "a\r\nb\r\n")
    assert name_for(NOTES, "a") != name_for(NOTES, "b")
    assert name_for(SMS, MESSAGE).endswith(".vmg")
    assert [suffix(family) for family in Family] == [".vcf", ".ics", ".ics", ".txt", ".vmg"]


@pytest.mark.parametrize(
    ("family", "text", "expected"),
    [
        (CONTACTS, card("FN:Ann\\, Bee"), "Ann, Bee"),
        (CONTACTS, card("N:Bee;Ann", "TEL:1"), "Bee Ann"),
        (CONTACTS, card("NOTE:x"), "(no title)"),
        (CALENDAR, event("SUMMARY:Lunch", "DTSTART:20260601T080000Z"), "2026-06-01 Lunch"),
        (TASKS, event("SUMMARY:Milk", kind="VTODO"), "Milk"),
        (NOTES, "\n\n Milk \nEggs", "Milk"),
        (NOTES, "", "(no title)"),
        (SMS, MESSAGE, "+49123456789: Hello: you"),
        (NOTES, "\x1b[31m" + "x" * 200, "[31m" + "x" * 75 + "…"),
    ],
)
def test_titles(family, text, expected) -> None:
    assert title(family, text) == expected


def test_what_is_offered() -> None:
    for family in Family:
        for form in forms(family):
            offered = properties(family, form)
            if form.type == "text/plain":
                assert offered == ()
                continue
            names = [prop.name for prop in offered]
            assert names[:3] == ["BEGIN", "END", "VERSION"]
            assert len(set(names)) == len(names)
            assert offered[2].values == (form.version,)
    calendar = {prop.name for prop in properties(CALENDAR, forms(CALENDAR)[1])}
    assert {"DTEND", "AALARM", "DCREATED"} <= calendar
    assert "DUE" not in calendar
    assert {"DUE", "COMPLETED"} <= {prop.name for prop in properties(TASKS, forms(TASKS)[0])}
