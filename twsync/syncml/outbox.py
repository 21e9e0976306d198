"""One message while it is filled: Statuses first, then commands, no more than the other side can take (fact sheet sections 3.5 and 8).

What fits is decided by the encoded size of each command, which the codec measures. A command that does not fit is left for the next
message by the caller. A message that no later one would have more room than takes one command (not a change, which can be cut) whatever
its size: else a device that names a tiny MaxMsgSize could stop a session, and what it does with a message too large for it is its own
affair.
"""

from __future__ import annotations

from typing import TypeVar, cast

import msgspec

from twsync import limits
from twsync.syncml.document import Change, Command, Map, Message, Status, Sync
from twsync.syncml.draft import Draft

C = TypeVar("C", bound=Command)


class Outbox:
    """One message to be sent.

    :param draft: empty.
    :param limit: bytes that the other side takes (its MaxMsgSize), or what we never exceed.
    :param spare: bytes beyond the limit that one change may take which cannot be cut, alone in its message.
    :param changes: most changes in it; None: no other bound than the limits.
    """

    def __init__(self, draft: Draft, limit: int, spare: int = 0, changes: int | None = None) -> None:
        self.header = draft.header
        self._draft = draft
        self.capacity = limit - draft.overhead - limits.SYNCML_MESSAGE_MARGIN
        "Bytes for commands in all."
        self.spare = spare
        self._left = changes
        self._room = self.capacity
        self._commands: list[Command] = []
        self._next = 1
        self._pairs = 0
        self._open: Sync | None = None
        self._changes: list[Change] = []
        # The last command that was asked about, and as it is written: a draft encodes each of them once.
        self._asked: tuple[Command, Command] | None = None

    @property
    def room(self) -> int:
        """Bytes that are left; can be negative."""
        return self._room

    def measure(self, command: Command) -> int:
        """Bytes that a command would take."""
        return self._draft.size(self._numbered(command))

    @property
    def fresh(self) -> bool:
        """Whether no more room can be had in a message: nothing but Statuses, and a Sync without changes, stands in it."""
        return not self._changes and all(isinstance(command, Status) for command in self._commands)

    @property
    def bare(self) -> bool:
        """Whether the next message will have no more room than this one: it is fresh, and answers but a header and an Alert 222."""
        return len(self._commands) <= 2 and self.fresh

    @property
    def only_statuses(self) -> bool:
        """Whether no command stands in it but Statuses: then a message that is not final needs an Alert 222."""
        return self._open is None and all(isinstance(command, Status) for command in self._commands)

    def add(self, command: C, forced: bool = False) -> C | None:
        """Write a command, with the next CmdID.

        :param forced: it needs no room: it is small, and the margin is for such.
        :returns: as written, or None (and nothing is changed): it does not fit.
        :raises RuntimeError: a Sync is open; a mistake of the caller.
        """
        if self._open is not None:
            raise RuntimeError("a Sync is open")
        numbered = self._fit(command, forced or self.bare)
        if numbered is not None:
            self._commands.append(numbered)
        return numbered

    def open_sync(self, sync: Sync) -> Sync | None:
        """Begin a Sync (without commands); `add_change` writes into it until `close_sync`.

        :returns: as written, or None: it does not fit.
        :raises RuntimeError: one is open already.
        """
        if self._open is not None:
            raise RuntimeError("a Sync is open")
        numbered = self._fit(sync, self.bare)
        if numbered is not None:
            self._open = numbered
        return numbered

    def add_change(self, change: Change, forced: bool = False) -> Change | None:
        """Write a change into the open Sync, if it fits; as `add`, but a message is made too large for it only if `forced`.

        :raises RuntimeError: no Sync is open.
        """
        if self._open is None:
            raise RuntimeError("no Sync is open")
        if self._left == 0:
            return None
        numbered = self._fit(change, forced)
        if numbered is not None:
            self._changes.append(numbered)
            self._left = self._left - 1 if self._left is not None else None
        return numbered

    def close_sync(self) -> None:
        """End the open Sync."""
        if self._open is not None:
            self._commands.append(msgspec.structs.replace(self._open, commands=tuple(self._changes)))
            self._open, self._changes = None, []

    def message(self, final: bool) -> Message:
        """The finished message."""
        self.close_sync()
        return Message(header=self.header, body=tuple(self._commands), final=final)

    def encoded(self, final: bool) -> bytes:
        """The finished message as it travels."""
        return self._draft.encode(self.message(final))

    def _fit(self, command: C, alone: bool) -> C | None:
        numbered = self._numbered(command)
        size, pairs = self._draft.size(numbered), len(numbered.items) if isinstance(numbered, Map) else 0
        # Also what fits must not be more elements than a reader takes (MAX_SYNCML_ELEMENTS): a pair is five, a Status some ten.
        full = self._next > limits.MAX_SYNCML_COMMANDS // 2 or self._pairs + pairs > limits.MAX_SYNCML_ITEMS // 8
        if (size > self._room or full) and not alone:
            return None
        self._room -= size
        self._pairs += pairs
        self._next += 1
        return numbered

    def _numbered(self, command: C) -> C:
        """A command with the next CmdID."""
        if self._asked is not None and self._asked[0] is command and self._asked[1].cmd_id == str(self._next):
            return cast(C, self._asked[1])
        numbered: C = msgspec.structs.replace(command, cmd_id=str(self._next))
        self._asked = command, numbered
        return numbered
