"""Three-way merging of records, property by property (docs/protocol/records.md has the rules as a table).

For every part (see `twsync.records.parts`) the base says who changed it: one side's change is taken, additions and removals alike; where
both changed the same part, its values, types and labels are looked at one by one; and what both changed even there is a conflict, which
`prefer` settles and the result names. "both" drops nothing that can be kept: texts keep both sides' lines, a change wins over a removal,
and of two values of which only one can stand, the longer stands (then the one later in the alphabet), so that both hosts choose alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import count

import msgspec

from twsync.records import texts
from twsync.records.component import LISTS, Component, parse, write
from twsync.records.contentline import Parameter, Property
from twsync.records.family import Family
from twsync.records.identity import load
from twsync.records.lines import Prefer, merge_lines
from twsync.records.normal import Context, value_text
from twsync.records.parts import NAME_KEY, STAMP, TIME_KEY, Key, Part, parts_of, repeated_names
from twsync.records.values import escape, unescape
from twsync.records.vcard import BINARY

#: Texts of several lines.
_LINES = frozenset({"NOTE", "DESCRIPTION", "COMMENT"})
_READING_PARAMS = frozenset({"ENCODING", "CHARSET", "VALUE", "TZID"})


class Conflict(msgspec.Struct, frozen=True):
    """What both sides changed, each in its way; None: not there."""

    property: str
    base: str | None
    ours: str | None
    theirs: str | None


class Merged(msgspec.Struct, frozen=True):
    """The outcome of a merge."""

    text: str
    conflicts: tuple[Conflict, ...] = ()
    "Where `prefer` had to decide."


def merge(family: Family, base: str | None, ours: str, theirs: str, prefer: Prefer = "both") -> Merged:
    """Both sides' changes to a record.

    :param base: what both started from; None: not known, then everything that either has is kept.
    :param prefer: who wins where both changed the same; "both": see the module. A removal is a change.
    :raises FormatError: if one of the texts is no record.
    """
    if ours == theirs or base == theirs:
        return Merged(ours)
    if base == ours:
        return Merged(theirs)
    if family is Family.NOTES:
        return _merge_notes(base, ours, theirs, prefer)
    records = [load(family, text) if text is not None else None for text in (base, ours, theirs)]
    if family is Family.CONTACTS and all(text is None or parse(text).value("VERSION") == "4.0" for text in (base, ours, theirs)):
        records = [parse(text) if text is not None else None for text in (base, ours, theirs)]
    work = _Merge(prefer, base is not None)
    merged = work.component(records[0], records[1], records[2])
    assert merged is not None
    return Merged(write(_with_used_zones(merged), legacy=family is Family.SMS), tuple(work.conflicts))


def _merge_notes(base: str | None, ours: str, theirs: str, prefer: Prefer) -> Merged:
    was, one, other = (None if text is None else texts.plain_note(text) for text in (base, ours, theirs))
    assert one is not None and other is not None
    found = merge_lines(_lines(was) if was is not None else None, _lines(one), _lines(other), prefer)
    conflicts = (Conflict("text", was, one, other),) if found.conflict else ()
    ends = [texts.line_end(text) for text in (ours, theirs) if texts.line_end(text)]
    if len(set(ends)) > 1 and base is not None:
        # One side changed them.
        ends = [end for end in ends if end != texts.line_end(base)]
    return Merged(texts.with_line_end(texts.plain_note("\n".join(found.lines)), min(ends, default="\n")), conflicts)


def _lines(note: str) -> list[str]:
    return note.removesuffix("\n").split("\n") if note else []


def _with_used_zones(record: Component) -> Component:
    """Without VTIMEZONEs that nothing refers to any more."""
    used = {value for part in record.walk() for prop in part.properties for value in prop.param("TZID")}
    return Component(
        record.name,
        record.properties,
        tuple(part for part in record.components if part.name != "VTIMEZONE" or part.value("TZID") in used),
        record.body,
    )


def _greater(ours: str, theirs: str) -> bool:
    """Whether ours is the one that stands, if only one can and no side is preferred."""
    return (len(ours), ours) >= (len(theirs), theirs)


class _Merge:
    """One merge under way."""

    def __init__(self, prefer: Prefer, has_base: bool) -> None:
        self.prefer = prefer
        self.has_base = has_base
        self.conflicts: list[Conflict] = []

    def takes_ours(self, ours: str, theirs: str) -> bool:
        return self.prefer == "ours" or (self.prefer == "both" and _greater(ours, theirs))

    # --- components ---

    def component(
        self,
        base: Component | None,
        ours: Component | None,
        theirs: Component | None,
        calendars: tuple[Component | None, ...] = (None, None, None),
    ) -> Component | None:
        """Two components with the same key; one or both may be gone."""
        if ours is None or theirs is None:
            return self._one_sided(base, ours, theirs)
        if theirs in (ours, base):
            return ours
        if ours == base:
            return theirs
        repeated = repeated_names(part for part in (base, ours, theirs) if part)
        cut = [parts_of(part, calendar, repeated) if part else {} for part, calendar in zip((base, ours, theirs), calendars, strict=True)]
        keys = dict.fromkeys([*cut[1], *cut[2]])
        contexts = tuple(Context(part or ours, calendar) for part, calendar in zip((base, ours, theirs), calendars, strict=True))
        kept = [found for key in keys if (found := self._part(cut[0].get(key), cut[1].get(key), cut[2].get(key), contexts))]
        body = ours.body
        if ours.body != theirs.body:
            body = self._body(base.body if base else None, ours.body or "", theirs.body or "")
        return Component(ours.name, tuple(_properties(kept)), self._inner(base, ours, theirs, calendars), body)

    def _one_sided(self, base: Component | None, ours: Component | None, theirs: Component | None) -> Component | None:
        """A component that one side does not have: it came there, or went here."""
        there = ours or theirs
        if base is None or there is None:
            return there
        if there == base:
            return None
        name = there.value("RECURRENCE-ID") or there.value("TRIGGER")
        self.conflicts.append(
            Conflict(f"{there.name} {name}".strip(), write(base), write(ours) if ours else None, write(theirs) if theirs else None)
        )
        return {"ours": ours, "theirs": theirs, "both": there}[self.prefer]

    def _inner(
        self, base: Component | None, ours: Component, theirs: Component, calendars: tuple[Component | None, ...]
    ) -> tuple[Component, ...]:
        if ours.name == "VCALENDAR":
            calendars = (base, ours, theirs)
        cut = [_keyed(part, calendar) if part else {} for part, calendar in zip((base, ours, theirs), calendars, strict=True)]
        keys = dict.fromkeys([*cut[1], *cut[2]])
        found = (self.component(cut[0].get(key), cut[1].get(key), cut[2].get(key), calendars) for key in keys)
        return tuple(part for part in found if part is not None)

    def _body(self, base: str | None, ours: str, theirs: str) -> str:
        if self.has_base and ours == base:
            return theirs
        if self.has_base and theirs == base:
            return ours
        self.conflicts.append(Conflict("text", base, ours, theirs))
        return ours if self.takes_ours(ours, theirs) else theirs

    # --- parts ---

    def _part(self, base: Part | None, ours: Part | None, theirs: Part | None, contexts: tuple[Context, ...]) -> Part | None:
        was, one, other = (part.text if part else "" for part in (base, ours, theirs))
        if one == other:
            return ours or theirs
        if self.has_base and one == was:
            return theirs
        if self.has_base and other == was:
            return ours
        there = ours if one else theirs
        assert there is not None
        if there.key[0] == STAMP:
            return self._stamp(ours, theirs)
        if not one or not other:
            if not was:
                return there
            self._note(there, base, ours, theirs)
            return {"ours": ours, "theirs": theirs, "both": there}[self.prefer]
        assert ours is not None and theirs is not None
        if ours.key == TIME_KEY:
            self._note(there, base, ours, theirs)
            return ours if self.takes_ours(one, other) else theirs
        before = len(self.conflicts)
        members = self._members(base, ours, theirs, contexts)
        if ours.key == NAME_KEY and len(self.conflicts) > before:
            del self.conflicts[before:]
            self._note(there, base, ours, theirs)
            return ours if self.takes_ours(one, other) else theirs
        return Part(ours.key, tuple(members), "changed")

    def _stamp(self, ours: Part | None, theirs: Part | None) -> Part | None:
        if ours is None or theirs is None:
            return ours or theirs
        if ours.key[1] == "UID" and self.prefer != "both":
            return ours if self.prefer == "ours" else theirs
        return ours if _greater(ours.text, theirs.text) else theirs

    def _members(self, base: Part | None, ours: Part, theirs: Part, contexts: tuple[Context, ...]) -> Iterable[Property]:
        """The properties of a part that both sides changed."""
        cut = [_by_name(part) if part else {} for part in (base, ours, theirs)]
        counted = len(ours.key) > 1
        for name in dict.fromkeys([*cut[1], *cut[2]]):
            was, one, other = (members.get(name) for members in cut)
            if one is None or other is None:
                # A label that one side added or took away; a change on the other side keeps it.
                there = one or other
                if there is not None and (was is None or (there.value, there.params) != (was.value, was.params)):
                    yield there
                continue
            yield self._property(was, one, other, contexts, counted)

    def _property(self, base: Property | None, ours: Property, theirs: Property, contexts: tuple[Context, ...], counted: bool) -> Property:
        was, one, other = (value_text(prop, context) if prop else "" for prop, context in zip((base, ours, theirs), contexts, strict=True))
        taken = ours
        if one != other:
            if self.has_base and one == was:
                taken = theirs
            elif not (self.has_base and other == was):
                taken = self._clash(base, ours, theirs, one, other, counted)
        if taken.key in BINARY or not (ours.params or theirs.params):
            return taken
        return msgspec.structs.replace(taken, params=self._params(base, ours, theirs, taken))

    def _clash(self, base: Property | None, ours: Property, theirs: Property, one: str, other: str, counted: bool) -> Property:
        """Both changed the value."""
        key = ours.key
        if key in _LINES:
            was = unescape(base.value).split("\n") if base else [] if self.has_base else None
            found = merge_lines(was, unescape(ours.value).split("\n"), unescape(theirs.value).split("\n"), self.prefer)
            if found.conflict:
                self.conflicts.append(Conflict(key, unescape(base.value) if base else None, unescape(ours.value), unescape(theirs.value)))
            return msgspec.structs.replace(ours, value=escape("\n".join(found.lines)))
        if not counted:
            self.conflicts.append(Conflict(key, base.value if base else None, ours.value, theirs.value))
        return ours if self.takes_ours(one, other) else theirs

    def _params(self, base: Property | None, ours: Property, theirs: Property, taken: Property) -> tuple[Parameter, ...]:
        """How to read the value comes with the value; types are a set; every other parameter is a single one."""
        merged = [param for param in taken.params if param.name.upper() in _READING_PARAMS]
        was, one, other = (_types(prop) if prop else {} for prop in (base, ours, theirs))
        gone = {name for name in was if name not in one or name not in other} if self.has_base else set()
        types = tuple(spelled for name, spelled in {**other, **one}.items() if name not in gone)
        merged += [Parameter("TYPE", tuple(sorted(types)))] if types else []
        cut = [
            {param.name.upper(): param for param in prop.without("TYPE", "", *_READING_PARAMS)} if prop else {}
            for prop in (base, ours, theirs)
        ]
        for name in dict.fromkeys([*cut[1], *cut[2]]):
            first, mine, yours = (params.get(name) for params in cut)
            if mine == yours or (self.has_base and yours == first):
                chosen = mine
            elif self.has_base and mine == first:
                chosen = yours
            else:
                chosen = self._parameter(mine, yours)
            merged += [chosen] if chosen is not None else []
        return tuple(merged)

    def _parameter(self, ours: Parameter | None, theirs: Parameter | None) -> Parameter | None:
        if ours is None or theirs is None:
            return {
                "ours": ours if self.has_base else ours or theirs,
                "theirs": theirs if self.has_base else ours or theirs,
                "both": ours or theirs,
            }[self.prefer]
        return ours if self.takes_ours(",".join(ours.values), ",".join(theirs.values)) else theirs

    def _note(self, part: Part, base: Part | None, ours: Part | None, theirs: Part | None) -> None:
        shown = [", ".join(prop.value for prop in part.properties) if part else None for part in (base, ours, theirs)]
        self.conflicts.append(Conflict(part.name, *shown))


def _types(prop: Property) -> dict[str, str]:
    """The types by their names in capitals."""
    return {value.upper(): value for value in (*prop.param("TYPE"), *prop.param("")) if value}


def _by_name(part: Part) -> dict[tuple[str, int], Property]:
    found: dict[tuple[str, int], Property] = {}
    seen: Counter[str] = Counter()
    for prop in part.properties:
        seen[prop.key] += 1
        found[prop.key, seen[prop.key]] = prop
    return found


def _keyed(component: Component, calendar: Component | None) -> dict[Key, Component]:
    """The components inside by what they are: a changed instance by its day, an alarm by its time, a zone by its name."""
    found: dict[Key, Component] = {}
    seen: Counter[Key] = Counter()
    marks: dict[str, str] = {"VTIMEZONE": "TZID", "VALARM": "TRIGGER"}
    # In an order of their own: of two alarms at the same time, the same one comes first on both sides.
    for part in sorted(component.components, key=lambda part: part.value("ACTION").upper()):
        whole = component if component.name == "VCALENDAR" else calendar
        prop = part.get(marks.get(part.name, "RECURRENCE-ID"))
        key: Key = (part.name, value_text(prop, Context(part, whole)) if prop else "")
        seen[key] += 1
        found[(*key, str(seen[key]))] = part
    return found


def _properties(parts: list[Part]) -> list[Property]:
    """The properties of the merged parts: list items joined again, groups under names of their own."""
    made: list[Property] = []
    lists: dict[tuple[str, tuple[Parameter, ...]], int] = {}
    groups: set[str] = set()
    fresh = (f"item{number}" for number in count(1))
    for part in parts:
        first = part.properties[0]
        if first.key in LISTS and not first.group:
            place = lists.get((first.key, first.params))
            if place is not None:
                made[place] = msgspec.structs.replace(made[place], value=f"{made[place].value},{first.value}")
                continue
            lists[first.key, first.params] = len(made)
            made.append(first)
            continue
        named = next((prop.group for prop in part.properties if prop.group), "")
        if named and named.upper() in groups:
            named = next(name for name in fresh if name.upper() not in groups)
        groups.add(named.upper())
        made += [msgspec.structs.replace(prop, group=named) if prop.group != named else prop for prop in part.properties]
    return made
