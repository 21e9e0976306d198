"""The plan: from both sides' rows to what both sides do. Pure; both sides compute it and compare its digest before anything is touched.

What goes in
------------

The rows that travelled: each side's `items` and `counterparts`. A side has no row in the input only if its own row is the same as the other
side's or older, or if it has none. :func:`twsync.reconcile.compare.counterparts` and `with_ancestors` keep that rule, and two more that the
structural pass lives on: every live row sent as `items` comes with the rows of the directories above it; and a live directory that the
other side's row would remove is shown, with what lives below it. Nothing else is known here: not the disk, not the clock.

What holds
----------

1.  Symmetric. Swapping the sides (and `from-client` with `from-server`, `ours` with `theirs`) swaps the sides in the plan and nothing else.
2.  A side gets a row only if that row's version is not older than its own; a session never takes a version back.
3.  The *join* of two rows depends on the two alone: the newer version as it is; of two concurrent ones the greater by
    :func:`twsync.reconcile.policy.rank`, with the joined version. Live beats tombstone and directory beats file by that rank. Of the same
    content with concurrent versions this leaves the later metadata. No conflict, and no operation for a side that has the row.
4.  A result that is not the join (`ours`, `theirs`, the sender of a one-way session, a refresh, a revival) is *marked*: the joined version,
    raised at the winning side's :func:`~twsync.reconcile.policy.twin`. So it follows both rows, and two different decisions about the same
    two rows are concurrent.
5.  Joins do not quite form a lattice: where hosts join a row and a successor of it with a third row in different order, one vector
    can come to name two contents. Equal vectors with different rows are therefore treated as concurrent. The greater by rank wins, so
    that this ends; the other is kept like every loser.
6.  Content is lost by nobody but its own successor: a losing file or link gets a copy under a conflict name (`keep-both`, and always
    where a directory beats it), otherwise what was overridden on purpose goes to the trash of the executing side.
7.  Slow sessions remove nothing. One-way sessions change the sender's journal in versions only, and never what only the receiver changed.
8.  On each side, whatever is live afterwards stands in live directories, as far as the input shows them.

Copies
------

Only the losing side makes the copy: it has the content, and only it can see which names are free on its disk. The copy is a new row of that
side like any other and travels in the next round of the same session (:meth:`twsync.reconcile.operation.Plan.copies` counts them). Its
version is made from its name and content (see policy.py), so that no one needs to agree on it beforehand.

And only the losing side takes the joined version at first. If the winner took it at once and the loser died before it made its copy, the
loser's row would look merely older the next time, and its content would go to the trash without a copy. So the winner hears of the joined
version from the loser's row, in that next round; and in one-way types, where the receiver's rows do not travel, from
:meth:`~twsync.reconcile.operation.Plan.confirmations`.

Whose row is it?
----------------

A journal does not send a row back to the partner it took it from. That is right only for rows that the partner certainly has: those of
operations that change one side. What an operation gives to both sides is written as a change of one's own
(:meth:`~twsync.reconcile.operation.Operation.taken`), since the other side may die before it writes it.

The structural pass
-------------------

Decisions are made key by key and then mended. From the deepest directory up: where something that stays or becomes live on a side needs a
directory that the plan removes or replaces there, the directory stays (two-way: on both sides, marked), and a file or link that was to
take its place loses to it. In one-way types the sender does not change: there the receiver just keeps its directory, and what the sender
did to it is skipped. Then from the top down: what would stand in a directory that is not there (refused, skipped) is skipped as well.

What is skipped is left as it is on both sides, so neither direction may move past it (:meth:`twsync.reconcile.operation.Plan.held`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, repeat
from operator import itemgetter

from msgspec.structs import replace

from twsync import limits
from twsync.reconcile.anchors import sender
from twsync.reconcile.compare import ancestors
from twsync.reconcile.decide import decider, marked, operation_for
from twsync.reconcile.model import DELETED, DIRECTORY, Item, Kind, Policy, Side, SyncType
from twsync.reconcile.operation import Operation, Plan, Reason, Resolution, Skip
from twsync.reconcile.policy import NameTooLongError, conflict_copy
from twsync.reconcile.versions import Version

__all__ = ["DIRECTORY_NOT_EMPTY", "NAME_TOO_LONG", "NO_DIRECTORY", "VERSION_TOO_LONG", "plan"]

#: Reasons of skips that the plan itself finds. Anything refused by a side has that side's own word.
NO_DIRECTORY = "no-directory"
DIRECTORY_NOT_EMPTY = "directory-not-empty"
NAME_TOO_LONG = "name-too-long"
VERSION_TOO_LONG = "version-too-long"
_PARENT = itemgetter(0)


def plan(
    client: Mapping[bytes, Item],
    server: Mapping[bytes, Item],
    *,
    client_replica: int,
    server_replica: int,
    sync_type: SyncType,
    policy: Policy = Policy.KEEP_BOTH,
    refused_client: Mapping[bytes, str] | None = None,
    refused_server: Mapping[bytes, str] | None = None,
) -> Plan:
    """Decide about every key of either side.

    :param client: the client's rows that travelled in this round, items and counterparts.
    :param server: the server's.
    :param client_replica: the client's replica of this collection (from `open`).
    :param server_replica: the server's.
    :param sync_type: the type; a two-way session without a common mark has to be passed as slow (see anchors.effective).
    :param policy: who wins a conflict: `ours` is the client's content, `theirs` the server's.
    :param refused_client: keys that the client will not place or remove, with the reason; nothing below them is placed there either.
    :param refused_server: the same of the server.
    """
    decide = decider(sync_type, policy, {Side.CLIENT: client_replica, Side.SERVER: server_replica})
    draft = _Draft(
        {Side.CLIENT: client, Side.SERVER: server},
        {Side.CLIENT: refused_client or {}, Side.SERVER: refused_server or {}},
        {Side.CLIENT: client_replica, Side.SERVER: server_replica},
        sync_type,
    )
    for key, row in client.items():
        operation = decide(row, server.get(key))
        if operation is not None:
            draft.operations[key] = operation
    for key, row in server.items():
        if key not in client:
            operation = decide(None, row)
            if operation is not None:
                draft.operations[key] = operation
    draft.refuse()
    housed = draft.housed()
    if not housed:
        draft.keep_directories()
    draft.name_copies()
    if not housed:
        draft.drop_homeless()
    return Plan(
        sync_type,
        policy,
        tuple([draft.operations[key] for key in sorted(draft.operations)]),
        tuple([draft.skips[key] for key in sorted(draft.skips)]),
    )


def _lasting(version: Version) -> bool:
    """Whether a row of this version can go on: be changed where it is, and then still be sent to others."""
    return len(version.entries) <= limits.MAX_GIVEN_ENTRIES and all(counter <= limits.MAX_GIVEN_COUNTER for _, counter in version.entries)


@dataclass(slots=True)
class _Draft:
    """The plan while it is being mended."""

    rows: Mapping[Side, Mapping[bytes, Item]]
    refused: Mapping[Side, Mapping[bytes, str]]
    replicas: Mapping[Side, int]
    sync_type: SyncType
    operations: dict[bytes, Operation] = field(default_factory=dict)
    skips: dict[bytes, Skip] = field(default_factory=dict)

    def after(self, side: Side, key: bytes) -> Item | None:
        """The row that `side` holds in the end, if the input shows it."""
        operation = self.operations.get(key)
        if operation is not None and side in operation.sides:
            return operation.result
        return self.rows[side].get(key)

    def skip(self, key: bytes, side: Side, reason: str) -> None:
        """Leave a key alone on both sides."""
        self.operations.pop(key, None)
        self.skips[key] = Skip(key, side, reason)

    def refuse(self) -> None:
        """Skip what a side refused, and what would stand below it there; and what could not be sent on."""
        # Most rows share a handful of versions, and most of those that follow each other the very value.
        lasting: set[Version] = set()
        last: Version | None = None
        for key, operation in list(self.operations.items()):
            version = operation.result.version
            if version is last or version in lasting:
                last = version
            elif _lasting(version):
                lasting.add(version)
            else:
                self.skip(key, operation.sides[0], VERSION_TOO_LONG)
        for side, refused in self.refused.items():
            if not refused:
                continue
            for key, operation in list(self.operations.items()):
                if side in operation.sides:
                    reason = refused.get(key) or next((refused[above] for above in ancestors(key) if above in refused), None)
                    if reason is not None:
                        self.skip(key, side, reason)

    def housed(self) -> bool:
        """Whether nothing but directories is shown above any key. Then nothing is missing there, whatever is skipped, and the two passes
        that mend it have nothing to do: so it is with most plans, and this is quicker to see."""
        above: set[bytes] = set()
        for rows in self.rows.values():
            above.update(map(_PARENT, map(bytes.rpartition, rows, repeat(b"/"))))
        for key in tuple(above):
            above.update(ancestors(key))
        results = (operation.result for key in above if (operation := self.operations.get(key)) is not None)
        shown = (row for rows in self.rows.values() for key in above if (row := rows.get(key)) is not None)
        return all(row.kind is DIRECTORY for row in chain(results, shown))

    def keep_directories(self) -> None:
        """Keep the directories that something live needs (from the deepest up: a directory kept needs those above it)."""
        needed: dict[bytes, set[Side]] = {}
        both = tuple(Side)
        # Directories that are needed on both sides: nothing else in them has to be looked at.
        settled: set[bytes] = set()
        client, server = (self.rows[side] for side in both)
        for key in client.keys() | server.keys() if client and server else client or server:
            end = key.rfind(b"/")
            if end < 0 or (folder := key[:end]) in settled:
                continue
            for side in both:
                if side in needed.get(folder, ()):
                    continue
                row = self.after(side, key)
                if row is not None and row.live:
                    for above in ancestors(key):
                        wanting = needed.setdefault(above, set())
                        if side in wanting:
                            break
                        wanting.add(side)
            if len(needed.get(folder, ())) == len(both):
                settled.add(folder)
        # A directory that is kept on a further side needs those above it there too; they are shorter, so they come later in this order.
        for key in sorted(needed, key=lambda key: (-key.count(b"/"), key)):
            missing = [side for side in both if side in needed[key] and self._missing(side, key)]
            if missing and self._keep(key, missing):
                for above in ancestors(key):
                    if above in needed:
                        needed[above].update(Side)

    def _missing(self, side: Side, key: bytes) -> bool:
        """Whether the input shows that no directory will stand at `key` on `side`."""
        row = self.after(side, key)
        if row is not None:
            return row.kind is not DIRECTORY
        other = self.rows[side.other].get(key)
        # No row here: none at all, or one like the other side's, or older. Only the other side's directory would be placed here.
        return other is not None and other.kind is not Kind.DIRECTORY

    def _keep(self, key: bytes, wanting: Iterable[Side]) -> bool:
        """Decide anew about `key` so that a directory stands there; whether the directory now stands on both sides."""
        rows = {side: self.rows[side].get(key) for side in Side}
        holder = next((side for side in Side if (row := rows[side]) is not None and row.kind is Kind.DIRECTORY), None)
        if holder is None or key in self.skips:
            # Nothing to keep: what wants it is dropped by drop_homeless().
            return False
        directory, across = rows[holder], rows[holder.other]
        assert directory is not None
        from_side = sender(self.sync_type)
        if from_side is not None and holder is not from_side:
            # A delete is skipped too, not dropped: it is sent again then, and happens once the directory is empty.
            if key in self.operations:
                self.skip(key, holder, DIRECTORY_NOT_EMPTY)
            return False
        result = marked(directory, self.replicas[holder], across)
        beaten = across is not None and across.live and across.kind is not Kind.DIRECTORY
        operation = operation_for(
            rows[Side.CLIENT],
            rows[Side.SERVER],
            result,
            Reason.NEEDED,
            loser=holder.other if beaten else None,
            keep=beaten,
            resolution=Resolution.KEPT_BOTH if beaten else None,
        )
        assert operation is not None
        self.operations[key] = operation
        reason = self._refusal(operation)
        if not _lasting(result.version):
            reason = operation.sides[0], VERSION_TOO_LONG
        if reason is not None:
            self.skip(key, *reason)
            return False
        return True

    def _refusal(self, operation: Operation) -> tuple[Side, str] | None:
        """The side and reason, if a side refuses this operation."""
        for side in operation.sides:
            refused = self.refused[side]
            for key in (operation.key, *ancestors(operation.key)):
                if key in refused:
                    return side, refused[key]
        return None

    def drop_homeless(self) -> None:
        """Skip what would be placed where no directory stands (from the top down)."""
        known: dict[tuple[Side, bytes], bool] = {}

        def homeless(side: Side, key: bytes) -> bool:
            """Whether something above `key` is no directory on `side`; asked after everything above is settled."""
            above = next(ancestors(key), None)
            if above is None:
                return False
            answer = known.get((side, above))
            if answer is None:
                answer = known[side, above] = self._missing(side, above) or homeless(side, above)
            return answer

        housed: dict[tuple[Side, ...], set[bytes]] = {}
        parents: set[bytes] = set()
        sides: tuple[Side, ...] | None = None
        for key in sorted(self.operations):
            operation, end = self.operations[key], key.rfind(b"/")
            if end < 0:
                continue
            if operation.sides is not sides:
                sides = operation.sides
                parents = housed.setdefault(sides, set())
            if key[:end] not in parents and operation.result.kind is not DELETED:
                side = next((side for side in operation.sides if homeless(side, key)), None)
                if side is not None:
                    self.skip(key, side, NO_DIRECTORY)
                else:
                    parents.add(key[:end])

    def name_copies(self) -> None:
        """Give every copy its name: no key known on either side, and no other copy of this plan."""
        planned: dict[bytes, Item] = {}

        def rows(key: bytes) -> Iterable[Item]:
            known = (planned.get(key), self.after(Side.CLIENT, key), self.after(Side.SERVER, key))
            return (row for row in known if row is not None)

        def taken(key: bytes) -> bool:
            standing = (self.rows[side].get(key) for side in Side)
            return any(key in self.refused[side] for side in Side) or any(row is not None and row.live for row in standing)

        for key in sorted(key for key, operation in self.operations.items() if operation.loser is not None):
            operation = self.operations[key]
            assert operation.loser is not None
            assert operation.lost is not None
            try:
                copy = conflict_copy(operation.lost, rows, taken)
            except NameTooLongError:
                self.skip(key, operation.loser, NAME_TOO_LONG)
                continue
            planned[copy.item.key] = copy.item
            self.operations[key] = replace(operation, copy=copy.item)
