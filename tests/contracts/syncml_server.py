"""A server with stores in memory, and a client made by hand, for the tests of sessions."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import msgspec
from memory_store import MemoryDatastores, MemoryStore

from twsync.syncml import auth, codec
from twsync.syncml.datastore import Datastores
from twsync.syncml.deviceinfo import OwnDevice
from twsync.syncml.document import (
    Alert,
    Anchor,
    Change,
    Command,
    Cred,
    DevInf,
    Encoding,
    Header,
    Item,
    Location,
    Map,
    MapItem,
    Message,
    Meta,
    Protocol,
    Status,
    Sync,
)
from twsync.syncml.ports import Account
from twsync.syncml.references import header_status, status
from twsync.syncml.server import Refusal, Server, ServerSetup
from twsync.syncml.serversession import KnownPeer, Reply

BASE = "http://server/syncml"


@dataclass
class Memory:
    """Accounts and Nonces."""

    stores: dict[str, MemoryStore]
    accounts: dict[str, Account] = field(default_factory=lambda: {"alice": Account("alice", password="secret")})
    granted: dict[str, set[str]] = field(default_factory=dict)
    nonces: dict[tuple[str, str], bytes] = field(default_factory=dict)
    opened: list[MemoryDatastores] = field(default_factory=list)

    def account(self, name: str) -> Account | None:
        return self.accounts.get(name)

    def datastores(self, account: str, device: str, twsync: bool) -> Datastores:
        self.opened.append(MemoryDatastores(self.stores, allowed=self.granted.get(account)))
        return self.opened[-1]

    def load(self, account: str, device: str) -> bytes:
        return self.nonces.get((account, device), b"")

    def store(self, account: str, device: str, nonce: bytes) -> None:
        self.nonces[account, device] = nonce


@dataclass
class MemoryDevices:
    """Devices."""

    known: dict[tuple[str, str], DevInf] = field(default_factory=dict)
    let_in: set[tuple[str, str]] = field(default_factory=set)

    def load(self, account: str, device: str) -> DevInf | None:
        return self.known.get((account, device))

    def store(self, account: str, device: str, devinf: DevInf) -> None:
        self.known[account, device] = devinf

    def seen(self, account: str, device: str) -> None:
        self.let_in.add((account, device))

    def owners(self, device: str) -> Sequence[str]:
        return [account for account, known in sorted({*self.known, *self.let_in}) if known == device]


def counted_bytes() -> Callable[[int], bytes]:
    """Bytes that are new at every call, and the same in every run."""
    numbers = itertools.count(1)
    return lambda length: next(numbers).to_bytes(length, "big")


class World:
    """A server's host: what survives its death, and the process."""

    def __init__(self, stores: Sequence[MemoryStore], **setup: object) -> None:
        self.stores = {store.name: store for store in stores}
        self.memory = Memory(self.stores)
        self.devices = MemoryDevices()
        self.setup = ServerSetup(own=OwnDevice(device_id="server-1", software="test"), **setup)  # type: ignore[arg-type]
        self.random = counted_bytes()
        self.now = 1_800_000_000.0
        self.restart()

    def restart(self) -> None:
        """The process dies and comes back."""
        self.server = Server(self.setup, self.memory, self.memory, self.devices, nullcontext)

    def post(
        self, uri: str, body: bytes, content_type: str | None = None, peer: KnownPeer | None = None, origin: str = ""
    ) -> Reply | Refusal:
        """A request to an address of the server."""
        self.now += 1
        token = uri.partition("?s=")[2]
        return self.server.receive(token or None, body, content_type, self.now, self.random, lambda made: f"{BASE}?s={made}", peer, origin)


