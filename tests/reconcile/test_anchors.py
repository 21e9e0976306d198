"""Anchors: which mark two journals go on from, what each sends, and what moves."""

from __future__ import annotations

import itertools

import pytest

from twsync.reconcile.anchors import Anchors, Mark, after_session, agree, effective, moves, promoted, scope, sender
from twsync.reconcile.model import Side, SyncType

C, S = Side.CLIENT, Side.SERVER
OLD, NEW = Mark(b"old", 10, 20), Mark(b"new", 30, 40)


@pytest.mark.parametrize(
    ("what", "mine", "partner", "theirs", "expected"),
    [
        ("first meeting", Anchors(), 7, [], None),
        ("in step", Anchors(7, NEW), 7, [b"new"], NEW),
        ("both prepared, no commit came through", Anchors(7, OLD, NEW), 7, [b"new", b"old"], NEW),
        ("only here prepared", Anchors(7, OLD, NEW), 7, [b"old"], OLD),
        ("only there prepared", Anchors(7, OLD), 7, [b"new", b"old"], OLD),
        ("promoted there only", Anchors(7, OLD, NEW), 7, [b"new"], NEW),
        ("nothing in common", Anchors(7, OLD), 7, [b"new"], None),
        ("their journal was lost", Anchors(7, OLD), 8, [b"old"], None),
        ("they lost their anchors", Anchors(7, OLD, NEW), 7, [], None),
    ],
)
def test_agree(what: str, mine: Anchors, partner: int, theirs: list[bytes], expected: Mark | None) -> None:
    """The newest token that both hold, if both are still who they were."""
    assert agree(mine, partner, theirs) == expected


def test_both_sides_agree_wherever_a_session_is_cut() -> None:
    """Prepare and promote, each done or not on each side, over two sessions: the sides always find the same token."""
    for cuts in itertools.product(range(3), repeat=4):
        client, server = Anchors(), Anchors()
        for number, (at_client, at_server) in enumerate(zip(cuts[::2], cuts[1::2], strict=True)):
            token = b"token %d" % number
            common_client, common_server = agree(client, 2, server.tokens()), agree(server, 1, client.tokens())
            assert (common_client and common_client.token) == (common_server and common_server.token)
            options = {"token": token, "sync_type": SyncType.TWO_WAY, "own_seq": number + 1, "partner_seq": number + 1}
            if at_client:
                client = after_session(client, common_client, partner=2, side=C, **options)  # type: ignore[arg-type]
            if at_server:
                server = after_session(server, common_server, partner=1, side=S, **options)  # type: ignore[arg-type]
            # A side promotes only on the other's commit, which is sent after the other prepared.
            if at_client == 2 and at_server:
                client = promoted(client, token)
            if at_server == 2 and at_client:
                server = promoted(server, token)
        common_client, common_server = agree(client, 2, server.tokens()), agree(server, 1, client.tokens())
        assert (common_client and common_client.token) == (common_server and common_server.token)


@pytest.mark.parametrize("sync_type", list(SyncType))
def test_a_first_meeting_compares_everything_in_its_direction(sync_type: SyncType) -> None:
    """Without a common mark a two-way session is slow; the others keep who sends."""
    assert effective(sync_type, None) == (SyncType.SLOW if sync_type is SyncType.TWO_WAY else sync_type)
    for side in Side:
        asked = scope(sync_type, side, None)
        one_way_receiver = sync_type.value.startswith("one-way") and not sync_type.value.endswith(side)
        assert asked.send is not one_way_receiver
        assert asked.after == 0
        assert asked.full is asked.send


@pytest.mark.parametrize(
    ("sync_type", "client", "server"),
    [
        (SyncType.TWO_WAY, (True, 30, False), (True, 30, False)),
        (SyncType.SLOW, (True, 0, True), (True, 0, True)),
        (SyncType.ONE_WAY_FROM_CLIENT, (True, 30, False), (False, 0, False)),
        (SyncType.ONE_WAY_FROM_SERVER, (False, 0, False), (True, 30, False)),
        (SyncType.REFRESH_FROM_CLIENT, (True, 0, True), (True, 0, True)),
        (SyncType.REFRESH_FROM_SERVER, (True, 0, True), (True, 0, True)),
    ],
)
def test_rows_compared(sync_type: SyncType, client: tuple[bool, int, bool], server: tuple[bool, int, bool]) -> None:
    """The table of docs/architecture.md."""
    for side, expected in ((C, client), (S, server)):
        asked = scope(sync_type, side, NEW)
        assert (asked.send, asked.after, asked.full) == expected


def test_a_direction_that_never_moved_sends_all() -> None:
    """After a one-way first meeting the receiver's rows were never shown: a two-way session then begins with all of them."""
    asked = scope(SyncType.TWO_WAY, S, Mark(b"t", 0, 9))
    assert (asked.after, asked.full) == (0, True)


@pytest.mark.parametrize("held", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("sync_type", list(SyncType))
def test_what_moves(sync_type: SyncType, side: Side, held: tuple[bool, bool]) -> None:
    """A direction moves if its type moves it and nothing was left behind."""
    found = after_session(
        Anchors(7, OLD),
        OLD,
        partner=7,
        token=b"next",
        sync_type=sync_type,
        side=side,
        own_seq=100,
        partner_seq=200,
        own_held=held[0],
        partner_held=held[1],
    )
    one_way = {SyncType.ONE_WAY_FROM_CLIENT: C, SyncType.ONE_WAY_FROM_SERVER: S}.get(sync_type)
    own = one_way in (None, side) and not held[0]
    partner = one_way in (None, side.other) and not held[1]
    assert found == Anchors(7, OLD, Mark(b"next", 100 if own else 10, 200 if partner else 20))
    assert moves(sync_type, side) is (one_way in (None, side))
    assert promoted(found, b"next") == Anchors(7, found.prepared)
    assert promoted(found, b"other") == found


def test_a_new_replica_forgets_the_old_marks() -> None:
    """The partner lost its journal: nothing of before counts."""
    found = after_session(Anchors(7, OLD, NEW), None, partner=8, token=b"t", sync_type=SyncType.SLOW, side=C, own_seq=5, partner_seq=6)
    assert found == Anchors(8, None, Mark(b"t", 5, 6))
    assert found.tokens() == [b"t"]
    assert Anchors(7, OLD, NEW).tokens() == [b"new", b"old"]


def test_who_sends() -> None:
    """The direction is in the type's name."""
    for sync_type in SyncType:
        expected = C if sync_type.value.endswith("client") else S if sync_type.value.endswith("server") else None
        assert sender(sync_type) is expected
