"""The delta core in C (csrc/), driven from here: this file reads files and hands out chunks, and does nothing per byte.

The C jobs never allocate for data: all buffers are made here. cffi releases the GIL during each step, so reading and writing can
go on beside it: an executor that the caller gives runs them, never more than one call at a time, with a second buffer for it.

Every ``from_buffer`` is in a ``with``: a memoryview that is still exported when the garbage collector breaks a cycle (a traceback is
enough to make one) crashes CPython 3.11.
"""

from __future__ import annotations

from twsync import limits
from twsync.delta._core import ffi, lib
from twsync.delta.format import DeltaStats, PatchStats, check_block_length, check_seed, check_signature
from twsync.delta.source import bytes_of, default_block_length, filler, write_all
from twsync.errors import FormatError, UserError

TYPE_CHECKING = False  # so to type checkers it is true; see interface.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor, Future

    from twsync.delta.interface import BytesLike, Readable, Seekable, Writable

#: Bytes read from a file at once for a signature: stays in a second-level cache between read and sum.
_READ = 256 * 1024
#: The same with an executor: handing over costs 20 µs or so.
_READ_BESIDE = 512 * 1024
#: Bytes of a signature or delta chunk.
_OUT = 256 * 1024
#: Bytes from which on a write is handed to the executor.
_WRITE_BESIDE = 64 * 1024
#: Bytes read at once into a search window, behind what the search has left of the one before.
_AHEAD = 1024 * 1024


class Native:
    """The C core with one kernel.

    :param kernel: its name; by default the best that this CPU can run.
    :raises LookupError: it is unknown, was not built, or cannot run here.
    """

    NAME = "native"

    def __init__(self, kernel: str | None = None) -> None:
        self._kernel = lib.twd_kernel_find(ffi.NULL if kernel is None else kernel.encode())
        if self._kernel == ffi.NULL:
            raise LookupError(f"there is no kernel {kernel!r} that was built and that this CPU can run")
        self.KERNEL: str = ffi.string(lib.twd_kernel_name(self._kernel)).decode()

    def signature_chunks(
        self, old: BytesLike | Readable, block_length: int | None = None, seed: int = 0, *, executor: Executor | None = None
    ) -> Iterator[bytes]:
        """See `twsync.delta.signature_chunks`."""
        if block_length is None:
            block_length = default_block_length(old)
        check_block_length(block_length)
        check_seed(seed)
        return _signature(old, block_length, seed, executor)

    def delta(
        self, sig: BytesLike, new: BytesLike | Readable, *, stats: DeltaStats | None = None, executor: Executor | None = None
    ) -> Iterator[bytes]:
        """See `twsync.delta.delta`."""
        view = memoryview(sig).cast("B")
        info = check_signature(view)
        found = ffi.new("twd_table **")
        with ffi.from_buffer("uint8_t[]", view) as held:
            result = lib.twd_table_new(held, len(view), found)
        if result == lib.TWD_CORRUPT:
            raise FormatError("signature: refused by the C core")
        if result != lib.TWD_DONE:
            raise MemoryError
        table = ffi.gc(found[0], lib.twd_table_free, 32 * info.blocks)
        return _search(table, self._kernel, new, DeltaStats() if stats is None else stats, executor)

    def patch(
        self,
        old: BytesLike | Seekable,
        ops: Iterable[BytesLike],
        out: Writable,
        *,
        max_output: int | None = None,
        executor: Executor | None = None,
    ) -> PatchStats:
        """See `twsync.delta.patch`."""
        most = limits.MAX_FILE_SIZE if max_output is None else min(max(max_output, 0), limits.MAX_FILE_SIZE)
        beside = _Beside(executor)
        try:
            return _patch(old, ops, out, most, beside)
        finally:
            beside.leave()


class _Beside:
    """At most one call under way: on an executor, or, without one, at once."""

    def __init__(self, executor: Executor | None) -> None:
        self._executor = executor
        self._future: Future[int | None] | None = None
        self._done: int | None = None
        #: Buffers needed, one of them for the call under way.
        self.buffers = 1 if executor is None else 2

    def start(self, function: Callable[..., int | None], *arguments: object) -> None:
        """Call `function`, when the call before has ended well."""
        self.wait()
        if self._executor is None:
            self._done = function(*arguments)
        else:
            self._future = self._executor.submit(function, *arguments)

    def wait(self) -> int | None:
        """What the last call gives or raises, when it has ended."""
        future, self._future = self._future, None
        if future is not None:
            self._done = future.result()
        return self._done

    def leave(self) -> None:
        """Wait for a call under way whose result nobody wants: its file and buffer are the caller's again afterwards."""
        future, self._future = self._future, None
        if future is not None and not future.cancel():
            future.exception()


