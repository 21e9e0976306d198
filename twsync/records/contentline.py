"""Content lines: the ground of vCard, iCalendar, vCalendar, vNote and vMessage. Nothing is lost between reading and writing.

Two dialects. The newer (RFC 2425 section 5.8, RFC 6350 section 3.3, RFC 5545 section 3.1): a fold is a line end and one blank, both
dropped; parameters have names; values may be quoted, and RFC 6868 says how a quote gets into them. The legacy one (versit vCard 2.1 and
vCalendar 1.0): a fold keeps its blank, parameters may stand without a name, values come as quoted-printable with soft line breaks or as
base64 up to an empty line. A reader of the legacy dialect takes what real devices make of it: base64 lines that are not indented, soft
breaks at the very end.

`Property.value` is the raw value, escapes and all, but unfolded: what it means depends on the property, and `twsync.records.values` knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import msgspec

from twsync import limits
from twsync.errors import FormatError


class Parameter(msgspec.Struct, frozen=True, gc=False):
    """A parameter as spelled; `name` is empty for one of vCard 2.1 that has none."""

    name: str
    values: tuple[str, ...]


class Property(msgspec.Struct, frozen=True, gc=False):
    """One content line, names as spelled."""

    name: str
    value: str
    params: tuple[Parameter, ...] = ()
    group: str = ""

    @property
    def key(self) -> str:
        """The name in capitals: names have no case."""
        return self.name.upper()

    def param(self, name: str) -> tuple[str, ...]:
        """The values of a parameter, all of its occurrences joined.

        :param name: in capitals.
        """
        if not self.params:
            return ()
        return tuple(value for param in self.params if param.name.upper() == name for value in param.values)

    def first(self, name: str) -> str:
        """The first value of a parameter in capitals; empty if it is not there."""
        values = self.param(name)
        return values[0].upper() if values else ""

    def without(self, *names: str) -> tuple[Parameter, ...]:
        """The parameters but for those with these names (in capitals)."""
        return tuple(param for param in self.params if param.name.upper() not in names)


class Parameters(tuple[Parameter, ...]):
    """The parameters of a head of a line that is remembered, with what was made of them: many properties share them."""

    made: tuple[str, str] = ("", "")
    "The name of a property in capitals, and the parameters as `twsync.records.normal.params_text` has them for it."


#: Characters of a head of a line that is worth remembering.
_REMEMBERED = 200
_FOLD = re.compile(r"\n[ \t]")
_NAME = re.compile(r"[A-Za-z0-9_-]+\Z")
_GROUP = re.compile(r"[A-Za-z0-9_.-]+\Z")
_BASE64_LINE = re.compile(r"\s*[A-Za-z0-9+/]+={0,2}\s*\Z")
_CARET = re.compile(r"\^([n^'])")
_CARET_MEANS = {"n": "\n", "^": "^", "'": '"'}
_NEEDS_QUOTES = re.compile(r"[:;,]")
#: Parameter values that must not come into a line: whoever stores a line break in one could write properties of his own.
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def lines_of(text: str) -> list[str]:
    """The physical lines of a text: CRLF, LF and CR all end one. Byte order mark and trailing NUL are dropped (fact sheet section 14, 30).

    :raises FormatError: if it is larger or has more lines than a record may.
    """
    return _checked(text).split("\n")


def _checked(text: str) -> str:
    """As `lines_of`, with LF between the lines."""
    if len(text) > limits.MAX_RECORD:
        raise FormatError(f"the record is larger than {limits.MAX_RECORD} characters")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.removeprefix("\ufeff").rstrip("\0")
    if "\0" in text:
        raise FormatError("the record has a NUL inside")
    if not text.isascii() and _SURROGATE.search(text):
        raise FormatError("the record is not valid Unicode")
    if text.count("\n") >= limits.MAX_RECORD_LINES:
        raise FormatError(f"the record has more than {limits.MAX_RECORD_LINES} lines")
    return text


def unfold(text: str) -> list[str]:
    """The logical lines of the newer dialect, without empty ones."""
    text = _checked(text)
    if "\n " in text or "\n\t" in text:
        text = _FOLD.sub("", text)
    return [line for line in text.split("\n") if line and not line.isspace()]


def unfold_legacy(text: str) -> Iterator[str]:
    """The logical lines of the legacy dialect; those inside a VBODY (vMessage) as they stand, for there is free text."""
    lines = lines_of(text)
    at = 0
    free = False
    while at < len(lines):
        line = lines[at]
        at += 1
        upper = line.strip().upper()
        if upper == "BEGIN:VBODY":
            free = True
        elif upper == "END:VBODY":
            free = False
        head = line.partition(":")[0].upper()
        if "QUOTED-PRINTABLE" in head:
            parts = [line]
            # A soft break at the very end of a value is a slip of some devices.
            while parts[-1].endswith("=") and at < len(lines) and not lines[at].startswith(("END:", "BEGIN:")):
                parts[-1] = parts[-1][:-1]
                parts.append(lines[at])
                at += 1
            line = "".join(parts)
        elif not free and (";BASE64" in head or "=BASE64" in head or "=B" in head):
            parts = [line]
            while at < len(lines) and lines[at].strip() and (lines[at][0] in " \t" or _BASE64_LINE.match(lines[at])):
                parts.append(lines[at].strip())
                at += 1
            line = "".join(parts)
        elif not free:
            parts = [line]
            while at < len(lines) and lines[at][:1] in (" ", "\t") and line:
                parts.append(lines[at])
                at += 1
            line = "".join(parts)
        if free or (line and not line.isspace()):
            yield line


def parse_line(line: str) -> Property:
    """One logical line.

    :raises FormatError: if it is no content line.
    """
    head, colon, value = line.partition(":")
    if '"' in head:
        head, value = _split_quoted(line)
    elif not colon:
        raise FormatError(f"no colon in the line {line[:40]!r}")
    # A long head is not worth the memory that remembering it would take.
    group, name, params = _parse_head(head) if len(head) <= _REMEMBERED else _parse_head.__wrapped__(head)
    return Property(name, value, params, group)


@lru_cache(maxsize=4096)
def _parse_head(head: str) -> tuple[str, str, tuple[Parameter, ...]]:
    """Group, name and parameters; cached, for the records of a collection share a few hundred of them."""
    name, *rest = head.split(";") if '"' not in head else _split_outside_quotes(head, ";")
    name = name.strip()
    group = ""
    if "." in name:
        group, _, name = name.rpartition(".")
        if not _GROUP.match(group):
            raise FormatError(f"{group[:40]!r} is no group")
    if not _NAME.match(name):
        raise FormatError(f"{name[:40]!r} is no name of a property")
    if len(rest) > limits.MAX_RECORD_PARAMETERS:
        raise FormatError(f"{name} has more than {limits.MAX_RECORD_PARAMETERS} parameters")
    return group, name, Parameters([_parse_parameter(part) for part in rest if part]) if rest else ()


def _split_quoted(line: str) -> tuple[str, str]:
    """Head and value of a line whose parameters have quotes."""
    quoted = False
    for at, char in enumerate(line):
        if char == '"':
            quoted = not quoted
        elif char == ":" and not quoted:
            return line[:at], line[at + 1 :]
    # A quote that never ends is a plain character, as some devices write it.
    head, colon, value = line.partition(":")
    if not colon:
        raise FormatError(f"no colon in the line {line[:40]!r}")
    return head.replace('"', ""), value


def _split_outside_quotes(text: str, separator: str) -> list[str]:
    parts = []
    start = 0
    quoted = False
    for at, char in enumerate(text):
        if char == '"':
            quoted = not quoted
        elif char == separator and not quoted:
            parts.append(text[start:at])
            start = at + 1
    parts.append(text[start:])
    return parts


def _parse_parameter(part: str) -> Parameter:
    name, equals, values = part.partition("=")
    if not equals:
        return Parameter("", (part.strip(),))
    name = name.strip()
    if '"' in values or "^" in values:
        split = _split_outside_quotes(values, ",")
        return Parameter(name, tuple([_CARET.sub(lambda m: _CARET_MEANS[m[1]], value.strip().replace('"', "")) for value in split]))
    if "," in values:
        return Parameter(name, tuple(values.split(",")))
    return Parameter(name, (values.strip(),))


def _parameter_value(value: str) -> str:
    """RFC 6868 section 3, then quotes if they are needed (RFC 5545 section 3.2)."""
    if "^" in value or "\n" in value or '"' in value:
        value = value.replace("^", "^^").replace("\n", "^n").replace('"', "^'")
    value = _CONTROL.sub("", value)
    return f'"{value}"' if _NEEDS_QUOTES.search(value) or value != value.strip() else value


def write_line(prop: Property) -> str:
    """The logical line of a property."""
    head = f"{prop.group}.{prop.name}" if prop.group else prop.name
    for param in prop.params:
        values = ",".join(map(_parameter_value, param.values))
        head += f";{param.name}={values}" if param.name else f";{values}"
    return f"{head}:{prop.value}"


def fold(line: str) -> str:
    """A logical line as physical ones of at most 75 octets, never cut inside a character (RFC 5545 section 3.1); no CRLF at the end."""
    if len(line) <= 75 and (line.isascii() or len(line.encode()) <= 75):
        return line
    if line.isascii():
        return "\r\n ".join([line[:75], *(line[at : at + 74] for at in range(75, len(line), 74))])
    parts = []
    start, room = 0, 75
    for at, char in enumerate(line):
        size = len(char.encode("utf-8", "surrogatepass"))
        if size > room:
            parts.append(line[start:at])
            start, room = at, 74
        room -= size
    parts.append(line[start:])
    return "\r\n ".join(parts)
