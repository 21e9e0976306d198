"""What is to be sent on a data connection: small frames leave together, bulk without a copy, and no more than the transport takes."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed

from twsync.errors import TwsyncError
from twsync.limits import KIB
from twsync.peerwire.frames import Payload
from twsync.transport.interfaces import Clock, Delayed, StreamTransport

#: Small frames are gathered up to this many bytes before they are written.
GATHER = 64 * KIB


class Outbox:
    """A transport's producer; what is put leaves within a turn of the reactor."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wire: StreamTransport | None = None
        self._error: TwsyncError | None = None
        # What leaves together: small frames and heads of bulk, and before them bulk with what goes before it.
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._ready: list[Payload] = []
        self._flush_call: Delayed | None = None
        self._waiting: list[Deferred[None]] = []
        #: Whether the transport has enough for now.
        self.full = False
        #: Bytes that it was given.
        self.sent = 0

    def open(self, wire: StreamTransport) -> None:
        """The connection stands: it says from now on when to write."""
        self._wire = wire
        wire.registerProducer(self, True)

    def close(self, error: TwsyncError) -> None:
        """Nothing is sent any more; whoever waits is told why."""
        self._error = error
        if self._flush_call is not None:
            self._flush_call.cancel()
            self._flush_call = None
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.errback(error)

    def put(self, frame: bytes) -> None:
        """A small frame."""
        self._gathered.append(frame)
        self._gathered_bytes += len(frame)
        if self._gathered_bytes >= GATHER:
            self.flush()
        else:
            self._flush_soon()

    def put_bulk(self, head: bytes, payload: Payload) -> None:
        """A frame of any size. Its memory must stay as it is until `drained` fires."""
        if len(payload) < GATHER:
            self.put(b"".join((head, payload)))
            return
        self._ready += b"".join((*self._gathered, head)), payload
        self._gathered, self._gathered_bytes = [], 0
        self._flush_soon()

    def drained(self) -> Deferred[None]:
        """Fires when more can be sent without piling up; fails with the connection's end. Bulk leaves now at the latest."""
        if self._ready:
            self.flush()
        if self._error is not None:
            return fail(self._error)
        if not self.full:
            return succeed(None)
        waiting: Deferred[None] = Deferred(lambda gone: self._waiting.remove(gone) if gone in self._waiting else None)
        self._waiting.append(waiting)
        return waiting

    def flush(self) -> None:
        """Write what is gathered, now."""
        pieces, self._ready = self._ready, []
        if self._gathered:
            pieces.append(b"".join(self._gathered))
            self._gathered, self._gathered_bytes = [], 0
        if pieces and self._wire is not None and self._error is None:
            self.sent += sum(map(len, pieces))
            self._wire.writeSequence(pieces)

    def _flush_soon(self) -> None:
        if self._flush_call is None:
            self._flush_call = self._clock.callLater(0, self._flush_later)

    def _flush_later(self) -> None:
        self._flush_call = None
        self.flush()

    # --- for the transport -----------------------------------------------------------------------------------------------------------

    def pauseProducing(self) -> None:
        """It has enough to send."""
        self.full = True

    def resumeProducing(self) -> None:
        """It wants more."""
        self.full = False
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    def stopProducing(self) -> None:
        """It is gone; everybody is told by `close`."""
        self.full = True
