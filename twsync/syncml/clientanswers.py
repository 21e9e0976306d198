"""What stands in a message of the server, dealt with: Statuses go to what they answer, each other command gets its Status."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from twsync import limits
from twsync.syncml.clientstore import ClientStore
from twsync.syncml.codes import SYNC_TYPES, AlertCode, StatusCode, number
from twsync.syncml.deviceinfo import bare, find_devinf, is_devinf, results_devinf
from twsync.syncml.document import (
    Alert,
    Change,
    Command,
    DevInf,
    Encoding,
    Group,
    Item,
    Map,
    Message,
    Meta,
    Other,
    Put,
    Results,
    Status,
    Sync,
)
from twsync.syncml.receiving import refusal
from twsync.syncml.references import Awaited, status
from twsync.syncml.sending import Answer


class Dealt(msgspec.Struct):
    """What a message leads to."""

    statuses: list[Status] = []
    "To be sent, in order."
    commands: list[Command] = []
    "To be sent too: Results, Alert 223."
    devinf: DevInf | None = None
    "The server's, if it came."
    shown: list[str] = []
    "For the user (Alert 100)."
    suspended: bool = False
    "The server sent Alert 224."
    moved: bool = False
    "Whether there was anything but the Status of the header and Alerts 100 and 222."


class Answers:
    """See the module.

    :param own: the own device information, in the version of the session.
    """

    def __init__(self, stores: Sequence[ClientStore], awaited: Awaited[Answer], own: DevInf, encoding: Encoding) -> None:
        self._stores = stores
        self._awaited = awaited
        self._own = own
        self._encoding = encoding

    def deal_with(self, message: Message) -> Dealt:
        """All commands of a message; Statuses first."""
        dealt = Dealt()
        msg_ref = message.header.msg_id
        for command in message.body:
            if isinstance(command, Status):
                self._status(command, dealt)
        for command in message.body:
            if not isinstance(command, Status):
                self._command(command, msg_ref, dealt)
        if message.header.no_resp:
            dealt.statuses.clear()
        return dealt

    def _status(self, answer: Status, dealt: Dealt) -> None:
        if answer.cmd_ref == "0":
            return
        what = self._awaited.answered(answer)
        if what is not None:
            dealt.moved = True
            what(answer, number(answer.code))

    def _command(self, command: Command, msg_ref: str, dealt: Dealt) -> None:
        match command:
            case Sync():
                dealt.moved = True
                self._sync(command, msg_ref, dealt)
            case Alert():
                self._alert(command, msg_ref, dealt)
            case Put():
                dealt.moved = True
                self._put(command, msg_ref, dealt)
            case Results():
                dealt.moved = True
                dealt.devinf = find_devinf(command) or dealt.devinf
                dealt.statuses.append(status(msg_ref, command, StatusCode.OK))
            case Group() if command.name == "Sequence":
                if not command.no_resp:
                    dealt.statuses.append(status(msg_ref, command, StatusCode.OK))
                for inner in command.commands:
                    self._command(inner, msg_ref, dealt)
            case Group() | Other():
                if not command.no_resp:
                    dealt.statuses.append(
                        status(msg_ref, command, refusal(command.name) if isinstance(command, Other) else StatusCode.NOT_SUPPORTED)
                    )
            case Change() | Map():
                # Changes stand in a Sync; maps are a client's.
                if not (isinstance(command, Change) and command.no_resp):
                    dealt.statuses.append(status(msg_ref, command, StatusCode.NOT_ALLOWED))

    def _sync(self, sync: Sync, msg_ref: str, dealt: Dealt) -> None:
        store = self._find(sync.target.uri if sync.target else "", sync.source.uri if sync.source else "")
        if store is None:
            if not sync.no_resp:
                dealt.statuses.append(status(msg_ref, sync, StatusCode.NOT_FOUND))
            return
        statuses, lost = store.receive(sync, msg_ref)
        dealt.statuses += statuses
        dealt.commands += [no_end_of_data(item) for item in lost]

    def _alert(self, alert: Alert, msg_ref: str, dealt: Dealt) -> None:
        code, answer = number(alert.code), StatusCode.OK
        items: tuple[Item, ...] = ()
        # (A server that shows something with every message would else be answered for ever.)
        dealt.moved = dealt.moved or code not in (AlertCode.NEXT_MESSAGE, AlertCode.DISPLAY)
        if code in SYNC_TYPES or code == AlertCode.RESUME:
            answer, items = self._start(alert, code)
        elif code == AlertCode.DISPLAY:
            texts = [item.data[: limits.MAX_SHOWN_TEXT] for item in alert.items if isinstance(item.data, str)]
            dealt.shown += texts[: limits.MAX_SHOWN_MESSAGES]
        elif code == AlertCode.NO_END_OF_DATA:
            for item in alert.items:
                for store in self._stores:
                    store.lost((item.source.uri if item.source else "") or (item.target.uri if item.target else ""))
        elif code == AlertCode.SUSPEND:
            dealt.suspended = True
        elif code != AlertCode.NEXT_MESSAGE:
            answer = StatusCode.NOT_SUPPORTED
        if not alert.no_resp:
            dealt.statuses.append(status(msg_ref, alert, answer, items=items))

    def _start(self, alert: Alert, code: int) -> tuple[StatusCode, tuple[Item, ...]]:
        """The server's Alert of a datastore."""
        item = alert.items[0] if alert.items else Item()
        store = self._find(item.target.uri if item.target else "", item.source.uri if item.source else "")
        if store is None:
            return StatusCode.NOT_FOUND, ()
        answer = store.told(code, item)
        anchor = item.meta.anchor if item.meta is not None else None
        echoed = (Item(data=Meta(anchor=msgspec.structs.replace(anchor, last=None))),) if anchor is not None else ()
        return answer, echoed

    def _put(self, command: Put, msg_ref: str, dealt: Dealt) -> None:
        if command.name == "Put":
            found = find_devinf(command)
            dealt.devinf = found or dealt.devinf
            answer = StatusCode.OK if found is not None else StatusCode.NOT_SUPPORTED
        else:
            wanted = any(item.target is not None and is_devinf(item.target.uri) for item in command.items)
            answer = StatusCode.OK if wanted else StatusCode.NOT_FOUND
            if wanted:
                dealt.commands.append(results_devinf(self._own, self._encoding, msg_ref, command.cmd_id))
        if not command.no_resp:
            dealt.statuses.append(status(msg_ref, command, answer))

    def _find(self, target: str, source: str) -> ClientStore | None:
        """The datastore that a command of the server is for: by the own name, else by the server's, else the only one."""
        for store in self._stores:
            if target and _same(target, store.wanted.name):
                return store
        for store in self._stores:
            if source and _same(source, store.wanted.uri):
                return store
        return self._stores[0] if len(self._stores) == 1 and not target else None


def _same(one: str, other: str) -> bool:
    return bare(one).casefold() == bare(other).casefold()


def no_end_of_data(item: Item) -> Alert:
    """Alert 223: the end of this object did not come."""
    code = str(int(AlertCode.NO_END_OF_DATA))
    return Alert(cmd_id="", code=code, items=(Item(target=item.target, source=item.source),))
