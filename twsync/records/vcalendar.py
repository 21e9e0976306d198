"""vCalendar 1.0 (versit) to iCalendar 2.0 (RFC 5545), the stored form."""

from __future__ import annotations

import datetime
from collections.abc import Callable

from twsync.errors import FormatError
from twsync.records import alarms, recurrence, zones
from twsync.records.attendees import attendee_from_legacy
from twsync.records.component import Component, plain
from twsync.records.contentline import Property
from twsync.records.times import UTC, When, add, parse_time, write_time
from twsync.records.transfer import base64_text, decoded_text, is_base64
from twsync.records.values import escape, legacy_unescape, split
from twsync.records.vcard import modern_params

#: Text values, in events and tasks.
TEXTS = frozenset({"SUMMARY", "DESCRIPTION", "LOCATION", "CONTACT", "COMMENT"})
#: Lists: between semicolons here, between commas in iCalendar.
LISTS = frozenset({"CATEGORIES", "RESOURCES"})
#: Single times and lists of times.
TIMES = frozenset({"DTSTART", "DTEND", "DUE", "COMPLETED", "DCREATED", "CREATED", "LAST-MODIFIED", "DTSTAMP", "RECURRENCE-ID"})
TIME_LISTS = frozenset({"EXDATE", "RDATE"})
#: Times that iCalendar wants in UTC.
STAMPS = frozenset({"COMPLETED", "CREATED", "LAST-MODIFIED", "DTSTAMP"})
_STATUS = {"NEEDS ACTION": "NEEDS-ACTION", "SENT": "TENTATIVE", "DECLINED": "CANCELLED"}
#: By which devices say that an event lasts all day, besides midnights.
_ALL_DAY = {"X-ALLDAY": "1", "X-FUNAMBOL-ALLDAY": "1", "X-MICROSOFT-CDO-ALLDAYEVENT": "TRUE"}
#: Zones whose times are written with a Z: they need no VTIMEZONE.
_UTC_NAMES = frozenset({"UTC", "Etc/UTC", "GMT", "Etc/GMT", "Zulu", "Etc/Zulu", "UCT"})
_NOKIA_DAYS = frozenset({"EVENT", "ANNIVERSARY"})


class _Reading:
    """One record on its way to iCalendar: the zone of its local times, whether it lasts all day."""

    def __init__(self, calendar: Component, entry: Component, zone: str, octets: bool) -> None:
        self.entry = entry
        self.octets = octets
        self.name = zone
        self.zone = zones.named(zone)
        self.foreign = _foreign_offset(calendar, self.zone)
        self.recurs = entry.get("RRULE") is not None
        self.all_day = self._is_all_day()

    def text(self, prop: Property) -> str:
        return decoded_text(prop, self.octets)

    def when(self, key: str) -> When | None:
        prop = self.entry.get(key)
        try:
            return parse_time(prop.value) if prop else None
        except FormatError:
            return None

    def _is_all_day(self) -> bool:
        if self.entry.name != "VEVENT":
            return False
        if any(self.entry.value(name).upper() == value for name, value in _ALL_DAY.items()):
            return True
        if self.entry.value("X-EPOCAGENDAENTRYTYPE").upper() in _NOKIA_DAYS:
            return True
        start, end = self.when("DTSTART"), self.when("DTEND")
        if not isinstance(start, datetime.datetime):
            return start is not None
        if start.tzinfo is not None or (start.hour, start.minute, start.second) != (0, 0, 0) or not isinstance(end, datetime.datetime):
            return False
        closes = (end.hour, end.minute) in ((0, 0), (23, 59))
        return end.tzinfo is None and closes and end - start >= datetime.timedelta(hours=23, minutes=59)

    def instant(self, when: When) -> When:
        """A local time in UTC; a date as it is."""
        if not isinstance(when, datetime.datetime) or when.tzinfo is not None:
            return when
        if self.foreign is not None:
            return add(when, -self.foreign(when)).replace(tzinfo=UTC)
        return zones.to_utc(when, self.zone)

    def local(self, when: datetime.datetime) -> datetime.datetime:
        """What clocks in the zone of the device show."""
        moment = self.instant(when)
        assert isinstance(moment, datetime.datetime)
        return zones.to_local(moment, self.zone)

    def time(self, name: str, when: When, end: bool = False) -> Property:
        """A time as iCalendar has it: a date if the event lasts all day, in UTC as it came, else local to the device's zone."""
        midnight = isinstance(when, datetime.datetime) and when.tzinfo is None and (when.hour, when.minute, when.second) == (0, 0, 0)
        if self.all_day or not isinstance(when, datetime.datetime) or (midnight and self.entry.name == "VTODO"):
            # Tasks are due on days; devices write their midnight.
            return plain(name, write_time(self._day(when, end)), VALUE="DATE")
        if when.tzinfo is not None and not self.recurs:
            return plain(name, write_time(when))
        if self.name in _UTC_NAMES:
            return plain(name, write_time(self.instant(when)))
        return plain(name, write_time(self.local(when)), TZID=self.name)

    def _day(self, when: When, end: bool) -> datetime.date:
        """The date that a time of an all-day event means; an end at 23:59 is the day before the next."""
        if not isinstance(when, datetime.datetime):
            return when
        moment = self.local(when) if when.tzinfo is not None else when
        if end and (moment.hour, moment.minute) == (23, 59):
            moment += datetime.timedelta(minutes=1)
        return moment.date()

    def until(self, when: When) -> str:
        """The end of a rule: a date for dates, else in UTC (RFC 5545 section 3.3.10)."""
        if self.all_day:
            return write_time(self._day(when, end=False))
        return write_time(self.instant(recurrence.end_of_day(when)))


