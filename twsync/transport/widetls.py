"""TLS for bulk: Twisted's memory-BIO transport with wide strokes.

Twisted hands OpenSSL 16 KiB at a time and the socket 64 KiB, which is right for many small connections and costs half the speed of
one fast one (measured: 0.6 GB/s against 1.2 GB/s over loopback). The methods changed here do the same with a megabyte at a time,
and count what goes over the wire. They are not public in Twisted: should a release rename them, its own ones run instead, slower and
as correct.

One write can only make many TLS records if the context lets it (`SSL_MODE_ENABLE_PARTIAL_WRITE` off, see `tls`); otherwise the loop
goes record by record.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

from OpenSSL.SSL import Error, WantReadError, ZeroReturnError
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from twsync.limits import MIB
from twsync.transport.interfaces import Clock, StreamTransport
from twsync.transport.tls import ClientTls, ServerTls

#: Bytes taken from and given to the socket at once.
STROKE = MIB
#: A TLS record's content, and what a record adds to it.
RECORD = 16 * 1024
RECORD_OVERHEAD = 22


class PiecesReceiver(Protocol):
    """What the wrapped protocol has to be, beside a Twisted protocol."""

    def pieces_received(self, pieces: list[bytes]) -> None:
        """Consecutive pieces of the stream; joining them is left to who knows where the frames end."""


class WideTls(TLSMemoryBIOProtocol):
    """The TLS transport of a data connection."""

    wire_sent = 0
    "Bytes given to the TCP connection, TLS and all."
    wire_received = 0
    "Bytes taken from the TCP connection."

    def makeConnection(self, transport: object) -> None:
        """Widen the TCP transport below, then begin the handshake."""
        # Public attributes of Twisted's TCP transport; a transport without them just keeps its own.
        for name in ("bufferSize", "SEND_LIMIT"):
            if hasattr(transport, name):
                setattr(transport, name, STROKE)
        super().makeConnection(transport)  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:
        """Count, and decrypt."""
        self.wire_received += len(data)
        super().dataReceived(data)  # type: ignore[no-untyped-call]

    def _write(self, data: bytes) -> None:
        if self._lostTLSConnection or not data:
            return
        view = memoryview(data)
        while view:
            try:
                sent = self._tlsConnection.send(view)
            except WantReadError:
                self._bufferedWrite(bytes(view))  # type: ignore[no-untyped-call]
                break
            except Error:
                self._tlsShutdownFinished(Failure())  # type: ignore[no-untyped-call]
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
            self.wire_sent += len(encrypted)
            wire.write(encrypted)
            if len(encrypted) < expected:
                return

    def _flushReceiveBIO(self) -> None:
        pieces: list[bytes] = []
        receive = self._tlsConnection.recv
        try:
            while not self._lostTLSConnection:
                pieces.append(receive(RECORD))
        except WantReadError:
            self._hand_on(pieces)
        except ZeroReturnError:
            self._hand_on(pieces)
            self._shutdownTLS()  # type: ignore[no-untyped-call]
            self._tlsShutdownFinished(None)  # type: ignore[no-untyped-call]
        except Error:
            failure = Failure()  # type: ignore[no-untyped-call]
            self._hand_on(pieces)
            self._tlsShutdownFinished(failure)  # type: ignore[no-untyped-call]
        self._flushSendBIO()

    def _hand_on(self, pieces: list[bytes]) -> None:
        if pieces and not self._aborted:
            cast(PiecesReceiver, self.wrappedProtocol).pieces_received(pieces)


class WideTlsFactory(TLSMemoryBIOFactory):
    """Wraps a factory's protocols in :class:`WideTls`."""

    protocol = WideTls

    noisy = False

    def __init__(self, creator: ClientTls | ServerTls, wrapped: Factory[Any], clock: Clock) -> None:
        factory: Any = wrapped
        super().__init__(cast(Any, creator), isinstance(creator, ClientTls), factory, clock=cast(Any, clock))
