"""What one session came to, as it grows: counters, conflicts, skipped items, keys for another round."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from twsync.errors import ProtocolError, TwsyncError
from twsync.limits import MAX_SKIPPED_PER_SESSION
from twsync.peer.needs import Needs
from twsync.peer.terms import Terms
from twsync.peerwire.messages import Counters
from twsync.reconcile.compare import Change as Seen
from twsync.reconcile.compare import change as seen_change
from twsync.reconcile.model import DELETED, Item, Side, SyncType
from twsync.reconcile.operation import Operation, Plan
from twsync.reconcile.safety import lost
from twsync.session.result import Conflict, Error, SessionResult, Skipped, State, Traffic, shown
from twsync.store.changes import Change, Outcome, Status
from twsync.store.walk import SPECIAL

#: Reasons of what kept changing until the last round, and of copies of conflicts that were settled in it: they go over in the next session.
CHANGING = "changing"
UNSENT = "unsent"


@dataclass(slots=True)
class Tally:
    """Counters and lists of one session, seen by this side."""

    added: int = 0
    changed: int = 0
    deleted: int = 0
    again: set[bytes] = field(default_factory=set)
    "Keys for another round."
    skipped: dict[bytes, str] = field(default_factory=dict)
    "Keys that this side could not take."
    left_alone: dict[bytes, str] = field(default_factory=dict)
    "Keys that the plans left alone on both sides."
    _gone: list[Item] = field(default_factory=list)
    _removed: list[Item] = field(default_factory=list)
    _came: list[Item] = field(default_factory=list)
    conflicts: list[tuple[Operation, bytes]] = field(default_factory=list)
    "Conflicts that were settled, with the copy's key or nothing."
    held: bool = False
    "Whether something of the other side's rows was left behind by an error."
    own_held: bool = False
    "Whether something of the own rows was."

    def happened(self, batch: Iterable[Change], left: Iterable[Outcome]) -> None:
        """A batch was put into place.

        :param left: what came of those of its changes that were not done.
        """
        not_done = {outcome.key: outcome for outcome in left}
        seen: dict[Seen | None, int] = dict.fromkeys((None, *Seen), 0)
        new = 0
        for change in batch:
            item, expected = change.item, change.expected
            if not_done and (outcome := not_done.get(item.key)) is not None:
                if outcome.status is Status.CHANGED:
                    self.again.add(item.key)
                else:
                    self.skip(item.key, outcome.reason)
            elif expected is None and item.kind is not DELETED:
                new += 1
                self._came.append(item)
            else:
                before = None if expected is None else expected.item
                change_seen = seen_change(before, item)
                seen[change_seen] += 1
                if change_seen is Seen.ADDED:
                    self._came.append(item)
                elif change_seen is Seen.DELETED and before is not None:
                    self._removed.append(before)
        self.added += new + seen[Seen.ADDED]
        self.changed += seen[Seen.CHANGED]
        self.deleted += seen[Seen.DELETED]

    @property
    def anything(self) -> bool:
        """Whether anything was changed here."""
        return bool(self.added or self.changed or self.deleted)

    def gone(self) -> list[Item]:
        """Items that earlier rounds removed here and that did not come back under another key. Call it between rounds; in any thread.

        What each round removed and what came, as it really went, are held against each other.
        """
        self._gone = lost([*self._gone, *self._removed], self._came)
        self._removed, self._came = [], []
        return self._gone

    def losing(self, removed: Iterable[Item]) -> list[Item]:
        """Items that would be gone if these were removed as well, by what really came so far. Call it while nothing is put into place."""
        return lost([*self._gone, *self._removed, *removed], self._came)

    def missed(self, change: Change, reason: str) -> None:
        """A content that did not come. What was changed over there has another round."""
        if reason == "changed":
            self.again.add(change.key)
        else:
            self.skip(change.key, reason)

    def skip(self, key: bytes, reason: str) -> None:
        """A key that is given up for this session."""
        self.held = True
        if len(self.skipped) < MAX_SKIPPED_PER_SESSION:
            self.skipped[key] = reason

    def planned(self, plan: Plan, ignored: str) -> None:
        """What a plan leaves alone; `ignored` is the reason of what is left out on purpose, which nobody waits for."""
        self.left_alone.update({skip.key: skip.reason for skip in plan.skipped if skip.reason != ignored})
        if plan.held({ignored}):
            # Both directions: what a side could not take may be half of a conflict, and the other half must come again too.
            self.held = self.own_held = True

    def settle(self, plan: Plan, needs: Needs) -> list[tuple[Operation, bytes]]:
        """The conflicts of a plan that were settled by this side's work, with the key of the copy; they are remembered here."""
        settled = []
        for operation in plan.conflicts:
            if operation.key not in self.again and operation.key not in self.skipped:
                planned = b"" if operation.copy is None else operation.copy.key
                settled.append((operation, needs.copies.get(operation.key, planned)))
        self.conflicts += settled
        return settled

    def doubt(self, side: Side, open_still: Callable[[Operation], bool]) -> None:
        """Conflicts that `side`, this one, won are settled by the other, which does not say so: forget those that are open still."""
        self.conflicts = [one for one in self.conflicts if one[0].winner is not side or not open_still(one[0])]

    def take_again(self) -> set[bytes]:
        """The keys for another round, which begins."""
        again, self.again = self.again, set()
        return again

    def give_up(self, copies: Iterable[bytes]) -> None:
        """There is no other round: what would need one is skipped.

        :param copies: those that this side has made and not sent; nothing of the other side's rows is left behind by them.
        """
        for key in self.take_again():
            self.skip(key, CHANGING)
        self.skipped.update(dict.fromkeys(copies, UNSENT))


def summary(
    terms: Terms,
    collection: str,
    sync_type: SyncType,
    tally: Tally,
    skipped: Mapping[bytes, str],
    sent: tuple[Counters, int],
    received: tuple[Counters, int],
    seconds: float,
    error: TwsyncError | None,
) -> SessionResult:
    """The result of a session.

    :param sync_type: the type that it really had.
    :param skipped: keys skipped by the other side and by the scan.
    :param sent: the other side's counters, and bytes on the wire.
    :param received: this side's.
    """
    everything = {**tally.left_alone, **skipped, **tally.skipped}
    # A special file is told, but the two sides are in step without it, unless the other side has something under its name.
    behind = tally.left_alone or tally.skipped or set(skipped.values()) - {SPECIAL}
    return SessionResult(
        session=terms.session,
        collection=collection,
        device=terms.partner,
        protocol="rsync",
        type=str(terms.sync_type),
        effective_type=str(sync_type),
        state=State.FAILED if error is not None else State.PARTIAL if behind else State.DONE,
        sent=_traffic(*sent),
        received=_traffic(*received),
        conflicts=[
            Conflict(item=shown(operation.key), resolution=str(operation.resolution), copy=shown(copy) if copy else None)
            for operation, copy in tally.conflicts
        ],
        skipped=[Skipped(item=shown(key), reason=reason) for key, reason in sorted(everything.items())],
        seconds=round(seconds, 3),
        error=None if error is None else Error(code=error.code, message=_sentence(error)),
    )


def _traffic(counters: Counters, wire_bytes: int) -> Traffic:
    return Traffic(
        added=counters.added,
        changed=counters.changed,
        deleted=counters.deleted,
        literal_bytes=counters.literal_bytes,
        matched_bytes=counters.matched_bytes,
        wire_bytes=wire_bytes,
    )


def _sentence(error: TwsyncError) -> str:
    if isinstance(error, ProtocolError):
        return f"The two devices do not understand each other ({error.message}); bring both to the same version of twsync."
    return error.message
