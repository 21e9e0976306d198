"""The delta algorithm in Python: the reference that the C core must equal, byte for byte.

What is tried at an offset, in which order, and where operations end is set down in docs/protocol/delta-format.md ("The search"); the same
names are used there, here and in csrc/search.c.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import xxhash

from twsync import limits
from twsync.delta._pure_patch import patch
from twsync.delta._pure_search import Search, Table, Window
from twsync.delta._pure_weak import sums
from twsync.delta.format import (
    SIGNATURE_END,
    SIGNATURE_HEADER,
    SIGNATURE_MAGIC,
    SIGNATURE_TRAILER,
    DeltaStats,
    check_block_length,
    check_seed,
    check_signature,
    check_strong_length,
)
from twsync.delta.interface import BytesLike, Executor, Readable
from twsync.delta.source import filler, opened, size_of
from twsync.delta.tuning import lengths_for
from twsync.errors import UserError

__all__ = ["KERNEL", "NAME", "delta", "patch", "signature_chunks", "signing"]

NAME = "pure"
KERNEL = "python"
_READ = 256 * 1024


def signature_chunks(
    old: BytesLike | Readable,
    block_length: int | None = None,
    seed: int = 0,
    *,
    strong_length: int | None = None,
    executor: Executor | None = None,
) -> Iterator[bytes]:
    """See `twsync.delta.signature_chunks`. Does one thing at a time, with or without an executor."""
    block_length, strong_length = lengths_for(size_of(old), block_length, strong_length)
    check_block_length(block_length)
    check_strong_length(strong_length)
    check_seed(seed)
    return _signature(old, block_length, strong_length, seed)


def _signature(old: BytesLike | Readable, block_length: int, strong_length: int, seed: int) -> Iterator[bytes]:
    signing = Signing(block_length, strong_length, seed)
    for portion in _portions(old, block_length):
        signing.update(portion)
        if len(signing.chunk) >= _READ:
            yield signing.take()
    yield signing.finish()


def signing(block_length: int, strong_length: int, seed: int) -> Signing:
    """See `twsync.delta.signing`."""
    return Signing(block_length, strong_length, seed)


class Signing:
    """See `twsync.delta.interface.Signing`."""

    def __init__(self, block_length: int, strong_length: int, seed: int) -> None:
        self._block_length, self._strong_length, self._seed = block_length, strong_length, seed
        self._stream = xxhash.xxh64(seed=0)
        self._length = self._blocks = 0
        #: The beginning of a block.
        self._held = bytearray()
        self.chunk = bytearray(SIGNATURE_HEADER.pack(SIGNATURE_MAGIC, block_length, strong_length, seed))
        "What was not taken yet."

    def update(self, data: memoryview, /) -> None:
        """See there."""
        if self._held:
            missing = self._block_length - len(self._held)
            self._held += data[:missing]
            data = data[missing:]
            if len(self._held) < self._block_length:
                return
            self._add(memoryview(self._held))
        whole = len(data) - len(data) % self._block_length
        for start in range(0, whole, self._block_length):
            self._add(data[start : start + self._block_length])
        self._held = bytearray(data[whole:])

    def take(self) -> bytes:
        """What is complete so far, and not taken before."""
        self._stream.update(self.chunk)
        taken = bytes(self.chunk)
        self.chunk.clear()
        return taken

    def finish(self) -> bytes:
        """See there; without what was taken."""
        if self._held:
            self._add(memoryview(self._held))
        self.chunk += SIGNATURE_TRAILER.pack(SIGNATURE_END, self._length, self._blocks, 0)[:-8]
        return self.take() + self._stream.digest()

    def _add(self, block: memoryview) -> None:
        if self._blocks == limits.MAX_SIGNATURE_BLOCKS:
            raise UserError(f"more than {limits.MAX_SIGNATURE_BLOCKS} blocks of {self._block_length} bytes; take a longer block length")
        self.chunk += sums(block).packed.to_bytes(4, "big") + xxhash.xxh64_digest(block, self._seed)[: self._strong_length]
        self._length += len(block)
        self._blocks += 1


def _portions(source: BytesLike | Readable, length: int) -> Iterator[memoryview]:
    """The bytes of `source` in whole blocks, but for the last one; those of a file in a buffer that is used again."""
    old = opened(source)
    size = length * max(1, _READ // length)
    if isinstance(old, memoryview):
        yield from (old[start : start + size] for start in range(0, len(old), size))
        return
    fill = filler(old)
    buffer = memoryview(bytearray(size))
    got = size
    while got == size:
        got = fill(buffer)
        yield buffer[:got]


def delta(
    sig: BytesLike, new: BytesLike | Readable, *, stats: DeltaStats | None = None, executor: Executor | None = None
) -> Iterator[bytes]:
    """See `twsync.delta.delta`. Does one thing at a time, with or without an executor."""
    view = memoryview(sig).cast("B")
    table = Table(check_signature(view), view)
    return _chunks(Search(table, Window(new, table.block_length), DeltaStats() if stats is None else stats))


def _chunks(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """The pieces joined to chunks of some size: at most a read and a literal, well below `limits.MAX_DELTA_CHUNK`."""
    held: list[bytes | memoryview] = []
    size = 0
    for piece in pieces:
        # A view is good only until the search goes on, so it leaves at once.
        held.append(piece)
        size += len(piece)
        if isinstance(piece, memoryview) or size >= _READ:
            yield b"".join(held)
            held.clear()
            size = 0
    if held:
        yield b"".join(held)
