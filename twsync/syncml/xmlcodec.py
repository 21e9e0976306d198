"""XML documents to elements and back.

Read with lxml, which hands over element by element, so that the limits hold while a document is read and not after it was built. It
sees UTF-8 from the root element on: charset and DOCTYPE are settled here first, so that in no charset an entity but XML's own five can
exist, and nothing is ever fetched. (The feed interface of lxml 6.1 loads an external DTD that it was told not to load.) Prefixes,
namespaces and attributes are not looked at: phones get them wrong, and the names say enough (fact sheet section 1.1).

Written without CDATA: every parser knows the three entities, and not every one joins two CDATA sections.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from xml.sax.saxutils import escape

from lxml import etree

from twsync import limits
from twsync.errors import FormatError
from twsync.syncml.document import Protocol
from twsync.wbxml import DEVINF, METINF_NAMES, SYNCML, Element, Language

_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>'
#: What XML 1.0 cannot hold.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DECLARED = re.compile(rb"""\A<\?xml\s[^>]{0,200}encoding\s*=\s*["']([\w.-]{1,40})["']""")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
#: Charsets that are read beside UTF-16 with its mark, as Python calls them: one octet a character, or those of East Asia.
_CHARSETS = frozenset(
    [
        *("ascii", "utf-8", *(f"iso8859-{part}" for part in (1, 2, 5, 7, 9, 15)), *(f"cp125{page}" for page in range(9))),
        *("koi8-r", "big5", "gb2312", "gbk", "gb18030", "shift_jis", "euc_jp", "euc_kr"),
    ]
)
_BLANKS = re.compile(r"[ \t\r\n]*")
_LITERAL = r"""(?:"[^"]*"|'[^']*')"""
#: A DOCTYPE without declarations of its own.
_DOCTYPE = re.compile(rf"<!DOCTYPE\s+[^\s<>\[]+\s*(?:(?:SYSTEM\s+|PUBLIC\s+{_LITERAL}\s*){_LITERAL}\s*)?>")
#: Elements of these in Data are read; other XML in Data is an item, and stays text.
_KNOWN_IN_DATA = METINF_NAMES | {"DevInf"}


def parse(data: bytes, charset: str | None = None, max_elements: int = limits.MAX_SYNCML_ELEMENTS) -> Element:
    """Read a document.

    :param charset: that of the Content-Type; holds if the document does not declare one.
    :param max_elements: more are refused.
    :raises FormatError: it is not well-formed, has an internal DTD subset or unknown entities, or is beyond a limit.
    """
    if len(data) > limits.MAX_SYNCML_DOCUMENT:
        raise FormatError(f"an XML document of more than {limits.MAX_SYNCML_DOCUMENT} bytes")
    text = _text(data, charset)
    reader = _Reader(max_elements)
    parser = etree.XMLParser(
        target=reader,  # type: ignore[arg-type]  # the stubs want a method for comments, and one that takes bytes
        encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, collect_ids=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        etree.fromstring(text[_root(text) :].encode(), parser)
    except etree.XMLSyntaxError:
        raise FormatError("an XML document that is not well-formed, or has an entity that is not XML's own") from None
    return reader.top.children[0]


def document(root: Element, protocol: Protocol) -> bytes:
    """Write a whole document.

    :raises FormatError: it has an element that the version does not have, or characters that XML cannot hold.
    """
    return _DECLARATION + part(root, protocol, "")


def part(element: Element, protocol: Protocol, namespace: str | None = None) -> bytes:
    """Write one element.

    :param namespace: the one it stands in; by default that of SyncML.
    :raises FormatError: as `document`.
    """
    out: list[str] = []
    language = SYNCML[protocol]
    try:
        _write(element, language, language.namespaces[0] if namespace is None else namespace, out)
        return "".join(out).encode()
    except KeyError as error:
        raise FormatError(f"an element {error.args[0]}, which SyncML {protocol} does not have") from None


def _write(element: Element, language: Language, namespace: str, out: list[str]) -> None:
    """Tag, content and end tag."""
    name = element.name
    if name == "DevInf":
        # Its first child is VerDTD.
        language = DEVINF[str(element.children[0].text)]
    own = language.namespaces[language.tags[name][0]]
    opening = name if own == namespace else f"{name} xmlns='{own}'"
    text = element.text
    if element.children:
        out.append(f"<{opening}>")
        for child in element.children:
            _write(child, language, own, out)
        out.append(f"</{name}>")
    elif text:
        out.append(f"<{opening}>{_escaped(text)}</{name}>")
    else:
        out.append(f"<{opening}/>")


def _escaped(text: str | bytes) -> str:
    """Text between tags.

    A CR stands as it is: readers make CRLF an LF, as XML says, which every device takes. A character reference would keep it, but stays
    in the text of devices whose readers do not know it.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError:
            raise FormatError("octets that XML cannot hold; they have to be base64") from None
    if _NO_XML.search(text):
        raise FormatError("characters that XML cannot hold; the text has to be base64")
    return escape(text)


def _text(data: bytes, charset: str | None) -> str:
    """The characters of a document; those of its own declaration hold before those of the Content-Type."""
    if data.startswith(_UTF16):
        name = "utf-16"
    else:
        # Some send a blank before the declaration, or C's NUL behind the end.
        data = data.strip(b" \t\r\n\0").removeprefix(codecs.BOM_UTF8)
        declared = _DECLARED.match(data)
        name = declared[1].decode() if declared else charset or "utf-8"
        try:
            name = codecs.lookup(name).name
        except LookupError:
            name = ""
        if name not in _CHARSETS:
            if declared:
                raise FormatError("an XML document that is not well-formed: its charset is not known; write UTF-8")
            # What a Content-Type says is believed as far as it makes sense.
            name = "utf-8"
    try:
        return data.decode(name)
    except UnicodeDecodeError:
        raise FormatError(f"an XML document that is not well-formed: it has octets that are no {name}") from None


def _root(text: str) -> int:
    """Where the root element begins: behind the declaration, comments, processing instructions and a DOCTYPE.

    :raises FormatError: the DOCTYPE has declarations of its own, or is none.
    """
    at = 0
    while True:
        at = _BLANKS.match(text, at).end()  # type: ignore[union-attr]  # it always matches
        for opening, closing in (("<!--", "-->"), ("<?", "?>")):
            if text.startswith(opening, at):
                end = text.find(closing, at + len(opening))
                if end < 0:
                    return len(text)
                at = end + len(closing)
                break
        else:
            if not text.startswith("<!DOCTYPE", at):
                return at
            found = _DOCTYPE.match(text, at)
            if found is None:
                raise FormatError("an XML document with declarations of its own in its DOCTYPE")
            at = found.end()


class _Reader:
    """One document being read: a target of lxml's parser."""

    def __init__(self, max_elements: int) -> None:
        self._left = self._max_elements = max_elements
        #: Holds the root.
        self.top = Element("")
        self._current = self.top
        self._pieces: list[str] = []
        self._stack: list[Element] = []
        #: Namespaces of the open elements that are content, and not ours; that of the Data around them.
        self._foreign: list[str] = []
        self._namespace = ""
        #: Characters that start tags of content may still become: a namespace that is named once stands in each of them.
        self._expansion = limits.MAX_SYNCML_DOCUMENT

    def start_ns(self, prefix: str | None, namespace: str) -> None:
        """A namespace, before the start tag that declares it. The parser writes it out before the name of every element and attribute."""
        if len(namespace) > limits.MAX_SYNCML_NAMESPACE:
            raise FormatError(f"an XML document with a namespace of more than {limits.MAX_SYNCML_NAMESPACE} characters")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """A start tag; names have their namespace before them, in braces."""
        self._left -= 1
        if self._left < 0:
            raise FormatError(f"an XML document of more than {self._max_elements} elements")
        if len(self._stack) + len(self._foreign) > limits.MAX_SYNCML_DEPTH:
            raise FormatError(f"an XML document nested deeper than {limits.MAX_SYNCML_DEPTH} elements")
        namespace, _, local = tag.rpartition("}")
        parent = self._current
        if self._foreign or (parent.name == "Data" and local not in _KNOWN_IN_DATA):
            around = self._foreign[-1] if self._foreign else self._namespace
            opening = _opening(namespace[1:], local, attributes, around)
            self._expansion -= len(opening)
            if self._expansion < 0:
                raise FormatError("an XML document whose namespaces become too much text")
            self._pieces.append(opening)
            self._foreign.append(namespace[1:])
            return
        # What came before a child is white space.
        self._pieces.clear()
        element = Element(local)
        parent.children.append(element)
        self._stack.append(parent)
        self._current = element
        self._namespace = namespace[1:]

    def data(self, text: str) -> None:
        """Text of an element, or a piece of it."""
        self._pieces.append(escape(text) if self._foreign else text)

    def end(self, tag: str) -> None:
        """An end tag."""
        if self._foreign:
            self._foreign.pop()
            self._pieces.append(f"</{tag.rpartition('}')[2]}>")
            return
        current = self._current
        if self._pieces:
            if not current.children:
                current.text = "".join(self._pieces)
            self._pieces.clear()
        self._current = self._stack.pop()

    def close(self) -> None:
        """The end of the document, or what was read of it."""


_QUOTE = {'"': "&quot;", "\n": "&#10;", "\t": "&#9;", "\r": "&#13;"}
_XML_NAMESPACE = "http://www.w3.org/XML/1998/namespace"


def _opening(namespace: str, name: str, attributes: Mapping[str, str], around: str) -> str:
    """The start tag of an element that is content, in words of its own: its prefixes may be declared far above it."""
    words = [name]
    if namespace != around:
        words.append(f'xmlns="{escape(namespace, _QUOTE)}"')
    for number, (key, value) in enumerate(attributes.items()):
        space, _, attribute = key.rpartition("}")
        if space[1:] == _XML_NAMESPACE:
            attribute = f"xml:{attribute}"
        elif space:
            words.append(f'xmlns:a{number}="{escape(space[1:], _QUOTE)}"')
            attribute = f"a{number}:{attribute}"
        words.append(f'{attribute}="{escape(value, _QUOTE)}"')
    return f"<{' '.join(words)}>"
