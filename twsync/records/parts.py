"""A component cut into the parts that a merge decides about: each with a key that says what it is, and a text that says what is in it.

* what stands once (a title, a note, a birthday): keyed by its name;
* what stands several times (numbers, addresses, people): keyed by name and value, so that two sides' additions do not meet;
* lists (categories, exception dates): every item a part;
* a property with a group goes with all of its group: ``item1.TEL`` and ``item1.X-ABLabel`` are one part, whatever the group is called;
* start, end, due date and duration are one part (`TIMING`), and so are N and FN: half of each from either side would be nonsense;
* stamps of programs and the UID: keyed by their name, and nobody is asked about them.

A name that is none of these is a single one, unless one of the records has it twice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from twsync.records.component import LISTS, Component
from twsync.records.contentline import Property
from twsync.records.normal import STAMPS, TIMING, Context, params_text, property_text, timing, value_text
from twsync.records.values import split

Key = tuple[str, ...]

_MULTIPLE = frozenset(
    """
    TEL EMAIL ADR LABEL IMPP ATTENDEE ATTACH COMMENT CONTACT RELATED-TO RELATED MEMBER LANG REQUEST-STATUS CONFERENCE IMAGE AGENT
    X-AIM X-ICQ X-JABBER X-MSN X-SKYPE X-YAHOO X-GADUGADU X-GROUPWISE X-SIP X-TWITTER X-SOCIALPROFILE X-ABDATE X-ABRELATEDNAMES
    X-ADDRESSBOOKSERVER-MEMBER
    """.split()
)
_NAME = frozenset({"N", "FN"})
_NOT_DIGITS = re.compile(r"[^0-9*#pw]+")
#: First word of the keys of what nobody is asked about.
STAMP = "stamp"
TIME_KEY: Key = ("DTSTART",)
NAME_KEY: Key = ("N",)


class Part(msgspec.Struct, frozen=True):
    """What a merge takes or leaves as one."""

    key: Key
    properties: tuple[Property, ...]
    text: str
    "Comparable; empty: it says nothing."

    @property
    def name(self) -> str:
        """For people: the name of the property."""
        return self.key[1] if self.key[0] == STAMP else self.key[0]


def repeated_names(components: Iterable[Component]) -> frozenset[str]:
    """The names that one of the components has more than once."""
    found: set[str] = set()
    for component in components:
        counts = Counter(prop.key for prop in component.properties)
        found |= {key for key, count in counts.items() if count > 1}
    return frozenset(found)


def parts_of(component: Component, calendar: Component | None, repeated: frozenset[str]) -> dict[Key, Part]:
    """The parts of a component, in the order of their first property.

    :param calendar: what the component stands in, if that is a calendar.
    :param repeated: names to be taken as standing several times.
    """
    context = Context(component, calendar)
    found: dict[Key, Part] = {}
    seen: Counter[Key] = Counter()
    for key, properties, text in _cut(component, context, repeated):
        # The same number twice is two parts: nothing is lost only because it is there already.
        seen[key] += 1
        unique = (*key, str(seen[key])) if seen[key] > 1 else key
        found[unique] = Part(unique, properties, text)
    return found


def _cut(component: Component, context: Context, repeated: frozenset[str]) -> Iterator[tuple[Key, tuple[Property, ...], str]]:
    entry = context.calendar is not None and component.name in ("VEVENT", "VTODO")
    card = component.name == "VCARD"
    groups: dict[str, list[Property]] = {}
    for prop in component.properties:
        if prop.group:
            groups.setdefault(prop.group.upper(), []).append(prop)
    done: set[str] = set()
    for prop in component.properties:
        key = prop.key
        if key in STAMPS or key in ("UID", "VERSION"):
            yield (STAMP, key), (prop,), prop.value.strip()
        elif entry and key in TIMING:
            if "WHEN" not in done:
                done.add("WHEN")
                yield TIME_KEY, tuple(other for other in component.properties if other.key in TIMING), timing(context)
        elif card and key in _NAME and not prop.group and key not in repeated:
            if "NAME" not in done:
                done.add("NAME")
                names = tuple(other for other in component.properties if other.key in _NAME and not other.group)
                yield NAME_KEY, names, "\x1d".join(sorted(filter(None, (property_text(other, context) for other in names))))
        elif prop.group:
            if prop.group.upper() not in done:
                done.add(prop.group.upper())
                yield _group(groups[prop.group.upper()], context, repeated)
        elif key in LISTS:
            for raw in split(prop.value, ","):
                item = Property(prop.name, raw, prop.params)
                if text := value_text(item, context):
                    yield (key, text), (item,), property_text(item, context)
        else:
            yield _key_of(prop, context, repeated), (prop,), property_text(prop, context)


def _group(members: list[Property], context: Context, repeated: frozenset[str]) -> tuple[Key, tuple[Property, ...], str]:
    """A group's part: keyed by its first property that is no label of another."""
    first = next((prop for prop in members if not prop.key.startswith("X-AB")), members[0])
    rest = [prop for prop in members if prop is not first]
    text = "\x1d".join(sorted(filter(None, (property_text(prop, context) for prop in members))))
    return _key_of(first, context, repeated), (first, *rest), text


def _key_of(prop: Property, context: Context, repeated: frozenset[str]) -> Key:
    key = prop.key
    if key in _MULTIPLE or key in repeated or (key == "URL" and context.calendar is None):
        value = value_text(prop, context)
        if key == "TEL":
            return key, _NOT_DIGITS.sub("", value.lower()) or value
        return key, value.casefold() or param_text(prop)
    return (key,)


def param_text(prop: Property) -> str:
    """The parameters as one text."""
    return params_text(prop, prop.key)
