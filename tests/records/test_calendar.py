"""Events and tasks as real devices and programs write them, and what becomes of them."""

from __future__ import annotations

import datetime

import icalendar
import pytest
import vobject

from twsync.errors import FormatError
from twsync.records import Capabilities, Family, PropertyCapability, check, equal, forms, from_wire, overlay, to_wire
from twsync.records.component import Component, parse
from twsync.records.vcalendar_writing import master_of

CALENDAR, TASKS = Family.CALENDAR, Family.TASKS
V20, V10 = forms(CALENDAR)
BERLIN = "Europe/Berlin"


def wire(*lines: str, kind: str = "VEVENT", version: str = "1.0", head: tuple[str, ...] = ()) -> str:
    return "\r\n".join(["BEGIN:VCALENDAR", f"VERSION:{version}", *head, f"BEGIN:{kind}", *lines, f"END:{kind}", "END:VCALENDAR", ""])


def entry(text: str) -> Component:
    return master_of(parse(text))


def shown(text: str, name: str) -> str:
    """A property as ``params|value``."""
    prop = entry(text).get(name)
    if prop is None:
        return ""
    params = ",".join(f"{param.name}={'+'.join(param.values)}" for param in prop.params)
    return f"{params}|{prop.value}" if params else prop.value


#: Description, lines of the device (vCalendar 1.0, in Berlin), properties of the stored event.
DEVICES = [
    (
        "Nokia with UTC: a meeting",
        ("SUMMARY:Lunch", "DTSTART:20260601T100000Z", "DTEND:20260601T110000Z", "X-EPOCAGENDAENTRYTYPE:APPOINTMENT", "CLASS:PUBLIC"),
        {"DTSTART": "20260601T100000Z", "DTEND": "20260601T110000Z", "X-EPOCAGENDAENTRYTYPE": "APPOINTMENT"},
    ),
    (
        "Nokia without UTC: local time",
        ("SUMMARY:Lunch", "DTSTART:20260601T120000", "DTEND:20260601T130000"),
        {"DTSTART": "TZID=Europe/Berlin|20260601T120000", "DTEND": "TZID=Europe/Berlin|20260601T130000"},
    ),
    (
        "Nokia: an anniversary",
        ("SUMMARY:Birthday", "DTSTART:20260601T000000", "DTEND:20260601T000000", "RRULE:YM1 6 #0", "X-EPOCAGENDAENTRYTYPE:ANNIVERSARY"),
        {"DTSTART": "VALUE=DATE|20260601", "DTEND": "", "RRULE": "FREQ=YEARLY;BYMONTH=6"},
    ),
    (
        "Sony Ericsson: all day to 23:59",
        ("SUMMARY:Fair", "DTSTART:20260601T000000", "DTEND:20260603T235900"),
        {"DTSTART": "VALUE=DATE|20260601", "DTEND": "VALUE=DATE|20260604"},
    ),
    (
        "all day to the next midnight",
        ("SUMMARY:Fair", "DTSTART:20260601T000000", "DTEND:20260602T000000"),
        {"DTSTART": "VALUE=DATE|20260601", "DTEND": "VALUE=DATE|20260602"},
    ),
    (
        "all day to 24:00",
        ("SUMMARY:Fair", "DTSTART:20260601T000000", "DTEND:20260601T240000"),
        {"DTSTART": "VALUE=DATE|20260601", "DTEND": "VALUE=DATE|20260602"},
    ),
    (
        "Funambol: all day by its own property, dates only",
        ("SUMMARY:Fair", "DTSTART:20260601", "DTEND:20260601", "X-FUNAMBOL-ALLDAY:1"),
        {"DTSTART": "VALUE=DATE|20260601", "DTEND": ""},
    ),
    (
        "all day in UTC with a flag",
        ("SUMMARY:Fair", "DTSTART:20260531T220000Z", "DTEND:20260601T220000Z", "X-MICROSOFT-CDO-ALLDAYEVENT:TRUE"),
        {"DTSTART": "VALUE=DATE|20260601", "DTEND": "VALUE=DATE|20260602"},
    ),
    (
        "weekly in UTC repeats by the clock of the device",
        ("SUMMARY:Yoga", "DTSTART:20260601T160000Z", "DTEND:20260601T170000Z", "RRULE:W1 MO 20261231T170000Z"),
        {"DTSTART": "TZID=Europe/Berlin|20260601T180000", "RRULE": "FREQ=WEEKLY;BYDAY=MO;UNTIL=20261231T170000Z"},
    ),
    (
        "exceptions between semicolons, quoted-printable text",
        (
            "SUMMARY;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=C3=9Cbung",
            "DTSTART:20260601T180000",
            "RRULE:D1 #10",
            "EXDATE:20260602T180000;20260603T180000",
        ),
        {"SUMMARY": "Übung", "EXDATE": "TZID=Europe/Berlin|20260602T180000", "RRULE": "FREQ=DAILY;COUNT=10"},
    ),
    (
        "created, changed, category, place, free time, several people",
        (
            "SUMMARY:x",
            "DTSTART:20260601T180000",
            "DCREATED:20260101T000000Z",
            "CATEGORIES:MEETING;WORK",
            "GEO:13.4,52.5",
            "TRANSP:1",
            "STATUS:NEEDS ACTION",
            "ATTENDEE;ROLE=ATTENDEE;STATUS=DECLINED;RSVP=YES;EXPECT=REQUIRE:Ann <ann@example.org>",
        ),
        {
            "CREATED": "20260101T000000Z",
            "CATEGORIES": "MEETING,WORK",
            "GEO": "52.5;13.4",
            "TRANSP": "TRANSPARENT",
            "STATUS": "NEEDS-ACTION",
            "ATTENDEE": "CN=Ann,ROLE=REQ-PARTICIPANT,PARTSTAT=DECLINED,RSVP=TRUE|mailto:ann@example.org",
        },
    ),
    (
        "a rule that nobody can read stays, under another name",
        ("SUMMARY:x", "DTSTART:20260601T180000", "RRULE:D1 0600 1200 #5 M15"),
        {"RRULE": "", "X-VCALENDAR-RRULE": "D1 0600 1200 #5 M15"},
    ),
]


