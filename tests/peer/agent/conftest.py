"""A control server in memory: takes the agent's connections, reads what it writes, answers as it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from twsync.peer.agent import Agent
from twsync.peer.identity import Identity
from twsync.sip.digest import Algorithm, Verifier, ha1
from twsync.sip.framing import Framer, serialize
from twsync.sip.message import Message, Request, Response, response_to

EPOCH = 1_700_000_000.0
FINGERPRINT = "sha256:" + "ab" * 32
INSTANCE = "urn:uuid:00000000-0000-4000-8000-000000000001"
REALM = "example.org"


class Wire(StringTransport):
    """The server's end of one connection."""

    def __init__(self, local: str, clock: Clock) -> None:
        super().__init__(hostAddress=IPv4Address("TCP", local, 40112), peerAddress=IPv4Address("TCP", "192.0.2.1", 5061))
        self.protocol: Any = None
        self.clock = clock
        self.framer = Framer()
        self.messages: list[Message] = []
        self.pings = 0
        self.answers_pings = True
        self.closed = False

    def write(self, data: bytes) -> None:
        if data == b"\r\n\r\n":
            self.pings += 1
            if self.answers_pings:
                self.clock.callLater(0, self.protocol.dataReceived, b"\r\n")
            return
        self.messages += [event for event in self.framer.feed(data) if isinstance(event, Request | Response)]

    def loseConnection(self) -> None:
        self.drop()

    def abortConnection(self) -> None:
        self.drop()

    def drop(self) -> None:
        """End the connection."""
        if not self.closed:
            self.closed = True
            self.protocol.connectionLost(Failure(ConnectionDone()))


@implementer(ISSLTransport)
class SecureWire(Wire):
    """As if it were TLS."""

    def getPeerCertificate(self) -> None:
        return None

    def setTcpNoDelay(self, enabled: bool) -> None:
        assert enabled


@dataclass
class Server:
    """What the agent talks to."""

    clock: Clock
    algorithms: tuple[str, ...] = ("SHA-256", "MD5")
    secure: bool = True
    local: str = "198.51.100.7"
    up: bool = True
    password: str = "secret"
    wires: list[Wire] = field(default_factory=list)
    attempts: int = 0
    answer: dict[str, Callable[[Request], list[Response]]] = field(default_factory=dict)
    "What is answered to a method, once credentials are right; nothing by default."

    def __post_init__(self) -> None:
        self.verifier = Verifier(REALM, b"0123456789abcdef", [each for each in Algorithm if each in self.algorithms])
        subscribed = [("Expires", "3600"), ("Contact", "<sips:example.org>")]
        self.answer["REGISTER"] = lambda request: [self.registered(request)]
        self.answer["SUBSCRIBE"] = lambda request: [self.reply(request, 200, headers=subscribed)]

    def connect(self, factory: Any) -> Deferred[Any]:
        """As an endpoint."""
        self.attempts += 1
        if not self.up:
            return fail(ConnectionRefusedError())
        wire = (SecureWire if self.secure else Wire)(self.local, self.clock)
        protocol = wire.protocol = factory.buildProtocol(wire.peerAddr)
        self.wires.append(wire)
        protocol.makeConnection(wire)
        if self.secure:
            protocol.handshakeCompleted()
        return succeed(protocol)

    @property
    def wire(self) -> Wire:
        return self.wires[-1]

    def take(self, method: str = "") -> list[Request]:
        """Requests that came since the last time (of one method)."""
        found = [message for message in self.wire.messages if isinstance(message, Request) and method in ("", message.method)]
        self.wire.messages = [message for message in self.wire.messages if message not in found]
        return found

    def responses(self) -> list[Response]:
        """Responses that came since the last time."""
        found = [message for message in self.wire.messages if isinstance(message, Response)]
        self.wire.messages = [message for message in self.wire.messages if message not in found]
        return found

    def send(self, message: Message) -> None:
        """Write to the agent."""
        self.wire.protocol.dataReceived(serialize(message))

    def serve(self) -> list[Request]:
        """Answer everything that came, until nothing comes any more; what has no answer set is returned."""
        left: list[Request] = []
        while requests := self.take():
            for request in requests:
                if self.wire.closed:
                    return left
                for response in self._answers(request, left):
                    self.send(response)
        return left

    def _answers(self, request: Request, left: list[Request]) -> Iterable[Response]:
        if request.method not in self.answer:
            left.append(request)
            return []
        if request.method in ("REGISTER", "SUBSCRIBE", "INVITE", "MESSAGE") and not request.to_tag:
            proxy = request.method in ("INVITE", "MESSAGE")
            values = request.headers.getlist("Proxy-Authorization" if proxy else "Authorization")
            verdict = self.verifier.verify(values, request.method, request.uri, self._lookup, self.clock.seconds())
            if verdict.outcome.value != "accepted":
                stale = verdict.outcome.value == "stale"
                name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
                challenges = [(name, value) for value in self.verifier.challenges(self.clock.seconds(), stale=stale)]
                return [self.reply(request, 407 if proxy else 401, headers=challenges)]
        return self.answer[request.method](request)

    def _lookup(self, user: str, algorithm: Algorithm) -> str | None:
        return ha1(user, REALM, self.password, algorithm) if user == "alice" else None

    def reply(self, request: Request, code: int, **more: Any) -> Response:
        return response_to(request, code, tag="server", **more)

    def registered(self, request: Request, expires: int = 60) -> Response:
        contact = f'{request.headers["Contact"]};expires={expires};pub-gruu="sips:alice@{REALM};gr=laptop"'
        return self.reply(request, 200, headers=[("Contact", contact), ("Date", "Tue, 14 Nov 2023 22:13:25 GMT")])


