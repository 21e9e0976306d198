"""Elements to values: lenient about order, blanks, unknown elements and what phones leave out (fact sheet sections 1, 10 and 14).

What the root, the header and its identity need is asked for; everything else may be missing.
"""

from __future__ import annotations

from collections.abc import Callable

from twsync import limits, wbxml
from twsync.errors import FormatError
from twsync.syncml import xmlcodec
from twsync.syncml.devinfcodec import read_devinf
from twsync.syncml.document import (
    Alert,
    Anchor,
    Change,
    Command,
    Cred,
    Data,
    Filter,
    Group,
    Header,
    Item,
    Location,
    Map,
    MapItem,
    Mem,
    Message,
    Meta,
    Other,
    Protocol,
    Put,
    Results,
    Status,
    Sync,
    SyncCommand,
)
from twsync.syncml.primitives import number, text, word
from twsync.wbxml import DEVINF, METINF_NAMES, Element

#: Values of VerDTD.
_PROTOCOLS = {protocol.value: protocol for protocol in Protocol}
_DEVINF_TYPES = ("application/vnd.syncml-devinf+xml", "application/vnd.syncml-devinf+wbxml")


def read_message(root: Element) -> Message:
    """The values of a document.

    :raises FormatError: it is no SyncML message, lacks what every message needs, or is beyond a limit.
    """
    if root.name != "SyncML":
        raise FormatError(f"a document that is no SyncML message but {root.name[:40]}")
    reader = _Reader()
    header: Header | None = None
    body: tuple[Command, ...] = ()
    final = False
    for child in root.children:
        if child.name == "SyncHdr":
            header = reader.header(child)
            reader.protocol = header.protocol
        elif child.name == "SyncBody":
            body += reader.commands(child)
            final = final or any(part.name == "Final" for part in child.children)
    if header is None:
        raise FormatError("a SyncML message without SyncHdr")
    return Message(header, body, final)


