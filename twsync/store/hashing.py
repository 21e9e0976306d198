"""Content ids of files, guarded against files that change while they are read."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from blake3 import blake3

from twsync import limits
from twsync.errors import StoreError
from twsync.store.place import Place
from twsync.store.reading import Reading

#: Content id of a file without bytes.
EMPTY = blake3(b"").digest()


def never() -> bool:
    """The answer of a work that nobody cancels."""
    return False


def hash_descriptor(fd: int, size: int, cancelled: Callable[[], bool] = never, reading: Reading | None = None) -> tuple[bytes, int]:
    """BLAKE3 of what is left to read from a descriptor, and how many bytes that was.

    :param size: what is expected; large files are read in a second thread.
    :param reading: the file may be read for the other side meanwhile; the descriptor is at its first byte then.
    :raises StoreError: `cancelled`.
    """
    if reading is not None:
        return _hash_large(fd, cancelled, reading)
    if size < limits.READ_CHUNK:
        # One read more than the size tells whether the file has grown; the common case is two system calls.
        data = os.read(fd, size + 1)
        if len(data) == size:
            return (blake3(data).digest(), size) if size else (EMPTY, 0)
        hasher, count = blake3(data), len(data)
    elif size < limits.PARALLEL_HASH:
        hasher, count = blake3(), 0
    else:
        return _hash_large(fd, cancelled)
    buffer = bytearray(limits.READ_CHUNK)
    view = memoryview(buffer)
    while got := os.readv(fd, [buffer]):
        hasher.update(view[:got])
        count += got
        if cancelled():
            raise StoreError("The work was cancelled.", "cancelled")
    return hasher.digest(), count


def _hash_large(fd: int, cancelled: Callable[[], bool], reading: Reading | None = None) -> tuple[bytes, int]:
    """Read ahead in another thread. (BLAKE3 itself in two threads gained nothing, measured: reading is half of the work, and the halves of
    a buffer are too small for the threads to be worth waking.)
    """
    hasher, count = blake3(), 0
    buffers = [memoryview(bytearray(limits.HASH_AHEAD)) for _ in range(2)]
    with ThreadPoolExecutor(1, "twsync read ahead") as reader:
        coming = reader.submit(os.readv, fd, [buffers[0]])
        while got := coming.result():
            full = buffers[0][:got]
            buffers.reverse()
            coming = reader.submit(os.readv, fd, [buffers[0]])
            hasher.update(full)
            count += got
            if cancelled():
                raise StoreError("The work was cancelled.", "cancelled")
            if reading is not None:
                further = reading.lend(hasher, count, cancelled)
                if further > count:
                    coming.result()
                    count = os.lseek(fd, further, os.SEEK_SET)
                    coming = reader.submit(os.readv, fd, [buffers[0]])
    return hasher.digest(), count


def same_file(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether two looks at one descriptor show that nothing was written between them."""
    return (before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (after.st_size, after.st_mtime_ns, after.st_ctime_ns)


def content_of(place: Place, cancelled: Callable[[], bool] = never, reading: Reading | None = None) -> tuple[bytes, os.stat_result] | None:
    """Content id of the regular file at a place, with the stat that belongs to it; None if it changes faster than it can be read.

    :param reading: the file may be read for the other side meanwhile.
    :raises PathError, OSError: not a regular file, not readable.
    """
    for _ in range(limits.MAX_READ_TRIES):
        fd = place.open_read()
        try:
            before = os.fstat(fd)
            if reading is not None:
                reading.begin(before)
            content, count = hash_descriptor(fd, before.st_size, cancelled, reading)
            after = os.fstat(fd)
        finally:
            os.close(fd)
        if count == before.st_size and same_file(before, after):
            return content, after
        reading = None
    return None
