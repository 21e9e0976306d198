"""Sessions of a server, message by message, with a client made by hand."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from memory_store import MemoryDatastores, MemoryStore
from syncml_server import BASE, Client, World, alert, change, codes, commands, map_, sync

from twsync import limits
from twsync.errors import StoreError
from twsync.reconcile.model import SyncType
from twsync.records.family import Family
from twsync.store.syncmledge import describe
from twsync.syncml import codec
from twsync.syncml.changes import VERSION_EMI
from twsync.syncml.datastore import Anchors, Peer
from twsync.syncml.deviceinfo import OwnDevice, get_devinf, own_devinf, put_devinf
from twsync.syncml.document import (
    Alert,
    Change,
    DataStore,
    DevInf,
    Encoding,
    Filter,
    Group,
    Item,
    Location,
    Message,
    Meta,
    Other,
    Protocol,
    Put,
    Results,
    Status,
    Sync,
)
from twsync.syncml.packages import Stage
from twsync.syncml.references import header_status
from twsync.syncml.server import Refusal, Server
from twsync.syncml.serversession import KnownPeer, Reply

PHONE = OwnDevice(device_id="phone-1", software="1")


def world(items: dict[str, str] | None = None, *more: MemoryStore) -> World:
    return World([MemoryStore("contacts", items), *more])


def put(*, large: bool = True) -> Put:
    devinf = own_devinf(PHONE, Protocol.V1_2, [DataStore("./contacts")])
    return put_devinf(msgspec.structs.replace(devinf, large_objects=large), Encoding.WBXML)


def met(made: World, name: str = "contacts", device: str = "phone-1") -> None:
    """The client and the store have finished a session before."""
    store = made.stores[name]
    datastores = made.memory.datastores("alice", device, False)
    session = datastores.open(name, Peer(device=device, account="alice", devinf=None, datastore=None))
    session.commit(Anchors(own="s0", remote="c0"))
    session.state.map = {f"L-{key}": key for key in store.items}  # type: ignore[attr-defined]
    session.state.seen = {key: row.seq for key, row in store.rows.items()}  # type: ignore[attr-defined]
    store.log.clear()


def told(message: Message) -> list[str | None]:
    """Codes of the Alerts of a reply."""
    return [command.code for command in commands(message) if isinstance(command, Alert)]


def changes(message: Message) -> list[tuple[str, str]]:
    """(command, content) of the changes of a reply."""
    return [
        (child.name, str(child.items[0].data)[:20])
        for command in commands(message)
        if isinstance(command, Sync)
        for child in command.commands
        if isinstance(child, Change)
    ]


@pytest.mark.parametrize(
    ("code", "last", "status", "answer", "begun"),
    [
        (200, "c0", "200", "200", SyncType.TWO_WAY),
        (200, "other", "508", "201", SyncType.SLOW),
        (200, None, "508", "201", SyncType.SLOW),
        (201, None, "200", "201", SyncType.SLOW),
        (202, "c0", "200", "202", SyncType.ONE_WAY_FROM_CLIENT),
        (202, None, "508", "203", SyncType.SLOW),  # nobody asked for what is here to be deleted
        (203, None, "200", "203", SyncType.REFRESH_FROM_CLIENT),
        (204, "c0", "200", "204", SyncType.ONE_WAY_FROM_SERVER),
        (204, None, "508", "205", SyncType.REFRESH_FROM_SERVER),
        (205, None, "200", "205", SyncType.REFRESH_FROM_SERVER),
        (206, "c0", "200", "200", SyncType.TWO_WAY),
        (210, None, "200", "205", SyncType.REFRESH_FROM_SERVER),
        (225, "c0", "509", "200", SyncType.TWO_WAY),
        (225, None, "508", "201", SyncType.SLOW),
    ],
)
def test_anchors_decide(code: int, last: str | None, status: str, answer: str, begun: SyncType) -> None:
    made = world({"a": "A=1"})
    met(made)
    client = Client(made)
    reply = client.login((code, "contacts", last, "c1"))
    assert codes(reply) == [("SyncHdr", "212"), ("Alert", status)]
    assert told(reply) == [answer]
    alerted = next(command for command in commands(reply) if isinstance(command, Alert))
    assert alerted.items[0].meta is not None
    assert alerted.items[0].meta.anchor is not None
    assert alerted.items[0].meta.anchor.last == "s0"
    echoed = next(command for command in reply.body if isinstance(command, Status) and command.cmd == "Alert").items[0].data
    assert isinstance(echoed, Meta)
    assert echoed.anchor is not None
    assert echoed.anchor.next == "c1"
    client.send(*client.statuses(), sync("contacts"))
    expected = f"begin {begun.value}" + (" resumed" if status == "509" else "")
    assert expected in made.stores["contacts"].log
    assert made.stores["contacts"].items == ({} if code == 203 else {"a": "A=1"})
    client.send(*client.statuses())
    assert made.stores["contacts"].log[-2:] == ["commit", "close"]


def test_resume_needs_1_2_and_unknown_alerts_are_refused() -> None:
    client = Client(world(), protocol=Protocol.V1_1)
    reply = client.send(alert(225, "contacts", "c0", "c1"), alert(250, "contacts", None, "c1"), alert(201, "contacts", None, "c1"))
    assert codes(reply) == [("SyncHdr", "212"), ("Alert", "406"), ("Alert", "406"), ("Alert", "200")]


def test_suspend_ends_the_session_and_keeps_the_anchors() -> None:
    made = world()
    client = Client(made)
    client.login((200, "contacts", None, "c1"))
    client.send(*client.statuses(), sync("contacts", change("Add", "1", "A=1")), final=False)
    reply = client.send(*client.statuses(), Alert("", "224", (Item(target=Location("server"), source=Location("phone-1")),)))
    assert codes(reply) == [("SyncHdr", "200"), ("Alert", "200")]
    assert reply.final
    assert made.stores["contacts"].log[-1] == "close"
    assert "commit" not in made.stores["contacts"].log
    assert made.stores["contacts"].contents == ["A=1"]


def test_a_defect_lets_go_of_the_collection() -> None:
    made = world({"a": "A=1"})
    made.stores["contacts"].fail("take", ZeroDivisionError("a defect"))
    client = Client(made)
    client.login((201, "contacts", None, "c1"))
    with pytest.raises(ZeroDivisionError):
        client.send(*client.statuses(), sync("contacts", change("Add", "1", "B=1")))
    assert made.stores["contacts"].log[-1] == "close"
    assert codes(Client(made, session="next").login((201, "contacts", None, "c2")))[0][1] == "212"


def test_datastores_fail_alone() -> None:
    made = world({"a": "A=1"}, MemoryStore("calendar"), MemoryStore("secret"), MemoryStore("busy"))
    made.memory.granted["alice"] = {"contacts", "calendar", "busy"}
    made.stores["busy"].busy = True
    made.stores["calendar"].fail("take", StoreError("the disk is full"))
    client = Client(made)
    names = ("contacts", "calendar", "secret", "none", "busy")
    reply = client.login(*((201, name, None, "c1") for name in names))
    assert [code for _, code in codes(reply)] == ["212", "200", "200", "403", "404", "503"]
    reply = client.send(*client.statuses(), *(sync(name, change("Add", "1", "B=1")) for name in names))
    assert [code for _, code in codes(reply)] == ["200", "200", "201", "510", "510", "404", "404", "404", "404", "404", "404"]
    assert changes(reply) == [("Add", "A=1")]
    reply = client.send(*client.statuses(), map_("contacts", ("1", "L1")))
    assert made.stores["contacts"].log[-2:] == ["commit", "close"]
    assert "commit" not in made.stores["calendar"].log


def test_a_commit_that_fails_is_told() -> None:
    made = world()
    made.stores["contacts"].fail("commit")
    client = Client(made)
    client.login((201, "contacts", None, "c1"))
    client.send(*client.statuses(), sync("contacts"))
    assert codes(client.send(*client.statuses()))[0] == ("SyncHdr", "511")


def test_an_answer_that_the_store_fails_on_does_not_end_the_session() -> None:
    made = world({"a": "A=1"}, MemoryStore("calendar"))
    made.stores["contacts"].fail("sent")
    client = Client(made)
    client.login((201, "contacts", None, "c1"), (201, "calendar", None, "c1"))
    client.send(*client.statuses(), sync("contacts"), sync("calendar"))
    client.send(*client.statuses())
    assert "commit" not in made.stores["contacts"].log
    assert "commit" in made.stores["calendar"].log


def test_alert_and_sync_in_one_message() -> None:
    made = world({"a": "A=1"})
    met(made)
    client = Client(made)
    reply = client.send(alert(200, "contacts", "c0", "c1"), sync("contacts", change("Replace", "L-a", "A=2")))
    assert codes(reply) == [("SyncHdr", "212"), ("Alert", "200"), ("Sync", "200"), ("Replace", "200")]
    assert told(reply) == ["200"]
    assert reply.final
    assert made.stores["contacts"].contents == ["A=2"]


def test_alert_and_sync_in_one_message_without_common_anchor() -> None:
    made = world({"a": "A=1"})
    client = Client(made)
    reply = client.send(alert(200, "contacts", "c0", "c1"), sync("contacts", change("Replace", "L-a", "A=2")))
    assert codes(reply) == [("SyncHdr", "212"), ("Alert", "508"), ("Sync", "508"), ("Replace", "508")]
    assert made.stores["contacts"].contents == ["A=1"]
    reply = client.send(*client.statuses(), sync("contacts", change("Replace", "L-a", "A=2")))
    assert codes(reply)[1:] == [("Sync", "200"), ("Replace", "208")]


def test_the_client_may_force_a_slow_sync() -> None:
    made = world({"a": "A=1"})
    met(made)
    client = Client(made)
    client.login((200, "contacts", "c0", "c1"))
    client.send(*client.statuses(lambda command, _item: 508 if isinstance(command, Alert) else 200), sync("contacts"))
    assert "begin slow" in made.stores["contacts"].log


def test_a_refused_alert_is_out() -> None:
    made = world()
    client = Client(made)
    client.login((200, "contacts", None, "c1"))
    client.send(*client.statuses(lambda command, _item: 500 if isinstance(command, Alert) else 200))
    assert made.stores["contacts"].log == ["open", "close"]


@pytest.mark.parametrize("encoding", Encoding)
def test_many_changes_take_many_messages(encoding: Encoding) -> None:
    made = world({f"k{index}": f"N{index}={'x' * 200}" for index in range(60)})
    client = Client(made, encoding=encoding, max_message=3000)
    client.login((201, "contacts", None, "c1"))
    got: list[tuple[str, str]] = []
    reply = client.send(*client.statuses(), sync("contacts"))
    rounds = 0
    while True:
        assert len(client.got_body) <= 3000
        got += changes(reply)
        rounds += 1
        if reply.final:
            break
        reply = client.send(*client.statuses(), Alert("", "222", (Item(target=Location("s"), source=Location("c")),)), final=False)
    assert len(got) == len(set(got)) == 60
    assert rounds > 5
    assert sum(line.startswith("sent Add") for line in made.stores["contacts"].log) >= 60 - len(changes(reply))


def test_statuses_that_do_not_fit_come_later() -> None:
    made = world()
    client = Client(made, max_message=2500)
    client.login((201, "contacts", None, "c1"))
    reply = client.send(*client.statuses(), sync("contacts", *(change("Add", f"L{index}", f"N{index}=1") for index in range(60))))
    seen = [one.source_refs[0] for one in reply.body if isinstance(one, Status) and one.cmd == "Add"]
    rounds = 0
    while not reply.final:
        assert len(client.got_body) <= 2500
        reply = client.send(*client.statuses(), final=False)
        seen += [one.source_refs[0] for one in reply.body if isinstance(one, Status) and one.cmd == "Add"]
        rounds += 1
    assert seen == [f"L{index}" for index in range(60)]
    assert rounds >= 1


def test_an_unfinished_package_is_asked_for_more() -> None:
    client = Client(world({"a": "A=1"}))
    client.login((201, "contacts", None, "c1"))
    reply = client.send(*client.statuses(), sync("contacts", change("Add", "1", "B=1")), final=False)
    assert told(reply) == ["222"]
    assert not reply.final
    assert changes(reply) == []
    reply = client.send(*client.statuses(), sync("contacts"))
    assert changes(reply) == [("Add", "A=1")]


def test_final_in_every_message() -> None:
    """Funambol: NumberOfChanges shows that more will come, so a refresh deletes nothing too early."""
    made = world()
    client = Client(made)
    client.login((203, "contacts", None, "c1"))
    reply = client.send(*client.statuses(), sync("contacts", change("Add", "1", "A=1"), number_of_changes=2))
    assert not reply.final
    assert "received_all" not in made.stores["contacts"].log
    reply = client.send(*client.statuses(), sync("contacts", change("Add", "2", "B=1")))
    assert reply.final
    assert made.stores["contacts"].contents == ["A=1", "B=1"]


def test_final_in_every_message_of_a_client_that_does_not_say_how_much_comes() -> None:
    """It is taken at its word: the package is over, and what comes later is refused."""
    made = world()
    client = Client(made)
    client.login((203, "contacts", None, "c1"))
    reply = client.send(*client.statuses(), sync("contacts", change("Add", "1", "A=1")))
    assert reply.final
    assert "received_all" in made.stores["contacts"].log
    reply = client.send(*client.statuses(), sync("contacts", change("Add", "2", "B=1")))
    assert [code for command, code in codes(reply) if command in ("Sync", "Add")] == ["405", "405"]
    assert made.stores["contacts"].contents == ["A=1"]


def test_large_object_in_chunks() -> None:
    made = world()
    client = Client(made)
    client.login((201, "contacts", None, "c1"))
    text = "A=" + "ä" * 2000
    whole = len(text.encode())
    reply = client.send(*client.statuses(), sync("contacts", change("Add", "1", text[:900], size=whole, more=True)), final=False)
    assert codes(reply)[-1] == ("Add", "213")
    reply = client.send(*client.statuses(), sync("contacts", change("Add", "1", text[900:1500], more=True)), final=False)
    assert codes(reply)[-1] == ("Add", "213")
    assert made.stores["contacts"].contents == []
    reply = client.send(*client.statuses(), sync("contacts", change("Add", "1", text[1500:])))
    assert codes(reply)[-1] == ("Add", "201")
    assert made.stores["contacts"].contents == [text]


@pytest.mark.parametrize(
    ("first", "rest", "expected"),
    [
        (change("Add", "1", "A=1", size=50, more=True), change("Add", "1", "234"), ["213", "424"]),
        (change("Add", "1", "A=1", more=True), change("Add", "1", "234"), ["411", "411"]),
        (change("Add", "1", "A=1", size=limits.MAX_OBJECT + 1, more=True), change("Add", "1", "234"), ["416", "416"]),
        (change("Add", "1", "A=1", size=6, more=True), change("Add", "2", "B=1"), ["213", "201"]),
    ],
)
def test_large_objects_that_fail(first: Change, rest: Change, expected: list[str]) -> None:
    made = world()
    client = Client(made)
    client.login((201, "contacts", None, "c1"))
    got = [codes(client.send(*client.statuses(), sync("contacts", first), final=False))[-1][1]]
    reply = client.send(*client.statuses(), sync("contacts", rest))
    assert [*got, codes(reply)[-1][1]] == expected
    assert made.stores["contacts"].contents == (["B=1"] if expected[-1] == "201" else [])
    assert told(reply) == (["223"] if expected[-1] == "201" else [])


def test_a_large_object_goes_out_in_chunks_only_to_who_can_take_them() -> None:
    for large, count in ((True, 1), (False, 0)):
        made = world({"a": "A=" + "x" * 9000})
        client = Client(made, max_message=4000)
        client.login((201, "contacts", None, "c1"), more=[put(large=large)])
        reply = client.send(*client.statuses(), sync("contacts"))
        text, sizes = "", []
        while True:
            for command in commands(reply):
                for child in command.commands if isinstance(command, Sync) else ():
                    assert isinstance(child, Change)
                    text += str(child.items[0].data)
                    sizes.append(child.items[0].meta and child.items[0].meta.size)
                    assert child.items[0].more_data == (len(text) < 9002)
            if reply.final:
                break
            reply = client.send(*client.statuses(lambda command, item: 213 if item is not None and item.more_data else 200), final=False)
        assert len(text) == 9002 * count
        assert sizes[:1] == [9002] * count
        assert not any(sizes[1:])


def test_commands_that_are_not_carried_out() -> None:
    made = world()
    client = Client(made)
    client.login((201, "contacts", None, "c1"))
    atomic = Group("Atomic", "", (change("Add", "1", "A=1"),))
    sequence = Group("Sequence", "", (change("Add", "2", "B=1"), change("Delete", "9")))
    reply = client.send(
        *client.statuses(),
        change("Add", "5", "E=1"),
        Other("Exec", ""),
        Other("Search", ""),
        sync("contacts", change("Copy", "1", "A=1"), change("Move", "1"), atomic, sequence, change("Add", "", "X=1"), change("Add", "7")),
    )
    assert codes(reply)[1:] == [
        ("Add", "405"),
        ("Exec", "406"),
        ("Search", "406"),
        ("Sync", "200"),
        ("Copy", "406"),
        ("Move", "406"),
        ("Atomic", "406"),
        ("Add", "215"),
        ("Sequence", "200"),
        ("Add", "201"),
        ("Delete", "211"),
        ("Add", "412"),
        ("Add", "412"),
    ]
    assert made.stores["contacts"].contents == ["B=1"]


def test_no_resp() -> None:
    made = world()
    client = Client(made)
    client.login((201, "contacts", None, "c1"))
    reply = client.send(
        *client.statuses(), sync("contacts", change("Add", "1", "A=1", no_resp=True), change("Add", "2", "B=1")), final=False
    )
    assert codes(reply)[1:] == [("Sync", "200"), ("Add", "201")]
    reply = client.send(*client.statuses(), sync("contacts", change("Add", "3", "C=1")), final=False, no_resp=True)
    assert codes(reply) == []
    assert made.stores["contacts"].contents == ["A=1", "B=1", "C=1"]


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (Location("contacts?/fi(name)"), "406"),
        (Location("contacts?/dr(-30,90)"), "200"),
        (Location("contacts", filter=Filter(field=Item(data="x"))), "406"),
        (Location("contacts", filter=Filter(record=Item(meta=Meta(type="x/y"), data="a&EQ;b"))), "421"),
        (Location("contacts", filter=Filter(record=Item(meta=Meta(type="syncml:filtertype-cgi"), data="a&EQ;b"))), "406"),
        (Location("contacts", filter=Filter(record=Item(meta=Meta(type="syncml:filtertype-cgi"), data="nonsense"))), "422"),
        (Location("./Contacts"), "200"),
        (Location("http://server/syncml/contacts"), "200"),
        (Location(""), "200"),
    ],
)
def test_addresses_and_filters(target: Location, code: str) -> None:
    made = world()
    item = Item(target=target, source=Location("./contacts"), meta=alert(201, "", None, "c1").items[0].meta)
    reply = Client(made).send(Alert("", "201", (item,)))
    assert codes(reply)[1] == ("Alert", code)


def test_device_information() -> None:
    made = world({}, MemoryStore("calendar"), MemoryStore("notes"))
    client = Client(made)
    reply = client.send(put(), get_devinf(Protocol.V1_2, Encoding.WBXML), alert(201, "./Contacts", None, "c1", source="./contacts"))
    results = next(command for command in commands(reply) if isinstance(command, Results))
    devinf = results.items[0].data
    assert [store.source_ref for store in devinf.datastores] == ["./Contacts"]  # type: ignore[union-attr]
    assert results.cmd_ref == "2"
    assert made.devices.known["alice", "phone-1"].device_id == "phone-1"
    assert not [command for command in commands(reply) if isinstance(command, Put)]
    again = Client(made, session="2")
    reply = again.send(get_devinf(Protocol.V1_2, Encoding.WBXML))
    devinf = next(command for command in commands(reply) if isinstance(command, Results)).items[0].data
    assert [store.source_ref for store in devinf.datastores] == ["contacts", "calendar", "notes"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("asked", "last", "status", "answer"),
    [
        (200, "c0", "509", "200"),
        (200, None, "508", "201"),
        (201, "c0", "509", "201"),
        (202, "c0", "509", "202"),
        (202, "other", "508", "203"),
        (203, "c0", "509", "203"),
        (204, "c0", "509", "204"),
        (205, None, "509", "205"),
    ],
)
def test_what_was_cut_goes_on_as_what_it_was(asked: int, last: str | None, status: str, answer: str) -> None:
    """A refresh too: SyncEvolution gives up if it is offered a slow sync in its place. Once it has ended, nothing is known of it."""
    made = world({"a": "A=1"})
    met(made)
    Client(made).login((asked, "contacts", last, "c1"))
    client = Client(made, session="2")
    reply = client.login((225, "contacts", last, "c2"))
    assert (codes(reply)[1:], told(reply)) == ([("Alert", status)], [answer])
    reply = client.send(*client.statuses(), sync("contacts", change("Add", "L-a", "A=1")))
    assert made.stores["contacts"].contents == ["A=1"]
    client.send(*client.statuses())
    reply = Client(made, session="3").login((225, "contacts", "c2", "c3"))
    assert (codes(reply)[1:], told(reply)) == ([("Alert", "509")], ["200"])


@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize("size", [2000, 5000, 12_000, 150_000])
def test_device_information_fits_the_messages_of_the_device(
    protocol: Protocol, encoding: Encoding, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In fewer words for who takes small messages. (It was asked for again and again by Alert 222, and the session never got on.)"""
    made = world({"a": "A=1"})
    monkeypatch.setattr(MemoryDatastores, "describe", lambda _, name: describe(name, Family.CONTACTS))
    client = Client(made, max_message=size, protocol=protocol, encoding=encoding)
    reply = client.login((201, "contacts", None, "c1"), more=[get_devinf(protocol, encoding)])
    told = commands(reply)
    while not reply.final:
        assert client.msg_id < 3
        reply = client.send(*client.statuses(), Alert("", "222", (Item(target=Location("s"), source=Location("c")),)), final=False)
        assert len(client.got_body) <= size
        told += commands(reply)
    devinf = next(command for command in told if isinstance(command, Results)).items[0].data
    assert isinstance(devinf, DevInf)
    caps = devinf.datastores[0].ctcaps or devinf.ctcaps
    assert caps or (protocol is not Protocol.V1_2 and size == 2000)
    assert max((len(cap.properties) for cap in caps), default=0) > 3 or size < 12_000
    assert [command for command in told if isinstance(command, Alert) and command.code == "201"]


