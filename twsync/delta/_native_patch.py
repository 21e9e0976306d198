"""Patches by the C core."""

from __future__ import annotations

from twsync.delta._core import ffi, lib
from twsync.delta._native_spread import Spread
from twsync.delta.format import PatchStats
from twsync.delta.source import filler, opened, write_all
from twsync.errors import FormatError

TYPE_CHECKING = False  # so to type checkers it is true; see interface.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from twsync.delta.interface import BytesLike, Call, Executor, Seekable, Writable

#: Bytes read from the old file at once: they stay in a second-level cache until they are written.
_READ = 256 * 1024
#: The same with an executor: handing over costs 20 µs or so.
_READ_BESIDE = 512 * 1024
#: Bytes from which on a write is handed to the executor.
_WRITE_BESIDE = 64 * 1024


class _Beside:
    """At most one call under way: on an executor, or, without one, at once."""

    def __init__(self, executor: Executor | None) -> None:
        self._executor = executor
        self._future: Call[None] | None = None
        #: Buffers needed, one of them for the call under way.
        self.buffers = 1 if executor is None else 2

    def start(self, function: Callable[..., None], *arguments: object) -> None:
        """Call `function`, when the call before has ended well."""
        self.wait()
        if self._executor is None:
            function(*arguments)
        else:
            self._future = self._executor.submit(function, *arguments)

    def wait(self) -> None:
        """Wait for the last call; raises what it raises."""
        future, self._future = self._future, None
        if future is not None:
            future.result()

    def leave(self) -> None:
        """Wait for a call under way whose result nobody wants: its file and buffer are the caller's again afterwards."""
        future, self._future = self._future, None
        if future is not None and not future.cancel():
            future.exception()


def patched(
    kernel: object,
    old: BytesLike | Seekable,
    ops: Iterable[BytesLike],
    out: Writable,
    most: int,
    executor: Executor | None,
    copy: Callable[[int, int], None] | None,
) -> PatchStats:
    """Carry out a delta stream; see `twsync.delta.patch`."""
    job = lib.twd_patch_new(kernel, most)
    if job == ffi.NULL:
        raise MemoryError
    job = ffi.gc(job, lib.twd_patch_free)
    read_at = getattr(old, "readinto_at", None)
    writer: _Copier | Spread
    if executor is not None and read_at is not None and copy is None:
        writer = Spread(job, read_at, out, executor)
    else:
        writer = _Copier(job, old, out, executor)
    try:
        return _patched(job, ops, writer, copy)
    finally:
        writer.leave()


def _patched(job: object, ops: Iterable[BytesLike], writer: _Copier | Spread, copy: Callable[[int, int], None] | None) -> PatchStats:
    buffers = ffi.new("twd_buffers *")
    result = lib.TWD_MORE
    for chunk in ops:
        view = memoryview(chunk).cast("B")
        with ffi.from_buffer("uint8_t[]", view) as held:
            buffers.next_in, buffers.avail_in = held, len(view)
            while True:
                result = lib.twd_patch_step(job, buffers)
                if result == lib.TWD_LITERAL:
                    end = len(view) - buffers.avail_in
                    writer.write(view[end - buffers.run_length : end])
                elif result == lib.TWD_COPY and copy is not None:
                    writer.give_back()
                    copy(buffers.copy_offset, buffers.copy_length)
                    lib.twd_patch_skipped(job, buffers.copy_length)
                elif result == lib.TWD_COPY:
                    writer.copy(buffers.copy_offset, buffers.copy_length)
                else:
                    break
        writer.give_back()
        if result == lib.TWD_CORRUPT:
            break
    if result == lib.TWD_DONE:
        result = writer.end()
    if result != lib.TWD_DONE:
        raise FormatError(f"delta: {ffi.string(lib.twd_patch_reason(job)).decode()}")
    return PatchStats(lib.twd_patch_literal_bytes(job), lib.twd_patch_matched_bytes(job))


class _Copier:
    """Writes the new file: literals, and ranges of the old file past the checksum of the job."""

    def __init__(self, job: object, old: BytesLike | Seekable, out: Writable, executor: Executor | None) -> None:
        beside = _Beside(executor)
        self._job = job
        self._old = source = opened(old)
        self._out = out
        self._beside = beside
        size = _READ if beside.buffers == 1 else _READ_BESIDE
        if isinstance(source, memoryview):
            self._buffers = [source]
        else:
            self._buffers = [memoryview(bytearray(size)) for _ in range(beside.buffers)]
            self._fill = filler(source)

    def copy(self, offset: int, length: int) -> None:
        """Copy all of one range.

        :raises FormatError: the old file ends before it.
        """
        if isinstance(self._old, memoryview):
            if offset + length > len(self._old):
                raise FormatError("delta: the old file is shorter than the one it was made for")
            self._take(self._old[offset : offset + length])
            return
        self._old.seek(offset)
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

    def give_back(self) -> None:
        """All that was given is written: it is the caller's again."""
        self._beside.wait()

    def end(self) -> int:
        """What becomes of the stream, which has come to its end."""
        done: int = lib.TWD_DONE
        return done

    def leave(self) -> None:
        """Nothing is under way any more."""
        self._beside.leave()
