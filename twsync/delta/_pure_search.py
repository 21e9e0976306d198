"""The search of the pure-Python core: finds the blocks of a signature in the new file, and gives the pieces of a delta stream.

See csrc/search.c for why its time is linear whatever the signature says, and docs/protocol/delta-format.md for the order of trials.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import compress, count
from struct import iter_unpack

import xxhash

from twsync import limits
from twsync.delta._pure_weak import MOST_WINDOWS, Sums, roll, sums
from twsync.delta.format import (
    DELTA_HEADER,
    DELTA_MAGIC,
    DELTA_TRAILER,
    OP_COPY,
    OP_END,
    OP_LITERAL,
    SIGNATURE_HEADER,
    SIGNATURE_TRAILER,
    DeltaStats,
    SignatureInfo,
    varint,
)
from twsync.delta.interface import BytesLike, Readable
from twsync.delta.source import filler, opened

#: Windows whose sums are computed at once behind a match; doubled up to MOST_WINDOWS while nothing is found.
_FEWEST_WINDOWS = 256
#: Of these, how many are looked for in the table at once.
_LOOK = 512
#: Bytes of a file's window beyond what the search needs at least.
_AHEAD = 1024 * 1024
#: Literal operations from this length on are handed out as views of the window; shorter ones are copied, to be joined.
_RUN = 16 * 1024


class Table:
    """The blocks of one checked signature, by the keys of their weak sums (see `Sums.key`)."""

    def __init__(self, info: SignatureInfo, signature: memoryview) -> None:
        self.block_length = info.block_length
        self.short_length = info.short_length
        self.seed = info.seed
        self.length = info.length
        self.full = info.full_blocks
        self.strong_length = info.strong_length
        entries = list(iter_unpack(f">HH{info.strong_length}s", signature[SIGNATURE_HEADER.size : -SIGNATURE_TRAILER.size]))
        self.strong: list[bytes] = [strong for _, _, strong in entries]
        self.blocks: dict[int, tuple[int, ...]] = {}
        for block, (s2, s1, strong) in enumerate(entries[: self.full]):
            weak = s2 | s1 << 16  # as Sums.key
            same = self.blocks.get(weak)
            if same is None:
                self.blocks[weak] = (block,)
            elif len(same) < limits.MAX_BLOCK_CANDIDATES and all(self.strong[other] != strong for other in same):
                self.blocks[weak] = (*same, block)
        self.weak = frozenset(self.blocks)

    def among(self, keys: array[int]) -> Iterator[int]:
        """The places of those keys that the table has."""
        for start in range(0, len(keys), _LOOK):
            few = keys[start : start + _LOOK]
            if not self.weak.isdisjoint(few):
                yield from compress(count(start), map(self.weak.__contains__, few))

    def length_of(self, block: int) -> int:
        """Bytes of a block."""
        return self.block_length if block < self.full else self.short_length


class Window:
    """The new file from the first byte that is not yet written as an operation."""

    def __init__(self, source: BytesLike | Readable, block_length: int) -> None:
        new = opened(source)
        self.start = 0
        if isinstance(new, memoryview):
            self.view, self.end, self._fill = new, len(new), None
        else:
            self.view = memoryview(bytearray(block_length + limits.MAX_LITERAL + _AHEAD))
            self.end = 0
            self._fill = filler(new)

    def available(self, want: int) -> int:
        """How many bytes there are; fewer than `want` (a block, the longest literal and a byte at most) only at the end of the file."""
        if self._fill is not None and self.end - self.start < want:
            left = self.end - self.start
            self.view[:left] = self.view[self.start : self.end]
            self.start, self.end = 0, left + self._fill(self.view[left:])
            if self.end < len(self.view):
                self._fill = None
        return self.end - self.start

    def bytes(self, at: int, length: int) -> memoryview:
        """Some bytes that `available` said are there."""
        return self.view[self.start + at : self.start + at + length]


class Search:
    """One search; iterating gives the pieces of the stream. A piece that is a view is good until the next one is asked for."""

    def __init__(self, table: Table, window: Window, stats: DeltaStats) -> None:
        self._table = table
        self._window = window
        self._stats = stats
        self._output = xxhash.xxh64(seed=table.seed)
        self._frame = xxhash.xxh64(seed=table.seed)
        self._at = 0
        self._rolling = False
        self._expected = 0
        self._since = 0
        self._rate = limits.CONFIRM_BYTES_PER_BYTE + (table.length >> limits.CONFIRM_SHARE_SHIFT)
        self._credit = self._most_credit = table.block_length * limits.CONFIRM_BURST_BLOCKS
        #: The strong sum, whole, of the block found last.
        self._found = b""
        self._copy_first = self._copy_count = 0
        # The keys of windows that were computed ahead: those after the one at `at`, and which of them the table has.
        self._sums = Sums(0, 0)
        self._ahead: array[int] = array("I")
        self._ahead_at = 0
        self._hits: Iterator[int] = iter(())
        self._step = _FEWEST_WINDOWS

    def __iter__(self) -> Iterator[bytes | memoryview]:
        yield self._put(DELTA_HEADER.pack(DELTA_MAGIC, self._table.seed, self._table.block_length, self._table.length))
        length = self._table.block_length
        while True:
            available = self._window.available(self._at + length + 1)
            if available - self._at < length:
                break
            if not self._rolling:
                block = self._try_fresh()
                if block is None:
                    self._rolling = True
                    continue
            elif self._at == limits.MAX_LITERAL:
                self._since += self._at
                self._at = 0
                yield from self._literals(limits.MAX_LITERAL)
                continue
            else:
                most = min(available - self._at - length, limits.MAX_LITERAL - self._at)
                if not most:
                    break
                block = self._scan(most)
                if block is None:
                    continue
            yield from self._literals(self._at)
            yield self._match(block)
        yield from self._tail()

    def _put(self, data: bytes) -> bytes:
        """Bytes of the stream that are not literals."""
        self._frame.update(data)
        return data

    def _is_block(self, at: int, block: int) -> bool:
        data = self._window.bytes(at, self._table.length_of(block))
        self._found = xxhash.xxh64_digest(data, self._table.seed)
        return self._found.startswith(self._table.strong[block])

    def _try_fresh(self) -> int | None:
        """The block at `at`, directly behind a match or at the start of the file."""
        table = self._table
        if self._expected < table.full and self._is_block(self._at, self._expected):
            return self._expected
        self._sums = sums(self._window.bytes(self._at, table.block_length))
        self._hits, self._ahead, self._step = iter(()), array("I"), _FEWEST_WINDOWS
        same = table.blocks.get(self._sums.key)
        block = self._look_up(same) if same else None
        if block is None and table.short_length and self._expected == table.full and self._is_block(self._at, table.full):
            return table.full
        return block

    def _scan(self, most: int) -> int | None:
        """Go on, by at least one byte, to the next candidate, or as far as sums are computed."""
        table = self._table
        if not table.weak:
            self._go(self._at + most)
            return None
        if not self._ahead:
            leaving, entering = self._window.bytes(self._at, most), self._window.bytes(self._at + table.block_length, most)
            self._ahead = roll(self._sums, leaving[: self._step], entering[: self._step], table.block_length)
            self._ahead_at = self._at + 1
            self._step = min(2 * self._step, MOST_WINDOWS)
            self._hits = table.among(self._ahead)
        hit = next(self._hits, None)
        if hit is None:
            self._go(self._ahead_at + len(self._ahead) - 1)
            self._sums = Sums(self._ahead[-1] >> 16, self._ahead[-1] & 0xFFFF)
            self._ahead = array("I")
            return None
        self._go(self._ahead_at + hit)
        return self._look_up(table.blocks[self._ahead[hit]])

    def _go(self, at: int) -> None:
        self._credit = min(self._most_credit, self._credit + self._rate * (at - self._at))
        self._at = at

    def _look_up(self, same: tuple[int, ...]) -> int | None:
        """The block that stands at `at`, of those with its weak sum; the one that goes on from the last match is preferred."""
        table, stats = self._table, self._stats
        stats.candidates += 1
        if self._credit < table.block_length:
            stats.passed_over += 1
            return None
        self._found = xxhash.xxh64_digest(self._window.bytes(self._at, table.block_length), table.seed)
        strong = self._found[: table.strong_length]
        for block in same:
            stats.compared += 1
            if table.strong[block] == strong:
                break
        else:
            stats.false_hits += 1
            self._credit -= table.block_length
            return None
        if self._expected < table.full:
            replaced, odd = divmod(self._since + self._at, table.block_length)
            replaced += self._expected
            if not odd and replaced < table.full and table.strong[replaced] == strong:
                return replaced
            if table.strong[self._expected] == strong:
                return self._expected
        return block

    def _literals(self, length: int) -> Iterator[bytes | memoryview]:
        """Write the next `length` bytes as literal operations."""
        while length:
            part = min(length, limits.MAX_LITERAL)
            data = self._window.bytes(0, part)
            yield self._held_copy() + self._put(bytes((OP_LITERAL,)) + varint(part))
            self._output.update(data)
            yield data if part >= _RUN else bytes(data)
            self._stats.literals += 1
            self._stats.literal_bytes += part
            self._window.start += part
            length -= part

    def _held_copy(self) -> bytes:
        if not self._copy_count:
            return b""
        self._stats.copies += 1
        op = self._put(bytes((OP_COPY,)) + varint(self._copy_first) + varint(self._copy_count))
        self._copy_count = 0
        return op

    def _match(self, block: int) -> bytes:
        """The window's first bytes are `block`: continue the copy that is held back, or give it and hold a new one."""
        length = self._table.length_of(block)
        op = b""
        if not self._copy_count or self._copy_first + self._copy_count != block:
            op = self._held_copy()
            self._copy_first = block
        self._copy_count += 1
        self._stats.matched_bytes += length
        self._output.update(self._found)
        self._window.start += length
        self._at = self._since = 0
        self._rolling = False
        self._expected = block + 1
        return op

    def _tail(self) -> Iterator[bytes | memoryview]:
        """All windows were tried: only the short last block can still be found."""
        table, short = self._table, self._table.short_length
        available = self._window.available(0)
        if short and not self._rolling and self._expected == table.full and available >= short and self._is_block(0, table.full):
            yield self._match(table.full)
            available -= short
        if short and available - self._at >= short and self._is_block(available - short, table.full):
            yield from self._literals(available - short)
            yield self._match(table.full)
            available = 0
        yield from self._literals(available)
        yield self._held_copy()
        total = self._stats.literal_bytes + self._stats.matched_bytes
        end = self._put(bytes((OP_END,)) + DELTA_TRAILER.pack(total, self._output.intdigest(), 0)[:16])
        yield end + self._frame.intdigest().to_bytes(8, "big")
