"""The own client against the own server, in memory: every sync type, version and encoding; small messages, large objects, lost messages."""

from __future__ import annotations

import base64

import pytest
from memory_store import MemoryStore
from syncml_pair import Host, KilledError, host
from syncml_server import World

from twsync.errors import StoreError
from twsync.reconcile.model import SyncType
from twsync.syncml import auth
from twsync.syncml.clientaccess import Credentials
from twsync.syncml.clientresult import Counts, Result
from twsync.syncml.clientsetup import Wanted
from twsync.syncml.document import Alert, Encoding, Map, Protocol, Put, Results, Status, Sync

T = SyncType
BOTH = [Encoding.XML, Encoding.WBXML]
VERSIONS = list(Protocol)


def met(mine: dict[str, str], theirs: dict[str, str], **more) -> tuple[Host, MemoryStore, MemoryStore, World]:
    """A client and a server that are in step on what `mine` and `theirs` come to."""
    client, server = MemoryStore("card", mine), MemoryStore("card", theirs)
    world, laptop = World([server]), host(client, **more)
    good(laptop.sync(world))
    return laptop, client, server, world


def good(result: Result) -> Result:
    assert result.error is None
    assert [store.error for store in result.stores] == [None] * len(result.stores)
    assert all(store.done for store in result.stores)
    return result


@pytest.mark.parametrize("encoding", BOTH)
@pytest.mark.parametrize("protocol", VERSIONS)
def test_two_way(protocol: Protocol, encoding: Encoding) -> None:
    laptop, client, server, world = met(
        {"a": "A=1", "both": "Same=1"}, {"x": "X=1", "other": "Same=1"}, protocol=protocol, encoding=encoding
    )
    assert client.contents == server.contents == ["A=1", "Same=1", "X=1"]
    client.put("a", "A=2")
    client.put("new", "New=1")
    server.put("x", "X=2")
    server.delete("other")
    server.put("z", "Z=1")
    result = good(laptop.sync(world)).stores[0]
    assert client.contents == server.contents == ["A=2", "New=1", "X=2", "Z=1"]
    assert result.effective is T.TWO_WAY
    assert (result.sent.added, result.sent.changed, result.sent.deleted) == (1, 1, 0)
    assert (result.received.added, result.received.changed, result.received.deleted) == (1, 1, 1)
    assert (result.conflicts, result.skipped) == ((), ())


def test_nothing_to_do_is_three_messages_and_no_device_information() -> None:
    laptop, *_, world = met({"a": "A=1"}, {})
    good(laptop.sync(world))
    assert len(laptop.requests) == 3
    assert not [command for message in laptop.requests + laptop.replies for command in message.body if isinstance(command, Put | Results)]


@pytest.mark.parametrize(
    ("sync_type", "client_has", "server_has"),
    [
        (T.SLOW, ["A=2", "B=1", "C=1", "X=2", "Y=1"], ["A=2", "B=1", "C=1", "X=2", "Y=1"]),
        (T.ONE_WAY_FROM_CLIENT, ["A=2", "B=1", "C=1", "X=1"], ["A=2", "B=1", "C=1", "X=2", "Y=1"]),
        (T.REFRESH_FROM_CLIENT, ["A=2", "B=1", "C=1", "X=1"], ["A=2", "B=1", "C=1", "X=1"]),
        (T.ONE_WAY_FROM_SERVER, ["A=2", "B=1", "C=1", "X=2", "Y=1"], ["A=1", "B=1", "X=2", "Y=1"]),
        (T.REFRESH_FROM_SERVER, ["A=1", "B=1", "X=2", "Y=1"], ["A=1", "B=1", "X=2", "Y=1"]),
    ],
)
@pytest.mark.parametrize("encoding", BOTH)
def test_the_other_types(sync_type: SyncType, client_has: list[str], server_has: list[str], encoding: Encoding) -> None:
    laptop, client, server, world = met({"a": "A=1", "b": "B=1"}, {"x": "X=1"}, encoding=encoding)
    client.put("a", "A=2")
    client.put("c", "C=1")
    server.put("x", "X=2")
    server.put("y", "Y=1")
    result = good(laptop.sync(world, sync_type=sync_type)).stores[0]
    assert (client.contents, server.contents) == (client_has, server_has)
    assert (result.asked, result.effective) == (sync_type, sync_type)
    good(laptop.sync(world))
    expected = {
        T.REFRESH_FROM_CLIENT: ["A=2", "B=1", "C=1", "X=1"],
        T.REFRESH_FROM_SERVER: ["A=1", "B=1", "X=2", "Y=1"],
    }.get(sync_type, ["A=2", "B=1", "C=1", "X=2", "Y=1"])
    assert client.contents == server.contents == expected


