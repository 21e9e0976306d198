"""Known devices: what goes out to them stays within what they can take (docs/protocol/syncml.md, "Known devices")."""

from __future__ import annotations

import msgspec
import pytest
from memory_store import MemoryStore
from syncml_server import Client, World, codes, commands, sync

from twsync.records import Family
from twsync.store.syncmledge import describe
from twsync.syncml import codec
from twsync.syncml.changes import to_command
from twsync.syncml.datastore import Action, Outgoing
from twsync.syncml.deviceinfo import OwnDevice, own_devinf, put_devinf
from twsync.syncml.document import Alert, DataStore, DevInf, Encoding, Header, Item, Location, Message, Protocol, Status, Sync
from twsync.syncml.draft import Draft
from twsync.syncml.knowndevices import UNBOUNDED, Bounds, bounds
from twsync.syncml.outbox import Outbox

PHONE = own_devinf(OwnDevice("phone-1", "1", "phone"), Protocol.V1_2, [DataStore("./contacts")])


def device(maker: str | None, model: str | None, *, large: bool = False) -> DevInf:
    return msgspec.structs.replace(PHONE, manufacturer=maker, model=model, large_objects=large)


def begun(made: World, told: DevInf, max_message: int) -> Client:
    """A client that has said what it is, and is to be given everything."""
    client = Client(made, max_message=max_message)
    client.login((201, "contacts", None, "c1"), more=[put_devinf(told, Encoding.WBXML)])
    return client


def packages(client: Client, reply: Message) -> list[tuple[int, int]]:
    """Bytes and changes of each message until the server's package is over."""
    found = []
    while True:
        count = sum(len(command.commands) for command in commands(reply) if isinstance(command, Sync))
        found.append((len(client.got_body), count))
        if reply.final:
            return found
        more = Alert("", "222", (Item(target=Location("s"), source=Location("c")),))
        reply = client.send(*client.statuses(), more, final=False)


@pytest.mark.parametrize(
    ("maker", "model", "said", "most"),
    [
        ("NOKIA", "3110c", 20_000, 2500),
        ("Nokia", "6300", 20_000, 5000),
        ("NOKIA", "Nokia 6300", 20_000, 5000),
        ("Nokia", "6300", 4000, 2800),
        ("NOKIA", "N80", 10_000, 7000),
        ("SIEMENS AG", "S55", 10_000, 3200),
        ("Motorola CE, Copyright 2004", "V3", 20_000, 1850),
        ("MOTOROLA", "V3xx", 20_000, 6000),
        ("Synthesis AG", "S55", 20_000, 20_000),
        (None, None, 20_000, 20_000),
    ],
)
def test_messages_are_as_small_as_a_device_needs_them(maker: str | None, model: str | None, said: int, most: int) -> None:
    made = World([MemoryStore("contacts", {f"k{index}": f"N{index}={'x' * 200}" for index in range(150)})])
    client = begun(made, device(maker, model), said)
    sent = packages(client, client.send(*client.statuses(), sync("contacts")))
    assert sum(count for _, count in sent) == 150
    assert most - 600 < max(size for size, _ in sent) <= most


def test_no_more_deletes_in_a_message_than_a_device_survives() -> None:
    """Of short names more would fit."""
    assert bounds(device("Siemens", "S55")) == Bounds(message=3200, changes=95)
    header = Header(Protocol.V1_1, "1", "1", Location("phone"), Location("server"))
    outbox = Outbox(Draft(header, Encoding.WBXML), 3200, changes=95)
    delete = to_command(Outgoing(Action.DELETE, "7", key="7"), True, False)
    written = 0
    for _ in range(2):
        outbox.open_sync(Sync("", Location("a"), Location("b")))
        while outbox.add_change(delete) is not None:
            written += 1
        outbox.close_sync()
    assert written == 95
    assert outbox.room > outbox.measure(delete)


@pytest.mark.parametrize(("size", "goes"), [(8000, True), (12_000, False)])
def test_what_cannot_be_cut_may_be_as_large_as_the_device_says(size: int, goes: bool) -> None:
    """The bounds are another server's caution, and a contact that never comes is worse."""
    made = World([MemoryStore("contacts", {"big": f"N={'x' * size}", "small": "N=1"})])
    client = begun(made, device("Nokia", "6300"), 10_000)
    sent = packages(client, client.send(*client.statuses(), sync("contacts")))
    assert sum(count for _, count in sent) == 1 + goes
    assert max(bytes_ for bytes_, _ in sent) <= 10_000


def test_a_device_that_breaks_off_at_texts_gets_none() -> None:
    """The addresses of the Status, which it needs, and the anchors in those of Alerts stay."""
    answers = {}
    for maker in ("Nokia", "Else"):
        made = World([MemoryStore("contacts")])
        client = Client(made)
        told = put_devinf(device(maker, "6300"), Encoding.WBXML)
        reply = client.login((200, "contacts", "c9", "c1"), (200, "nowhere", None, "c1"), more=[told])
        assert ("Alert", "508") in codes(reply) and ("Alert", "404") in codes(reply)
        answers[maker] = [one for one in reply.body if isinstance(one, Status) and one.cmd == "Alert"]
    known, other = answers["Nokia"], answers["Else"]
    assert [bool(one.items) for one in known] == [True, False]
    assert [bool(one.items) for one in other] == [True, True]
    assert [one.source_refs for one in known] == [one.source_refs for one in other] == [("./contacts",), ("./nowhere",)]


def test_others_have_no_bounds() -> None:
    for unknown in (None, device("", ""), device("Sony Ericsson", "K750i"), device("X Nokia", "6300")):
        assert bounds(unknown) == UNBOUNDED


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("protocol", Protocol)
def test_what_old_devices_choke_on_is_not_offered(family: Family, protocol: Protocol) -> None:
    """Sizes and data types of properties (Siemens S55), many or strange SyncTypes, hierarchy (Funambol), parts (SyncEvolution)."""
    made = own_devinf(OwnDevice("s", "1"), protocol, [describe("x", family)])
    (store,) = made.datastores
    assert store.sync_types == ("1", "2", "3", "4", "5", "6", "7")
    said = codec.encode(Message(Header(protocol, "1", "1", Location("a"), Location("b")), (put_devinf(made, Encoding.XML),)), Encoding.XML)
    for name in (b"Size", b"DataType", b"SupportHierarchicalSync", b"FieldLevel", b"<VerCT></VerCT>", b"<VerCT/>"):
        assert name not in said.partition(b"<Put>")[2]
