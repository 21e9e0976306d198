"""Elements to WBXML 1.2, in UTF-8, without a string table.

The code page is the parent's again before each END, so an element's bytes do not depend on what stands before it.
"""

from __future__ import annotations

from twsync.errors import FormatError
from twsync.wbxml.element import Element
from twsync.wbxml.tokens import Language

_VERSION = b"\x02"
_CHARSET = b"\x6a"
_NO_TABLE = b"\x00"
_END = b"\x01"
_OPAQUE = b"\xc3"
_HAS_CONTENT = 0x40


def encode(root: Element, language: Language) -> bytes:
    """Write a whole document.

    :raises FormatError: it has an element that the language does not have, or text that is no Unicode.
    """
    return b"".join((_VERSION, _number(language.public_id), _CHARSET, _NO_TABLE, encode_part(root, language)))


def encode_part(element: Element, language: Language) -> bytes:
    """Write one element as it stands among its siblings, all of them on code page 0.

    :raises FormatError: as `encode`.
    """
    out: list[bytes] = []
    tags = language.tags
    try:
        page = tags[element.name][0]
        _write(element, tags, out)
    except KeyError as error:
        raise FormatError(f"an element {error.args[0]}, which {language.formal_id} does not have") from None
    except UnicodeEncodeError:
        raise FormatError("text that is no Unicode") from None
    if page:
        return b"".join((bytes((0, page)), *out, b"\0\0"))
    return b"".join(out)


def _write(element: Element, tags: dict[str, tuple[int, int]], out: list[bytes]) -> None:
    """Tag, content and END."""
    page, token = tags[element.name]
    children = element.children
    if children:
        out.append(_TAGS_WITH_CONTENT[token])
        current = page
        for child in children:
            wanted = tags[child.name][0]
            if wanted != current:
                out.append(_SWITCHES[wanted])
                current = wanted
            _write(child, tags, out)
        if current != page:
            out.append(_SWITCHES[page])
        out.append(_END)
        return
    text = element.text
    if not text:
        out.append(_TAGS[token])
        return
    out.append(_TAGS_WITH_CONTENT[token])
    if isinstance(text, str):
        octets = text.encode()
        if b"\0" not in octets:
            out.append(b"\x03%b\0\x01" % octets)
            return
        text = octets
    out += (_OPAQUE, _number(len(text)), text, _END)


def _number(value: int) -> bytes:
    """An mb_u_int32."""
    septets = [value & 0x7F]
    while value := value >> 7:
        septets.append(value & 0x7F | 0x80)
    return bytes(reversed(septets))


_TAGS = [bytes((token,)) for token in range(64)]
_TAGS_WITH_CONTENT = [bytes((token | _HAS_CONTENT,)) for token in range(64)]
_SWITCHES = [bytes((0, page)) for page in range(2)]