@pytest.mark.parametrize("twsync", [False, True])
def test_a_first_push_deletes_nothing_at_the_server(twsync: bool) -> None:
    client, server = MemoryStore("card", {"a": "A=1"}), MemoryStore("card", {"x": "X=1"})
    world, laptop = World([server]), host(client, twsync=twsync)
    good(laptop.sync(world, sync_type=T.ONE_WAY_FROM_CLIENT))
    assert (client.contents, server.contents) == (["A=1"], ["A=1", "X=1"])
    good(laptop.sync(world))
    assert client.contents == server.contents == ["A=1", "X=1"]


def test_a_first_pull_deletes_nothing_here() -> None:
    client, server = MemoryStore("card", {"a": "A=1", "s": "S=1"}), MemoryStore("card", {"x": "X=1", "t": "S=1"})
    world, laptop = World([server]), host(client)
    good(laptop.sync(world, sync_type=T.ONE_WAY_FROM_SERVER))
    assert (client.contents, server.contents) == (["A=1", "S=1", "X=1"], ["S=1", "X=1"])
    good(laptop.sync(world))
    assert client.contents == server.contents == ["A=1", "S=1", "X=1"]


@pytest.mark.parametrize("lost", ["client", "server"])
@pytest.mark.parametrize("sync_type", [T.TWO_WAY, T.ONE_WAY_FROM_CLIENT, T.ONE_WAY_FROM_SERVER])
def test_lost_anchors_delete_nothing(sync_type: SyncType, lost: str) -> None:
    laptop, client, server, world = met({"a": "A=1", "b": "B=1"}, {"x": "X=1"})
    client.delete("b")
    client.put("c", "C=1")
    server.put("y", "Y=1")
    (client if lost == "client" else server).partners.clear()
    good(laptop.sync(world, sync_type=sync_type))
    assert {"A=1", "C=1", "X=1"} <= set(client.contents)
    assert {"A=1", "B=1", "X=1", "Y=1"} <= set(server.contents)
    good(laptop.sync(world))
    assert client.contents == server.contents
    assert len(set(client.contents)) == len(client.contents)


def test_slow_can_be_forbidden() -> None:
    laptop, client, server, world = met({"a": "A=1"}, {})
    server.partners.clear()
    client.put("b", "B=1")
    result = laptop.sync(world, Wanted("card", "card", allow_slow=False))
    assert result.stores[0].error is not None
    assert result.stores[0].error.code == "slow-sync-refused"
    assert server.contents == ["A=1"]
    assert "begin slow" not in client.log[client.log.index("commit") :]
    good(laptop.sync(world))
    assert server.contents == ["A=1", "B=1"]


@pytest.mark.parametrize("encoding", BOTH)
@pytest.mark.parametrize("limit", [2_500, 4_000, 10_000])
def test_small_messages(limit: int, encoding: Encoding) -> None:
    mine = {f"c{n}": f"C{n}=1" + "x" * (n * 7) for n in range(60)}
    theirs = {f"s{n}": f"S{n}=1" + "ü<&" * n for n in range(60)}
    laptop, client, server, _world = met(mine, theirs, encoding=encoding, max_message=limit)
    assert client.contents == server.contents
    assert len(client.contents) == 120
    assert len(laptop.requests) > 3
    # The reply with the server's device information is as large as it is; all else keeps to the limit.
    assert laptop.largest <= max(limit, 150_000 if limit > 100_000 else limit)


@pytest.mark.parametrize("encoding", BOTH)
@pytest.mark.parametrize("protocol", [Protocol.V1_1, Protocol.V1_2])
def test_photos_both_ways(protocol: Protocol, encoding: Encoding) -> None:
    photo = base64.b64encode(bytes(range(256)) * 900).decode()
    laptop, client, server, world = met({"a": "A=1"}, {"x": "X=1"}, protocol=protocol, encoding=encoding, max_message=20_000)
    client.put("a", "A=2" + photo)
    client.put("c", "C=1" + photo)
    server.put("x", "X=2é" + photo)
    server.put("y", "Y=1" + photo)
    server.put("z", "Z=1")
    result = good(laptop.sync(world)).stores[0]
    assert client.contents == server.contents
    assert len(photo) == 307_200
    assert laptop.largest <= 150_000
    assert (result.sent.added, result.sent.changed, result.received.added, result.received.changed) == (1, 1, 2, 1)


