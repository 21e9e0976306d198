"""Reading a collection's file for a partner, only as long as it is the one its row describes."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Sequence
from types import TracebackType

from blake3 import blake3

from twsync.errors import PathError, StoreError
from twsync.reconcile.model import Item
from twsync.store import batches
from twsync.store.diskerrors import show
from twsync.store.hashing import hash_descriptor, same_file
from twsync.store.paths import Gate, Places, pieces
from twsync.store.reading import Reading
from twsync.store.rows import Row, Stat

#: Why a file is not given.
CHANGED, UNREADABLE = "changed", "unreadable"
#: Errors of opening what is no regular file any more.
_NO_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV})


class Source:
    """An open file of a collection: a binary file object for reading. Close it, best by `with`."""

    def __init__(self, gate: Gate, key: bytes, fd: int, reading: Reading | None = None) -> None:
        """Of an open file.

        :param reading: what is read from now on, from the first byte, is shown to it, if it is of this file.
        """
        self._gate = gate
        self._key = key
        self._opened = os.fstat(fd)
        self._file = io.FileIO(fd, "rb")
        self.size = self._opened.st_size
        "Bytes, when it was opened."
        self._reading = reading if reading is not None and reading.join(self._opened) else None

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; ``b""`` at the end.

        :raises StoreError: `unreadable`.
        """
        try:
            return self._file.read(size) or b""
        except OSError as error:
            raise _unreadable(self._key) from error

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fill a buffer as far as one read does; 0 at the end.

        :raises StoreError: `unreadable`.
        """
        place = self._file.tell()
        try:
            count = self._file.readinto(buffer) or 0
        except OSError as error:
            raise _unreadable(self._key) from error
        return self._shown(place, buffer, count)

    def readinto_at(self, buffer: memoryview, place: int, /) -> int:
        """Fill a buffer with the bytes at a place as far as one read does; 0 at the end. For any thread; moves nothing.

        :raises StoreError: `unreadable`.
        """
        try:
            count = os.preadv(self._file.fileno(), [buffer], place)
        except OSError as error:
            raise _unreadable(self._key) from error
        return self._shown(place, buffer, count)

    def _shown(self, place: int, buffer: bytearray | memoryview, count: int) -> int:
        if self._reading is not None:
            self._reading.passed(place, memoryview(buffer)[:count])
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the reading position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The reading position."""
        return self._file.tell()

    def fileno(self) -> int:
        """The descriptor."""
        return self._file.fileno()

    def unchanged(self) -> bool:
        """Whether nothing was written since it was opened, and its name still leads to it. Ask after the last byte."""
        now = os.fstat(self._file.fileno())
        named = self._gate.lstat(self._key)
        return same_file(self._opened, now) and named is not None and (named.st_ino, named.st_dev) == (now.st_ino, now.st_dev)

    def close(self) -> None:
        """Close."""
        if self._reading is not None:
            self._reading.leave()
        self._file.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def open_source(gate: Gate, row: Row) -> Source:
    """Open the file of a row for reading.

    A row whose stat is not to be trusted costs a hash of the file first.

    :raises StoreError: `changed` (absent, or not what the row describes) or `unreadable`.
    """
    source = _open(gate, row.key)
    try:
        found = Stat.of(os.fstat(source.fileno()))
        if found != row.stat and not (row.stat == found.distrusted() and _proved(source, row)):
            raise _changed(row.key)
    except BaseException:
        source.close()
        raise
    return source


def open_ahead(gate: Gate, key: bytes, size: int, reading: Reading) -> Source:
    """Open a file that has no row yet, or not that of its content.

    :param reading: of the scan that hashes it.
    :raises StoreError: `changed` (absent, or of another size) or `unreadable`.
    """
    source = _open(gate, key, reading)
    if source.size != size:
        source.close()
        raise _changed(key)
    return source


def _open(gate: Gate, key: bytes, reading: Reading | None = None) -> Source:
    try:
        return Source(gate, key, gate.open_read(key), reading)
    except (FileNotFoundError, NotADirectoryError, PathError) as error:
        raise _changed(key) from error
    except OSError as error:
        raise _unreadable(key) from error


def _fresh(size: int) -> memoryview:
    return memoryview(bytearray(size))


def read_contents(gate: Gate, items: Sequence[Item], take: Callable[[int], memoryview] = _fresh) -> tuple[bytes | memoryview, list[str]]:
    """The contents of small files, one after the other, each proved by its content id, whatever its stat says.

    :param take: gives memory for so many bytes.
    :returns: the bytes, and for each file ``""``, or why it is not among them: `changed` or `unreadable`.
    """
    if batches.NATIVE is None:
        return _read_singly(gate, items)
    reasons = [""] * len(items)
    # One byte more, which shows a file that has grown.
    room, used = take(sum([item.size for item in items]) + 1), 0
    for start, end in pieces([item.key for item in items]):
        some = items[start:end]
        with Places(gate) as places:
            numbers, fds, names, failed = places.locate([item.key for item in some])
            there = [some[number] for number in numbers]
            sizes, contents = [item.size for item in there], [item.content for item in there]
            read, codes = batches.NATIVE.read(fds, names, sizes, contents, room[used:])
        used += read
        for number, error in failed.items():
            reasons[start + number] = _reason(error)
        for number, code in zip(numbers, codes, strict=True):
            if code:
                reasons[start + number] = CHANGED if code < 0 or code in _NO_FILE else UNREADABLE
    return room[:used], reasons


def _read_singly(gate: Gate, items: Sequence[Item]) -> tuple[bytes, list[str]]:
    pieces: list[bytes] = []
    reasons: list[str] = []
    for item in items:
        reason = ""
        try:
            fd = gate.open_read(item.key)
            try:
                # One byte more than expected shows a file that grew.
                data = os.read(fd, item.size + 1)
            finally:
                os.close(fd)
            if blake3(data).digest() == item.content:
                pieces.append(data)
            else:
                reason = CHANGED
        except (OSError, PathError) as error:
            reason = _reason(error)
        reasons.append(reason)
    return b"".join(pieces), reasons


def _reason(error: OSError | PathError) -> str:
    return CHANGED if isinstance(error, PathError | FileNotFoundError | NotADirectoryError) else UNREADABLE


def _proved(source: Source, row: Row) -> bool:
    try:
        content, _ = hash_descriptor(source.fileno(), source.size)
    except OSError as error:
        raise _unreadable(row.key) from error
    source.seek(0)
    return content == row.item.content


def _changed(key: bytes) -> StoreError:
    return StoreError(f"{show(key)} was changed meanwhile.", CHANGED)


def _unreadable(key: bytes) -> StoreError:
    return StoreError(f"{show(key)} cannot be read.", UNREADABLE)
