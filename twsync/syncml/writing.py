"""Values to elements, in exactly the order of the DTDs (fact sheet section 1.2).

What a version does not have is refused where leaving it out would change the meaning (MoreData, FieldLevel, Filter), and left out
where it is advice: MaxObjSize and NumberOfChanges at 1.0.
"""

from __future__ import annotations

from twsync import wbxml
from twsync.syncml.devinfcodec import write_devinf
from twsync.syncml.document import (
    Alert,
    Change,
    Command,
    Cred,
    Data,
    DevInf,
    Encoding,
    Filter,
    Group,
    Item,
    Location,
    Map,
    Message,
    Meta,
    Other,
    Protocol,
    Put,
    Results,
    Status,
    Sync,
)
from twsync.syncml.metinfcodec import write_meta
from twsync.syncml.primitives import add
from twsync.wbxml import DEVINF, Element


class Writer:
    """Writes the parts of messages of one version in one encoding.

    :param protocol: the version.
    :param encoding: device information stands in an XML message as elements, in a WBXML message as octets, and the Types say so.
    """

    def __init__(self, protocol: Protocol, encoding: Encoding) -> None:
        self._old = protocol is Protocol.V1_0
        self._protocol = protocol
        self._binary = encoding is Encoding.WBXML

    def message(self, message: Message) -> Element:
        """A whole message."""
        header = message.header
        out = [
            Element("VerDTD", text=self._protocol.value),
            Element("VerProto", text=self._protocol.proto),
            Element("SessionID", text=header.session_id),
            Element("MsgID", text=header.msg_id),
            self.location("Target", header.target),
            self.location("Source", header.source),
        ]
        if header.resp_uri is not None:
            out.append(Element("RespURI", text=header.resp_uri))
        self._common(out, header.no_resp, header.cred, header.meta)
        body = [self.command(command) for command in message.body]
        if message.final:
            body.append(Element("Final"))
        return Element("SyncML", [Element("SyncHdr", out), Element("SyncBody", body)])

    def command(self, command: Command) -> Element:
        """One command, with those in it."""
        out = [Element("CmdID", text=command.cmd_id)]
        match command:
            case Change():
                self._change(out, command)
                return Element(command.name, out)
            case Status():
                self._status(out, command)
                return Element("Status", out)
            case Sync():
                self._sync(out, command)
                return Element("Sync", out)
            case Map():
                out += (self.location("Target", command.target), self.location("Source", command.source))
                self._common(out, False, command.cred, command.meta)
                for pair in command.items:
                    out.append(Element("MapItem", [_at("Target", pair.target), _at("Source", pair.source)]))
                return Element("Map", out)
            case Alert():
                self._common(out, command.no_resp, command.cred, None)
                add(out, "Data", command.code)
                add(out, "Correlator", command.correlator)
                self._items(out, command.items)
                return Element("Alert", out)
            case Put():
                if command.no_resp:
                    out.append(Element("NoResp"))
                add(out, "Lang", command.lang)
                self._common(out, False, command.cred, command.meta)
                self._items(out, command.items)
                return Element(command.name, out)
            case Results():
                add(out, "MsgRef", command.msg_ref)
                out.append(Element("CmdRef", text=command.cmd_ref))
                self._common(out, False, None, command.meta)
                add(out, "TargetRef", command.target_ref)
                add(out, "SourceRef", command.source_ref)
                self._items(out, command.items)
                return Element("Results", out)
            case Group():
                self._common(out, command.no_resp, None, command.meta)
                out += [self.command(inside) for inside in command.commands]
                return Element(command.name, out)
            case Other():
                self._common(out, command.no_resp, None, None)
                return Element(command.name, out)

    def _common(self, out: list[Element], no_resp: bool, cred: Cred | None, meta: Meta | None) -> None:
        """NoResp, Cred and Meta, which stand together nearly everywhere."""
        if no_resp:
            out.append(Element("NoResp"))
        if cred is not None:
            out.append(self.cred(cred))
        if meta is not None:
            out.append(self.meta(meta))

    def _change(self, out: list[Element], command: Change) -> None:
        if command.no_resp:
            out.append(Element("NoResp"))
        if command.archive:
            out.append(Element("Archive"))
        if command.soft:
            out.append(Element("SftDel"))
        self._common(out, False, command.cred, command.meta)
        self._items(out, command.items)

    def _status(self, out: list[Element], command: Status) -> None:
        out += (
            Element("MsgRef", text=command.msg_ref),
            Element("CmdRef", text=command.cmd_ref),
            Element("Cmd", text=command.cmd),
        )
        out += [Element("TargetRef", text=ref) for ref in command.target_refs]
        out += [Element("SourceRef", text=ref) for ref in command.source_refs]
        if command.cred is not None:
            out.append(self.cred(command.cred))
        if command.chal is not None:
            out.append(Element("Chal", [self.meta(command.chal)]))
        out.append(Element("Data", text=command.code))
        self._items(out, command.items)

    def _sync(self, out: list[Element], command: Sync) -> None:
        if command.no_resp:
            out.append(Element("NoResp"))
        if command.cred is not None:
            out.append(self.cred(command.cred))
        if command.target is not None:
            out.append(self.location("Target", command.target))
        if command.source is not None:
            out.append(self.location("Source", command.source))
        if command.meta is not None:
            out.append(self.meta(command.meta))
        if command.number_of_changes is not None and not self._old:
            out.append(Element("NumberOfChanges", text=str(command.number_of_changes)))
        out += [self.command(inside) for inside in command.commands]

    def _items(self, out: list[Element], items: tuple[Item, ...]) -> None:
        for item in items:
            out.append(self.item(item))

    def item(self, item: Item) -> Element:
        """Item."""
        out: list[Element] = []
        if item.target is not None:
            out.append(self.location("Target", item.target))
        if item.source is not None:
            out.append(self.location("Source", item.source))
        if item.source_parent is not None:
            out.append(_at("SourceParent", item.source_parent))
        if item.target_parent is not None:
            out.append(_at("TargetParent", item.target_parent))
        if item.meta is not None:
            out.append(self.meta(item.meta))
        if item.data is not None:
            out.append(self.data(item.data))
        if item.more_data:
            out.append(Element("MoreData"))
        return Element("Item", out)

    def data(self, data: Data) -> Element:
        """Data of an Item; text goes as OPAQUE into WBXML, so that nobody touches its line ends."""
        if isinstance(data, str):
            return Element("Data", text=data.encode("utf-8") if self._binary else data)
        if isinstance(data, bytes):
            return Element("Data", text=data)
        if isinstance(data, DevInf):
            element = write_devinf(data)
            if self._binary:
                return Element("Data", text=wbxml.encode(element, DEVINF[data.version]))
            return Element("Data", [element])
        return Element("Data", self.meta(data).children)

    def location(self, name: str, location: Location) -> Element:
        """Target or Source."""
        out = [Element("LocURI", text=location.uri)]
        add(out, "LocName", location.name)
        if location.filter is not None:
            out.append(self._filter(location.filter))
        return Element(name, out)

    def _filter(self, found: Filter) -> Element:
        out = [self.meta(found.meta or Meta())]
        if found.field is not None:
            out.append(Element("Field", [self.item(found.field)]))
        if found.record is not None:
            out.append(Element("Record", [self.item(found.record)]))
        add(out, "FilterType", found.filter_type)
        return Element("Filter", out)

    def cred(self, cred: Cred) -> Element:
        """Cred."""
        out = [] if cred.meta is None else [self.meta(cred.meta)]
        return Element("Cred", [*out, Element("Data", text=cred.data)])

    def meta(self, meta: Meta) -> Element:
        """Meta."""
        return write_meta(meta, self._protocol, self._binary)


def _at(name: str, uri: str) -> Element:
    """An element that holds just a LocURI."""
    return Element(name, [Element("LocURI", text=uri)])
