"""The changes of the other side for one datastore: taken from ``Sync`` commands, carried out, answered (packages 3 and 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from twsync import limits
from twsync.errors import StoreError, TwsyncError
from twsync.syncml.changes import from_command
from twsync.syncml.chunking import Assembly
from twsync.syncml.codes import StatusCode, succeeded
from twsync.syncml.datastore import Datastore, Incoming, Outcome
from twsync.syncml.document import Change, Cred, Group, Item, Other, Status, Sync, SyncCommand
from twsync.syncml.references import status

#: Commands that are answered and not carried out.
REFUSED: dict[str, StatusCode] = {
    "Copy": StatusCode.NOT_SUPPORTED,
    "Move": StatusCode.NOT_SUPPORTED,
    "Exec": StatusCode.NOT_SUPPORTED,
    "Search": StatusCode.NOT_SUPPORTED,
}
#: Change commands that are carried out.
CHANGES = frozenset({"Add", "Replace", "Delete"})

#: Checks a Cred within a command: the status to answer if it does not hold.
CheckCred = Callable[[Cred], StatusCode | None]


def refusal(name: str) -> StatusCode:
    """The status of a command that is not carried out."""
    return REFUSED.get(name, StatusCode.NOT_IMPLEMENTED)


class Received(msgspec.Struct):
    """What came of one Sync."""

    statuses: list[Status]
    "In the order of the commands, the Sync's first; without those that NoResp spares."
    lost: list[Item]
    "Objects whose end did not come: each gets an Alert 223."
    failure: TwsyncError | None = None
    "The store failed: the datastore is out of this session."
    carried_out: list[tuple[Incoming, Outcome]] = []
    "What the store was given, and what came of it."
    failed: int = 0
    "Items that were refused, or not carried out."


class _Slot(msgspec.Struct, gc=False):
    """A Status that is owed, in its place."""

    command: SyncCommand
    item: Item | None
    code: int = 0
    text: str = ""
    change: int | None = None
    "Index of the change whose outcome it tells."
    silent: bool = False


class ChangeReceiver:
    """Carries out what comes in the Syncs of one datastore.

    :param from_server: the changes are a server's (see `twsync.syncml.changes`).
    :param twsync: the other side is a twsync host: versions travel.
    """

    def __init__(self, datastore: Datastore, *, from_server: bool, twsync: bool, max_object: int = limits.MAX_OBJECT) -> None:
        self._datastore = datastore
        self._from_server = from_server
        self._twsync = twsync
        self._assembly = Assembly(max_object)

    @property
    def unfinished(self) -> bool:
        """Whether the end of a large object is still to come."""
        return self._assembly.unfinished is not None

    def abandon(self) -> Item | None:
        """The other side's package is over: an object without end is forgotten; its first chunk, for an Alert 223."""
        return self._assembly.abandon()

    def receive(self, sync: Sync, msg_ref: str, check: CheckCred | None = None) -> Received:
        """Carry out the commands of a Sync.

        Errors of the store do not leave this method: they are in the result, and what was not carried out is answered 510.

        :param msg_ref: MsgID of the message that held it.
        :param check: for a Cred in a command; None: it is not looked at.
        """
        slots: list[_Slot] = []
        changes: list[Incoming] = []
        lost: list[Item] = []
        self._flatten(sync.commands, slots, changes, lost, check, sync.no_resp)
        failure: TwsyncError | None = None
        outcomes: list[Outcome] = []
        try:
            outcomes = self._datastore.take(changes) if changes else []
            if len(outcomes) != len(changes):
                raise StoreError("the store did not answer every change")
        except TwsyncError as error:
            failure = error
        for slot in slots:
            if slot.change is not None and failure is not None:
                slot.code, slot.text = StatusCode.DATASTORE_FAILURE, failure.message
            elif slot.change is not None:
                slot.code, slot.text = outcomes[slot.change].status, outcomes[slot.change].text
        code = StatusCode.OK if failure is None else StatusCode.DATASTORE_FAILURE
        statuses = [] if sync.no_resp else [status(msg_ref, sync, code, text="" if failure is None else failure.message)]
        statuses += [status(msg_ref, slot.command, slot.code, slot.item, text=slot.text) for slot in slots if not slot.silent]
        failed = sum(slot.code >= StatusCode.BAD_REQUEST and not succeeded(slot.code) for slot in slots)
        return Received(statuses, lost, failure, list(zip(changes, outcomes, strict=failure is None)), failed)

    def _flatten(
        self,
        commands: Sequence[SyncCommand],
        slots: list[_Slot],
        changes: list[Incoming],
        lost: list[Item],
        check: CheckCred | None,
        silent: bool,
    ) -> None:
        for command in commands:
            quiet = silent or command.no_resp
            if isinstance(command, Group):
                # Nothing can be rolled back here, so Atomic is refused whole (docs/protocol/syncml.md); Sequence is the order anyway.
                atomic = command.name == "Atomic"
                slots.append(_Slot(command, None, StatusCode.NOT_SUPPORTED if atomic else StatusCode.OK, silent=quiet))
                inner = [child for child in command.commands if isinstance(child, Change | Group | Other)]
                if atomic:
                    _not_executed(inner, slots, quiet)
                else:
                    self._flatten(inner, slots, changes, lost, check, quiet)
            elif isinstance(command, Change) and command.name in CHANGES:
                self._change(command, slots, changes, lost, check, quiet)
            else:
                slots.append(_Slot(command, None, refusal(command.name), silent=quiet))

    def _change(
        self,
        command: Change,
        slots: list[_Slot],
        changes: list[Incoming],
        lost: list[Item],
        check: CheckCred | None,
        quiet: bool,
    ) -> None:
        denied = check(command.cred) if check is not None and command.cred is not None else None
        if denied is not None or not command.items:
            slots.append(_Slot(command, None, denied or StatusCode.INCOMPLETE, silent=quiet))
            return
        for item in command.items:
            taken = self._assembly.receive(command, item)
            if taken.lost is not None:
                lost.append(taken.lost)
            if taken.item is None:
                slots.append(_Slot(command, item, taken.status or StatusCode.COMMAND_FAILED, silent=quiet))
                continue
            change = from_command(command, taken.item, self._from_server, self._twsync)
            if isinstance(change, StatusCode):
                slots.append(_Slot(command, item, change, silent=quiet))
                continue
            slots.append(_Slot(command, item, change=len(changes), silent=quiet))
            changes.append(change)


def _not_executed(commands: Sequence[SyncCommand], slots: list[_Slot], silent: bool) -> None:
    for command in commands:
        slots.append(_Slot(command, None, StatusCode.NOT_EXECUTED, silent=silent or command.no_resp))
        if isinstance(command, Group):
            _not_executed([child for child in command.commands if isinstance(child, Change | Group | Other)], slots, silent)