class _Reader:
    """One message being read: counts what is limited."""

    def __init__(self) -> None:
        self.protocol = Protocol.V1_2
        self._commands = limits.MAX_SYNCML_COMMANDS
        self._items = limits.MAX_SYNCML_ITEMS
        self._devinfs = limits.MAX_DEVINFS

    def header(self, element: Element) -> Header:
        """SyncHdr."""
        version = proto = session = message = resp_uri = None
        target = source = None
        cred = meta = None
        no_resp = False
        for child in element.children:
            match child.name:
                case "VerDTD":
                    version = word(child)
                case "VerProto":
                    proto = word(child)
                case "SessionID":
                    session = word(child)
                case "MsgID":
                    message = word(child)
                case "Target":
                    target = self.location(child)
                case "Source":
                    source = self.location(child)
                case "RespURI":
                    resp_uri = word(child)
                case "NoResp":
                    no_resp = True
                case "Cred":
                    cred = self.cred(child)
                case "Meta":
                    meta = self.meta(child)
        needed = {"VerDTD": version, "SessionID": session, "MsgID": message}
        for name, value in needed.items():
            if not value:
                raise FormatError(f"a SyncML message without {name} in its header")
        if target is None or source is None:
            raise FormatError("a SyncML message without Target or Source in its header")
        assert version is not None and session is not None and message is not None, "looked for above"
        known = version in _PROTOCOLS and (not proto or proto.lower().startswith("syncml/"))
        return Header(
            protocol=_PROTOCOLS.get(version, Protocol.V1_2),
            session_id=session,
            msg_id=message,
            target=target,
            source=source,
            resp_uri=resp_uri,
            no_resp=no_resp,
            cred=cred,
            meta=meta,
            foreign="" if known else proto or version,
        )

    def commands(self, element: Element) -> tuple[Command, ...]:
        """The commands among the children, in their order."""
        found: list[Command] = []
        for child in element.children:
            read = _COMMANDS.get(child.name, _Reader._other)
            command = read(self, child)
            if command is None:
                continue
            self._commands -= 1
            if self._commands < 0:
                raise FormatError(f"a SyncML message with more than {limits.MAX_SYNCML_COMMANDS} commands")
            found.append(command)
        return tuple(found)

    def _item_room(self) -> None:
        self._items -= 1
        if self._items < 0:
            raise FormatError(f"a SyncML message with more than {limits.MAX_SYNCML_ITEMS} items")

    def _change(self, element: Element) -> Change:
        cmd_id = ""
        items: list[Item] = []
        meta = cred = None
        no_resp = archive = soft = False
        for child in element.children:
            match child.name:
                case "Item":
                    items.append(self.item(child))
                case "CmdID":
                    cmd_id = word(child)
                case "Meta":
                    meta = self.meta(child)
                case "NoResp":
                    no_resp = True
                case "Archive":
                    archive = True
                case "SftDel":
                    soft = True
                case "Cred":
                    cred = self.cred(child)
        return Change(element.name, cmd_id, tuple(items), meta, no_resp, cred, archive, soft)

    def _status(self, element: Element) -> Status:
        cmd_id = cmd_ref = cmd = code = ""
        msg_ref = "1"
        targets: list[str] = []
        sources: list[str] = []
        items: list[Item] = []
        cred = chal = None
        for child in element.children:
            match child.name:
                case "CmdID":
                    cmd_id = word(child)
                case "MsgRef":
                    msg_ref = word(child) or "1"
                case "CmdRef":
                    cmd_ref = word(child)
                case "Cmd":
                    cmd = word(child)
                case "TargetRef":
                    self._item_room()
                    targets.append(text(child))
                case "SourceRef":
                    self._item_room()
                    sources.append(text(child))
                case "Data":
                    code = word(child)
                case "Item":
                    items.append(self.item(child))
                case "Cred":
                    cred = self.cred(child)
                case "Chal":
                    chal = self._chal(child)
        return Status(cmd_id, msg_ref, cmd_ref, cmd, code, tuple(targets), tuple(sources), cred, chal, tuple(items))

    def _chal(self, element: Element) -> Meta:
        """Chal holds a Meta; some put its children straight in."""
        for child in element.children:
            if child.name == "Meta":
                return self.meta(child)
        return self.meta(element)

    def _alert(self, element: Element) -> Alert:
        cmd_id = ""
        code = correlator = None
        items: list[Item] = []
        cred = None
        no_resp = False
        for child in element.children:
            match child.name:
                case "CmdID":
                    cmd_id = word(child)
                case "Data":
                    code = word(child)
                case "Item":
                    items.append(self.item(child))
                case "NoResp":
                    no_resp = True
                case "Cred":
                    cred = self.cred(child)
                case "Correlator":
                    correlator = word(child)
        return Alert(cmd_id, code, tuple(items), no_resp, cred, correlator)

    def _sync(self, element: Element) -> Sync:
        cmd_id = ""
        target = source = None
        changes = meta = cred = None
        no_resp = False
        for child in element.children:
            match child.name:
                case "CmdID":
                    cmd_id = word(child)
                case "Target":
                    target = self.location(child)
                case "Source":
                    source = self.location(child)
                case "NumberOfChanges":
                    changes = number(child)
                case "Meta":
                    meta = self.meta(child)
                case "NoResp":
                    no_resp = True
                case "Cred":
                    cred = self.cred(child)
        inside: list[SyncCommand] = []
        for command in self.commands(element):
            if isinstance(command, Change | Group | Other):
                inside.append(command)
            else:
                inside.append(Other(_name_of(command), command.cmd_id))
        return Sync(cmd_id, target, source, tuple(inside), changes, meta, no_resp, cred)

    def _group(self, element: Element) -> Group:
        cmd_id = ""
        meta = None
        no_resp = False
        for child in element.children:
            match child.name:
                case "CmdID":
                    cmd_id = word(child)
                case "Meta":
                    meta = self.meta(child)
                case "NoResp":
                    no_resp = True
        return Group(element.name, cmd_id, self.commands(element), meta, no_resp)

    def _map(self, element: Element) -> Map:
        cmd_id = ""
        target = source = Location("")
        items: list[MapItem] = []
        meta = cred = None
        for child in element.children:
            match child.name:
                case "CmdID":
                    cmd_id = word(child)
                case "Target":
                    target = self.location(child)
                case "Source":
                    source = self.location(child)
                case "MapItem":
                    self._item_room()
                    pair = {part.name: self.location(part).uri for part in child.children if part.name in ("Target", "Source")}
                    items.append(MapItem(pair.get("Target", ""), pair.get("Source", "")))
                case "Meta":
                    meta = self.meta(child)
                case "Cred":
                    cred = self.cred(child)
        return Map(cmd_id, target, source, tuple(items), meta, cred)

    def _put(self, element: Element) -> Put:
        cmd_id = ""
        lang = None
        no_resp = False
        cred = meta = None
        items: list[Item] = []
        for child in element.children:
            match child.name:
                case "CmdID":
                    cmd_id = word(child)
                case "Item":
                    items.append(self._devinf_item(child))
                case "Meta":
                    meta = self.meta(child)
                case "Lang":
                    lang = word(child)
                case "NoResp":
                    no_resp = True
                case "Cred":
                    cred = self.cred(child)
        return Put(element.name, cmd_id, tuple(items), meta, lang, no_resp, cred)

    def _results(self, element: Element) -> Results:
        cmd_id = cmd_ref = ""
        msg_ref = target_ref = source_ref = None
        meta = None
        items: list[Item] = []
        for child in element.children:
            match child.name:
                case "CmdID":
                    cmd_id = word(child)
                case "CmdRef":
                    cmd_ref = word(child)
                case "MsgRef":
                    msg_ref = word(child)
                case "Meta":
                    meta = self.meta(child)
                case "TargetRef":
                    target_ref = text(child)
                case "SourceRef":
                    source_ref = text(child)
                case "Item":
                    items.append(self._devinf_item(child))
        return Results(cmd_id, cmd_ref, msg_ref, tuple(items), meta, target_ref, source_ref)

    def _other(self, element: Element) -> Other | None:
        """Exec, Search, and what no DTD knows: a command if it has a CmdID, else something to skip."""
        cmd_id: str | None = None
        no_resp = False
        for child in element.children:
            if child.name == "CmdID":
                cmd_id = word(child)
            elif child.name == "NoResp":
                no_resp = True
        if cmd_id is None:
            return None
        return Other(element.name[: limits.MAX_SYNCML_TEXT], cmd_id, no_resp)

    def item(self, element: Element) -> Item:
        """Item."""
        self._item_room()
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
                    meta = self.meta(child)
                case "Data":
                    data = self.data(child)
                case "MoreData":
                    more = True
                case "SourceParent":
                    source_parent = self.location(child).uri
                case "TargetParent":
                    target_parent = self.location(child).uri
        return Item(target, source, source_parent, target_parent, meta, data, more)

    def _devinf_item(self, element: Element) -> Item:
        """An Item of Put, Get or Results, whose Data may be a document of its own."""
        item = self.item(element)
        data = item.data
        if not isinstance(data, str | bytes) or not data:
            return item
        # CDATA (Mobical), STR_I or OPAQUE; a WBXML document may look like text.
        octets = data.encode() if isinstance(data, str) else data
        self._devinfs -= 1
        if self._devinfs < 0:
            raise FormatError(f"a SyncML message with more than {limits.MAX_DEVINFS} device informations")
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
                return self.meta(element)
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
                meta = self.meta(child)
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
                    meta = self.meta(child)
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
        """The children of Meta, with or without a MetInf around them."""
        form = kind = mark = version = nonce = None
        size = max_msg = max_obj = None
        anchor = None
        mem = None
        field_level = False
        emi: list[str] = []
        children = element.children
        if len(children) == 1 and children[0].name == "MetInf":
            children = children[0].children
        for child in children:
            match child.name:
                case "Type":
                    kind = word(child)
                    if kind.lower() in _DEVINF_TYPES:
                        kind = _DEVINF_TYPES[0]
                case "Format":
                    form = word(child)
                case "Size":
                    size = number(child)
                case "EMI":
                    self._item_room()
                    emi.append(text(child))
                case "Anchor":
                    anchor = _anchor(child)
                case "MaxMsgSize":
                    max_msg = number(child)
                case "MaxObjSize":
                    max_obj = number(child)
                case "NextNonce":
                    nonce = word(child)
                case "Mark":
                    mark = word(child)
                case "Version":
                    version = text(child)
                case "FieldLevel":
                    field_level = True
                case "Mem":
                    mem = _mem(child)
        return Meta(form, kind, mark, size, anchor, version, nonce, max_msg, max_obj, field_level, tuple(emi), mem)


def _anchor(element: Element) -> Anchor:
    following, last = "", None
    for child in element.children:
        if child.name == "Next":
            following = text(child)
        elif child.name == "Last":
            last = text(child)
    return Anchor(following, last)


def _mem(element: Element) -> Mem:
    free_mem = free_id = None
    shared = False
    for child in element.children:
        match child.name:
            case "FreeMem":
                free_mem = number(child)
            case "FreeID" | "FreeId":
                free_id = number(child)
            case "SharedMem":
                shared = True
    return Mem(free_mem, free_id, shared)


def _name_of(command: Command) -> str:
    """The element's name of a command that may not stand where it stands."""
    return command.name if isinstance(command, Change | Group | Put | Other) else type(command).__name__


_COMMANDS: dict[str, Callable[[_Reader, Element], Command | None]] = {
    **dict.fromkeys(("Add", "Replace", "Delete", "Copy", "Move"), _Reader._change),
    **dict.fromkeys(("Atomic", "Sequence"), _Reader._group),
    **dict.fromkeys(("Put", "Get"), _Reader._put),
    "Alert": _Reader._alert,
    "Map": _Reader._map,
    "Results": _Reader._results,
    "Status": _Reader._status,
    "Sync": _Reader._sync,
}
