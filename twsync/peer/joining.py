"""A file put together from what comes and from ranges of its basis, by two threads. Used in a streamer's thread."""

from __future__ import annotations

from threading import Lock

from twsync.delta.interface import Call, Executor
from twsync.delta.source import fill_at
from twsync.errors import FormatError
from twsync.limits import KIB, MIB
from twsync.peer.basis import Basis
from twsync.store.staging import Partial

#: Bytes of the new file that one thread reads, hashes and writes: they stay near its core, and handing over smaller ones costs more.
PORTION = 2 * MIB
#: Bytes that came and are worth to be hashed and written side by side, where they lie.
HALVED = 128 * KIB
#: Threads that are of use: while one writes, the other reads and hashes.
THREADS = 2
#: Pieces of a portion at most: a stream of single bytes would cost a hundred times their memory.
MOST_PIECES = 8192
#: Portions under way at most: who reads the stream wakes when half of them are done, and not for each.
_UNDER_WAY = 4


class Joining:
    """What a patch writes to. The new file's content id proves it, so ranges are copied without a look at their bytes.

    Each thread takes a portion of the new file through all that is done to it. They read side by side, hash in order, and write in order.

    :param executor: has `THREADS`, which begin what they are given in order.
    """

    def __init__(self, basis: Basis, partial: Partial, executor: Executor) -> None:
        self._basis = basis
        self._partial = partial
        self._executor = executor
        #: Of the next portion: bytes that came, and (offset, length) in the basis.
        self._pieces: list[bytes | tuple[int, int]] = []
        self._room = PORTION
        self._under_way: list[Call[None]] = []
        #: Held until all of the last portion that is under way is hashed.
        self._hashing = Lock()
        self._spare: list[memoryview] = []

    def write(self, data: memoryview, /) -> int:
        """Bytes that came; they may be changed when it returns."""
        if len(data) < HALVED:
            if len(data) > self._room:
                self._begin()
            self._add(bytes(data), len(data))
            return len(data)
        self.end()
        writing = self._executor.submit(self._partial.put, data)
        try:
            self._partial.prove(data)
        finally:
            writing.result()
        return len(data)

    def copy(self, offset: int, length: int) -> None:
        """A range of the basis; it may still be under way afterwards.

        :raises FormatError: the basis ended before a range that was asked for.
        """
        while length:
            part = min(length, self._room)
            self._add((offset, part), part)
            offset += part
            length -= part

    def end(self) -> None:
        """Return when all is written; raises what reading or writing raised."""
        self._begin()
        self._wait(len(self._under_way))

    def _add(self, piece: bytes | tuple[int, int], length: int) -> None:
        self._pieces.append(piece)
        self._room -= length
        if not self._room or len(self._pieces) == MOST_PIECES:
            self._begin()

    def _begin(self) -> None:
        """Let a thread take the portion as far as it is known."""
        if not self._pieces:
            return
        if len(self._under_way) == _UNDER_WAY:
            self._wait(_UNDER_WAY // 2)
        before = self._under_way[-1] if self._under_way else None
        hashed, self._hashing = self._hashing, Lock()
        self._hashing.acquire()
        self._under_way.append(self._executor.submit(self._join, self._pieces, PORTION - self._room, hashed, self._hashing, before))
        self._pieces, self._room = [], PORTION

    def _wait(self, count: int) -> None:
        """Until the first of what is under way are written. The last of them is not without those before."""
        if count:
            self._under_way[count - 1].result()
            del self._under_way[:count]

    def _join(self, pieces: list[bytes | tuple[int, int]], size: int, hashed: Lock, hashing: Lock, before: Call[None] | None) -> None:
        """One portion. In a thread.

        :param hashed: free when the portion before is hashed.
        :param hashing: to be released when this one is.
        :param before: the portion before.
        """
        try:
            try:
                buffer = self._buffer()
                self._fill(buffer, pieces)
            finally:
                hashed.acquire()  # in turn, also if it cannot be read, or there is no memory for it
            self._partial.prove(buffer[:size])
        finally:
            hashing.release()
        if before is not None:
            before.result()  # if that failed this one is not written
        self._partial.put(buffer[:size])
        self._spare.append(buffer)

    def _buffer(self) -> memoryview:
        """Who ends a portion takes the next one, with the same buffer."""
        try:
            return self._spare.pop()
        except IndexError:
            return memoryview(bytearray(PORTION))

    def _fill(self, buffer: memoryview, pieces: list[bytes | tuple[int, int]]) -> None:
        at = 0
        for piece in pieces:
            if isinstance(piece, bytes):
                buffer[at : at + len(piece)] = piece
                at += len(piece)
                continue
            offset, length = piece
            if fill_at(self._basis.readinto_at, buffer[at : at + length], offset) < length:
                raise FormatError("delta: the old file is shorter than the one it was made for")
            at += length