def test_an_object_beyond_the_servers_limit_stays_here() -> None:
    laptop, client, server, world = met({"a": "A=1"}, {})
    client.put("huge", "H=1" + "x" * 4_000_001)
    client.put("b", "B=1")
    result = good(laptop.sync(world)).stores[0]
    assert server.contents == ["A=1", "B=1"]
    assert [(skipped.item, skipped.reason) for skipped in result.skipped] == [("huge", "too-large")]


def test_several_datastores_and_one_fails() -> None:
    cards, notes = MemoryStore("card", {"a": "A=1"}), MemoryStore("note", {"n": "N=1"})
    there, other = MemoryStore("card", {"x": "X=1"}), MemoryStore("note")
    world, laptop = World([there, other]), host(cards, notes)
    other.fail("take")
    result = laptop.sync(world)
    assert [(store.name, store.done) for store in result.stores] == [("card", True), ("note", False)]
    assert result.stores[1].error is not None
    assert cards.contents == there.contents == ["A=1", "X=1"]
    good(laptop.sync(world))
    assert other.contents == ["N=1"]


def test_an_unknown_datastore_is_told() -> None:
    cards, notes = MemoryStore("card", {"a": "A=1"}), MemoryStore("note", {"n": "N=1"})
    world, laptop = World([MemoryStore("card")]), host(cards, notes)
    result = laptop.sync(world)
    assert result.stores[0].done
    assert result.stores[1].error is not None
    assert result.stores[1].error.code == "not-found"
    assert "note" in result.stores[1].error.message


@pytest.mark.parametrize("method", ["begin", "take", "changes", "sent", "received_all", "commit", "maps_confirmed"])
def test_a_failing_store_of_the_client_loses_nothing(method: str) -> None:
    laptop, client, server, world = met({"a": "A=1"}, {"x": "X=1"})
    client.put("b", "B=1")
    server.put("y", "Y=1")
    client.fail(method)
    result = laptop.sync(world)
    assert result.stores[0].error is not None
    assert result.stores[0].error.code == StoreError.code
    good(laptop.sync(world))
    good(laptop.sync(world))
    assert client.contents == server.contents == ["A=1", "B=1", "X=1", "Y=1"]


def test_a_refresh_whose_changes_cannot_be_read_deletes_nothing_at_the_server() -> None:
    laptop, client, server, world = met({"a": "A=1"}, {"x": "X=1"})
    client.fail("changes")
    result = laptop.sync(world, sync_type=T.REFRESH_FROM_CLIENT)
    assert not result.stores[0].done
    assert server.contents == ["A=1", "X=1"]


def test_conflicts_are_told() -> None:
    outcomes = {}
    for policy, resolution in (("client", "ours"), ("server", "theirs"), ("duplicate", "duplicate"), ("merge", "merged")):
        laptop, client, server, world = met({"a": "A=1"}, {})
        server.policy = policy
        client.put("a", "A=2")
        server.put(next(iter(server.items)), "A=3")
        outcomes[policy] = [(conflict.item, conflict.resolution) for conflict in good(laptop.sync(world)).stores[0].conflicts]
        assert outcomes[policy] == [("a", resolution)]
        assert client.contents == server.contents


def test_wrong_password() -> None:
    client, server = MemoryStore("card", {"a": "A=1"}), MemoryStore("card")
    world, laptop = World([server]), host(client, credentials=Credentials("alice", "wrong"))
    result = laptop.sync(world)
    assert result.error is not None
    assert result.error.code == "auth-failed"
    assert server.log == []
    assert len(laptop.requests) <= 4


@pytest.mark.parametrize("protocol", VERSIONS)
def test_the_nonce_of_the_next_session_is_kept(protocol: Protocol) -> None:
    laptop, _client, _server, world = met({"a": "A=1"}, {}, protocol=protocol)
    assert laptop.remembered.nonce
    before = laptop.remembered.nonce
    good(laptop.sync(world))
    assert len(laptop.requests) == 3
    assert laptop.remembered.nonce != before


def test_a_server_that_asks_for_basic() -> None:
    client, server = MemoryStore("card", {"a": "A=1"}), MemoryStore("card")
    world, laptop = World([server], scheme=auth.BASIC), host(client)
    good(laptop.sync(world))
    assert server.contents == ["A=1"]


def test_basic_can_be_forbidden() -> None:
    world = World([MemoryStore("card")], scheme=auth.BASIC)
    laptop = host(MemoryStore("card"), credentials=Credentials("alice", "secret", schemes=(auth.MD5,)))
    result = laptop.sync(world)
    assert result.error is not None
    assert result.error.code == "auth-failed"


