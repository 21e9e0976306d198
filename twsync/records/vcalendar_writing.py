"""iCalendar 2.0 to vCalendar 1.0 (versit).

Times: a single event with a zone travels in UTC to devices that understand it, else as local time of the device's zone. A repeated one
travels as local time of the device's zone, with TZ and DAYLIGHT that say so: its rule is about days and hours on the clock, and in UTC it
would move by an hour twice a year. An event that lasts all day runs from 00:00 to 23:59 without a zone.

Not carried: changed instances of a repeated event (RECURRENCE-ID), rules that the grammar has no words for, percentages, colours, and
parameters that would need quotes. `twsync.records.overlay` keeps them.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from twsync.errors import FormatError
from twsync.records import alarms, recurrence, zones
from twsync.records.attendees import attendee_to_legacy
from twsync.records.component import Component, plain, write
from twsync.records.contentline import Property
from twsync.records.times import When, add, parse_duration, write_time
from twsync.records.values import items, legacy_escape, split, unescape
from twsync.records.vcalendar import LISTS, STAMPS, TEXTS, TIME_LISTS
from twsync.records.vcard import legacy_binary, legacy_line, legacy_params

_DROPPED = frozenset({"DTSTAMP", "DURATION", "RECURRENCE-ID", "PERCENT-COMPLETE", "COLOR", "DTEND"})
_STATUS = {"NEEDS-ACTION": "NEEDS ACTION", "IN-PROCESS": "ACCEPTED", "CANCELLED": "DECLINED"}
_DAY = datetime.timedelta(days=1)


def master_of(calendar: Component) -> Component:
    """The event or task itself, without its changed instances.

    :raises FormatError: if there is none.
    """
    entries = [part for part in calendar.components if part.name in ("VEVENT", "VTODO")]
    if not entries:
        raise FormatError("the calendar holds no event and no task")
    return next((entry for entry in entries if entry.get("RECURRENCE-ID") is None), entries[0])


class _Writing:
    """One record on its way to vCalendar: the zone of the device, whether it understands UTC, whether the record repeats."""

    def __init__(self, calendar: Component, entry: Component, utc: bool, zone: str) -> None:
        self.calendar = calendar
        self.entry = entry
        self.utc = utc
        self.zone = zones.named(zone)
        start = entry.get("DTSTART") or entry.get("DUE")
        self.start: When | None = None
        self.start_zone: zones.Zone | None = None
        if start:
            self.start, self.start_zone = zones.time_of(start, calendar)
        repeats = any(entry.get(key) for key in ("RRULE", "RDATE"))
        floating = isinstance(self.start, datetime.datetime) and self.start.tzinfo is None and self.start_zone is None
        #: Written as local times of the device's zone.
        self.by_clock = repeats and isinstance(self.start, datetime.datetime) and not floating

    def written(self, when: When, zone: zones.Zone | None) -> When:
        """A time as it will stand there, on its clock."""
        moment = zones.instant(when, zone)
        if not isinstance(moment, datetime.datetime) or moment.tzinfo is None:
            return moment
        return moment if self.utc and not self.by_clock else zones.to_local(moment, self.zone)

    def text(self, when: When, zone: zones.Zone | None) -> str:
        shown = self.written(when, zone)
        return write_time(shown) if isinstance(shown, datetime.datetime) else f"{write_time(shown)}T000000"

    def stamp(self, when: When) -> str:
        """An instant, such as that of an alarm: never by the clock of a rule."""
        moment = isinstance(when, datetime.datetime) and when.tzinfo is not None and not self.utc
        return write_time(zones.to_local(when, self.zone) if moment and isinstance(when, datetime.datetime) else when)

    def end(self) -> tuple[When, zones.Zone | None] | None:
        """When the event ends."""
        ends = self.entry.get("DTEND")
        if ends is not None:
            return zones.time_of(ends, self.calendar)
        lasts = self.entry.get("DURATION")
        if lasts is not None and self.start is not None:
            start = zones.instant(self.start, self.start_zone)
            return add(start, parse_duration(lasts.value)), None
        if self.start is not None and not isinstance(self.start, datetime.datetime):
            return self.start + _DAY, None
        return None

    def until(self, when: When) -> str:
        """The end of the rule as vCalendar has it."""
        if not isinstance(self.start, datetime.datetime) or not isinstance(when, datetime.datetime):
            day = when if not isinstance(when, datetime.datetime) else when.date()
            return f"{write_time(day)}T235959"
        return write_time(self.written(when, self.start_zone))

    def shift(self) -> int:
        """Days by which the start moves, when it is written on another clock than its own."""
        if self.start is None or not isinstance(self.start, datetime.datetime):
            return 0
        shown = self.written(self.start, self.start_zone)
        return (datetime.date(shown.year, shown.month, shown.day) - self.start.date()).days


def legacy(calendar: Component, alarm_names: tuple[str, ...], *, utc: bool, zone: str) -> str:
    """The text of a calendar with one event or task as vCalendar 1.0.

    :param alarm_names: the kinds of alarms that the device knows, of AALARM, DALARM, MALARM.
    :param utc: whether the device understands times in UTC.
    :param zone: IANA name of the device's zone.
    :raises FormatError: if it holds neither, or times that are none.
    """
    entry = master_of(calendar)
    writing = _Writing(calendar, entry, utc, zone)
    properties: list[Property] = []
    for prop in entry.properties:
        if prop.key not in _DROPPED:
            properties += _to_legacy(writing, prop)
    ends = writing.end() if entry.name == "VEVENT" else None
    if ends is not None:
        # The end of an all-day event is not part of it; devices show the day on which it lies.
        day = not isinstance(ends[0], datetime.datetime)
        shown = f"{write_time(ends[0] - _DAY)}T235900" if day else writing.text(*ends)
        properties.append(plain("DTEND", shown))
    properties += _alarms(writing, ends, alarm_names)
    head = [plain("VERSION", "1.0"), *(prop for prop in calendar.properties if prop.key == "PRODID" or prop.key.startswith("X-"))]
    if writing.by_clock and isinstance(writing.start, datetime.datetime):
        head += _zone_properties(writing.zone, writing.start.year)
    return write(Component("VCALENDAR", tuple(head), (Component(entry.name, tuple(properties)),)), legacy=True)


def _alarms(writing: _Writing, ends: tuple[When, zones.Zone | None] | None, names: tuple[str, ...]) -> Iterator[Property]:
    if writing.start is None:
        return
    start = zones.instant(writing.start, writing.start_zone)
    end = zones.instant(*ends) if ends else None
    for alarm in writing.entry.components:
        if alarm.name == "VALARM" and (made := alarms.to_legacy(alarm, start, end, writing.stamp, names)):
            yield made


def _zone_properties(zone: zones.Zone, year: int) -> list[Property]:
    """TZ and DAYLIGHT of the year in which the event starts (vCalendar 1.0 section "Daylight Savings Rule")."""
    year = min(max(year, 1971), 9990)
    changes = zones.transitions(zone, year)
    offsets = [zone.utcoffset(datetime.datetime(year, month, 1)) or datetime.timedelta(0) for month in (1, 7)]
    made = [plain("TZ", zones.offset_text(min(offsets)))]
    begins = next(((moment + before, after) for moment, before, after in changes if after > before), None)
    closes = next((moment + before for moment, before, after in changes if after < before), None)
    if begins is None or closes is None:
        return [*made, plain("DAYLIGHT", "FALSE")]
    names = [datetime.datetime(year, month, 1, tzinfo=zone).tzname() or "" for month in ((1, 7) if offsets[0] < offsets[1] else (7, 1))]
    return [*made, plain("DAYLIGHT", ";".join(["TRUE", zones.offset_text(begins[1]), write_time(begins[0]), write_time(closes), *names]))]


def _to_legacy(writing: _Writing, prop: Property) -> list[Property]:
    key = prop.key
    if key in STAMPS:
        try:
            return [
                plain("DCREATED" if key == "CREATED" else prop.name, writing.stamp(zones.instant(*zones.time_of(prop, writing.calendar))))
            ]
        except FormatError:
            return []
    if key in ("DTSTART", "DUE"):
        return [plain(prop.name, writing.text(*zones.time_of(prop, writing.calendar)))]
    if key in TIME_LISTS:
        return _list_of_times(writing, prop)
    if key in ("RRULE", "EXRULE"):
        shown = writing.written(writing.start, writing.start_zone) if writing.start else None
        rule = recurrence.to_legacy(prop.value, shown, writing.until, writing.shift()) if shown else None
        return [plain(prop.name, rule)] if rule else []
    if key in ("X-VCALENDAR-RRULE", "X-VCALENDAR-EXRULE"):
        return [plain(key.removeprefix("X-VCALENDAR-"), prop.value)]
    if key in ("ATTENDEE", "ORGANIZER"):
        return [attendee_to_legacy(prop)]
    if key == "STATUS":
        return [plain("STATUS", _STATUS.get(prop.value.upper(), prop.value))]
    if key == "TRANSP":
        return [plain("TRANSP", "1" if prop.value.strip().upper() == "TRANSPARENT" else "0")]
    params = legacy_params(prop)
    if prop.first("ENCODING") == "BASE64":
        made = legacy_binary(prop.name, [param for param in params if param.name.upper() != "VALUE"], prop.value)
        return [made] if made is not None else []
    if key in LISTS:
        return [
            legacy_line(prop.name, params, ";".join(legacy_escape(item, structured=True).replace(",", "\\,") for item in items(prop.value)))
        ]
    if key in TEXTS:
        return [legacy_line(prop.name, params, legacy_escape(unescape(prop.value), structured=False))]
    if key == "GEO":
        latitude, _, longitude = prop.value.partition(";")
        return [plain("GEO", f"{longitude},{latitude}")]
    return [legacy_line(prop.name, params, prop.value)]


def _list_of_times(writing: _Writing, prop: Property) -> list[Property]:
    texts = []
    for part in split(prop.value, ","):
        # A period of RDATE has a start and an end; vCalendar knows the start only.
        one = Property(prop.name, part.partition("/")[0], prop.params)
        try:
            texts.append(writing.text(*zones.time_of(one, writing.calendar)))
        except FormatError:
            continue
    return [plain(prop.name, ";".join(texts))] if texts else []
