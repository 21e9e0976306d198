"""Input made to hurt: refused, or done in bounded time and memory. What would take for ever without a limit would hang here."""

from __future__ import annotations

import pytest

from twsync import limits
from twsync.errors import FormatError
from twsync.records import Family, fingerprint, from_wire, merge, to_wire
from twsync.records.contentline import fold, parse_line, write_line
from twsync.records.family import VCALENDAR, VCARD_21

CONTACTS, CALENDAR, NOTES = Family.CONTACTS, Family.CALENDAR, Family.NOTES


def card(body: str, version: str = "3.0") -> str:
    return f"BEGIN:VCARD\r\nVERSION:{version}\r\nFN:A\r\n{body}\r\nEND:VCARD\r\n"


def event(*lines: str, version: str = "2.0") -> str:
    return "\r\n".join(["BEGIN:VCALENDAR", f"VERSION:{version}", "BEGIN:VEVENT", "UID:1", *lines, "END:VEVENT", "END:VCALENDAR", ""])


REFUSED = [
    ("100,000 properties", card("X-A:1\r\n" * 100_000)),
    ("100,000 physical lines", card("NOTE:a\r\n" + " b\r\n" * 100_000)),
    ("too large", card("NOTE:" + "x" * limits.MAX_RECORD)),
    ("nested", "BEGIN:VCARD\r\n" * 1000),
    ("parameters", card("TEL" + ";A=1" * 1000 + ":1")),
    ("items", card("CATEGORIES:" + "a," * 100_000, "2.1")),
]


@pytest.mark.parametrize("text", [case[1] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refused(text: str) -> None:
    with pytest.raises(FormatError):
        from_wire(CONTACTS, "", text)


BOUNDED = [
    ("one very long line", card("NOTE:" + "x" * 1_000_000)),
    ("a very long folded line", card("NOTE:" + "\r\n ".join(["x" * 70] * 20_000))),
    ("soft line breaks", card("NOTE;ENCODING=QUOTED-PRINTABLE:" + "=\r\n".join(["a=20"] * 20_000), "2.1")),
    ("equals signs", card("NOTE;ENCODING=QUOTED-PRINTABLE:" + "=" * 500_000, "2.1")),
    ("backslashes", card("NOTE:" + "\\" * 500_000)),
    ("semicolons", card("X-A:" + ";" * 500_000)),
    ("quotes", card("X-A;P=" + '"' * 100_000 + ":1")),
    ("properties of one name", card("\r\n".join(f"TEL:{number}" for number in range(5000)))),
    ("the same property", card("TEL:1\r\n" * 3000)),
    ("groups", card("\r\n".join(f"g{number}.TEL:1" for number in range(3000)))),
]


@pytest.mark.parametrize("text", [case[1] for case in BOUNDED], ids=[case[0] for case in BOUNDED])
def test_bounded(text: str) -> None:
    stored = from_wire(CONTACTS, "", text)
    fingerprint(CONTACTS, stored)
    to_wire(CONTACTS, stored, VCARD_21)
    merge(CONTACTS, stored, stored.replace("FN:A", "FN:B\r\nTEL:77"), stored.replace("FN:A", "FN:A\r\nTEL:88"))


@pytest.mark.parametrize(("version", "separator"), [("2.0", ","), ("1.0", ";")])
def test_lists_of_a_record_have_one_limit_together(version: str, separator: str) -> None:
    dates = "EXDATE:" + separator.join(["20260601T080000"] * (limits.MAX_RECORD_LIST // 4))
    from_wire(CALENDAR, "", event("DTSTART:20260101T080000", *[dates] * 4, version=version), zone="UTC")
    with pytest.raises(FormatError, match="lists of the record"):
        from_wire(CALENDAR, "", event("DTSTART:20260101T080000", *[dates] * 4, "EXDATE:20260602T080000", version=version), zone="UTC")


@pytest.mark.parametrize(
    "line",
    [
        "RRULE:FREQ=SECONDLY;COUNT=999999999999",
        "RRULE:D1 #99999999999999999999",
        "RRULE:MP1 " + "1+ " * 10_000 + "MO #0",
        "EXDATE:" + ",".join(["20260601T080000"] * 5000),
        "AALARM:99991231T235959Z;P999999W;9999;x",
        "DTEND:99991231T235959",
        "DURATION:P999999W",
        "TZID:x",
    ],
    ids=lambda line: line[:20],
)
def test_calendars_are_never_unrolled(line: str) -> None:
    for version in ("1.0", "2.0"):
        text = event("DTSTART:99981231T080000", line, version=version)
        try:
            stored = from_wire(CALENDAR, "", text, zone="Europe/Berlin")
            fingerprint(CALENDAR, stored)
            to_wire(CALENDAR, stored, VCALENDAR, zone="Europe/Berlin")
        except FormatError:
            continue


def test_no_property_can_be_smuggled_into_a_line() -> None:
    """A line break in a parameter (RFC 6868) or a value stays inside."""
    prop = parse_line('ATTENDEE;CN="a^nX-EVIL:1":mailto:a@x.org')
    assert prop.param("CN") == ("a\nX-EVIL:1",)
    assert "\n" not in write_line(prop)
    text = event("SUMMARY:x", "DTSTART:20260601T080000Z", write_line(prop))
    sent = to_wire(CALENDAR, text, VCALENDAR)
    assert "\nX-EVIL" not in sent
    slipped = "URL;ENCODING=QUOTED-PRINTABLE:http://x=0D=0AX-EVIL:1\r\nX-A;ENCODING=QUOTED-PRINTABLE:=0AX-EVIL:1"
    quoted = card(slipped, "2.1")
    assert "\nX-EVIL" not in from_wire(CONTACTS, "", quoted)
    assert "\nX-EVIL" not in to_wire(CONTACTS, from_wire(CONTACTS, "", quoted), VCARD_21)


def test_folding_never_cuts_a_character() -> None:
    for char in "aäœ€\U0001f600":
        for shift in range(5):
            line = "x" * shift + char * 300
            folded = fold(line)
            assert all(len(part.encode()) <= 75 for part in folded.split("\r\n"))
            assert folded.replace("\r\n ", "") == line


def test_long_notes() -> None:
    with pytest.raises(FormatError):
        from_wire(NOTES, "text/plain", "x\n" * 100_000)
