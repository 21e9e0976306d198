"""rsync's delta algorithm: signature, delta, patch.

    sig = b"".join(signature_chunks(old))     # on the host that has the old file
    ops = delta(sig, new)                     # on the host that has the new one
    patch(old, ops, out)                      # back on the first

Two implementations write the same bytes: C (`_native`) and Python (`_pure`); `backend` tells how one is chosen. The formats are in
docs/protocol/delta-format.md. Nothing here is cryptographic: a whole file is proved by its content id, by the caller.
"""

from __future__ import annotations

import os

from twsync.delta.backend import BackendError, choose
from twsync.delta.format import DeltaStats, PatchStats, SignatureInfo, check_seed, check_signature
from twsync.delta.tuning import block_length_for, strong_length_for
from twsync.errors import FormatError

TYPE_CHECKING = False  # so to type checkers it is true; see interface.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from twsync.delta.interface import Backend, BytesLike, Executor, Readable, Seekable, Signing, Writable

__all__ = [
    "BACKEND",
    "KERNEL",
    "BackendError",
    "DeltaStats",
    "FormatError",
    "PatchStats",
    "SignatureInfo",
    "block_length_for",
    "check_signature",
    "delta",
    "patch",
    "signature",
    "signature_chunks",
    "signing",
    "strong_length_for",
]

_backend: Backend = choose(os.environ.get("TWSYNC_DELTA", "auto"))
#: The implementation in use: "native" or "pure".
BACKEND: str = _backend.NAME
#: The version of its inner loop: "portable", "avx2" or "avx512"; "python" for the pure implementation.
KERNEL: str = _backend.KERNEL


def signature(old: BytesLike | Readable, block_length: int | None = None, seed: int = 0) -> bytes:
    """The whole signature stream of `old`; see `signature_chunks`. At most 16 MiB."""
    return b"".join(signature_chunks(old, block_length, seed))


def signature_chunks(
    old: BytesLike | Readable,
    block_length: int | None = None,
    seed: int = 0,
    *,
    strong_length: int | None = None,
    executor: Executor | None = None,
) -> Iterator[bytes]:
    """The signature stream of `old`, in chunks, in constant memory.

    :param old: bytes, or a binary file, read from where it stands to its end; it need not be seekable.
    :param block_length: bytes of a block; by default `block_length_for` the size, 32 KiB for a stream of unknown length.
    :param strong_length: bytes of a strong sum, 4 to 8; by default `strong_length_for` the size.
    :param seed: seed of the strong sums; take a random one for each transfer, so that nobody can prepare colliding blocks.
    :param executor: a file is read on it while this thread sums what was read before, with one call at a time; a file with
        `readinto_at` (see `interface.Positional`) is read and summed on it, best by two threads. No call is under way any more when the
        iterator has ended or is closed. The pure implementation does without.
    :raises ValueError: `block_length` or `seed` is out of bounds.
    :raises UserError: (while reading) `old` has more blocks than a signature may have.
    """
    return _backend.signature_chunks(old, block_length, seed, strong_length=strong_length, executor=executor)


def signing(size: int, seed: int = 0) -> Signing:
    """Begin a signature of bytes that come one after the other, about `size` of them; the same that `signature_chunks` makes of the whole.

    :param seed: as there.
    :raises ValueError: `seed` is out of bounds, or no signature describes so large a file.
    """
    check_seed(seed)
    block_length = block_length_for(size)
    return _backend.signing(block_length, strong_length_for(size, block_length), seed)


def delta(
    sig: BytesLike, new: BytesLike | Readable, *, stats: DeltaStats | None = None, executor: Executor | None = None
) -> Iterator[bytes]:
    """The delta stream that makes `new` out of the file that `sig` describes, in chunks of at most 1 MiB, in constant memory.

    The signature is checked at once, before the iterator is returned.

    :param sig: a complete signature stream.
    :param new: bytes, or a binary file, read from where it stands to its end; it need not be seekable.
    :param stats: counters, filled while the iterator is read.
    :param executor: a file is read on it while this thread searches; one with `readinto_at` by two threads, which where nothing matches do
        most of the search too. Otherwise as for `signature_chunks`.
    :raises FormatError: `sig` is not a valid signature.
    """
    return _backend.delta(sig, new, stats=stats, executor=executor)


def patch(
    old: BytesLike | Seekable,
    ops: Iterable[BytesLike],
    out: Writable,
    *,
    max_output: int | None = None,
    executor: Executor | None = None,
    prove: Callable[[memoryview], object] | None = None,
) -> PatchStats:
    """Write to `out` the file that the delta stream `ops` makes out of `old`, in constant memory.

    What was written before an error is worthless. A return means that the whole stream was there, unaltered, and that the bytes written
    are those that the delta side had read, as far as XXH64 tells.

    :param old: bytes, or a seekable binary file.
    :param ops: the stream in chunks, cut anywhere.
    :param out: a binary file.
    :param executor: if `old` has `readinto_at`, all is read, proved and written on it, best by two threads. No call is under way any more
        afterwards. The pure implementation does without.
    :param prove: is given all bytes of the new file, in order, by one thread at a time, in memory that is used again: for a caller that
        proves it by itself, by its content id. The stream's own checksum of them is not made then, only that of the stream itself.
    :param max_output: bytes after which the stream is refused: a few bytes of delta can ask for any number of copies.
    :raises FormatError: the stream is truncated, altered, followed by other bytes, does not fit `old`, or writes more than `max_output`.
    """
    return _backend.patch(old, ops, out, max_output=max_output, executor=executor, prove=prove)
