"""The decision about one key: two rows, the type, the policy. The rules are numbered in :mod:`twsync.reconcile.plan`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from twsync.reconcile.anchors import ONE_WAY, sender
from twsync.reconcile.compare import same_content, same_metadata, same_row
from twsync.reconcile.model import DELETED, FILE, Item, Kind, Policy, Side, SyncType
from twsync.reconcile.operation import Action, Operation, Reason, Resolution
from twsync.reconcile.policy import rank, twin
from twsync.reconcile.versions import Order

# A first session makes one operation for each row; so these are made once.
_OTHER = {side: side.other for side in Side}
_ALONE = {side: (side,) for side in Side}
_TAKE, _DELETE, _NEWER = Action.TAKE, Action.DELETE, Reason.NEWER
_CLIENT, _SERVER = Side


def decider(sync_type: SyncType, policy: Policy, replicas: Mapping[Side, int]) -> Callable[[Item | None, Item | None], Operation | None]:
    """The decision for one key of this type: (client's row, server's row) → operation or nothing."""
    from_side = sender(sync_type)
    if from_side is None:
        return TwoWay(policy, replicas, slow=sync_type is SyncType.SLOW).decide
    if sync_type in ONE_WAY:
        return OneWay(from_side, policy, replicas).decide
    return Refresh(from_side, replicas).decide


def join(one: Item, other: Item) -> tuple[Item, Order]:
    """The row that rule 3 makes of two, and how the first stood to the second."""
    order = one.version.order(other.version)
    if order is Order.NEWER:
        return one, order
    if order is Order.OLDER:
        return other, order
    winner = one if rank(one) >= rank(other) else other
    return replace(winner, version=one.version.joined(other.version)), order


def marked(winner: Item, replica: int, *rows: Item | None) -> Item:
    """`winner` with a version that follows those of all `rows` and that no join makes (rule 4)."""
    version = winner.version
    for row in rows:
        if row is not None:
            version = version.joined(row.version)
    return replace(winner, version=version.raised(twin(replica)))


def as_sent(row: Item, side: Side) -> Operation:
    """`side`, which has shown no row of its own, takes the other side's."""
    kind = row.kind
    source = _OTHER[side] if kind is FILE else None
    return Operation(row.key, _DELETE if kind is DELETED else _TAKE, _NEWER, row, _ALONE[side], source)


def operation_for(
    client: Item | None,
    server: Item | None,
    result: Item,
    reason: Reason,
    *,
    sides: Iterable[Side] = (Side.CLIENT, Side.SERVER),
    loser: Side | None = None,
    keep: bool = False,
    resolution: Resolution | None = None,
) -> Operation | None:
    """The operation that brings those of `sides` whose row differs to `result`; None if there are none.

    :param loser: the side that loses a conflict.
    :param keep: whether its content is kept as a copy (named later, when all keys are decided). Then the loser alone changes.
    """
    rows = {Side.CLIENT: client, Side.SERVER: server}
    if keep and loser is not None:
        sides = (loser,)
    changing = tuple([side for side in sides if (row := rows[side]) is None or not same_row(row, result)])
    if not changing:
        return None
    client_has, server_has = (row is not None and same_content(row, result) for row in (client, server))
    if keep:
        action = Action.KEEP_BOTH
    elif client_has and server_has:
        action = Action.MERGE
    else:
        action = Action.TAKE if result.live else Action.DELETE
    source = None
    if result.kind is Kind.FILE:
        source = Side.CLIENT if client_has else Side.SERVER if server_has else None
    return Operation(
        result.key,
        action,
        reason,
        result,
        changing,
        source,
        loser if keep else None,
        rows[loser] if loser else None,
        None,
        resolution,
    )


def _won_by(side: Side) -> Resolution:
    """The resolution's name when one side's content stands alone."""
    return Resolution.OURS if side is Side.CLIENT else Resolution.THEIRS


