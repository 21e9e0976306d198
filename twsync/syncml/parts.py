"""Parts that the header and the commands share, elements to values: Item, Target and Source, Filter, Cred, Meta and Data."""

from __future__ import annotations

from twsync import limits, wbxml
from twsync.errors import FormatError
from twsync.syncml import xmlcodec
from twsync.syncml.budget import Budget
from twsync.syncml.devinfcodec import read_devinf
from twsync.syncml.document import Cred, Data, Filter, Item, Location, Meta, Protocol
from twsync.syncml.metinfcodec import read_meta
from twsync.syncml.primitives import text, word
from twsync.wbxml import DEVINF, METINF_NAMES, Element


class Parts:
    """Reads the parts of one message.

    :param budget: counts what is limited.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        #: The version of the message, once its header is read: device information that does not say its own is taken to be in it.
        self.protocol = Protocol.V1_2

    def item(self, element: Element) -> Item:
        """Item."""
        self._budget.item()
        target = source = None
        source_parent = target_parent = None
        meta = None
        data: Data | None = None
        more = False
        for child in element.children:
            match child.name:
                case "Source":
                    source = self.location(child)
                case "Target":
                    target = self.location(child)
                case "Meta":
                    meta = read_meta(child, self._budget)
                case "Data":
                    data = self.data(child)
                case "MoreData":
                    more = True
                case "SourceParent":
                    source_parent = self.location(child).uri
                case "TargetParent":
                    target_parent = self.location(child).uri
        return Item(target, source, source_parent, target_parent, meta, data, more)

    def devinf_item(self, element: Element) -> Item:
        """An Item of Put, Get or Results, whose Data may be a document of its own."""
        item = self.item(element)
        data = item.data
        if not isinstance(data, str | bytes) or not data:
            return item
        # CDATA (Mobical), STR_I or OPAQUE; a WBXML document may look like text.
        octets = data.encode() if isinstance(data, str) else data
        self._budget.devinf()
        try:
            if octets[:1] in (b"\x01", b"\x02", b"\x03"):
                root = wbxml.decode(octets, DEVINF["1.2"], limits.MAX_DEVINF_ELEMENTS).root
            elif octets.lstrip()[:1] == b"<":
                root = xmlcodec.parse(octets, max_elements=limits.MAX_DEVINF_ELEMENTS)
            else:
                return item
            if root.name != "DevInf":
                return item
            devinf = read_devinf(root, self.protocol)
        except FormatError:
            # What a device says of itself is not worth the session: it stays what it is, and nothing is known of the device.
            return item
        return Item(item.target, item.source, item.source_parent, item.target_parent, item.meta, devinf, item.more_data)

    def data(self, element: Element) -> Data:
        """Data: text, octets, device information or MetInf children."""
        for child in element.children:
            if child.name == "DevInf":
                return read_devinf(child, self.protocol)
            if child.name in METINF_NAMES:
                return read_meta(element, self._budget)
        content = element.text
        if isinstance(content, str):
            # Nokia and others: C strings, and files with a byte order mark.
            return content.removeprefix("\ufeff").rstrip("\0")
        return content

    def cred(self, element: Element) -> Cred:
        """Cred."""
        data: str | bytes = ""
        meta = None
        for child in element.children:
            if child.name == "Data":
                content = child.text
                data = content.strip().rstrip("\0") if isinstance(content, str) else content
            elif child.name == "Meta":
                meta = read_meta(child, self._budget)
        return Cred(data, meta)

    def location(self, element: Element) -> Location:
        """Target, Source, and the parents."""
        uri = ""
        name = None
        found = None
        for child in element.children:
            if child.name == "LocURI":
                uri = text(child)
            elif child.name == "LocName":
                name = text(child)
            elif child.name == "Filter":
                found = self._filter(child)
        return Location(uri, name, found)

    def _filter(self, element: Element) -> Filter:
        meta = field = record = kind = None
        for child in element.children:
            match child.name:
                case "Meta":
                    meta = read_meta(child, self._budget)
                case "Field" | "Record":
                    items = [self.item(part) for part in child.children if part.name == "Item"]
                    if child.name == "Field":
                        field = items[0] if items else None
                    else:
                        record = items[0] if items else None
                case "FilterType":
                    kind = word(child)
        return Filter(meta, field, record, kind)

    def meta(self, element: Element) -> Meta:
        """Meta."""
        return read_meta(element, self._budget)
