"""Signatures by the C core."""

from __future__ import annotations

from collections import deque

from twsync import limits
from twsync.delta._ahead import Ahead
from twsync.delta._core import ffi, lib
from twsync.delta.format import WEAK_LENGTH
from twsync.delta.source import fill_at, is_positional, opened
from twsync.errors import UserError

TYPE_CHECKING = False  # so to type checkers it is true; see interface.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from twsync.delta.interface import BytesLike, Call, Executor, Readable

#: Bytes read from a file at once: they stay in a second-level cache between read and sum.
_READ = 256 * 1024
#: The same with an executor: handing over costs 20 µs or so.
_READ_BESIDE = 512 * 1024
#: The same where each thread sums what it reads.
_READ_SPREAD = 1024 * 1024
#: Portions that are read and summed at a time.
_THREADS = 2
#: Bytes of a chunk.
_OUT = 256 * 1024
#: Blocks that are summed by the threads that read: entries of a portion have to fit a chunk, and portions hold whole blocks.
_SHORTEST_SPREAD, _LONGEST_SPREAD = 32, 1024 * 1024


def signed(
    kernel: object, old: BytesLike | Readable, block_length: int, strong_length: int, seed: int, executor: Executor | None
) -> Iterator[bytes]:
    """The signature stream of `old` in chunks; see `twsync.delta.signature_chunks`."""
    job = _job(kernel, block_length, strong_length, seed)
    source = opened(old)
    if isinstance(source, memoryview):
        yield from _stream(job, block_length, [(None, source, True)])
        return
    if executor is not None and is_positional(source) and _SHORTEST_SPREAD <= block_length <= _LONGEST_SPREAD:
        entry = WEAK_LENGTH + strong_length
        yield from _stream(job, block_length, _spread(job, block_length, entry, source.readinto_at, source.tell(), executor))
        return
    ahead = Ahead(source, 0, _READ if executor is None else _READ_BESIDE, executor)
    try:
        yield from _stream(job, block_length, _read(ahead))
    finally:
        ahead.leave()


def _job(kernel: object, block_length: int, strong_length: int, seed: int) -> object:
    job = lib.twd_signature_new(kernel, block_length, strong_length, seed)
    if job == ffi.NULL:
        raise MemoryError
    return ffi.gc(job, lib.twd_signature_free)


def _read(ahead: Ahead) -> Iterator[tuple[None, memoryview, bool]]:
    """The file in portions."""
    last = False
    while not last:
        portion = ahead.next()
        last = portion.got < portion.size
        yield None, portion.buffer[: portion.got], last


def _spread(
    job: object, block_length: int, entry: int, read_at: Callable[[memoryview, int], int], place: int, executor: Executor
) -> Iterator[tuple[bytearray, memoryview, bool]]:
    """The entries of portions that are read and summed in two threads, and the bytes behind the last whole block."""
    size = max(1, _READ_SPREAD // block_length) * block_length
    # Who ends a portion takes the next one, with the same buffer: it is still in the cache of its core.
    spare = [memoryview(bytearray(size)) for _ in range(_THREADS + 1)]

    def summed(at: int) -> tuple[bytearray, memoryview, bool]:
        buffer = spare.pop()
        got = fill_at(read_at, buffer, at)
        entries = bytearray(got // block_length * entry)
        with ffi.from_buffer("uint8_t[]", buffer) as data, ffi.from_buffer("uint8_t[]", entries) as out:
            lib.twd_signature_sum(job, data, got, out)
        rest = memoryview(bytes(buffer[got - got % block_length : got]))
        spare.append(buffer)
        return entries, rest, got < size

    under_way: deque[Call[tuple[bytearray, memoryview, bool]]] = deque()
    last = False
    try:
        while not last:
            while len(under_way) <= _THREADS:  # one waits, so that no thread does
                under_way.append(executor.submit(summed, place))
                place += size
            entries, rest, last = under_way.popleft().result()
            yield entries, rest, last
    finally:
        for future in under_way:
            if not future.cancel():
                future.exception()


class _Stream:
    """A job, and the buffer that it writes to."""

    def __init__(self, job: object, block_length: int) -> None:
        self._job = job
        self._block_length = block_length
        self._buffers = ffi.new("twd_buffers *")
        self._out = ffi.new("uint8_t[]", _OUT)
        self._empty()

    def feed(self, data: memoryview, last: bool) -> Iterator[bytes]:
        """Take the next bytes; the chunks that are full now."""
        buffers = self._buffers
        with ffi.from_buffer("uint8_t[]", data) as held:
            buffers.next_in, buffers.avail_in, buffers.last_in = held, len(data), last
            while (result := lib.twd_signature_step(self._job, buffers)) == lib.TWD_FULL:
                yield self.rest()
                self._empty()
        self._check(result, lib.TWD_DONE if last else lib.TWD_MORE)

    def add(self, entries: bytearray) -> Iterator[bytes]:
        """Take entries that were made beside the job; the chunk that is full now, if one is."""
        buffers = self._buffers
        lib.twd_signature_step(self._job, buffers)  # without input: what it still has to give comes before them
        if len(entries) > buffers.avail_out:
            yield self.rest()
            self._empty()
        with ffi.from_buffer("uint8_t[]", entries) as held:
            self._check(lib.twd_signature_add(self._job, held, len(entries)), lib.TWD_DONE)
        ffi.memmove(buffers.next_out, entries, len(entries))
        buffers.next_out += len(entries)
        buffers.avail_out -= len(entries)

    def rest(self) -> bytes:
        """What the buffer holds."""
        held: bytes = ffi.buffer(self._out, _OUT - self._buffers.avail_out)[:]
        return held

    def _empty(self) -> None:
        self._buffers.next_out, self._buffers.avail_out = self._out, _OUT

    def _check(self, result: int, wanted: int) -> None:
        if result == lib.TWD_TOO_MANY:
            raise UserError(f"more than {limits.MAX_SIGNATURE_BLOCKS} blocks of {self._block_length} bytes; take a longer block length")
        if result != wanted:
            raise RuntimeError(f"the C core stopped with result {result}")


def _stream(job: object, block_length: int, parts: Iterable[tuple[bytearray | None, memoryview, bool]]) -> Iterator[bytes]:
    stream = _Stream(job, block_length)
    for entries, data, last in parts:
        if entries:
            yield from stream.add(entries)
        yield from stream.feed(data, last)
    yield stream.rest()


class Signing:
    """See `twsync.delta.interface.Signing`."""

    def __init__(self, kernel: object, block_length: int, strong_length: int, seed: int) -> None:
        self._stream = _Stream(_job(kernel, block_length, strong_length, seed), block_length)
        self._chunks: list[bytes] = []

    def update(self, data: memoryview, /) -> None:
        """See there."""
        self._chunks.extend(self._stream.feed(data, False))

    def finish(self) -> bytes:
        """See there."""
        self._chunks.extend(self._stream.feed(memoryview(b""), True))
        return b"".join((*self._chunks, self._stream.rest()))
