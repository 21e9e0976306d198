"""What a device sends back, completed with what it cannot hold.

The way: what the device would send back if nobody had touched the record is known, for it is what it was given, read again (`echo`). From
there it is a three-way merge: what the device changed against the echo is its change; what the record has and the echo has not, or has in a
poorer spelling, stays. So a property that the device or the form cannot hold is never taken for a deletion, and a time zone that went out
as UTC comes back.
"""

from __future__ import annotations

import datetime

from twsync.errors import FormatError
from twsync.records import texts, zones
from twsync.records.capabilities import Capabilities, basic, restrict
from twsync.records.component import Component, parse, write
from twsync.records.contentline import Property
from twsync.records.family import VCALENDAR, Family, Form
from twsync.records.identity import found_with_uid, load
from twsync.records.merge import merge
from twsync.records.normal import Context, component_texts, property_text, value_text
from twsync.records.recurrence import parts_of
from twsync.records.times import parse_time, write_time
from twsync.records.vcalendar_writing import master_of
from twsync.records.vcard import as_4
from twsync.records.wire import from_wire, to_wire

#: Times that go by the zone of the event.
_TIMES = frozenset({"DTSTART", "DTEND", "DUE", "EXDATE", "RDATE"})


def overlay(
    family: Family,
    kept: str,
    incoming: str,
    *,
    form: Form,
    capabilities: Capabilities | None = None,
    utc: bool = True,
    zone: str = "UTC",
    partial: bool = False,
) -> str:
    """The record that a device means.

    :param kept: the stored record that the device was given last (or, if that is not known, as it is now).
    :param incoming: what the device sent, in stored form (out of `from_wire`, with the same `partial`).
    :param form: in which it travels.
    :param capabilities: what the device stores; None: it did not say (see `capabilities.basic`).
    :param utc: as for `to_wire`.
    :param zone: as for `to_wire`.
    :param partial: what `incoming` does not name stays, all of it (FieldLevel).
    :raises FormatError: if one of the texts is no record.
    """
    if family is Family.NOTES:
        # One form, all of it text: there is nothing that a device could not hold, but for how its lines end.
        return texts.with_line_end(texts.plain_note(incoming), texts.line_end(kept))
    if family is Family.SMS:
        return incoming
    echo = from_wire(family, form.type, to_wire(family, kept, form, capabilities=capabilities, utc=utc, zone=zone), zone=zone)
    held = load(family, echo)
    if capabilities is None:
        held = _seen_again(restrict(held, basic(family), form, cut=False), held, load(family, incoming), None)
    if partial:
        incoming = write(_completed(load(family, incoming), held))
    own = load(family, kept)
    if form == VCALENDAR and not _same_rule(held, load(family, incoming)):
        own = _on_the_clock_of(held, own)
    elif form == VCALENDAR:
        incoming = write(_in_kept_zone(own, load(family, incoming)))
    merged = load(family, merge(family, write(held), write(own), incoming, "theirs").text)
    if family is Family.CONTACTS and parse(kept).value("VERSION") == "4.0":
        merged = as_4(merged, parse(kept))
    name = next((part.value("UID") for part in load(family, kept).walk() if part.value("UID")), "")
    return write(found_with_uid(merged, name) if name else merged)


def _seen_again(basic: Component, echo: Component, incoming: Component, calendar: Component | None) -> Component:
    """What a device is believed about: the basic properties, and everything that it sends back as it was given it.

    Without the latter, an alarm that comes back in another shape than the record has would be one that the device has made.

    :param calendar: what `echo` stands in.
    """
    whole = calendar or (echo if echo.name == "VCALENDAR" else None)
    known = {property_text(prop, Context(incoming, whole)) for prop in incoming.properties}
    kept = frozenset(basic.properties)
    properties = tuple(prop for prop in echo.properties if prop in kept or property_text(prop, Context(echo, whole)) in known)
    stays = {part.name: part for part in reversed(basic.components)}
    there = {part.name: part for part in reversed(incoming.components)}
    alarms = [component_texts(part, whole) for part in incoming.components]
    inner = []
    for part in echo.components:
        if part.name in ("VEVENT", "VTODO") and part.name in stays and part.name in there:
            inner.append(_seen_again(stays[part.name], part, there[part.name], whole))
        elif part in basic.components or component_texts(part, whole) in alarms:
            inner.append(part)
    return Component(echo.name, properties, tuple(inner), echo.body)