def _signature(old: BytesLike | Readable, block_length: int, seed: int, executor: Executor | None) -> Iterator[bytes]:
    job = ffi.gc(_made(lib.twd_signature_new(block_length, seed)), lib.twd_signature_free)
    buffers = ffi.new("twd_buffers *")
    out = ffi.new("uint8_t[]", _OUT)
    buffers.next_out, buffers.avail_out = out, _OUT
    beside = _Beside(executor)
    try:
        for data, last in _portions(old, beside):
            with ffi.from_buffer("uint8_t[]", data) as held:
                buffers.next_in, buffers.avail_in, buffers.last_in = held, len(data), last
                while (result := lib.twd_signature_step(job, buffers)) == lib.TWD_FULL:
                    yield ffi.buffer(out, _OUT)[:]
                    buffers.next_out, buffers.avail_out = out, _OUT
            if result == lib.TWD_TOO_MANY:
                raise UserError(f"more than {limits.MAX_SIGNATURE_BLOCKS} blocks of {block_length} bytes; take a longer block length")
    finally:
        beside.leave()
    yield ffi.buffer(out, _OUT - buffers.avail_out)[:]


def _portions(source: BytesLike | Readable, beside: _Beside) -> Iterator[tuple[memoryview, bool]]:
    """The bytes of `source`, each portion with whether it is the last. Portions of a file share one buffer, or two in turn."""
    view = bytes_of(source)
    if view is not None:
        yield view, True
        return
    size = _READ if beside.buffers == 1 else _READ_BESIDE
    buffers = [memoryview(bytearray(size)) for _ in range(beside.buffers)]
    fill = filler(source)  # type: ignore[arg-type]
    got: int | None = size
    beside.start(fill, buffers[0])
    while got == size:
        got = beside.wait()
        full = buffers[0][:got]
        buffers.reverse()
        if got == size and beside.buffers == 2:
            beside.start(fill, buffers[0])
        yield full, got != size
        if got == size and beside.buffers == 1:
            beside.start(fill, buffers[0])


def _search(table: object, kernel: object, new: BytesLike | Readable, stats: DeltaStats, executor: Executor | None) -> Iterator[bytes]:
    job = ffi.gc(_made(lib.twd_search_new(table, kernel)), lib.twd_search_free)
    buffers = ffi.new("twd_buffers *")
    out = ffi.new("uint8_t[]", _OUT)
    buffers.next_out, buffers.avail_out = out, _OUT
    counters = ffi.new("twd_search_stats *")
    beside = _Beside(executor)
    window = _Window(new, lib.twd_search_window(job), beside)
    try:
        while True:
            portion, last = window.next()
            with ffi.from_buffer("uint8_t[]", portion) as held:
                buffers.next_in, buffers.avail_in, buffers.last_in = held, len(portion), last
                while True:
                    result = lib.twd_search_step(job, buffers)
                    if result == lib.TWD_LITERAL:
                        run = ffi.buffer(buffers.run, buffers.run_length)
                        yield b"".join((ffi.buffer(out, _OUT - buffers.avail_out), run))
                    elif result == lib.TWD_FULL:
                        yield ffi.buffer(out, _OUT)[:]
                    else:
                        break
                    buffers.next_out, buffers.avail_out = out, _OUT
                    _count(job, counters, stats)
            if result == lib.TWD_DONE:
                break
            if result != lib.TWD_MORE or buffers.last_in:
                raise RuntimeError(f"the C core stopped with result {result}")
            window.left = buffers.avail_in
    finally:
        beside.leave()
    _count(job, counters, stats)
    if buffers.avail_out < _OUT:
        yield ffi.buffer(out, _OUT - buffers.avail_out)[:]


