"""The decision about one record: a table of the cases, then what holds for all of them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twsync.reconcile.model import RecordPolicy, Side, SyncType
from twsync.reconcile.record import Facts, Own, Verdict, decide, resulting
from twsync.reconcile.versions import Order, Version

TWO_WAY, SLOW = SyncType.TWO_WAY, SyncType.SLOW
MERGE, DUPLICATE, OURS, THEIRS = RecordPolicy.MERGE, RecordPolicy.DUPLICATE, RecordPolicy.OURS, RecordPolicy.THEIRS
LIVE, DELETED, ABSENT = Own.LIVE, Own.DELETED, Own.ABSENT
BOTH = {"own_changed": True, "their_changed": True}
MINE = {"own_changed": True, "their_changed": False}
THEIR = {"own_changed": False, "their_changed": True}

CASES = [
    # description, own, deleted there, facts, type, policy, own side, verdict, status
    ("new", ABSENT, False, {}, TWO_WAY, MERGE, Side.SERVER, Verdict.ADD, 201),
    ("deleted here, edited there", DELETED, False, THEIR, TWO_WAY, MERGE, Side.SERVER, Verdict.ADD, 201),
    ("deleted here, said again there", DELETED, False, MINE, TWO_WAY, MERGE, Side.SERVER, Verdict.KEEP, 200),
    ("deleted here, older there", DELETED, False, {"order": Order.OLDER}, TWO_WAY, MERGE, Side.SERVER, Verdict.KEEP, 200),
    ("deleted here, older there, slow", DELETED, False, {"order": Order.OLDER}, SLOW, MERGE, Side.SERVER, Verdict.ADD, 201),
    ("deleted here, newer there", DELETED, False, {"order": Order.NEWER}, TWO_WAY, MERGE, Side.SERVER, Verdict.ADD, 201),
    ("deleted here, edited there, concurrent", DELETED, False, {"order": Order.CONCURRENT}, TWO_WAY, MERGE, Side.SERVER, Verdict.ADD, 201),
    ("the same", LIVE, False, {"same": True, **BOTH}, TWO_WAY, OURS, Side.SERVER, Verdict.SAME, 200),
    ("edited there", LIVE, False, THEIR, TWO_WAY, THEIRS, Side.SERVER, Verdict.TAKE, 200),
    ("edited here", LIVE, False, MINE, TWO_WAY, OURS, Side.SERVER, Verdict.KEEP, 200),
    ("newer there", LIVE, False, {"order": Order.NEWER, **BOTH}, TWO_WAY, THEIRS, Side.SERVER, Verdict.TAKE, 200),
    ("newer here", LIVE, False, {"order": Order.OLDER, **BOTH}, TWO_WAY, OURS, Side.SERVER, Verdict.KEEP, 200),
    ("both, versions too", LIVE, False, {"order": Order.CONCURRENT, **BOTH}, TWO_WAY, MERGE, Side.SERVER, Verdict.MERGE, 207),
    ("one version, two contents", LIVE, False, {"order": Order.EQUAL, **BOTH}, TWO_WAY, MERGE, Side.SERVER, Verdict.MERGE, 207),
    ("both, merge", LIVE, False, BOTH, TWO_WAY, MERGE, Side.SERVER, Verdict.MERGE, 207),
    ("both, duplicate", LIVE, False, BOTH, TWO_WAY, DUPLICATE, Side.SERVER, Verdict.DUPLICATE, 209),
    ("both, client's, at the server", LIVE, False, BOTH, TWO_WAY, OURS, Side.SERVER, Verdict.TAKE, 208),
    ("both, client's, at the client", LIVE, False, BOTH, TWO_WAY, OURS, Side.CLIENT, Verdict.KEEP, 208),
    ("both, server's, at the server", LIVE, False, BOTH, TWO_WAY, THEIRS, Side.SERVER, Verdict.KEEP, 419),
    ("both, server's, at the client", LIVE, False, BOTH, TWO_WAY, THEIRS, Side.CLIENT, Verdict.TAKE, 419),
    ("both, one-way from client", LIVE, False, BOTH, SyncType.ONE_WAY_FROM_CLIENT, THEIRS, Side.SERVER, Verdict.TAKE, 208),
    ("both, one-way from server", LIVE, False, BOTH, SyncType.ONE_WAY_FROM_SERVER, OURS, Side.CLIENT, Verdict.TAKE, 419),
    ("edited here, refresh", LIVE, False, MINE, SyncType.REFRESH_FROM_CLIENT, MERGE, Side.SERVER, Verdict.TAKE, 200),
    ("newer here, refresh", LIVE, False, {"order": Order.OLDER}, SyncType.REFRESH_FROM_SERVER, MERGE, Side.CLIENT, Verdict.TAKE, 200),
    ("deleted there", LIVE, True, THEIR, TWO_WAY, MERGE, Side.SERVER, Verdict.DELETE, 200),
    ("deleted there, edited here", LIVE, True, MINE, TWO_WAY, OURS, Side.SERVER, Verdict.REVIVE, 200),
    ("deleted there, newer", LIVE, True, {"order": Order.NEWER, **MINE}, TWO_WAY, MERGE, Side.SERVER, Verdict.DELETE, 200),
    ("deleted there, newer here", LIVE, True, {"order": Order.OLDER, **THEIR}, TWO_WAY, MERGE, Side.SERVER, Verdict.REVIVE, 200),
    ("a delete in a slow sync", LIVE, True, THEIR, SLOW, MERGE, Side.SERVER, Verdict.REVIVE, 200),
    ("deleted on both", DELETED, True, {}, TWO_WAY, MERGE, Side.SERVER, Verdict.GONE, 211),
    ("unknown", ABSENT, True, {}, TWO_WAY, MERGE, Side.SERVER, Verdict.GONE, 211),
]  # fmt: skip


@pytest.mark.parametrize(
    ("own", "deleted", "facts", "kind", "policy", "side", "verdict", "status"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_the_table(own, deleted, facts, kind, policy, side, verdict, status) -> None:
    found = decide(Facts(own, deleted, **facts), kind, policy, side)
    assert (found.verdict, found.status) == (verdict, status)


def everything():
    for own, deleted, same, mine, their, order in itertools.product(
        Own, (False, True), (False, True), (False, True), (False, True), (None, *Order)
    ):
        for kind, policy, side in itertools.product(SyncType, RecordPolicy, Side):
            yield Facts(own, deleted, same, mine, their, order), kind, policy, side


def test_what_holds_for_all_cases() -> None:
    for facts, kind, policy, side in everything():
        found = decide(facts, kind, policy, side)
        if found.verdict in (Verdict.TAKE, Verdict.MERGE, Verdict.DUPLICATE, Verdict.SAME):
            assert facts.own is Own.LIVE
            assert not facts.deleted
        if found.verdict is Verdict.DELETE:
            assert facts.deleted
            assert kind is not SyncType.SLOW or facts.order is Order.NEWER
        if found.conflict:
            assert facts.own_changed
            assert facts.their_changed
            assert facts.order not in (Order.NEWER, Order.OLDER)
        assert found.conflict is (found.status in (207, 208, 209, 419))


vectors = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), max_size=3, unique_by=lambda pair: pair[0]).map(Version.of)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(Verdict), st.none() | vectors, st.none() | vectors)
def test_a_version_never_goes_back_and_names_one_content(verdict, own, theirs) -> None:
    made = resulting(verdict, own, theirs, 8, 9)
    for before in (own, theirs):
        if before is not None:
            assert made.order(before) in (Order.EQUAL, Order.NEWER)
    if verdict in (Verdict.MERGE, Verdict.DUPLICATE):
        # A content that neither side had gets a version that neither had.
        assert made not in (own, theirs)
    if verdict in (Verdict.TAKE, Verdict.DELETE):
        assert made != own
    if verdict in (Verdict.KEEP, Verdict.REVIVE) and theirs is not None and theirs.entries:
        assert made != theirs
