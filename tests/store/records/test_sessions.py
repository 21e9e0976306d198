"""Whole SyncML sessions, own client against own server, over folders on the disk."""

from __future__ import annotations

import itertools
from contextlib import suppress

import pytest
import syncml_pair
import syncml_server

from twsync.reconcile.model import Side, SyncType
from twsync.store.syncmlsession import Terms
from twsync.syncml.clientsetup import Wanted


class Road:
    """A client's and a server's folder, and the messages between them."""

    def __init__(self, client, server, twsync: bool, monkeypatch, *, allow_deletes: bool = True) -> None:
        self.client = client
        self.server = server
        numbers = itertools.count(1)

        def theirs(_memory, _account, _device, _twsync):
            return server.host.datastores(Terms(f"s{next(numbers)}", Side.SERVER, allow_deletes=allow_deletes))

        def own(_stores, server=False):
            return client.host.datastores(Terms(f"c{next(numbers)}", Side.CLIENT, allow_deletes=allow_deletes))

        monkeypatch.setattr(syncml_pair, "MemoryDatastores", own)
        monkeypatch.setattr(syncml_server.Memory, "datastores", theirs)
        self.killed = syncml_pair.KilledError
        self.world = syncml_server.World([])
        restarted = self.world.restart

        def restart() -> None:
            server.restart()
            restarted()

        monkeypatch.setattr(self.world, "restart", restart)
        self.host = syncml_pair.Host({}, twsync=twsync)

    def sync(self, kind: SyncType = SyncType.TWO_WAY):
        found = self.host.sync(self.world, Wanted("people", "people", kind))
        assert (found.error, found.stores[0].error) == (None, None)
        return found.stores[0]


@pytest.fixture(params=[True, False], ids=["twsync", "stock"])
def road(request, pair, monkeypatch) -> Road:
    return Road(*pair, request.param, monkeypatch)


def edits(road, tools) -> None:
    """Two folders in step, then edits of every sort."""
    client, server = road.client, road.server
    for name in ("Ann", "Bob", "Cid"):
        client.write(f"{name}.vcf", tools.card(name, "TEL:1"))
    # Larger than a message.
    server.write("Pic.vcf", tools.card("Pic", "PHOTO;ENCODING=b;TYPE=JPEG:" + "QUJD" * 50_000))
    road.sync()
    client.write("Ann.vcf", tools.card("Ann", "TEL:1", "NOTE:client"))
    server.write("Ann.vcf", tools.card("Ann", "TEL:1", "EMAIL:server@example.org"))
    client.delete("Bob.vcf")
    server.delete("Cid.vcf")
    client.write("Eve.vcf", tools.card("Eve"))
    server.write("Fay.vcf", tools.card("Fay"))


def check(road) -> None:
    assert road.client.digests() == road.server.digests()
    text = "".join(road.client.files().values())
    for name, times in (("Ann", 1), ("Bob", 0), ("Cid", 0), ("Eve", 1), ("Fay", 1), ("Pic", 1)):
        assert text.count(f"FN:{name}\r\n") == times, name
    assert "NOTE:client" in text
    assert "EMAIL:server@example.org" in text


def test_edits_on_both_sides(road, tools) -> None:
    edits(road, tools)
    found = road.sync()
    check(road)
    assert (found.sent.added, found.sent.deleted, found.received.added, found.received.deleted) == (1, 1, 1, 1)
    assert [(one.item, one.resolution) for one in found.conflicts] == [("Ann.vcf", "merged")]
    found = road.sync()
    assert (found.sent.bytes, found.received.bytes) == (0, 0)


@pytest.mark.parametrize("kind", list(SyncType))
def test_every_type_after_a_first_session(road, tools, kind) -> None:
    road.client.write("Ann.vcf", tools.card("Ann"))
    road.server.write("Bob.vcf", tools.card("Bob"))
    road.sync(kind)
    road.sync()
    road.sync(kind)
    found = road.sync()
    assert road.client.digests() == road.server.digests()
    assert (found.sent.bytes, found.received.bytes) == (0, 0)


@pytest.mark.parametrize("trouble", ["lost-request", "lost-reply", "killed-before", "killed-after", "server-dies"])
@pytest.mark.parametrize("when", [2, 3])
def test_trouble_at_any_message(road, tools, trouble, when) -> None:
    edits(road, tools)
    road.host.road = lambda number: trouble if number == when else ""
    with suppress(road.killed):
        road.host.sync(road.world, Wanted("people", "people", SyncType.TWO_WAY))
    road.host.road = lambda number: ""
    if trouble.startswith("killed"):
        road.client.restart()
    road.host.sync(road.world, Wanted("people", "people", SyncType.TWO_WAY))
    road.sync()
    text = "".join(road.client.files().values())
    assert road.client.digests() == road.server.digests()
    assert all(text.count(f"FN:{name}\r\n") <= 1 for name in ("Ann", "Bob", "Cid", "Eve", "Fay", "Pic"))
    assert all(text.count(f"FN:{name}\r\n") == 1 for name in ("Ann", "Eve", "Fay", "Pic"))
    assert "NOTE:client" in text
    assert "EMAIL:server@example.org" in text


def test_what_the_server_cannot_send_is_told_there(road, tools, monkeypatch) -> None:
    """It is larger than the client takes."""
    opened = []
    datastores = road.server.host.datastores
    monkeypatch.setattr(road.server.host, "datastores", lambda *terms: opened.append(datastores(*terms)) or opened[-1])
    road.server.write("Ann.vcf", tools.card("Ann"))
    road.server.write("Pic.vcf", tools.card("Pic", "NOTE:" + "x" * 3000))
    road.host.sync(road.world, Wanted("people", "people", SyncType.TWO_WAY), max_object=2000)
    assert list(road.client.files()) == ["Ann.vcf"]
    assert opened[-1].opened[-1].report.skipped == [(b"Pic.vcf", "too-large")]
    road.sync()
    assert sorted(road.client.files()) == ["Ann.vcf", "Pic.vcf"]


@pytest.mark.parametrize("kind", [SyncType.REFRESH_FROM_CLIENT, SyncType.REFRESH_FROM_SERVER])
def test_after_a_refresh_that_a_guard_stopped_deletes_are_still_deletes(pair, monkeypatch, tools, kind) -> None:
    road = Road(*pair, True, monkeypatch, allow_deletes=False)
    for number in range(60):
        road.client.write(f"{number}.vcf", tools.card(f"P{number}"))
    road.sync()
    giver, taker = (road.client, road.server) if kind is SyncType.REFRESH_FROM_CLIENT else (road.server, road.client)
    giver.delete("1.vcf")
    for number in range(40):
        taker.write(f"new{number}.vcf", tools.card(f"N{number}"))
    taker.delete("2.vcf")
    stopped = road.host.sync(road.world, Wanted("people", "people", kind))
    assert (stopped.error or stopped.stores[0].error) is not None
    assert len(taker.files()) == 100, "what was deleted here came back: the giver's content holds"
    found = road.host.sync(road.world, Wanted("people", "people", SyncType.TWO_WAY))
    assert found.stores[0].error is None
    assert found.stores[0].effective is SyncType.TWO_WAY
    assert sorted(road.client.files()) == sorted(road.server.files())
    assert "1.vcf" not in road.client.files()
    assert "new39.vcf" in road.client.files()
