"""The first look at the disk, begun before the connection stands."""

from __future__ import annotations

import shutil
from threading import Event
from types import SimpleNamespace

import pytest
from twisted.internet.defer import Deferred

from twsync.errors import StoreError
from twsync.peer import exchange, looking
from twsync.peer.looking import Look
from twsync.peer.settings import CollectionSettings
from twsync.peer.synchronising import Synchroniser
from twsync.reconcile.anchors import Anchors
from twsync.reconcile.model import Side, SyncType
from twsync.store import scan as scanning


def good(results):
    assert [result.error for result in results] == [None, None]
    return results


class Looks:
    """Looks of a host, and what they let go of."""

    def __init__(self, world):
        self.world = world
        self.closed = []

    def begin(self, host, side=Side.CLIENT):
        return Look(host.collection, self.closed.append, "session-1@test", side, SyncType.TWO_WAY, self.world.tools())

    def wait(self, work):
        """What a coroutine comes to."""
        results = []
        Deferred.fromCoroutine(work).addBoth(results.append)
        self.world.loop.run_until(lambda: results)
        if hasattr(results[0], "raiseException"):
            results[0].raiseException()
        return results[0]


@pytest.fixture
def looks(world):
    return Looks(world)


@pytest.fixture
def used(monkeypatch, looks):
    """The next session's client uses this look. :ivar look: it."""

    class Used:
        look = None

    genuine = exchange.run

    def run(channel, collection, terms, tools, progress=None):
        look = Used.look if terms.side is Side.CLIENT else None
        return genuine(channel, collection, terms, tools, progress, look)

    monkeypatch.setattr(exchange, "run", run)
    return Used


def test_the_folder_of_another_collection_is_not_looked_at(world, looks):
    """As after two folders changed places: no session begins, and after a start nothing is put in order there."""
    one, two = world.host("laptop"), world.host("desktop")
    one.write("a", "1")
    good(world.sync(one, two))
    before = one.rows.seq
    shutil.rmtree(one.folder)
    shutil.copytree(two.folder, one.folder)
    synchroniser = Synchroniser(world.tools(), one.journal, None, lambda: SimpleNamespace(device="laptop"))
    settings = CollectionSettings("photos", one.folder)
    look = synchroniser.look(settings, "session", Side.CLIENT, "two-way")
    with pytest.raises(StoreError) as caught:
        looks.wait(look.collection())
    looks.wait(look.close())
    assert caught.value.code == "folder-of-another"
    with pytest.raises(StoreError):
        synchroniser._recover(settings)
    assert one.rows.seq == before


def test_what_the_journal_said_is_known_before_the_scan_writes_to_it(world, looks, monkeypatch):
    one, two = world.host("laptop"), world.host("desktop")
    one.write("a", "1")
    good(world.sync(one, two))
    for number in range(3):
        one.write(f"b{number}", "2")
    told = []
    genuine = looking.scan

    def scan(gate, rows, ignore, *, early, begun, **more):
        def note(live):
            told.append((live, rows.live_count()))
            begun(live)

        return genuine(gate, rows, ignore, early=early, begun=note, **more)

    monkeypatch.setattr(looking, "scan", scan)
    look = looks.begin(one)
    looks.wait(look.result())
    journal = look._collection.rows
    anchors = journal.anchors.load()
    (partner,) = anchors
    assert told == [(1, 1)]
    assert looks.wait(look.known(partner)) == (anchors[partner], 1)
    assert looks.wait(look.known("nobody/ever")) == (Anchors(), 1)
    looks.wait(look.close())


def test_a_session_goes_on_with_the_look_that_has_begun(world, looks, used):
    one, two = world.host("laptop"), world.host("desktop")
    one.write("a", "1")
    used.look = looks.begin(one)
    looks.wait(used.look.result())
    one.write("b", "too late for this look")
    good(world.sync(one, two))
    assert two.tree() == {"a": b"1"}
    assert len(looks.closed) == 1
    used.look = None
    good(world.sync(one, two))
    assert one.tree() == two.tree()


def test_rows_that_were_found_before_the_connection_stood_are_shown(world, looks, used, monkeypatch):
    monkeypatch.setattr(scanning, "MANY", 1)
    one, two = world.host("laptop"), world.host("desktop")
    for number in range(5):
        one.write(f"d{number}/file", str(number))
    used.look = looks.begin(one)
    looks.wait(used.look.result())
    first, _ = good(world.sync(one, two))
    assert first.sent.added == 10
    assert one.tree() == two.tree()


def test_a_look_for_nothing_loses_nothing(world, looks, monkeypatch):
    """The INVITE was refused: what was found is known to the next session; what is gone is not taken for gone yet."""
    monkeypatch.setattr(scanning, "MANY", 1)
    one, two = world.host("laptop"), world.host("desktop")
    one.write("a", "1")
    good(world.sync(one, two))
    one.write("d/new", "2")
    (one.folder / "a").unlink()
    look = looks.begin(one)
    looks.wait(look.result())
    looks.wait(look.close())
    looks.wait(look.close())
    assert len(looks.closed) == 1
    assert one.rows.get(b"d/new") is not None
    assert one.rows.get(b"a").item.live
    good(world.sync(one, two))
    assert one.tree() == two.tree() == {"d": None, "d/new": b"2"}


def test_a_look_that_is_not_wanted_any_more_ends_soon(world, looks, monkeypatch):
    one = world.host("laptop")
    for number in range(50):
        one.write(f"d{number}/file", "content")
    reached, seen = Event(), []

    genuine = scanning.Walk._directory

    def cancelled_later(self, parent, entries):
        seen.append(parent)
        reached.wait(15)
        return genuine(self, parent, entries)

    monkeypatch.setattr(scanning.Walk, "_directory", cancelled_later)
    look = looks.begin(one)
    world.loop.run_until(lambda: seen)
    ends = []
    Deferred.fromCoroutine(look.close()).addBoth(ends.append)
    assert not ends
    reached.set()
    world.loop.run_until(lambda: ends)
    assert ends == [None] and len(seen) == 1
    with pytest.raises(StoreError) as caught:
        looks.wait(look.result())
    assert caught.value.code == "cancelled"


def test_a_collection_that_cannot_be_opened_says_so_to_who_asks(world, looks):
    def opening():
        raise StoreError("There is no such folder.", "root-missing")

    look = Look(opening, looks.closed.append, "session-1@test", Side.CLIENT, SyncType.TWO_WAY, world.tools())
    for work in (look.collection, look.store, look.result):
        with pytest.raises(StoreError) as caught:
            looks.wait(work())
        assert caught.value.code == "root-missing"
    looks.wait(look.close())
    assert looks.closed == []
