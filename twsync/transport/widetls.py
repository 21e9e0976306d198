"""TLS for bulk: Twisted's memory-BIO transport with wide strokes, in turns.

Twisted hands OpenSSL 16 KiB at a time and the socket 64 KiB, which is right for many small connections and costs half the speed of
one fast one. What is changed here does the same with a megabyte at a time, counts what goes over the wire, and decrypts to where the
receiver wants it. A turn of the reactor is bounded by how often it hands something on. The methods are not public in Twisted: should a
release rename them, its own ones run instead, slower and as correct.

One write can only make many TLS records if the context lets it (`SSL_MODE_ENABLE_PARTIAL_WRITE` off, see `tls`); otherwise the loop
goes record by record.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, cast

from OpenSSL.SSL import Error, WantReadError, ZeroReturnError
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from twsync.limits import MIB
from twsync.peerwire.frames import Room
from twsync.transport.interfaces import Clock, Delayed, StreamTransport
from twsync.transport.tls import ClientTls, ServerTls

#: Bytes taken from and given to the socket at once.
STROKE = MIB
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
    """The TLS transport of a data connection, by Twisted's way."""

    _log = Logger()
    factory: WideTlsFactory
    _reading = True
    _next_turn: Delayed | None = None
    _given = 0
    _taken = 0

    @property
    def wire_sent(self) -> int:
        """Bytes given to the TCP connection, TLS and all."""
        return self._given

    @property
    def wire_received(self) -> int:
        """Bytes taken from the TCP connection."""
        return self._taken

    def makeConnection(self, transport: object) -> None:
        """Widen the TCP transport below, then begin the handshake. What is written goes out at once, also behind what was not acknowledged:
        else each message that follows another waits for a delayed acknowledgement, some 40 ms (RFC 9293, section 3.7.4)."""
        if ITCPTransport.providedBy(transport):
            cast(Any, transport).setTcpNoDelay(True)
        # Public attributes of Twisted's TCP transport; a transport without them just keeps its own.
        for name in ("bufferSize", "SEND_LIMIT"):
            if hasattr(transport, name):
                setattr(transport, name, STROKE)
        super().makeConnection(transport)  # type: ignore[no-untyped-call]  # Twisted's

    def dataReceived(self, data: bytes) -> None:
        """Count, and decrypt."""
        self._taken += len(data)
        super().dataReceived(data)  # type: ignore[no-untyped-call]  # Twisted's

    def pauseProducing(self) -> None:
        """Read no more; what was already read is still handed on."""
        self._reading = False
        self._watch_reading()

    def resumeProducing(self) -> None:
        """Read on."""
        self._reading = True
        self._watch_reading()

    def _watch_reading(self) -> None:
        """Read from the socket or not: not while there is enough for the next turn."""
        wire = cast(StreamTransport, self.transport)
        if self._reading and self._next_turn is None:
            wire.resumeProducing()
        else:
            wire.pauseProducing()

    def abortConnection(self) -> None:
        """Close at once."""
        super().abortConnection()  # type: ignore[no-untyped-call]  # Twisted's
        self._leave()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The TCP connection is gone. Of what was not handed on yet one more turn is."""
        super().connectionLost(reason)  # type: ignore[no-untyped-call]  # Twisted's
        self._leave()

    def _tlsShutdownFinished(self, reason: Failure | None) -> None:
        """TLS is over: whoever has more to send is not waited for, as the TCP transport would."""
        super()._tlsShutdownFinished(reason)  # type: ignore[no-untyped-call]  # Twisted's
        self.unregisterProducer()  # type: ignore[no-untyped-call]  # Twisted's

    def _leave(self) -> None:
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None

    def writeSequence(self, iovec: Iterable[bytes | memoryview]) -> None:
        """Send pieces together, without a copy if they are large."""
        pieces = list(iovec)
        if sum(map(len, pieces)) <= RECORD:
            pieces = [b"".join(pieces)]
        if not (self._lostTLSConnection or (self.disconnecting and self._producer is None)):
            self._write_pieces(pieces)

    def _write_pieces(self, pieces: Sequence[bytes | memoryview]) -> None:
        for piece in pieces:
            self._write(piece)

    def _write(self, data: bytes | memoryview) -> None:
        if self._lostTLSConnection:
            return
        view = memoryview(data)
        while view:
            try:
                sent = self._tlsConnection.send(view)
            except WantReadError:
                self._bufferedWrite(bytes(view))  # type: ignore[no-untyped-call]  # Twisted's
                break
            except Error:
                self._tlsShutdownFinished(Failure())
                break
            view = view[sent:]
        self._flush(len(data) + len(data) // RECORD * RECORD_OVERHEAD + RECORD)

    def _flushSendBIO(self) -> None:
        self._flush(RECORD)

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
        """Take in what there is, for one turn of the reactor."""
        steps = 0
        while not (self._aborted or self._lostTLSConnection):
            if steps == STEPS:
                self._take_turns()
                break
            steps += 1
            if not self._take_in():
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
        except Exception:  # whatever it is ends this connection, as when the reactor calls, and nothing else
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
            self._shutdownTLS()  # type: ignore[no-untyped-call]  # Twisted's
            self._tlsShutdownFinished(None)
            return False
        except Error:
            self._tlsShutdownFinished(Failure())
            return False
        receiver.took(got)
        return True


class WideTlsFactory(TLSMemoryBIOFactory):
    """Wraps a factory's protocols, which are `StreamReceiver`, in :class:`WideTls`."""

    protocol = WideTls

    noisy = False

    def __init__(self, creator: ClientTls | ServerTls, wrapped: Factory[Any], clock: Clock) -> None:
        factory: Any = wrapped
        self.clock = clock
        super().__init__(cast(Any, creator), isinstance(creator, ClientTls), factory, clock=cast(Any, clock))