def test_device_information_is_put_when_it_has_changed() -> None:
    laptop, _client, _server, world = met({"a": "A=1"}, {})
    laptop.stores["card"].type = "text/vcard"
    good(laptop.sync(world))
    puts = [command for command in laptop.requests[0].body if isinstance(command, Put)]
    assert [put.name for put in puts] == ["Put"]
    good(laptop.sync(world))
    assert not [command for command in laptop.requests[0].body if isinstance(command, Put)]


def test_device_information_is_given_when_the_server_asks() -> None:
    laptop, _client, _server, world = met({"a": "A=1"}, {})
    world.devices.known.clear()
    good(laptop.sync(world))
    assert [command for message in laptop.requests for command in message.body if isinstance(command, Results)]
    assert world.devices.known


@pytest.mark.parametrize("fate", ["lost-request", "lost-reply"])
@pytest.mark.parametrize("number", range(1, 9))
def test_a_lost_message_is_sent_again(fate: str, number: int) -> None:
    mine = {f"c{n}": f"C{n}=1" + "x" * 300 for n in range(12)}
    theirs = {f"s{n}": f"S{n}=1" + "x" * 300 for n in range(12)}
    client, server = MemoryStore("card", mine), MemoryStore("card", theirs)
    world, laptop = World([server]), host(client, max_message=4_000)
    laptop.road = lambda at: fate if at == number else ""
    good(laptop.sync(world))
    assert client.contents == server.contents
    assert len(client.contents) == 24


@pytest.mark.parametrize("fate", ["killed-before", "killed-after", "server-dies"])
@pytest.mark.parametrize("slow", [True, False])
@pytest.mark.parametrize("number", range(1, 12))
def test_killed_anywhere(fate: str, slow: bool, number: int) -> None:
    """What either process kept in memory is gone; the next session neither loses nor doubles."""
    laptop, client, server, world = met({"a": "A=1", "b": "B=1"}, {"x": "X=1", "y": "Y=1"}, max_message=3_000)
    for n in range(10):
        client.put(f"c{n}", f"C{n}=1" + "x" * 250)
        server.put(f"s{n}", f"S{n}=1" + "x" * 250)
    client.put("a", "A=2")
    client.delete("b")
    server.put("x", "X=2")
    laptop.road = lambda at: fate if at == number else ""
    try:
        laptop.sync(world, sync_type=T.SLOW if slow else T.TWO_WAY)
    except KilledError:
        world.now += 10_000
    laptop.road = lambda at: ""
    good(laptop.sync(world))
    good(laptop.sync(world))
    assert client.contents == server.contents
    names = [text.partition("=")[0] for text in client.contents]
    assert len(set(names)) == len(names)
    assert {"A", "X", "Y"} <= set(names)
    assert len([name for name in names if name not in "ABXY"]) == 20
    assert "A=2" in client.contents
    assert "X=2" in client.contents


def test_a_broken_refresh_never_empties_a_store() -> None:
    for number in range(1, 12):
        laptop, client, server, world = met({f"a{n}": f"A{n}=1" for n in range(8)}, {}, max_message=2_500)
        for n in range(8):
            server.put(f"s{n}", f"S{n}=1" + "x" * 400)
        laptop.road = lambda at, number=number: "killed-after" if at == number else ""
        try:
            laptop.sync(world, sync_type=T.REFRESH_FROM_SERVER)
        except KilledError:
            assert {f"A{n}=1" for n in range(8)} <= set(client.contents)
            assert {f"A{n}=1" for n in range(8)} <= set(server.contents)


@pytest.mark.parametrize("sync_type", [T.REFRESH_FROM_CLIENT, T.REFRESH_FROM_SERVER])
@pytest.mark.parametrize("fate", ["killed-before", "killed-after", "server-dies"])
@pytest.mark.parametrize("number", range(2, 11, 2))
def test_a_broken_refresh_can_be_done_again(number: int, fate: str, sync_type: SyncType) -> None:
    client = MemoryStore("card", {f"c{n}": f"C{n}=1" + "x" * 300 for n in range(8)})
    server = MemoryStore("card", {f"s{n}": f"S{n}=1" + "x" * 300 for n in range(8)})
    world, laptop = World([server]), host(client, max_message=2_500)
    expected = (client if sync_type is T.REFRESH_FROM_CLIENT else server).contents
    laptop.road = lambda at: fate if at == number else ""
    try:
        laptop.sync(world, sync_type=sync_type)
    except KilledError:
        world.now += 10_000
    laptop.road = lambda at: ""
    good(laptop.sync(world, sync_type=sync_type))
    assert client.contents == server.contents == expected


