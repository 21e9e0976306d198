"""Dates and times of records, and durations (RFC 5545 sections 3.3.4 to 3.3.6; the same in vCalendar 1.0, ISO 8601 basic form)."""

from __future__ import annotations

import datetime
import re
from typing import TypeAlias, overload

from twsync.errors import FormatError

#: A date (all day), a time without a zone (floating, or local to a zone known from elsewhere), a time in UTC.
When: TypeAlias = datetime.date | datetime.datetime

_TIME = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?:[T ](\d\d):?(\d\d)(?::?(\d\d))?(?:[.,]\d+)?(Z|[+-]\d\d:?\d\d)?)?\Z", re.IGNORECASE)
_DURATION = re.compile(r"([+-]?)P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,7})H)?(?:(\d{1,7})M)?(?:(\d{1,9})S)?)?\Z", re.IGNORECASE)
UTC = datetime.UTC


def parse_time(raw: str) -> When:
    """A date, a floating time, or a time in UTC (one with an offset is brought to UTC). 24:00 is the next day's 00:00.

    :raises FormatError: if it is none of these.
    """
    match = _TIME.match(raw.strip())
    if not match:
        raise FormatError(f"{raw[:40]!r} is no date or time")
    year, month, day, hour, minute, second, zone = match.groups()
    try:
        date = datetime.date(int(year), int(month), int(day))
        if hour is None:
            return date
        midnight = datetime.datetime(date.year, date.month, date.day)
        if not (int(hour) < 24 or (hour == "24" and minute == "00")) or int(minute) > 59:
            raise FormatError(f"{raw[:40]!r} is no time of day")
        # A leap second is the second before it: no calendar program stores one.
        moment = midnight + datetime.timedelta(hours=int(hour), minutes=int(minute), seconds=min(int(second or 0), 59))
        if zone is None:
            return moment
        if zone not in "Zz":
            offset = datetime.timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
            moment -= offset if zone[0] == "+" else -offset
        return moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise FormatError(f"{raw[:40]!r} is no date or time") from error


def write_time(when: When) -> str:
    """The basic form; a time in UTC gets its Z, one in another zone is written as it stands on the clock."""
    if not isinstance(when, datetime.datetime):
        return f"{when.year:04}{when.month:02}{when.day:02}"
    text = f"{when.year:04}{when.month:02}{when.day:02}T{when.hour:02}{when.minute:02}{when.second:02}"
    return text + "Z" if when.tzinfo is UTC else text


def parse_duration(raw: str) -> datetime.timedelta:
    """A duration.

    :raises FormatError: if it is none.
    """
    match = _DURATION.match(raw.strip())
    if not match or not any(match.groups()[1:]):
        raise FormatError(f"{raw[:40]!r} is no duration")
    weeks, days, hours, minutes, seconds = (int(number or 0) for number in match.groups()[1:])
    span = datetime.timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    return -span if match[1] == "-" else span


def write_duration(span: datetime.timedelta) -> str:
    """The shortest usual form, such as ``-PT15M``."""
    seconds = abs(span.days * 86400 + span.seconds)
    sign = "-" if span < datetime.timedelta(0) else ""
    if seconds % 604800 == 0 and seconds:
        return f"{sign}P{seconds // 604800}W"
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    clock = "".join(f"{number}{unit}" for number, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if number)
    text = (f"{days}D" if days else "") + (f"T{clock}" if clock else "")
    return f"{sign}P{text}" if text else "PT0S"


@overload
def add(when: datetime.datetime, span: datetime.timedelta) -> datetime.datetime: ...
@overload
def add(when: When, span: datetime.timedelta) -> When: ...
def add(when: When, span: datetime.timedelta) -> When:
    """A time that much later.

    :raises FormatError: if there is no such year.
    """
    try:
        if not isinstance(when, datetime.datetime) and span.seconds:
            return datetime.datetime(when.year, when.month, when.day) + span
        return when + span
    except OverflowError as error:
        raise FormatError("a time is out of range") from error
