"""Alarms: VALARM of iCalendar (RFC 5545 section 3.6.6) and AALARM, DALARM, MALARM of vCalendar 1.0 ("Audio Reminder" and its kin).

vCalendar 1.0 says when an alarm runs; iCalendar mostly how long before the start. Read: relative to the start, so that the alarms of a
repeated event repeat. Written: as the time at which the first occurrence rings, in UTC if the device understands it.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable

from twsync.errors import FormatError
from twsync.records.component import Component, plain
from twsync.records.contentline import Parameter, Property
from twsync.records.times import When, add, parse_duration, parse_time, write_duration, write_time
from twsync.records.values import escape, legacy_escape, legacy_unescape, split, unescape
from twsync.records.vcard import legacy_line

LEGACY_NAMES = ("AALARM", "DALARM", "MALARM")
_ACTIONS = {"AALARM": "AUDIO", "DALARM": "DISPLAY", "MALARM": "EMAIL"}


def from_legacy(
    prop: Property, text: str, start: When | None, anchor: Callable[[When], datetime.datetime | None], summary: str
) -> Component | None:
    """The VALARM of a vCalendar 1.0 alarm; None for one that never rings.

    :param text: the value, decoded.
    :param start: what the alarm is relative to (in UTC or floating, as `anchor` gives it); None: it stays absolute.
    :param anchor: brings the time of the alarm to that scale; None if it is a date.
    :param summary: raw, shown where the alarm brings no text of its own.
    """
    run, snooze, repeat, *rest = [*(legacy_unescape(part).strip() for part in split(text, ";")), "", "", ""]
    try:
        moment = anchor(parse_time(run))
    except FormatError:
        # Some devices write a duration before the start.
        moment = None
    try:
        if moment is not None and isinstance(start, datetime.datetime) and (moment.tzinfo is None) == (start.tzinfo is None):
            trigger = plain("TRIGGER", write_duration(moment - start))
        elif moment is not None and moment.tzinfo is not None:
            trigger = plain("TRIGGER", write_time(moment), VALUE="DATE-TIME")
        else:
            trigger = plain("TRIGGER", write_duration(parse_duration(run)))
    except FormatError:
        return None
    action = _ACTIONS[prop.key]
    properties = [plain("ACTION", action), trigger]
    if repeat.isascii() and repeat.isdigit() and len(repeat) < 5 and int(repeat):
        with contextlib.suppress(FormatError):
            properties += [plain("DURATION", write_duration(parse_duration(snooze))), plain("REPEAT", str(int(repeat)))]
    words = [part for part in rest if part]
    if action == "EMAIL":
        properties += [plain("ATTENDEE", f"mailto:{words[0]}")] if words else []
        properties += [plain("SUMMARY", summary or "Reminder")]
    if action != "AUDIO":
        properties.append(plain("DESCRIPTION", escape(words[-1]) if words else summary or "Reminder"))
    elif words:
        properties.append(plain("ATTACH", words[-1], VALUE="URI") if ":" in words[-1] else plain("X-AUDIO", escape(words[-1])))
    return Component("VALARM", tuple(properties))


def to_legacy(alarm: Component, start: When, end: When | None, write: Callable[[When], str], names: tuple[str, ...]) -> Property | None:
    """The vCalendar 1.0 property of a VALARM; None if it has no time.

    :param start: of the event, as instant or floating.
    :param end: likewise.
    :param write: writes an instant as the device wants it.
    :param names: the alarms that the device knows, of `LEGACY_NAMES`.
    """
    trigger = alarm.get("TRIGGER")
    if trigger is None or not names:
        return None
    try:
        if trigger.first("VALUE") == "DATE-TIME" or trigger.value[:1].isdigit():
            moment: When = parse_time(trigger.value)
        else:
            related = end if trigger.first("RELATED") == "END" and end is not None else start
            day = related if isinstance(related, datetime.datetime) else datetime.datetime(related.year, related.month, related.day)
            moment = add(day, parse_duration(trigger.value))
    except FormatError:
        return None
    action = alarm.value("ACTION").upper()
    name = next((name for name in names if _ACTIONS[name] == action), names[0])
    repeat = alarm.value("REPEAT") if alarm.get("DURATION") else ""
    parts = [write(moment), alarm.value("DURATION") if repeat else "", repeat]
    if name == "MALARM":
        parts.append(alarm.value("ATTENDEE").removeprefix("mailto:"))
    text = alarm.value("ATTACH") or unescape(alarm.value("X-AUDIO")) if name == "AALARM" else unescape(alarm.value("DESCRIPTION"))
    parts.append(text)
    params = [Parameter("TYPE", ("X-EPOCSOUND",))] if name == "AALARM" and text.lower().startswith("c:") else []
    return legacy_line(name, params, ";".join(legacy_escape(part, structured=True) for part in parts))
