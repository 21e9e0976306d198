"""The recorded sessions of a SyncEvolution client: our server, given a store with the same content, answers as the recorded one did."""

from __future__ import annotations

import base64
import datetime
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from memory_store import MemoryStore, PartnerState, Row
from syncml_server import World, commands

from twsync.syncml import codec
from twsync.syncml.datastore import Anchors
from twsync.syncml.document import Alert, Command, Message, Results, Status, Sync
from twsync.syncml.server import Reply
from twsync.syncml.serversession import KnownPeer

VECTORS = Path(__file__).parent.parent / "vectors" / "syncml"
DEVICE = "sc-api-nat-test"
#: The clock as recorded: the server's Next anchor is made of it.
FIRST, SECOND, THIRD = "20261121T192839Z", "20261121T192911Z", "20261121T192937Z"


@dataclass
class Recorded:
    """A recorded session, and the state of the server's store before it."""

    session: str
    server_next: str
    anchors: Anchors = field(default_factory=Anchors)
    items: dict[str, str] = field(default_factory=dict)
    mapped: dict[str, str] = field(default_factory=dict)
    changed: dict[str, str | None] = field(default_factory=dict)
    nonce: bytes | None = None
    "None: it was given in a session that was not recorded, so the client's digest cannot be checked."


SESSIONS = [
    Recorded("slow1", FIRST, items={"k7": "server's own"}, nonce=b""),
    Recorded(
        "twoway2",
        SECOND,
        Anchors(own=FIRST, remote="20261121T192838Z"),
        items={"k1": "one", "k2": "two"},
        mapped={"1": "k1", "2": "k2"},
        changed={"k2": "two, changed"},
        nonce=base64.b64decode("OkdWLSokISE="),
    ),
    Recorded(
        "del3",
        THIRD,
        Anchors(own=SECOND, remote="20261121T192910Z"),
        items={"k2": "two", "k9": "nine"},
        mapped={"2": "k2", "9": "k9"},
        changed={"k2": None},
        nonce=base64.b64decode("JEYqVl8jISE="),
    ),
    Recorded("ofc202", "20261121T192954Z", Anchors(own=THIRD, remote=THIRD), nonce=base64.b64decode("KEwyRFkhISE=")),
    Recorded("rfc203", "20261121T193002Z", Anchors(own="20261121T192957Z", remote="gone")),
    Recorded("xml12", "20261121T193023Z", Anchors(own="20261121T193007Z", remote="20261121T193007Z")),
]


def shape(command: Command, challenged: bool) -> object:
    """What has to be the same in both replies."""
    match command:
        case Status():
            return (
                command.msg_ref,
                command.cmd_ref,
                command.cmd,
                command.code,
                command.target_refs,
                command.source_refs,
                command.items,
                challenged and command.chal is not None,
            )
        case Alert():
            item = command.items[0]
            return command.code, item.target, item.source, item.meta
        case Sync():
            inner = [(change.name, change.items[0].target, change.items[0].source) for change in command.commands]
            return command.target, command.source, command.number_of_changes, inner
        case Results():
            return command.msg_ref, command.cmd_ref, command.items[0].source
    raise AssertionError(command)


def shapes(message: Message, challenged: bool) -> list[object]:
    """Statuses, then commands: the recorded server puts Results between the Statuses.

    :param challenged: whether a challenge for the next session is looked at; who is proved already gets none.
    """
    answers = [shape(command, challenged) for command in message.body if isinstance(command, Status)]
    return answers + [shape(command, challenged) for command in message.body if not isinstance(command, Status)]


def prepare(recorded: Recorded) -> World:
    """The server's host before the session."""
    store = MemoryStore("card", type="text/vcard")
    world = World([store], empty_nonce=True)
    store.rows = {key: Row(text, store.next_seq()) for key, text in recorded.items.items()}
    state = PartnerState(anchors=recorded.anchors, map=dict(recorded.mapped))
    if recorded.mapped:
        state.seen = {key: row.seq for key, row in store.rows.items()}
    for key, text in recorded.changed.items():
        store.rows[key] = Row(text, store.next_seq())
    store._ids = 6  # the recorded server gave out the temporary GUID 7 first
    account = f"alice/{DEVICE}"
    store.partners[account if recorded.nonce is not None else f"alice/alice/{DEVICE}"] = state
    if recorded.nonce:
        world.memory.nonces["alice", DEVICE] = recorded.nonce
    world.now = datetime.datetime.strptime(recorded.server_next, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC).timestamp() - 1
    return world


@pytest.mark.parametrize("recorded", SESSIONS, ids=lambda recorded: recorded.session)
def test_answers_as_the_recorded_server(recorded: Recorded) -> None:
    world = prepare(recorded)
    peer = None if recorded.nonce is not None else KnownPeer(device=f"alice/{DEVICE}", account="alice")
    address = ""
    for number in (1, 2, 3):
        (request,) = (path for path in (VECTORS / recorded.session).glob(f"0{number}-req.*") if path.suffix != ".hdr")
        answer = codec.decode(request.with_name(request.name.replace("req", "rsp")).read_bytes()).message
        reply = world.post(address, request.read_bytes(), "application/vnd.syncml+wbxml; charset=UTF-8", peer)
        assert isinstance(reply, Reply)
        ours = codec.decode(reply.body)
        assert ours.encoding.value == reply.content_type
        assert ours.message.final == answer.final
        assert ours.message.header.target == answer.header.target
        assert ours.message.header.source == answer.header.source
        assert peer is not None or ours.message.header.meta == answer.header.meta
        assert (ours.message.header.session_id, ours.message.header.msg_id) == (answer.header.session_id, answer.header.msg_id)
        assert (ours.message.header.resp_uri is None) == (answer.header.resp_uri is None)
        assert shapes(ours.message, peer is None) == shapes(answer, peer is None)
        address = ours.message.header.resp_uri or address
    store = world.stores["card"]
    assert store.log[-2:] == ["commit", "close"]
    (state,) = store.partners.values()
    assert state.anchors.own == recorded.server_next
    assert not commands(ours.message)


def test_maps_and_changes_of_the_recorded_sessions_are_kept() -> None:
    world = prepare(SESSIONS[0])
    address = ""
    for number in (1, 2, 3):
        reply = world.post(address, (VECTORS / "slow1" / f"0{number}-req.wbxml").read_bytes())
        assert isinstance(reply, Reply)
        address = codec.decode(reply.body).message.header.resp_uri or address
    (state,) = world.stores["card"].partners.values()
    assert state.map == {"1": "1", "2": "k7"}
    assert world.stores["card"].items["1"].startswith("BEGIN:VCARD")
    assert world.devices.known["alice", DEVICE].large_objects
