"""How long a block should be, and how much of its strong sum a signature holds.

A signature costs 8 bytes or so a block, and a change costs about one block of literal bytes, so the sum of both grows slowest when the
block length grows with the square root of the file, as in rsync. Where rsync takes the root itself, which is best for 8 changes, here it is
half of that: best for 32. 1 GiB with 200 changes then takes 4.0 MB of signature and delta, with the root 7.0.

A false match, a weak and a truncated strong sum that both fit by chance, is found by the patch and costs another transfer. There are
(bytes) · (blocks) chances for it in a file that is searched whole, so the strong sum grows with both, as in rsync.
"""

from __future__ import annotations

from math import isqrt

from twsync import limits

#: Blocks below this cost more signature than they save literals (rsync's 700, made a multiple of the step).
SHORTEST = 704
#: Block lengths are multiples of this: two rounds of XXH64, one cache line.
STEP = 64
#: For a stream whose length nobody knows: 42 GiB fit a signature.
UNKNOWN = 32 * 1024
#: Largest file that has a signature.
LARGEST_FILE = limits.MAX_SIGNATURE_BLOCKS * limits.MAX_BLOCK_LENGTH
#: Bits of both sums together beyond what is needed for one false match in a file: 2**-16 is the chance of one, at most.
_SPARE_BITS = 16
_WEAK_BITS = 32


def block_length_for(size: int) -> int:
    """The block length for a file of `size` bytes.

    :raises ValueError: no signature within the limits describes so large a file.
    """
    if not 0 <= size <= LARGEST_FILE:
        raise ValueError(f"a file of {size} bytes is too large for a signature (at most {LARGEST_FILE}); send it whole")
    length = max(SHORTEST, isqrt(size) // 2, -(-size // limits.MAX_SIGNATURE_BLOCKS))
    return min(-(-length // STEP) * STEP, limits.MAX_BLOCK_LENGTH)


def strong_length_for(size: int, block_length: int) -> int:
    """The bytes of a strong sum for a file of `size` bytes in blocks of `block_length`: 4 up to about 1 GiB, 6 for 1 TiB."""
    bits = size.bit_length() + (size // block_length).bit_length() + _SPARE_BITS - _WEAK_BITS
    return min(max(-(-bits // 8), limits.MIN_STRONG_LENGTH), limits.MAX_STRONG_LENGTH)


def lengths_for(size: int | None, block_length: int | None, strong_length: int | None) -> tuple[int, int]:
    """Both lengths, where they are not given, for a file of `size` bytes; None for a stream of which nobody knows.

    :raises ValueError: no signature within the limits describes so large a file.
    """
    if block_length is None:
        block_length = UNKNOWN if size is None else block_length_for(size)
    if strong_length is None:
        most = block_length * limits.MAX_SIGNATURE_BLOCKS
        strong_length = strong_length_for(most if size is None else size, max(1, block_length))
    return block_length, strong_length
