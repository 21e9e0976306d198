"""One data connection between two devices: frames over TLS, with flow control both ways.

A thin shell: :mod:`twsync.peerwire.frames` cuts the stream, whoever is set as receiver says what frames mean, and what is sent waits in
an `Outbox`. What is done here is what else needs a transport and a clock: not reading while nobody takes frames, and noticing that the
other side is gone.

`listener` takes such connections, `connector` makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast
from typing import Protocol as Shape

from twisted.internet import protocol
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHandshakeListener
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer  # type: ignore[import-untyped]

from twsync.errors import ProtocolError, SessionError, TwsyncError
from twsync.limits import IDLE_PING, IDLE_TIMEOUT, KIB, MAX_FRAME
from twsync.peerwire import messages
from twsync.peerwire.frames import Decoder, Frame, FrameType, Payload, Room, head
from twsync.transport.buffers import Buffers
from twsync.transport.interfaces import Clock, Delayed, StreamTransport
from twsync.transport.outbox import Outbox
from twsync.transport.timers import IdleTimer
from twsync.transport.tls import PinError, peer_fingerprint

#: Bytes taken at once of what is no frames.
BESIDE = 64 * KIB
#: Seconds that a closed connection gets to send what is queued.
CLOSE_TIMEOUT = 5.0


class Receiver(Shape):
    """Who the frames are for."""

    def frame_received(self, frame: Frame) -> None:
        """A frame other than PING and PONG. `ProtocolError` ends the connection."""

    def channel_lost(self, error: TwsyncError) -> None:
        """No more frames will come. Called once."""


@implementer(IHandshakeListener)
class DataChannel(protocol.Protocol):
    """A data connection.

    :param clock: for time-outs and for gathering small frames.
    :param limit: greatest frame length taken at first.
    """

    _log = Logger()

    def __init__(self, clock: Clock, limit: int = MAX_FRAME) -> None:
        self._clock = clock
        self._buffers = Buffers()
        self._decoder = Decoder(limit, self._buffers)
        self._receiver: Receiver | None = None
        self._wire: StreamTransport | None = None
        self._outbox = Outbox(clock)
        self._close_call: Delayed | None = None
        self._read_paused = False
        self._ended: TwsyncError | None = None
        self._closing = False
        self._told = False
        self._idle = IdleTimer(clock, IDLE_PING, IDLE_TIMEOUT, self._ask, self._silent)
        self._inner: protocol.Protocol | None = None
        # For bytes that are no frames.
        self._aside: memoryview | None = None
        #: Called when the TLS handshake is done and the other side is who it should be.
        self.secured: Callable[[DataChannel], None] | None = None
        #: The other side's hello, on connections that a `Listener` took.
        self.hello: messages.Hello | None = None
        #: The fingerprint that the other side proved; empty before the handshake.
        self.fingerprint = ""
        #: Frame bytes received: payloads and their headers, without TLS.
        self.frame_bytes_received = 0

    # --- counting ------------------------------------------------------------------------------------------------------------------

    @property
    def frame_bytes_sent(self) -> int:
        """Frame bytes sent, without TLS."""
        return self._outbox.sent

    @property
    def wire_sent(self) -> int:
        """Bytes sent on the TCP connection, TLS included; frame bytes if the transport does not count."""
        return int(getattr(self.transport, "wire_sent", self.frame_bytes_sent))

    @property
    def wire_received(self) -> int:
        """Bytes received on the TCP connection, TLS included; frame bytes if the transport does not count."""
        return int(getattr(self.transport, "wire_received", self.frame_bytes_received))

    # --- sending -------------------------------------------------------------------------------------------------------------------

    def send(self, message: messages.AnyMessage) -> None:
        """Send a control message; it leaves within this turn of the reactor."""
        payload = messages.encode(message)
        self._outbox.put(head(FrameType.CONTROL, len(payload)) + payload)

    def send_bulk(self, kind: FrameType, transfer: int, payload: Payload) -> None:
        """Send a bulk frame. Ask :meth:`drained` after a few of them, and wait for it before their memory is used for something else."""
        self._outbox.put_bulk(head(kind, len(payload), transfer), payload)

    def drained(self) -> Deferred[None]:
        """Fires when more can be sent without piling up; fails with the connection's end. Bulk leaves now at the latest."""
        return self._outbox.drained()

    # --- another protocol --------------------------------------------------------------------------------------------------------------

    def hush(self) -> None:
        """Say nothing by itself any more: the other side carries another protocol already, or is about to."""
        self._outbox.flush()
        self._idle.stop()

    def become(self, inner: protocol.Protocol) -> None:
        """Carry another protocol from now on: frames are over, what comes is `inner`'s, and it writes to the transport itself.

        It minds its own time-outs. The receiver is still told the end. Both sides do this at the same point of the stream.

        :raises SessionError: the connection has ended.
        """
        if self._ended is not None or self._wire is None:
            raise self._ended or SessionError("The connection was closed.", "closed")
        self.resume()
        self.hush()
        self._wire.unregisterProducer()
        self._inner = inner
        inner.makeConnection(cast(Any, self._wire))

    # --- receiving -----------------------------------------------------------------------------------------------------------------

    def receive(self, receiver: Receiver) -> None:
        """Hand frames to `receiver` from now on. If the connection is lost already it is told at once."""
        self._receiver = receiver
        self._told = False
        self._tell()

    def set_limit(self, limit: int) -> None:
        """Take frames up to this length from now on."""
        self._decoder.limit = limit

    def pause(self) -> None:
        """Read no more until :meth:`resume`; what was already read still comes."""
        if not self._read_paused and self._ended is None and self._wire is not None:
            self._read_paused = True
            self._idle.cover()
            self._wire.pauseProducing()

    def resume(self) -> None:
        """Read on."""
        if self._read_paused and self._ended is None and self._wire is not None:
            self._read_paused = False
            self._idle.start()
            self._wire.resumeProducing()

    def makeConnection(self, transport: object) -> None:
        """Remember the transport by what is asked of it."""
        self._wire = cast(StreamTransport, transport)
        super().makeConnection(cast(Any, transport))  # type: ignore[no-untyped-call]

    def connectionMade(self) -> None:
        """The TCP connection stands."""
        assert self._wire is not None
        self._outbox.open(self._wire)

    def handshakeCompleted(self) -> None:
        """TLS is done and its checks have passed, or failed and the connection is on its way out."""
        self.fingerprint = peer_fingerprint(self.transport) or ""
        if self._ended is None and self.transport is not None and not getattr(self.transport, "disconnecting", False):
            self._idle.start()
            if self.secured is not None:
                self.secured(self)

    def rooms(self) -> Sequence[Room]:
        """Where the next bytes of the stream belong, as far as can be foreseen. What comes after the end is not looked at."""
        return self._decoder.rooms() if self._ended is None and self._inner is None else (Room(self._beside()),)

    def _beside(self) -> memoryview:
        if self._aside is None:
            self._aside = memoryview(bytearray(BESIDE))
        return self._aside

    def took(self, count: int) -> None:
        """So many bytes more are there: hand on the frames that they complete."""
        if self._ended is not None:
            return
        if self._inner is not None:
            assert self._aside is not None
            self._inner.dataReceived(bytes(self._aside[:count]))
            return
        self._idle.heard()
        self.frame_bytes_received += count
        try:
            for frame in self._decoder.took(count):
                if self._ended is None:
                    self._handle(frame)
        except TwsyncError as error:
            self.close(error)
        except Exception:  # a mistake of ours must end this connection in good order, not hang the session
            self._log.failure("a received frame could not be handled")
            self.close(SessionError("An internal error ended the session; see this host's log.", "internal-error"))

    def _handle(self, frame: Frame) -> None:
        if frame.kind is FrameType.PING:
            # Who does not read what we send already hears from us as soon as it does; answers must not pile up.
            if not self._outbox.full:
                self._outbox.put(head(FrameType.PONG, 0))
        elif frame.kind is not FrameType.PONG:
            if self._receiver is None:
                raise ProtocolError("a frame that nobody waits for")
            self._receiver.frame_received(frame)

    # --- the end -------------------------------------------------------------------------------------------------------------------

    def close(self, error: TwsyncError | None = None) -> None:
        """Send what is gathered, tell the other side about `error` if there is one, and close. The receiver is told `error`."""
        if self._closing or self._ended is not None:
            return
        if error is not None and self._inner is None:
            self.send(messages.Error(error.code if _sendable(error.code) else "failed", error.message[:500]))
        self._outbox.flush()
        self._closing = True
        self._end(error or SessionError("The connection was closed.", "closed"))
        if self._wire is not None:
            self._close_call = self._clock.callLater(CLOSE_TIMEOUT, self._wire.abortConnection)
            if self._read_paused:  # a paused transport does not notice that the other side closes
                self._wire.resumeProducing()
            if self._inner is None:
                self._wire.unregisterProducer()
            self._wire.loseConnection()

    def abort(self) -> None:
        """Close at once, sending nothing more."""
        self._end(SessionError("The connection was closed.", "closed"))
        if self._wire is not None:
            self._wire.abortConnection()

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        """The TCP connection is gone."""
        if self._close_call is not None and self._close_call.active():
            self._close_call.cancel()
        self._wire = None
        self._buffers.close()
        if self._inner is not None:
            self._inner.connectionLost(reason)
        self._end(_lost(reason))

    def _end(self, error: TwsyncError) -> None:
        if self._ended is not None:
            return
        self._ended = error
        self._idle.stop()
        self._outbox.close(error)
        self._tell()

    def _tell(self) -> None:
        if self._receiver is not None and self._ended is not None and not self._told:
            self._told = True
            self._receiver.channel_lost(self._ended)

    def _ask(self) -> None:
        self._outbox.put(head(FrameType.PING, 0))

    def _silent(self) -> None:
        self._end(SessionError("The other device went silent; it may be off or out of reach. Start the session again.", "timeout"))
        if self._wire is not None:
            self._wire.abortConnection()


def _sendable(code: str) -> bool:
    return 0 < len(code) <= 40 and all(character.isascii() and (character.isalnum() or character == "-") for character in code)


def _lost(reason: Failure) -> SessionError:
    if isinstance(reason.value, PinError):
        return SessionError(f"The data connection was refused: {reason.value}.", "wrong-fingerprint")
    return SessionError("The connection to the other device was lost; start the session again, it goes on where it was.", "connection-lost")
