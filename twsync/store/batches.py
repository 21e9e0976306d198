"""Many small files in one call, in C (csrc/smallfiles.c), with the GIL released.

Everything here is there once more in Python, a file at a time: that is what is done where the C part was not built, with TWSYNC_DELTA=pure,
and for each file with which something is not as it should be. So nothing here raises for a file; it says which ones were not done.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Sequence
from struct import Struct

from twsync import delta, limits

#: size, mtime_ns, ctime_ns, ino, mode, and 0, an errno or one of those below.
Found = tuple[int, int, int, int, int, int]
#: Not the file or content that it should be; of another kind, or too large.
CHANGED, OTHER = -1, -2
#: A directory that is as it is known; another thing than is known there.
EQUAL, DIFFERS = -3, -4

_FOUND = Struct("=qqqqIi")
_SUM = 32
#: Entries of one step of a listing, and bytes of their names.
_ENTRIES, _NAMES = 4096, 128 * 1024
#: Bytes of contents that are hashed together.
_TOGETHER = 4 * limits.SMALL_FILE


class Batches:
    """The C part with one version of its hash.

    :param kernel: its name; by default the best that this CPU can run.
    :raises ImportError: it was not built.
    :raises LookupError: there is no such version, or it cannot run here.
    """

    def __init__(self, kernel: str | None = None) -> None:
        from twsync.store._files import ffi, lib

        self._ffi, self._lib = ffi, lib
        # For what is written before it is read.
        self._new = ffi.new_allocator(should_clear_after_alloc=False)
        self._kernel = lib.twf_kernel_find(ffi.NULL if kernel is None else kernel.encode())
        if self._kernel == ffi.NULL:
            raise LookupError(f"there is no kernel {kernel!r} that this CPU can run")
        #: portable, avx2 or avx512.
        self.KERNEL: str = ffi.string(lib.twf_kernel_name(self._kernel)).decode()

    def known(self, keys: bytes, stats: bytes, suffix: bytes, own: bytes) -> KnownInC:
        """A tree as it is known; see `twsync.store.differing.Known`.

        :param keys: those that are known, each once, a NUL behind each.
        :param stats: what is known of each.
        :param own: a name that does not count.
        :raises ValueError: there is not a stat for each key, or a key is empty.
        """
        return KnownInC(self, keys, stats, suffix, own)

    def contents(self, fd: int, names: Sequence[bytes]) -> Iterator[tuple[bytes, Found]]:
        """Content ids of the small files of an open directory, with the stat that belongs to each."""
        ffi, count = self._ffi, len(names)
        buffer, sizes = self._new("uint8_t[]", _TOGETHER), self._new("uint32_t[]", count)
        sums, stats = self._new("uint8_t[]", _SUM * count), self._new("twf_stat[]", count)
        self._lib.twf_hash(self._kernel, fd, _joined(names), count, limits.SMALL_FILE, buffer, _TOGETHER, sizes, sums, stats)
        return zip(_cut(bytes(ffi.buffer(sums))), _FOUND.iter_unpack(bytes(ffi.buffer(stats))), strict=True)

    def read(
        self, fds: Sequence[int], names: Sequence[bytes], sizes: Sequence[int], contents: Sequence[bytes], room: memoryview
    ) -> tuple[int, list[int]]:
        """Read the files that have these sizes and contents, one after the other.

        :param room: where to; at least one byte more than the files have.
        :returns: how many bytes came, and 0, an errno, `CHANGED` or `OTHER` for each.
        """
        ffi, count = self._ffi, len(names)
        if len(room) <= sum(sizes):
            raise ValueError("no room for so much")
        errors = self._new("int32_t[]", count)
        found, sums = self._new("uint32_t[]", count), self._new("uint8_t[]", _SUM * count)
        with (
            ffi.from_buffer("uint8_t[]", room, require_writable=True) as out,
            ffi.from_buffer("int32_t[]", array("i", fds)) as directories,
            ffi.from_buffer("uint32_t[]", array("I", sizes)) as lengths,
            ffi.from_buffer("uint8_t[]", b"".join(contents)) as wanted,
        ):
            got = self._lib.twf_read(self._kernel, directories, _joined(names), count, lengths, wanted, out, found, sums, errors)
        return got, ffi.unpack(errors, count)

    def stage(
        self,
        fd: int,
        names: Sequence[bytes],
        data: bytes | memoryview,
        sizes: Sequence[int],
        contents: Sequence[bytes],
        modes: Sequence[int],
        mtimes: Sequence[int],
    ) -> list[int]:
        """New files in an open directory from contents that follow each other, each proved, with mode and time (nanoseconds); 0, an
        errno or `CHANGED` for each."""
        if sum(sizes) != len(data):
            raise ValueError("these are not the contents of files of these sizes")
        ffi, count = self._ffi, len(names)
        sums, errors = self._new("uint8_t[]", _SUM * count), self._new("int32_t[]", count)
        with (
            ffi.from_buffer("uint8_t[]", data) as held,
            ffi.from_buffer("uint32_t[]", array("I", sizes)) as lengths,
            ffi.from_buffer("uint8_t[]", b"".join(contents)) as wanted,
            ffi.from_buffer("uint32_t[]", array("I", modes)) as bits,
            ffi.from_buffer("int64_t[]", array("q", mtimes)) as times,
        ):
            self._lib.twf_stage(self._kernel, fd, _joined(names), count, held, lengths, wanted, bits, times, sums, errors)
        result: list[int] = ffi.unpack(errors, count)
        return result

    def place(self, fd: int, staged: Sequence[bytes], fds: Sequence[int], names: Sequence[bytes]) -> Iterator[Found]:
        """Move files of one open directory to names that nothing holds, and look at them there: a mode of 0 is one that is gone since."""
        ffi, count = self._ffi, len(names)
        stats = self._new("twf_stat[]", count)
        with ffi.from_buffer("int32_t[]", array("i", fds)) as directories:
            self._lib.twf_place(fd, _joined(staged), directories, _joined(names), count, stats)
        return _FOUND.iter_unpack(bytes(ffi.buffer(stats)))


class KnownInC:
    """A tree as it is known, in C: see `twsync.store.differing.Known`."""

    def __init__(self, files: Batches, keys: bytes, stats: bytes, suffix: bytes, own: bytes) -> None:
        """As `Batches.known`."""
        ffi, new = files._ffi, files._new
        self._files, self._suffix, self._own = files, suffix, own
        self._keys, self._count = keys, len(stats) // _FOUND.size
        places = 1 << (2 * self._count + 1).bit_length()
        known = self._known = ffi.new("twf_known *")
        # What the C part points to is kept here.
        self._met, self._starts, self._table = new("uint8_t[]", self._count), new("size_t[]", self._count), new("uint64_t[]", places)
        self._held = ffi.from_buffer("char[]", keys), ffi.from_buffer("twf_stat[]", stats)
        (known.keys, known.stats), known.keys_size, known.count = self._held, len(keys), self._count
        known.met, known.starts, known.table, known.mask = self._met, self._starts, self._table, places - 1
        known.secret = [*Struct("=QQ").unpack(os.urandom(16))]
        if len(stats) % _FOUND.size or files._lib.twf_known_begin(known):
            raise ValueError("these are not keys and their stats")

    def __len__(self) -> int:
        return self._count

    @property
    def equal(self) -> int:
        """Entries that were not given: they are as they are known."""
        return int(self._known.equal)

    @property
    def other(self) -> int:
        """Entries that were not given: they do not count."""
        return int(self._known.other)

    def forget(self, key: bytes) -> bool:
        """No longer know an entry."""
        if self._files._lib.twf_known_forget(self._known, key):
            self._count -= 1
            return True
        return False

    def differing(self, fd: int, prefix: bytes) -> Iterator[tuple[bytes, Found]]:
        """Entries of a directory that are not as they are known, and directories."""
        ffi, lib, new = self._files._ffi, self._files._lib, self._files._new
        key = new("char[]", len(prefix) + lib.TWF_NAME)
        ffi.memmove(key, prefix, len(prefix))
        names, stats, used = new("char[]", _NAMES), new("twf_stat[]", _ENTRIES), new("size_t *")
        while True:
            used[0] = _NAMES
            count = lib.twf_list(fd, names, used, stats, _ENTRIES)
            if count < 0:
                raise OSError(-count, os.strerror(-count))
            if not count:
                return
            kept = lib.twf_differing(self._known, key, len(prefix), self._suffix, self._own, names, used, stats, count)
            found = _FOUND.iter_unpack(bytes(ffi.buffer(stats, kept * _FOUND.size)))
            yield from zip(bytes(ffi.buffer(names, used[0])).split(b"\0")[:-1], found, strict=True)

    def missing(self) -> list[bytes]:
        """Keys that were not met."""
        missing, met, at = [], bytes(self._files._ffi.buffer(self._met)), -1
        while (at := met.find(0, at + 1)) >= 0:
            start = self._starts[at]
            missing.append(self._keys[start : self._keys.index(0, start)])
        return missing


def _joined(names: Sequence[bytes]) -> bytes:
    return b"\0".join(names) + b"\0"


def _cut(sums: bytes) -> Iterator[bytes]:
    return (sums[at : at + _SUM] for at in range(0, len(sums), _SUM))


def _choose(wish: str) -> Batches | None:
    """The C part if the delta core is in C too, and was demanded or built."""
    if delta.BACKEND == "pure":
        return None
    try:
        return Batches()
    except ImportError:
        if wish.startswith("native") and os.uname().sysname == "Linux":
            raise
        return None


#: The C part; None to do without.
NATIVE = _choose(os.environ.get("TWSYNC_DELTA", "auto"))
