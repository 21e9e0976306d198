"""``application/vnd.twsync.request+xml``: "open a session with this partner, you being the client".

Sent by the server for a stored request, or by another device. See docs/protocol/signalling.md, "Stored and alerted requests".
"""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from twsync import limits
from twsync.errors import FormatError
from twsync.sip import uri, xml

MEDIA_TYPE = "application/vnd.twsync.request+xml"
NAMESPACE = "urn:twsync:session:1"
SYNC_TYPES = frozenset(("two-way", "slow", "one-way-from-client", "refresh-from-client", "one-way-from-server", "refresh-from-server"))
_FIELDS = ("partner", "collection", "syncType")


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """A request to open a session."""

    id: str
    "Names the request; the same one is not carried out twice."
    partner: str
    "The other device, as ``user/device``."
    collection: str
    sync_type: str
    "One of `SYNC_TYPES`; the receiver is the client."

    def __post_init__(self) -> None:
        uri.parse_name(self.partner)
        if not uri.is_name(self.collection) or not 0 < len(self.id) <= 128 or not self.id.isprintable():
            raise FormatError("A request names no proper collection, or has no proper id.")
        if self.sync_type not in SYNC_TYPES:
            raise FormatError("A request's sync type is unknown.")


def build(request: SyncRequest) -> bytes:
    """The document of a request."""
    root = etree.Element(f"{{{NAMESPACE}}}request", {"id": request.id}, nsmap={None: NAMESPACE})  # type: ignore[dict-item]
    for name, text in zip(_FIELDS, (request.partner, request.collection, request.sync_type), strict=True):
        etree.SubElement(root, f"{{{NAMESPACE}}}{name}").text = text
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def parse(data: bytes) -> SyncRequest:
    """Read a document.

    :raises FormatError: if it is larger than 4 KiB, no XML, another document, or a field is missing, twice or not allowed.
    """
    root = xml.parse(data, limits.MAX_REQUEST_DOCUMENT)
    if root.tag != f"{{{NAMESPACE}}}request":
        raise FormatError("This is not a request document.")
    texts: dict[str, str] = {}
    for child in xml.elements(root):
        name = child.tag.removeprefix(f"{{{NAMESPACE}}}")
        if name not in _FIELDS:
            continue  # a later version may say more
        if name in texts or len(child):
            raise FormatError("A field of a request comes twice or is not plain text.")
        texts[name] = xml.text(child)
    if len(texts) != len(_FIELDS):
        raise FormatError("A request lacks a field.")
    return SyncRequest(id=root.get("id", ""), partner=texts["partner"], collection=texts["collection"], sync_type=texts["syncType"])
