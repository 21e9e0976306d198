"""WBXML to elements (WAP-192 section 5). One pass; whatever lies is a FormatError; memory is bounded by the limits."""

from __future__ import annotations

import msgspec

from twsync import limits
from twsync.errors import FormatError
from twsync.wbxml.element import Element
from twsync.wbxml.tokens import BY_PUBLIC_ID, Language

_SWITCH_PAGE = 0x00
_END = 0x01
_ENTITY = 0x02
_STR_I = 0x03
_PI = 0x43
_STR_T = 0x83
_OPAQUE = 0xC3
#: Literal tags: the name stands in the string table.
_LITERAL = 0x04
_EXT_I = (0x40, 0x41, 0x42)
_EXT_T = (0x80, 0x81, 0x82)
_EXT = (0xC0, 0xC1, 0xC2)
_HAS_ATTRIBUTES = 0x80
_HAS_CONTENT = 0x40

_VERSIONS = (0x01, 0x02, 0x03)
#: MIBenum to codec; 0 is "unknown", which is UTF-8 in practice.
_CHARSETS = {0: "utf-8", 106: "utf-8", 3: "ascii", 4: "latin-1"}


class Document(msgspec.Struct, frozen=True):
    """A decoded document."""

    root: Element
    public_id: int | str
    "The number, or the text if it was given as text; 1 is unknown."
    version: int
    "Of WBXML: 1 to 3."


def decode(data: bytes, default: Language, max_elements: int = limits.MAX_SYNCML_ELEMENTS) -> Document:
    """Read a document.

    :param default: the language of a document that does not say which it is in.
    :param max_elements: more are refused; pieces of a text that is in pieces count too.
    :raises FormatError: the bytes are no whole WBXML document, or beyond a limit.
    """
    return _Reader(data, default, max_elements).document()


