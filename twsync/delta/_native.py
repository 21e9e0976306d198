"""The delta core in C (csrc/), driven from Python that does nothing per byte: this file and ``_native_*.py``.

The C jobs never allocate for data: all buffers are made here. cffi releases the GIL during each step, so reading, writing and other steps
can go on beside it, on an executor that the caller gives.

Every ``from_buffer`` is in a ``with``: a memoryview that is still exported when the garbage collector breaks a cycle (a traceback is
enough to make one) crashes CPython 3.11.
"""

from __future__ import annotations

from twsync import limits
from twsync.delta._core import ffi, lib
from twsync.delta._native_patch import patched
from twsync.delta._native_search import searched
from twsync.delta._native_signature import Signing, signed
from twsync.delta.format import DeltaStats, PatchStats, check_block_length, check_seed, check_signature, check_strong_length
from twsync.delta.source import size_of
from twsync.delta.tuning import lengths_for
from twsync.errors import FormatError

TYPE_CHECKING = False  # so to type checkers it is true; see interface.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from twsync.delta.interface import BytesLike, Executor, Readable, Seekable, Writable


class Native:
    """The C core with one kernel.

    :param kernel: its name; by default the best that this CPU can run.
    :raises LookupError: it is unknown, was not built, or cannot run here.
    """

    NAME = "native"

    def __init__(self, kernel: str | None = None) -> None:
        self._kernel = lib.twd_kernel_find(ffi.NULL if kernel is None else kernel.encode())
        if self._kernel == ffi.NULL:
            raise LookupError(f"there is no kernel {kernel!r} that was built and that this CPU can run")
        self.KERNEL: str = ffi.string(lib.twd_kernel_name(self._kernel)).decode()

    def signature_chunks(
        self,
        old: BytesLike | Readable,
        block_length: int | None = None,
        seed: int = 0,
        *,
        strong_length: int | None = None,
        executor: Executor | None = None,
    ) -> Iterator[bytes]:
        """See `twsync.delta.signature_chunks`."""
        block_length, strong_length = lengths_for(size_of(old), block_length, strong_length)
        check_block_length(block_length)
        check_strong_length(strong_length)
        check_seed(seed)
        return signed(self._kernel, old, block_length, strong_length, seed, executor)

    def signing(self, block_length: int, strong_length: int, seed: int) -> Signing:
        """See `twsync.delta.signing`."""
        return Signing(self._kernel, block_length, strong_length, seed)

    def delta(
        self, sig: BytesLike, new: BytesLike | Readable, *, stats: DeltaStats | None = None, executor: Executor | None = None
    ) -> Iterator[bytes]:
        """See `twsync.delta.delta`."""
        view = memoryview(sig).cast("B")
        info = check_signature(view)
        found = ffi.new("twd_table **")
        with ffi.from_buffer("uint8_t[]", view) as held:
            result = lib.twd_table_new(held, len(view), found)
        if result == lib.TWD_CORRUPT:
            raise FormatError("signature: refused by the C core")
        if result != lib.TWD_DONE:
            raise MemoryError
        table = ffi.gc(found[0], lib.twd_table_free, 32 * info.blocks)
        return searched(table, self._kernel, info.block_length, new, DeltaStats() if stats is None else stats, executor)

    def patch(
        self,
        old: BytesLike | Seekable,
        ops: Iterable[BytesLike],
        out: Writable,
        *,
        max_output: int | None = None,
        executor: Executor | None = None,
        prove: Callable[[memoryview], object] | None = None,
    ) -> PatchStats:
        """See `twsync.delta.patch`."""
        most = limits.MAX_FILE_SIZE if max_output is None else min(max(max_output, 0), limits.MAX_FILE_SIZE)
        return patched(self._kernel, old, ops, out, most, executor, prove)
