"""The guards."""

from __future__ import annotations

from typing import Any

import pytest

from twsync.reconcile.model import Side, SyncType
from twsync.reconcile.safety import EMPTIED, TOO_MANY_DELETES, deletes, guard_deletes, guard_emptied


@pytest.mark.parametrize(
    ("count", "live", "stops"),
    [
        (0, 0, False),
        (25, 25, False),
        (26, 26, True),
        (26, 130, False),
        (26, 129, True),
        (200, 1000, False),
        (201, 1000, True),
        (1000, 1000, True),
    ],
)
def test_deletes_need_both_numbers(count: int, live: int, stops: bool) -> None:
    """More than 25 and more than 20 %: only both together stop a session."""
    error = guard_deletes(count, live, allowed=False)
    assert (error is not None) is stops
    assert guard_deletes(count, live, allowed=True) is None
    if error:
        assert error.code == TOO_MANY_DELETES
        assert "--allow-deletes" in error.message
        assert str(count) in error.message


def test_only_what_lives_here_is_counted(world: Any) -> None:
    """Tombstones of what this side never had, and replaced content, are no deletes."""
    client = {
        b"a": world.item("a", None, {1: 2}),
        b"b": world.item("b", None, {1: 2}),
        b"c": world.item("c", "new", {1: 2}),
        b"d": world.item("d", None, {1: 2}),
    }
    decided = world.decide(client, {}, (1, 2), SyncType.TWO_WAY)
    own = {b"a": world.item("a", "x", {1: 1}), b"c": world.item("c", "x", {1: 1}), b"d": world.item("d", None, {1: 1})}
    assert deletes(decided.operations, Side.SERVER, own.get) == 1
    assert deletes(decided.operations, Side.CLIENT, own.get) == 0


def test_an_emptied_root_stops() -> None:
    """Nothing found where something was; a root that was always empty is none of that."""
    error = guard_emptied(0, 3, allowed=False, root="/data/photos")
    assert error is not None
    assert error.code == EMPTIED
    assert "--allow-deletes" in error.message
    assert "/data/photos" in error.message
    assert guard_emptied(0, 0, allowed=False) is None
    assert guard_emptied(1, 300, allowed=False) is None
    assert guard_emptied(0, 3, allowed=True) is None
