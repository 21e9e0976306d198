"""Reading XML from strangers: no entities, no DTD, no network, bounded size and depth."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from twsync.errors import FormatError

#: Levels of elements: the documents of this package have four.
MAX_XML_DEPTH = 16


def parse(data: bytes, largest: int) -> etree._Element:
    """The root element of a document.

    :param largest: bytes that the document may have.
    :raises FormatError: if it is larger, not well-formed, too deep, or has a document type declaration.
    """
    if len(data) > largest:
        raise FormatError("An XML document is too large.")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise FormatError("An XML document is not well-formed.") from error
    # Entities and default attributes can only come from a declaration, and none of our documents needs one.
    if root.getroottree().docinfo.internalDTD is not None:
        raise FormatError("An XML document must not declare a document type.")
    _check_depth(root)
    return root


def elements(parent: etree._Element) -> Iterator[etree._Element]:
    """The child elements."""
    return (child for child in parent if isinstance(child.tag, str))


def text(element: etree._Element) -> str:
    """An element's own text, stripped."""
    return (element.text or "").strip()


def _check_depth(root: etree._Element) -> None:
    level: list[etree._Element] = [root]
    for _ in range(MAX_XML_DEPTH):
        level = [child for parent in level for child in elements(parent)]
        if not level:
            return
    raise FormatError("An XML document is too deep.")
