"""The recorded sessions with a SyncEvolution server: given its recorded replies, our client sends what the recorded client sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from memory_store import MemoryDatastores, MemoryStore

from twsync.reconcile.model import SyncType
from twsync.syncml.client import ClientSession
from twsync.syncml.clientaccess import Credentials
from twsync.syncml.clientresult import Request, Result
from twsync.syncml.clientsetup import ClientSetup, Wanted
from twsync.syncml.codec import decode
from twsync.syncml.codes import SYNC_TYPES
from twsync.syncml.datastore import Anchors, Peer
from twsync.syncml.deviceinfo import OwnDevice
from twsync.syncml.document import Alert, Change, Command, Encoding, Map, Message, Put, Status, Sync

VECTORS = Path(__file__).parent.parent / "vectors" / "syncml"
URL = "http://127.0.0.1:9595/syncevolution/cliphone"
NAME, URI, ACCOUNT = "./addressbook", "card", "alice"
SESSIONS = ["slow1", "twoway2", "del3", "ofc202", "rfc203", "xml12"]


def bodies(session: str, side: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((VECTORS / session).glob(f"??-{side}.*ml"))]


def changes(messages: list[Message]) -> list[Change]:
    found = [command for message in messages for one in message.body if isinstance(one, Sync) for command in one.commands]
    return [command for command in found if isinstance(command, Change)]


def alert_of(message: Message) -> Alert:
    return next(command for command in message.body if isinstance(command, Alert))


def anchor_last(alert: Alert) -> str | None:
    meta = alert.items[0].meta
    return meta.anchor.last if meta is not None and meta.anchor is not None else None


def text(data: object) -> str:
    assert isinstance(data, str)
    return data


def prepared(requests: list[Message], replies: list[Message]) -> MemoryStore:
    """The client's store as it must have been: what it sends is changed, what it is told about is there."""
    store = MemoryStore(NAME, type="text/vcard")
    alert = alert_of(requests[0])
    state = MemoryDatastores({NAME: store}, server=False).open(NAME, Peer("server", ACCOUNT, None, None)).state
    state.anchors = Anchors(own=anchor_last(alert), remote=anchor_last(alert_of(replies[0])))
    known = [item.source for change in changes(requests) if change.name != "Add" for item in change.items]
    known += [item.target for change in changes(replies) if change.name != "Add" for item in change.items]
    for place in known:
        assert place is not None
        store.put(place.uri, "as it was")
        state.seen[place.uri] = store.rows[place.uri].seq
    for change in changes(requests):
        (item,) = change.items
        assert item.source is not None
        if change.name == "Delete":
            store.delete(item.source.uri)
        else:
            store.put(item.source.uri, text(item.data))
    return store


def shape(command: Command) -> object:
    """What has to be the same in both requests."""
    match command:
        case Status():
            # The recorded client goes on to name the server by its first address; ours copies what stands in the header.
            sources = tuple(uri.partition("?")[0] for uri in command.source_refs)
            return command.msg_ref, command.cmd_ref, command.cmd, command.code, command.target_refs, sources, command.items
        case Alert():
            (item,) = command.items
            return command.code, item.target, item.source, anchor_last(command)
        case Sync():
            inner = [
                (change.name, change.items[0].source, change.items[0].target, change.items[0].data)
                for change in command.commands
                if isinstance(change, Change)
            ]
            return command.target, command.source, inner
        case Map():
            return command.target, command.source, [pair.target for pair in command.items]
        case Put():
            return command.name, [(item.source, item.target) for item in command.items]
    return command


@pytest.mark.parametrize("session", SESSIONS)
def test_the_same_is_sent(session: str) -> None:
    recorded = [decode(body).message for body in bodies(session, "req")]
    replies = bodies(session, "rsp")
    store = prepared(recorded, [decode(body).message for body in replies])
    setup = ClientSetup(
        url=URL,
        own=OwnDevice("sc-api-nat-test", "test", "workstation"),
        session_id=recorded[0].header.session_id,
        partner="server",
        encoding=decode(bodies(session, "req")[0]).encoding,
        credentials=Credentials(ACCOUNT, "secret"),
    )
    sync_type = SYNC_TYPES[int(alert_of(recorded[0]).code or "")]
    client = ClientSession([Wanted(NAME, URI, sync_type)], MemoryDatastores({NAME: store}, server=False), setup)
    step: Request | Result = client.start(1_800_000_000.0)
    for expected, reply in zip(recorded, replies, strict=True):
        assert isinstance(step, Request)
        ours = decode(step.body, step.content_type).message
        assert step.url == expected.header.target.uri
        assert ours.header.session_id == expected.header.session_id
        assert ours.header.msg_id == expected.header.msg_id
        assert ours.header.target == expected.header.target
        assert ours.header.source == expected.header.source
        assert ours.header.meta == expected.header.meta
        assert (ours.header.cred is None) == (expected.header.cred is None)
        assert [shape(command) for command in ours.body] == [shape(command) for command in expected.body]
        assert ours.final == expected.final
        step = client.receive(reply, setup.encoding.value, 1_800_000_000.0)
    assert isinstance(step, Result)
    assert step.error is None
    (result,) = step.stores
    assert result.error is None
    assert result.done
    assert result.skipped == ()
    assert result.effective is sync_type or sync_type is SyncType.TWO_WAY
    told = [change.name for change in changes([decode(body).message for body in replies])]
    counts = result.received.added, result.received.changed, result.received.deleted
    assert counts == tuple(told.count(name) for name in ("Add", "Replace", "Delete"))
    assert client.remembered.nonce
    assert client.remembered.devinf is not None
    assert client.remembered.devinf.model == "SyncEvolution"


def test_all_sessions_are_there() -> None:
    assert sorted(path.name for path in VECTORS.iterdir() if path.is_dir()) == sorted(SESSIONS)
    assert decode(bodies("xml12", "req")[0]).encoding is Encoding.XML
