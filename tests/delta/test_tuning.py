"""Default block lengths."""

from __future__ import annotations

import pytest

from twsync import limits
from twsync.delta.tuning import LARGEST_FILE, SHORTEST, STEP, block_length_for


@pytest.mark.parametrize(
    ("size", "expected"),
    [(0, 704), (1, 704), (490_000, 704), (1_000_000, 1024), (256 * 2**20, 16384), (2**40, 2**20), (LARGEST_FILE, limits.MAX_BLOCK_LENGTH)],
)
def test_known_sizes(size: int, expected: int) -> None:
    """The square root, not below rsync's shortest."""
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


@pytest.mark.parametrize("size", [-1, LARGEST_FILE + 1])
def test_out_of_bounds(size: int) -> None:
    """A file that no signature describes is said to be one."""
    with pytest.raises(ValueError, match="too large"):
        block_length_for(size)
