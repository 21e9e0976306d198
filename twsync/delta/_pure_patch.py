"""Patch of the pure-Python core: reads a delta stream in any portions and writes the new file."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable

import xxhash

from twsync import limits
from twsync.delta.format import (
    DELTA_HEADER,
    DELTA_MAGIC,
    DELTA_TRAILER,
    MAX_VARINT,
    OP_COPY,
    OP_END,
    OP_LITERAL,
    PatchStats,
)
from twsync.delta.interface import BytesLike, Executor, Seekable, Writable
from twsync.delta.source import filler, opened, write_all
from twsync.errors import FormatError

_READ = 256 * 1024


def patch(
    old: BytesLike | Seekable,
    ops: Iterable[BytesLike],
    out: Writable,
    *,
    max_output: int | None = None,
    executor: Executor | None = None,
    prove: Callable[[memoryview], object] | None = None,
) -> PatchStats:
    """See `twsync.delta.patch`. Does one thing at a time, with or without an executor."""
    most = limits.MAX_FILE_SIZE if max_output is None else min(max(max_output, 0), limits.MAX_FILE_SIZE)
    reader = _Reader()
    writer = _Writer(old, out, prove)
    parser = _parse(reader, writer, most)
    next(parser)
    for chunk in ops:
        reader.feed(memoryview(chunk).cast("B"))
        next(parser)
    if not reader.ended:
        raise FormatError("delta: truncated")
    return PatchStats(writer.literal_bytes, writer.matched_bytes)


class _Reader:
    """The stream's bytes as they come in."""

    def __init__(self) -> None:
        self._view = memoryview(b"")
        self.ended = False

    def feed(self, view: memoryview) -> None:
        """The next chunk; the one before is used up."""
        self._view = view

    def take(self, most: int) -> memoryview:
        """Between 0 and `most` bytes of what is there."""
        taken, self._view = self._view[:most], self._view[most:]
        return taken


class _Writer:
    """Writes the new file and keeps its checksum."""

    def __init__(self, old: BytesLike | Seekable, out: Writable, prove: Callable[[memoryview], object] | None) -> None:
        self._old = source = opened(old)
        self._prove = prove
        self._out = out
        if not isinstance(source, memoryview):
            self._fill = filler(source)
            self._buffer = memoryview(bytearray(_READ))
        self.literal_bytes = self.matched_bytes = 0
        self.begin(0, 1)

    def begin(self, seed: int, block_length: int) -> None:
        """Take what the stream's header says."""
        self._seed = seed
        self._block_length = block_length
        self._checksum = xxhash.xxh64(seed=seed)

    def literal(self, data: memoryview) -> None:
        """Write bytes of the stream."""
        self.literal_bytes += len(data)
        if self._prove is None:
            self._checksum.update(data)
        self._write(data)

    def copy(self, offset: int, length: int) -> None:
        """Write some blocks of the old file. Their sums stand for them in the output's.

        :raises FormatError: the old file ends before it.
        """
        if not isinstance(self._old, memoryview):
            self._old.seek(offset)
        self.matched_bytes += length
        while length:
            block = xxhash.xxh64(seed=self._seed)
            left = min(length, self._block_length)
            length -= left
            while left:
                data = self._old_bytes(offset, min(left, _READ))
                if self._prove is None:
                    block.update(data)
                self._write(data)
                offset += len(data)
                left -= len(data)
            self._checksum.update(block.digest())

    def is_proved(self, checksum: int) -> bool:
        """Whether what was written has this checksum, if nobody else proves it."""
        return self._prove is not None or checksum == self._checksum.intdigest()

    def _write(self, data: memoryview) -> None:
        if self._prove is not None:
            self._prove(data)
        write_all(self._out, data)

    def _old_bytes(self, offset: int, want: int) -> memoryview:
        """The next `want` bytes of the old file, which stand at `offset`."""
        source = self._old
        data = source[offset : offset + want] if isinstance(source, memoryview) else self._buffer[: self._fill(self._buffer[:want])]
        if len(data) < want:
            raise FormatError("delta: the old file is shorter than the one it was made for")
        return data


def _fixed(reader: _Reader, size: int) -> Generator[None, None, bytes]:
    """The next `size` bytes, waiting for them."""
    data = b""
    while True:
        data += reader.take(size - len(data))
        if len(data) == size:
            return data
        yield


def _number(reader: _Reader) -> Generator[None, None, bytes]:
    """The bytes of the next variable-length number. The longest form has 63 bits, so nothing can overflow."""
    digits = b""
    while True:
        digit = yield from _fixed(reader, 1)
        digits += digit
        if digit[0] < 0x80:
            if len(digits) > 1 and not digit[0]:
                raise FormatError("delta: a number is not in its shortest form")
            return digits
        if len(digits) == MAX_VARINT:
            raise FormatError("delta: a number is too long")


def _value(digits: bytes) -> int:
    return sum((digit & 0x7F) << 7 * place for place, digit in enumerate(digits))


def _parse(reader: _Reader, writer: _Writer, most: int) -> Generator[None, None, None]:
    """Carries out the stream; yields when it needs another chunk, and forever once it has ended."""
    header = yield from _fixed(reader, DELTA_HEADER.size)
    magic, seed, block_length, old_length = DELTA_HEADER.unpack(header)
    if magic != DELTA_MAGIC:
        raise FormatError("delta: not a delta stream, or of another version")
    if not limits.MIN_BLOCK_LENGTH <= block_length <= limits.MAX_BLOCK_LENGTH:
        raise FormatError("delta: the block length is out of bounds")
    if old_length > limits.MAX_FILE_SIZE:
        raise FormatError("delta: the old file's length is out of bounds")
    writer.begin(seed, block_length)
    frame = xxhash.xxh64(header, seed=seed)
    written = 0
    while True:
        op = yield from _fixed(reader, 1)
        frame.update(op)
        if op[0] == OP_END:
            break
        if op[0] not in (OP_LITERAL, OP_COPY):
            raise FormatError("delta: an unknown operation")
        first = 0
        if op[0] == OP_COPY:
            digits = yield from _number(reader)
            frame.update(digits)
            first = _value(digits)
        digits = yield from _number(reader)
        frame.update(digits)
        length = _value(digits)
        if op[0] == OP_COPY:
            if first + length > -(-old_length // block_length):
                raise FormatError("delta: a copy reaches beyond the end of the old file")
            length = min(length * block_length, old_length - first * block_length) if length else 0
        if op[0] == OP_LITERAL and length > limits.MAX_LITERAL:
            raise FormatError("delta: a literal is too long")
        if not length:
            raise FormatError("delta: an operation of no bytes")
        if length > most - written:
            raise FormatError("delta: it writes more than is allowed")
        written += length
        if op[0] == OP_COPY:
            writer.copy(first * block_length, length)
            continue
        while length:
            data = reader.take(length)
            if not data:
                yield
            else:
                writer.literal(data)
                length -= len(data)
    trailer = yield from _fixed(reader, DELTA_TRAILER.size)
    frame.update(trailer[:16])
    total, checksum, frame_checksum = DELTA_TRAILER.unpack(trailer)
    if frame_checksum != frame.intdigest():
        raise FormatError("delta: altered (its checksum does not fit)")
    if total != written:
        raise FormatError("delta: it does not write as many bytes as it says")
    if not writer.is_proved(checksum):
        raise FormatError("delta: the bytes written are not those of the new file (altered, or made for another old file)")
    reader.ended = True
    while True:
        if reader.take(1):
            raise FormatError("delta: other bytes follow its end")
        yield
