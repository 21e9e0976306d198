"""How long a block should be.

A signature costs 12 bytes a block, and a change costs about one block of literal bytes, so the sum of both grows slowest when the block
length grows with the square root of the file, as in rsync. With it a signature of 1 TiB is 12 MiB; above 2 TiB the limit of signatures
(16 MiB) makes the blocks grow in proportion, up to 16 MiB for 21 TiB, which is the largest file that has a signature.
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


def block_length_for(size: int) -> int:
    """The block length for a file of `size` bytes.

    :raises ValueError: no signature within the limits describes so large a file.
    """
    if not 0 <= size <= LARGEST_FILE:
        raise ValueError(f"a file of {size} bytes is too large for a signature (at most {LARGEST_FILE}); send it whole")
    length = max(SHORTEST, isqrt(size), -(-size // limits.MAX_SIGNATURE_BLOCKS))
    return min(-(-length // STEP) * STEP, limits.MAX_BLOCK_LENGTH)
