"""Patches by the C core with reading, summing and writing on two threads.

What is to be written is gathered to batches: literals, and ranges of whole blocks of the old file. A thread fills one buffer with a batch,
makes the sums of its blocks, waits until the batch before is written, and writes it at once; meanwhile the other thread reads the next.
The sums come back in order and prove the output at the end.
"""

from __future__ import annotations

from collections import deque

from twsync.delta._core import ffi, lib
from twsync.delta.source import fill_at, write_all
from twsync.errors import FormatError

TYPE_CHECKING = False  # so to type checkers it is true; see interface.py
if TYPE_CHECKING:
    from collections.abc import Callable

    from twsync.delta.interface import Call, Executor, Writable

#: Bytes of a batch: they stay in a second-level cache from the reading to the writing.
_BATCH = 1024 * 1024
#: Pieces of a batch at most: a stream of single bytes would cost a hundred times their memory.
MOST_PIECES = 8192
#: Batches under way at most: the thread that reads the stream wakes when half of them are done, and not for each.
_UNDER_WAY = 8


class Spread:
    """Writes the new file in batches.

    :param job: told here that the caller accounts for the output.
    :param read_at: `readinto_at` of the old file.
    """

    def __init__(self, job: object, read_at: Callable[[memoryview, int], int], out: Writable, executor: Executor) -> None:
        lib.twd_patch_defer(job)
        self._job = job
        self._read_at = read_at
        self._out = out
        self._executor = executor
        self._under_way: deque[Call[list[bytes | memoryview]]] = deque()
        #: Literals, and (offset, length) in the old file.
        self._batch: list[memoryview | tuple[int, int]] = []
        self._filled = 0
        self._size = _BATCH
        self._spare: list[memoryview] = []

    def write(self, part: memoryview) -> None:
        """Some literal bytes."""
        kept = part if isinstance(part.obj, bytes) else memoryview(bytes(part))
        while kept:
            piece = kept[: self._size - self._filled]
            kept = kept[len(piece) :]
            self._add(piece, len(piece))

    def copy(self, offset: int, length: int) -> None:
        """Some whole blocks of the old file; the last one of it may be short."""
        lib.twd_patch_skipped(self._job, length)
        block_length = lib.twd_patch_block_length(self._job)
        if block_length > self._size:
            self._submit()
            self._size = block_length
        while length:
            room = self._size - self._filled
            part = min(length, room - room % block_length)
            if part:
                self._add((offset, part), part)
            else:
                self._submit()
            offset += part
            length -= part

    def _add(self, piece: memoryview | tuple[int, int], length: int) -> None:
        self._batch.append(piece)
        self._filled += length
        if self._filled == self._size or len(self._batch) == MOST_PIECES:
            self._submit()

    def _submit(self) -> None:
        if self._batch:
            before = self._under_way[-1] if self._under_way else None
            self._under_way.append(self._executor.submit(self._put, self._batch, self._filled, before))
            self._batch, self._filled = [], 0
        if len(self._under_way) == _UNDER_WAY:
            # The middle one first: when it is done, so are those before.
            self._under_way[_UNDER_WAY // 2].result()
            for _ in range(_UNDER_WAY // 2 + 1):
                self._account()

    def _put(
        self, batch: list[memoryview | tuple[int, int]], size: int, before: Call[list[bytes | memoryview]] | None
    ) -> list[bytes | memoryview]:
        """Fill a buffer and write it; returns what the output's checksum is made of. In a thread."""
        buffer = self._buffer(size)
        sums: list[bytes | memoryview] = []
        at = 0
        for piece in batch:
            if isinstance(piece, memoryview):
                buffer[at : at + len(piece)] = piece
                at += len(piece)
                sums.append(piece)
            else:
                offset, length = piece
                part = buffer[at : at + length]
                if fill_at(self._read_at, part, offset) < length:
                    raise FormatError("delta: the old file is shorter than the one it was made for")
                at += length
                sums.append(self._sums(part))
        if before is not None:
            before.result()
        write_all(self._out, buffer[:size])
        self._spare.append(buffer)
        return sums

    def _buffer(self, size: int) -> memoryview:
        """Who ends a batch takes the next one, with the same buffer: it is still in the cache of its core."""
        try:
            buffer = self._spare.pop()  # another thread may take the last one at the same time
        except IndexError:
            buffer = memoryview(b"")
        return buffer if len(buffer) >= size else memoryview(bytearray(self._size))

    def _sums(self, blocks: memoryview) -> memoryview:
        sums = bytearray(8 * -(-len(blocks) // lib.twd_patch_block_length(self._job)))
        with ffi.from_buffer("uint8_t[]", blocks) as data, ffi.from_buffer("uint8_t[]", sums) as out:
            lib.twd_patch_sum(self._job, data, len(blocks), out)
        return memoryview(sums)

    def _account(self) -> None:
        """Wait for the oldest batch, and take its sums into the output's."""
        for sums in self._under_way.popleft().result():
            with ffi.from_buffer("uint8_t[]", sums) as data:
                lib.twd_patch_account(self._job, data, len(sums))

    def give_back(self) -> None:
        """What was given is the caller's again: literals that are not copied are in immutable bytes."""

    def end(self) -> int:
        """Write what is left; what becomes of the stream, which has come to its end."""
        self._submit()
        while self._under_way:
            self._account()
        result: int = lib.twd_patch_prove(self._job)
        return result

    def leave(self) -> None:
        """Nothing is under way any more."""
        while self._under_way:
            future = self._under_way.popleft()
            if not future.cancel():
                future.exception()