def test_an_unknown_device_is_asked() -> None:
    made = world()
    client = Client(made)
    reply = client.login((201, "contacts", None, "c1"))
    (asked,) = [command for command in commands(reply) if isinstance(command, Put)]
    devinf = own_devinf(PHONE, Protocol.V1_2, [DataStore("./contacts")])
    answer = Results("", cmd_ref=asked.cmd_id, msg_ref="1", items=(Item(source=Location("./devinf12"), data=devinf),))
    reply = client.send(*client.statuses(), answer, sync("contacts"))
    assert codes(reply)[1] == ("Results", "200")
    assert made.memory.opened[-1].opened[-1].peer.devinf is not None
    (own,) = [command for command in commands(reply) if isinstance(command, Sync)]
    assert own.number_of_changes == 0


def test_maps() -> None:
    made = world({"a": "A=1", "b": "B=1"})
    client = Client(made)
    client.login((201, "contacts", None, "c1"))
    client.send(*client.statuses(), sync("contacts"))
    reply = client.send(*client.statuses(), map_("contacts", ("1", "L1")), map_("contacts", ("1", "L1")), map_("contacts", ("99", "L9")))
    assert [code for _, code in codes(reply)[1:]] == ["200", "200", "404"]
    assert made.stores["contacts"].log[-1] == "close"
    # After the end.
    reply = client.send(*client.statuses(), map_("contacts", ("2", "L2")))
    assert codes(reply)[1:] == [("Map", "200")]
    (state,) = made.stores["contacts"].partners.values()
    assert state.map == {"L1": "a", "L2": "b"}