class _Window:
    """The new file in portions, each in one piece with what the search left of the one before.

    A portion of a file stands at a fixed place, `room` bytes from the start of its buffer; what is left goes right before it. So the next
    portion can be read into another buffer before it is known how much will be left of this one.
    """

    def __init__(self, source: BytesLike | Readable, room: int, beside: _Beside) -> None:
        self._view = bytes_of(source)
        self._room = room
        self._beside = beside
        #: Bytes at the end of the present portion that the search has not taken.
        self.left = 0
        self._got = 0
        if self._view is None:
            self._fill = filler(source)  # type: ignore[arg-type]
            self._buffers = [memoryview(bytearray(room + _AHEAD)) for _ in range(beside.buffers)]
            if beside.buffers == 2:
                beside.start(self._fill, self._buffers[1][room:])

    def next(self) -> tuple[memoryview, bool]:
        """The next portion, and whether it is the last."""
        if self._view is not None:
            return self._view, True
        room, left = self._room, self.left
        rest = self._buffers[0][room + self._got - left : room + self._got]
        if self._beside.buffers == 1:
            ffi.memmove(self._buffers[0][room - left : room], rest, left)
            self._beside.start(self._fill, self._buffers[0][room:])
        got = self._beside.wait()
        assert got is not None
        if self._beside.buffers == 2:
            self._buffers[1][room - left : room] = rest
            self._buffers.reverse()
            if got == _AHEAD:
                self._beside.start(self._fill, self._buffers[1][room:])
        self._got = got
        return self._buffers[0][room - left : room + got], got < _AHEAD


def _count(job: object, counters: object, stats: DeltaStats) -> None:
    lib.twd_search_counters(job, counters)
    for name in DeltaStats.__slots__:
        setattr(stats, name, getattr(counters, name))


def _patch(old: BytesLike | Seekable, ops: Iterable[BytesLike], out: Writable, most: int, beside: _Beside) -> PatchStats:
    job = ffi.gc(_made(lib.twd_patch_new(most)), lib.twd_patch_free)
    buffers = ffi.new("twd_buffers *")
    copier = _Copier(job, old, out, beside)
    result = lib.TWD_MORE
    for chunk in ops:
        view = memoryview(chunk).cast("B")
        with ffi.from_buffer("uint8_t[]", view) as held:
            buffers.next_in, buffers.avail_in = held, len(view)
            while True:
                result = lib.twd_patch_step(job, buffers)
                if result == lib.TWD_LITERAL:
                    end = len(view) - buffers.avail_in
                    copier.write(view[end - buffers.run_length : end])
                elif result == lib.TWD_COPY:
                    copier.copy(buffers.copy_offset, buffers.copy_length)
                else:
                    break
        beside.wait()  # the chunk is the caller's again
        if result == lib.TWD_CORRUPT:
            break
    if result != lib.TWD_DONE:
        raise FormatError(f"delta: {ffi.string(lib.twd_patch_reason(job)).decode()}")
    return PatchStats(lib.twd_patch_literal_bytes(job), lib.twd_patch_matched_bytes(job))


class _Copier:
    """Writes the new file: literals, and ranges of the old file past the checksum of the job."""

    def __init__(self, job: object, old: BytesLike | Seekable, out: Writable, beside: _Beside) -> None:
        self._job = job
        self._old = old
        self._out = out
        self._beside = beside
        self._view = bytes_of(old)
        size = _READ if beside.buffers == 1 else _READ_BESIDE
        self._buffers = [memoryview(bytearray(size)) for _ in range(beside.buffers)] if self._view is None else [self._view]
        self._fill = filler(old) if self._view is None else None  # type: ignore[arg-type]

    def copy(self, offset: int, length: int) -> None:
        """Copy all of one range.

        :raises FormatError: the old file ends before it.
        """
        if self._view is not None:
            if offset + length > len(self._view):
                raise FormatError("delta: the old file is shorter than the one it was made for")
            self._take(self._view[offset : offset + length])
            return
        assert self._fill is not None
        self._old.seek(offset)  # type: ignore[union-attr]
        while length:
            part = self._buffers[0][:length]
            self._buffers.reverse()  # the other one may be under way to the new file; what was before is written
            if self._fill(part) < len(part):
                raise FormatError("delta: the old file is shorter than the one it was made for")
            self._take(part)
            length -= len(part)

    def _take(self, part: memoryview) -> None:
        with ffi.from_buffer("uint8_t[]", part) as held:
            if lib.twd_patch_copied(self._job, held, len(part)) != lib.TWD_DONE:
                raise RuntimeError("the C core refused a copy that it had asked for")
        self.write(part)

    def write(self, part: memoryview) -> None:
        """Write some bytes behind those before; a large part is still under way afterwards."""
        if len(part) < _WRITE_BESIDE:
            self._beside.wait()
            write_all(self._out, part)
        else:
            self._beside.start(write_all, self._out, part)


def _made(pointer: object) -> object:
    if pointer == ffi.NULL:
        raise MemoryError
    return pointer
