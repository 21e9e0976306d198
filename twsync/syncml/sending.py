"""The changes of one datastore on their way to the other side: Sync after Sync, message after message, large objects cut.

Either side's (packages 3 and 4). What is written waits for its Status in `Awaited`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgspec

from twsync import limits
from twsync.errors import FormatError, TwsyncError
from twsync.syncml.changes import encoded, is_encoded, to_command
from twsync.syncml.chunking import LargeObject, octets
from twsync.syncml.codes import StatusCode, succeeded
from twsync.syncml.datastore import Action, Datastore, Outgoing
from twsync.syncml.document import Change, Cred, Location, Status, Sync
from twsync.syncml.outbox import Outbox
from twsync.syncml.references import Awaited

#: What to do when the Status of something that was sent has come: it is given the Status and its code as a number. Raises what a store
#: raises.
Answer: TypeAlias = Callable[[Status, int], None]

#: Reasons why a change is not sent in this session; it stays pending.
TOO_LARGE = "too-large"
NOT_SAYABLE = "not-sayable"
DEVICE_FULL = "device-full"
#: The same as the other side would have said it.
SKIP_STATUS = {TOO_LARGE: StatusCode.OBJECT_TOO_LARGE, NOT_SAYABLE: StatusCode.UNSUPPORTED_TYPE, DEVICE_FULL: StatusCode.DEVICE_FULL}


def sync_element(target: str, source: str, number_of_changes: int | None) -> Sync:
    """The first Sync of a datastore, without changes.

    :param target: the other side's datastore, as it is addressed.
    :param source: the own one.
    :param number_of_changes: None: not said.
    """
    return Sync(cmd_id="", target=Location(target), source=Location(source), number_of_changes=number_of_changes)


class ChangeSender:
    """See the module.

    :param datastore: told by `sent` of every Status that settles a change.
    :param sync: see `sync_element`; NumberOfChanges stands in the first Sync only.
    :param from_server: how items are addressed (see `twsync.syncml.changes`).
    :param twsync: the other side is a twsync host: versions travel.
    :param max_object: bytes of the largest object that the other side takes; None: not said.
    :param large_objects: whether it takes chunks.
    :param on_sync: told the Status of every Sync.
    :param changes: read one at a time, when there is room; None: there are none.
    :param on_skip: told of a change that is not sent, and why (`TOO_LARGE`, `NOT_SAYABLE`, `DEVICE_FULL`).
    :param on_sent: told of a change that the other side has answered, with its Status.
    :param on_error: told that the store did not take an answer; None: the answer raises it.
    :param cred: goes with every change.
    """

    def __init__(
        self,
        datastore: Datastore,
        sync: Sync,
        *,
        from_server: bool,
        twsync: bool,
        max_object: int | None,
        large_objects: bool,
        on_sync: Answer,
        changes: Iterator[Outgoing] | None,
        on_skip: Callable[[Outgoing, str], None] | None = None,
        on_sent: Callable[[Outgoing, Status, int], None] | None = None,
        on_error: Callable[[TwsyncError], None] | None = None,
        cred: Cred | None = None,
    ) -> None:
        self._cred = cred
        self._datastore = datastore
        self._sync = sync
        self._from_server = from_server
        self._twsync = twsync
        self._max_object = max_object
        self._large_objects = large_objects
        self._on_sync = on_sync
        self._changes = changes if changes is not None else iter(())
        self._on_skip = on_skip
        self._on_sent = on_sent
        self._on_error = on_error
        self._current: Outgoing | None = None
        self._large: LargeObject | None = None
        self._full = False
        self._done = False

    def fill(self, outbox: Outbox, awaited: Awaited[Answer]) -> bool:
        """Write as much as fits.

        :returns: whether everything is written; if not, the message has to go as it is, without Final.
        :raises TwsyncError: from the store that the changes are read from.
        """
        if self._done:
            return True
        opened = outbox.open_sync(self._sync)
        if opened is None:
            return False
        self._sync = msgspec.structs.replace(self._sync, number_of_changes=None)
        awaited.sent(outbox.header.msg_id, opened, self._on_sync)
        try:
            self._done = self._fill(outbox, awaited)
        finally:
            outbox.close_sync()
        return self._done

    def lost(self, name: str) -> None:
        """Alert 223: the other side has given up the object of which it got chunks."""
        if self._large is not None and self._current is not None and self._current.id == name:
            self._refused(self._current)

    def _fill(self, outbox: Outbox, awaited: Awaited[Answer]) -> bool:
        while (change := self._next()) is not None:
            try:
                if self._large is not None:
                    settled = self._chunk(outbox, awaited, change, self._large)
                else:
                    settled = self._whole(outbox, awaited, change)
            except FormatError:
                self._skip(change, NOT_SAYABLE)
                settled, self._large = True, None
            if not settled:
                return False
            self._current = None
        return True

    def _next(self) -> Outgoing | None:
        while self._current is None:
            change = next(self._changes, None)
            if change is None:
                return None
            if self._full and change.action is Action.ADD:
                self._skip(change, DEVICE_FULL)
            elif self._max_object and change.record is not None and octets(change.record.data) > self._max_object:
                self._skip(change, TOO_LARGE)
            else:
                self._current = change
        return self._current

    def _whole(self, outbox: Outbox, awaited: Awaited[Answer], change: Outgoing) -> bool:
        command = to_command(change, self._from_server, self._twsync)
        if self._cred is not None:
            command = msgspec.structs.replace(command, cred=self._cred)
        try:
            written = outbox.add_change(command)
        except FormatError:
            if change.record is None or is_encoded(command):
                raise
            # XML cannot say control characters.
            command = encoded(command)
            written = outbox.add_change(command)
        if written is not None:
            self._await(outbox, awaited, written, change, last=True)
            return True
        size = outbox.measure(command)
        if change.record is not None and self._large_objects:
            if size <= outbox.capacity * limits.SYNCML_WHOLE_SHARE and not outbox.bare:
                return False
            self._large = LargeObject(command)
            return self._chunk(outbox, awaited, change, self._large)
        if not outbox.bare:
            return False
        if (
            size + limits.MAX_SYNCML_DIGITS <= outbox.room + outbox.spare
            and (written := outbox.add_change(command, forced=True)) is not None
        ):
            self._await(outbox, awaited, written, change, last=True)
        else:
            self._skip(change, TOO_LARGE)
        return True

    def _chunk(self, outbox: Outbox, awaited: Awaited[Answer], change: Outgoing, large: LargeObject) -> bool:
        """Write the next chunk; True if it was the last one."""
        chunk = _cut(large, outbox)
        written = outbox.add_change(chunk, forced=outbox.fresh)
        if written is None:
            return False
        large.take(chunk)
        self._await(outbox, awaited, written, change, last=large.done)
        if not large.done:
            return False
        self._large = None
        return True

    def _await(self, outbox: Outbox, awaited: Awaited[Answer], written: Change, change: Outgoing, *, last: bool) -> None:
        cost = limits.AWAITED_COST + (octets(change.record.data) if change.record is not None else 0)
        awaited.sent(outbox.header.msg_id, written, lambda answer, code: self._answered(change, answer, code, last), cost)

    def _answered(self, change: Outgoing, answer: Status, code: int, last: bool) -> None:
        # A chunk that others follow settles nothing, unless the other side does not want them.
        if code == StatusCode.CHUNK_TAKEN or (not last and succeeded(code)):
            return
        self._refused(change)
        self._full = self._full or code == StatusCode.DEVICE_FULL
        if self._on_sent is not None:
            self._on_sent(change, answer, code)
        try:
            self._datastore.sent(change, code)
        except TwsyncError as error:
            if self._on_error is None:
                raise
            self._on_error(error)

    def _refused(self, change: Outgoing) -> None:
        if self._current is change:
            self._current, self._large = None, None

    def _skip(self, change: Outgoing, reason: str) -> None:
        if self._on_skip is not None:
            self._on_skip(change, reason)


def _cut(large: LargeObject, outbox: Outbox) -> Change:
    """The longest chunk that fits, or the shortest that is worth its command."""
    length = max(outbox.room, limits.MIN_CHUNK)
    while True:
        chunk = large.chunk(length)
        # The CmdID is not yet given: it takes some more.
        over = outbox.measure(chunk) + limits.MAX_SYNCML_DIGITS - outbox.room
        if over <= 0 or length <= limits.MIN_CHUNK:
            return chunk
        # What is over can be the escapes of XML, up to six bytes a byte: the length shrinks towards what fits without passing it by far.
        data = chunk.items[0].data
        have = octets(data) if isinstance(data, str | bytes) else 0
        length = max(limits.MIN_CHUNK, have - max(over // 6, min(over, 16)))