def test_maps_of_a_broken_session_come_first() -> None:
    """Captured from SyncEvolution: Map and Sync have one CmdID, and the Sync adds the LUIDs that were just mapped."""
    made = world({"a": "A=1"})
    met(made)
    made.stores["contacts"].put("b", "B=1")
    client = Client(made)
    client.login((200, "contacts", "c0", "c1"))
    client.send(*client.statuses(), sync("contacts"))
    client = Client(made, session="2")
    client.login((200, "contacts", "c0", "c2"))
    reply = client.send(*client.statuses(), sync("contacts", change("Add", "L-b", "B=1")), map_("contacts", ("1", "L-b")))
    assert codes(reply)[1:] == [("Sync", "200"), ("Add", "200"), ("Map", "200")]
    assert made.stores["contacts"].contents == ["A=1", "B=1"]


def test_another_cycle_in_the_same_session() -> None:
    made = world()
    client = Client(made)
    client.login((201, "contacts", None, "c1"))
    client.send(*client.statuses(), sync("contacts"))
    client.send(*client.statuses())
    reply = client.send(*client.statuses(), alert(200, "contacts", "c1", "c2"))
    assert told(reply) == ["200"]
    client.send(*client.statuses(), sync("contacts", change("Add", "1", "A=1")))
    client.send(*client.statuses())
    assert made.stores["contacts"].log.count("commit") == 2
    assert made.stores["contacts"].contents == ["A=1"]


