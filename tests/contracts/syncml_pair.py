"""A client host with stores in memory, and the road between it and a server in memory, on which messages can be lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from memory_store import MemoryDatastores, MemoryStore
from syncml_server import BASE, World

from twsync.reconcile.model import SyncType
from twsync.syncml.client import ClientSession
from twsync.syncml.clientaccess import Credentials
from twsync.syncml.clientresult import Request, Result
from twsync.syncml.clientsetup import ClientSetup, Remembered, Wanted
from twsync.syncml.codec import decode
from twsync.syncml.deviceinfo import OwnDevice
from twsync.syncml.document import Encoding, Message, Protocol
from twsync.syncml.server import Refusal
from twsync.syncml.serversession import KnownPeer


class KilledError(Exception):
    """The client's process died."""


@dataclass
class Host:
    """A client: what survives its death."""

    stores: dict[str, MemoryStore]
    device: str = "laptop"
    credentials: Credentials | None = field(default_factory=lambda: Credentials("alice", "secret"))
    protocol: Protocol = Protocol.V1_2
    encoding: Encoding = Encoding.WBXML
    max_message: int = 150_000
    twsync: bool = False
    remembered: Remembered = field(default_factory=Remembered)
    sessions: int = 0
    requests: list[Message] = field(default_factory=list)
    replies: list[Message] = field(default_factory=list)
    largest: int = 0
    "Bytes of the largest message but the first, either way."
    road: Callable[[int], str] = lambda _number: ""
    "What happens to the exchange with this number: ``lost-request``, ``lost-reply``, ``killed-before``, ``killed-after``, ``server-dies``."
    suspend_at: int | None = None

    def session(self, *wanted: Wanted, **more: object) -> ClientSession:
        """A new session, not yet started."""
        self.sessions += 1
        setup = ClientSetup(
            url=BASE,
            own=OwnDevice(device_id=self.device, software="test", device_type="workstation"),
            session_id=str(self.sessions * 100),
            partner="server",
            protocol=self.protocol,
            encoding=self.encoding,
            credentials=None if self.twsync else self.credentials,
            remembered=self.remembered,
            max_message=self.max_message,
            twsync=self.twsync,
            **more,  # type: ignore[arg-type]
        )
        return ClientSession(wanted, MemoryDatastores(self.stores, server=False), setup)

    def sync(self, world: World, *wanted: Wanted | str, sync_type: SyncType = SyncType.TWO_WAY, **more: object) -> Result:
        """Run a session to its end.

        :raises KilledError: as `road` wants it.
        """
        chosen = [Wanted(one, one, sync_type) if isinstance(one, str) else one for one in (wanted or tuple(self.stores))]
        session = self.session(*chosen, **more)
        step = session.start(world.now)
        self.requests, self.replies, self.largest = [], [], 0
        number = 0
        while isinstance(step, Request):
            self.remembered = session.remembered
            number += 1
            assert number < 5_000
            step = self._exchange(world, session, step, number)
            if number == self.suspend_at:
                session.suspend()
        self.remembered = session.remembered
        return step

    def _exchange(self, world: World, session: ClientSession, request: Request, number: int) -> Request | Result:
        self.requests.append(decode(request.body).message)
        fate = self.road(number)
        if fate == "killed-before":
            raise KilledError
        if fate == "lost-request":
            request = session.resend()
        if fate == "server-dies":
            world.restart()
        reply = self._post(world, request)
        if fate == "lost-reply":
            reply = self._post(world, session.resend())
        if fate == "killed-after":
            raise KilledError
        if isinstance(reply, Refusal):
            return session.refused(reply.status, world.now)
        self.replies.append(decode(reply.body).message)
        if number > 1:
            self.largest = max(self.largest, len(request.body), len(reply.body))
        return session.receive(reply.body, reply.content_type, world.now)

    def _post(self, world: World, request: Request):
        peer = KnownPeer(f"alice/{self.device}", "alice") if self.twsync else None
        return world.post(request.url, request.body, request.content_type, peer)


def host(*stores: MemoryStore, **more: object) -> Host:
    """A client host with these collections."""
    return Host({store.name: store for store in stores}, **more)  # type: ignore[arg-type]


def wanted(names: Sequence[str], sync_type: SyncType, **more: object) -> list[Wanted]:
    """The same for each."""
    return [Wanted(name, name, sync_type, **more) for name in names]  # type: ignore[arg-type]
