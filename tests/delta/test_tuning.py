"""Default block lengths."""

from __future__ import annotations

import pytest

from twsync import limits
from twsync.delta.tuning import LARGEST_FILE, SHORTEST, STEP, block_length_for, strong_length_for


@pytest.mark.parametrize(
    ("size", "expected"),
    [(0, 704), (1, 704), (1_900_000, 704), (4_000_000, 1024), (2**30, 16384), (2**40, 786_496), (LARGEST_FILE, limits.MAX_BLOCK_LENGTH)],
)
def test_known_sizes(size: int, expected: int) -> None:
    """Half the square root, not below rsync's shortest."""
    assert block_length_for(size) == expected


def test_every_signature_is_within_its_limit() -> None:
    """Also just around each power of two, and at the largest file."""
    last = 0
    for size in sorted({min(LARGEST_FILE, 2**power + off) for power in range(45) for off in (-1, 0, 1)}):
        length = block_length_for(size)
        assert SHORTEST <= length <= limits.MAX_BLOCK_LENGTH
        assert length % STEP == 0
        assert -(-size // length) <= limits.MAX_SIGNATURE_BLOCKS
        assert length >= last
        last = length


@pytest.mark.parametrize("size", [0, 1, 10**6, 2**30, 2**32, 10**12, 2**42, LARGEST_FILE])
def test_strong_length(size: int) -> None:
    """Both sums together make a false match in a file that is searched whole rarer than one in 65,536, or are as long as they can be."""
    block_length = block_length_for(size)
    strong_length = strong_length_for(size, block_length)
    assert limits.MIN_STRONG_LENGTH <= strong_length <= limits.MAX_STRONG_LENGTH
    assert size * (size // block_length) * 2**16 <= 2 ** (32 + 8 * strong_length)
    if strong_length > limits.MIN_STRONG_LENGTH:
        assert 4 * size * (size // block_length) * 2**16 > 2 ** (24 + 8 * strong_length)


@pytest.mark.parametrize("size", [-1, LARGEST_FILE + 1])
def test_out_of_bounds(size: int) -> None:
    """A file that no signature describes is said to be one."""
    with pytest.raises(ValueError, match="too large"):
        block_length_for(size)
