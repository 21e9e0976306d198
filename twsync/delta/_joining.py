"""A file put together from bytes that come and from ranges of an old file, by two threads.

Each thread takes a portion of the new file through all that is done to it, while it is near its core: reading, proving, writing. They read
side by side, prove in order, and write in order.
"""

from __future__ import annotations

from twsync.delta.source import fill_at, write_all
from twsync.delta.threads import Turn
from twsync.errors import FormatError

TYPE_CHECKING = False  # so to type checkers it is true; see interface.py
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from twsync.delta.interface import Call, Executor, Writable

    #: Bytes that came, or (offset, length) in the old file.
    Piece: TypeAlias = "bytes | memoryview | tuple[int, int]"
    #: Is told a stretch of the new file, and the pieces that it consists of; all stretches in order, by one thread at a time.
    Proof: TypeAlias = "Callable[[memoryview, list[Piece]], object]"

#: Bytes of the new file that one thread takes: they stay near its core, and handing over smaller ones costs more.
PORTION = 2 * 1024 * 1024
#: Bytes that came and are worth to be proved and written side by side, where they lie.
HALVED = 128 * 1024
#: Pieces of a portion at most: a stream of single bytes would cost a hundred times their memory.
MOST_PIECES = 8192
#: Portions under way at most: who reads the stream wakes when half of them are done, and not for each.
_UNDER_WAY = 4


class Joining:
    """Writes the new file.

    :param read_at: `readinto_at` of the old file.
    :param executor: begins what it is given in order; of use are two threads: while one writes, the other reads and proves.
    """

    def __init__(self, read_at: Callable[[memoryview, int], int], out: Writable, executor: Executor, prove: Proof) -> None:
        self._read_at = read_at
        self._out = out
        self._executor = executor
        self._prove = prove
        #: Of the next portion.
        self._pieces: list[Piece] = []
        self._room = PORTION
        self._under_way: list[Call[None]] = []
        #: Of the last portion, to be proved.
        self._turn: Turn | None = None
        self._spare: list[memoryview] = []

    def write(self, data: memoryview) -> None:
        """Bytes that came; they may be changed when it returns."""
        if len(data) < HALVED:
            if len(data) > self._room:
                self._begin()
            self._add(bytes(data), len(data))
            return
        self.end()
        writing = self._executor.submit(write_all, self._out, data)
        try:
            self._prove(data, [data])
        finally:
            writing.result()

    def copy(self, offset: int, length: int) -> None:
        """A range of the old file; it may still be under way afterwards.

        :raises FormatError: (also later) the old file ended before a range that was asked for.
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

    def leave(self) -> None:
        """Return when nothing is under way any more. None of it is called back: those behind it would wait for it."""
        for call in self._under_way:
            call.exception()
        self._under_way.clear()  # their errors have frames that have this

    def _add(self, piece: Piece, length: int) -> None:
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
        self._turn = Turn(self._turn)
        self._under_way.append(self._executor.submit(self._join, self._pieces, PORTION - self._room, self._turn, before))
        self._pieces, self._room = [], PORTION

    def _wait(self, count: int) -> None:
        """Until the first of what is under way are written. The last of them is not without those before."""
        if count:
            self._under_way[count - 1].result()
            del self._under_way[:count]

    def _join(self, pieces: list[Piece], size: int, turn: Turn, before: Call[None] | None) -> None:
        """One portion. In a thread.

        :param turn: when it is to be proved.
        :param before: the portion before.
        """
        try:
            try:
                buffer = self._buffer()
                self._fill(buffer, pieces)
            finally:
                turn.wait()  # also if it cannot be read, or there is no memory for it
            self._prove(buffer[:size], pieces)
        finally:
            turn.end()
        if before is not None:
            before.result()  # if that failed this one is not written
        write_all(self._out, buffer[:size])
        self._spare.append(buffer)

    def _buffer(self) -> memoryview:
        """Who ends a portion takes the next one, with the same buffer."""
        try:
            return self._spare.pop()
        except IndexError:
            return memoryview(bytearray(PORTION))

    def _fill(self, buffer: memoryview, pieces: list[Piece]) -> None:
        at = 0
        for piece in pieces:
            if isinstance(piece, tuple):
                offset, length = piece
                if fill_at(self._read_at, buffer[at : at + length], offset) < length:
                    raise FormatError("delta: the old file is shorter than the one it was made for")
            else:
                length = len(piece)
                buffer[at : at + length] = piece
            at += length
