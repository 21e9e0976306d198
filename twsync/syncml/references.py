"""Statuses: what they refer to, and finding what they answer (fact sheet section 3.1).

A Status names the message (MsgRef), the command (CmdRef) and repeats the addresses that stood in it. What it answers is found by
(MsgRef, CmdRef), and where a device mixes these up, by the addresses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from twsync import limits
from twsync.syncml.document import Alert, Change, Command, Group, Header, Item, Map, Meta, Other, Put, Results, Status, Sync

T = TypeVar("T")


def command_name(command: Command) -> str:
    """The value of Cmd for a command.

    >>> command_name(Put(name="Get", cmd_id="1"))
    'Get'
    """
    if isinstance(command, Change | Group | Put | Other):
        return command.name
    return type(command).__name__


def addresses(command: Command, item: Item | None = None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The TargetRefs and SourceRefs of the Status for a command.

    :param item: the one of the command's items that the Status is for; None: its first.
    """
    if isinstance(command, Sync | Map):
        return (
            (command.target.uri,) if command.target else (),
            (command.source.uri,) if command.source else (),
        )
    if isinstance(command, Alert | Change | Put | Results):
        first = item if item is not None else (command.items[0] if command.items else None)
        if first is None:
            return (), ()
        return (first.target.uri,) if first.target else (), (first.source.uri,) if first.source else ()
    return (), ()


def status(
    msg_ref: str,
    command: Command,
    code: int,
    item: Item | None = None,
    *,
    text: str = "",
    items: Sequence[Item] = (),
    chal: Meta | None = None,
) -> Status:
    """The Status for a command; its CmdID is given when it is written.

    :param msg_ref: MsgID of the message that held the command.
    :param item: as in `addresses`.
    :param text: for people: an Item with Data, before `items`.
    """
    targets, sources = addresses(command, item)
    return Status(
        cmd_id="",
        msg_ref=msg_ref,
        cmd_ref=command.cmd_id,
        cmd=command_name(command),
        code=str(int(code)),
        target_refs=targets,
        source_refs=sources,
        chal=chal,
        items=(*((Item(data=_shown(text)),) if text else ()), *items),
    )


def _shown(text: str) -> str:
    """A text for people: messages of stores can hold names with characters that XML cannot say."""
    return "".join(char if char.isprintable() else " " for char in text[: limits.MAX_STATUS_TEXT])


def header_status(header: Header, code: int, *, chal: Meta | None = None) -> Status:
    """The Status for a SyncHdr: the first of every answer."""
    return Status(
        cmd_id="",
        msg_ref=header.msg_id,
        cmd_ref="0",
        cmd="SyncHdr",
        code=str(int(code)),
        target_refs=(header.target.uri,),
        source_refs=(header.source.uri,),
        chal=chal,
    )


class Awaited(Generic[T]):
    """Commands that were sent and whose Status has not come: never waited for, but found when it comes.

    Bounded: beyond `limits.MAX_AWAITED` commands or `limits.MAX_AWAITED_BYTES` the oldest are forgotten, which is the same as a Status
    that never comes.
    """

    def __init__(self) -> None:
        self._sent: dict[tuple[str, str], tuple[T, frozenset[str], int]] = {}
        self._cost = 0

    def __len__(self) -> int:
        """How many are not answered."""
        return len(self._sent)

    def sent(self, msg_id: str, command: Command, what: T, cost: int = 0) -> None:
        """A command with its final CmdID was written into message `msg_id`.

        :param what: is given back when the Status comes.
        :param cost: bytes that `what` holds in memory.
        """
        targets, sources = addresses(command)
        self._sent[msg_id, command.cmd_id] = (what, frozenset(targets + sources), cost)
        self._cost += cost
        while len(self._sent) > limits.MAX_AWAITED or self._cost > limits.MAX_AWAITED_BYTES:
            self._drop(next(iter(self._sent)))

    def answered(self, answer: Status) -> T | None:
        """What a Status answers, once; None: nothing that is known."""
        key = (answer.msg_ref, answer.cmd_ref)
        if key not in self._sent:
            refs = frozenset(answer.target_refs + answer.source_refs)
            matches = [other for other, (_, sent, _) in self._sent.items() if refs and refs == sent]
            if len(matches) != 1:
                return None
            key = matches[0]
        what = self._sent[key][0]
        self._drop(key)
        return what

    def forget(self) -> list[T]:
        """All that were not answered, which are then forgotten."""
        left = [what for what, _, _ in self._sent.values()]
        self._sent.clear()
        self._cost = 0
        return left

    def _drop(self, key: tuple[str, str]) -> None:
        self._cost -= self._sent.pop(key)[2]
