"""What a session leaves in staging when it breaks off: what goes on with it, and when it is let go."""

from __future__ import annotations

import os
import random
from contextlib import suppress

import pytest

from twsync.peerwire import messages as m
from twsync.peerwire.frames import FrameType
from twsync.reconcile.model import SyncType
from twsync.store.partial import Partial
from twsync.store.staging import Staging

SIZE = 10_000_000


def big(seed, size=SIZE):
    return random.Random(seed).randbytes(size)


def staged(host):
    """Names in staging, and their sizes together; what goes meanwhile is gone."""
    sizes = []
    for path in (host.folder / ".twsync" / "staging").iterdir():
        with suppress(FileNotFoundError):
            sizes.append(path.stat().st_size)
    return len(sizes), sum(sizes)


def cut_at(count):
    """A spoil function: the connection breaks at this frame of data."""
    left = [count]

    def cut(number, frame, data):
        left[0] -= frame.kind is FrameType.DATA
        return data if left[0] else None

    return cut


def good(results):
    assert [result.error for result in results] == [None, None]
    return results


@pytest.fixture(params=[False, True], ids=["", "ahead"])
def cut(world, request, monkeypatch):
    """Two hosts, the second of which has half of the first's large file."""
    monkeypatch.setattr(m, "FEATURES", ("zstd", "ahead") if request.param else ("zstd",))
    one, two = world.host("laptop"), world.host("desktop")
    one.write("small", "s")
    good(world.sync(one, two))
    one.write("large", big(1))
    world.sync(one, two, spoil_client=cut_at(6))
    count, size = staged(two)
    assert count == 1 and SIZE // 4 < size < SIZE
    return one, two


def test_what_was_received_of_a_file_that_changed_is_let_go(world, cut):
    one, two = cut
    one.write("large", big(2, SIZE + 1))
    good(world.sync(one, two))
    assert one.tree() == two.tree()
    assert staged(two) == (0, 0)


def test_what_was_received_of_a_file_that_is_gone_is_let_go(world, cut):
    one, two = cut
    (one.folder / "large").unlink()
    good(world.sync(one, two))
    assert staged(two) == (0, 0)


def test_what_was_received_of_a_file_that_is_small_now_is_let_go(world, cut):
    one, two = cut
    one.write("large", "small")
    good(world.sync(one, two))
    assert one.tree() == two.tree()
    assert staged(two) == (0, 0)


def test_what_was_received_of_a_file_with_another_name_goes_on(world, cut):
    one, two = cut
    (one.folder / "large").rename(one.folder / "renamed")
    result, _ = good(world.sync(one, two))
    assert one.tree() == two.tree() and staged(two) == (0, 0)
    if "ahead" not in m.FEATURES:  # else it broke off before its content id was known
        assert result.sent.literal_bytes < SIZE - SIZE // 4


def test_a_session_with_another_device_or_another_way_lets_nothing_go(world, cut):
    one, two = cut
    before = staged(two)
    third = world.host("phone")
    third.write("small", "s")
    good(world.sync(third, two))
    assert staged(two) == before
    good(world.sync(two, one, SyncType.ONE_WAY_FROM_CLIENT))
    assert staged(two) == before
    result, _ = good(world.sync(one, two))
    assert one.tree() == two.tree() and staged(two) == (0, 0)
    assert result.sent.literal_bytes < SIZE - SIZE // 4


def test_a_session_that_breaks_off_again_or_leaves_something_behind_lets_nothing_go(world, cut):
    one, two = cut
    before = staged(two)
    one.write("busy", "x" * 10)
    world.sync(one, two, spoil_client=lambda number, frame, data: None if frame.kind is FrameType.DATA else data)
    assert staged(two) >= before
    os.mkfifo(two.folder / "large")
    result, _ = good(world.sync(one, two))
    assert [(skip.item, skip.reason) for skip in result.skipped] == [("large", "special-file")]
    assert staged(two) == before
    (two.folder / "large").unlink()
    result, _ = good(world.sync(one, two))
    assert one.tree() == two.tree() and staged(two) == (0, 0)
    assert result.sent.literal_bytes < SIZE - SIZE // 4


# --- where there is little room --------------------------------------------------------------------------------------------------------


def room_for(monkeypatch, host, size):
    """The disk takes so many bytes in staging."""
    monkeypatch.setattr(Staging, "room", lambda self: size - staged(host)[1])


def test_what_nobody_wants_makes_way(world, cut, monkeypatch):
    one, two = cut
    one.write("large", big(2, SIZE + 1))
    room_for(monkeypatch, two, SIZE)
    before = staged(two)
    assert [result.error.code for result in world.sync(one, two)] == ["disk-full"] * 2
    assert staged(two) == before
    room_for(monkeypatch, two, SIZE + 1)
    good(world.sync(one, two))
    assert one.tree() == two.tree() and staged(two) == (0, 0)


@pytest.mark.parametrize("ahead", [False, True])
def test_a_broken_delta_is_gone_before_the_whole_file_comes(world, monkeypatch, ahead):
    monkeypatch.setattr(m, "FEATURES", ("zstd", "ahead") if ahead else ("zstd",))
    one, two = world.host("laptop"), world.host("desktop")
    one.write("large", big(1))
    good(world.sync(one, two))
    one.write("large", big(2, SIZE // 2) + big(1)[SIZE // 2 :])
    most, write = [], Partial.write

    def looking(self, *given):
        size = write(self, *given)
        most.append(staged(two)[1])
        return size

    def flip(number, frame, data):
        frames.append(frame.kind)
        return (
            data[:-500] + bytes([data[-500] ^ 1]) + data[-499:]
            if frames.count(FrameType.DATA) == 5 and frame.kind is FrameType.DATA
            else data
        )

    frames = []
    monkeypatch.setattr(Partial, "write", looking)
    good(world.sync(one, two, spoil_client=flip))
    assert one.tree() == two.tree() and staged(two) == (0, 0)
    assert max(most) <= SIZE
