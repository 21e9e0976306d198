"""The rolling weak sum in Python, many at a time.

The sum of a block x[0..n) is s1 | s2 << 16, with s1 = sum of x[i] and s2 = sum of (n - i) * x[i], modulo 2**16 (rsync's).

A loop over bytes costs 200 ns each. Here long integers do the work of vectors: each byte gets a limb of 32 bits, the first byte the highest
limb, so that ``x + (x >> 32 * k)`` adds to every limb the one k places before it, all in one C loop. Limbs are kept from overflowing
into each other by cutting them to 16 bits in time; that is why the numbers of limbs below are what they are.
"""

from __future__ import annotations

import sys
from array import array
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

#: Most windows in one call of `roll`: longer integers leave the cache, shorter ones cost more calls. The bound by overflow is 65,281.
MOST_WINDOWS = 2048
#: Bytes of a row in `_rows`, and of the piece taken at once: sums of a piece stay below 2**32.
_ROW = 512
_PIECE = 64 * _ROW
_LIMB_MAX = 2**32 - 1


class Sums(NamedTuple):
    """The two halves of a weak sum, each below 2**16."""

    s1: int
    s2: int

    @property
    def packed(self) -> int:
        """The weak sum as signatures have it."""
        return self.s1 | self.s2 << 16


def sums(block: memoryview) -> Sums:
    """The sums of one whole block."""
    s1 = s2 = 0
    for start in range(0, len(block), _PIECE):
        piece = block[start : start + _PIECE]
        whole = len(piece) // _ROW
        if whole >= 4:
            r1, r2 = _rows(piece[: whole * _ROW], whole)
            s2 += whole * _ROW * s1 + r2
            s1 += r1
            piece = piece[whole * _ROW :]
        s2 += len(piece) * s1 + sum(accumulate(piece))
        s1 += sum(piece)
    return Sums(s1 & 0xFFFF, s2 & 0xFFFF)


def _rows(piece: memoryview, count: int) -> tuple[int, int]:
    """Both sums, not reduced, of `count` rows: c1 adds up the rows limb by limb, c2 the successive values of c1.

    A long integer modulo 2**32 - 1 is the sum of its limbs; modulo the square of that it also holds the sum weighted by place, since
    2**(32 k) is 1 + k (2**32 - 1) there.
    """
    spread = bytearray(4 * len(piece))
    spread[3::4] = piece
    c1 = c2 = 0
    for start in range(0, len(spread), 4 * _ROW):
        c1 += int.from_bytes(spread[start : start + 4 * _ROW], "big")
        c2 += c1
    by_place, s1 = divmod(c1 % _LIMB_MAX**2, _LIMB_MAX)  # by_place: sum of (_ROW - 1 - j) * c1[j]
    return s1, _ROW * (c2 % _LIMB_MAX) - (_ROW - 1) * s1 + by_place


@lru_cache(maxsize=4 * MOST_WINDOWS)
def _constants(count: int) -> tuple[int, int]:
    """In `count` limbs: the mask of the low halves, and the number 2**16, which keeps differences positive."""
    ones = int.from_bytes(b"\0\0\0\1" * count, "big")
    return ones * 0xFFFF, ones << 16


def roll(before: Sums, leaving: memoryview, entering: memoryview, length: int) -> array[int]:
    """The packed sums of the windows of `length` bytes that follow one with sums `before`, when bytes leave and enter one by one.

    :param leaving: at most MOST_WINDOWS bytes; `entering` has as many.
    """
    count = len(leaving)
    mask, bias = _constants(count)
    first, bits = 32 * (count - 1), 32 * count
    spread = bytearray(4 * count)
    spread[3::4] = leaving
    out = int.from_bytes(spread, "big")
    spread[3::4] = entering
    s1 = int.from_bytes(spread, "big") + bias - out + (before.s1 << first)  # each limb: entering - leaving
    shift = 32
    while shift < bits:
        s1 += s1 >> shift
        shift *= 2
    s1 &= mask
    s2 = (s1 + out * (-length & 0xFFFF) & mask) + (before.s2 << first)  # each limb: s1 - length * leaving
    shift = 32
    while shift < bits:
        s2 += s2 >> shift
        shift *= 2
    packed = array("I", (s1 | (s2 & mask) << 16).to_bytes(4 * count, "big"))
    if sys.byteorder == "little":
        packed.byteswap()
    return packed