@dataclass(frozen=True, slots=True)
class TwoWay:
    """Two-way and slow sessions."""

    policy: Policy
    replicas: Mapping[Side, int]
    slow: bool

    def decide(self, client: Item | None, server: Item | None) -> Operation | None:
        """See rules 3 to 7."""
        if client is None:
            return None if server is None else as_sent(server, _CLIENT)
        if server is None:
            return as_sent(client, _SERVER)
        if same_row(client, server):
            return None
        joined, order = join(client, server)
        if same_content(client, server):
            return operation_for(client, server, joined, Reason.NEWER if order in (Order.NEWER, Order.OLDER) else Reason.SAME_CONTENT)
        if self.slow and not joined.live:
            return self._revive(client, server)
        if order in (Order.NEWER, Order.OLDER):
            return operation_for(client, server, joined, Reason.NEWER)
        if not client.live or not server.live:
            return operation_for(client, server, joined, Reason.EDIT_BEATS_DELETE)
        loser = Side.SERVER if same_content(client, joined) else Side.CLIENT
        if joined.kind is Kind.DIRECTORY:
            return operation_for(client, server, joined, Reason.DIRECTORY_BEATS, loser=loser, keep=True, resolution=Resolution.KEPT_BOTH)
        if self.policy is Policy.KEEP_BOTH:
            return operation_for(client, server, joined, Reason.CONFLICT, loser=loser, keep=True, resolution=Resolution.KEPT_BOTH)
        winner = Side.CLIENT if self.policy is Policy.OURS else Side.SERVER
        row = client if winner is Side.CLIENT else server
        result = marked(row, self.replicas[winner], client, server)
        return operation_for(client, server, result, Reason.CONFLICT, loser=winner.other, resolution=_won_by(winner))

    def _revive(self, client: Item, server: Item) -> Operation | None:
        """A live row that a tombstone follows, in a slow session."""
        side = Side.CLIENT if client.live else Side.SERVER
        row = client if client.live else server
        return operation_for(client, server, marked(row, self.replicas[side], client, server), Reason.REVIVED)


@dataclass(frozen=True, slots=True)
class OneWay:
    """One-way sessions: the sender's changes, which win."""

    sender: Side
    policy: Policy
    replicas: Mapping[Side, int]

    def decide(self, client: Item | None, server: Item | None) -> Operation | None:
        """See rules 4 and 7. The sender's journal takes a joined version, so that its next change follows what the receiver has then."""
        mine, theirs = (client, server) if self.sender is Side.CLIENT else (server, client)
        receiver = self.sender.other
        if mine is None:
            return None
        if theirs is None:
            return as_sent(mine, receiver)
        if same_row(mine, theirs):
            return None
        joined, order = join(mine, theirs)
        if order is Order.NEWER:
            return operation_for(client, server, mine, Reason.NEWER, sides=(receiver,))
        if order is Order.OLDER:
            return None
        if theirs.live and not mine.live:
            # The edit lives where it was made; a two-way session brings it here.
            return None
        conflict = theirs.live and not same_content(mine, theirs)
        stands = same_content(mine, joined) and same_metadata(mine, joined) and (self.policy is Policy.KEEP_BOTH or not conflict)
        result = joined if stands else marked(mine, self.replicas[self.sender], theirs)
        if same_content(mine, theirs):
            return operation_for(client, server, result, Reason.SAME_CONTENT)
        if not theirs.live:
            return operation_for(client, server, result, Reason.EDIT_BEATS_DELETE)
        keep = self.policy is Policy.KEEP_BOTH and theirs.kind is not Kind.DIRECTORY
        resolution = Resolution.KEPT_BOTH if keep else _won_by(self.sender)
        return operation_for(client, server, result, Reason.CONFLICT, loser=receiver, keep=keep, resolution=resolution)


@dataclass(frozen=True, slots=True)
class Refresh:
    """Refresh sessions: the receiver becomes what the sender is. All rows are known."""

    sender: Side
    replicas: Mapping[Side, int]

    def decide(self, client: Item | None, server: Item | None) -> Operation | None:
        """See rule 4."""
        mine, theirs = (client, server) if self.sender is Side.CLIENT else (server, client)
        receiver = self.sender.other
        replica = self.replicas[self.sender]
        if mine is None:
            assert theirs is not None
            if not theirs.live:
                return None
            gone = Item(theirs.key, Kind.DELETED, b"", 0, theirs.mtime_ns, 0, theirs.version, device=theirs.device)
            return operation_for(client, server, marked(gone, replica), Reason.REFRESH, sides=(receiver,))
        if theirs is None:
            return as_sent(mine, receiver)
        if same_row(mine, theirs):
            return None
        joined, order = join(mine, theirs)
        if order is Order.NEWER:
            return operation_for(client, server, mine, Reason.NEWER, sides=(receiver,))
        if same_content(mine, joined) and same_metadata(mine, joined):
            # The join names what the sender has; where the receiver is ahead, that is news for the sender's journal only.
            reason = Reason.SAME_CONTENT if same_content(mine, theirs) else Reason.EDIT_BEATS_DELETE if not theirs.live else Reason.REFRESH
            return operation_for(client, server, joined, reason)
        return operation_for(client, server, marked(mine, replica, theirs), Reason.REFRESH)