@pytest.mark.parametrize(("lines", "expected"), [case[1:] for case in DEVICES], ids=[case[0] for case in DEVICES])
def test_devices(lines: tuple[str, ...], expected: dict[str, str]) -> None:
    stored = from_wire(CALENDAR, "text/x-vcalendar", wire(*lines), zone=BERLIN)
    check(CALENDAR, stored)
    assert {name: shown(stored, name) for name in expected} == expected
    # Others read it, and find the zone that it names.
    calendar = icalendar.Calendar.from_ical(stored)
    assert len(calendar.walk("VEVENT")) == 1
    assert vobject.readOne(stored).vevent.summary.value
    assert {prop.value for part in parse(stored).components if part.name == "VTIMEZONE" for prop in part.all("TZID")} == (
        {BERLIN} if "TZID=" in stored else set()
    )
    back = from_wire(CALENDAR, "", to_wire(CALENDAR, stored, V10, zone=BERLIN), zone=BERLIN)
    assert equal(CALENDAR, back, stored)


def test_zone_of_the_sender() -> None:
    """TZ and DAYLIGHT that are not the device's zone: the record comes from elsewhere, and its instants count."""
    head = ("TZ:-05", "DAYLIGHT:TRUE;-0400;20260308T020000;20261101T020000;EST;EDT")
    summer = from_wire(CALENDAR, "", wire("SUMMARY:x", "DTSTART:20260601T080000", head=head), zone=BERLIN)
    winter = from_wire(CALENDAR, "", wire("SUMMARY:x", "DTSTART:20261201T080000", head=head), zone=BERLIN)
    for stored, expected in ((summer, "20260601T120000Z"), (winter, "20261201T130000Z")):
        assert equal(CALENDAR, stored, wire("SUMMARY:x", f"DTSTART:{expected}", version="2.0"))
    own = from_wire(CALENDAR, "", wire("SUMMARY:x", "DTSTART:20260601T080000", head=("TZ:+01:00",)), zone=BERLIN)
    assert shown(own, "DTSTART") == "TZID=Europe/Berlin|20260601T080000"


