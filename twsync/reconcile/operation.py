"""What a plan consists of: operations, skipped items, the plan itself.

The two sides hold the same :class:`Plan` and compare its digest. An operation says what row a key has afterwards and which sides come to
it; what a side must *do* follows from its own row by :func:`twsync.reconcile.compare.work`, because a plan does not know the rows that
were the same or older and so never travelled.
"""

from __future__ import annotations

import enum
from bisect import bisect_left
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from operator import attrgetter

import msgspec
from blake3 import blake3

from twsync.reconcile.anchors import ONE_WAY, sender
from twsync.reconcile.model import Item, Policy, Side, SyncType
from twsync.reconcile.policy import Copy, conflict_copy


class Action(enum.StrEnum):
    """What happens at a key."""

    TAKE = "take"
    "A live result that at least one side does not have."
    DELETE = "delete"
    "The result is a tombstone, and a side may still have something there."
    MERGE = "merge"
    "The same thing stands on both sides (or on neither): only versions and metadata move."
    KEEP_BOTH = "keep-both"
    "As TAKE, and the losing side first sets its own content aside under the copy's name."


class Reason(enum.StrEnum):
    """Why; for the history, ``--json`` and people who ask."""

    NEWER = "newer"
    "One version follows the other, or the other side has no row."
    SAME_CONTENT = "same-content"
    "Changed on both sides to the same thing."
    EDIT_BEATS_DELETE = "edit-beats-delete"
    "Changed here, deleted there, neither knowing of the other."
    DIRECTORY_BEATS = "directory-beats"
    "A directory here, a file or link there, neither knowing of the other."
    CONFLICT = "conflict"
    "Changed on both sides to different things; the policy (or the sending side of a one-way session) decided."
    REVIVED = "revived"
    "A slow sync never deletes."
    NEEDED = "needed"
    "A directory that something below it keeps alive."
    REFRESH = "refresh"
    "The receiving side of a refresh becomes what the sending side is."


#: Operations that are encoded at once for the digest.
_TOGETHER = 1024

#: The reasons with which a side that changes alone takes the very row that the other side sent.
_AS_SENT = frozenset({Reason.NEWER})


class Resolution(enum.StrEnum):
    """How a conflict went, seen by the caller (`ours`: the caller's content stands)."""

    KEPT_BOTH = "kept-both"
    OURS = "ours"
    THEIRS = "theirs"


class Operation(msgspec.Struct, frozen=True, gc=False):
    """What happens at one key."""

    key: bytes
    action: Action
    reason: Reason
    result: Item
    "The row that every side of `sides` holds afterwards, complete with its version."
    sides: tuple[Side, ...]
    "The sides whose row has to become `result` (client first); one of them may find that it is that already."
    source: Side | None = None
    "The side that has the content of `result`, if that is a file."
    loser: Side | None = None
    "KEEP_BOTH: the side that sets its content aside."
    lost: Item | None = None
    "The losing row of a conflict, kept or not."
    copy: Item | None = None
    """KEEP_BOTH: the row under which the losing content goes on, as far as the plan can know. The losing side asks
    :meth:`Plan.set_aside` once more, with its own journal and disk."""
    resolution: Resolution | None = None
    "Set if this was a conflict."

    def changes(self, side: Side) -> bool:
        """Whether `side` comes to hold `result`."""
        return side in self.sides

    @property
    def winner(self) -> Side | None:
        """Of a conflict, the side whose content stands; the other one has to settle it. None if this was none."""
        if self.loser is not None:
            return self.loser.other
        return None if self.resolution is None else Side.CLIENT if self.resolution is Resolution.OURS else Side.SERVER

    def taken(self, side: Side) -> bool:
        """Whether `side` takes a row that the other side has already, so that its journal notes the other side as the row's partner.

        Otherwise the row is new on both sides (or only the loser's so far), and is noted as a change of one's own.
        """
        return self.sides == (side,) and self.action is not Action.KEEP_BOTH and self.reason in _AS_SENT


