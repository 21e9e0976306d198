"""The weak sum in Python, against its definition."""

from __future__ import annotations

import random

import pytest

from twsync.delta._pure_weak import MOST_WINDOWS, Sums, roll, sums


def by_definition(block: bytes) -> Sums:
    return Sums(sum(block) % 65536, sum((len(block) - place) * byte for place, byte in enumerate(block)) % 65536)


@pytest.mark.parametrize("length", [0, 1, 2, 511, 512, 2047, 2048, 2049, 5000, 32767, 32768, 32769, 70000])
@pytest.mark.parametrize("fill", [None, 0, 255])
def test_sums(length: int, fill: int | None) -> None:
    """Whole blocks of random bytes and of the two extremes."""
    block = random.Random(length).randbytes(length) if fill is None else bytes([fill]) * length
    assert sums(memoryview(block)) == by_definition(block)


@pytest.mark.parametrize("length", [1, 2, 16, 700, 65535, 65536, 65537])
@pytest.mark.parametrize("count", [1, 2, 3, 127, 128, 4095, 4096, MOST_WINDOWS])
def test_roll(length: int, count: int) -> None:
    """Windows rolled many at once, where sums wrap and where they do not."""
    for data in (random.Random(1).randbytes(length + count), b"\xff" * length + bytes(count), bytes(length) + b"\xff" * count):
        view = memoryview(data)
        found = roll(sums(view[:length]), view[:count], view[length:], length)
        assert len(found) == count
        for place in {0, 1, 62, 63, 64, count // 2, count - 1} & set(range(count)):
            assert found[place] == by_definition(data[place + 1 : place + 1 + length]).key


def test_worked_example() -> None:
    """The example of docs/protocol/delta-format.md."""
    assert sums(memoryview(b"\x01\x02\x03")) == Sums(6, 10)
    assert sums(memoryview(b"\x01\x02\x03")).packed == 0x000A0006
    assert Sums(6, 10).key == 0x0006000A