def test_suspend_and_resume() -> None:
    laptop, client, server, world = met({"a": "A=1"}, {"x": "X=1"}, max_message=2_500)
    for n in range(20):
        client.put(f"c{n}", f"C{n}=1" + "x" * 200)
        server.put(f"s{n}", f"S{n}=1" + "x" * 200)
    laptop.suspend_at = 3
    result = laptop.sync(world)
    assert result.suspended
    assert result.error is None
    assert not result.stores[0].done
    assert [alert.code for alert in laptop.requests[-1].body if isinstance(alert, Alert)] == ["224"]
    laptop.suspend_at = None
    result = good(laptop.sync(world, Wanted("card", "card", resume=True)))
    assert [alert.code for alert in laptop.requests[0].body if isinstance(alert, Alert)] == ["225"]
    assert result.stores[0].effective is T.TWO_WAY
    assert client.contents == server.contents
    assert len(client.contents) == 42


@pytest.mark.parametrize("at", range(1, 9))
def test_suspended_anywhere(at: int) -> None:
    laptop, client, server, world = met({"a": "A=1"}, {"x": "X=1"}, max_message=2_500)
    for n in range(15):
        client.put(f"c{n}", f"C{n}=1" + "x" * 200)
        server.put(f"s{n}", f"S{n}=1" + "x" * 200)
    laptop.suspend_at = at
    laptop.sync(world)
    laptop.suspend_at = None
    good(laptop.sync(world, Wanted("card", "card", resume=True)))
    assert client.contents == server.contents
    assert len(client.contents) == 32


def test_maps_that_no_server_has_confirmed_are_sent_again_before_the_changes() -> None:
    laptop, client, server, world = met({"a": "A=1"}, {})
    server.put("y", "Y=1")
    laptop.road = lambda at: "killed-before" if at == 3 else ""
    with pytest.raises(KilledError):
        laptop.sync(world)
    assert client.contents == ["A=1", "Y=1"]
    laptop.road = lambda at: ""
    client.put("b", "B=1")
    good(laptop.sync(world))
    kinds = [type(command) for command in laptop.requests[1].body if isinstance(command, Map | Sync)]
    assert kinds == [Map, Sync]
    assert client.contents == server.contents == ["A=1", "B=1", "Y=1"]


def test_versions_travel_between_twsync_hosts_only() -> None:
    for twsync in (True, False):
        client, server = MemoryStore("card"), MemoryStore("card")
        client.put("a", "A=1")
        client.rows["a"].version = b"v1"
        world, laptop = World([server]), host(client, twsync=twsync)
        good(laptop.sync(world))
        assert [row.version for row in server.rows.values()] == ([b"v1"] if twsync else [b""])


def test_every_command_of_the_server_is_answered() -> None:
    laptop, _client, server, world = met({"a": "A=1"}, {"x": "X=1"}, max_message=3_000)
    for n in range(10):
        server.put(f"s{n}", f"S{n}=1" + "x" * 300)
    good(laptop.sync(world))
    owed, given = set(), set()
    for message in laptop.replies[:-1]:
        for command in message.body:
            if not isinstance(command, Status):
                owed.add((message.header.msg_id, command.cmd_id))
            if isinstance(command, Sync):
                owed |= {(message.header.msg_id, change.cmd_id) for change in command.commands}
        owed.add((message.header.msg_id, "0"))
    for message in laptop.requests:
        given |= {(status.msg_ref, status.cmd_ref) for status in message.body if isinstance(status, Status)}
    assert owed == given


def test_final_ends_each_package_once() -> None:
    laptop, *_, _world = met({f"c{n}": f"C{n}=1" + "x" * 300 for n in range(20)}, {"x": "X=1"}, max_message=3_000)
    assert len([message for message in laptop.requests if message.final]) in (3, 4)
    for message in laptop.requests:
        asks = [alert for alert in message.body if isinstance(alert, Alert) and alert.code == "222"]
        assert not (message.final and asks)


def test_nothing_sent_counts_twice() -> None:
    laptop, _client, _server, world = met({"a": "A=1"}, {"b": "A=1"})
    result = good(laptop.sync(world, sync_type=T.SLOW)).stores[0]
    assert (result.sent, result.received) == (Counts(bytes=result.sent.bytes), Counts())