#: A rule of vCalendar 1.0 and what it is in iCalendar; starting on Monday, 1 June 2026, at 10:00 in Berlin.
RULES = [
    ("D1 #0", "FREQ=DAILY"),
    ("D2 #5", "FREQ=DAILY;INTERVAL=2;COUNT=5"),
    ("W1 MO WE #0", "FREQ=WEEKLY;BYDAY=MO,WE"),
    ("W2 20261231T100000", "FREQ=WEEKLY;INTERVAL=2;UNTIL=20261231T090000Z"),
    ("W1 20261231", "FREQ=WEEKLY;UNTIL=20261231T225959Z"),
    ("MP1 1+ MO #0", "FREQ=MONTHLY;BYDAY=1MO"),
    ("MP1 1+ 3+ MO TU #0", "FREQ=MONTHLY;BYDAY=1MO,3MO,1TU,3TU"),
    ("MP2 1- FR #3", "FREQ=MONTHLY;INTERVAL=2;BYDAY=-1FR;COUNT=3"),
    ("MP1 1+ MO 1- FR #0", "FREQ=MONTHLY;BYDAY=1MO,-1FR"),
    ("MD1 1 15 #0", "FREQ=MONTHLY;BYMONTHDAY=1,15"),
    ("MD1 LD #0", "FREQ=MONTHLY;BYMONTHDAY=-1"),
    ("MD1 2- 3+ #0", "FREQ=MONTHLY;BYMONTHDAY=-2,3"),
    ("YM1 6 7 #0", "FREQ=YEARLY;BYMONTH=6,7"),
    ("YM1 #2", "FREQ=YEARLY;COUNT=2"),
    ("YD1 100 #0", "FREQ=YEARLY;BYYEARDAY=100"),
]


@pytest.mark.parametrize(("legacy", "modern"), RULES)
def test_rules(legacy: str, modern: str) -> None:
    stored = from_wire(CALENDAR, "", wire("SUMMARY:x", "DTSTART:20260601T100000", f"RRULE:{legacy}"), zone=BERLIN)
    assert shown(stored, "RRULE") == modern
    back = from_wire(CALENDAR, "", to_wire(CALENDAR, stored, V10, zone=BERLIN), zone=BERLIN)
    assert equal(CALENDAR, back, stored)


#: Rules of iCalendar as they are written in vCalendar 1.0; None: not at all.
WRITTEN = [
    ("FREQ=WEEKLY", "W1 MO #0"),
    ("FREQ=MONTHLY", "MD1 1+ #0"),
    ("FREQ=YEARLY", "YM1 6 #0"),
    ("FREQ=YEARLY;BYMONTH=6;BYDAY=1MO", "MP12 1+ MO #0"),
    ("FREQ=YEARLY;INTERVAL=2;BYMONTH=6;BYMONTHDAY=1", "YM2 6 #0"),
    ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=-1", "MP1 1- MO #0"),
    ("FREQ=MONTHLY;BYDAY=MO", "MP1 1+ 2+ 3+ 4+ 5+ MO #0"),
    ("FREQ=WEEKLY;UNTIL=20261231T090000Z", "W1 MO 20261231T100000"),
    ("FREQ=WEEKLY;WKST=SU", "W1 MO #0"),
    ("FREQ=WEEKLY;INTERVAL=2;WKST=SU", None),
    ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", None),
    ("FREQ=HOURLY", None),
    ("FREQ=DAILY;BYHOUR=9,12", None),
    ("FREQ=YEARLY;BYWEEKNO=20", None),
    ("FREQ=WEEKLY;BYDAY=1XX", None),
    ("nonsense", None),
]


@pytest.mark.parametrize(("rule", "expected"), WRITTEN)
def test_rules_written(rule: str, expected: str | None) -> None:
    text = wire("UID:1", "SUMMARY:x", "DTSTART;TZID=Europe/Berlin:20260601T100000", f"RRULE:{rule}", version="2.0")
    sent = to_wire(CALENDAR, text, V10, zone=BERLIN)
    found = [line.removeprefix("RRULE:") for line in sent.split("\r\n") if line.startswith("RRULE")]
    assert found == ([expected] if expected else [])
    # What could not be said is there again when the device sends the event back.
    assert equal(CALENDAR, overlay(CALENDAR, text, from_wire(CALENDAR, "", sent, zone=BERLIN), form=V10, zone=BERLIN), text)


def occurrences(start: datetime.datetime, count: int) -> list[datetime.datetime]:
    return [start + datetime.timedelta(weeks=week) for week in range(count)]


