"""Recurrence rules: the grammar of iCalendar (RFC 5545 section 3.3.10) and that of vCalendar 1.0 (its section "Recurrence Rule Grammar").

Carried both ways: daily, weekly with days, monthly by place (``MP``) and by day (``MD``), yearly by month (``YM``) and by day of the year
(``YD``), interval, count and end. What vCalendar 1.0 has no word for (BYSETPOS of several days, BYHOUR, BYWEEKNO, WKST other than Monday,
several kinds of days at once) gives None: the record travels without its rule, and `twsync.records.overlay` keeps it.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable

from twsync.errors import FormatError
from twsync.records.times import When, parse_time

_LEGACY_HEAD = re.compile(r"(D|W|MP|MD|YM|YD)(\d{1,4})\Z")
_PLACE = re.compile(r"(\d{1,3})([+-]?)\Z")
_BYDAY = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)\Z")
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_CARRIED = frozenset({"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYYEARDAY", "BYSETPOS", "WKST"})


def parts_of(rule: str) -> dict[str, str]:
    """The parts of an iCalendar rule, in capitals.

    :raises FormatError: if it is none.
    """
    parts = {}
    for part in rule.strip().strip(";").upper().split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise FormatError(f"{rule[:40]!r} is no recurrence rule")
        parts[name.strip()] = value.strip()
    if "FREQ" not in parts:
        raise FormatError(f"{rule[:40]!r} is no recurrence rule")
    return parts


def from_legacy(rule: str, end: Callable[[When], str]) -> str | None:
    """The iCalendar rule of a vCalendar 1.0 rule; None if it is one that cannot be read (sub-daily and nested rules).

    :param end: writes the end of the rule as UNTIL wants it.
    """
    head, *words = rule.upper().split() or [""]
    match = _LEGACY_HEAD.match(head)
    if not match:
        return None
    kind, interval = match[1], int(match[2])
    last = ""
    if words and (words[-1].startswith("#") or "T" in words[-1] or len(words[-1]) >= 8):
        last = words.pop()
        # Some devices write both, the end before the count: "#0" then means no count.
        if words and len(words[-1]) >= 8:
            last = words.pop() if last == "#0" else last
    limit = _limit_from_legacy(last, end)
    days = _days_from_legacy(kind, words)
    if limit is None or days is None or interval < 1:
        return None
    frequency = {"D": "DAILY", "W": "WEEKLY", "M": "MONTHLY", "Y": "YEARLY"}[kind[0]]
    return f"FREQ={frequency}" + (f";INTERVAL={interval}" if interval > 1 else "") + days + limit


def _limit_from_legacy(word: str, end: Callable[[When], str]) -> str | None:
    if word.startswith("#"):
        number = word[1:]
        if not number.isascii() or not number.isdigit() or len(number) > 9:
            return None
        return f";COUNT={int(number)}" if int(number) else ""
    if not word:
        # The grammar says that a rule without a limit happens twice; no device means that.
        return ""
    try:
        return f";UNTIL={end(parse_time(word))}"
    except FormatError:
        return None


def _days_from_legacy(kind: str, words: list[str]) -> str | None:
    if kind == "D":
        return "" if not words else None
    if kind == "W":
        return _listed("BYDAY", words) if all(word in WEEKDAYS for word in words) else None
    if kind == "MP":
        places: list[int] = []
        days: list[str] = []
        fresh = True
        for word in words:
            if word in WEEKDAYS:
                days += [word if not place else f"{place}{word}" for place in places or [0]]
                fresh = True
            elif (match := _PLACE.match(word)) and 1 <= int(match[1]) <= 5:
                places = ([] if fresh else places) + [-int(match[1]) if match[2] == "-" else int(match[1])]
                fresh = False
            else:
                return None
        return _listed("BYDAY", days) if days or not words else None
    if kind == "MD":
        numbers = []
        for word in words:
            match = _PLACE.match(word)
            if word != "LD" and (not match or not 1 <= int(match[1]) <= 31):
                return None
            numbers.append("-1" if match is None else f"-{int(match[1])}" if match[2] == "-" else str(int(match[1])))
        return _listed("BYMONTHDAY", numbers)
    largest = 12 if kind == "YM" else 366
    if not all(word.isascii() and word.isdigit() and len(word) < 4 and 1 <= int(word) <= largest for word in words):
        return None
    return _listed("BYMONTH" if kind == "YM" else "BYYEARDAY", [str(int(word)) for word in words])


def _listed(name: str, values: list[str]) -> str:
    return f";{name}={','.join(values)}" if values else ""


def to_legacy(rule: str, start: When, end: Callable[[When], str], shift: int = 0) -> str | None:
    """The vCalendar 1.0 rule of an iCalendar rule; None if it has no words for it.

    :param start: the first occurrence as it is written, which fills in what iCalendar leaves out.
    :param end: writes the end of the rule as the form wants it.
    :param shift: days by which writing the start in another zone has moved it: weekdays of weekly rules move along.
    """
    try:
        parts = parts_of(rule)
    except FormatError:
        return None
    interval = parts.get("INTERVAL", "1")
    if not parts.keys() <= _CARRIED or not interval.isdigit() or not 1 <= int(interval) <= 999:
        return None
    if parts.get("WKST", "MO") != "MO" and interval != "1":
        return None
    words = _words(parts, int(interval), start, shift)
    if words is None:
        return None
    if "UNTIL" in parts:
        try:
            return f"{words} {end(parse_time(parts['UNTIL']))}"
        except FormatError:
            return None
    return f"{words} #{parts.get('COUNT', '0')}"


def _words(parts: dict[str, str], interval: int, start: When, shift: int) -> str | None:
    by = {name for name in parts if name.startswith("BY")}
    days = [_BYDAY.match(day) for day in parts.get("BYDAY", "").split(",")] if "BYDAY" in by else []
    found = [(int(day[1] or 0), day[2]) for day in days if day is not None]
    if len(found) != len(days) or (shift and by and parts["FREQ"] != "WEEKLY"):
        return None
    frequency = parts["FREQ"]
    if frequency == "DAILY":
        return f"D{interval}" if not by else None
    if frequency == "WEEKLY":
        if by - {"BYDAY"} or any(place for place, _ in found):
            return None
        names = [WEEKDAYS[(WEEKDAYS.index(day) + shift) % 7] for _, day in found] or [WEEKDAYS[start.weekday()]]
        return " ".join([f"W{interval}", *names])
    if frequency == "YEARLY" and by == {"BYYEARDAY"}:
        return " ".join([f"YD{interval}", *parts["BYYEARDAY"].split(",")]) if "-" not in parts["BYYEARDAY"] else None
    if frequency == "YEARLY":
        months = parts.get("BYMONTH", str(start.month))
        if by <= {"BYMONTH", "BYMONTHDAY"} and parts.get("BYMONTHDAY", str(start.day)) == str(start.day):
            return " ".join([f"YM{interval}", *months.split(",")])
        # "The second Sunday of May" is every twelfth month from a May on.
        if months != str(start.month):
            return None
        by -= {"BYMONTH"}
        interval *= 12
    elif frequency != "MONTHLY":
        return None
    if by <= {"BYMONTHDAY"}:
        days_of_month = parts.get("BYMONTHDAY", str(start.day)).split(",")
        return " ".join(
            [f"MD{interval}", *("LD" if day == "-1" else day.lstrip("-+") + ("-" if day[0] == "-" else "+") for day in days_of_month)]
        )
    if by == {"BYDAY", "BYSETPOS"} and len(found) == 1 and not found[0][0] and re.fullmatch(r"-?[1-5]", parts["BYSETPOS"]):
        by, found = {"BYDAY"}, [(int(parts["BYSETPOS"]), found[0][1])]
    if by != {"BYDAY"}:
        return None
    if any(not -5 <= place <= 5 for place, _ in found):
        return None
    return " ".join([f"MP{interval}", *(_place(place, day) for place, day in found)])


def _place(place: int, day: str) -> str:
    if not place:
        return f"1+ 2+ 3+ 4+ 5+ {day}"
    return f"{abs(place)}{'-' if place < 0 else '+'} {day}"


def end_of_day(when: When) -> datetime.datetime:
    """The end that a device means by a date, or by its midnight: the whole day counts."""
    if isinstance(when, datetime.datetime) and (when.hour or when.minute or when.second or when.tzinfo is not None):
        return when
    return datetime.datetime(when.year, when.month, when.day, 23, 59, 59)