@dataclass(frozen=True, slots=True)
class Skip:
    """A key that this session leaves alone on both sides."""

    key: bytes
    side: Side
    "The side that could not take it."
    reason: str
    "A word such as ``special-file``."


@dataclass(frozen=True, slots=True)
class Plan:
    """All that one round does, the same on both sides."""

    sync_type: SyncType
    policy: Policy
    operations: tuple[Operation, ...]
    "Ascending by key."
    skipped: tuple[Skip, ...] = ()
    "Ascending by key."

    def of(self, side: Side) -> Iterator[Operation]:
        """The operations that change `side`."""
        return (operation for operation in self.operations if side in operation.sides)

    @property
    def conflicts(self) -> tuple[Operation, ...]:
        """The operations that decided a conflict."""
        return tuple(operation for operation in self.operations if operation.resolution is not None)

    def copies(self, side: Side) -> int:
        """How many conflict copies `side` makes. In the types where its rows travel, it has that many more to send: another round."""
        return sum(operation.loser is side for operation in self.operations)

    def confirmations(self, side: Side) -> Iterator[Item]:
        """The rows that `side`, the sender of a one-way session, writes when the other side's `commit` has come.

        They are the results of conflicts that the other side lost with a copy. Left out are keys that the other side skipped. If they are
        not written, because the session died before, the sender's next change of such an item looks like one more conflict, no worse.
        """
        if sender(self.sync_type) is side and self.sync_type in ONE_WAY:
            for operation in self.operations:
                if operation.loser is side.other:
                    yield operation.result

    def held(self, for_good: Container[str] = ()) -> bool:
        """Whether rows were left behind, so that both directions stay where they were and the next session compares them again.

        :param for_good: reasons for which nobody waits, such as that of ignored items.
        """
        return any(skip.reason not in for_good for skip in self.skipped)

    def settled(self, row: Item) -> bool:
        """Whether `row` is what this plan gave to both sides: no news for the other side in the next round."""
        operation = self._at(row.key)
        return operation is not None and len(operation.sides) == 2 and operation.result == row

    def set_aside(self, operation: Operation, own: Callable[[bytes], Item | None], taken: Callable[[bytes], bool]) -> Copy:
        """The copy that the losing side makes for a KEEP_BOTH operation; see :func:`twsync.reconcile.policy.conflict_copy`.

        :param own: the losing side's own journal row of a key, copies made before this one included.
        :param taken: whether something that the journal does not know stands at a key on its disk.
        :raises NameTooLongError: the plan has checked that this does not happen for the first name.
        """
        assert operation.lost is not None

        def rows(key: bytes) -> Iterator[Item]:
            # What this plan brings to that name counts as standing there already.
            planned = self._at(key)
            row = planned.result if planned is not None and operation.loser in planned.sides else own(key)
            if row is not None:
                yield row

        def busy(key: bytes) -> bool:
            # What this plan removes from that name still stands there: deletes come last.
            row = own(key)
            return taken(key) or (row is not None and row.live)

        return conflict_copy(operation.lost, rows, busy)

    def _at(self, key: bytes) -> Operation | None:
        """The operation of a key."""
        index = bisect_left(self.operations, key, key=attrgetter("key"))
        if index < len(self.operations) and self.operations[index].key == key:
            return self.operations[index]
        return None

    def digest(self) -> bytes:
        """BLAKE3 (32 bytes) of the plan in canonical MessagePack; equal if and only if the plans are."""
        encode = msgspec.msgpack.Encoder().encode
        counts = len(self.operations), len(self.skipped)
        hasher = blake3(encode(("twsync-plan-2", self.sync_type, self.policy, *counts)))
        # A Struct is a map of its fields in their order.
        for start in range(0, len(self.operations), _TOGETHER):
            hasher.update(encode(self.operations[start : start + _TOGETHER]))
        hasher.update(encode(self.skipped))
        return hasher.digest()
