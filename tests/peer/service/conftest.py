"""A host whose server, data port and exchange are stand-ins of the real shape; journal, keys, descriptions and clock are real."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from twsync.peer.acquaintance import Acquaintance
from twsync.peer.address import ServerAddress
from twsync.peer.callee import Callee
from twsync.peer.caller import Caller
from twsync.peer.calls import Call
from twsync.peer.host import Host
from twsync.peer.refusals import Refusal
from twsync.peer.sessions import Sessions, Work
from twsync.peer.settings import CollectionSettings, Settings
from twsync.peer.tracing import Tracer
from twsync.session.result import SessionResult, State
from twsync.store.journal import Journal
from twsync.transport import keys

EPOCH = 1_800_000_000


@dataclass
class FakeCalls:
    """As `twsync.peer.calls.Calls`: remembers what it is asked; `answers` are taken in turn."""

    answers: list[Any] = field(default_factory=list)
    made: list[tuple[str, str, bytes]] = field(default_factory=list)
    ended: list[Call] = field(default_factory=list)
    informed: list[bytes] = field(default_factory=list)
    accepted: list[tuple[Any, bytes]] = field(default_factory=list)
    refused: list[tuple[int, str, str]] = field(default_factory=list)
    callers_stay: bool = True

    async def call(self, partner: str, session: str, offer: bytes, timeout: float = 30.0) -> Any:
        self.made.append((partner, session, offer))
        answer = self.answers.pop(0)
        return await answer(partner, session, offer) if callable(answer) else answer

    async def bye(self, call: Call) -> None:
        self.ended.append(call)

    def inform(self, call: Call, body: bytes) -> None:
        self.informed.append(body)

    def accept(self, offer: Any, answer: bytes) -> Call | None:
        self.accepted.append((offer, answer))
        return Call(offer.session, offer.partner, SimpleNamespace(), offer.body) if self.callers_stay else None  # type: ignore[arg-type]

    def refuse(self, offer: Any, status: int, code: str, sentence: str) -> None:
        self.refused.append((status, code, sentence))


@dataclass
class FakeAgent:
    """As `twsync.peer.agent.Agent`."""

    calls: FakeCalls = field(default_factory=FakeCalls)
    registered: bool = True
    flow: Any = field(default_factory=lambda: SimpleNamespace(local=("198.51.100.7", 40112)))
    presence: Any = field(default_factory=lambda: SimpleNamespace(devices={}))
    alerts: list[Any] = field(default_factory=list)
    alert_answer: Any = None

    async def wait_registered(self, timeout: float) -> bool:
        return self.registered

    def describe(self) -> dict[str, Any]:
        return {"state": "registered" if self.registered else "waiting", "message": "" if self.registered else "the server is away"}

    async def alert(self, device: str, request: Any) -> Any:
        self.alerts.append((device, request))
        return self.alert_answer


@dataclass
class FakeListener:
    """As `twsync.transport.listener.Listener`."""

    expected: list[tuple[bytes, str, Deferred[Any]]] = field(default_factory=list)

    def expect(self, token: bytes, fingerprint: str) -> Deferred[Any]:
        arriving: Deferred[Any] = Deferred()
        self.expected.append((token, fingerprint, arriving))
        return arriving


@dataclass
class FakeExchange:
    """As `Synchroniser.exchange`: notes the work; ends when `outcome` fires."""

    work: list[Work] = field(default_factory=list)
    progress: list[Any] = field(default_factory=list)
    outcome: Callable[[Work], Any] = lambda work: succeed(None)

    async def __call__(self, channel: Any, work: Work, progress: Any) -> SessionResult:
        self.work.append(work)
        self.progress.append(progress)
        progress({"phase": "transfer", "bytes": 1, "bytes_total": 2})
        await self.outcome(work)
        name = work.collection.name
        return SessionResult(
            session=work.session, collection=name, device=work.partner, protocol="rsync", type=work.sync_type, state=State.DONE
        )


@dataclass
class Peer:
    """Everything of one host under test."""

    host: Host
    caller: Caller
    callee: Callee
    journal: Journal
    clock: Clock
    agent: FakeAgent
    listener: FakeListener
    exchange: FakeExchange
    connected: list[Any] = field(default_factory=list)


@pytest.fixture
def make_peer(tmp_path: Path) -> Callable[..., Peer]:
    """Makes hosts of alice by their device's name; each has the collection `photos`."""
    made: list[Peer] = []

    def make(name: str, **collection: Any) -> Peer:
        folder = tmp_path / name
        (folder / "photos").mkdir(parents=True)
        clock = Clock()
        numbers = count(1)
        journal = Journal.open(folder / "journal.db")

        def now() -> float:
            return EPOCH + clock.seconds()

        def now_ns() -> int:
            return int(now() * 1e9)

        settings = Settings(
            folder / "syncpeer.toml", name, "alice", ServerAddress("alice", "192.0.2.1", 5061), None, "tcp:0", (), folder / "api.sock",
            collections=(CollectionSettings("photos", folder / "photos", **collection),),
        )  # fmt: skip
        tracer = Tracer(now, journal.sessions.add_trace)
        agent: Any = FakeAgent()
        listener: Any = FakeListener()
        exchange = FakeExchange()
        peer: Peer

        async def connect(candidates: Any, fingerprint: str) -> Any:
            peer.connected.append((candidates, fingerprint))
            return SimpleNamespace(channel=object())

        host = Host(
            settings=settings, device=keys.new_device(), agent=agent, sessions=Sessions(journal, tracer, now_ns),
            acquaintance=Acquaintance(journal, lambda: agent.presence.devices, now_ns), tracer=tracer, listener=listener, connect=connect,
            exchange=exchange, candidates=lambda: [("198.51.100.7", 5062)], clock=clock, now=now,
            token=lambda size: (next(numbers) + ord(name[0]) * 1000).to_bytes(size, "big"), uniform=lambda: 0.5,
        )  # fmt: skip
        peer = Peer(host, Caller(host), Callee(host), journal, clock, agent, listener, exchange)
        made.append(peer)
        return peer

    yield make
    for peer in made:
        # Nothing may be left under way: what is collected later would write into a closed journal.
        Deferred.fromCoroutine(peer.host.sessions.stop(peer.clock))
        peer.clock.pump([1.0] * 40)
    for peer in made:
        peer.journal.close()


@pytest.fixture
def laptop(make_peer: Callable[..., Peer]) -> Peer:
    return make_peer("laptop")


@pytest.fixture
def desktop(make_peer: Callable[..., Peer]) -> Peer:
    return make_peer("desktop")


@pytest.fixture
def introduce() -> Callable[[Peer, Peer], Callable[..., Any]]:
    """An answer for the caller's `calls`: the other host's own decision, as the server would carry it."""

    def make(caller: Peer, callee: Peer) -> Callable[..., Any]:
        async def answer(partner: str, session: str, offer: bytes) -> Any:
            callee.callee.offered(SimpleNamespace(session=session, partner=caller.host.settings.full_name, body=offer))
            if callee.agent.calls.refused:
                status, code, sentence = callee.agent.calls.refused[-1]
                return Refusal(status, code, sentence)
            return Call(session, partner, SimpleNamespace(), callee.agent.calls.accepted[-1][1])  # type: ignore[arg-type]

        return answer

    return make
