"""A server and a client that is cut off, resends, loses messages and sends pieces of any size: nothing is lost, nothing is doubled."""

from __future__ import annotations

from collections import Counter

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_store import MemorySession, MemoryStore, name_of
from syncml_server import Client, World, alert, codes, commands, map_

from twsync.reconcile.model import SyncType
from twsync.syncml import codec
from twsync.syncml.changes import from_command, to_command
from twsync.syncml.chunking import Assembly, LargeObject
from twsync.syncml.codes import ALERTS, FROM_SERVER, SYNC_TYPES
from twsync.syncml.datastore import Action, Anchors, Incoming, Peer
from twsync.syncml.deviceinfo import OwnDevice, own_devinf, put_devinf
from twsync.syncml.document import Alert, Change, Command, Encoding, Item, Location, Message, Protocol, Status, Sync
from twsync.syncml.references import header_status, status
from twsync.syncml.server import Reply

DEVICE = OwnDevice(device_id="phone-1", software="1")


class CutError(Exception):
    """The connection, or the client, is gone."""


class Phone:
    """A client that does all by the book, over a network that does not."""

    def __init__(self, world: World, items: dict[str, str], draw) -> None:
        self.world = world
        self.store = MemoryStore("phone", items)
        self.draw = draw
        self.calm = False
        self.sessions = 0
        self.peer = Peer(device="server-1", account="alice", devinf=None, datastore=None)

    def post(self, client: Client, body: bytes) -> Reply:
        """One request: it or its reply may be lost, it may be sent again, either side may die."""
        assert client.msg_id < 300, "a session without end"
        while True:
            fate = "fine" if self.calm else self.draw(st.sampled_from(["fine"] * 9 + ["lost", "reply lost", "cut", "server dies"]))
            if fate == "lost":
                continue
            if fate == "cut":
                raise CutError
            if fate == "server dies":
                for opened in self.world.memory.opened:
                    for session in opened.opened:
                        session.close()  # what a database does with an open transaction
                self.world.memory.opened.clear()
                self.world.restart()
                raise CutError
            reply = self.world.post(client.uri, body, client.encoding.value)
            if fate == "reply lost":
                again = self.world.post(client.uri, body, client.encoding.value)
                assert again == reply
            assert isinstance(reply, Reply), reply
            assert len(reply.body) <= (client.max_message or 10_000), "a reply larger than the client takes"
            return reply

    def send(self, client: Client, body: list[Command], final: bool) -> Message:
        client.msg_id += 1
        count = 0

        def give(command: Command) -> Command:
            nonlocal count
            count += 1
            own = str(count)
            if isinstance(command, Sync):
                return Sync(own, command.target, command.source, tuple(give(child) for child in command.commands))
            return msgspec.structs.replace(command, cmd_id=own)

        message = Message(client.header(client.cred() if client.msg_id == 1 else None), tuple(give(command) for command in body), final)
        reply = codec.decode(self.post(client, codec.encode(message, client.encoding)).body).message
        client.uri = reply.header.resp_uri or client.uri
        for code in (one.code for one in reply.body if isinstance(one, Status)):
            assert code in ("419", "508") or code < "400", codes(reply)
        return reply

    def sync(self, sync_type: SyncType) -> None:
        """One session, as far as it comes."""
        self.sessions += 1
        client = Client(
            self.world,
            session=str(self.sessions),
            encoding=self.draw(st.sampled_from(Encoding)),
            protocol=self.draw(st.sampled_from([Protocol.V1_1, Protocol.V1_2])),
            max_message=self.draw(st.sampled_from([2_500, 4_000, 150_000])),
        )
        session = MemorySession(self.store, self.peer, server=False)
        try:
            self._sync(client, session, sync_type)
        except CutError:
            pass
        finally:
            session.close()

    def _sync(self, client: Client, session: MemorySession, sync_type: SyncType) -> None:
        next_ = f"n{self.sessions}"
        put = put_devinf(own_devinf(DEVICE, client.protocol, []), client.encoding)
        reply = self.send(client, [put, alert(ALERTS[sync_type], "contacts", session.anchors.own, next_)], final=True)
        told: Alert | None = None
        answers: list[Command] = []
        while True:
            answers = [header_status(reply.header, 200)]
            for command in commands(reply):
                answers.append(status(reply.header.msg_id, command, 200))
                if isinstance(command, Alert) and command.items[0].meta is not None:
                    told = command
            if reply.final:
                break
            reply = self.send(client, [*answers, self._next(client)], final=False)
        assert told is not None
        anchor = told.items[0].meta.anchor  # type: ignore[union-attr]
        session.begin(SYNC_TYPES[int(told.code or "0")], False)
        reply = self._send_changes(client, session, answers)
        received_guids = self._take_changes(client, session, reply)
        if received_guids is None:
            return
        session.maps_confirmed(received_guids)
        session.commit(Anchors(own=next_, remote=anchor.next if anchor else None))

    def _send_changes(self, client: Client, session: MemorySession, answers: list[Command]) -> Message:
        pairs = list(session.maps())
        if pairs:
            answers.append(map_("contacts", *pairs))
        changes = list(session.changes()) if session.type not in (SyncType.ONE_WAY_FROM_SERVER, SyncType.REFRESH_FROM_SERVER) else []
        todo: list[tuple[object, Change, bool]] = []
        for change in changes:
            command = to_command(change, from_server=False, twsync=False)
            if change.record is not None and self.draw(st.booleans()):
                large = LargeObject(command)
                while not large.done:
                    piece = large.chunk(self.draw(st.sampled_from([700, 1900, 100_000])))
                    large.take(piece)
                    todo.append((change, piece, large.done))
            else:
                todo.append((change, command, True))
        while True:
            batch: list[tuple[object, Change, bool]] = []
            size = self.draw(st.integers(1, 4))
            while todo and len(batch) < size:
                batch.append(todo.pop(0))
                if not batch[-1][2]:
                    break  # the next chunk goes with the next message
            message = [*answers, Sync("", Location(uri="contacts"), Location(uri="./contacts"), tuple(one[1] for one in batch))]
            reply = self.send(client, message, final=not todo)
            if pairs and any(one.cmd == "Map" for one in reply.body if isinstance(one, Status)):
                session.maps_confirmed(pairs)
                pairs = []
            told = [one for one in reply.body if isinstance(one, Status) and one.cmd in ("Add", "Replace", "Delete")]
            for answer in told:
                for change, command, last in batch:
                    if last and answer.source_refs == (command.items[0].source.uri,):  # type: ignore[union-attr]
                        session.sent(change, int(answer.code))  # type: ignore[arg-type]
            answers = [header_status(reply.header, 200)]
            if not todo:
                return reply

    def _take_changes(self, client: Client, session: MemorySession, reply: Message) -> list[tuple[str, str]] | None:
        assembly = Assembly()
        while True:
            answers: list[Command] = [header_status(reply.header, 200)]
            for command in commands(reply):
                answers.append(status(reply.header.msg_id, command, 200))
                for child in command.commands if isinstance(command, Sync) else ():
                    assert isinstance(child, Change)
                    taken = assembly.receive(child, child.items[0])
                    assert taken.lost is None
                    code = taken.status or 0
                    if taken.item is not None:
                        incoming = from_command(child, taken.item, from_server=True, twsync=False)
                        assert isinstance(incoming, Incoming)
                        code = session.take([incoming])[0].status
                    answers.append(status(reply.header.msg_id, child, code))
            if reply.final:
                break
            reply = self.send(client, [*answers, self._next(client)], final=False)
        assert assembly.unfinished is None
        session.received_all()
        pairs = list(session.maps())
        if pairs and session.type in FROM_SERVER:
            answers.append(map_("contacts", *pairs))
        reply = self.send(client, answers, final=True)
        while not reply.final:
            reply = self.send(client, [header_status(reply.header, 200), self._next(client)], final=False)
        return pairs

    def _next(self, client: Client) -> Alert:
        return Alert("", "222", (Item(target=Location(uri=client.uri), source=Location(uri=client.device)),))


