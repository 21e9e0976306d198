"""Time zones: by IANA name, by the names that Outlook uses, or by the VTIMEZONE of the record itself; and the VTIMEZONE of an IANA zone.

zoneinfo (with the tzdata package where the system has no database) knows the IANA zones. icalendar reads a VTIMEZONE that is not one of
them and knows Windows' names; it is loaded only then, for that takes a tenth of a second. VTIMEZONEs are written here, as yearly rules:
those that icalendar makes are lists of dates, valid for some years only.
"""

from __future__ import annotations

import datetime
import zoneinfo
from functools import lru_cache
from typing import TypeAlias

from twsync.errors import FormatError
from twsync.records.component import Component, plain, write
from twsync.records.contentline import Property
from twsync.records.times import UTC, When, parse_time, write_time

Zone: TypeAlias = datetime.tzinfo
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_LONGEST_NAME = 255
_DAY = datetime.timedelta(days=1)


@lru_cache(maxsize=256)
def iana(name: str) -> Zone | None:
    """The zone of an IANA name, or None. Prefixes before the name, as libical has them, are passed over."""
    # "/freeassociation.sourceforge.net/Europe/Berlin", "/softwarestudio.org/Tzfile/America/New_York"
    parts = name.strip().strip("/").split("/")
    for start in range(max(len(parts) - 3, 0), len(parts)):
        try:
            return zoneinfo.ZoneInfo("/".join(parts[start:]))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return None


@lru_cache(maxsize=64)
def _windows(name: str) -> Zone | None:
    from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

    found = WINDOWS_TO_OLSON.get(name)
    return iana(str(found)) if found else None


@lru_cache(maxsize=64)
def _by_definition(definition: Component) -> Zone | None:
    """The zone that a VTIMEZONE describes; None for one that cannot be used: then its times are taken as floating."""
    for part in definition.components:
        rule = part.value("RRULE").upper()
        # Only yearly rules: a rule of seconds would take for ever to unroll.
        if part.name not in ("STANDARD", "DAYLIGHT") or (rule and "FREQ=YEARLY" not in rule.split(";")):
            return None
        if any(key in rule for key in ("BYHOUR", "BYMINUTE", "BYSECOND", "BYYEARDAY", "BYWEEKNO")) or len(part.properties) > 64:
            return None
    if not definition.components or len(definition.components) > 64:
        return None
    from icalendar import Timezone

    try:
        found = Timezone.from_ical(write(definition))
        zone = found.to_tz(lookup_tzid=False) if isinstance(found, Timezone) else None
        if zone is not None:
            zone.utcoffset(datetime.datetime(2026, 1, 1))
    except Exception:  # whatever a library makes of a broken definition: it is not usable
        return None
    return zone


def zone_of(tzid: str, calendar: Component | None) -> Zone | None:
    """The zone that a TZID of a record means; None if nobody knows.

    :param calendar: the VCALENDAR with its VTIMEZONEs.
    """
    found = iana(tzid) if len(tzid) <= _LONGEST_NAME else None
    if found is not None or len(tzid) > _LONGEST_NAME:
        return found
    for part in calendar.components if calendar else ():
        if part.name == "VTIMEZONE" and part.value("TZID") == tzid:
            located = part.value("X-LIC-LOCATION")
            return (iana(located) if located else None) or _windows(tzid) or _by_definition(part)
    return _windows(tzid)


def named(name: str) -> Zone:
    """The zone of an IANA name that a setting gives.

    :raises FormatError: if there is none.
    """
    found = iana(name)
    if found is None:
        raise FormatError(f"there is no time zone {name!r}; use a name such as Europe/Berlin")
    return found


def to_utc(moment: datetime.datetime, zone: Zone) -> datetime.datetime:
    """The instant of a local time; of two, the first; of none (the gap in spring), that much later (RFC 5545 section 3.3.5).

    :raises FormatError: if it is out of range.
    """
    try:
        return moment.replace(tzinfo=zone, fold=0).astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise FormatError("a time is out of range") from error


def to_local(moment: datetime.datetime, zone: Zone) -> datetime.datetime:
    """What a clock in `zone` shows at an instant in UTC, without its zone.

    :raises FormatError: if it is out of range.
    """
    try:
        return moment.astimezone(zone).replace(tzinfo=None, fold=0)
    except (OverflowError, ValueError) as error:
        raise FormatError("a time is out of range") from error


