"""What both sides of a session are made of: messages that are filled, chunks, references, changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twsync import limits
from twsync.errors import ProtocolError
from twsync.syncml import codec
from twsync.syncml.changes import COPY_EMI, VERSION_EMI, from_command, plain, to_command
from twsync.syncml.chunking import Assembly, LargeObject
from twsync.syncml.codes import StatusCode, number, succeeded
from twsync.syncml.datastore import Action, Incoming, Outgoing, Record
from twsync.syncml.deviceinfo import OwnDevice, entry_for, own_devinf
from twsync.syncml.document import (
    Alert,
    Change,
    CTCap,
    DataStore,
    Encoding,
    Header,
    Item,
    Location,
    Map,
    MapItem,
    Meta,
    Protocol,
    Put,
    Status,
    Sync,
)
from twsync.syncml.draft import Draft
from twsync.syncml.outbox import Outbox
from twsync.syncml.packages import TABLE, Course, Event, Stage
from twsync.syncml.references import Awaited, addresses, status

HEADER = Header(Protocol.V1_2, "1", "1", Location("http://server"), Location("phone"))


def add(name: str, data: str | None = "x") -> Change:
    return Change("Add", "", (Item(source=Location(name), data=data),), Meta(type="text/x-vcard"))


def outbox(limit: int, encoding: Encoding = Encoding.XML) -> Outbox:
    return Outbox(Draft(HEADER, encoding), limit)


@given(sizes=st.lists(st.integers(0, 800), max_size=30), limit=st.integers(1500, 6000), encoding=st.sampled_from(Encoding))
def test_a_message_is_never_larger_than_its_limit(sizes: list[int], limit: int, encoding: Encoding) -> None:
    box = outbox(limit, encoding)
    assert box.add(Status("", "1", "0", "SyncHdr", "200")) is not None
    assert box.open_sync(Sync("", Location("a"), Location("b"))) is not None
    written = [box.add_change(add(str(index), "&" * size)) for index, size in enumerate(sizes)]
    box.close_sync()
    message = box.message(final=True)
    assert len(codec.encode(message, encoding)) <= limit
    assert [box.encoded(final) for final in (True, False)] == [codec.encode(box.message(final), encoding) for final in (True, False)]
    (sync,) = [command for command in message.body if isinstance(command, Sync)]
    kept = [change for change in written if change is not None]
    assert list(sync.commands) == kept
    ids = [command.cmd_id for command in message.body] + [change.cmd_id for change in kept]
    assert ids == [str(index + 1) for index in range(len(ids))]


def test_an_empty_message_takes_one_command_of_any_size() -> None:
    box = outbox(600)
    assert box.add(Status("", "1", "0", "SyncHdr", "200")) is not None
    big = Put("Put", "", (Item(data="x" * 5000),))
    assert box.add(big) is not None
    assert box.add(big) is None
    assert not box.only_statuses


def test_what_a_sync_may_hold() -> None:
    box = outbox(6000)
    with pytest.raises(RuntimeError):
        box.add_change(add("1"))
    box.open_sync(Sync("", Location("a"), Location("b")))
    with pytest.raises(RuntimeError):
        box.add(Alert("", "222"))
    with pytest.raises(RuntimeError):
        box.open_sync(Sync("", Location("a"), Location("b")))


@given(
    data=st.one_of(st.text(max_size=300), st.binary(max_size=300)),
    lengths=st.lists(st.integers(1, 90), min_size=1, max_size=20),
)
def test_chunks_come_together_again(data: str | bytes, lengths: list[int]) -> None:
    change = Change("Add", "", (Item(source=Location("1"), data=data, meta=Meta(emi=("v",))),), Meta(type="t"))
    large, assembly = LargeObject(change), Assembly()
    taken = None
    chunks = 0
    while taken is None or taken.status == StatusCode.CHUNK_TAKEN:
        chunk = large.chunk(lengths[chunks % len(lengths)])
        large.take(chunk)
        assert chunk.items[0].more_data is not large.done
        assert (chunk.items[0].meta is not None and chunk.items[0].meta.size is not None) == (chunks == 0)
        taken = assembly.receive(chunk, chunk.items[0])
        chunks += 1
        if large.done:
            break
    assert large.done
    assert taken.item is not None
    whole = taken.item.data
    assert (whole.encode() if isinstance(whole, str) else whole) == (data.encode() if isinstance(data, str) else data)
    assert taken.item.meta is not None
    assert taken.item.meta.emi == ("v",)
    assert assembly.unfinished is None


@pytest.mark.parametrize(
    ("text", "size", "good"),
    [
        ("ab\ncd", 5, True),
        ("ab\ncd", 6, True),
        ("ab\ncd", 7, True),
        ("ab\ncd", 8, False),
        ("abcd", 3, True),
        ("abcde", 3, False),
        ("abc", 0, False),
    ],
)
def test_sizes_that_are_taken(text: str, size: int, good: bool) -> None:
    assembly = Assembly()
    first = Item(source=Location("1"), data=text[:2], meta=Meta(size=size), more_data=True)
    assembly.receive(add("1"), first)
    taken = assembly.receive(add("1"), Item(source=Location("1"), data=text[2:]))
    assert (taken.item is not None) == good
    assert good or taken.status == StatusCode.SIZE_MISMATCH


def test_an_unfinished_object_takes_no_more_than_its_limit() -> None:
    assembly = Assembly(max_object=100)
    first = Item(source=Location("1"), data="x" * 60, meta=Meta(size=90), more_data=True)
    assert assembly.receive(add("1"), first).status == StatusCode.CHUNK_TAKEN
    more = Item(source=Location("1"), data="x" * 60, more_data=True)
    assert assembly.receive(add("1"), more).status == StatusCode.OBJECT_TOO_LARGE
    assert assembly.unfinished is None
    last = Item(source=Location("1"), data="x")
    assert assembly.receive(add("1"), more).status == StatusCode.OBJECT_TOO_LARGE
    assert assembly.receive(add("1"), last).status == StatusCode.OBJECT_TOO_LARGE, "the rest of a refused object is no item"
    assert assembly.receive(add("1"), last).item == last


def test_statuses_are_found() -> None:
    awaited: Awaited[str] = Awaited()
    for number_, name in enumerate(("1", "2", "3"), 1):
        awaited.sent("5", Change("Add", str(number_), (Item(source=Location(name)),)), f"change {name}")
    assert awaited.answered(Status("", "5", "2", "Add", "201")) == "change 2"
    assert awaited.answered(Status("", "5", "2", "Add", "201")) is None
    assert awaited.answered(Status("", "9", "9", "Add", "201", source_refs=("3",))) == "change 3"
    assert awaited.answered(Status("", "9", "9", "Add", "201")) is None
    assert awaited.forget() == ["change 1"]


def test_what_is_awaited_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_AWAITED", 3)
    monkeypatch.setattr(limits, "MAX_AWAITED_BYTES", 100)
    awaited: Awaited[int] = Awaited()
    for number_ in range(6):
        awaited.sent("1", Alert(str(number_)), number_, cost=10)
    assert awaited.forget() == [3, 4, 5]
    awaited.sent("1", Alert("8"), 8, cost=90)
    awaited.sent("1", Alert("9"), 9, cost=90)
    assert awaited.forget() == [9]


def test_addresses_of_statuses() -> None:
    assert addresses(Map("1", Location("t"), Location("s"))) == (("t",), ("s",))
    assert addresses(add("7")) == ((), ("7",))
    assert addresses(Alert("1", "200")) == ((), ())
    told = status("3", add("7"), 419, text="why")
    assert (told.msg_ref, told.cmd, told.code, told.source_refs, told.items) == ("3", "Add", "419", ("7",), (Item(data="why"),))


@given(
    action=st.sampled_from(Action),
    from_server=st.booleans(),
    twsync=st.booleans(),
    data=st.one_of(st.text(alphabet=st.characters(exclude_characters="\0\ufeff", codec="utf-8")), st.binary()),
    version=st.binary(max_size=20),
)
def test_changes_arrive_as_they_left(action: Action, from_server: bool, twsync: bool, data: str | bytes, version: bytes) -> None:
    record = None if action is Action.DELETE else Record("text/x-vcard", data, version)
    command = to_command(Outgoing(action, "7", "key", record, version), from_server, twsync)
    got = from_command(command, command.items[0], from_server, twsync)
    assert isinstance(got, Incoming)
    assert (got.action, got.id) == (action, "7")
    assert (got.record.version if got.record is not None else got.version) == (version if twsync else b"")
    if record is not None:
        assert got.record is not None
        arrived = got.record.data
        whole = data if isinstance(data, bytes) else data.encode()
        expected = whole if not isinstance(data, bytes) else (plain(whole, None))
        assert arrived == (data if isinstance(data, str) else expected)


def test_who_is_named_by_what() -> None:
    for action, from_server, target in (
        (Action.ADD, True, False),
        (Action.REPLACE, True, True),
        (Action.DELETE, True, True),
        (Action.REPLACE, False, False),
    ):
        record = None if action is Action.DELETE else Record("t", "x")
        item = to_command(Outgoing(action, "7", "k", record), from_server, False).items[0]
        assert (item.target is not None, item.source is not None) == (target, not target)


def test_what_another_host_says_of_an_item_stays_between_hosts() -> None:
    record = Record("t", "x", b"v", "\u00e4.vcf")
    command = to_command(Outgoing(Action.ADD, "7", "k", record), True, True)
    got = from_command(command, command.items[0], True, True)
    assert isinstance(got, Incoming)
    assert got.record == record
    got = from_command(command, command.items[0], True, False)
    assert isinstance(got, Incoming)
    assert got.record == Record("t", "x")
    assert to_command(Outgoing(Action.ADD, "7", "k", record), True, False).items[0].meta is None
    odd = Item(source=Location("1"), data="x", meta=Meta(emi=(COPY_EMI + "?", COPY_EMI + "/w==")))
    got = from_command(Change("Add", "1", (odd,)), odd, False, True)
    assert isinstance(got, Incoming)
    assert got.record == Record("", "x")


def test_what_is_wrong_with_a_change() -> None:
    for item, code in (
        (Item(data="x"), StatusCode.INCOMPLETE),
        (Item(source=Location("1")), StatusCode.INCOMPLETE),
        (Item(source=Location("1" * (limits.MAX_ITEM_NAME + 1)), data="x"), StatusCode.BAD_REQUEST),
    ):
        assert from_command(Change("Add", "1", (item,)), item, False, False) is code
    bad = Item(source=Location("1"), data="x", meta=Meta(emi=(VERSION_EMI + "?",)))
    got = from_command(Change("Add", "1", (bad,)), bad, False, True)
    assert isinstance(got, Incoming)
    assert got.record == Record("", "x")
    partial = Item(source=Location("1"), data="x", meta=Meta(field_level=True))
    got = from_command(Change("Replace", "1", (partial,)), partial, False, True)
    assert isinstance(got, Incoming)
    assert got.partial


def test_codes() -> None:
    assert [code for code in (200, 213, 299, 418, 419, 409, 500, 508) if succeeded(code)] == [200, 213, 299, 418, 419]
    assert [number(text) for text in ("200", " 7 ", "", None, "-1", "٣", "9" * 9)] == [200, 7, -1, -1, -1, -1, -1]


def test_stages_go_by_the_table() -> None:
    for stage in Stage:
        for event in Event:
            course = Course()
            course.stage = stage
            if (stage, event) in TABLE:
                course.happens(event)
                assert course.stage is TABLE[stage, event]
            else:
                with pytest.raises(ProtocolError):
                    course.happens(event)
                assert course.stage is stage


@pytest.mark.parametrize("protocol", Protocol)
def test_own_device_information(protocol: Protocol) -> None:
    cap = CTCap("text/x-vcard", "2.1")
    stores = [DataStore("./contacts", ctcaps=(cap,)), DataStore("other", ctcaps=(cap,))]
    devinf = own_devinf(OwnDevice("server-1", "1.0"), protocol, stores)
    assert devinf.large_objects is (protocol is not Protocol.V1_0)
    assert devinf.ctcaps == (() if protocol is Protocol.V1_2 else (cap,))
    assert [store.ctcaps for store in devinf.datastores] == [(cap,) if protocol is Protocol.V1_2 else ()] * 2
    assert entry_for(devinf, "Contacts") is devinf.datastores[0]
    assert entry_for(devinf, "none") is None


def test_a_message_full_of_pairs_can_be_read():
    """However much room there is: a reader takes so many elements and no more."""
    box = outbox(limits.MAX_SYNCML_DOCUMENT, Encoding.WBXML)
    pairs = tuple(MapItem(str(number), str(number)) for number in range(limits.MAX_CLIENT_MAP))
    written = 0
    while box.add(Map("", Location("a"), Location("b"), pairs)) is not None:
        written += 1
    while box.add(Status("", "1", "1", "Add", "201", ("1",), ("1",))) is not None:
        pass
    assert written >= 1
    message = box.message(final=True)
    assert codec.decode(codec.encode(message, Encoding.WBXML)).message == message