def _int(data: bytes, position: int) -> tuple[int, int]:
    """An mb_u_int32 and the position behind it."""
    value = 0
    for index in range(position, position + 5):
        if index >= len(data):
            raise FormatError("a WBXML document that ends within a number")
        byte = data[index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            if value > 0xFFFFFFFF:
                break
            return value, index + 1
    raise FormatError("a WBXML document with a number of more than 32 bits")


class _Reader:
    """One document being read; `_position` is that of the next byte."""

    def __init__(self, data: bytes, default: Language, max_elements: int) -> None:
        if len(data) > limits.MAX_SYNCML_DOCUMENT:
            raise FormatError(f"a WBXML document of more than {limits.MAX_SYNCML_DOCUMENT} bytes")
        self._data = data
        self._default = default
        self._max_elements = max_elements
        #: Bytes that references to the string table may still become.
        self._expansion = limits.MAX_SYNCML_DOCUMENT

    def document(self) -> Document:
        """All of it."""
        data = self._data
        if not data or data[0] not in _VERSIONS:
            raise FormatError("a WBXML document of a version other than 1.1, 1.2 and 1.3")
        number, position = _int(data, 1)
        offset = None
        if number == 0:
            offset, position = _int(data, position)
        charset, position = _int(data, position)
        if charset not in _CHARSETS:
            raise FormatError(f"a WBXML document in a charset other than UTF-8, ISO-8859-1 and US-ASCII (MIBenum {charset})")
        self._charset = _CHARSETS[charset]
        length, position = _int(data, position)
        if length > len(data) - position:
            raise FormatError("a WBXML document that ends within its string table")
        self._table = data[position : position + length]
        self._position = position + length
        public_id: int | str = number
        if offset is not None:
            # Funambol leaves out the NUL.
            public_id = self._table_string(offset, terminated=False).decode("latin-1")
        self._pages = BY_PUBLIC_ID.get(public_id, self._default).pages
        return Document(self._body(), public_id, data[0])

    def _body(self) -> Element:
        """The root element; behind it there may be white space of transports: NULs."""
        data = self._data
        utf8 = self._charset == "utf-8"
        names = self._page(0)
        left = self._max_elements
        top = Element("")
        top.children = children = []
        current = top
        stack: list[tuple[Element, list[Element], list[bytes]]] = []
        pieces: list[bytes] = []
        position = self._position
        end = len(data)
        while position < end:
            token = data[position]
            position += 1
            if token & 0x3F >= 5 or token & 0x3F == _LITERAL:
                if token & 0x3F == _LITERAL:
                    offset, position = _int(data, position)
                    name = self._table_string(offset).decode("latin-1")
                else:
                    name = names[token & 0x3F] or f"#{token & 0x3F:02X}"
                left -= 1
                if left < 0:
                    raise FormatError(f"a WBXML document of more than {self._max_elements} elements")
                element = Element(name)
                children.append(element)
                if token & _HAS_ATTRIBUTES:
                    position = self._skip_attributes(position)
                if not token & _HAS_CONTENT:
                    if not stack:
                        break
                    continue
                # Most elements are a tag, one string and END.
                if utf8 and position < end and data[position] == _STR_I:
                    stop = data.find(0, position + 1)
                    if stop > 0 and data[stop + 1 : stop + 2] == b"\x01":
                        element.text = _text(data[position + 1 : stop])
                        position = stop + 2
                        if not stack:
                            break
                        continue
                if len(stack) >= limits.MAX_SYNCML_DEPTH:
                    raise FormatError(f"a WBXML document nested deeper than {limits.MAX_SYNCML_DEPTH} elements")
                stack.append((current, children, pieces))
                current = element
                element.children = children = []
                pieces = []
            elif token == _END:
                if not stack:
                    raise FormatError("a WBXML document with an END too many")
                if pieces:
                    current.text = _text(b"".join(pieces))
                current, children, pieces = stack.pop()
                if not stack:
                    break
            elif token == _SWITCH_PAGE:
                if position >= end:
                    raise FormatError("a WBXML document that ends within a change of code page")
                names = self._page(data[position])
                position += 1
            elif token == _PI:
                position = self._skip_attributes(position)
            elif token in _EXT_T:
                position = _int(data, position)[1]
            elif token in _EXT_I:
                position = self._string_end(position) + 1
            elif token not in _EXT:
                # A piece of text costs as much as an element.
                left -= 1
                if left < 0:
                    raise FormatError(f"a WBXML document of more than {self._max_elements} elements and pieces of text")
                piece, position = self._piece(token, position)
                if stack:
                    pieces.append(piece)
        else:
            raise FormatError("a WBXML document that ends within its elements")
        if not top.children or data[position:].strip(b"\0"):
            raise FormatError("a WBXML document with bytes behind its end")
        return top.children[0]

    def _page(self, number: int) -> tuple[str, ...]:
        """Names of a code page; of one that nobody knows: none."""
        return self._pages[number] if number < len(self._pages) else ("",) * 64

    def _piece(self, token: int, position: int) -> tuple[bytes, int]:
        """A piece of text, as UTF-8 if it is text, and the position behind it."""
        data = self._data
        if token == _STR_I:
            stop = self._string_end(position)
            return self._recode(data[position:stop]), stop + 1
        if token == _OPAQUE:
            length, position = _int(data, position)
            if length > len(data) - position:
                raise FormatError("a WBXML document with more opaque data than bytes")
            return data[position : position + length], position + length
        if token == _STR_T:
            offset, position = _int(data, position)
            return self._recode(self._table_string(offset)), position
        if token == _ENTITY:
            code, position = _int(data, position)
            if code > 0x10FFFF or 0xD800 <= code < 0xE000:
                raise FormatError("a WBXML document with an entity that is no character")
            return chr(code).encode(), position
        raise FormatError(f"a WBXML document with a token that cannot stand there ({token:02X})")

    def _recode(self, string: bytes) -> bytes:
        """A string of the document's charset as UTF-8."""
        if self._charset == "latin-1":
            return string.decode("latin-1").encode()
        return string

    def _string_end(self, position: int) -> int:
        """Where the NUL behind an inline string is."""
        stop = self._data.find(0, position)
        if stop < 0:
            raise FormatError("a WBXML document with a string without an end")
        return stop

    def _table_string(self, offset: int, terminated: bool = True) -> bytes:
        """The string at an offset of the string table."""
        if offset >= len(self._table):
            raise FormatError("a WBXML document that refers beyond its string table")
        stop = self._table.find(0, offset)
        if stop < 0:
            if terminated:
                raise FormatError("a WBXML document with a string without an end in its string table")
            stop = len(self._table)
        self._expansion -= stop - offset
        if self._expansion < 0:
            raise FormatError("a WBXML document whose references to its string table become too much text")
        return self._table[offset:stop]

    def _skip_attributes(self, position: int) -> int:
        """Read over attributes, or over a processing instruction: SyncML has neither. The position behind their END."""
        data = self._data
        while position < len(data):
            token = data[position]
            position += 1
            if token == _END:
                return position
            if token == _SWITCH_PAGE:
                position += 1
            elif token == _LITERAL or token in _EXT_T:
                position = _int(data, position)[1]
            elif token in _EXT_I:
                position = self._string_end(position) + 1
            elif token & 0x3F < 5 and token not in _EXT:
                position = self._piece(token, position)[1]
        raise FormatError("a WBXML document that ends within attributes")


def _text(octets: bytes) -> str | bytes:
    """Text where it is text."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets
