"""Three-way merging: decision tables."""

from __future__ import annotations

import pytest

from twsync import limits
from twsync.records import Family, equal, merge
from twsync.records.component import parse

CONTACTS, CALENDAR, NOTES = Family.CONTACTS, Family.CALENDAR, Family.NOTES


def card(*lines: str, version: str = "3.0") -> str:
    return "\r\n".join(["BEGIN:VCARD", f"VERSION:{version}", "UID:1", "N:Doe;Ann;;;", "FN:Ann Doe", *lines, "END:VCARD", ""])


def event(*lines: str) -> str:
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "BEGIN:VEVENT", "UID:1", *lines, "END:VEVENT", "END:VCALENDAR", ""])


ALARM = ("BEGIN:VALARM", "ACTION:DISPLAY", "TRIGGER:-PT5M", "DESCRIPTION:x", "END:VALARM")
LATER = ("BEGIN:VALARM", "ACTION:DISPLAY", "TRIGGER:-PT10M", "DESCRIPTION:x", "END:VALARM")

#: Description, base, ours, theirs, the merged record (its lines); no conflicts. None: no base.
CARDS = [
    ("both add a number", ["TEL:1"], ["TEL:1", "TEL:2"], ["TEL:1", "TEL:3"], ["TEL:1", "TEL:2", "TEL:3"]),
    ("both add the same number", [], ["TEL:2"], ["TEL:2"], ["TEL:2"]),
    ("one adds, one removes", ["TEL:1"], ["TEL:1", "TEL:2"], [], ["TEL:2"]),
    ("both change the number", ["TEL:1"], ["TEL:2"], ["TEL:3"], ["TEL:2", "TEL:3"]),
    ("one spells the number, one types it", ["TEL:+1 2"], ["TEL:+12"], ["TEL;TYPE=HOME:+1 2"], ["TEL;TYPE=HOME:+12"]),
    ("types are sets", ["TEL;TYPE=HOME,FAX:1"], ["TEL;TYPE=FAX:1"], ["TEL;TYPE=HOME,FAX,PREF:1"], ["TEL;TYPE=FAX,PREF:1"]),
    ("different properties", ["TITLE:a", "ROLE:b"], ["TITLE:c", "ROLE:b"], ["TITLE:a"], ["TITLE:c"]),
    ("categories are items", ["CATEGORIES:a,b"], ["CATEGORIES:a,b,c"], ["CATEGORIES:b,d"], ["CATEGORIES:b,c,d"]),
    ("notes by lines", ["NOTE:a\\nb\\nc"], ["NOTE:A\\nb\\nc"], ["NOTE:a\\nb\\nC"], ["NOTE:A\\nb\\nC"]),
    ("notes with lines added at both ends", ["NOTE:b"], ["NOTE:a\\nb"], ["NOTE:b\\nc"], ["NOTE:a\\nb\\nc"]),
    (
        "one sets a birthday, one a picture",
        [],
        ["BDAY:1970-01-01"],
        ["PHOTO;ENCODING=b:AAAA"],
        ["BDAY:1970-01-01", "PHOTO;ENCODING=b:AAAA"],
    ),
    (
        "a label and a type",
        ["item1.TEL:1", "item1.X-ABLabel:boat"],
        ["item1.TEL:1", "item1.X-ABLabel:ship"],
        ["item9.TEL;TYPE=HOME:1", "item9.X-ABLabel:boat"],
        ["item1.TEL;TYPE=HOME:1", "item1.X-ABLabel:ship"],
    ),
    (
        "groups of the same name stay apart",
        [],
        ["item1.TEL:1", "item1.X-ABLabel:boat"],
        ["item1.URL:http://x.org", "item1.X-ABLabel:site"],
        ["item1.TEL:1", "item1.X-ABLabel:boat", "item2.URL:http://x.org", "item2.X-ABLabel:site"],
    ),
    ("the same on both sides", ["TITLE:a"], ["TITLE:b", "TEL:1"], ["TITLE:b", "TEL:2"], ["TITLE:b", "TEL:1", "TEL:2"]),
    ("stamps are nobody's", ["REV:1", "TITLE:a"], ["REV:2", "TITLE:b"], ["REV:3", "TITLE:a"], ["REV:3", "TITLE:b"]),
    ("unknown properties", ["X-A:1", "X-B:1"], ["X-A:2", "X-B:1"], ["X-A:1", "X-B:1", "X-C:1"], ["X-A:2", "X-B:1", "X-C:1"]),
    ("unknown ones that stand twice are several", ["X-A:1"], ["X-A:1", "X-A:2"], ["X-A:1", "X-A:3"], ["X-A:1", "X-A:2", "X-A:3"]),
    ("without a base everything stays", None, ["TEL:1", "TITLE:a"], ["TEL:2", "ROLE:b"], ["TEL:1", "TEL:2", "TITLE:a", "ROLE:b"]),
    ("without a base notes keep their common lines", None, ["NOTE:a\\nb"], ["NOTE:b\\nc"], ["NOTE:a\\nb\\nc"]),
]


