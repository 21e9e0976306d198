"""Keeps one flow to the server open: opens it, waits longer after each failure, and opens it again when it ends.

Pauses and deadlines are timers of the given clock, the scatter of pauses comes from the given randomness, so that the
devices of a restarted server do not all come at once (RFC 5626 section 4.5).
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.error import DNSLookupError, NoRouteError
from twisted.internet.error import TimeoutError as ConnectTimeoutError
from twisted.logger import Logger
from twisted.python.failure import Failure

from twsync.peer.waiting import within
from twsync.sip.flow import reconnect_pause
from twsync.transport.interfaces import Clock, Delayed
from twsync.transport.siptls import ClientEndpoint, Flow, SipTransport

#: Seconds for the TCP connection and the TLS handshake together.
CONNECT_TIMEOUT = 30.0

_log = Logger()


class State(enum.Enum):
    """What is known of the flow."""

    STOPPED = "stopped"
    CONNECTING = "connecting"
    OPEN = "open"
    WAITING = "waiting"
    "For the next attempt."


class Connection:
    """One flow after the other.

    :param endpoint: makes the endpoint for an attempt; called each time, as the settings may have changed.
    :param uniform: random numbers from 0 to 1.
    :param opened: told of each new flow.
    """

    def __init__(
        self,
        transport: SipTransport,
        endpoint: Callable[[], ClientEndpoint],
        clock: Clock,
        uniform: Callable[[], float],
        opened: Callable[[Flow], None],
    ) -> None:
        self.state = State.STOPPED
        self.reason = ""
        "Why there is no flow, in words."
        self.flow: Flow | None = None
        self._transport = transport
        self._endpoint = endpoint
        self._clock = clock
        self._uniform = uniform
        self._opened = opened
        self._failures = 0
        self._hold = 0.0
        self._due = 0.0
        self._attempt: Deferred[Flow] | None = None
        self._timer: Delayed | None = None

    def start(self) -> None:
        """Open the flow, now and whenever it is lost."""
        if self.state is State.STOPPED:
            self._connect()

    @property
    def retry_in(self) -> float | None:
        """Seconds to the next attempt; None if nothing waits for it."""
        return max(0.0, self._due - self._clock.seconds()) if self.state is State.WAITING else None

    def retry_now(self) -> None:
        """Do not wait any longer for the next attempt: something has changed that makes it worth while, and makes the old reason old."""
        self._hold = 0.0
        self.reason = ""
        if self.state is State.WAITING:
            self._cancel_timer()
            self._connect()

    def renew(self, reason: str) -> None:
        """Replace the flow by a new one at once: the address it was opened from is no longer this host's."""
        self._failures = 0
        if self.state is State.OPEN and self.flow is not None:
            flow, self.flow = self.flow, None
            self.reason = reason
            flow.close(reason)
            self._connect()
        else:
            self.retry_now()

    def give_up(self, reason: str, pause: float | None = None) -> None:
        """The flow is of no use (no registration over it): close it, and try again after a pause.

        :param pause: seconds; none: as after any failure.
        """
        self._hold = pause or 0.0
        flow = self.flow
        self.lost(reason)
        if flow is not None:
            flow.close(reason)

    def succeeded(self) -> None:
        """The flow proved to be of use, or the server gave a clear answer over it: the next loss is a first failure again."""
        self._failures = 0
        self.reason = ""

    def closed(self, flow: Flow, reason: str) -> bool:
        """The transport says that a flow has ended.

        :returns: whether it was the present one.
        """
        if self.state is not State.OPEN or flow is not self.flow:
            return False
        self.lost(reason)
        return True

    def stop(self) -> None:
        """Close the flow, open no other."""
        self.state = State.STOPPED
        self._cancel_timer()
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.cancel()
        flow, self.flow = self.flow, None
        if flow is not None:
            flow.close("the daemon stops")

    def lost(self, reason: str) -> None:
        """There is no flow any more: wait, then connect."""
        self.flow = None
        if self.state is State.STOPPED:
            return
        # Stands in other sentences.
        self.reason = reason = reason.rstrip(".")
        self._failures += 1
        pause = max(self._hold, reconnect_pause(self._failures, self._uniform()))
        self._hold = 0.0
        self.state = State.WAITING
        self._cancel_timer()
        self._due = self._clock.seconds() + pause
        self._timer = self._clock.callLater(pause, self._connect)
        _log.info("No connection to the server ({reason}); trying again in {pause:.0f} s.", reason=reason, pause=pause)

    def _connect(self) -> None:
        self._timer = None
        self.state = State.CONNECTING
        attempt = self._attempt = self._transport.connect(self._endpoint())
        within(attempt, CONNECT_TIMEOUT, self._clock).addCallbacks(self._connected, self._failed)

    def _connected(self, flow: Flow) -> None:
        self._attempt = None
        if self.state is not State.CONNECTING:
            flow.close("no longer needed")
            return
        self.state = State.OPEN
        self.flow = flow
        self._opened(flow)

    def _failed(self, failure: Failure) -> None:
        self._attempt = None
        if self.state is State.CONNECTING:
            self.lost(in_words(failure))

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def in_words(failure: Failure) -> str:
    """Why a connection could not be made, for status and log."""
    error = failure.value
    if isinstance(error, Refused):
        return "the server does not take connections; check that it runs and that the port is right"
    if isinstance(error, DNSLookupError):
        return "the server's name cannot be resolved"
    if isinstance(error, NoRouteError):
        return "there is no route to the server"
    if isinstance(error, TimeoutError | ConnectTimeoutError | CancelledError):
        return "the server did not answer in time"
    text = str(error) or type(error).__name__
    if "certificate verify failed" in text:
        return "the server shows another certificate than the expected one; see `twsync doctor`, and ask its administrator which is right"
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300]
