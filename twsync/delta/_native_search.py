"""Searches by the C core.

Where nothing matches, a search is a look at every window for the weak sums that the table has. Which windows have one depends on the file
alone, not on what was found before. So where nothing was found in the last portion of a file, the threads that read ahead look for them
too, and the search only goes from one of them to the next. The stream is the same.
"""

from __future__ import annotations

from twsync.delta._ahead import Ahead
from twsync.delta._core import ffi, lib
from twsync.delta.format import DeltaStats
from twsync.delta.source import fill_at, is_positional, opened

TYPE_CHECKING = False  # so to type checkers it is true; see interface.py
if TYPE_CHECKING:
    from collections.abc import Iterator

    from twsync.delta._ahead import Portion
    from twsync.delta.interface import BytesLike, Executor, Positional, Readable

#: Bytes of a portion of a file, behind what the search has left of the one before.
_AHEAD = 2 * 1024 * 1024
#: Bytes of a delta chunk that is not a long literal.
_OUT = 256 * 1024
#: Windows of a portion that a thread finds at most; where there are more, the search looks for itself. Honest signatures have a few.
_FORESEEN = 1024
#: With longer blocks no thread looks ahead: it would have to read and sum so much more for each portion.
_LONGEST_FORESEEN = 256 * 1024


def searched(
    table: object, kernel: object, block_length: int, new: BytesLike | Readable, stats: DeltaStats, executor: Executor | None
) -> Iterator[bytes]:
    """The delta stream of `new` in chunks; see `twsync.delta.delta`."""
    search = _Search(table, kernel, stats)
    source = opened(new)
    if isinstance(source, memoryview):
        yield from search.over(source, True)
        yield search.rest()
        return
    foresee = None
    if is_positional(source) and block_length <= _LONGEST_FORESEEN:
        foresee = _Foresight(table, kernel, block_length, source)
    room = lib.twd_search_window(search.job)
    ahead = Ahead(source, room, _AHEAD, executor, foresee)
    last = vain = False
    try:
        while not last:
            portion = ahead.next(search.left, vain)
            last = portion.got < portion.size
            matched = stats.matched_bytes
            with ffi.from_buffer("uint8_t[]", portion.buffer) as held:
                search.foreseen(held + (room - block_length), portion.notes)
                yield from search.over(portion.buffer[room - search.left : room + portion.got], last)
            vain = stats.matched_bytes == matched
    finally:
        ahead.leave()
    yield search.rest()


class _Search:
    """One search, and the output that it has not given yet."""

    def __init__(self, table: object, kernel: object, stats: DeltaStats) -> None:
        job = lib.twd_search_new(table, kernel)
        if job == ffi.NULL:
            raise MemoryError
        self.job = ffi.gc(job, lib.twd_search_free)
        self._table = table  # the job points to it
        #: Bytes at the end of what was searched last that are to be given again.
        self.left = 0
        self._stats = stats
        self._counters = ffi.new("twd_search_stats *")
        self._buffers = ffi.new("twd_buffers *")
        self._out = ffi.new("uint8_t[]", _OUT)
        self._empty()

    def _empty(self) -> None:
        self._buffers.next_out, self._buffers.avail_out = self._out, _OUT

    def _count(self) -> None:
        lib.twd_search_counters(self.job, self._counters)
        for name in DeltaStats.__slots__:
            setattr(self._stats, name, getattr(self._counters, name))

    def foreseen(self, data: object, notes: _Foreseen | None) -> None:
        """What a thread has found out about the windows behind the one at `data`."""
        if notes is None:
            lib.twd_search_foreseen(self.job, ffi.NULL, 0, ffi.NULL, 0)
        else:
            lib.twd_search_foreseen(self.job, data, notes.most[0], notes.found, notes.count)

    def over(self, portion: memoryview, last: bool) -> Iterator[bytes]:
        """Go on over what was left and what follows it, in one piece."""
        buffers = self._buffers
        with ffi.from_buffer("uint8_t[]", portion) as held:
            buffers.next_in, buffers.avail_in, buffers.last_in = held, len(portion), last
            while True:
                result = lib.twd_search_step(self.job, buffers)
                if result == lib.TWD_LITERAL:
                    run = ffi.buffer(buffers.run, buffers.run_length)
                    yield b"".join((ffi.buffer(self._out, _OUT - buffers.avail_out), run))
                elif result == lib.TWD_FULL:
                    yield ffi.buffer(self._out, _OUT)[:]
                else:
                    break
                self._empty()
                self._count()
        if result != (lib.TWD_DONE if last else lib.TWD_MORE):
            raise RuntimeError(f"the C core stopped with result {result}")
        self.left = buffers.avail_in
        self._count()

    def rest(self) -> bytes:
        """The end of the stream."""
        return bytes(ffi.buffer(self._out, _OUT - self._buffers.avail_out))


class _Foreseen:
    """What a thread has found out about the first `most` windows that end in a portion."""

    __slots__ = ("count", "found", "most")

    def __init__(self) -> None:
        self.found = ffi.new("twd_candidate[]", _FORESEEN)
        self.most = ffi.new("size_t *")
        self.count = 0


class _Foresight:
    """Looks at the windows that end in a portion; called in a thread."""

    def __init__(self, table: object, kernel: object, block_length: int, file: Positional) -> None:
        self._table, self._kernel, self._block_length = table, kernel, block_length
        self._read = file.readinto_at
        self._start = file.tell()

    def __call__(self, portion: Portion, wish: bool) -> None:
        length = self._block_length
        if not wish or not portion.got or portion.place - self._start < length:
            return
        before = portion.buffer[portion.room - length : portion.room]
        if fill_at(self._read, before, portion.place - length) < length:
            return
        notes = _Foreseen()
        notes.most[0] = portion.got
        with ffi.from_buffer("uint8_t[]", portion.buffer) as held:
            data = held + (portion.room - length)
            notes.count = lib.twd_foresee(self._table, self._kernel, data, notes.most, notes.found, _FORESEEN)
        portion.notes = notes
