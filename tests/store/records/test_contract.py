"""What a session may rely on, kept by the store's datastores and by the double in memory with which sessions are tested."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from memory_store import MemorySession, MemoryStore

from twsync.reconcile.model import Side, SyncType
from twsync.records import Family
from twsync.syncml.datastore import Action, Anchors, Datastore, Incoming, Peer, Record

TYPE = "text/plain"


class Memory:
    """A store in memory."""

    def __init__(self, name: str) -> None:
        self.store = MemoryStore(name, type=TYPE)

    def open(self, peer: Peer, side: Side) -> Datastore:
        return MemorySession(self.store, peer, side is Side.SERVER)

    def put(self, key: str, text: str) -> None:
        self.store.put(key, text)

    def delete(self, text: str) -> None:
        self.store.delete(next(key for key, data in self.store.items.items() if data == text))

    def edit(self, text: str, new: str) -> None:
        self.store.put(next(key for key, data in self.store.items.items() if data == text), new)

    @property
    def contents(self) -> list[str]:
        return self.store.contents


class Disk:
    """A folder of notes."""

    def __init__(self, box) -> None:
        self.box = box

    def open(self, peer: Peer, side: Side) -> Datastore:
        return self.box.open(peer, side, allow_deletes=True)

    def put(self, key: str, text: str) -> None:
        self.box.write(f"{key}.txt", text + "\n")

    def _key(self, text: str) -> str:
        return next(key for key, data in self.box.files().items() if data == text + "\n")

    def delete(self, text: str) -> None:
        self.box.delete(self._key(text))

    def edit(self, text: str, new: str) -> None:
        self.box.write(self._key(text), new + "\n")

    @property
    def contents(self) -> list[str]:
        return sorted(text.removesuffix("\n") for text in self.box.files().values())


class Pair:
    """A client and a server."""

    def __init__(self, make: Callable[[str], Memory | Disk], tools) -> None:
        self.client = make("laptop")
        self.server = make("desktop")
        self.tools = tools
        self.number = 0

    def sync(self, wanted: SyncType = SyncType.TWO_WAY, **more) -> list[int]:
        self.number += 1
        one = self.client.open(Peer("server", "alice", None, None), Side.CLIENT)
        other = self.server.open(Peer("IMEI:1", "alice", None, None), Side.SERVER)
        try:
            return self.tools.Sync(one, other, wanted, self.number, **more).run().statuses
        finally:
            one.close()
            other.close()

    def alone(self) -> Datastore:
        other = self.server.open(Peer("IMEI:1", "alice", None, None), Side.SERVER)
        other.begin(SyncType.TWO_WAY, False)
        return other


@pytest.fixture(params=["memory", "disk"])
def both(request, make_box, tools) -> Pair:
    def make(name: str) -> Memory | Disk:
        return Memory(name) if request.param == "memory" else Disk(make_box(name, Family.NOTES))

    return Pair(make, tools)


def note(luid: str, text: str, action: Action = Action.ADD) -> Incoming:
    return Incoming(action, luid, Record(TYPE, text))


def test_a_first_session_brings_everything_and_the_next_is_silent(both) -> None:
    both.client.put("a", "A=1")
    both.server.put("b", "B=1")
    assert both.sync() == [201, 201]
    assert both.client.contents == both.server.contents == ["A=1", "B=1"]
    assert both.sync() == []


def test_edits_and_deletes_travel_both_ways(both) -> None:
    for name in "ABCDEF":
        both.client.put(name.lower(), f"{name}=1")
    both.sync()
    both.client.edit("A=1", "A=2")
    both.server.edit("B=1", "B=2")
    both.client.delete("C=1")
    both.server.delete("D=1")
    assert both.sync() == [200, 200, 200, 200]
    assert both.client.contents == both.server.contents == ["A=2", "B=2", "E=1", "F=1"]
    assert both.sync() == []


def test_an_edit_wins_against_a_delete(both) -> None:
    both.client.put("a", "A=1")
    both.client.put("b", "B=1")
    both.sync()
    both.client.delete("A=1")
    both.server.edit("A=1", "A=2")
    both.server.delete("B=1")
    both.client.edit("B=1", "B=2")
    both.sync()
    assert both.client.contents == both.server.contents == ["A=2", "B=2"]


def test_a_slow_sync_doubles_nothing_and_twice_is_once(both) -> None:
    both.client.put("a", "A=1")
    both.server.put("x", "A=1")
    both.server.put("y", "B=1")
    for _ in range(3):
        both.sync(SyncType.SLOW)
        assert both.client.contents == both.server.contents == ["A=1", "B=1"]


def test_a_refresh_makes_one_side_the_other(both) -> None:
    both.client.put("a", "A=1")
    both.server.put("b", "B=1")
    both.sync(SyncType.REFRESH_FROM_CLIENT)
    assert both.client.contents == both.server.contents == ["A=1"]
    both.server.put("c", "C=1")
    both.sync(SyncType.REFRESH_FROM_SERVER)
    assert both.client.contents == both.server.contents == ["A=1", "C=1"]
    assert both.sync() == []


def test_lost_statuses_and_maps_are_made_up_for(both) -> None:
    both.sync()
    both.client.put("a", "A=1")
    both.server.put("b", "B=1")
    both.sync(lose=lambda _what: True)
    both.sync()
    assert both.client.contents == both.server.contents == ["A=1", "B=1"]
    assert both.sync() == []


def test_the_statuses_of_what_is_known_and_unknown(both) -> None:
    other = both.alone()
    found = [note("1", "A=1"), note("1", "A=1"), note("2", "B=1", Action.REPLACE), note("2", "B=2", Action.REPLACE)]
    assert [outcome.status for outcome in other.take(found)] == [201, 200, 201, 200]
    gone = [Incoming(Action.DELETE, "1"), Incoming(Action.DELETE, "1"), Incoming(Action.DELETE, "9")]
    assert [outcome.status for outcome in other.take(gone)] == [200, 211, 211]
    other.received_all()
    assert list(other.changes()) == []
    other.close()
    assert both.server.contents == ["B=2"]


def test_maps_are_answered(both) -> None:
    both.server.put("a", "A=1")
    other = both.alone()
    other.received_all()
    [change] = list(other.changes())
    assert change.action is Action.ADD
    assert change.record is not None
    assert str(change.record.data).strip() == "A=1"
    other.sent(change, 201)
    assert other.map([(change.id, "7"), (change.id, "7"), ("4711", "8")]) == [200, 200, 404]
    other.commit(Anchors("s", "c"))
    other.close()
    again = both.alone()
    assert again.anchors == Anchors("s", "c")
    assert [outcome.status for outcome in again.take([note("7", "A=2", Action.REPLACE)])] == [200]
    again.close()
    assert both.server.contents == ["A=2"]


def test_what_was_taken_before_a_break_stays_and_its_names_too(both) -> None:
    other = both.alone()
    other.take([note("1", "A=1"), note("2", "B=1")])
    other.close()
    again = both.alone()
    assert again.anchors == Anchors()
    assert [outcome.status for outcome in again.take([note("1", "A=1"), note("2", "B=2")])] == [200, 200]
    again.received_all()
    assert list(again.changes()) == []
    again.close()
    assert both.server.contents == ["A=1", "B=2"]


@pytest.mark.parametrize("when", range(1, 14))
def test_a_break_anywhere_loses_and_doubles_nothing(both, tools, when) -> None:
    both.client.put("a", "A=1")
    both.server.put("b", "B=1")
    both.sync()
    both.client.put("c", "C=1")
    both.server.put("d", "D=1")
    both.client.edit("A=1", "A=2")
    with suppress(tools.Stopped):
        both.sync(between=tools.stops_at(when), size=1)
    both.sync()
    assert both.client.contents == both.server.contents == ["A=2", "B=1", "C=1", "D=1"]
    both.sync()
    assert both.sync() == []