def test_a_weekly_event_keeps_its_hour_over_the_change_of_the_clock() -> None:
    text = wire(
        "UID:1",
        "SUMMARY:x",
        "DTSTART;TZID=Europe/Berlin:20261001T090000",
        "DTEND;TZID=Europe/Berlin:20261001T100000",
        "RRULE:FREQ=WEEKLY;COUNT=8",
        version="2.0",
    )
    sent = to_wire(CALENDAR, text, V10, utc=True, zone=BERLIN)
    assert "DTSTART:20261001T090000\r\n" in sent
    assert "TZ:+0100" in sent
    assert "DAYLIGHT:TRUE;+0200;20260329T020000;20261025T030000;CET;CEST" in sent
    back = from_wire(CALENDAR, "", sent, zone=BERLIN)
    assert shown(back, "DTSTART") == "TZID=Europe/Berlin|20261001T090000"
    # The VTIMEZONE that was made says the same as the zone database.
    zone = icalendar.Timezone.from_ical(icalendar.Calendar.from_ical(back).walk("VTIMEZONE")[0].to_ical()).to_tz(lookup_tzid=False)
    offsets = [zone.utcoffset(moment) for moment in occurrences(datetime.datetime(2026, 10, 1, 9), 8)]
    assert [span.seconds // 3600 for span in offsets] == [2, 2, 2, 2, 1, 1, 1, 1]


def test_a_weekly_event_of_another_zone_moves_its_weekday() -> None:
    """Monday evening in New York is Tuesday in Berlin."""
    text = wire("UID:1", "SUMMARY:x", "DTSTART;TZID=America/New_York:20260601T200000", "RRULE:FREQ=WEEKLY;BYDAY=MO", version="2.0")
    sent = to_wire(CALENDAR, text, V10, zone=BERLIN)
    assert "DTSTART:20260602T020000\r\n" in sent
    assert "RRULE:W1 TU #0" in sent
    back = from_wire(CALENDAR, "", sent.replace("SUMMARY:x", "SUMMARY:y"), zone=BERLIN)
    whole = overlay(CALENDAR, text, back, form=V10, zone=BERLIN)
    assert shown(whole, "DTSTART") == "TZID=America/New_York|20260601T200000"
    assert shown(whole, "RRULE") == "FREQ=WEEKLY;BYDAY=MO"
    assert shown(whole, "SUMMARY") == "y"
    # An hour later on the device is an hour later in New York; another rule is one of the device's own clock.
    later = from_wire(CALENDAR, "", sent.replace("T020000", "T030000"), zone=BERLIN)
    assert shown(overlay(CALENDAR, text, later, form=V10, zone=BERLIN), "DTSTART") == "TZID=America/New_York|20260601T210000"
    other = overlay(CALENDAR, text, from_wire(CALENDAR, "", sent.replace("W1 TU", "W1 TU TH"), zone=BERLIN), form=V10, zone=BERLIN)
    assert shown(other, "DTSTART") == "TZID=Europe/Berlin|20260602T020000"
    assert shown(other, "RRULE") == "FREQ=WEEKLY;BYDAY=TU,TH"


@pytest.mark.parametrize(("until", "kept"), [("20260713T070000Z", True), ("20260718T080000Z", True), ("20260720T070000Z", False)])
def test_the_end_of_a_rule_said_in_another_way(until: str, kept: bool) -> None:
    """SyncEvolution is given a number of occurrences and sends the day on which they end; its times are in UTC."""
    rule = "FREQ=WEEKLY;COUNT=20;BYDAY=MO"
    text = wire("UID:1", "SUMMARY:x", "DTSTART;TZID=Europe/Berlin:20260302T090000", f"RRULE:{rule}", version="2.0")
    lines = ("UID:1", "SUMMARY:y", "DTSTART:20260302T080000Z", f"RRULE:FREQ=WEEKLY;INTERVAL=1;BYDAY=MO;UNTIL={until}")
    whole = overlay(CALENDAR, text, from_wire(CALENDAR, "", wire(*lines, version="2.0"), zone="UTC"), form=V10, zone="UTC")
    assert shown(whole, "SUMMARY") == "y"
    assert (shown(whole, "RRULE") == rule) is kept
    assert (shown(whole, "DTSTART") == "TZID=Europe/Berlin|20260302T090000") is kept


def test_utc_or_local() -> None:
    text = wire("UID:1", "SUMMARY:x", "DTSTART;TZID=Europe/Berlin:20260601T090000", "DURATION:PT1H", version="2.0")
    assert "DTSTART:20260601T070000Z\r\n" in to_wire(CALENDAR, text, V10, utc=True, zone=BERLIN)
    sent = to_wire(CALENDAR, text, V10, utc=False, zone="Asia/Kolkata")
    assert "DTSTART:20260601T123000\r\n" in sent
    assert "DTEND:20260601T133000\r\n" in sent


def test_all_day_is_written_to_the_last_minute() -> None:
    text = wire("UID:1", "SUMMARY:x", "DTSTART;VALUE=DATE:20260601", "DTEND;VALUE=DATE:20260603", version="2.0")
    sent = to_wire(CALENDAR, text, V10)
    assert "DTSTART:20260601T000000\r\n" in sent
    assert "DTEND:20260602T235900\r\n" in sent


OUTLOOK = "\r\n".join(
    [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "BEGIN:VTIMEZONE",
        "TZID:My Office",
        "BEGIN:STANDARD",
        "DTSTART:16011028T030000",
        "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10",
        "TZOFFSETFROM:+0200",
        "TZOFFSETTO:+0100",
        "END:STANDARD",
        "BEGIN:DAYLIGHT",
        "DTSTART:16010325T020000",
        "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3",
        "TZOFFSETFROM:+0100",
        "TZOFFSETTO:+0200",
        "END:DAYLIGHT",
        "END:VTIMEZONE",
        "BEGIN:VEVENT",
        "UID:1",
        "SUMMARY:x",
        "DTSTART;TZID=My Office:20260601T090000",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (OUTLOOK, "20260601T070000Z"),
        (OUTLOOK.replace("20260601", "20261201"), "20261201T080000Z"),
        (OUTLOOK.replace("My Office", "W. Europe Standard Time"), "20260601T070000Z"),
        (OUTLOOK.replace("My Office", "/freeassociation.sourceforge.net/Europe/Athens"), "20260601T060000Z"),
        # A zone that cannot be computed: the time is taken as it stands.
        (OUTLOOK.replace("FREQ=YEARLY", "FREQ=SECONDLY"), "20260601T090000"),
        (OUTLOOK.replace("DTSTART;TZID=My Office", "DTSTART;TZID=Nowhere"), "20260601T090000"),
    ],
)
def test_zones_of_other_programs(text: str, expected: str) -> None:
    assert f"DTSTART:{expected}\r\n" in to_wire(CALENDAR, text, V10, zone="UTC")


ALARMED = wire(
    "UID:1",
    "SUMMARY:Dentist",
    "DTSTART;TZID=Europe/Berlin:20260601T090000",
    "DTEND;TZID=Europe/Berlin:20260601T100000",
    "BEGIN:VALARM",
    "ACTION:DISPLAY",
    "TRIGGER:-PT15M",
    "DURATION:PT5M",
    "REPEAT:2",
    "DESCRIPTION:go",
    "X-WR-ALARMUID:7",
    "END:VALARM",
    version="2.0",
)


def test_alarms_out_and_back() -> None:
    sent = to_wire(CALENDAR, ALARMED, V10, zone=BERLIN)
    assert "DALARM:20260601T064500Z;PT5M;2;go\r\n" in sent
    assert "DALARM:20260601T084500;" in to_wire(CALENDAR, ALARMED, V10, utc=False, zone=BERLIN)
    [alarm] = entry(from_wire(CALENDAR, "", sent, zone=BERLIN)).components
    assert (alarm.value("TRIGGER"), alarm.value("ACTION"), alarm.value("REPEAT")) == ("-PT15M", "DISPLAY", "2")


def test_a_phone_that_only_rings() -> None:
    known = Capabilities(PropertyCapability(name) for name in ("SUMMARY", "DTSTART", "DTEND", "AALARM"))
    sent = to_wire(CALENDAR, ALARMED, V10, capabilities=known, zone=BERLIN)
    assert "AALARM:20260601T064500Z;" in sent
    back = from_wire(CALENDAR, "", sent, zone=BERLIN)
    assert equal(CALENDAR, overlay(CALENDAR, ALARMED, back, form=V10, capabilities=known, zone=BERLIN), ALARMED)
    silent = "\r\n".join(line for line in sent.split("\r\n") if not line.startswith("AALARM"))
    whole = overlay(CALENDAR, ALARMED, from_wire(CALENDAR, "", silent, zone=BERLIN), form=V10, capabilities=known, zone=BERLIN)
    assert not entry(whole).components


def test_a_phone_without_alarms_deletes_none() -> None:
    for known in (Capabilities(PropertyCapability(name) for name in ("SUMMARY", "DTSTART", "DTEND")), None):
        for form in (V10, V20):
            sent = from_wire(
                CALENDAR, "", wire("UID:1", "SUMMARY:Dentist", "DTSTART:20260601T080000Z", "DTEND:20260601T090000Z", version="2.0")
            )
            whole = overlay(CALENDAR, ALARMED, sent, form=form, capabilities=known, zone=BERLIN)
            assert [alarm.value("X-WR-ALARMUID") for alarm in entry(whole).components] == ["7"]
            # A form without zones cannot have changed the zone.
            assert shown(whole, "DTSTART") == ("20260601T080000Z" if form == V20 else "TZID=Europe/Berlin|20260601T100000")


#: Alarms as devices write them, for an event at 09:00 in Berlin.
ALARMS = [
    ("AALARM:20260601T085500;;;", ("AUDIO", "-PT5M")),
    ("AALARM;TYPE=X-EPOCSOUND:20260601T065500Z;;0;C:\\sound.wav", ("AUDIO", "-PT5M")),
    ("DALARM:20260531T090000;PT5M;3;Wake up", ("DISPLAY", "-P1D")),
    ("DALARM:20260601T090000", ("DISPLAY", "PT0S")),
    ("DALARM:-PT10M", ("DISPLAY", "-PT10M")),
    ("MALARM:20260601T085500;;;ann@example.org;Hello", ("EMAIL", "-PT5M")),
    ("AALARM:;;;", None),
    ("AALARM:never", None),
]


@pytest.mark.parametrize(("line", "expected"), ALARMS)
def test_alarms_of_devices(line: str, expected: tuple[str, str] | None) -> None:
    stored = from_wire(CALENDAR, "", wire("SUMMARY:x", "DTSTART:20260601T090000", line), zone=BERLIN)
    found = [(alarm.value("ACTION"), alarm.value("TRIGGER")) for alarm in entry(stored).components]
    assert found == ([expected] if expected else [])
    icalendar.Calendar.from_ical(stored)


def test_changed_instances_survive_a_device_that_has_none() -> None:
    text = wire("UID:1", "SUMMARY:x", "DTSTART:20260601T090000Z", "RRULE:FREQ=DAILY", version="2.0")
    override = "BEGIN:VEVENT\r\nUID:1\r\nRECURRENCE-ID:20260602T090000Z\r\nSUMMARY:moved\r\nDTSTART:20260602T120000Z\r\nEND:VEVENT\r\n"
    text = text.replace("END:VCALENDAR", f"{override}END:VCALENDAR")
    check(CALENDAR, text)
    sent = to_wire(CALENDAR, text, V10)
    assert "moved" not in sent
    whole = overlay(CALENDAR, text, from_wire(CALENDAR, "", sent.replace("SUMMARY:x", "SUMMARY:y")), form=V10)
    assert "SUMMARY:moved" in whole
    assert "SUMMARY:y" in whole
    few = Capabilities(PropertyCapability(name) for name in ("SUMMARY", "DTSTART", "RRULE"))
    assert "moved" not in to_wire(CALENDAR, text, V20, capabilities=few)


def test_a_partial_event_changes_what_it_names() -> None:
    part = from_wire(CALENDAR, "", wire("DTEND:20260601T103000", "LOCATION:Here"), zone=BERLIN, partial=True)
    whole = overlay(CALENDAR, ALARMED, part, form=V10, zone=BERLIN, partial=True)
    assert shown(whole, "DTSTART") == "TZID=Europe/Berlin|20260601T090000"
    assert shown(whole, "DTEND") == "TZID=Europe/Berlin|20260601T103000"
    assert shown(whole, "LOCATION") == "Here"
    assert shown(whole, "SUMMARY") == "Dentist"
    assert len(entry(whole).components) == 1


def test_zones_that_are_only_named_are_brought_along() -> None:
    text = wire("UID:1", "SUMMARY:x", "DTSTART;TZID=Europe/Berlin:20260601T090000", version="2.0")
    stored = from_wire(CALENDAR, "text/calendar", text)
    assert [part.name for part in parse(stored).components] == ["VTIMEZONE", "VEVENT"]
    assert from_wire(CALENDAR, "text/calendar", stored) == stored
    assert "TZID" not in from_wire(CALENDAR, "", wire("SUMMARY:x", "DTSTART:20260601T090000", "RRULE:D1 #0"), zone="UTC")


def test_tasks() -> None:
    sent = wire("SUMMARY:Buy milk", "DUE:20260601T000000", "STATUS:ACCEPTED", "PRIORITY:1", "COMPLETED:20260601T120000", kind="VTODO")
    stored = from_wire(TASKS, "text/x-vcalendar", sent, zone=BERLIN)
    assert shown(stored, "DUE") == "VALUE=DATE|20260601"
    assert shown(stored, "COMPLETED") == "20260601T100000Z"
    assert shown(stored, "STATUS") == "IN-PROCESS"
    assert icalendar.Calendar.from_ical(stored).walk("VTODO")
    kept = stored.replace("PRIORITY:1", "PRIORITY:1\r\nPERCENT-COMPLETE:40")
    back = from_wire(TASKS, "", to_wire(TASKS, kept, V10, zone=BERLIN), zone=BERLIN)
    assert equal(TASKS, back, stored)
    assert equal(TASKS, overlay(TASKS, kept, back, form=V10, zone=BERLIN), kept)
    with pytest.raises(FormatError, match="VEVENT"):
        from_wire(CALENDAR, "", sent)


BROKEN = [
    ("no entry", "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n"),
    ("two entries", wire("UID:1", "END:VEVENT", "BEGIN:VEVENT", "UID:2", version="2.0")),
    ("two without a zone of their own", wire("UID:1", "END:VEVENT", "BEGIN:VEVENT", "UID:1", version="2.0")),
    ("a task among events", wire("UID:1", kind="VTODO", version="2.0")),
    ("no time", wire("SUMMARY:x", "DTSTART:tomorrow")),
    ("month 13", wire("SUMMARY:x", "DTSTART:20261301T000000")),
    ("a time before all", wire("SUMMARY:x", "DTSTART:00010101T000000")),
    ("a card", "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:A\r\nEND:VCARD\r\n"),
]


@pytest.mark.parametrize("text", [case[1] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_broken(text: str) -> None:
    with pytest.raises(FormatError):
        from_wire(CALENDAR, "", text, zone=BERLIN)


def test_unknown_zone_of_a_device() -> None:
    with pytest.raises(FormatError, match="time zone"):
        from_wire(CALENDAR, "", wire("SUMMARY:x", "DTSTART:20260601T000000"), zone="Mars/Olympus")


_ALARMS = {
    "at the end": ["ACTION:DISPLAY", "TRIGGER;RELATED=END:-PT5M", "DESCRIPTION:x"],
    "absolute": ["ACTION:AUDIO", "TRIGGER;VALUE=DATE-TIME:20260301T060000Z", "ATTACH:ftp://x/y.aud", "REPEAT:4", "DURATION:PT15M"],
    "mail": ["ACTION:EMAIL", "TRIGGER:-P1D", "ATTENDEE:mailto:a@b.c", "SUMMARY:s", "DESCRIPTION:d"],
}


@pytest.mark.parametrize("edited", [False, True])
@pytest.mark.parametrize("alarm", list(_ALARMS))
@pytest.mark.parametrize(
    "start",
    ["DTSTART:20260301T080000", "DTSTART:20260301T080000Z", "DTSTART;TZID=Europe/Berlin:20260301T080000", "DTSTART;VALUE=DATE:20260301"],
)
def test_what_a_device_without_a_ctcap_sends_back_as_it_was_given_it_is_no_change(start, alarm, edited) -> None:
    head, _, first = start.partition(":")
    event = [
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", "BEGIN:VEVENT", "UID:1", "SUMMARY:before", start, "RRULE:FREQ=DAILY",
        f"EXDATE{head.removeprefix('DTSTART')}:{first.replace('0301', '0302')}", "BEGIN:VALARM", *_ALARMS[alarm], "END:VALARM",
        "END:VEVENT", "END:VCALENDAR", "",
    ]  # fmt: skip
    kept = "\r\n".join(event)
    sent = to_wire(CALENDAR, kept, V10, zone=BERLIN)
    if edited:
        sent, kept_then = sent.replace("before", "after"), kept.replace("before", "after")
    else:
        kept_then = kept
    found = overlay(CALENDAR, kept, from_wire(CALENDAR, V10.type, sent, zone=BERLIN), form=V10, zone=BERLIN)
    assert found.count("BEGIN:VALARM") == 1
    assert equal(CALENDAR, found, kept_then)
