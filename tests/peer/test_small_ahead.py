"""Small files ahead of the plan: they come while rows are still shown, into staging alone, and nothing is decided by it."""

from __future__ import annotations

from threading import Event

import pytest

from twsync.peer import smallahead
from twsync.peer.smallahead import SmallAhead
from twsync.peer.supply import Supplier
from twsync.peerwire import messages as m
from twsync.peerwire.frames import Frame, FrameType
from twsync.reconcile.model import SyncType
from twsync.store import scan as scanning
from twsync.store.staging import Staging
from twsync.transport.buffers import Buffers


def good(results):
    assert [result.error for result in results] == [None, None]
    return results


def said(world, side):
    """The kinds of all messages that a side has said in the last session, in order."""
    return [m.decode(frame.payload).kind for frame in world.channels[side].sent_frames if frame.kind is FrameType.CONTROL]


def ahead(world, side):
    """Wants of a side before its plan."""
    words = said(world, side)
    return words[: words.index("plan") if "plan" in words else None].count("want")


def staged(host):
    return [path.name for path in (host.folder / ".twsync" / "staging").iterdir()]


@pytest.fixture
def late(monkeypatch):
    """The caller's rows end only when what was asked for ahead has come, `late.files` of it. :ivar then: called before that."""

    class Late:
        files = 1
        came = Event()
        then = staticmethod(lambda: None)

    count = 0
    genuine, ended = SmallAhead.came, scanning._vanished

    def came(self, answers):
        nonlocal count
        claimed = genuine(self, answers)
        count += len(answers)
        if count >= Late.files:
            Late.came.set()
        return claimed

    def vanished(walk, unmet):
        if walk.found and b"laptop" in walk.gate.root:
            assert Late.came.wait(15)
            then, Late.then = Late.then, lambda: None
            then()
        return ended(walk, unmet)

    monkeypatch.setattr(SmallAhead, "came", came)
    monkeypatch.setattr(scanning, "_vanished", vanished)
    # Every folder is shown as soon as it is looked at.
    monkeypatch.setattr(scanning, "MANY", 1)
    return Late


@pytest.fixture
def pair(world):
    return world.host("laptop"), world.host("desktop")


def test_new_files_come_while_the_other_side_still_looks_at_its_disk(world, pair, late):
    one, two = pair
    for number in range(3):
        one.write(f"d/{number}", f"content {number}")
    late.files = 3
    late.then = lambda: one.write("late", "too late for this look")
    first, _ = good(world.sync(one, two))
    assert ahead(world, 1) == 1 and ahead(world, 0) == 0
    assert first.sent.added == 4 and first.sent.literal_bytes == 27
    assert {**two.tree(), "late": b"too late for this look"} == one.tree()
    assert staged(two) == []
    good(world.sync(one, two))
    assert one.tree() == two.tree()


def test_the_same_content_is_asked_for_once_and_comes_to_all_its_keys(world, pair, late):
    one, two = pair
    for number in range(5):
        one.write(f"d/{number}", "the same")
    first, _ = good(world.sync(one, two))
    assert first.sent.literal_bytes == 8
    assert one.tree() == two.tree() and staged(two) == []


def test_a_file_that_changes_meanwhile_goes_through_another_round(world, pair, late, monkeypatch):
    one, two = pair
    one.write("a", "content")
    genuine = Supplier._read_bundle
    changing = ["other content", "changed while it was asked for"]

    def read(self, bundle):
        if changing:
            one.write("a", changing.pop())
        return genuine(self, bundle)

    monkeypatch.setattr(Supplier, "_read_bundle", read)
    good(world.sync(one, two))
    assert two.tree() == {"a": b"other content"} == one.tree()
    assert ahead(world, 1) == 1 and staged(two) == []


@pytest.mark.parametrize("sync_type", [SyncType.ONE_WAY_FROM_SERVER, SyncType.REFRESH_FROM_SERVER])
def test_a_side_that_takes_nothing_asks_for_nothing(world, pair, sync_type):
    one, two = pair
    one.write("mine", "1")
    two.write("yours", "22")
    good(world.sync(one, two, sync_type))
    assert ahead(world, 1) == 0


def test_what_is_here_already_is_not_asked_for(world, pair):
    one, two = pair
    one.write("a", "content")
    good(world.sync(one, two))
    (one.folder / "a").rename(one.folder / "b")
    first, _ = good(world.sync(one, two))
    assert ahead(world, 1) == 0 and first.sent.literal_bytes == 0
    assert one.tree() == two.tree()


def test_what_came_ahead_of_a_refused_plan_is_used_by_the_next_session(world, pair, late):
    """It does not come a second time, however often a guard says no."""
    one, two = pair
    for number in range(60):
        two.write(f"f{number}", f"old {number}")
    late.files = 0
    late.came.set()
    good(world.sync(one, two))
    late.came.clear()
    for number in range(60):
        (one.folder / f"f{number}").unlink()
        if number < 3:
            one.write(f"d/{number}", f"new content {number}")
    late.files = 3
    for _ in range(2):
        assert [result.error.code for result in world.sync(one, two)] == ["too-many-deletes"] * 2
        assert len(staged(two)) == 3
    first, _ = world.sync(one, two, client_more={"allow_deletes": True}, server_more={"allow_deletes": True})
    assert first.error is None
    assert first.sent.literal_bytes == 0
    assert one.tree() == two.tree() and staged(two) == []


def test_ignored_files_are_not_asked_for(world):
    one, two = world.host("laptop"), world.host("desktop", ["*.tmp"])
    one.write("a.tmp", "1")
    good(world.sync(one, two))
    assert ahead(world, 1) == 0


def test_so_many_wait_for_the_plan_and_no_more(world, pair, monkeypatch):
    one, two = pair
    one.write("a", "content")
    monkeypatch.setattr(smallahead, "MAX_SMALL_AHEAD", 0)
    good(world.sync(one, two))
    assert ahead(world, 1) == 0
    assert one.tree() == two.tree()


def test_where_there_is_no_room_the_plan_has_the_word(world, pair, monkeypatch):
    one, two = pair
    one.write("a", "content")
    monkeypatch.setattr(Staging, "room", lambda self: 0)
    results = world.sync(one, two)
    assert [result.error.code for result in results] == ["disk-full"] * 2
    assert ahead(world, 1) == 0 and two.tree() == {} and staged(two) == []


def test_a_partner_that_does_not_know_of_it_is_asked_for_nothing(world, pair, monkeypatch):
    one, two = pair
    monkeypatch.setattr(m, "FEATURES", ("zstd",))
    one.write("a", "content")
    good(world.sync(one, two))
    assert ahead(world, 1) == 0
    assert one.tree() == two.tree()


def test_the_memory_of_bundles_is_used_again(world, pair, monkeypatch):
    one, two = pair
    for number in range(40):
        one.write(f"d/{number}", f"{number} " * 10_000)
    released, given = [], []
    release, give = Frame.release, Buffers.give
    monkeypatch.setattr(Frame, "release", lambda self: [released.append(len(self.payload)), release(self)])
    monkeypatch.setattr(Buffers, "give", lambda self, view: [given.append(len(view)), give(self, view)])
    first, _ = good(world.sync(one, two))
    assert one.tree() == two.tree()
    # In several bundles, each of which was given back when it was done with, by who sent it and by who got it.
    assert 2 * sum(released) == sum(given) == 2 * first.sent.literal_bytes > 2**21
    assert 2 * len(released) == len(given) > 2
