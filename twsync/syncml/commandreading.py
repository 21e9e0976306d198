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
from twsync.syncml.primitives import by_name, number, one, text, word
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

    # Messages are full of the next two: read in one pass, unlike the others, a message costs a tenth less.

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
        return self._parts.meta(by_name(element).get("Meta", element))

    def _alert(self, element: Element) -> Alert:
        here = by_name(element)
        code, correlator, cred = one(here, "Data", word), one(here, "Correlator", word), one(here, "Cred", self._parts.cred)
        return Alert(_cmd_id(here), code, self._items(element), "NoResp" in here, cred, correlator)

    def _sync(self, element: Element) -> Sync:
        here = by_name(element)
        target, source = one(here, "Target", self._parts.location), one(here, "Source", self._parts.location)
        changes, meta, cred = one(here, "NumberOfChanges", number), one(here, "Meta", self._parts.meta), one(here, "Cred", self._parts.cred)
        inside: list[SyncCommand] = []
        for command in self.read(element):
            if isinstance(command, Change | Group | Other):
                inside.append(command)
            else:
                inside.append(Other(_name_of(command), command.cmd_id))
        return Sync(_cmd_id(here), target, source, tuple(inside), changes, meta, "NoResp" in here, cred)

    def _group(self, element: Element) -> Group:
        here = by_name(element)
        return Group(element.name, _cmd_id(here), self.read(element), one(here, "Meta", self._parts.meta), "NoResp" in here)

    def _map(self, element: Element) -> Map:
        here = by_name(element)
        target, source = (one(here, name, self._parts.location) or Location("") for name in ("Target", "Source"))
        items = tuple([self._map_item(child) for child in element.children if child.name == "MapItem"])
        return Map(_cmd_id(here), target, source, items, one(here, "Meta", self._parts.meta), one(here, "Cred", self._parts.cred))

    def _map_item(self, element: Element) -> MapItem:
        self._budget.item()
        here = by_name(element)
        target, source = (one(here, name, self._parts.location) or Location("") for name in ("Target", "Source"))
        return MapItem(target.uri, source.uri)

    def _put(self, element: Element) -> Put:
        here = by_name(element)
        meta, lang, cred = one(here, "Meta", self._parts.meta), one(here, "Lang", word), one(here, "Cred", self._parts.cred)
        return Put(element.name, _cmd_id(here), self._devinf_items(element), meta, lang, "NoResp" in here, cred)

    def _results(self, element: Element) -> Results:
        here = by_name(element)
        return Results(
            _cmd_id(here),
            one(here, "CmdRef", word) or "",
            one(here, "MsgRef", word),
            self._devinf_items(element),
            one(here, "Meta", self._parts.meta),
            one(here, "TargetRef", text),
            one(here, "SourceRef", text),
        )

    def _other(self, element: Element) -> Other | None:
        """Exec, Search, and what no DTD knows: a command if it has a CmdID, else something to skip."""
        here = by_name(element)
        if "CmdID" not in here:
            return None
        return Other(element.name[: limits.MAX_SYNCML_TEXT], _cmd_id(here), "NoResp" in here)

    def _items(self, element: Element) -> tuple[Item, ...]:
        return tuple([self._parts.item(child) for child in element.children if child.name == "Item"])

    def _devinf_items(self, element: Element) -> tuple[Item, ...]:
        return tuple([self._parts.devinf_item(child) for child in element.children if child.name == "Item"])


def _cmd_id(here: dict[str, Element]) -> str:
    return one(here, "CmdID", word) or ""


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