def test_between_twsync_hosts_versions_travel() -> None:
    made = world({"a": "A=1"})
    made.stores["contacts"].rows["a"].version = b"\x01\x02"
    peer = KnownPeer(device="alice/laptop", account="alice")
    client = Client(made, user=None, peer=peer)
    reply = client.login((201, "contacts", None, "c1"))
    assert codes(reply)[0] == ("SyncHdr", "212")
    versioned = Change("Add", "", (Item(source=Location("b.vcf"), data="B=1", meta=Meta(emi=(VERSION_EMI + "AwQ=",))),))
    reply = client.send(*client.statuses(), sync("contacts", versioned))
    (own,) = [command for command in commands(reply) if isinstance(command, Sync)]
    assert own.commands[0].items[0].meta == Meta(emi=(VERSION_EMI + "AQI=",))  # type: ignore[union-attr]
    assert made.stores["contacts"].rows["b.vcf"].version == b"\x03\x04"


#: What was agreed on -> the Alerts that fit, with their Status at a first meeting.
FITTING = {
    SyncType.TWO_WAY: {200: "508", 201: "200", 206: "508", 225: "508"},
    SyncType.SLOW: {201: "200"},
    SyncType.ONE_WAY_FROM_CLIENT: {202: "508"},
    SyncType.REFRESH_FROM_CLIENT: {203: "200", 208: "200"},
    SyncType.ONE_WAY_FROM_SERVER: {204: "508"},
    SyncType.REFRESH_FROM_SERVER: {205: "200"},
}


