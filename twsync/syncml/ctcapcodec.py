"""CTCap, what a device knows of a content type: elements to values and back (fact sheet section 10).

1.2 has a CTCap for each type, with an element around each property; 1.0 and 1.1 have a flat list.
"""

from __future__ import annotations

from twsync.syncml.document import CTCap, Property, PropParam
from twsync.syncml.primitives import add, flags, number, text, word
from twsync.wbxml import Element


def read_ctcaps(element: Element) -> list[CTCap]:
    """One CTCap of 1.2, or the flat list of 1.0 and 1.1: several types, each with properties, each with parameters.

    :raises FormatError: a text in it is beyond its limit.
    """
    found: list[_OpenCap] = []
    for child in element.children:
        if child.name == "CTType":
            found.append(_OpenCap(word(child)))
        elif found:
            found[-1].take(child)
    return [cap.close() for cap in found]


class _OpenProperty:
    """A property whose elements are being read, or a parameter of one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.data_type: str | None = None
        self.display_name: str | None = None
        self.max_occur: int | None = None
        self.max_size: int | None = None
        self.no_truncate = False
        self.values: list[str] = []
        self.params: list[_OpenProperty] = []

    def take(self, child: Element) -> None:
        """The next element; those behind a ParamName belong to the parameter."""
        last = self.params[-1] if self.params else self
        match child.name:
            case "PropName":
                self.name = word(child)
            case "ParamName":
                # Of 1.1, and of Nokia's 1.2.
                self.params.append(_OpenProperty(word(child)))
            case "PropParam":
                param = _OpenProperty("")
                for part in child.children:
                    if part.name == "ParamName":
                        param.name = word(part)
                    else:
                        param.take(part)
                self.params.append(param)
            case "DataType":
                last.data_type = word(child)
            case "DisplayName":
                last.display_name = text(child)
            case "ValEnum":
                last.values.append(text(child))
            case "MaxOccur":
                self.max_occur = number(child)
            case "MaxSize" | "Size":
                last.max_size = number(child)
            case "NoTruncate":
                self.no_truncate = True

    def close(self) -> Property:
        """The value."""
        params = tuple(PropParam(param.name, param.data_type, tuple(param.values), param.display_name) for param in self.params)
        return Property(
            self.name, self.data_type, self.max_occur, self.max_size, self.no_truncate, tuple(self.values), self.display_name, params
        )


class _OpenCap:
    """A CTCap whose elements are being read."""

    def __init__(self, kind: str) -> None:
        self._type = kind
        self._version = ""
        self._field_level = False
        self._properties: list[_OpenProperty] = []

    def take(self, child: Element) -> None:
        """The next element behind CTType."""
        match child.name:
            case "VerCT":
                self._version = word(child)
            case "FieldLevel":
                self._field_level = True
            case "Property":
                found = _OpenProperty("")
                for part in child.children:
                    found.take(part)
                self._properties.append(found)
            case "PropName":
                self._properties.append(_OpenProperty(word(child)))
            case _ if self._properties:
                self._properties[-1].take(child)

    def close(self) -> CTCap:
        """The value. 1.1 has the version as the one value of the property VERSION."""
        properties = tuple(found.close() for found in self._properties)
        version = self._version
        if not version:
            version = next((found.values[0] for found in properties if found.name == "VERSION" and len(found.values) == 1), "")
        return CTCap(self._type, version, self._field_level, properties)


def write_ctcap(cap: CTCap) -> Element:
    """CTCap of 1.2."""
    out = [Element("CTType", text=cap.type), Element("VerCT", text=cap.version), *flags(FieldLevel=cap.field_level)]
    for found in cap.properties:
        parts = [Element("PropName", text=found.name)]
        add(parts, "DataType", found.data_type)
        add(parts, "MaxOccur", found.max_occur)
        add(parts, "MaxSize", found.max_size)
        parts += flags(NoTruncate=found.no_truncate)
        parts += [Element("ValEnum", text=value) for value in found.values]
        add(parts, "DisplayName", found.display_name)
        for param in found.params:
            inside = [Element("ParamName", text=param.name)]
            add(inside, "DataType", param.data_type)
            inside += [Element("ValEnum", text=value) for value in param.values]
            add(inside, "DisplayName", param.display_name)
            parts.append(Element("PropParam", inside))
        out.append(Element("Property", parts))
    return Element("CTCap", out)


def write_flat(cap: CTCap) -> list[Element]:
    """One type of the CTCap of 1.0 and 1.1."""
    out = [Element("CTType", text=cap.type)]
    for found in cap.properties:
        out.append(Element("PropName", text=found.name))
        _add_values(out, found.values, found.data_type, found.max_size)
        add(out, "DisplayName", found.display_name)
        for param in found.params:
            out.append(Element("ParamName", text=param.name))
            _add_values(out, param.values, param.data_type, None)
            add(out, "DisplayName", param.display_name)
    return out


def _add_values(out: list[Element], values: tuple[str, ...], data_type: str | None, size: int | None) -> None:
    """Either the values, or a data type with its size."""
    if values:
        out += [Element("ValEnum", text=value) for value in values]
    elif data_type is not None:
        out.append(Element("DataType", text=data_type))
        add(out, "Size", size)