def time_of(prop: Property, calendar: Component | None) -> tuple[When, Zone | None]:
    """The time of a property as written, and the zone it is local to (None: a date, floating, or in UTC).

    :raises FormatError: if the value is no time.
    """
    when = parse_time(prop.value)
    tzid = prop.param("TZID")
    if not tzid or not isinstance(when, datetime.datetime) or when.tzinfo is not None:
        return when, None
    return when, zone_of(tzid[0], calendar)


def year_of(prop: Property) -> int:
    """The year of a time, for `definition`; 1970 for what is none."""
    try:
        return parse_time(prop.value.partition(",")[0]).year
    except FormatError:
        return 1970


def instant(when: When, zone: Zone | None) -> When:
    """A time in UTC if its zone is known, else as it is."""
    return to_utc(when, zone) if zone is not None and isinstance(when, datetime.datetime) and when.tzinfo is None else when


def transitions(zone: Zone, year: int) -> list[tuple[datetime.datetime, datetime.timedelta, datetime.timedelta]]:
    """The changes of the clock in a year: the instant (UTC, no tzinfo), the offset before and behind it."""

    def offset(moment: datetime.datetime) -> datetime.timedelta:
        return moment.replace(tzinfo=UTC).astimezone(zone).utcoffset() or datetime.timedelta(0)

    found = []
    day = datetime.datetime(year, 1, 1)
    before = offset(day)
    while day.year == year:
        following = day + _DAY
        after = offset(following)
        if after != before:
            low, high = day, following
            while high - low > datetime.timedelta(seconds=60):
                middle = low + datetime.timedelta(minutes=int((high - low).total_seconds() // 120))
                low, high = (middle, high) if offset(middle) == before else (low, middle)
            found.append((high, before, after))
        day, before = following, after
    return found


def offset_text(offset: datetime.timedelta) -> str:
    """An offset from UTC as records write it, such as ``+0100``."""
    seconds = round(offset.total_seconds())
    minutes, rest = divmod(abs(seconds), 60)
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02}{minutes % 60:02}" + (f"{rest:02}" if rest else "")


def _part(kind: str, start: datetime.datetime, before: datetime.timedelta, after: datetime.timedelta, rule: str, name: str) -> Component:
    properties = [plain("DTSTART", write_time(start)), plain("TZOFFSETFROM", offset_text(before)), plain("TZOFFSETTO", offset_text(after))]
    properties += [plain("TZNAME", name)] if name else []
    properties += [plain("RRULE", rule)] if rule else []
    return Component(kind, tuple(properties))


@lru_cache(maxsize=64)
def definition(name: str, year: int) -> Component:
    """The VTIMEZONE of an IANA zone, right from `year` on for as long as its rule of that year holds (RFC 5545 section 3.6.5).

    :raises FormatError: if there is no such zone.
    """
    zone = named(name)
    year = min(max(year, 1971), 9990)
    changes = transitions(zone, year)
    standard = min((zone.utcoffset(datetime.datetime(year, month, 1)) or datetime.timedelta(0)) for month in (1, 7))
    parts = []
    for moment, before, after in changes if len(changes) == 2 else []:
        local = moment + before
        ordinal = -1 if (local + 7 * _DAY).month != local.month else (local.day - 1) // 7 + 1
        rule = f"FREQ=YEARLY;BYMONTH={local.month};BYDAY={ordinal}{_WEEKDAYS[local.weekday()]}"
        shown = moment.replace(tzinfo=UTC).astimezone(zone).tzname() or ""
        # A year early, so that the part of the year before the first change has its offset, too.
        start = _same_rule(local, ordinal)
        parts.append(_part("DAYLIGHT" if after > standard else "STANDARD", start, before, after, rule, shown if shown.isalpha() else ""))
    if not parts:
        offset = zone.utcoffset(datetime.datetime(year, 1, 1)) or datetime.timedelta(0)
        parts = [_part("STANDARD", datetime.datetime(1970, 1, 1), offset, offset, "", "")]
    return Component("VTIMEZONE", (plain("TZID", name),), tuple(parts))


def _same_rule(local: datetime.datetime, ordinal: int) -> datetime.datetime:
    """The day of the year before that a rule such as "last Sunday of its month" gives."""
    year = local.year - 1
    if ordinal < 0:
        last = datetime.datetime(year + local.month // 12, local.month % 12 + 1, 1) - _DAY
        day = last - (last.weekday() - local.weekday()) % 7 * _DAY
    else:
        first = datetime.datetime(year, local.month, 1)
        day = first + ((local.weekday() - first.weekday()) % 7 + 7 * (ordinal - 1)) * _DAY
    return day.replace(hour=local.hour, minute=local.minute, second=local.second)