@pytest.mark.parametrize("agreed", SyncType)
@pytest.mark.parametrize("code", [200, 201, 202, 203, 204, 205, 206, 208, 225])
def test_a_twsync_host_gets_the_sync_type_that_was_agreed_on(agreed: SyncType, code: int) -> None:
    made = world({"a": "A=1"})
    client = Client(made, user=None, peer=KnownPeer("alice/laptop", "alice", agreed))
    reply = client.login((code, "contacts", None, "c1"))
    assert codes(reply)[1] == ("Alert", FITTING[agreed].get(code, "405"))


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"SyncML/1.2", b"DM/1.2", "513"),
        (b"SyncML/1.2", b"SyncML/9", "513"),
        (b"<VerDTD>1.2</VerDTD><VerProto>SyncML/1.2</VerProto>", b"<VerDTD>9</VerDTD><VerProto>SyncML/9</VerProto>", "513"),
        (b"<VerDTD>1.2</VerDTD><VerProto>SyncML/1.2</VerProto>", b"<VerDTD>9</VerDTD>", "505"),
    ],
)
def test_foreign_protocols(old: bytes, new: bytes, code: str) -> None:
    client = Client(world(), encoding=Encoding.XML)
    client.msg_id = 1
    body = codec.encode(Message(client.header(client.cred()), (alert(201, "contacts", None, "c1"),), True), Encoding.XML)
    assert old in body
    reply = client.send_bytes(body.replace(old, new))
    assert codes(reply) == [("SyncHdr", code), ("Alert", code)]
    assert reply.header.resp_uri is None


