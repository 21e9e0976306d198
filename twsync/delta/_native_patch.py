"""Patches by the C core."""

from __future__ import annotations

from twsync.delta._core import ffi, lib
from twsync.delta._joining import Joining
from twsync.delta.format import PatchStats
from twsync.delta.source import filler, opened, write_all
from twsync.errors import FormatError

TYPE_CHECKING = False  # so to type checkers it is true; see interface.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from twsync.delta._joining import Piece, Proof
    from twsync.delta.interface import BytesLike, Executor, Seekable, Writable

#: Bytes read from the old file at once: they stay in a second-level cache until they are written.
_READ = 256 * 1024


def patched(
    kernel: object,
    old: BytesLike | Seekable,
    ops: Iterable[BytesLike],
    out: Writable,
    most: int,
    executor: Executor | None,
    prove: Callable[[memoryview], object] | None,
) -> PatchStats:
    """Carry out a delta stream; see `twsync.delta.patch`."""
    job = lib.twd_patch_new(kernel, most)
    if job == ffi.NULL:
        raise MemoryError
    job = ffi.gc(job, lib.twd_patch_free)
    proof: Proof = _sums(job) if prove is None else lambda data, _pieces: prove(data)
    read_at = getattr(old, "readinto_at", None)
    if executor is None or read_at is None:
        result = _carried_out(job, ops, _Copier(old, out, proof))
    else:
        joining = Joining(read_at, out, executor, proof)
        try:
            result = _carried_out(job, ops, joining)
            if result == lib.TWD_DONE:
                joining.end()
        finally:
            joining.leave()
    if result == lib.TWD_DONE and prove is None:
        result = lib.twd_patch_prove(job)
    if result != lib.TWD_DONE:
        raise FormatError(f"delta: {ffi.string(lib.twd_patch_reason(job)).decode()}")
    return PatchStats(lib.twd_patch_literal_bytes(job), lib.twd_patch_matched_bytes(job))


def _sums(job: object) -> Proof:
    """The proof that the stream itself has: the checksum of its output."""

    def prove(data: memoryview, pieces: list[Piece]) -> None:
        at = 0
        with ffi.from_buffer("uint8_t[]", data) as held:
            for piece in pieces:
                if isinstance(piece, tuple):
                    offset, length = piece
                    if lib.twd_patch_take_blocks(job, offset, held + at, length) != lib.TWD_DONE:
                        raise RuntimeError("the C core refused a copy that it had asked for")
                else:
                    length = len(piece)
                    lib.twd_patch_take_bytes(job, held + at, length)
                at += length

    return prove


def _carried_out(job: object, ops: Iterable[BytesLike], writer: _Copier | Joining) -> int:
    """Read the stream and write the new file; what becomes of the stream at its end."""
    buffers = ffi.new("twd_buffers *")
    result: int = lib.TWD_MORE
    for chunk in ops:
        view = memoryview(chunk).cast("B")
        with ffi.from_buffer("uint8_t[]", view) as held:
            buffers.next_in, buffers.avail_in = held, len(view)
            while True:
                result = lib.twd_patch_step(job, buffers)
                if result == lib.TWD_LITERAL:
                    end = len(view) - buffers.avail_in
                    writer.write(view[end - buffers.run_length : end])
                elif result == lib.TWD_COPY:
                    writer.copy(buffers.copy_offset, buffers.copy_length)
                    lib.twd_patch_copied(job, buffers.copy_length)
                else:
                    break
        if result == lib.TWD_CORRUPT:
            break
    return result


class _Copier:
    """Writes the new file, one part after the other."""

    def __init__(self, old: BytesLike | Seekable, out: Writable, prove: Proof) -> None:
        self._old = source = opened(old)
        self._out = out
        self._prove = prove
        if not isinstance(source, memoryview):
            self._buffer = memoryview(bytearray(_READ))
            self._fill = filler(source)

    def write(self, part: memoryview) -> None:
        """Literal bytes."""
        self._put(part, part)

    def copy(self, offset: int, length: int) -> None:
        """One range of the old file.

        :raises FormatError: the old file ends before it.
        """
        if not isinstance(self._old, memoryview):
            self._old.seek(offset)
        while length:
            part = self._part(offset, length)
            if not part:
                raise FormatError("delta: the old file is shorter than the one it was made for")
            self._put(part, (offset, len(part)))
            offset += len(part)
            length -= len(part)

    def _part(self, offset: int, length: int) -> memoryview:
        """Some bytes of the old file at the place where it stands."""
        if isinstance(self._old, memoryview):
            return self._old[offset : offset + length]
        part = self._buffer[:length]
        return part[: self._fill(part)]

    def _put(self, part: memoryview, piece: Piece) -> None:
        self._prove(part, [piece])
        write_all(self._out, part)
