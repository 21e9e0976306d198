"""Properties and records as comparable texts: what two devices write differently and mean alike becomes the same.

Left out: line ends, folds, order, transfer encodings, the case of names and types, empty values, default values, stamps of programs
(`STAMPS`), the UID (which has a place of its own in an `Identity`), and how an instant is written (UTC, or local with a zone). The time of
a repeated event keeps the offset half a year later: two zones are the same only if they change alike.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Iterable

from twsync.errors import FormatError
from twsync.records import zones
from twsync.records.component import LISTS, Component
from twsync.records.contentline import Parameter, Parameters, Property
from twsync.records.recurrence import parts_of
from twsync.records.times import add, parse_duration, parse_time, write_time
from twsync.records.values import fields, items, split, unescape
from twsync.records.vcard import BINARY, STRUCTURED

#: What programs write to say when and by whom a record was changed: no content.
STAMPS = frozenset(
    {"REV", "PRODID", "DTSTAMP", "LAST-MODIFIED", "CREATED", "SEQUENCE", "X-LIC-LOCATION", "X-MOZ-GENERATION", "CALSCALE", "METHOD"}
)
_APART = STAMPS | {"UID", "VERSION", "PROFILE"}
#: When an event or task is: one unit, for its parts mean nothing alone.
TIMING = frozenset({"DTSTART", "DTEND", "DUE", "DURATION"})
_TIME_LISTS = frozenset({"EXDATE", "RDATE"})
_TIMES = frozenset({"DTSTART", "DTEND", "DUE", "COMPLETED", "RECURRENCE-ID", "ACKNOWLEDGED"})
_MEANINGLESS_PARAMS = frozenset({"ENCODING", "CHARSET", "VALUE", "TZID"})
#: Types that go without saying.
_DEFAULT_TYPES = {"TEL": frozenset({"VOICE"}), "EMAIL": frozenset({"INTERNET"}), "ADR": frozenset({"INTL", "POSTAL", "PARCEL"})}
_DEFAULTS = {"TRANSP": "OPAQUE", "CLASS": "PUBLIC", "PRIORITY": "0"}
_CAPITALS = frozenset({"TRANSP", "CLASS", "STATUS", "ACTION", "PARTSTAT"})
_DAY = datetime.timedelta(days=1)
_HALF_YEAR = datetime.timedelta(days=182)


class Context:
    """What the properties of a component are read with: the calendar and its zones, whether the entry repeats."""

    __slots__ = ("calendar", "component", "repeats")

    def __init__(self, component: Component, calendar: Component | None = None) -> None:
        self.component = component
        self.calendar = calendar
        self.repeats = calendar is not None and any(component.get(key) for key in ("RRULE", "RDATE"))

    def time(self, prop: Property, raw: str) -> str:
        """A time as text: an instant in UTC if its zone is known."""
        try:
            when = parse_time(raw)
            if not isinstance(when, datetime.datetime) or when.tzinfo is not None:
                return write_time(when)
            named = prop.param("TZID")
            zone = zones.zone_of(named[0], self.calendar) if named else None
            if zone is None:
                return write_time(when)
            text = write_time(zones.to_utc(when, zone))
            if self.repeats and prop.key == "DTSTART":
                text += f"/{(add(when, _HALF_YEAR) if when.year < 9990 else when).replace(tzinfo=zone).utcoffset()}"
            return text
        except FormatError:
            return raw.strip()


def params_text(prop: Property, key: str) -> str:
    """The parameters that mean something, as sorted texts.

    :param key: of `prop`, or of what takes its place.
    """
    params = prop.params
    if not isinstance(params, Parameters):
        return _params_text(key, params) if params else ""
    known, text = params.made
    if known != key:
        text = _params_text(key, params)
        params.made = (key, text)
    return text


def _params_text(key: str, params: tuple[Parameter, ...]) -> str:
    found: set[str] = set()
    defaults = _DEFAULT_TYPES.get(key, frozenset())
    for param in params:
        name = param.name.upper()
        if name in ("TYPE", ""):
            found.update(value for value in map(str.upper, param.values) if value not in defaults)
        elif name not in _MEANINGLESS_PARAMS and any(param.values):
            found.add(f"{name}={','.join(sorted(param.values))}")
    return ";".join(sorted(found))


def value_text(prop: Property, context: Context) -> str:
    """The value as comparable text; empty if there is nothing in it."""
    return _value_text(prop, prop.key, context)


def _value_text(prop: Property, key: str, context: Context) -> str:
    value = prop.value
    if context.calendar is not None:
        maker = _CALENDAR_VALUES.get(key)
        if maker is not None:
            return maker(prop, context)
        if key in _CAPITALS:
            value = value.strip().upper()
            return "" if _DEFAULTS.get(key) == value else value
        if _DEFAULTS.get(key) == value.strip():
            return ""
    elif key in STRUCTURED:
        return "\x1f".join(fields(value))
    elif key in BINARY and prop.first("ENCODING"):
        return "".join(value.split())
    elif key == "BDAY":
        return value.replace("-", "").strip().partition("T")[0]
    if key in LISTS:
        return "\x1f".join(sorted(items(value)))
    if "\\" in value:
        value = unescape(value)
    return value.strip()


def _duration(prop: Property, context: Context) -> str:
    try:
        return str(parse_duration(prop.value))
    except FormatError:
        return prop.value.strip()


def _trigger(prop: Property, context: Context) -> str:
    return context.time(prop, prop.value) if prop.value[:1].isdigit() else _duration(prop, context)


def _rule(prop: Property, context: Context) -> str:
    try:
        parts = parts_of(prop.value)
    except FormatError:
        return prop.value.strip()
    start = context.component.get("DTSTART")
    if "UNTIL" in parts and start is not None:
        parts["UNTIL"] = context.time(
            start if "TZID" in {param.name.upper() for param in start.params} else prop, parts["UNTIL"]
        ).partition("/")[0]
    for name, default in (("INTERVAL", "1"), ("WKST", "MO")):
        if parts.get(name) == default:
            del parts[name]
    return ";".join(
        sorted(
            f"{name}={','.join(sorted(value.split(',')))}" for name, value in parts.items() if not _said_by_start(name, value, parts, start)
        )
    )


_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def _said_by_start(name: str, value: str, parts: dict[str, str], start: Property | None) -> bool:
    """Whether a part of a rule only repeats what the start says anyway: devices spell it out."""
    try:
        when = parse_time(start.value) if start else None
    except FormatError:
        return False
    frequency = parts["FREQ"]
    if when is None:
        return False
    if frequency == "WEEKLY":
        return name == "BYDAY" and value == _WEEKDAYS[when.weekday()]
    if frequency == "MONTHLY":
        return name == "BYMONTHDAY" and value == str(when.day) and "BYDAY" not in parts
    if frequency == "YEARLY":
        whole = not {"BYDAY", "BYYEARDAY", "BYWEEKNO"} & parts.keys()
        return whole and (name, value) in (("BYMONTH", str(when.month)), ("BYMONTHDAY", str(when.day)))
    return False


def _times(prop: Property, context: Context) -> str:
    return "\x1f".join(sorted(context.time(prop, part) for part in split(prop.value, ",") if part.strip()))


def _address(prop: Property, context: Context) -> str:
    return prop.value.strip().casefold()


_CALENDAR_VALUES: dict[str, Callable[[Property, Context], str]] = {
    "DURATION": _duration,
    "TRIGGER": _trigger,
    "RRULE": _rule,
    "EXRULE": _rule,
    "ATTENDEE": _address,
    "ORGANIZER": _address,
    **dict.fromkeys(_TIMES, lambda prop, context: context.time(prop, prop.value)),
    **dict.fromkeys(_TIME_LISTS, _times),
}


def timing(context: Context) -> str:
    """When an event or task is, as text: start and end, however they are said."""
    entry = context.component
    start, end, due = (context.time(prop, prop.value) if (prop := entry.get(key)) else "" for key in ("DTSTART", "DTEND", "DUE"))
    lasts = entry.get("DURATION")
    try:
        if lasts is not None and start and not end and not due:
            begins = parse_time(start.partition("/")[0])
            end = write_time(add(begins, parse_duration(lasts.value)))
        elif entry.name == "VEVENT" and len(start) == 8 and not end:
            end = write_time(add(parse_time(start), _DAY))
    except FormatError:
        end = lasts.value if lasts else ""
    return f"{start}|{end}|{due}" if start or end or due else ""


def property_text(prop: Property, context: Context) -> str:
    """A property as comparable text, without its group; empty if it says nothing."""
    return _property_text(prop, prop.key, context)


def _property_text(prop: Property, key: str, context: Context) -> str:
    value = _value_text(prop, key, context)
    if not value:
        return ""
    params = params_text(prop, key) if prop.params else ""
    return f"{key};{params}:{value}" if params else f"{key}:{value}"


def component_texts(component: Component, calendar: Component | None = None) -> list[str]:
    """A component as comparable texts, sorted; what stands in it, each as one text."""
    context = Context(component, calendar)
    entry = calendar is not None and component.name in ("VEVENT", "VTODO")
    texts = []
    labels: dict[str, list[str]] = {}
    for prop in component.properties:
        key = prop.name.upper()
        if key in _APART or (entry and key in TIMING):
            continue
        text = _property_text(prop, key, context)
        if not text:
            continue
        if prop.group:
            labels.setdefault(prop.group.upper(), []).append(text)
        else:
            texts.append(text)
    texts += ["\x1d".join(sorted(grouped)) for grouped in labels.values()]
    if entry and (when := timing(context)):
        texts.append(f"WHEN:{when}")
    for inner in component.components:
        if inner.name != "VTIMEZONE":
            whole = calendar or (component if component.name == "VCALENDAR" else None)
            texts.append(f"{inner.name}\x1e" + "\x1e".join(component_texts(inner, whole)))
    if component.body is not None and component.body.strip():
        texts.append(f"\x1c{component.body.strip()}")
    texts.sort()
    return texts


def digest(texts: Iterable[str]) -> bytes:
    """16 bytes that stand for a content."""
    return hashlib.blake2b("\n".join(texts).encode("utf-8", "surrogatepass"), digest_size=16).digest()
