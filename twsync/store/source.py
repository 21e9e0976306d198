"""Reading a collection's file for a partner, only as long as it is the one its row describes."""

from __future__ import annotations

import io
import os
from types import TracebackType

from blake3 import blake3

from twsync.errors import PathError, StoreError
from twsync.store.diskerrors import show
from twsync.store.hashing import hash_descriptor, same_file
from twsync.store.paths import Gate
from twsync.store.rows import Row, Stat


class Source:
    """An open file of a collection: a binary file object for reading. Close it, best by `with`."""

    def __init__(self, gate: Gate, key: bytes, fd: int) -> None:
        self._gate = gate
        self._key = key
        self._opened = os.fstat(fd)
        self._file = io.FileIO(fd, "rb")
        self.size = self._opened.st_size
        "Bytes, when it was opened."

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
        try:
            return self._file.readinto(buffer) or 0
        except OSError as error:
            raise _unreadable(self._key) from error

    def readinto_at(self, buffer: memoryview, place: int, /) -> int:
        """Fill a buffer with the bytes at a place as far as one read does; 0 at the end. For any thread; moves nothing.

        :raises StoreError: `unreadable`.
        """
        try:
            return os.preadv(self._file.fileno(), [buffer], place)
        except OSError as error:
            raise _unreadable(self._key) from error

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
    try:
        source = Source(gate, row.key, gate.open_read(row.key))
    except (FileNotFoundError, NotADirectoryError, PathError) as error:
        raise _changed(row.key) from error
    except OSError as error:
        raise _unreadable(row.key) from error
    try:
        found = Stat.of(os.fstat(source.fileno()))
        if found != row.stat and not (row.stat == found.distrusted() and _proved(source, row)):
            raise _changed(row.key)
    except BaseException:
        source.close()
        raise
    return source


def read_small(gate: Gate, row: Row) -> bytes:
    """The whole content of a small file, proved by its content id.

    :raises StoreError: as `open_source`.
    """
    try:
        fd = gate.open_read(row.key)
    except (FileNotFoundError, NotADirectoryError, PathError) as error:
        raise _changed(row.key) from error
    except OSError as error:
        raise _unreadable(row.key) from error
    try:
        # One byte more than expected shows a file that grew. The content id proves the rest, whatever the stat says.
        data = os.read(fd, row.item.size + 1)
    except OSError as error:
        raise _unreadable(row.key) from error
    finally:
        os.close(fd)
    if blake3(data).digest() != row.item.content:
        raise _changed(row.key)
    return data


def _proved(source: Source, row: Row) -> bool:
    try:
        content, _ = hash_descriptor(source.fileno(), source.size)
    except OSError as error:
        raise _unreadable(row.key) from error
    source.seek(0)
    return content == row.item.content


def _changed(key: bytes) -> StoreError:
    return StoreError(f"{show(key)} was changed meanwhile.", "changed")


def _unreadable(key: bytes) -> StoreError:
    return StoreError(f"{show(key)} cannot be read.", "unreadable")