def _offset(text: str) -> datetime.timedelta | None:
    """The offset that TZ and DAYLIGHT write: ``+01``, ``-0530``, ``+01:00``."""
    digits = text.strip().lstrip("+-").replace(":", "")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 4:
        return None
    hours, minutes = (int(digits), 0) if len(digits) <= 2 else (int(digits[:-2]), int(digits[-2:]))
    span = datetime.timedelta(hours=hours, minutes=minutes)
    return (-span if text.strip().startswith("-") else span) if span < datetime.timedelta(hours=24) else None


def _foreign_offset(calendar: Component, zone: zones.Zone) -> Callable[[datetime.datetime], datetime.timedelta] | None:
    """The offset at a local time that TZ and DAYLIGHT say, if TZ is none that the device's zone has: it comes from somewhere else."""
    standard = _offset(calendar.value("TZ"))
    if standard is None:
        return None
    start = next((entry.value("DTSTART") or entry.value("DUE") for entry in calendar.components), "")[:4]
    year = int(start) if start.isascii() and start.isdigit() and 1971 <= int(start) <= 9990 else 2000
    if standard in {zone.utcoffset(datetime.datetime(year, month, 1)) for month in (1, 7)}:
        return None
    summers: list[tuple[datetime.datetime, datetime.datetime, datetime.timedelta]] = []
    for prop in calendar.all("DAYLIGHT"):
        observed, offset, begins, ends, *_ = [*(part.strip() for part in prop.value.split(";")), "", "", "", ""]
        span = _offset(offset)
        try:
            first, last = parse_time(begins), parse_time(ends)
        except FormatError:
            continue
        if observed.upper() == "TRUE" and span is not None and isinstance(first, datetime.datetime) and isinstance(last, datetime.datetime):
            summers.append((first.replace(tzinfo=None), last.replace(tzinfo=None), span))
    return lambda when: next((span for first, last, span in summers if first <= when < last), standard)


def read_entry(calendar: Component, entry: Component, zone: str, octets: bool) -> Component:
    """An event or task of vCalendar 1.0 as iCalendar.

    :param zone: IANA name, of local times; TZ of the calendar wins if the zone never has its offset.
    :raises FormatError: for times and base64 that are none.
    """
    reading = _Reading(calendar, entry, zone, octets)
    properties: list[Property] = []
    inner: list[Component] = list(entry.components)
    start = reading.when("DTSTART") or reading.when("DUE")
    anchor = _anchor_of(reading, start)
    summary = escape(legacy_unescape(reading.text(found))) if (found := entry.get("SUMMARY")) else ""
    for prop in entry.properties:
        key = prop.key
        value = reading.text(prop) if not is_base64(prop) else prop.value
        if not value.strip():
            continue
        if key in alarms.LEGACY_NAMES:
            alarm = alarms.from_legacy(prop, value, anchor, lambda when: _moment(reading, when), summary)
            inner += [alarm] if alarm else []
        else:
            properties += _from_legacy(reading, prop, value)
    if reading.all_day and not any(prop.key == "DTSTART" for prop in properties):
        raise FormatError("an event without a start")
    return Component(entry.name, tuple(_whole_days(properties)), tuple(inner))