@dataclass
class Client:
    """A client whose every message is made by the test."""

    world: World
    device: str = "phone-1"
    user: str | None = "alice"
    password: str = "secret"
    scheme: str = auth.BASIC
    protocol: Protocol = Protocol.V1_2
    encoding: Encoding = Encoding.WBXML
    session: str = "1"
    max_message: int | None = 150_000
    max_object: int | None = None
    peer: KnownPeer | None = None
    origin: str = ""
    msg_id: int = 0
    uri: str = BASE
    nonce: bytes = b""
    last: Message | None = None
    "The last reply."
    sent_body: bytes = b""
    got_body: bytes = b""

    def header(self, cred: Cred | None = None, no_resp: bool = False) -> Header:
        return Header(
            protocol=self.protocol,
            session_id=self.session,
            msg_id=str(self.msg_id),
            target=Location(uri=self.uri),
            source=Location(uri=self.device, name=self.user),
            cred=cred,
            no_resp=no_resp,
            meta=Meta(max_msg_size=self.max_message, max_obj_size=self.max_object) if self.max_message else None,
        )

    def cred(self) -> Cred | None:
        """The Cred of the first message."""
        if self.user is None or self.peer is not None:
            return None
        return auth.credentials(self.scheme, self.protocol, self.user, self.password, self.nonce)

    def send(self, *commands: Command, final: bool = True, cred: Cred | None = None, no_resp: bool = False) -> Message:
        """Send a message: CmdIDs are given here; the first one carries the Cred."""
        self.msg_id += 1
        if cred is None and self.msg_id == 1:
            cred = self.cred()
        body = codec.encode(Message(self.header(cred, no_resp), numbered(commands), final), self.encoding)
        return self.send_bytes(body)

    def send_bytes(self, body: bytes) -> Message:
        self.sent_body = body
        reply = self.world.post(self.uri, body, self.encoding.value, self.peer, self.origin)
        assert isinstance(reply, Reply), reply
        self.got_body = reply.body
        decoded = codec.decode(reply.body, reply.content_type)
        assert decoded.encoding is self.encoding
        self.last = decoded.message
        self.uri = self.last.header.resp_uri or self.uri
        return self.last

    def statuses(self, code_of: Callable[[Command, Item | None], int] | None = None) -> list[Status]:
        """Statuses for everything in the last reply."""
        assert self.last is not None
        message = self.last.header.msg_id
        answers = [header_status(self.last.header, 200)]
        for command in self.last.body:
            if isinstance(command, Status):
                continue
            answers.append(status(message, command, code_of(command, None) if code_of else 200))
            for change in command.commands if isinstance(command, Sync) else ():
                answers.append(
                    status(message, change, code_of(change, change.items[0]) if code_of else 201 if change.name == "Add" else 200)
                )
        return answers

    def login(self, *stores: tuple[int, str, str | None, str], more: Sequence[Command] = ()) -> Message:
        """Package 1: Alerts (code, store, Last, Next)."""
        return self.send(*more, *(alert(code, name, last, next_) for code, name, last, next_ in stores))


def numbered(commands: Sequence[Command]) -> tuple[Command, ...]:
    """Commands with CmdIDs."""
    ids = itertools.count(1)

    def give(command: Command) -> Command:
        own = str(next(ids))
        if isinstance(command, Sync):
            return msgspec.structs.replace(command, cmd_id=own, commands=tuple(give(child) for child in command.commands))
        return msgspec.structs.replace(command, cmd_id=own)

    return tuple(give(command) for command in commands)


def alert(code: int, name: str, last: str | None, next_: str | None, source: str | None = None, max_object: int | None = None) -> Alert:
    anchor = Anchor(next=next_, last=last) if next_ is not None else None
    item = Item(target=Location(uri=name), source=Location(uri=source or f"./{name}"), meta=Meta(anchor=anchor, max_obj_size=max_object))
    return Alert(cmd_id="", code=str(code), items=(item,))


def change(name: str, luid: str, data: str | None = None, size: int | None = None, more: bool = False, **rest) -> Change:
    meta = Meta(type="text/x-vcard", size=size) if data is not None else None
    return Change(name=name, cmd_id="", meta=meta, items=(Item(source=Location(uri=luid), data=data, more_data=more),), **rest)


def sync(name: str, *changes: Command, source: str | None = None, **rest) -> Sync:
    return Sync(cmd_id="", target=Location(uri=name), source=Location(uri=source or f"./{name}"), commands=changes, **rest)


def map_(name: str, *pairs: tuple[str, str]) -> Map:
    return Map("", Location(uri=name), Location(uri=f"./{name}"), tuple(MapItem(guid, luid) for guid, luid in pairs))


def codes(message: Message) -> list[tuple[str, str]]:
    """(Cmd, code) of the Statuses of a message."""
    return [(command.cmd, command.code) for command in message.body if isinstance(command, Status)]


def commands(message: Message) -> list[Command]:
    """What is no Status."""
    return [command for command in message.body if not isinstance(command, Status)]