def test_what_is_no_syncml() -> None:
    for body in (b"", b"hello", b"<html/>", b"\x02\x01"):
        answer = world().post(BASE, body)
        assert isinstance(answer, Refusal)
        assert answer.status == 400


def test_no_datastore_is_left_open() -> None:
    made = world()
    client = Client(made)
    client.login((201, "contacts", None, "c1"))
    made.server.expire(made.now + limits.SYNCML_SESSION_TIMEOUT)
    assert made.stores["contacts"].log == ["open", "close"]
    assert len(made.server) == 0
    assert isinstance(made.post(client.uri, client.sent_body), Refusal)


def test_stages_are_told() -> None:
    made = world()
    client = Client(made)
    client.login((201, "contacts", None, "c1"))
    (entry,) = made.server._by_token.values()
    assert entry.session.results == [("contacts", Stage.READY, "")]


def test_a_reply_is_repeated() -> None:
    made = world()
    client = Client(made)
    client.login((201, "contacts", None, "c1"))
    client.send(*client.statuses(), sync("contacts", change("Add", "1", "A=1")))
    again = made.post(client.uri, client.sent_body)
    assert isinstance(again, Reply)
    assert again.body == client.got_body
    assert made.stores["contacts"].log.count("take 1") == 1
    client.msg_id -= 1
    reply = client.send(sync("contacts", change("Add", "2", "B=1")))
    assert codes(reply)[0] == ("SyncHdr", "400")
    assert made.stores["contacts"].contents == ["A=1"]


