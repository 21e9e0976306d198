"""The delta core in C (csrc/), driven from here: this file reads files and hands out chunks, and does nothing per byte.

The C jobs never allocate for data: all buffers are made here. cffi releases the GIL during each step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from twsync import limits
from twsync.delta._core import ffi, lib
from twsync.delta.format import DeltaStats, PatchStats, check_block_length, check_seed, check_signature
from twsync.delta.source import BytesLike, Readable, Seekable, Writable, bytes_of, default_block_length, filler, write_all
from twsync.errors import FormatError, UserError

NAME = "native"
#: Bytes read from a file at once for a signature: stays in a second-level cache between read and sum.
_READ = 256 * 1024
#: Bytes of a signature or delta chunk.
_OUT = 256 * 1024
#: Bytes of a search window beyond what the search needs at least.
_AHEAD = 1024 * 1024


def signature_chunks(old: BytesLike | Readable, block_length: int | None = None, seed: int = 0) -> Iterator[bytes]:
    """See `twsync.delta.signature_chunks`."""
    if block_length is None:
        block_length = default_block_length(old)
    check_block_length(block_length)
    check_seed(seed)
    return _signature(old, block_length, seed)


def _signature(old: BytesLike | Readable, block_length: int, seed: int) -> Iterator[bytes]:
    job = ffi.gc(_made(lib.twd_signature_new(block_length, seed)), lib.twd_signature_free)
    buffers = ffi.new("twd_buffers *")
    out = ffi.new("uint8_t[]", _OUT)
    buffers.next_out, buffers.avail_out = out, _OUT
    for data, last in _portions(old):
        held = ffi.from_buffer("uint8_t[]", data)
        buffers.next_in, buffers.avail_in, buffers.last_in = held, len(data), last
        while (result := lib.twd_signature_step(job, buffers)) == lib.TWD_FULL:
            yield ffi.buffer(out, _OUT)[:]
            buffers.next_out, buffers.avail_out = out, _OUT
        if result == lib.TWD_TOO_MANY:
            raise UserError(f"more than {limits.MAX_SIGNATURE_BLOCKS} blocks of {block_length} bytes; take a longer block length")
    yield ffi.buffer(out, _OUT - buffers.avail_out)[:]


def _portions(source: BytesLike | Readable) -> Iterator[tuple[memoryview, bool]]:
    """The bytes of `source`, each portion with whether it is the last. Portions of a file share one buffer."""
    view = bytes_of(source)
    if view is not None:
        yield view, True
        return
    buffer = memoryview(bytearray(_READ))
    fill = filler(source)  # type: ignore[arg-type]
    got = _READ
    while got == _READ:
        got = fill(buffer)
        yield buffer[:got], got < _READ


def delta(sig: BytesLike, new: BytesLike | Readable, *, stats: DeltaStats | None = None) -> Iterator[bytes]:
    """See `twsync.delta.delta`."""
    view = memoryview(sig).cast("B")
    info = check_signature(view)
    found = ffi.new("twd_table **")
    result = lib.twd_table_new(ffi.from_buffer("uint8_t[]", view), len(view), found)
    if result == lib.TWD_CORRUPT:
        raise FormatError("signature: refused by the C core")
    if result != lib.TWD_DONE:
        raise MemoryError
    table = ffi.gc(found[0], lib.twd_table_free, 32 * info.blocks)
    return _search(table, new, DeltaStats() if stats is None else stats)


def _search(table: object, new: BytesLike | Readable, stats: DeltaStats) -> Iterator[bytes]:
    job = ffi.gc(_made(lib.twd_search_new(table)), lib.twd_search_free)
    buffers = ffi.new("twd_buffers *")
    out = ffi.new("uint8_t[]", _OUT)
    buffers.next_out, buffers.avail_out = out, _OUT
    counters = ffi.new("twd_search_stats *")
    view = bytes_of(new)
    if view is not None:
        window, fill, start, end = view, None, 0, len(view)
    else:
        size = lib.twd_search_window(job) + _AHEAD
        window, fill, start, end = memoryview(bytearray(size)), filler(new), 0, 0  # type: ignore[arg-type]
    held = ffi.from_buffer("uint8_t[]", window)
    while True:
        if fill is not None:
            left = end - start
            ffi.memmove(held, held + start, left)
            start, end = 0, left + fill(window[left:])
        buffers.next_in, buffers.avail_in = held + start, end - start
        buffers.last_in = fill is None or end < len(window)
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
        start = end - buffers.avail_in
        if result != lib.TWD_MORE or buffers.last_in:
            raise RuntimeError(f"the C core stopped with result {result}")
    _count(job, counters, stats)
    if buffers.avail_out < _OUT:
        yield ffi.buffer(out, _OUT - buffers.avail_out)[:]


def _count(job: object, counters: object, stats: DeltaStats) -> None:
    lib.twd_search_counters(job, counters)
    for name in DeltaStats.__slots__:
        setattr(stats, name, getattr(counters, name))


def patch(old: BytesLike | Seekable, ops: Iterable[BytesLike], out: Writable, *, max_output: int | None = None) -> PatchStats:
    """See `twsync.delta.patch`."""
    most = limits.MAX_FILE_SIZE if max_output is None else min(max(max_output, 0), limits.MAX_FILE_SIZE)
    job = ffi.gc(_made(lib.twd_patch_new(most)), lib.twd_patch_free)
    buffers = ffi.new("twd_buffers *")
    copier = _Copier(job, old, out)
    result = lib.TWD_MORE
    for chunk in ops:
        view = memoryview(chunk).cast("B")
        held = ffi.from_buffer("uint8_t[]", view)
        buffers.next_in, buffers.avail_in = held, len(view)
        while True:
            result = lib.twd_patch_step(job, buffers)
            if result == lib.TWD_LITERAL:
                end = len(view) - buffers.avail_in
                write_all(out, view[end - buffers.run_length : end])
            elif result == lib.TWD_COPY:
                copier.copy(buffers.copy_offset, buffers.copy_length)
            else:
                break
        if result == lib.TWD_CORRUPT:
            break
    if result != lib.TWD_DONE:
        raise FormatError(f"delta: {ffi.string(lib.twd_patch_reason(job)).decode()}")
    return PatchStats(lib.twd_patch_literal_bytes(job), lib.twd_patch_matched_bytes(job))


class _Copier:
    """Copies ranges of the old file to the new one, past the checksum of the job."""

    def __init__(self, job: object, old: BytesLike | Seekable, out: Writable) -> None:
        self._job = job
        self._old = old
        self._out = out
        self._view = bytes_of(old)
        self._buffer = memoryview(bytearray(_READ)) if self._view is None else self._view
        self._held = ffi.from_buffer("uint8_t[]", self._buffer)
        self._fill = filler(old) if self._view is None else None  # type: ignore[arg-type]

    def copy(self, offset: int, length: int) -> None:
        """Copy all of one range.

        :raises FormatError: the old file ends before it.
        """
        if self._fill is None:
            if offset + length > len(self._buffer):
                raise FormatError("delta: the old file is shorter than the one it was made for")
            self._take(offset, length)
            return
        self._old.seek(offset)  # type: ignore[union-attr]
        while length:
            want = min(length, _READ)
            if self._fill(self._buffer[:want]) < want:
                raise FormatError("delta: the old file is shorter than the one it was made for")
            self._take(0, want)
            length -= want

    def _take(self, start: int, length: int) -> None:
        if lib.twd_patch_copied(self._job, self._held + start, length) != lib.TWD_DONE:
            raise RuntimeError("the C core refused a copy that it had asked for")
        write_all(self._out, self._buffer[start : start + length])


def _made(pointer: object) -> object:
    if pointer == ffi.NULL:
        raise MemoryError
    return pointer