@pytest.mark.parametrize(("base", "ours", "theirs", "expected"), [case[1:] for case in CARDS], ids=[case[0] for case in CARDS])
@pytest.mark.parametrize("prefer", ["both", "ours", "theirs"])
def test_cards(base, ours, theirs, expected, prefer) -> None:
    start = None if base is None else card(*base)
    for one, other in ((ours, theirs), (theirs, ours)):
        merged = merge(CONTACTS, start, card(*one), card(*other), prefer)
        if "spells" in str(expected) or prefer == "both" or merged.conflicts == ():
            assert equal(CONTACTS, merged.text, card(*expected)), merged.text
        if base is not None:
            assert merged.conflicts == ()


#: Description, base, ours, theirs, what stands with "ours", with "theirs", with "both"; the name of the conflict.
CONFLICTS = [
    ("a title", ["TITLE:a"], ["TITLE:b"], ["TITLE:cc"], ["TITLE:b"], ["TITLE:cc"], ["TITLE:cc"], "TITLE"),
    ("a title, changed and removed", ["TITLE:a"], ["TITLE:b"], [], ["TITLE:b"], [], ["TITLE:b"], "TITLE"),
    ("lines", ["NOTE:a"], ["NOTE:b"], ["NOTE:c"], ["NOTE:b"], ["NOTE:c"], ["NOTE:b\\nc"], "NOTE"),
    ("two titles without a base", None, ["TITLE:b"], ["TITLE:a"], ["TITLE:b"], ["TITLE:a"], ["TITLE:b"], "TITLE"),
    ("a type, changed and removed", ["TEL:1"], ["TEL;TYPE=HOME:1"], [], ["TEL;TYPE=HOME:1"], [], ["TEL;TYPE=HOME:1"], "TEL"),
]


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "own", "other", "both", "name"), [case[1:] for case in CONFLICTS], ids=[c[0] for c in CONFLICTS]
)
def test_conflicts(base, ours, theirs, own, other, both, name) -> None:
    start = None if base is None else card(*base)
    for prefer, expected in (("ours", own), ("theirs", other), ("both", both)):
        merged = merge(CONTACTS, start, card(*ours), card(*theirs), prefer)
        assert equal(CONTACTS, merged.text, card(*expected)), (prefer, merged.text)
        assert [found.property for found in merged.conflicts] == [name]


def test_a_conflict_says_what_was_there() -> None:
    [found] = merge(CONTACTS, card("TITLE:a"), card("TITLE:b"), card(), "ours").conflicts
    assert (found.base, found.ours, found.theirs) == ("a", "b", None)


def test_names_are_one() -> None:
    """Not the family name of one and the full name of the other."""
    base = card()
    ours = base.replace("Doe", "Roe")
    theirs = base.replace("Ann", "Mary Ann")
    assert equal(CONTACTS, merge(CONTACTS, base, ours, theirs).text, theirs)
    assert equal(CONTACTS, merge(CONTACTS, base, ours, theirs, "ours").text, ours)
    # But what only one touched is taken.
    assert (
        "FN:Dr. Ann Doe"
        in merge(CONTACTS, base, base.replace("FN:Ann", "FN:Dr. Ann"), base.replace("N:Doe;Ann;;;", "N:Doe;Ann;;Dr.;")).text
    )


