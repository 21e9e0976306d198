"""Anchors: up to where a journal is in step with one partner device, and what a session does about it.

A *mark* is a token that both sides hold, and for each direction the sequence number up to which it is in step. A journal keeps two of them
for a partner, because the two sides cannot write at the same instant::

    session ends       both make everything durable
                       both write the next mark as *prepared*        (after_session)
                       both send commit
    partner's commit   *prepared* becomes *last*                     (promoted)

Whatever is lost between those lines, the sides share at least one token, unless one of them lost its journal; and a token that both hold
was written by both after all of its session's work. Of two common tokens the prepared one is the newer.

A direction moves only if its sync type moves it and nothing of it was left behind by an error; otherwise it stays where it was, and
the next session compares the same rows again. So a one-way session never makes the receiver's own changes be forgotten: the next two-way
session sends them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twsync.reconcile.model import Side, SyncType


@dataclass(frozen=True, slots=True)
class Mark:
    """A point at which two journals were in step."""

    token: bytes
    "16 bytes, the same on both sides."
    own_seq: int
    "The own journal's sequence number up to which the partner has seen the own rows."
    partner_seq: int
    "The partner's journal's sequence number up to which the partner's rows were seen here."


@dataclass(frozen=True, slots=True)
class Anchors:
    """What a journal remembers of one partner device."""

    partner: int = 0
    "The partner's replica; 0 before the first session."
    last: Mark | None = None
    prepared: Mark | None = None

    def tokens(self) -> list[bytes]:
        """The tokens for the `open` message, newest first."""
        return [mark.token for mark in (self.prepared, self.last) if mark is not None]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which rows one side sends as the first round's `items`."""

    send: bool
    "Whether it sends rows at all; a receiver of a one-way session sends counterparts only."
    after: int
    "It sends rows with a greater sequence number; 0 means all."
    full: bool
    "Whether all rows are sent, also those that came from this partner."


def agree(mine: Anchors, partner: int, theirs: Sequence[bytes]) -> Mark | None:
    """The mark to go on from, or None: the session has no common past.

    :param partner: the replica that the partner names now; another one than before means that its journal was lost.
    :param theirs: the partner's tokens from its `open`.

    Both sides come to the same token: both hold at most two, in the same order of age.
    """
    if mine.partner != partner:
        return None
    for mark in (mine.prepared, mine.last):
        if mark is not None and mark.token in theirs:
            return mark
    return None


def effective(sync_type: SyncType, common: Mark | None) -> SyncType:
    """The type a session really has: a two-way session without a common mark is slow; the others keep their direction."""
    return SyncType.SLOW if sync_type is SyncType.TWO_WAY and common is None else sync_type


def sender(sync_type: SyncType) -> Side | None:
    """The side whose rows hold in a one-way or refresh session; None if both sides send."""
    return _SENDER.get(sync_type)


_SENDER = {
    SyncType.ONE_WAY_FROM_CLIENT: Side.CLIENT,
    SyncType.REFRESH_FROM_CLIENT: Side.CLIENT,
    SyncType.ONE_WAY_FROM_SERVER: Side.SERVER,
    SyncType.REFRESH_FROM_SERVER: Side.SERVER,
}

#: The types that compare every row of both sides.
COMPARES_ALL = frozenset({SyncType.SLOW, SyncType.REFRESH_FROM_CLIENT, SyncType.REFRESH_FROM_SERVER})

#: The types in which only the sender's rows travel of themselves.
ONE_WAY = frozenset({SyncType.ONE_WAY_FROM_CLIENT, SyncType.ONE_WAY_FROM_SERVER})


def scope(sync_type: SyncType, side: Side, common: Mark | None) -> Scope:
    """Which rows `side` sends in the first round, `common` being its own view of the common mark."""
    if sync_type in ONE_WAY and sender(sync_type) is not side:
        return Scope(send=False, after=0, full=False)
    if common is None or effective(sync_type, common) in COMPARES_ALL:
        return Scope(send=True, after=0, full=True)
    # A direction that never moved (0) has shown the partner nothing: all rows.
    return Scope(send=True, after=common.own_seq, full=common.own_seq == 0)


def moves(sync_type: SyncType, of: Side) -> bool:
    """Whether a session of this type moves the direction in which `of`'s rows travel."""
    return sync_type not in ONE_WAY or sender(sync_type) is of


def after_session(
    mine: Anchors,
    common: Mark | None,
    *,
    partner: int,
    token: bytes,
    sync_type: SyncType,
    side: Side,
    own_seq: int,
    partner_seq: int,
    own_held: bool = False,
    partner_held: bool = False,
) -> Anchors:
    """The anchors to write before `commit` is sent: the next mark, prepared.

    :param common: the mark that the session started from, None if there was none.
    :param partner: the partner's replica.
    :param token: the next token (the client's proposal).
    :param side: this side.
    :param own_seq: the `seq` of the own last `items-end`; or, if nothing but this session has written to the journal since then (the
        sequence number grew by just the rows that it wrote), the sequence number now, so that those rows are not sent once more.
    :param partner_seq: the `seq` of the partner's last `items-end`; kept for people who look.
    :param own_held: whether something of the own rows was left behind by an error or skipped by a plan, so that they must be sent again.
    :param partner_held: whether something of the partner's rows was.
    """
    own_before = common.own_seq if common else 0
    partner_before = common.partner_seq if common else 0
    mark = Mark(
        token,
        own_seq if moves(sync_type, side) and not own_held else own_before,
        partner_seq if moves(sync_type, side.other) and not partner_held else partner_before,
    )
    # Another replica's marks mean nothing any more. Of the own two, the partner is known to hold the one that the session started from.
    return Anchors(partner, last=common if mine.partner == partner else None, prepared=mark)


def promoted(mine: Anchors, token: bytes) -> Anchors:
    """The anchors to write on the partner's `commit` of `token`: prepared becomes last. Another token changes nothing."""
    if mine.prepared is None or mine.prepared.token != token:
        return mine
    return Anchors(mine.partner, last=mine.prepared, prepared=None)
