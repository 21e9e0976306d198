"""Messages that make no sense: each gets an answer, nothing raises, nothing stays open, and what is kept is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_store import MemoryStore
from syncml_server import Client, World, change, numbered

from twsync import limits
from twsync.errors import FormatError
from twsync.syncml import auth, codec
from twsync.syncml.document import (
    Alert,
    Anchor,
    Change,
    Cred,
    Encoding,
    Filter,
    Group,
    Item,
    Location,
    Map,
    MapItem,
    Message,
    Meta,
    Other,
    Protocol,
    Put,
    Results,
    Status,
    Sync,
)
from twsync.syncml.server import Refusal
from twsync.syncml.serversession import Reply

WORD = st.sampled_from(["", "contacts", "./Contacts", "calendar", "1", "./devinf12", "x" * 600, "ä", "?/fi(", "//"])
PLACE = st.none() | st.builds(Location, WORD, filter=st.none() | st.just(Filter()))
META = st.none() | st.builds(
    Meta,
    type=st.none() | WORD,
    format=st.sampled_from([None, "b64"]),
    size=st.sampled_from([None, 0, 3, 10**9]),
    anchor=st.none() | st.builds(Anchor, WORD, st.none() | WORD),
    max_obj_size=st.sampled_from([None, 0, 5]),
    field_level=st.booleans(),
    emi=st.sampled_from([(), ("twsync-version=?",)]),
)
ITEM = st.builds(Item, target=PLACE, source=PLACE, meta=META, data=st.none() | WORD, more_data=st.booleans())
ITEMS = st.lists(ITEM, max_size=3).map(tuple)
CRED = st.sampled_from([None, None, Cred(data="?", meta=Meta(type=auth.BASIC)), Cred(data=b"0" * 16, meta=Meta(type=auth.MD5))])
CHANGE = st.builds(
    Change,
    st.sampled_from(["Add", "Replace", "Delete", "Copy", "Move"]),
    st.just(""),
    ITEMS,
    META,
    no_resp=st.booleans(),
    cred=CRED,
    soft=st.booleans(),
)
INNER = st.one_of(
    CHANGE,
    st.builds(Other, st.sampled_from(["Exec", "Search"]), st.just("")),
    st.builds(Group, st.sampled_from(["Atomic", "Sequence"]), st.just(""), st.lists(CHANGE, max_size=3).map(tuple)),
)
NUMBER = st.sampled_from(["", "x", "0", "1", "2", "9" * 12])
COMMAND = st.one_of(
    st.builds(
        Alert,
        st.just(""),
        st.sampled_from(["200", "201", "203", "204", "206", "221", "222", "223", "224", "225", "999", "x"]),
        ITEMS,
        cred=CRED,
    ),
    st.builds(Sync, st.just(""), PLACE, PLACE, st.lists(INNER, max_size=4).map(tuple), st.sampled_from([None, 0, 99]), META, cred=CRED),
    st.builds(
        Map,
        st.just(""),
        st.builds(Location, WORD),
        st.builds(Location, WORD),
        st.lists(st.builds(MapItem, WORD, WORD), max_size=3).map(tuple),
    ),
    st.builds(Put, st.sampled_from(["Put", "Get"]), st.just(""), ITEMS, META),
    st.builds(Results, st.just(""), cmd_ref=NUMBER, items=ITEMS),
    st.builds(Status, st.just(""), NUMBER, NUMBER, WORD, st.sampled_from(["200", "404", "508", "x"]), st.tuples(WORD)),
    INNER,
)


@settings(max_examples=60)
@given(
    messages=st.lists(st.tuples(st.lists(COMMAND, max_size=5), st.booleans()), min_size=1, max_size=6),
    encoding=st.sampled_from(Encoding),
    protocol=st.sampled_from(Protocol),
    size=st.sampled_from([1, 2_500, 100_000, 10**12]),
)
def test_nothing_raises(messages: list[tuple[list, bool]], encoding: Encoding, protocol: Protocol, size: int) -> None:
    made = World([MemoryStore("contacts", {"a": "A=1"}), MemoryStore("calendar")])
    client = Client(made, encoding=encoding, protocol=protocol, max_message=size)
    for body, final in messages:
        client.msg_id += 1
        cred = client.cred() if client.msg_id == 1 else None
        try:
            raw = codec.encode(Message(client.header(cred), numbered(body), final), encoding)
        except FormatError:
            client.msg_id -= 1
            continue  # our own writer does not say it; test_codec tries what it does not
        reply = made.post(client.uri, raw)
        if isinstance(reply, Refusal):
            assert reply.status == 400
            continue
        answer = codec.decode(reply.body).message
        client.uri = answer.header.resp_uri or client.uri
        first = answer.body[0]
        assert isinstance(first, Status)
        assert first.cmd_ref == "0"
    made.server.expire(made.now + limits.SYNCML_SESSION_TIMEOUT)
    assert len(made.server) == 0
    for store in made.stores.values():
        assert store.log.count("open") <= store.log.count("close")


def test_a_device_that_never_answers_costs_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_AWAITED", 10)
    made = World([MemoryStore("contacts", {f"k{number}": f"N{number}=1" for number in range(100)})])
    client = Client(made, max_message=4000)
    client.send(*[Alert("", "201", (Item(target=Location("contacts"), source=Location("c"), meta=Meta(anchor=Anchor("1"))),))])
    reply = client.send(Sync("", Location("contacts"), Location("c"), (change("Add", "1", "X=1"),)))
    while not reply.final:
        reply = client.send(Alert("", "222"), final=False)
    (entry,) = made.server._by_token.values()
    assert len(entry.session._awaited) <= 10
    reply = client.send()
    assert reply.final
    assert isinstance(made.post(client.uri, client.sent_body), Reply)
    assert made.stores["contacts"].log[-2:] == ["commit", "close"]