def _anchor_of(reading: _Reading, start: When | None) -> When | None:
    """What alarms are relative to: the start as instant, or midnight of an all-day event, floating."""
    if start is None:
        return None
    if reading.all_day or not isinstance(start, datetime.datetime):
        day = reading._day(start, end=False)
        return datetime.datetime(day.year, day.month, day.day)
    return reading.instant(start)


def _moment(reading: _Reading, when: When) -> datetime.datetime | None:
    """The time of an alarm on the scale of `_anchor_of`."""
    if not isinstance(when, datetime.datetime):
        return None
    start = reading.when("DTSTART") or reading.when("DUE")
    if reading.all_day or (start is not None and not isinstance(start, datetime.datetime)):
        return reading.local(when) if when.tzinfo is not None else when
    moment = reading.instant(when)
    return moment if isinstance(moment, datetime.datetime) else None


def _from_legacy(reading: _Reading, prop: Property, value: str) -> list[Property]:
    key = prop.key
    if key in TIMES:
        name = "CREATED" if key == "DCREATED" else prop.name
        when = parse_time(value)
        if name.upper() in STAMPS:
            # A day is given its midnight: iCalendar wants an instant.
            moment = when if isinstance(when, datetime.datetime) else datetime.datetime(when.year, when.month, when.day)
            return [plain(name, write_time(reading.instant(moment)))]
        return [reading.time(name, when, end=key == "DTEND")]
    if key in TIME_LISTS:
        return [reading.time(prop.name, parse_time(part)) for both in split(value, ";") for part in both.split(",") if part.strip()]
    if key in ("RRULE", "EXRULE"):
        rule = recurrence.from_legacy(value, reading.until)
        return [plain(prop.name, rule) if rule else plain(f"X-VCALENDAR-{key}", value)]
    if key in ("ATTENDEE", "ORGANIZER"):
        return [attendee_from_legacy(prop, legacy_unescape(value))]
    if key == "STATUS":
        return [plain("STATUS", _status(reading.entry.name, value.strip().upper()))]
    if key == "TRANSP":
        return [plain("TRANSP", {"0": "OPAQUE"}.get(value.strip(), "TRANSPARENT") if value.strip().isdigit() else value.strip().upper())]
    if key == "RNUM":
        return []
    params = modern_params(prop)
    if is_base64(prop):
        params = tuple(param for param in params if param.name.upper() not in ("ENCODING", "VALUE"))
        encoded = plain(prop.name, base64_text(value), ENCODING="BASE64", VALUE="BINARY")
        return [Property(prop.name, encoded.value, (*params, *encoded.params))]
    if key in LISTS:
        listed = [escape(legacy_unescape(item).strip()) for part in split(value, ";") for item in split(part, ",") if item.strip()]
        return [Property(prop.name, ",".join(listed), params)] if listed else []
    if key in TEXTS:
        return [Property(prop.name, escape(legacy_unescape(value)), params)]
    if key == "GEO":
        longitude, _, latitude = value.partition(",")
        return [Property(prop.name, f"{latitude.strip()};{longitude.strip()}" if latitude else value, params)]
    return [Property(prop.name, value.strip().replace("\n", "\\n"), params, prop.group)]


def _status(kind: str, value: str) -> str:
    if value in ("ACCEPTED", "CONFIRMED"):
        return "IN-PROCESS" if kind == "VTODO" else "CONFIRMED"
    return _STATUS.get(value, value)


def _whole_days(properties: list[Property]) -> list[Property]:
    """The end of an all-day event lies behind its start: devices write the same day, which iCalendar would take for nothing."""
    start = next((prop for prop in properties if prop.key == "DTSTART" and prop.first("VALUE") == "DATE"), None)
    return [prop for prop in properties if start is None or prop.key != "DTEND" or prop.value > start.value]


def is_legacy(text: str) -> bool:
    """Whether a calendar is vCalendar 1.0: by what it says, else by its looks."""
    for line in text[:65536].replace("\r", "\n").split("\n"):
        name, _, value = line.partition(":")
        if name.strip().upper() == "VERSION":
            return value.strip().startswith("1")
    upper = text[:65536].upper()
    return "QUOTED-PRINTABLE" in upper or "ALARM:" in upper.replace("BEGIN:VALARM", "").replace("END:VALARM", "")
