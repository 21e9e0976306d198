"""TLS for bulk: Twisted's memory-BIO transport with wide strokes, and without Twisted where the socket can be had.

Twisted hands OpenSSL 16 KiB at a time and the socket 64 KiB, which is right for many small connections and costs half the speed of
one fast one. What is changed here does the same with a megabyte at a time, and counts what goes over the wire; better still, the C core
moves the bytes between OpenSSL and the socket (`straight`). The methods are not public in Twisted: should a release rename them, its own
ones run instead, slower and as correct.

One write can only make many TLS records if the context lets it (`SSL_MODE_ENABLE_PARTIAL_WRITE` off, see `tls`); otherwise the loop
goes record by record.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, cast

from OpenSSL.SSL import Error, WantReadError, ZeroReturnError
from twisted.internet.interfaces import IReactorFDSet, ITCPTransport
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from twsync.limits import MIB
from twsync.peerwire.frames import Room
from twsync.transport.interfaces import Clock, Delayed, StreamTransport
from twsync.transport.openssl import openssl
from twsync.transport.straight import Result, Straight
from twsync.transport.tls import ClientTls, ServerTls

#: Bytes taken from and given to the socket at once.
STROKE = MIB
#: Bytes taken from the socket by the C core in one turn of the reactor, which then takes about two milliseconds.
TURN = 4 * MIB
#: Times that frames are handed on in one turn: tiny ones take far longer than their bytes, and must not keep everybody else waiting.
STEPS = 256
#: A TLS record's content, and what a record adds to it.
RECORD = 16 * 1024
RECORD_OVERHEAD = 22


class StreamReceiver(Protocol):
    """What the wrapped protocol is: it says where the stream belongs, and is given it without a copy."""

    def rooms(self) -> Sequence[Room]:
        """Where the next bytes belong; not empty."""

    def took(self, count: int) -> None:
        """So many bytes are there now."""


class WideTls(TLSMemoryBIOProtocol):
    """The TLS transport of a data connection.

    It begins as Twisted has it. When the handshake is done and nothing waits to be written it takes the straight way (see `straight`), if
    there is one for this transport.
    """

    _log = Logger()
    factory: WideTlsFactory
    _straight: Straight | None = None
    _reading = True
    _next_turn: Delayed | None = None
    _given = 0
    _taken = 0

    @property
    def wire_sent(self) -> int:
        """Bytes given to the TCP connection, TLS and all."""
        return self._given + (self._straight.sent if self._straight is not None else 0)

    @property
    def wire_received(self) -> int:
        """Bytes taken from the TCP connection."""
        return self._taken + (self._straight.received if self._straight is not None else 0)

    def makeConnection(self, transport: object) -> None:
        """Widen the TCP transport below, then begin the handshake. What is written goes out at once, also behind what was not acknowledged:
        else each message that follows another waits for a delayed acknowledgement, some 40 ms (RFC 9293, section 3.7.4)."""
        if ITCPTransport.providedBy(transport):
            cast(Any, transport).setTcpNoDelay(True)
        # Public attributes of Twisted's TCP transport; a transport without them just keeps its own.
        for name in ("bufferSize", "SEND_LIMIT"):
            if hasattr(transport, name):
                setattr(transport, name, STROKE)
        super().makeConnection(transport)  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:
        """Count, and decrypt."""
        self._taken += len(data)
        super().dataReceived(data)  # type: ignore[no-untyped-call]
        self._straighten()

    def pauseProducing(self) -> None:
        """Read no more; what was already read is still handed on."""
        self._reading = False
        self._watch_reading()

    def resumeProducing(self) -> None:
        """Read on."""
        self._reading = True
        self._watch_reading()

    def _watch_reading(self) -> None:
        # Not while there is enough for the next turn.
        wanted, transport = self._reading and self._next_turn is None, cast(StreamTransport, self.transport)
        if self._straight is not None:
            self._straight.watch_reading(wanted)
        elif wanted:
            transport.resumeProducing()
        else:
            transport.pauseProducing()

    def abortConnection(self) -> None:
        """Close at once."""
        super().abortConnection()  # type: ignore[no-untyped-call]
        self._leave()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """The TCP connection is gone. Of what was not handed on yet one more turn is."""
        if self._straight is not None:
            self._straight.close()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
        self._leave()

    def _tlsShutdownFinished(self, reason: Failure | None) -> None:
        """TLS is over: whoever has more to send is not waited for, as the TCP transport would."""
        super()._tlsShutdownFinished(reason)  # type: ignore[no-untyped-call]
        self.unregisterProducer()  # type: ignore[no-untyped-call]

    def _leave(self) -> None:
        if self._straight is not None:
            self._straight.close()
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None

    def writeSequence(self, iovec: Iterable[bytes | memoryview]) -> None:
        """Send pieces together, without a copy if they are large."""
        pieces = list(iovec)
        if sum(map(len, pieces)) <= RECORD:
            pieces = [b"".join(pieces)]
        if self._straight is None:
            for piece in pieces:
                self.write(piece)  # type: ignore[no-untyped-call]
        elif not (self._lostTLSConnection or (self.disconnecting and self._producer is None)):
            self._send(self._straight, pieces)

    # --- Twisted's way ---------------------------------------------------------------------------------------------------------------

    def _write(self, data: bytes | memoryview) -> None:
        if self._lostTLSConnection:
            return
        if self._straight is not None:
            self._send(self._straight, (data,))
            return
        view = memoryview(data)
        while view:
            try:
                sent = self._tlsConnection.send(view)
            except WantReadError:
                self._bufferedWrite(bytes(view))  # type: ignore[no-untyped-call]
                break
            except Error:
                self._tlsShutdownFinished(Failure())
                break
            view = view[sent:]
        self._flush(len(data) + len(data) // RECORD * RECORD_OVERHEAD + RECORD)

    def _flushSendBIO(self) -> None:
        if self._straight is None:
            self._flush(RECORD)
        elif not self._appSendBuffer:
            self._send(self._straight, ())

    def _flush(self, expected: int) -> None:
        """Hand encrypted bytes to the TCP transport; a buffer of `expected` bytes is allocated for them, so it should be about right."""
        wire = cast(StreamTransport, self.transport)
        while True:
            try:
                encrypted = self._tlsConnection.bio_read(expected)
            except WantReadError:
                return
            self._given += len(encrypted)
            wire.write(encrypted)
            if len(encrypted) < expected:
                return

    def _flushReceiveBIO(self) -> None:
        """Take in what there is, for one turn of the reactor; the straight way calls this too when there is something."""
        straight = self._straight
        upto = straight.received + TURN if straight is not None else 0
        steps = 0
        while not (self._aborted or self._lostTLSConnection):
            if steps == STEPS:
                self._take_turns()
                break
            steps += 1
            if not (self._take_in() if straight is None or straight.closed else self._take_in_straight(straight, upto)):
                break
        if not self._lostTLSConnection:
            self._flushSendBIO()

    def _take_turns(self) -> None:
        """Go on in the next turn: the socket does not tell of what is decrypted already, or in a buffer."""
        if self._next_turn is None:
            self._next_turn = self.factory.clock.callLater(0, self._turn)
            self._watch_reading()

    def _turn(self) -> None:
        self._next_turn = None
        try:
            self._flushReceiveBIO()
        except Exception:  # as the reactor has it
            self._log.failure("what came on a data connection could not be handled")
            self.abortConnection()
        if self._next_turn is None:
            self._watch_reading()

    def _take_in(self) -> bool:
        """Decrypt a record, or of its content what there is room for, and hand it on.

        :returns: whether there may be more.
        """
        receiver = cast(StreamReceiver, self.wrappedProtocol)
        room = receiver.rooms()[0].into
        try:
            got = self._tlsConnection.recv_into(cast(Any, room), min(len(room), RECORD))
        except WantReadError:
            return False
        except ZeroReturnError:
            self._shutdownTLS()  # type: ignore[no-untyped-call]
            self._tlsShutdownFinished(None)
            return False
        except Error:
            self._tlsShutdownFinished(Failure())
            return False
        receiver.took(got)
        return True

    # --- the straight way ------------------------------------------------------------------------------------------------------------

    def _straighten(self) -> None:
        """Take the straight way from now on, if it can be taken now."""
        over = self.disconnecting or self._lostTLSConnection or self._aborted
        if openssl is None or self._straight is not None or not self._handshakeDone or self._appSendBuffer or self._next_turn or over:
            return
        transport: Any = self.transport
        reactor: Any = getattr(transport, "reactor", None)
        if not IReactorFDSet.providedBy(reactor):
            return
        try:
            if transport.dataBuffer or transport._tempDataBuffer:
                return  # the next piece may find it written
            descriptor = transport.getHandle().fileno()
            self._straight = Straight(
                openssl, self._tlsConnection, descriptor, reactor, self._flushReceiveBIO, self._writable, self._broken
            )
        except (AttributeError, TypeError, OSError):  # another kind of transport, or names that have changed
            return
        transport.pauseProducing()
        self._straight.watch_reading(self._reading)

    def _broken(self, reason: Failure) -> None:
        """The reactor watches nothing else of this connection: what it says goes to the transport, which may know already."""
        cast(Any, self.transport).connectionLost(reason)

    def _send(self, straight: Straight, pieces: Sequence[bytes | memoryview]) -> None:
        """Send `pieces` behind what waits already; what the socket does not take waits in `_appSendBuffer`, where Twisted looks for it."""
        if straight.closed:
            return
        if self._appSendBuffer:
            for piece in pieces:
                self._bufferedWrite(piece)  # type: ignore[no-untyped-call]
            return
        result, taken = straight.send(pieces)
        if result is Result.AGAIN:
            # At least the last one, be it empty: if only encrypted bytes are left they count as something that waits, too.
            for number, piece in enumerate(pieces or (b"",), 1):
                rest = memoryview(piece)[taken:]
                taken -= len(piece) - len(rest)
                if rest or number >= len(pieces):
                    self._bufferedWrite(rest)  # type: ignore[no-untyped-call]
            straight.watch_writing(True)
        elif result is not Result.DONE:
            # Nobody must take it for sent: it waits for the connection's end, which the transport tells soon.
            self._bufferedWrite(b"")  # type: ignore[no-untyped-call]
            cast(StreamTransport, self.transport).abortConnection()

    def _writable(self) -> None:
        # What waits when TLS is over waits for the end: it is not sent, and nobody must be asked for more.
        if not self._lostTLSConnection and self._straight is not None:
            waiting, self._appSendBuffer = self._appSendBuffer, []
            self._send(self._straight, waiting)
            if not self._appSendBuffer:
                self._unbufferPendingWrites()  # type: ignore[no-untyped-call]
        if self._straight is not None and (self._lostTLSConnection or not self._appSendBuffer):
            self._straight.watch_writing(False)

    def _take_in_straight(self, straight: Straight, upto: int) -> bool:
        """As `_take_in`, as far as the receiver can foresee where the bytes belong.

        :param upto: about so many bytes may be taken from the socket, of all that ever were.
        """
        receiver = cast(StreamReceiver, self.wrappedProtocol)
        result, got = straight.receive(receiver.rooms(), max(0, upto - straight.received) if self._reading else 0)
        if got:
            receiver.took(got)
        if result is Result.TLS:
            return self._take_in()
        if result is Result.EOF:
            straight.watch_reading(False)
            cast(StreamTransport, self.transport).loseConnection()
        elif result is Result.LOST:
            cast(StreamTransport, self.transport).abortConnection()
        return result is Result.DONE


class WideTlsFactory(TLSMemoryBIOFactory):
    """Wraps a factory's protocols, which are `StreamReceiver`, in :class:`WideTls`."""

    protocol = WideTls

    noisy = False

    def __init__(self, creator: ClientTls | ServerTls, wrapped: Factory[Any], clock: Clock) -> None:
        factory: Any = wrapped
        self.clock = clock
        super().__init__(cast(Any, creator), isinstance(creator, ClientTls), factory, clock=cast(Any, clock))
