"""Commands: elements to values."""

from __future__ import annotations

from collections.abc import Callable

from twsync import limits
from twsync.syncml.budget import Budget
from twsync.syncml.document import (
    Alert,
    Change,
    Command,
    Group,
    Item,
    Location,
    Map,
    MapItem,
    Meta,
    Other,
    Put,
    Results,
    Status,
    Sync,
    SyncCommand,
)
from twsync.syncml.parts import Parts
from twsync.syncml.primitives import number, text, word
from twsync.wbxml import Element


class CommandReader:
    """Reads the commands of one message.

    :param budget: counts what is limited.
    :param parts: reads what the commands hold.
    """

    def __init__(self, budget: Budget, parts: Parts) -> None:
        self._budget = budget
        self._parts = parts

    def read(self, element: Element) -> tuple[Command, ...]:
        """The commands among the children, in their order."""
        found: list[Command] = []
        for child in element.children:
            read = _COMMANDS.get(child.name, CommandReader._other)
            command = read(self, child)
            if command is None:
                continue
            self._budget.command()
            found.append(command)
        return tuple(found)

    def _change(self, element: Element) -> Change:
        cmd_id = ""
        items: list[Item] = []
        meta = cred = None
        no_resp = archive = soft = False
        for child in element.children:
            match child.name:
                case "Item":
                    items.append(self._parts.item(child))
                case "CmdID":
                    cmd_id = word(child)
                case "Meta":
                    meta = self._parts.meta(child)
                case "NoResp":
                    no_resp = True
                case "Archive":
                    archive = True
                case "SftDel":
                    soft = True
                case "Cred":
                    cred = self._parts.cred(child)
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
                    self._budget.item()
                    targets.append(text(child))
                case "SourceRef":
                    self._budget.item()
                    sources.append(text(child))
                case "Data":
                    code = word(child)
                case "Item":
                    items.append(self._parts.item(child))
                case "Cred":
                    cred = self._parts.cred(child)
                case "Chal":
                    chal = self._chal(child)
        return Status(cmd_id, msg_ref, cmd_ref, cmd, code, tuple(targets), tuple(sources), cred, chal, tuple(items))

    def _chal(self, element: Element) -> Meta:
        """Chal holds a Meta; some put its children straight in."""
        for child in element.children:
            if child.name == "Meta":
                return self._parts.meta(child)
        return self._parts.meta(element)

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
                    items.append(self._parts.item(child))
                case "NoResp":
                    no_resp = True
                case "Cred":
                    cred = self._parts.cred(child)
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
                    target = self._parts.location(child)
                case "Source":
                    source = self._parts.location(child)
                case "NumberOfChanges":
                    changes = number(child)
                case "Meta":
                    meta = self._parts.meta(child)
                case "NoResp":
                    no_resp = True
                case "Cred":
                    cred = self._parts.cred(child)
        inside: list[SyncCommand] = []
        for command in self.read(element):
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
                    meta = self._parts.meta(child)
                case "NoResp":
                    no_resp = True
        return Group(element.name, cmd_id, self.read(element), meta, no_resp)

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
                    target = self._parts.location(child)
                case "Source":
                    source = self._parts.location(child)
                case "MapItem":
                    self._budget.item()
                    pair = {part.name: self._parts.location(part).uri for part in child.children if part.name in ("Target", "Source")}
                    items.append(MapItem(pair.get("Target", ""), pair.get("Source", "")))
                case "Meta":
                    meta = self._parts.meta(child)
                case "Cred":
                    cred = self._parts.cred(child)
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
                    items.append(self._parts.devinf_item(child))
                case "Meta":
                    meta = self._parts.meta(child)
                case "Lang":
                    lang = word(child)
                case "NoResp":
                    no_resp = True
                case "Cred":
                    cred = self._parts.cred(child)
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
                    meta = self._parts.meta(child)
                case "TargetRef":
                    target_ref = text(child)
                case "SourceRef":
                    source_ref = text(child)
                case "Item":
                    items.append(self._parts.devinf_item(child))
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


def _name_of(command: Command) -> str:
    """The element's name of a command that may not stand where it stands."""
    return command.name if isinstance(command, Change | Group | Put | Other) else type(command).__name__


_COMMANDS: dict[str, Callable[[CommandReader, Element], Command | None]] = {
    **dict.fromkeys(("Add", "Replace", "Delete", "Copy", "Move"), CommandReader._change),
    **dict.fromkeys(("Atomic", "Sequence"), CommandReader._group),
    **dict.fromkeys(("Put", "Get"), CommandReader._put),
    "Alert": CommandReader._alert,
    "Map": CommandReader._map,
    "Results": CommandReader._results,
    "Status": CommandReader._status,
    "Sync": CommandReader._sync,
}
