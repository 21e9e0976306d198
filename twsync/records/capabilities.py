"""What a device stores of a form: its CTCap as a value, and a record without what it does not store.

A device that sent no CTCap still gets everything, for readers pass over what they do not know. But that such a device sends a record back
without a property says nothing about that property, unless it is one of the few that every device stores: `basic`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Protocol

import msgspec

from twsync.records.alarms import LEGACY_NAMES
from twsync.records.component import Component
from twsync.records.contentline import Parameter, Property
from twsync.records.family import LEGACY, Family, Form
from twsync.records.values import escape, unescape
from twsync.records.vcalendar import TEXTS as CALENDAR_TEXTS
from twsync.records.vcard import BINARY
from twsync.records.vcard import TEXTS as CARD_TEXTS


class ParameterCapability(msgspec.Struct, frozen=True):
    """A parameter that a device knows; no values: any."""

    name: str
    values: tuple[str, ...] = ()


class PropertyCapability(msgspec.Struct, frozen=True):
    """A property that a device stores; no values: any. `max_size` counts characters."""

    name: str
    values: tuple[str, ...] = ()
    params: tuple[ParameterCapability, ...] = ()
    max_size: int | None = None
    max_occur: int | None = None
    no_truncate: bool = False


class ParameterLike(Protocol):
    """What `capabilities` reads of a PropParam."""

    @property
    def name(self) -> str:
        """ParamName."""

    @property
    def values(self) -> tuple[str, ...]:
        """ValEnum."""


class PropertyLike(Protocol):
    """What `capabilities` reads of a property of a CTCap; `twsync.syncml.document.Property` is one."""

    @property
    def name(self) -> str:
        """PropName."""

    @property
    def values(self) -> tuple[str, ...]:
        """ValEnum."""

    @property
    def params(self) -> Sequence[ParameterLike]:
        """PropParam."""

    @property
    def max_size(self) -> int | None:
        """MaxSize (1.2), Size (1.1)."""

    @property
    def max_occur(self) -> int | None:
        """MaxOccur."""

    @property
    def no_truncate(self) -> bool:
        """NoTruncate."""


#: Parameters that say how to read a value: never left out.
_STRUCTURAL = frozenset({"ENCODING", "CHARSET", "VALUE", "TZID", "RELATED", "RANGE"})
#: Types that a device is taken to store whose CTCap says nothing about parameters at all.
_BASIC_TYPES = frozenset({"HOME", "WORK", "CELL", "FAX", "VOICE", "PAGER", "PREF", "INTERNET"})
#: Properties that make a record what it is: sent whatever the CTCap says.
_ESSENTIAL = frozenset({"VERSION", "BEGIN", "END", "N", "FN", "DTSTART", "SUMMARY"})
#: What vCalendar 1.0 calls otherwise.
_LEGACY_NAMES = {
    "CREATED": "DCREATED",
    "DURATION": "DTEND",
    "ORGANIZER": "ATTENDEE",
    "X-VCALENDAR-RRULE": "RRULE",
    "X-VCALENDAR-EXRULE": "EXRULE",
}


class Capabilities:
    """What a device stores of one form."""

    def __init__(self, properties: Iterable[PropertyCapability]) -> None:
        self.properties = {prop.name.upper(): prop for prop in properties}
        # Names of encodings alone say nothing about types.
        self._says_params = any(param.name.upper() not in _STRUCTURAL for prop in self.properties.values() for param in prop.params)

    def stores(self, key: str) -> bool:
        """Whether a property is stored.

        :param key: its name in the device's form, in capitals.
        """
        return key in self.properties

    def takes_params(self, prop: PropertyCapability, params: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
        """Those of the parameters that are stored with a property. A list of type names may stand for TYPE, as DevInf 1.1 has it."""
        if prop.name.upper() in BINARY:
            return params
        names = {param.name.upper() for param in prop.params}
        types = names | {value.upper() for param in prop.params for value in param.values} if self._says_params else _BASIC_TYPES
        any_type = any(param.name.upper() == "TYPE" and not param.values for param in prop.params)
        kept = []
        for param in params:
            name = param.name.upper()
            if name in _STRUCTURAL:
                kept.append(param)
            elif name in ("TYPE", ""):
                values = tuple(value for value in param.values if any_type or value.upper() in types)
                kept += [Parameter(param.name, values)] if values else []
            elif name in names or not self._says_params:
                kept.append(param)
        return tuple(kept)


def capabilities(properties: Iterable[PropertyLike]) -> Capabilities:
    """What the properties of a CTCap say: ``capabilities(ctcap.properties)``. An empty CTCap says nothing; use None in its place."""
    return Capabilities(
        PropertyCapability(
            prop.name,
            prop.values,
            tuple(ParameterCapability(param.name, param.values) for param in prop.params),
            prop.max_size,
            prop.max_occur,
            prop.no_truncate,
        )
        for prop in properties
        if prop.name
    )


@lru_cache(maxsize=16)
def basic(family: Family) -> Capabilities:
    """What every device stores: only the lack of these is taken for a deletion if there is no CTCap."""
    names = {
        Family.CONTACTS: ("N", "FN", "TEL", "EMAIL"),
        Family.CALENDAR: ("SUMMARY", "DTSTART", "DTEND", "RRULE"),
        Family.TASKS: ("SUMMARY", "DTSTART", "DUE", "STATUS", "COMPLETED"),
        Family.NOTES: ("BODY",),
        Family.SMS: ("TEL",),
    }[family]
    return Capabilities(PropertyCapability(name) for name in names)


def restrict(record: Component, known: Capabilities, form: Form, *, cut: bool) -> Component:
    """A stored record without what a device does not store; the form's own losses come with the conversion.

    :param record: VCARD 3.0 or VCALENDAR.
    :param cut: shorten what is longer than the device takes, and leave out what it must not shorten. Pictures are never: their sizes in
        device information are not to be trusted (fact sheet section 14, 12).
    """
    legacy = form in LEGACY
    seen: dict[str, int] = {}
    kept: list[Property] = []
    for prop in record.properties:
        key = prop.key
        found = known.properties.get(_LEGACY_NAMES.get(key, key) if legacy else key)
        if record.name == "VCALENDAR":
            kept.append(prop)
            continue
        if found is None:
            kept += [prop] if key in _ESSENTIAL else []
            continue
        seen[key] = seen.get(key, 0) + 1
        if found.max_occur and seen[key] > found.max_occur:
            continue
        fitting = _fit(prop, found) if cut else prop
        if fitting is not None:
            kept.append(Property(fitting.name, fitting.value, known.takes_params(found, fitting.params), fitting.group))
    inner = [part for part in record.components if _takes_component(part, known, legacy)]
    entries = ("VEVENT", "VTODO")
    return Component(
        record.name, tuple(kept), tuple(restrict(part, known, form, cut=cut) if part.name in entries else part for part in inner)
    )


def _takes_component(part: Component, known: Capabilities, legacy: bool) -> bool:
    if part.name == "VALARM":
        names = LEGACY_NAMES if legacy else ("VALARM", "TRIGGER")
        return any(known.stores(name) for name in names) or _begins(known, "VALARM")
    if part.get("RECURRENCE-ID") is not None:
        return known.stores("RECURRENCE-ID")
    return True


def _begins(known: Capabilities, name: str) -> bool:
    begin = known.properties.get("BEGIN")
    return begin is not None and name in (value.upper() for value in begin.values)


def _fit(prop: Property, found: PropertyCapability) -> Property | None:
    if not found.max_size or prop.key not in CARD_TEXTS | CALENDAR_TEXTS or len(prop.value) <= found.max_size:
        return prop
    text = unescape(prop.value)
    if len(text) <= found.max_size:
        return prop
    return None if found.no_truncate else Property(prop.name, escape(text[: found.max_size].rstrip()), prop.params, prop.group)
