"""The decision about one record: what the other side says of it, what stands here, the sync type, the policy.

Records are decided by the side that receives them, one by one, and the result travels back if the sender does not hold it. Version vectors
come first, where both sides have them (another twsync host). A device that has none is compared with the *base*: the content that both
sides held after the last exchange. What is equal to the base was not changed by that side.
"""

from __future__ import annotations

import enum

import msgspec

from twsync.reconcile.anchors import ONE_WAY, sender
from twsync.reconcile.model import RecordPolicy, Side, SyncType
from twsync.reconcile.versions import Order, Version


class Own(enum.Enum):
    """What stands here."""

    ABSENT = "absent"
    DELETED = "deleted"
    LIVE = "live"


class Verdict(enum.Enum):
    """What becomes of the item here."""

    ADD = "add"
    "It is new here, or comes back."
    TAKE = "take"
    "The other side's content replaces the own one."
    KEEP = "keep"
    "The own content, or the own deletion, stands; the other side is told."
    SAME = "same"
    "Both hold the same."
    MERGE = "merge"
    "Both changed it: property by property."
    DUPLICATE = "duplicate"
    "Both changed it: theirs takes the place, the own content goes on as another item."
    DELETE = "delete"
    "It is deleted here."
    REVIVE = "revive"
    "Deleted there, changed here: it lives, and is sent again."
    GONE = "gone"
    "Deleted on both sides."


class Facts(msgspec.Struct, frozen=True, gc=False):
    """What is known of one record on both sides."""

    own: Own
    deleted: bool
    "Whether the other side deleted it."
    same: bool = False
    "Both live, and equal."
    own_changed: bool = True
    "Whether the own content differs from the base; True without a base."
    their_changed: bool = True
    "The same for the other side's."
    order: Order | None = None
    "How the other side's version stands to the own one (NEWER: theirs dominates); None: one of them has none."


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What is to be done, and what the other side is answered (fact sheet section 6)."""

    verdict: Verdict
    status: int
    conflict: bool = False
    "Whether both sides had changed it, so that the policy decided."


def decide(facts: Facts, sync_type: SyncType, policy: RecordPolicy, side: Side) -> Decision:
    """The decision.

    :param side: the own side. `OURS` is the client's content, `THEIRS` the server's.

    In a refresh in which the other side's items hold, its content is taken whatever stands here; a slow sync never deletes.
    """
    theirs_hold = sender(sync_type) is side.other
    refresh = theirs_hold and sync_type not in ONE_WAY
    if facts.deleted:
        return _deletion(facts, sync_type, refresh)
    if facts.own is Own.ABSENT:
        return Decision(Verdict.ADD, 201)
    if facts.own is Own.DELETED:
        return Decision(Verdict.ADD, 201) if refresh or _comes_back(facts, sync_type) else Decision(Verdict.KEEP, 200)
    if facts.same:
        return Decision(Verdict.SAME, 200)
    if refresh or facts.order is Order.NEWER:
        return Decision(Verdict.TAKE, 200)
    if facts.order is Order.OLDER:
        return Decision(Verdict.KEEP, 200)
    if not facts.own_changed:
        return Decision(Verdict.TAKE, 200)
    if not facts.their_changed:
        return Decision(Verdict.KEEP, 200)
    return _conflict(policy, side, theirs_hold)


def _deletion(facts: Facts, sync_type: SyncType, refresh: bool) -> Decision:
    if facts.own is not Own.LIVE:
        return Decision(Verdict.GONE, 211)
    if refresh or facts.order is Order.NEWER:
        return Decision(Verdict.DELETE, 200)
    if sync_type is SyncType.SLOW or facts.order is Order.OLDER or facts.own_changed:
        return Decision(Verdict.REVIVE, 200)
    return Decision(Verdict.DELETE, 200)


def _comes_back(facts: Facts, sync_type: SyncType) -> bool:
    """Whether what the other side sends beats the own deletion."""
    if sync_type is SyncType.SLOW or facts.order is Order.NEWER:
        return True
    return facts.their_changed and facts.order in (None, Order.CONCURRENT)


def _conflict(policy: RecordPolicy, side: Side, theirs_hold: bool) -> Decision:
    if policy is RecordPolicy.MERGE:
        return Decision(Verdict.MERGE, 207, True)
    if policy is RecordPolicy.DUPLICATE:
        return Decision(Verdict.DUPLICATE, 209, True)
    client_wins = policy is RecordPolicy.OURS
    if theirs_hold:
        # In a one-way session the sender's content holds.
        client_wins = side is Side.SERVER
    taken = client_wins is (side is Side.SERVER)
    return Decision(Verdict.TAKE if taken else Verdict.KEEP, 208 if client_wins else 419, True)


def resulting(verdict: Verdict, own: Version | None, theirs: Version | None, replica: int, partner: int) -> Version:
    """The version of the item here afterwards.

    :param own: of the own row or tombstone; None: there is none.
    :param theirs: the other side's; None: the device has no versions, and its changes are counted under `partner`.
    :param replica: the own one. A decision that is no plain copy of one side raises its counter: the row is in the own journal before
        anybody is told.
    """
    before = own or Version()
    if theirs is None:
        if verdict in (Verdict.ADD, Verdict.TAKE, Verdict.DELETE, Verdict.DUPLICATE):
            return before.raised(partner)
        return before.raised(replica) if verdict is Verdict.MERGE else before
    joined = before.joined(theirs)
    if verdict is Verdict.SAME or verdict is Verdict.GONE:
        return joined
    if verdict in (Verdict.ADD, Verdict.TAKE, Verdict.DELETE) and joined == theirs != own:
        return theirs
    if verdict in (Verdict.KEEP, Verdict.REVIVE) and joined == own != theirs:
        return joined
    return joined.raised(replica)