START = ("DTSTART:20260601T080000Z", "DTEND:20260601T090000Z")
EVENTS = [
    (
        "one moves, one renames",
        [*START, "SUMMARY:a"],
        ["DTSTART:20260602T080000Z", "DTEND:20260602T090000Z", "SUMMARY:a"],
        [*START, "SUMMARY:b"],
        ["DTSTART:20260602T080000Z", "DTEND:20260602T090000Z", "SUMMARY:b"],
    ),
    ("both add an alarm", list(START), [*START, *ALARM], [*START, *LATER], [*START, *ALARM, *LATER]),
    ("one removes the alarm", [*START, *ALARM], list(START), [*START, *ALARM, "SUMMARY:a"], [*START, "SUMMARY:a"]),
    (
        "both take a day out",
        [*START, "RRULE:FREQ=DAILY"],
        [*START, "RRULE:FREQ=DAILY", "EXDATE:20260602T080000Z"],
        [*START, "RRULE:FREQ=DAILY", "EXDATE:20260603T080000Z"],
        [*START, "RRULE:FREQ=DAILY", "EXDATE:20260602T080000Z,20260603T080000Z"],
    ),
    (
        "people come and answer",
        [*START, "ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:a@x.org"],
        [*START, "ATTENDEE;PARTSTAT=ACCEPTED:mailto:A@x.org"],
        [*START, "ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:a@x.org", "ATTENDEE:mailto:b@x.org"],
        [*START, "ATTENDEE;PARTSTAT=ACCEPTED:mailto:a@x.org", "ATTENDEE:mailto:b@x.org"],
    ),
    (
        "an hour written otherwise is no change",
        list(START),
        ["DTSTART:20260601T080000Z", "DURATION:PT1H"],
        [*START, "SUMMARY:a"],
        [*START, "SUMMARY:a"],
    ),
]


@pytest.mark.parametrize(("base", "ours", "theirs", "expected"), [case[1:] for case in EVENTS], ids=[case[0] for case in EVENTS])
@pytest.mark.parametrize("prefer", ["both", "ours", "theirs"])
def test_events(base, ours, theirs, expected, prefer) -> None:
    for one, other in ((ours, theirs), (theirs, ours)):
        merged = merge(CALENDAR, event(*base), event(*one), event(*other), prefer)
        assert equal(CALENDAR, merged.text, event(*expected)), merged.text
        assert merged.conflicts == ()


def test_times_are_one() -> None:
    """Never the start of one side and the end of the other."""
    base = event(*START)
    ours = event("DTSTART:20260601T080000Z", "DTEND:20260601T120000Z")
    theirs = event("DTSTART:20260601T140000Z", "DTEND:20260601T150000Z")
    for prefer, expected in (("ours", ours), ("theirs", theirs), ("both", theirs)):
        merged = merge(CALENDAR, base, ours, theirs, prefer)
        assert equal(CALENDAR, merged.text, expected)
        assert [found.property for found in merged.conflicts] == ["DTSTART"]


def changed(day: int, summary: str) -> str:
    lines = [f"RECURRENCE-ID:202606{day:02}T080000Z", f"SUMMARY:{summary}", f"DTSTART:202606{day:02}T100000Z"]
    return "\r\n".join(["BEGIN:VEVENT", "UID:1", *lines, "END:VEVENT", ""])


def test_changed_instances() -> None:
    base = event(*START, "RRULE:FREQ=DAILY").replace("END:VCALENDAR", changed(2, "a") + changed(3, "a") + "END:VCALENDAR")
    ours = base.replace("END:VCALENDAR", changed(4, "ours") + "END:VCALENDAR").replace(changed(3, "a"), "")
    theirs = base.replace("END:VCALENDAR", changed(5, "theirs") + "END:VCALENDAR").replace(changed(2, "a"), changed(2, "b"))
    merged = merge(CALENDAR, base, ours, theirs)
    assert merged.conflicts == ()
    found = {part.value("RECURRENCE-ID"): part.value("SUMMARY") for part in parse(merged.text).components}
    assert found == {"": "", "20260602T080000Z": "b", "20260604T080000Z": "ours", "20260605T080000Z": "theirs"}
    gone = merge(CALENDAR, base, base.replace(changed(2, "a"), ""), theirs)
    assert [conflict.property for conflict in gone.conflicts] == ["VEVENT 20260602T080000Z"]
    assert "SUMMARY:b" in gone.text


def test_zones_follow_the_times() -> None:
    offsets = "DTSTART:19700101T000000\r\nTZOFFSETFROM:+0000\r\nTZOFFSETTO:+0000"
    zone = f"BEGIN:VTIMEZONE\r\nTZID:{{0}}\r\nBEGIN:STANDARD\r\n{offsets}\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"

    def in_zone(name: str, title: str) -> str:
        return event(f"DTSTART;TZID={name}:20260601T080000", f"SUMMARY:{title}").replace("BEGIN:VEVENT", zone.format(name) + "BEGIN:VEVENT")

    merged = merge(CALENDAR, in_zone("Europe/Berlin", "a"), in_zone("Europe/Berlin", "b"), in_zone("Asia/Tokyo", "a")).text
    assert "DTSTART;TZID=Asia/Tokyo" in merged
    assert "SUMMARY:b" in merged
    assert [part.value("TZID") for part in parse(merged).components if part.name == "VTIMEZONE"] == ["Asia/Tokyo"]