def _same_rule(held: Component, incoming: Component) -> bool:
    """Whether two entries that start alike repeat alike. SyncEvolution says by a day where the rule ends that it was given as a number."""
    entries = [(master_of(calendar), calendar) for calendar in (held, incoming)]
    rules = [value_text(rule, Context(entry, calendar)) if (rule := entry.get("RRULE")) else "" for entry, calendar in entries]
    if rules[0] == rules[1]:
        return True
    start = entries[0][0].get("DTSTART")
    try:
        one, other = (parts_of(rule) for rule in rules)
        if "UNTIL" in one:
            one, other = other, one
        count, until = int(one.pop("COUNT")), parse_time(other.pop("UNTIL"))
        step = int(one.get("INTERVAL", "1")) * {"DAILY": 1, "WEEKLY": 7}[one["FREQ"]]
        when = parse_time(start.value) if start is not None else until
        days = (datetime.date(until.year, until.month, until.day) - datetime.date(when.year, when.month, when.day)).days
    except (FormatError, KeyError, ValueError):
        return False
    # Without days of its own, such a rule is all one step.
    return one == other and "BYDAY" not in one and (count - 1) * step <= days < count * step


def _with_entry(calendar: Component, properties: tuple[Property, ...]) -> Component:
    """A calendar whose event or task has these properties."""
    entry = master_of(calendar)
    changed = Component(entry.name, properties, entry.components)
    return Component(calendar.name, calendar.properties, tuple(changed if part is entry else part for part in calendar.components))


def _on_the_clock_of(held: Component, kept: Component) -> Component:
    """The record with its times as the device has them: it changed the rule, which is about the days of its own clock."""
    by_clock = _TIMES | {"RRULE", "DURATION"}
    times = tuple(prop for prop in master_of(held).properties if prop.key in by_clock)
    changed = _with_entry(kept, (*(prop for prop in master_of(kept).properties if prop.key not in by_clock), *times))
    definitions = tuple(part for part in held.components if part.name == "VTIMEZONE" and part not in kept.components)
    return Component(changed.name, changed.properties, (*definitions, *changed.components))


def _in_kept_zone(kept: Component, incoming: Component) -> Component:
    """What came, with its times in the zone of the record: vCalendar 1.0 cannot name one, so the device cannot have changed it."""
    start = master_of(kept).get("DTSTART") or master_of(kept).get("DUE")
    _, zone = zones.time_of(start, kept) if start else (None, None)
    if start is None or zone is None:
        return incoming
    moved = []
    for prop in master_of(incoming).properties:
        when, own = zones.time_of(prop, incoming) if prop.key in _TIMES and "," not in prop.value else (None, None)
        moment = zones.instant(when, own) if when else None
        if isinstance(moment, datetime.datetime) and moment.tzinfo is not None:
            prop = Property(prop.name, write_time(zones.to_local(moment, zone)), start.params)
        elif prop.key == "RRULE":
            # Spelled by the days of the zone again.
            prop = master_of(kept).get("RRULE") or prop
        moved.append(prop)
    return _with_entry(incoming, tuple(moved))


def _completed(part: Component, held: Component) -> Component:
    """A partial record with what it does not name."""
    named = {prop.key for prop in part.properties}
    groups = {prop.group for prop in held.properties if prop.group and prop.key in named}
    rest = [prop for prop in held.properties if prop.key not in named and prop.group not in groups]
    others = {inner.name: inner for inner in reversed(held.components)}
    inner = [_completed(inner, others[inner.name]) if inner.name in others else inner for inner in part.components]
    names = {component.name for component in part.components}
    return Component(part.name, (*part.properties, *rest), (*inner, *(other for other in held.components if other.name not in names)))