def test_a_refusal_is_not_repeated_for_ever() -> None:
    """To a device that begins each of its sessions with the same bytes, and begins one every minute."""
    made = world()
    made.stores["contacts"].busy = True
    client = Client(made)
    assert ("Alert", "503") in codes(client.login((201, "contacts", None, "c1")))
    first = client.sent_body
    made.stores["contacts"].busy = False
    answers = []
    for _ in range(7):
        made.now += 60
        client.uri = BASE
        answers.append(dict(codes(client.send_bytes(first)))["Alert"])
    assert answers[0] == "503"
    assert answers[-1] == "200"


def test_a_client_is_told_to_wait() -> None:
    made = world({"a": "A=1"})
    client = Client(made)
    client.login((201, "contacts", None, "c1"))
    store = made.stores["contacts"]
    meanwhile: list[Reply | None] = []
    called = store.called

    def slow(method: str, what: str = "") -> None:
        called(method, what)
        if method == "take":
            meanwhile.extend(made.server.busy(client.sent_body) for _ in range(2))

    store.called = slow  # type: ignore[method-assign]
    reply = client.send(*client.statuses(), sync("contacts", change("Add", "1", "B=1")))
    assert [one and one.body for one in meanwhile] == [client.got_body, client.got_body]
    assert codes(reply) == [("SyncHdr", "101")]
    assert not reply.final
    assert made.server.busy(client.sent_body) is None
    reply = client.send(*client.statuses(), Alert("", "222", (Item(target=Location("s"), source=Location("c")),)), final=False)
    assert codes(reply) == [("SyncHdr", "200"), ("SyncHdr", "200"), ("Sync", "200"), ("Add", "201"), ("Alert", "200")]
    assert changes(reply) == [("Add", "A=1")]
    assert reply.final
    client.send(*client.statuses(), map_("contacts", ("1", "L1")))
    assert store.log[-2:] == ["commit", "close"]


def test_no_sync_at_all_deletes_nothing() -> None:
    made = world({"a": "A=1"})
    client = Client(made)
    client.login((203, "contacts", None, "c1"))
    client.send(*client.statuses())
    client.send(*client.statuses())
    assert made.stores["contacts"].contents == ["A=1"]
    assert "commit" not in made.stores["contacts"].log


def test_many_questions_are_not_all_answered() -> None:
    client = Client(world())
    reply = client.send(*(get_devinf(Protocol.V1_2, Encoding.WBXML) for _ in range(limits.MAX_WAITING_COMMANDS + 5)), final=False)
    assert [code for _, code in codes(reply)[1:]] == ["200"] * limits.MAX_WAITING_COMMANDS + ["413"] * 5


def test_one_store_alerted_again_and_again_is_open_once() -> None:
    made = world()
    client = Client(made)
    client.send(*(alert(201, "contacts", None, f"c{number}") for number in range(20)))
    assert made.stores["contacts"].log.count("open") - made.stores["contacts"].log.count("close") == 1


def test_what_a_store_says_can_be_written_in_xml() -> None:
    made = world()
    made.stores["contacts"].fail("take", StoreError("the file a\x01b\n" + "x" * 999))
    client = Client(made, encoding=Encoding.XML)
    client.login((201, "contacts", None, "c1"))
    reply = client.send(*client.statuses(), sync("contacts", change("Add", "1", "B=1")))
    assert codes(reply)[1:] == [("Sync", "510"), ("Add", "510")]


class OneAtATime(MemoryStore):
    """A collection that one session has alone, as those on the disk."""

    @property
    def busy(self) -> bool:
        """Whether it is open."""
        return self.log.count("open") > self.log.count("close")

    @busy.setter
    def busy(self, value: bool) -> None:
        """The log knows it."""


@pytest.mark.parametrize(
    ("other", "silent", "code"),
    [
        ({"device": "phone-1"}, 0.0, "200"),  # the client was killed, and begins anew
        ({"device": "phone-2"}, 0.0, "503"),
        ({"device": "phone-2"}, limits.SYNCML_QUIET, "200"),
    ],
)
def test_a_datastore_that_another_session_has(other: dict[str, str], silent: float, code: str) -> None:
    """An older session of the same device gives way at once, one of another device when it was silent for a while."""
    made = World([OneAtATime("contacts", {"k1": "one"})])
    first = Client(made, session="1")
    first.login((201, "contacts", None, "c1"))
    made.now += silent
    second = Client(made, session="2", **other)
    answer = second.login((201, "contacts", None, "c2"))
    assert ("Alert", code) in codes(answer)
    late = made.post(first.uri, codec.encode(Message(first.header()), Encoding.WBXML))
    assert isinstance(late, Refusal) == (code == "200")


def next_message() -> Alert:
    return Alert("", "222", (Item(target=Location("s"), source=Location("c")),))