NOTES_TABLE = [
    ("different lines", "t\na\nb\n", "t\nA\nb\n", "t\na\nB\n", "t\nA\nB\n", False),
    ("the same line", "t\na\n", "t\nx\n", "t\ny\n", "t\nx\ny\n", True),
    ("both add at the end", "t\n", "t\nx\n", "t\ny\n", "t\nx\ny\n", False),
    ("one removes what the other leaves", "t\na\nb\n", "t\nb\n", "t\na\nb\nc\n", "t\nb\nc\n", False),
    ("no base", None, "t\na\n", "t\nb\n", "t\na\nb\n", False),
]


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "expected", "conflict"), [case[1:] for case in NOTES_TABLE], ids=[c[0] for c in NOTES_TABLE]
)
def test_notes(base, ours, theirs, expected, conflict) -> None:
    for one, other in ((ours, theirs), (theirs, ours)):
        merged = merge(NOTES, base, one, other)
        assert merged.text == expected
        assert bool(merged.conflicts) is conflict
    assert merge(NOTES, "t\na\n", "t\nx\n", "t\ny\n", "ours").text == "t\nx\n"
    assert merge(NOTES, "t\na\n", "t\nx\n", "t\ny\n", "theirs").text == "t\ny\n"


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "expected"),
    [
        ("a\r\nb\r\n", "A\r\nb\r\n", "a\r\nB\r\n", "A\r\nB\r\n"),
        ("a\r\nb\r\n", "A\nb\n", "a\r\nB\r\n", "A\nB\n"),
        ("a\nb\n", "A\r\nb\r\n", "a\nB\n", "A\r\nB\r\n"),
        ("a\nb\n", "A\r\nb\r\n", "a\r\nB\r\n", "A\r\nB\r\n"),
        (None, "a\r\nb\r\n", "a\nb\nc\n", "a\nb\nc\n"),
        (None, "a\r\nb\r\n", "a\r\nb\r\nc\r\n", "a\r\nb\r\nc\r\n"),
        ("a\x0cb\nc\nz\n", "a\x0cb\nC\nz\n", "a\x0cb\nc\nz\nd\u2028e\n", "a\x0cb\nC\nz\nd\u2028e\n"),
    ],
)
def test_lines_of_notes_end_as_they_did(base, ours, theirs, expected) -> None:
    assert merge(NOTES, base, ours, theirs).text == expected
    assert merge(NOTES, base, theirs, ours).text == expected


def test_long_notes_are_not_compared_line_by_line() -> None:
    base = "\n".join(str(number) for number in range(limits.MAX_MERGE_LINES + 1)) + "\n"
    merged = merge(NOTES, base, f"a\n{base}", f"{base}b\n")
    assert merged.conflicts
    assert {"a", "b"} <= set(merged.text.split("\n"))


def test_messages() -> None:
    body = "BEGIN:VBODY\r\nDate:1-1-2006\r\nHello: you\r\nEND:VBODY"
    text = f"BEGIN:VMSG\r\nVERSION:1.1\r\nX-IRMC-STATUS:UNREAD\r\nBEGIN:VENV\r\n{body}\r\nEND:VENV\r\nEND:VMSG\r\n"
    read, moved = text.replace("UNREAD", "READ"), text.replace("VERSION:1.1\r\n", "VERSION:1.1\r\nX-IRMC-BOX:INBOX\r\n")
    merged = merge(Family.SMS, text, read, moved)
    assert merged.conflicts == ()
    assert "X-IRMC-STATUS:READ" in merged.text
    assert "X-IRMC-BOX:INBOX" in merged.text
    assert "\r\nHello: you\r\nEND:VBODY" in merged.text
    [found] = merge(Family.SMS, text, text.replace("Hello", "Hi"), text.replace("Hello", "Hullo")).conflicts
    assert found.property == "text"


def test_a_card_of_version_4_stays_one() -> None:
    base, ours, theirs = (card(*lines, "KIND:individual", version="4.0") for lines in (["TEL:1"], ["TEL:1", "TEL:2"], ["TEL:3", "TEL:1"]))
    merged = merge(CONTACTS, base, ours, theirs).text
    assert "VERSION:4.0" in merged
    assert len(parse(merged).all("TEL")) == 3
    assert "VERSION:3.0" in merge(CONTACTS, base, ours, card("TEL:3", "TEL:1")).text
