"""Makes a data connection: tries the addresses that the other device named until one leads to it.

In the order given, each a quarter of a second after the one before unless that one failed sooner (RFC 8305, section 5); the first that
completes the TLS handshake with the right fingerprint is taken, the others are dropped.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from twsync.errors import SessionError, TwsyncError
from twsync.limits import CONNECT_STAGGER, CONNECT_TIMEOUT, MAX_CANDIDATES
from twsync.peerwire.frames import Frame
from twsync.transport.datachannel import DataChannel
from twsync.transport.interfaces import Clock, Delayed
from twsync.transport.straighttls import StraightTlsFactory
from twsync.transport.tls import Device, data_client

#: Makes a client endpoint of host and port; Twisted's `IStreamClientEndpoint`.
EndpointFor = Callable[[str, int], Any]


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection that stands."""

    channel: DataChannel
    "Its TLS is done and the other side is who it should be; nothing was said yet."
    address: tuple[str, int]
    "The candidate that led there."
    failures: tuple[tuple[tuple[str, int], str], ...]
    "The candidates that failed before, with reasons."


async def connect(
    reactor: Clock,
    candidates: Sequence[tuple[str, int]],
    device: Device,
    fingerprint: str,
    *,
    endpoint_for: EndpointFor | None = None,
    timeout: float = CONNECT_TIMEOUT,
    stagger: float = CONNECT_STAGGER,
) -> Connected:
    """Connect to the device that has `fingerprint` at the first of `candidates` that leads to it.

    :param reactor: a reactor, or with `endpoint_for` anything that has its sense of time.
    :param candidates: (host or address, port) in order of preference.
    :param device: the key to prove.
    :param timeout: seconds for each candidate, TCP and TLS together.
    :param stagger: seconds between the starts of two attempts.
    :raises SessionError: ``unreachable``: none of them does; the message says why for each.
    """
    race = _Race(reactor, list(candidates)[:MAX_CANDIDATES], device, fingerprint, endpoint_for or _endpoint_for(reactor), timeout, stagger)
    return await race.run()


class _Race:
    """The attempts of one `connect`."""

    def __init__(
        self,
        clock: Clock,
        candidates: list[tuple[str, int]],
        device: Device,
        fingerprint: str,
        endpoint_for: EndpointFor,
        timeout: float,
        stagger: float,
    ) -> None:
        self._clock = clock
        self._waiting = candidates
        self._endpoint_for = endpoint_for
        self._timeout = timeout
        self._stagger = stagger
        self._running: list[_Attempt] = []
        self._failures: list[tuple[tuple[str, int], str]] = []
        self._next: Delayed | None = None
        self._done: Deferred[Connected] = Deferred(lambda _cancelled: self._stop())
        self.creator = data_client(device, fingerprint)

    def run(self) -> Deferred[Connected]:
        """Start; the Deferred can be cancelled."""
        self._start_next()
        return self._done

    def _start_next(self) -> None:
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None
        if self._waiting:
            attempt = _Attempt(self, self._clock, self._waiting.pop(0))
            self._running.append(attempt)
            if self._waiting:
                self._next = self._clock.callLater(self._stagger, self._start_next)
            attempt.start(self._endpoint_for, self._timeout)
        elif not self._running and not self._done.called:
            reasons = "; ".join(f"{host} port {port}: {reason}" for (host, port), reason in self._failures) or "it named no address"
            self._done.errback(
                SessionError(f"The other device cannot be reached: {reasons}. Check its firewall and [data] settings.", "unreachable")
            )

    def won(self, attempt: _Attempt, channel: DataChannel) -> None:
        """The first one that stands."""
        self._running.remove(attempt)
        self._stop()
        if not self._done.called:
            self._done.callback(Connected(channel, attempt.address, tuple(self._failures)))

    def lost(self, attempt: _Attempt, reason: str) -> None:
        """One that failed: the next need not wait any longer."""
        if attempt in self._running:
            self._running.remove(attempt)
            self._failures.append((attempt.address, reason))
            if not self._done.called:
                self._start_next()

    def _stop(self) -> None:
        self._waiting.clear()
        if self._next is not None and self._next.active():
            self._next.cancel()
        running, self._running = self._running, []
        for attempt in running:
            attempt.stop()


class _Attempt:
    """One candidate being tried; receiver of its channel until it is won."""

    def __init__(self, race: _Race, clock: Clock, address: tuple[str, int]) -> None:
        self.address = address
        self._race = race
        self._clock = clock
        self._channel = DataChannel(clock)
        self._channel.secured = self._secured
        self._connecting: Deferred[Any] | None = None
        self._deadline: Delayed | None = None
        self._over = False

    def start(self, endpoint_for: EndpointFor, timeout: float) -> None:
        """Connect."""
        self._deadline = self._clock.callLater(timeout, self._late)
        channels: Factory[Any] = Factory.forProtocol(cast(Any, lambda: self._channel))
        channels.noisy = False
        self._channel.receive(self)
        try:
            self._connecting = endpoint_for(*self.address).connect(StraightTlsFactory(self._race.creator, channels, self._clock))
        except Exception as error:  # an address that makes no endpoint: the other candidates may still be good
            self._fail(str(error))
            return
        self._connecting.addErrback(self._refused)

    def stop(self) -> None:
        """Another one has won, or nobody wants any."""
        self._end()
        if self._connecting is not None:
            self._connecting.cancel()
        self._channel.abort()

    def frame_received(self, frame: Frame) -> None:
        """The server speaks first only to refuse."""
        raise SessionError("The other device spoke before it was spoken to.", "protocol-error")

    def channel_lost(self, error: TwsyncError) -> None:
        """TCP stood, TLS did not."""
        self._fail(error.message.rstrip("."))

    def _secured(self, channel: DataChannel) -> None:
        if not self._over:
            self._end()
            self._race.won(self, channel)

    def _refused(self, failure: Failure) -> None:
        self._fail(failure.getErrorMessage().rstrip("."))

    def _late(self) -> None:
        self._fail("no answer in time")
        self.stop()

    def _fail(self, reason: str) -> None:
        if not self._over:
            self._end()
            self._race.lost(self, reason)

    def _end(self) -> None:
        self._over = True
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()


def _endpoint_for(reactor: Any) -> EndpointFor:  # noqa: ANN401 - a reactor has no type that a checker understands
    def make(host: str, port: int) -> Any:  # noqa: ANN401
        try:
            version = ipaddress.ip_address(host.split("%")[0]).version
        except ValueError:
            return HostnameEndpoint(reactor, host, port)
        return (TCP4ClientEndpoint if version == 4 else TCP6ClientEndpoint)(reactor, host, port)

    return make
