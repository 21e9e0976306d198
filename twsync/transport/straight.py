"""The shortest way between a TLS connection and its socket: the C core calls both, with reused memory and without the GIL.

Through Twisted's transport every byte is copied into four or five fresh strings, and each TLS record costs a turn of Python: half the
processor time of a fast transfer. Here the bytes go from the socket through OpenSSL to where the frame's payload will stand, and back
the same way, 256 KiB at a time.

For that the C core needs OpenSSL itself (see `openssl`). Where it cannot be had Twisted's way remains.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from enum import IntEnum
from mmap import mmap
from typing import Protocol

from twisted.python.failure import Failure

from twsync.limits import KIB
from twsync.peerwire.frames import RUN, Room
from twsync.transport.interfaces import Clock
from twsync.transport.openssl import OpenSSL

#: Bytes of each direction's buffer: they stay in a second-level cache.
STROKE = 256 * KIB


class Result(IntEnum):
    """Why a call of the C core ended; see csrc/bulk_api.h."""

    DONE = 0
    AGAIN = 1
    ENOUGH = 2
    EOF = 3
    TLS = 4
    LOST = 5


class Descriptors(Clock, Protocol):
    """A reactor that watches descriptors."""

    def addReader(self, reader: object) -> None:
        """Call `doRead` when there is something."""

    def addWriter(self, writer: object) -> None:
        """Call `doWrite` when there is room."""

    def removeReader(self, reader: object) -> None:
        """No longer."""

    def removeWriter(self, writer: object) -> None:
        """No longer."""


class Straight:
    """A socket and the TLS connection over it, watched by the reactor. The socket's own transport must neither read nor write any more.

    :param descriptor: of the socket; it is duplicated, so that this and the transport can be watched and closed each by itself.
    :param readable: called when there is something to receive.
    :param writable: called when more can be sent.
    :param broken: called with a reason when the reactor gives it up: `readable` or `writable` failed, or the reactor ends.
    """

    def __init__(
        self,
        functions: OpenSSL,
        connection: object,
        descriptor: int,
        reactor: Descriptors,
        readable: Callable[[], None],
        writable: Callable[[], None],
        broken: Callable[[Failure], None],
    ) -> None:
        self._openssl, self._ffi, self._lib = functions, functions.ffi, functions.lib
        wire = self._wire = functions.ffi.new("twb_wire *")
        wire.openssl = functions.functions
        # Mapped, so that it is freed at once; kept, with the connection, because the wire points there.
        self._kept: object = (held := functions.ffi.from_buffer("uint8_t[]", mmap(-1, 2 * STROKE), require_writable=True))
        wire.buffer, wire.buffer_length = held, 2 * STROKE
        self._rooms = functions.ffi.new("twb_room[]", 2 * RUN)
        self._count = functions.ffi.new("size_t *")
        self._reactor = reactor
        self._readable = readable
        self._writable = writable
        self._broken = broken
        self._descriptor = os.dup(descriptor)
        wire.socket = self._descriptor
        self._working = False
        try:
            wire.ssl, wire.outgoing = functions.take(connection)
        except AttributeError:
            os.close(self._descriptor)
            raise
        self._connection: object = connection

    @property
    def closed(self) -> bool:
        """Whether it is of no use any more."""
        return self._descriptor < 0

    @property
    def received(self) -> int:
        """Bytes taken from the socket."""
        return int(self._wire.received)

    @property
    def sent(self) -> int:
        """Bytes that the socket took."""
        return int(self._wire.sent)

    def receive(self, rooms: Sequence[Room], allowed: int) -> tuple[Result, int]:
        """Decrypt into rooms, one after the other, up to the first in which not those bytes came that it expects.

        :param allowed: about so many bytes may be taken from the socket for it.
        :returns: `DONE` if all that was asked for is there, and how many bytes came.
        """
        held: list[object] = []
        for number, room in enumerate(rooms):
            into = self._ffi.from_buffer("uint8_t[]", room.into, require_writable=True)
            like = self._ffi.from_buffer("uint8_t[]", room.like) if room.like else self._ffi.NULL
            there = self._rooms[number]
            there.into, there.length, there.like = into, len(into), like
            held += into, like
        return self._work(self._lib.twb_receive, self._rooms, len(rooms), allowed, self._count)

    def send(self, pieces: Sequence[bytes | memoryview]) -> tuple[Result, int]:
        """Encrypt and send what was not sent yet, then `pieces`.

        :returns: `DONE` if all of it is on its way, and how many bytes of `pieces` need not be given again.
        """
        ffi = self._ffi
        array = ffi.new("twb_piece[]", len(pieces))
        held = [ffi.from_buffer("uint8_t[]", piece) for piece in pieces]
        for number, data in enumerate(held):
            there = array[number]
            there.data, there.length = data, len(data)
        return self._work(self._lib.twb_send, array, len(held), self._count)

    def _work(self, function: Callable[..., int], *arguments: object) -> tuple[Result, int]:
        self._working = True
        result = Result(function(self._wire, *arguments))
        self._working = False
        if self.closed:  # by a callback of OpenSSL
            self._release()
        return result, self._count[0]

    def _release(self) -> None:
        self._openssl.give_back(self._connection)
        self._connection = self._kept = None

    def watch_reading(self, wanted: bool) -> None:
        """Whether to call `readable`."""
        if not self.closed:
            (self._reactor.addReader if wanted else self._reactor.removeReader)(self)

    def watch_writing(self, wanted: bool) -> None:
        """Whether to call `writable`."""
        if not self.closed:
            (self._reactor.addWriter if wanted else self._reactor.removeWriter)(self)

    def close(self) -> None:
        """Leave the socket to its transport."""
        if not self.closed:
            self.watch_reading(False)
            self.watch_writing(False)
            descriptor, self._descriptor, self._wire.socket = self._descriptor, -1, -1
            os.close(descriptor)
            if not self._working:
                self._release()

    # --- for the reactor -------------------------------------------------------------------------------------------------------------

    def fileno(self) -> int:
        """The descriptor to watch."""
        return self._descriptor

    def doRead(self) -> None:
        """There is something."""
        self._readable()

    def doWrite(self) -> None:
        """There is room."""
        self._writable()

    def logPrefix(self) -> str:
        """Who does the work."""
        return "twsync data connection"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor gives it up."""
        self.close()
        self._broken(reason)