def test_a_session_that_does_not_get_on_keeps_no_datastore() -> None:
    """Its client asks for the next message again and again, and brings nothing."""
    made = World([OneAtATime("contacts", {"k1": "one"})])
    first = Client(made)
    first.login((201, "contacts", None, "c1"))
    for _ in range(4):
        made.now += limits.SYNCML_QUIET / 4
        first.send(header_status(first.last.header, 200), next_message(), final=False)  # type: ignore[union-attr]
    assert ("Alert", "200") in codes(Client(made, device="phone-2").login((201, "contacts", None, "c1")))


def test_a_session_that_gets_on_keeps_its_datastore_for_a_while() -> None:
    made = World([OneAtATime("contacts", {"k1": "one"})])
    first = Client(made)
    begun = made.now
    first.login((201, "contacts", None, "c1"))
    number = 0
    while made.now - begun < limits.SYNCML_LONGEST_HOLD - limits.SYNCML_QUIET:
        made.now += limits.SYNCML_QUIET - 10
        number += 1
        first.send(*first.statuses(), sync("contacts", change("Add", f"L{number}", f"{number}=1")), final=False)
        assert not made.server.gives_way("contacts", made.now)
        assert ("Alert", "503") in codes(Client(made, device=f"phone {number}").login((201, "contacts", None, "c1")))
    made.now += limits.SYNCML_QUIET
    first.send(*first.statuses(), sync("contacts", change("Add", "L0", "0=1")), final=False)
    assert ("Alert", "200") in codes(Client(made, device="phone-2").login((201, "contacts", None, "c1")))


def test_somebody_else_on_this_host_gets_a_datastore_that_is_not_used() -> None:
    made = World([OneAtATime("contacts", {"k1": "one"})])
    client = Client(made)
    client.login((201, "contacts", None, "c1"))
    assert not made.server.give_way("contacts", made.now)
    assert made.stores["contacts"].busy
    made.now += limits.SYNCML_QUIET
    assert made.server.gives_way("contacts", made.now)
    assert not made.server.gives_way("calendar", made.now)
    assert made.server.give_way("contacts", made.now)
    assert not made.stores["contacts"].busy
    assert isinstance(made.post(client.uri, client.sent_body), Refusal)


def test_who_never_pauses_gives_way_too() -> None:
    made = World([OneAtATime("contacts", {"k1": "one"})])
    client = Client(made)
    client.login((201, "contacts", None, "c1"))
    store, told = made.stores["contacts"], []
    called = store.called

    def slow(method: str, what: str = "") -> None:
        called(method, what)
        if method == "take":
            told.append(made.server.give_way("contacts", made.now + limits.SYNCML_LONGEST_HOLD))

    store.called = slow  # type: ignore[method-assign]
    client.send(*client.statuses(), sync("contacts", change("Add", "1", "B=1")), final=False)
    assert told == [False]
    assert store.busy
    answer = made.post(client.uri, codec.encode(Message(client.header()), Encoding.WBXML))
    assert isinstance(answer, Refusal)
    assert answer.status == 404
    assert not store.busy


class Turn:
    """A lock of which the test says what happens before it is had."""

    def __init__(self) -> None:
        self.before: Callable[[], object] = lambda: None

    def __enter__(self) -> None:
        before, self.before = self.before, lambda: None
        before()

    def __exit__(self, *error: object) -> None:
        """It is free again."""


@pytest.mark.parametrize("end", ["server", "session"])
def test_a_message_that_waits_for_its_turn_opens_nothing_when_its_session_is_over(end: str) -> None:
    made = World([OneAtATime("contacts", {"k1": "one"})])
    turns: list[Turn] = []

    def lock() -> Turn:
        turns.append(Turn())
        return turns[-1]

    made.server = Server(made.setup, made.memory, made.memory, made.devices, lock)
    client = Client(made)
    client.send(put())
    ends = {"server": lambda: made.server.close(), "session": lambda: Client(made, session="2").send(put())}
    turns[-1].before = ends[end]
    client.msg_id += 1
    late = made.post(client.uri, codec.encode(Message(client.header(), (alert(201, "contacts", None, "c1"),), True), Encoding.WBXML))
    assert isinstance(late, Refusal)
    assert late.status == 404
    assert not made.stores["contacts"].busy


def test_a_closed_server_begins_no_session() -> None:
    """Its message was on the way to a thread when the connection broke."""
    made = World([OneAtATime("contacts", {"k1": "one"})])
    made.server.close()
    client = Client(made, msg_id=1)
    late = made.post(BASE, codec.encode(Message(client.header(client.cred()), (alert(201, "contacts", None, "c1"),), True), Encoding.WBXML))
    assert isinstance(late, Refusal)
    assert not made.stores["contacts"].busy


def test_device_information_that_comes_late_leaves_nothing_open() -> None:
    """The store is opened again with it; at the end it is closed as often as it was opened."""
    made = World([OneAtATime("contacts")])
    client = Client(made)
    client.login((201, "contacts", None, "c1"))
    known = put()
    results = Results("", "1", "1", known.items, known.meta)
    client.send(*client.statuses(), results, sync("contacts", change("Add", "L1", "x")))
    client.send(*client.statuses())
    log = made.stores["contacts"].log
    assert (log.count("open"), log.count("close")) == (2, 2)
    assert "commit" in " ".join(log)