@dataclass
class User:
    """What stands above the agent."""

    offers: list[Any] = field(default_factory=list)
    requests: list[Any] = field(default_factory=list)
    answer: tuple[int, str] = (202, "")
    registrations: int = 0
    devices: dict[str, Any] = field(default_factory=dict)
    trace: list[tuple[str, Message]] = field(default_factory=list)
    progress: list[bytes] = field(default_factory=list)

    def registered(self, binding: Any) -> None:
        self.registrations += 1

    def offered(self, offer: Any) -> None:
        self.offers.append(offer)

    def progressed(self, call: Any, body: bytes) -> None:
        self.progress.append(body)

    def requested(self, request: Any) -> tuple[int, str]:
        self.requests.append(request)
        return self.answer

    def devices_changed(self, devices: dict[str, Any]) -> None:
        self.devices = devices

    def traced(self, direction: str, message: Message) -> None:
        self.trace.append((direction, message))

    def sent(self, method: str) -> list[Request]:
        """Requests of a method that the agent sent, in order."""
        return [message for way, message in self.trace if way == "sent" and isinstance(message, Request) and message.method == method]


@dataclass
class World:
    """An agent, its server, its clock."""

    clock: Clock
    server: Server
    user: User
    agent: Agent
    route: list[str | None]

    def go(self, seconds: float, step: float = 0.5) -> None:
        """Let time pass, the server answering meanwhile."""
        until = self.clock.seconds() + seconds
        while self.clock.seconds() < until:
            self.clock.advance(min(step, until - self.clock.seconds()))
            if self.server.wires:
                self.server.serve()

    def up(self) -> World:
        """Start the agent and let it register."""
        self.agent.start()
        self.server.serve()
        assert self.agent.registered
        return self


@pytest.fixture
def make_world() -> Callable[..., World]:
    """Makes worlds; arguments are the server's."""

    def make(password: str | Callable[[], str] = "secret", **server: Any) -> World:
        clock = Clock()
        numbers = count(1)
        there = Server(clock, **server)
        user = User()
        read = password if callable(password) else lambda: password
        route: list[str | None] = [there.local]
        agent = Agent(
            Identity("alice", "laptop", "192.0.2.1", True, FINGERPRINT, INSTANCE), lambda: there, read, clock,
            lambda: EPOCH + clock.seconds(), lambda size: next(numbers).to_bytes(size, "big"), lambda: 0.5, lambda remote: route[0], user,
        )  # fmt: skip
        return World(clock, there, user, agent, route)

    return make


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """One with everything as usual, registered."""
    return make_world().up()
