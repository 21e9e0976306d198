"""The element tree that both encodings of a document are read into and written from."""

from __future__ import annotations

import msgspec


class Element(msgspec.Struct, gc=False):
    """An element: children or text, never both (text beside children is white space or nothing that SyncML knows).

    Names carry no namespace: within one of the languages no two namespaces (code pages) share a name.
    """

    name: str
    children: list[Element] = []
    text: str | bytes = ""
    "Octets where a decoder found no UTF-8 text. An encoder writes octets as OPAQUE."
