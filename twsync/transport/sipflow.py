"""One SIP connection: a thin Twisted protocol around `sip.framing` and `sip.flow`.

What stands here is about the connection alone: bytes to messages, keepalive, deadlines, back-pressure. What a message means is the
owner's business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal
from typing import Protocol as Interface

import sipmessage
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet import interfaces
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer  # type: ignore[import-untyped]

from twsync import limits
from twsync.errors import FormatError
from twsync.sip import flow as care
from twsync.sip.framing import Framer, FramingLimits, Malformed, Ping, Pong, serialize
from twsync.sip.message import Message, adopt
from twsync.transport.interfaces import Clock, Delayed

__all__ = ["Flow", "FlowLimits", "FlowOwner"]


@dataclass(frozen=True, slots=True)
class FlowLimits:
    """Seconds and bytes of one connection; see `twsync.limits` for the reasons."""

    authentication: float = limits.SIP_AUTHENTICATION_TIMEOUT
    handshake: float = limits.SIP_HANDSHAKE_TIMEOUT
    unfinished: float = limits.SIP_UNFINISHED_TIMEOUT
    pong: float = limits.PONG_TIMEOUT
    close: float = limits.SIP_CLOSE_TIMEOUT
    write_buffer: int = limits.MAX_SIP_WRITE_BUFFER
    framing: FramingLimits = field(default_factory=FramingLimits)


class FlowOwner(Interface):
    """Who is told what happens on flows."""

    def flow_made(self, flow: Flow) -> None:
        """The connection and its TLS handshake stand."""

    def flow_lost(self, flow: Flow, reason: str, opened: bool) -> None:
        """The connection ended; `opened` tells whether `flow_made` was called."""

    def flow_authenticated(self, flow: Flow) -> None:
        """It has shown who it is; perhaps not for the first time."""

    def message_received(self, flow: Flow, message: Message) -> None:
        """A well-formed message came."""

    def message_seen(self, flow: Flow, direction: Literal["sent", "received"], message: Message) -> None:
        """A message went over the wire."""


@implementer(interfaces.IHandshakeListener, interfaces.IPushProducer)
class Flow(Protocol):
    """One connection. Made by the factories of `SipTransport`."""

    log = Logger()
    transport: Any  # what mypy reads out of zope's interface cannot be called

    id: str
    "Random, unique within the process."
    remote: tuple[str, int]
    "Host and port of the other side."
    local: tuple[str, int]
    secure: bool
    "Whether it is TLS."
    initiator: bool
    "Whether this side opened it."
    peer_fingerprint: str | None
    "``sha256:`` and the hexadecimal SHA-256 of the other side's certificate (DER); None if it presented none."
    last_received: float
    "The clock when the last bytes came."

    def __init__(self, owner: FlowOwner, clock: Clock, token: Callable[[int], bytes], initiator: bool, flow_limits: FlowLimits) -> None:
        self.id = token(8).hex()
        self.remote = self.local = ("", 0)
        self.secure = False
        self.initiator = initiator
        self.peer_fingerprint = None
        self.last_received = clock.seconds()
        self._owner = owner
        self._clock = clock
        self._token = token
        self._limits = flow_limits
        self._framer = Framer(flow_limits.framing, initiator=initiator)
        self._keepalive = care.Keepalive()
        self._ping_interval = limits.PING_INTERVAL
        self._timers: dict[str, Delayed] = {}
        self._opened = self._closing = self._lost = self._paused = False
        self._written_while_paused = 0
        self._backlog = bytearray()
        self._silence_limit = 0.0
        self._reason = ""

    def __repr__(self) -> str:
        return f"<Flow {self.id} {'to' if self.initiator else 'from'} {self.remote[0]}:{self.remote[1]}>"

    @property
    def open(self) -> bool:
        """Whether messages can be sent."""
        return self._opened and not self._closing

    # --- the user's side -------------------------------------------------------------------------------------------------------

    def send(self, message: sipmessage.Request | sipmessage.Response) -> None:
        """Write a message as it is, outside transactions; `SipTransport` is the way for all others.

        On a flow that is closed, or closing, nothing happens.

        :raises FormatError: if the message cannot be written, see `sip.framing.serialize`.
        """
        data = serialize(message)
        if self.open:
            self._owner.message_seen(self, "sent", adopt(message))
            self._write(data)

    def authenticated(self) -> None:
        """Lift the deadline by which a new connection must have shown who it is."""
        self._stop("authentication")
        self._owner.flow_authenticated(self)

    def ping(self) -> None:
        """Send a CRLF ping now, unless one is under way; no pong within 10 s closes the flow. For the side that opened the connection."""
        if self.open:
            self._keep(care.Event.PROBE)

    def keepalive(self, interval: float = limits.PING_INTERVAL) -> None:
        """Ping from now on, each 80-100 % of `interval` seconds, and close the flow when a pong does not come."""
        self._ping_interval = interval
        if self.open and self._keepalive.state is care.State.STOPPED:
            self._keep(care.Event.START)

    def close_when_silent(self, seconds: float) -> None:
        """Close the flow when nothing, not even a ping, came for so long (RFC 5626 section 4.4.1: Flow-Timer and some seconds)."""
        self._silence_limit = seconds
        self._check_silence()

    def close(self, reason: str) -> None:
        """End the connection; what was written still goes out, within 5 s. May be called again."""
        if self._closing or self._lost or self.transport is None:
            return
        self._closing = True
        self._reason = reason
        if "turn" in self._timers:
            self.transport.resumeProducing()
        for name in tuple(self._timers):
            self._stop(name)
        if self._opened:
            # A streaming producer would keep the transport open.
            self.transport.unregisterProducer()
        self._start("close", self._limits.close, self._abort)
        self.transport.loseConnection()

    # --- Twisted's side --------------------------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        """The connection stands; TLS may be still to come."""
        transport = self.transport
        self.remote, self.local = _host_port(transport.getPeer()), _host_port(transport.getHost())
        self.secure = interfaces.ISSLTransport.providedBy(transport)
        # Else a message that follows another waits for the acknowledgement of that one, some 40 ms (RFC 9293, section 3.7.4).
        if interfaces.ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
        if not self.initiator:
            self._expire("authentication", self._limits.authentication, "It did not authenticate in time.")
        if self.secure:
            self._expire("handshake", self._limits.handshake, "The TLS handshake took too long.")
        else:
            self._open()

    def handshakeCompleted(self) -> None:
        """TLS stands: the other side's certificate is known now."""
        self._stop("handshake")
        certificate = self.transport.getPeerCertificate()
        if certificate is not None:
            der = certificate.to_cryptography().public_bytes(Encoding.DER)
            self.peer_fingerprint = "sha256:" + hashlib.sha256(der).hexdigest()
        if not self._closing:
            self._open()

    def _open(self) -> None:
        self._opened = True
        self.transport.registerProducer(self, True)
        self._owner.flow_made(self)

    def dataReceived(self, data: bytes) -> None:
        """Bytes came."""
        if self._closing:
            return
        self.last_received = self._clock.seconds()
        waiting = bool(self._backlog)
        self._backlog += data
        if not waiting:
            self._turn()

    def _turn(self) -> None:
        """Deal with what came, but not with more of it than the other connections have patience for."""
        done = 0
        while self._backlog and not self._closing and done < limits.SIP_MESSAGES_PER_TURN:
            data = bytes(self._backlog[: limits.SIP_BYTES_PER_TURN])
            del self._backlog[: limits.SIP_BYTES_PER_TURN]
            done += self._feed(data)
        if self._closing:
            self._backlog.clear()
        elif self._backlog:
            # Reading goes on, or not, as the transport's own buffers see fit; what is here is at most what it hands out at once.
            self.transport.pauseProducing()
            self._start("turn", 0, self._next_turn)

    def _next_turn(self) -> None:
        self.transport.resumeProducing()
        self._turn()

    def _feed(self, data: bytes) -> int:
        """Cut bytes into messages and deal with them; how many there were."""
        try:
            events = self._framer.feed(data)
        except FormatError as error:
            self._broken(error)
            return 0
        for event in events:
            if self._closing:
                return 0
            if isinstance(event, Ping):
                self._write(b"\r\n")
            elif isinstance(event, Pong):
                self._keep(care.Event.PONG)
            elif isinstance(event, Malformed):
                self._malformed(event)
            else:
                self._owner.message_seen(self, "received", event)
                self._owner.message_received(self, event)
        if self._framer.error is not None:
            self._broken(self._framer.error)
        elif not self._framer.unfinished or self._closing:
            self._stop("unfinished")
        elif events or "unfinished" not in self._timers:
            self._expire("unfinished", self._limits.unfinished, "A message stayed unfinished.")
        return len(events)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection ended."""
        self._lost = self._closing = True
        for name in tuple(self._timers):
            self._stop(name)
        self._owner.flow_lost(self, self._reason or reason.getErrorMessage(), self._opened)

    def pauseProducing(self) -> None:
        """The other side reads slower than we write."""
        self._paused = True
        self._written_while_paused = 0

    def resumeProducing(self) -> None:
        """It caught up."""
        self._paused = False

    def stopProducing(self) -> None:
        """The connection goes; `connectionLost` follows."""

    # --- inside ----------------------------------------------------------------------------------------------------------------

    def _broken(self, error: FormatError) -> None:
        self.log.info("{flow!r} broke SIP framing: {error}", flow=self, error=error)
        self.close(error.message)

    def _malformed(self, event: Malformed) -> None:
        # Anyone can send as many of these as he likes; a log at its usual level must not fill with them.
        self.log.debug("{flow!r} sent a malformed message: {reason}", flow=self, reason=event.reason)
        if (answer := event.answer()) is not None:
            self.send(answer)

    def _write(self, data: bytes) -> None:
        self.transport.write(data)
        if self._paused:
            self._written_while_paused += len(data)
            if self._written_while_paused > self._limits.write_buffer and not self._closing:
                self.log.info("{flow!r} does not read what it is sent", flow=self)
                self.close("It does not read what it is sent.")
                self._abort()

    def _keep(self, event: care.Event) -> None:
        for action in self._keepalive.fire(event):
            match action:
                case care.Action.SEND_PING:
                    self._write(b"\r\n\r\n")
                case care.Action.START_INTERVAL:
                    uniform = int.from_bytes(self._token(4), "big") / 2**32
                    pause = care.ping_pause(self._ping_interval, uniform)
                    self._start("keepalive", pause, lambda: self._keep(care.Event.INTERVAL_OVER))
                case care.Action.START_DEADLINE:
                    self._start("keepalive", self._limits.pong, lambda: self._keep(care.Event.OVERDUE))
                case care.Action.STOP_TIMER:
                    self._stop("keepalive")
                case care.Action.DECLARE_DEAD:
                    self.close("No answer to a ping.")
                    self._abort()

    def _check_silence(self) -> None:
        if self._closing:
            return
        left = self.last_received + self._silence_limit - self._clock.seconds()
        if left <= 0:
            self.close("Nothing was heard for too long.")
        else:
            self._start("silence", left, self._check_silence)

    def _expire(self, name: str, seconds: float, reason: str) -> None:
        self._start(name, seconds, lambda: self.close(reason))

    def _start(self, name: str, seconds: float, what: Callable[[], None]) -> None:
        self._stop(name)

        def run() -> None:
            del self._timers[name]
            what()

        self._timers[name] = self._clock.callLater(seconds, run)

    def _stop(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _abort(self) -> None:
        if not self._lost and self.transport is not None:
            self.transport.abortConnection()


def _host_port(address: object) -> tuple[str, int]:
    # A UNIX socket has neither; nothing is decided by these values.
    return getattr(address, "host", "") or "", getattr(address, "port", 0) or 0
