"""The delta algorithm in Python: the reference that the C core must equal, byte for byte.

What is tried at an offset, in which order, and where operations end is set down in docs/protocol/delta-format.md ("The search"); the same
names are used there, here and in csrc/search.c.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

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
from twsync.delta.interface import BytesLike, Readable
from twsync.delta.source import bytes_of, filler, size_of
from twsync.delta.tuning import lengths_for
from twsync.errors import UserError

if TYPE_CHECKING:
    from concurrent.futures import Executor

__all__ = ["KERNEL", "NAME", "delta", "patch", "signature_chunks"]

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
    stream = xxhash.xxh64(seed=0)
    length = blocks = 0
    chunk = bytearray(SIGNATURE_HEADER.pack(SIGNATURE_MAGIC, block_length, strong_length, seed))
    for block in _blocks(old, block_length):
        if blocks == limits.MAX_SIGNATURE_BLOCKS:
            raise UserError(f"more than {limits.MAX_SIGNATURE_BLOCKS} blocks of {block_length} bytes; take a longer block length")
        chunk += sums(block).packed.to_bytes(4, "big") + xxhash.xxh64_digest(block, seed)[:strong_length]
        length += len(block)
        blocks += 1
        if len(chunk) >= _READ:
            stream.update(chunk)
            yield bytes(chunk)
            chunk.clear()
    trailer = SIGNATURE_TRAILER.pack(SIGNATURE_END, length, blocks, 0)
    chunk += trailer[:-8]
    stream.update(chunk)
    yield bytes(chunk) + stream.intdigest().to_bytes(8, "big")


def _blocks(source: BytesLike | Readable, length: int) -> Iterator[memoryview]:
    """The bytes of `source` block by block; the blocks of a file share one buffer."""
    view = bytes_of(source)
    if view is not None:
        yield from (view[start : start + length] for start in range(0, len(view), length))
        return
    fill = filler(source)  # type: ignore[arg-type]
    buffer = memoryview(bytearray(length * max(1, _READ // length)))
    got = len(buffer)
    while got == len(buffer):
        got = fill(buffer)
        yield from (buffer[start : min(start + length, got)] for start in range(0, got, length))


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
