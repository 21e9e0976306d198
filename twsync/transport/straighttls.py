"""TLS for bulk without Twisted, where the socket can be had: the C core moves the bytes between OpenSSL and the socket (see `straight`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from twsync.limits import MIB
from twsync.transport.interfaces import StreamTransport
from twsync.transport.openssl import openssl
from twsync.transport.straight import Result, Straight
from twsync.transport.widetls import StreamReceiver, WideTls, WideTlsFactory

#: Bytes taken from the socket in one turn of the reactor, which then takes about two milliseconds.
TURN = 4 * MIB


class StraightTls(WideTls):
    """The TLS transport of a data connection.

    It begins as Twisted has it. When the handshake is done and nothing waits to be written it takes the straight way, if there is one for
    this transport.
    """

    _straight: Straight | None = None
    _upto = 0

    @property
    def wire_sent(self) -> int:
        """Bytes given to the TCP connection, TLS and all."""
        return super().wire_sent + (self._straight.sent if self._straight is not None else 0)

    @property
    def wire_received(self) -> int:
        """Bytes taken from the TCP connection."""
        return super().wire_received + (self._straight.received if self._straight is not None else 0)

    def dataReceived(self, data: bytes) -> None:
        """Of the beginning."""
        super().dataReceived(data)
        if self._straight is None:
            self._straighten()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The TCP connection is gone."""
        if self._straight is not None:
            self._straight.close()
        super().connectionLost(reason)

    def _straighten(self) -> None:
        """Take the straight way from now on, if it can be taken now."""
        over = self.disconnecting or self._lostTLSConnection or self._aborted
        if openssl is None or not self._handshakeDone or self._appSendBuffer or self._next_turn or over:
            return
        transport: Any = self.transport
        reactor: Any = getattr(transport, "reactor", None)
        if not IReactorFDSet.providedBy(reactor):
            return
        try:
            if transport.dataBuffer or transport._tempDataBuffer:
                return  # the next piece may find it written
            descriptor = transport.getHandle().fileno()
            straight = Straight(openssl, self._tlsConnection, descriptor, reactor, self._flushReceiveBIO, self._writable, self._broken)
        except (AttributeError, TypeError, OSError):  # another kind of transport, or names that have changed
            return
        transport.pauseProducing()
        self._straight = straight
        straight.watch_reading(self._reading)

    def _broken(self, reason: Failure) -> None:
        """The reactor watches nothing else of this connection: what it says goes to the transport, which may know already."""
        cast(Any, self.transport).connectionLost(reason)

    def _send(self, straight: Straight, pieces: Sequence[bytes | memoryview]) -> None:
        """Send `pieces` behind what waits already; what the socket does not take waits in `_appSendBuffer`, where Twisted looks for it."""
        if straight.closed:
            return
        if self._appSendBuffer:
            for piece in pieces:
                self._bufferedWrite(piece)  # type: ignore[no-untyped-call]  # Twisted's
            return
        result, taken = straight.send(pieces)
        if result is Result.AGAIN:
            # At least the last one, be it empty: if only encrypted bytes are left they count as something that waits, too.
            for number, piece in enumerate(pieces or (b"",), 1):
                rest = memoryview(piece)[taken:]
                taken -= len(piece) - len(rest)
                if rest or number >= len(pieces):
                    self._bufferedWrite(rest)  # type: ignore[no-untyped-call]  # Twisted's
            straight.watch_writing(True)
        elif result is not Result.DONE:
            # Nobody must take it for sent: it waits for the connection's end, which the transport tells soon.
            self._bufferedWrite(b"")  # type: ignore[no-untyped-call]  # Twisted's
            cast(StreamTransport, self.transport).abortConnection()

    def _writable(self) -> None:
        # What waits when TLS is over waits for the end: it is not sent, and nobody must be asked for more.
        if not self._lostTLSConnection and self._straight is not None:
            waiting, self._appSendBuffer = self._appSendBuffer, []
            self._send(self._straight, waiting)
            if not self._appSendBuffer:
                self._unbufferPendingWrites()  # type: ignore[no-untyped-call]  # Twisted's
        if self._straight is not None and (self._lostTLSConnection or not self._appSendBuffer):
            self._straight.watch_writing(False)

    # --- what the straight way does otherwise ------------------------------------------------------------------------------------------

    def _watch_reading(self) -> None:
        if self._straight is None:
            super()._watch_reading()
        else:
            self._straight.watch_reading(self._reading and self._next_turn is None)

    def _leave(self) -> None:
        if self._straight is not None:
            self._straight.close()
        super()._leave()

    def _write_pieces(self, pieces: Sequence[bytes | memoryview]) -> None:
        if self._straight is None:
            super()._write_pieces(pieces)
        else:
            self._send(self._straight, pieces)

    def _write(self, data: bytes | memoryview) -> None:
        if self._straight is None:
            super()._write(data)
        elif not self._lostTLSConnection:
            self._send(self._straight, (data,))

    def _flushSendBIO(self) -> None:
        if self._straight is None:
            super()._flushSendBIO()
        elif not self._appSendBuffer:
            self._send(self._straight, ())

    def _flushReceiveBIO(self) -> None:
        if self._straight is not None:
            self._upto = self._straight.received + TURN
        super()._flushReceiveBIO()

    def _take_in(self) -> bool:
        straight, receiver = self._straight, cast(StreamReceiver, self.wrappedProtocol)
        if straight is None or straight.closed:
            return super()._take_in()
        result, got = straight.receive(receiver.rooms(), max(0, self._upto - straight.received) if self._reading else 0)
        if got:
            receiver.took(got)
        if result is Result.TLS:
            return super()._take_in()
        if result is Result.EOF:
            straight.watch_reading(False)
            cast(StreamTransport, self.transport).loseConnection()
        elif result is Result.LOST:
            cast(StreamTransport, self.transport).abortConnection()
        return result is Result.DONE


class StraightTlsFactory(WideTlsFactory):
    """Wraps a factory's protocols in :class:`StraightTls`."""

    protocol = StraightTls
