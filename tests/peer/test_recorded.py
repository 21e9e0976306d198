"""Collections that SyncML sessions open: how long one that is busy is waited for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from twsync.errors import StoreError
from twsync.limits import MAX_SYNCML_WAITS, SYNCML_PATIENCE
from twsync.peer.recorded import RecordedDatastores
from twsync.reconcile.model import Side
from twsync.syncml.datastore import Peer

PEER = Peer("phone-1", "phone", None, None)


class Collections:
    """In place of a `Recorder`: those of `busy` cannot be had; remembers what was asked for and how long it would be waited for."""

    def __init__(self, *busy):
        self.records = SimpleNamespace(datastores=lambda *_: None)
        self.busy = set(busy)
        self.asked = []
        self.gone = set()

    def open(self, wanted, name, peer, wait):
        self.asked.append((name, wait.seconds))
        self.gone.add(wait.gone)
        if name in self.busy:
            raise StoreError("It is being synchronised.", "busy")
        return SimpleNamespace(store=name)


def session(collections, gone=bool):
    return RecordedDatastores(collections, Side.SERVER, "phone/phone-1", None, None, False, gone)


def refused(datastores, name):
    with pytest.raises(StoreError) as caught:
        datastores.open(name, PEER)
    assert caught.value.code == "busy"


def test_who_asks_again_waits_and_in_vain_no_more():
    collections = Collections("one", "two")
    datastores = session(collections)
    for name in ("one", "one", "one", "one", "two", "two"):
        refused(datastores, name)
    assert collections.asked == [("one", 0.0), ("one", SYNCML_PATIENCE), ("one", 0.0), ("one", 0.0), ("two", 0.0), ("two", 0.0)]


def test_who_waits_can_see_whether_the_client_has_gone_away():
    collections = Collections("one")
    datastores = session(collections, gone := (lambda: True))
    for _ in range(3):
        refused(datastores, "one")
    assert collections.gone == {gone}


def test_a_session_waits_no_more_often_than_the_limit():
    """Also if each wait was worth it: one message may name many collections, and its client waits for one answer."""
    names = [f"c{number}" for number in range(MAX_SYNCML_WAITS + 2)]
    collections = Collections(*names)
    datastores = session(collections)
    for name in names:
        refused(datastores, name)
        collections.busy.discard(name)
        assert datastores.open(name, PEER) == name
    waits = [patience for _, patience in collections.asked[1::2]]
    assert waits == [SYNCML_PATIENCE] * MAX_SYNCML_WAITS + [0.0] * 2


def test_another_collection_in_between_is_a_new_beginning():
    collections = Collections("one", "two")
    datastores = session(collections)
    for name in ("one", "two", "one", "two"):
        refused(datastores, name)
    assert [patience for _, patience in collections.asked] == [0.0] * 4
