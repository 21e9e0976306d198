"""A file being received: hashed as it grows, kept when the session breaks off. Runs of zeros become holes: sparse files stay so."""

from __future__ import annotations

import os
from contextlib import suppress
from threading import Lock
from types import TracebackType
from typing import Protocol

import msgspec
from blake3 import blake3

from twsync import limits
from twsync.delta.interface import Signing
from twsync.store.diskerrors import disk_errors

#: Zeros at the start of a write that make it worth looking whether all of it is zeros: a block of common file systems.
_HOLE = bytes(4096)


class Staged(msgspec.Struct, frozen=True, gc=False):
    """A complete, proved file in staging; used up by one change."""

    name: bytes
    content: bytes
    size: int
    mode: int | None = None
    "The mode and modification time that the file has already, if it has those of its item."
    mtime_ns: int | None = None


class Home(Protocol):
    """Where a partial file lives: the staging folder."""

    def forget(self, name: bytes) -> None:
        """Delete it."""

    def left(self, name: bytes) -> None:
        """It stays for next time."""

    def named(self, content: bytes, name: bytes) -> bytes:
        """Its content id is known now; its new name."""

    def finished(self, content: bytes, name: bytes, size: int) -> Staged:
        """It is complete; it gets a complete file's name."""


class Partial:
    """A file being received: `append`, then `finish`, `keep` or `discard`. With `with` it is kept unless one of them came first.

    :param content: its content id; empty if nobody knows it yet. Then it is whatever comes.
    """

    #: Its signature is made, too; set before anything is written, or left alone.
    signing: Signing | None = None

    def __init__(self, home: Home, where: bytes, content: bytes, name: bytes, fd: int) -> None:
        self._home = home
        self._where = where
        self._content = content
        self._name = name
        self._fd = fd
        #: Held by who closes or names it.
        self._lock = Lock()
        self._hasher = blake3()
        self._ends_in_hole = False
        self.size = 0
        "Bytes so far."
        while data := os.read(fd, limits.READ_CHUNK):
            self._hasher.update(data)
            self.size += len(data)

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """These bytes come next; all of them or an error.

        :raises StoreError: `disk-full`, `read-only`.
        """
        self.prove(data)
        self.write(data)

    def prove(self, data: bytes | bytearray | memoryview) -> None:
        """The half of `append` that needs no disk. Another thread may `write` what came before, or these."""
        self._hasher.update(data)
        if self.signing is not None:
            with memoryview(data) as view:
                self.signing.update(view)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """The other half of `append`; returns how many bytes there were.

        :raises StoreError: as `append`.
        """
        with disk_errors(self._where):
            if _only_zeros(data):
                os.lseek(self._fd, len(data), os.SEEK_CUR)
                self._ends_in_hole = True
            else:
                write_all(self._fd, data)
                self._ends_in_hole = False
        self.size += len(data)
        return len(data)

    def finish(self) -> Staged | None:
        """Close and prove; None if the content id does not come out right, and then the file is gone."""
        content = self._hasher.digest()
        with self._lock:
            if self._content not in (content, b""):
                self._discard()
                return None
            with disk_errors(self._where):
                self._fill()
                self._close()
                return self._home.finished(content, self._name, self.size)

    def claim(self, content: bytes) -> None:
        """It should become this content, which nobody knew when it was begun. For any thread; too late is no error."""
        with self._lock:
            if self._fd >= 0 and not self._content:
                with disk_errors(self._where):
                    self._name = self._home.named(content, self._name)
                self._content = content

    def keep(self) -> None:
        """Close, and leave what there is for next time."""
        with self._lock:
            if self._fd < 0:
                return
            if not self.size:
                self._discard()
                return
            with suppress(OSError):  # without it the file is a little shorter, and that much is fetched again
                self._fill()
            with suppress(OSError):
                self._close()
            self._home.left(self._name)

    def discard(self) -> None:
        """Close and delete."""
        with self._lock:
            self._discard()

    def _discard(self) -> None:
        if self._fd >= 0:
            with suppress(OSError):  # what could not be written is not wanted
                self._close()
            with disk_errors(self._where):
                self._home.forget(self._name)

    def __enter__(self) -> Partial:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.keep()

    def _fill(self) -> None:
        """Give the file its length if it ends in a hole."""
        if self._ends_in_hole:
            os.ftruncate(self._fd, self.size)

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        os.close(fd)


def _only_zeros(data: bytes | bytearray | memoryview) -> bool:
    """Whether `data` is a run of zeros worth a hole. Other data costs one look at its first bytes."""
    if len(data) < len(_HOLE) or bytes(data[: len(_HOLE)]) != _HOLE:
        return False
    return bytes(data).count(0) == len(data)


def write_all(fd: int, data: bytes | bytearray | memoryview) -> None:
    """Write all of `data`, however little one call takes."""
    count = os.write(fd, data)
    if count < len(data):
        with memoryview(data) as view:
            while count < len(view):
                count += os.write(fd, view[count:])