def padded(name: str, revision: int, size: int) -> str:
    return f"{name}={revision:04}" + "ä" * size


STEP = st.one_of(
    st.tuples(st.just("sync"), st.sampled_from([SyncType.TWO_WAY, SyncType.TWO_WAY, SyncType.TWO_WAY, SyncType.SLOW])),
    st.tuples(st.sampled_from(["phone adds", "server adds"]), st.sampled_from([0, 10, 900, 4000])),
    st.tuples(st.sampled_from(["phone edits", "server edits", "phone deletes", "server deletes"]), st.integers(0, 9)),
)


@settings(max_examples=60)
@given(steps=st.lists(STEP, min_size=2, max_size=14), data=st.data())
def test_nothing_is_lost_or_doubled(steps: list[tuple[str, object]], data: st.DataObject) -> None:
    world = World([MemoryStore("contacts", {"s0": padded("s0", 0, 3), "both": padded("both", 0, 1)})])
    server = world.stores["contacts"]
    phone = Phone(world, {"p0": padded("p0", 0, 3), "both-too": padded("both", 0, 1)}, data.draw)
    must_live = {"s0", "p0", "both"}
    newest = Counter({"s0": 0, "p0": 0, "both": 0})
    revision = 0
    for what, argument in steps:
        revision += 1
        store = phone.store if what.startswith("phone") else server
        if what == "sync":
            assert isinstance(argument, SyncType)
            phone.sync(argument)
        elif what.endswith("adds"):
            assert isinstance(argument, int)
            name = f"x{revision}"
            store.put(name, padded(name, revision, argument))
            must_live.add(name)
            newest[name] = revision
        else:
            assert isinstance(argument, int)
            keys = sorted(store.items)
            if not keys:
                continue
            key = keys[argument % len(keys)]
            name = name_of(store.items[key])
            if what.endswith("edits"):
                store.put(key, padded(name, revision, argument))
                newest[name] = revision
            else:
                store.delete(key)
                must_live.discard(name)
    phone.calm = True
    for _ in range(3):
        phone.sync(SyncType.TWO_WAY)
    assert phone.store.contents == server.contents
    names = Counter(name_of(content) for content in server.contents)
    assert not [name for name, count in names.items() if count > 1], "doubled"
    assert must_live <= set(names), "lost"
    for content in server.contents:
        name = name_of(content)
        if name in must_live:
            assert int(content.partition("=")[2][:4]) == newest[name], "an old revision won"
    before = [len(store.log) for store in (server, phone.store)]
    phone.sync(SyncType.TWO_WAY)
    later = server.log[before[0] :] + phone.store.log[before[1] :]
    assert not [line for line in later if line.startswith(("take ", "sent ", "map "))], "a session without changes sends nothing"


def test_action_names() -> None:
    """The values of `Action` are the names of the commands that the phone makes."""
    assert [action.value for action in Action] == ["Add", "Replace", "Delete"]
