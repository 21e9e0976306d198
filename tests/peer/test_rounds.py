"""Further rounds of a session: files that keep changing, and what the two sides say of it in the end."""

from __future__ import annotations

import pytest

from twsync.limits import MAX_ROUNDS
from twsync.peerwire import messages as m
from twsync.peerwire.frames import FrameType
from twsync.session.result import State

NEW, OLD = 1_790_000_000, 1_780_000_000


@pytest.fixture
def clash(world):
    """Two hosts that changed one file each in its own way; the first one's is the later."""
    one, two = world.host("laptop"), world.host("desktop")
    one.write("a", "before")
    world.sync(one, two)
    one.write("a", "one's 0", mtime=NEW)
    two.write("a", "two's 0", mtime=OLD)
    return one, two


def at_each_want(calls):
    """A spoil function: at each further `want`, make the next of these calls; then no more."""
    left = iter(calls)

    def spoil(number, frame, data):
        if frame.kind is FrameType.CONTROL and isinstance(m.decode(frame.payload), m.Want):
            next(left, lambda: None)()
        return data

    return spoil


def changes(host, times, mtime):
    return [lambda n=n: host.write("a", f"{host.name} {n:5}", mtime=mtime + n) for n in range(1, times + 1)]


def told(result):
    """What a result says, in short."""
    assert result.error is None
    return result.state, [conflict.copy for conflict in result.conflicts], [(skip.item, skip.reason) for skip in result.skipped]


@pytest.mark.parametrize("winner_changes", [True, False])
def test_a_conflict_that_needs_another_round_is_listed_once(world, clash, winner_changes):
    one, two = clash
    changing = changes(one, 2, NEW) if winner_changes else changes(two, 2, OLD)
    results = world.sync(one, two, spoil_server=at_each_want(changing))
    assert one.tree() == two.tree()
    copies = one.tree().keys() - {"a"}
    assert len(copies) == 1
    assert [told(result) for result in results] == [(State.DONE, [*copies], [])] * 2


def test_a_conflict_whose_sides_change_places_is_listed_as_it_ended(world, clash):
    one, two = clash
    results = world.sync(one, two, spoil_server=at_each_want([lambda: two.write("a", "the latest", mtime=NEW + 9)]))
    assert one.tree() == two.tree()
    copies = one.tree().keys() - {"a"}
    assert one.tree()["a"] == b"the latest" and "laptop" in str(copies)
    assert [told(result) for result in results] == [(State.DONE, [*copies], [])] * 2


def test_a_copy_that_no_round_is_left_for_is_said_and_goes_in_the_next_session(world, clash):
    one, two = clash
    results = world.sync(one, two, spoil_server=at_each_want(changes(one, MAX_ROUNDS - 1, NEW)))
    (copy,) = two.tree().keys() - {"a"}
    assert two.tree()[copy] == b"two's 0" and copy not in one.tree()
    assert [told(result) for result in results] == [(State.PARTIAL, [copy], [(copy, "unsent")])] * 2
    results = world.sync(one, two)
    assert one.tree() == two.tree() and copy in one.tree()
    assert [told(result) for result in results] == [(State.DONE, [], [])] * 2
    assert results[0].sent.added + results[0].sent.changed + results[1].sent.changed == 0
    # Nothing is owed any more.
    assert [told(result) for result in world.sync(one, two)] == [(State.DONE, [], [])] * 2


def test_a_conflict_that_never_came_to_rest_is_no_conflict_yet(world, clash):
    one, two = clash
    results = world.sync(one, two, spoil_server=at_each_want(changes(one, MAX_ROUNDS, NEW)))
    assert [told(result) for result in results] == [(State.PARTIAL, [], [("a", "changing")])] * 2
    results = world.sync(one, two)
    (copy,) = one.tree().keys() - {"a"}
    assert one.tree() == two.tree()
    assert [told(result) for result in results] == [(State.DONE, [copy], [])] * 2


def test_a_conflict_that_was_settled_stays_listed_if_the_winner_changes_once_more(world, clash):
    """The winner is told of the loser's decision in the next round, and has gone on by then: both copies are there, and are listed."""
    one, two = clash

    def spoil(number, frame, data):
        if frame.kind is FrameType.CONTROL and isinstance(m.decode(frame.payload), m.RoundEnd) and not changed:
            changed.append(one.write("a", "one's latest", mtime=NEW + 9))
        return data

    changed = []
    results = world.sync(one, two, spoil_client=spoil)
    assert one.tree() == two.tree()
    assert one.tree()["a"] == b"one's latest"
    copies = one.tree().keys() - {"a"}
    for result in results:
        state, listed, skipped = told(result)
        assert (state, skipped) == (State.DONE, []) and set(listed) == copies
