"""The two streams, byte for byte: docs/protocol/delta-format.md.

Constants, the strict parse of a signature, and the two counters that every caller wants. Both backends encode and decode by this module,
so that a stream is refused with the same words whoever reads it. All numbers are big endian, as in the peer protocol.
"""

from __future__ import annotations

import struct

import xxhash

from twsync import limits
from twsync.errors import FormatError

#: First bytes of a signature stream. The first byte is not text, the digit is the version, the newline finds text-mode copies.
SIGNATURE_MAGIC = b"\x89twsig2\n"
#: First bytes of a delta stream.
DELTA_MAGIC = b"\x89twdel2\n"
#: Signature header: magic, block length, bytes of a strong sum, seed.
SIGNATURE_HEADER = struct.Struct(">8sIBQ")
#: Bytes of a weak sum; with the strong one it is the entry of a block.
WEAK_LENGTH = 4
#: Marks the trailer of a signature.
SIGNATURE_END = b"\x00end"
#: Signature trailer: marker, bytes of the old file, number of blocks, XXH64 (seed 0) of all bytes before it.
SIGNATURE_TRAILER = struct.Struct(">4sQIQ")
#: Delta header: magic, seed, block length, bytes of the old file.
DELTA_HEADER = struct.Struct(">8sQIQ")
#: Operations.
OP_END, OP_LITERAL, OP_COPY = 0, 1, 2
#: After OP_END: bytes of the new file; XXH64 (seed) of it, the sum of each copied block in place of its bytes; XXH64 (seed) of all stream
#: bytes before it that are not literal bytes.
DELTA_TRAILER = struct.Struct(">QQQ")
#: Bytes of the longest variable-length number: 63 bits.
MAX_VARINT = 9


class _Record:
    """Named fields, compared and shown by value. `dataclasses` would cost 20 ms whenever the command starts, for three small classes."""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__slots__)})"


class SignatureInfo(_Record):
    """What header and trailer of a checked signature say.

    :param block_length: bytes of a block; the last may be shorter.
    :param strong_length: bytes of a strong sum.
    :param seed: seed of the strong sums.
    :param length: bytes of the old file.
    :param blocks: number of blocks, a short last one included.
    """

    __slots__ = ("block_length", "blocks", "length", "seed", "strong_length")

    def __init__(self, block_length: int, strong_length: int, seed: int, length: int, blocks: int) -> None:
        self.block_length = block_length
        self.strong_length = strong_length
        self.seed = seed
        self.length = length
        self.blocks = blocks

    @property
    def full_blocks(self) -> int:
        """Blocks of full length."""
        return self.length // self.block_length

    @property
    def short_length(self) -> int:
        """Bytes of the short last block, 0 if there is none."""
        return self.length % self.block_length


class DeltaStats(_Record):
    """What a search did. Filled while the iterator of `delta()` is read; complete when that has ended."""

    __slots__ = ("candidates", "compared", "copies", "false_hits", "literal_bytes", "literals", "matched_bytes", "passed_over")

    def __init__(self) -> None:
        #: Bytes of the new file that travel in the stream.
        self.literal_bytes = 0
        #: Bytes of the new file that the old file already has.
        self.matched_bytes = 0
        #: Literal operations written.
        self.literals = 0
        #: Copy operations written.
        self.copies = 0
        #: Offsets whose weak sum is one of the table's.
        self.candidates = 0
        #: Strong sums compared with a block's.
        self.compared = 0
        #: Candidates that were hashed and were no match.
        self.false_hits = 0
        #: Candidates not looked at, because too many before had been in vain.
        self.passed_over = 0


class PatchStats(_Record):
    """Where the bytes of a patched file came from.

    :param literal_bytes: bytes that were in the delta stream.
    :param matched_bytes: bytes that were copied from the old file.
    """

    __slots__ = ("literal_bytes", "matched_bytes")

    def __init__(self, literal_bytes: int, matched_bytes: int) -> None:
        self.literal_bytes = literal_bytes
        self.matched_bytes = matched_bytes

    @property
    def total_bytes(self) -> int:
        """Bytes of the new file."""
        return self.literal_bytes + self.matched_bytes


def varint(number: int) -> bytes:
    """The shortest little-endian base-128 form of `number`, which is below 2**63."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def check_block_length(block_length: int) -> None:
    """Refuse a block length that no signature may have.

    :raises ValueError: it is out of bounds.
    """
    if not limits.MIN_BLOCK_LENGTH <= block_length <= limits.MAX_BLOCK_LENGTH:
        raise ValueError(f"block length {block_length} is not within {limits.MIN_BLOCK_LENGTH} and {limits.MAX_BLOCK_LENGTH}")


def check_strong_length(strong_length: int) -> None:
    """Refuse a length of strong sums that no signature may have.

    :raises ValueError: it is out of bounds.
    """
    if not limits.MIN_STRONG_LENGTH <= strong_length <= limits.MAX_STRONG_LENGTH:
        raise ValueError(f"strong length {strong_length} is not within {limits.MIN_STRONG_LENGTH} and {limits.MAX_STRONG_LENGTH}")


def check_seed(seed: int) -> None:
    """Refuse a seed that is not an unsigned 64-bit number.

    :raises ValueError: it is out of bounds.
    """
    if not 0 <= seed < 2**64:
        raise ValueError("a seed is a number from 0 to 2**64 - 1")


def check_signature(signature: bytes | bytearray | memoryview) -> SignatureInfo:
    """Check a whole signature stream: sizes, limits, end marker, checksum. Costs one pass of XXH64.

    :raises FormatError: it is truncated, altered, too large, or its numbers contradict each other.
    """
    view = memoryview(signature).cast("B")
    size = len(view)
    if size > limits.MAX_SIGNATURE:
        raise FormatError(f"signature: more than {limits.MAX_SIGNATURE} bytes")
    if bytes(view[:8]) != SIGNATURE_MAGIC[:size]:
        raise FormatError("signature: not a signature stream, or of another version")
    if size < SIGNATURE_HEADER.size + SIGNATURE_TRAILER.size:
        raise FormatError("signature: truncated")
    _, block_length, strong_length, seed = SIGNATURE_HEADER.unpack_from(view)
    if not limits.MIN_BLOCK_LENGTH <= block_length <= limits.MAX_BLOCK_LENGTH:
        raise FormatError(f"signature: block length {block_length} is out of bounds")
    if not limits.MIN_STRONG_LENGTH <= strong_length <= limits.MAX_STRONG_LENGTH:
        raise FormatError(f"signature: strong sums of {strong_length} bytes are out of bounds")
    end = size - SIGNATURE_TRAILER.size
    marker, length, blocks, checksum = SIGNATURE_TRAILER.unpack_from(view, end)
    entries, odd = divmod(end - SIGNATURE_HEADER.size, WEAK_LENGTH + strong_length)
    if marker != SIGNATURE_END or odd or blocks != entries:
        raise FormatError("signature: truncated, or followed by other bytes")
    if blocks > limits.MAX_SIGNATURE_BLOCKS:
        raise FormatError(f"signature: more than {limits.MAX_SIGNATURE_BLOCKS} blocks")
    if length > limits.MAX_FILE_SIZE or -(-length // block_length) != blocks:
        raise FormatError("signature: file length and number of blocks contradict each other")
    if xxhash.xxh64_intdigest(view[: size - 8], 0) != checksum:
        raise FormatError("signature: altered (checksum does not fit)")
    return SignatureInfo(block_length, strong_length, seed, length, blocks)
