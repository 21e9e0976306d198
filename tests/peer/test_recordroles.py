"""Roles of two hosts: the same on both, whoever calls."""

from __future__ import annotations

import pytest

from twsync.peer.recordroles import syncml_side, turned_policy, turned_resolution, turned_type
from twsync.reconcile.model import RecordPolicy, Side, SyncType


@pytest.mark.parametrize(("one", "other"), [("alice/laptop", "alice/desktop"), ("alice/a", "bob/a"), ("alice/a", "alice/a-b")])
def test_one_is_the_client_and_the_other_the_server(one, other):
    assert {syncml_side(one, other), syncml_side(other, one)} == {Side.CLIENT, Side.SERVER}


@pytest.mark.parametrize(("turn", "values"), [(turned_type, SyncType), (turned_policy, RecordPolicy)])
def test_turned_twice_is_as_before(turn, values):
    assert [turn(turn(each)) for each in values] == list(values)
    assert sorted(turn(each) for each in values) == sorted(values)


def test_a_refresh_goes_the_same_way_from_both_sides():
    assert turned_type(SyncType.REFRESH_FROM_CLIENT) is SyncType.REFRESH_FROM_SERVER
    assert turned_type(SyncType.TWO_WAY) is SyncType.TWO_WAY
    assert (turned_policy(RecordPolicy.OURS), turned_resolution("ours")) == (RecordPolicy.THEIRS, "theirs")
    assert turned_resolution("merged") == "merged"
