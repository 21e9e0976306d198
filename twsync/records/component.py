"""Components: content lines between BEGIN and END, one in another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import msgspec

from twsync import limits
from twsync.errors import FormatError
from twsync.records.contentline import Parameter, Property, fold, parse_line, unfold, unfold_legacy, write_line

#: Properties whose value is a list, in every family; each of its values costs as much as a property.
LISTS = frozenset({"CATEGORIES", "NICKNAME", "RESOURCES", "EXDATE", "RDATE"})


class Component(msgspec.Struct, frozen=True, gc=False):
    """A component with what stands in it, in order; frozen, so that parsed records can be cached and shared."""

    name: str
    "In capitals, such as ``VCARD``."
    properties: tuple[Property, ...] = ()
    components: tuple[Component, ...] = ()
    body: str | None = None
    "Free text: only in the VBODY of a vMessage."

    def all(self, key: str) -> list[Property]:
        """The properties of a name in capitals."""
        return [prop for prop in self.properties if prop.name.upper() == key]

    def get(self, key: str) -> Property | None:
        """The first property of a name in capitals."""
        for prop in self.properties:
            # Most are spelled in capitals, and most have another name.
            name = prop.name
            if name == key or (len(name) == len(key) and name.upper() == key):
                return prop
        return None

    def value(self, key: str) -> str:
        """The raw value of the first property of a name in capitals, stripped; empty if there is none."""
        prop = self.get(key)
        return prop.value.strip() if prop else ""

    def walk(self) -> Iterator[Component]:
        """This component and all in it."""
        yield self
        for inner in self.components:
            yield from inner.walk()


class _Open:
    """A component whose END has not come."""

    __slots__ = ("body", "components", "name", "properties")

    def __init__(self, name: str) -> None:
        self.name = name
        self.properties: list[Property] = []
        self.components: list[Component] = []
        self.body: list[str] | None = None

    def close(self) -> Component:
        body = None if self.body is None else "\n".join(self.body)
        return Component(self.name, tuple(self.properties), tuple(self.components), body)


def _put_body_line(top: _Open, line: str) -> None:
    """A line of a VBODY: properties first, then free text to the end (IrMC section 9.4)."""
    if top.body is None:
        name = line.partition(":")[0].partition(";")[0].upper()
        if ":" in line and (name in ("DATE", "SUBJECT", "FROM", "TO", "CC", "MIME-VERSION", "CONTENT-TYPE") or name.startswith("X-")):
            try:
                top.properties.append(parse_line(line))
                return
            except FormatError:
                pass
        top.body = []
    top.body.append(line)


def parse(text: str, legacy: bool = False) -> Component:
    """The one component of a text; those of usual size are remembered, for the same record is looked at several times in a row.

    Lines outside it that are empty are dropped; a VBODY holds free text in either dialect.

    :param legacy: read the dialect of vCard 2.1 and vCalendar 1.0.
    :raises FormatError: if it is not one well-formed component, or is too large, too deep or has too many properties.
    """
    return _remembered(text, legacy) if len(text) <= limits.MAX_REMEMBERED_RECORD else _parse(text, legacy)


@lru_cache(maxsize=256)
def _remembered(text: str, legacy: bool) -> Component:
    return _parse(text, legacy)


def _parse(text: str, legacy: bool) -> Component:
    stack: list[_Open] = []
    top: _Open | None = None
    done: Component | None = None
    count = values = 0
    for line in unfold_legacy(text) if legacy else unfold(text):
        if top is not None and top.name == "VBODY" and line.strip().upper() != "END:VBODY":
            _put_body_line(top, line)
            continue
        if legacy and line.isspace():
            continue
        if done is not None:
            raise FormatError("there is something behind the end of the record; one file holds one record")
        count += 1
        if count > limits.MAX_RECORD_PROPERTIES:
            raise FormatError(f"the record has more than {limits.MAX_RECORD_PROPERTIES} properties")
        edge = line[:6].upper() if line[:1] in "BbEe" else ""
        if edge == "BEGIN:":
            if len(stack) == limits.MAX_RECORD_DEPTH:
                raise FormatError(f"components are nested deeper than {limits.MAX_RECORD_DEPTH}")
            top = _Open(line[6:].strip().upper())
            stack.append(top)
        elif edge[:4] == "END:":
            name = line[4:].strip().upper()
            if top is None or top.name != name:
                raise FormatError(f"END:{name[:40]} without its BEGIN")
            closed = stack.pop().close()
            if stack:
                top = stack[-1]
                top.components.append(closed)
            else:
                top, done = None, closed
        elif top is None:
            raise FormatError("the record does not start with BEGIN")
        else:
            found = parse_line(line)
            top.properties.append(found)
            if found.name.upper() in LISTS:
                values += 1 + found.value.count(";" if legacy else ",")
                if values > limits.MAX_RECORD_LIST:
                    raise FormatError(f"the lists of the record have more than {limits.MAX_RECORD_LIST} values")
    if top is not None:
        raise FormatError(f"the record ends before END:{top.name[:40]}")
    if done is None:
        raise FormatError("the record is empty")
    return done


def write(component: Component, legacy: bool = False) -> str:
    """The text of a component: CRLF line ends; folded in the newer dialect, legacy properties are written as they are (see `legacy`)."""
    lines: list[str] = []
    _write(component, lines, legacy)
    lines.append("")
    return "\r\n".join(lines)


def _write(component: Component, lines: list[str], legacy: bool) -> None:
    lines.append(f"BEGIN:{component.name}")
    lines.extend(map(write_line, component.properties) if legacy else [fold(write_line(prop)) for prop in component.properties])
    for inner in component.components:
        _write(inner, lines, legacy)
    if component.body is not None:
        lines.append(component.body.replace("\n", "\r\n"))
    lines.append(f"END:{component.name}")


def replace_property(component: Component, new: Property) -> Component:
    """The component with `new` in the place of the first property of that name, or before its others if there was none."""
    found = component.get(new.key)
    if found is None:
        return msgspec.structs.replace(component, properties=(*component.properties, new))
    return msgspec.structs.replace(component, properties=tuple(new if prop is found else prop for prop in component.properties))


def plain(name: str, value: str, **params: str | Iterable[str]) -> Property:
    """A property from its raw value; parameters by name, with one value or several."""
    made = [Parameter(key.replace("_", "-"), (values,) if isinstance(values, str) else tuple(values)) for key, values in params.items()]
    return Property(name, value, tuple(made))
