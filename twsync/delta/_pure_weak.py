"""The rolling weak sum in Python, many at a time.

The sum of a block x[0..n) is s1 | s2 << 16, with s1 = sum of x[i] and s2 = sum of (n - i) * x[i], modulo 2**16 (rsync's).

A loop over bytes costs 200 ns each. Here long integers do the work of vectors: numbers side by side, in limbs of 32 bits, so that one
addition, in one C loop, adds all of them. Limbs are kept from overflowing into each other by cutting them to 16 bits in time; that is why
the numbers of limbs and of steps below are what they are.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

#: Most windows in one call of `roll`: longer integers leave the cache, shorter ones cost more calls.
MOST_WINDOWS = 16384
#: Windows that `roll` goes along one by one, in many places at once: more with more windows. The sums of 64 stay below 2**31.
_STEPS, _STEPS_FROM, _FEW_STEPS = 64, 4096, 16
#: Bytes of a row in `_rows`, and of the piece taken at once: sums of a piece stay below 2**32.
_ROW = 512
_PIECE = 64 * _ROW
_LIMB_MAX = 2**32 - 1
#: By how much the first, second... byte of a number in memory is shifted.
_SHIFTS = (0, 8, 16, 24) if sys.byteorder == "little" else (24, 16, 8, 0)


class Sums(NamedTuple):
    """The two halves of a weak sum, each below 2**16."""

    s1: int
    s2: int

    @property
    def packed(self) -> int:
        """The weak sum as signatures have it."""
        return self.s1 | self.s2 << 16

    @property
    def key(self) -> int:
        """The same with its halves exchanged. Sets go by low bits; s2 is spread evenly, s1, a sum of many like numbers, is not."""
        return self.s2 | self.s1 << 16


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


@lru_cache(maxsize=1024)
def _constants(count: int) -> tuple[int, int, int]:
    """In `count` limbs: the masks of the low byte and of the low half, and the number 2**16, which keeps differences positive."""
    ones = _limbs([1] * count)
    return ones * 0xFF, ones * 0xFFFF, ones << 16


def _limbs(numbers: Sequence[int]) -> int:
    """Numbers below 2**32 side by side."""
    return int.from_bytes(array("I", numbers).tobytes(), sys.byteorder)


def _columns(data: memoryview, steps: int, count: int) -> list[int]:
    """Of `count` rows of `steps` bytes, the last one filled up with zeros: the bytes of each column side by side."""
    low, *_ = _constants(count)
    words = array("I", b"".join((data, bytes(steps * count - len(data)))))
    four = (int.from_bytes(words[at :: steps // 4].tobytes(), sys.byteorder) for at in range(steps // 4))
    return [columns >> shift & low for columns in four for shift in _SHIFTS]


def _starts(first: int, gains: int, count: int) -> int:
    """What each row begins with, cut to 16 bits, if the first one does with `first`, and each gains so much up to the next."""
    numbers = array("I", gains.to_bytes(4 * count, sys.byteorder))
    return _limbs([number & 0xFFFF for number in accumulate(numbers[:-1], initial=first)])


def roll(before: Sums, leaving: memoryview, entering: memoryview, length: int) -> array[int]:
    """The keys of the windows of `length` bytes that follow one with sums `before`, when bytes leave and enter one by one.

    The windows are taken as rows, all of which go on at once, beginning with nothing; what a row really begins with is what the rows
    before it have gained, and is added to all of it.

    :param leaving: at most MOST_WINDOWS bytes; `entering` has as many.
    """
    steps = _STEPS if len(leaving) >= _STEPS_FROM else _FEW_STEPS
    count = -(-len(leaving) // steps)
    _, mask, bias = _constants(count)
    out = _columns(leaving, steps, count)
    gained = list(accumulate(new + bias - old for new, old in zip(_columns(entering, steps, count), out, strict=True)))
    start = _starts(before.s1, gained[-1], count)
    s1 = [gain + start & mask for gain in gained]
    factor = -length & 0xFFFF
    gained = list(accumulate(s + factor * old for s, old in zip(s1, out, strict=True)))
    start = _starts(before.s2, gained[-1], count)
    keys = array("I", bytes(4 * steps * count))
    for step, (low, gain) in enumerate(zip(s1, gained, strict=True)):
        keys[step::steps] = array("I", (gain + start & mask | low << 16).to_bytes(4 * count, sys.byteorder))
    return keys[: len(leaving)]
