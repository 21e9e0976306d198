"""Signatures of large files that were received: ``.twsync/signatures/``, by content id.

Each was made while its file came, so the next delta of that file costs no pass over it. This is a cache: what is missing or damaged is made
from the file instead, and on a disk that is nearly full there is none.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from twsync import delta, limits
from twsync.errors import FormatError, PathError
from twsync.store.partial import write_all
from twsync.store.paths import Gate

_FOLDER = b"signatures"
#: Of one that is being written.
_NEW = b".new"


class Signatures:
    """The kept signatures of one collection. For any thread.

    :param gate: of the collection; stays open as long as this is used.
    """

    def __init__(self, gate: Gate) -> None:
        self._own = gate.private

    def keep(self, content: bytes, signature: bytes) -> None:
        """Keep the signature of a content. If the disk does not take it, or has little room left, there is none."""
        name = _name(content)
        try:
            if not self._has_room():
                return
            self._own.make_directories(_FOLDER)
            with self._own.place(name + _NEW) as new, self._own.place(name) as place:
                with suppress(FileNotFoundError):  # of a process that was killed
                    new.remove()
                fd = new.create()
                try:
                    write_all(fd, signature)
                finally:
                    os.close(fd)
                new.replace(place)
        except (OSError, PathError):
            self._remove(name + _NEW)

    def find(self, content: bytes, size: int) -> bytes | None:
        """The signature of a content of `size` bytes, with the block length that such a file has; None if there is no good one."""
        try:
            with os.fdopen(self._own.open_read(_name(content)), "rb") as file:
                signature = file.read(limits.MAX_SIGNATURE + 1)
            info = delta.check_signature(signature)
        except (OSError, PathError, FormatError):
            return None
        return signature if (info.length, info.block_length) == (size, delta.block_length_for(size)) else None

    def forget(self, content: bytes) -> None:
        """Keep that of this content no longer."""
        self._remove(_name(content))

    def sweep(self, wanted: Callable[[bytes], bool]) -> None:
        """Forget those of contents that nobody has; all of them, if the disk has little room left.

        :param wanted: whether a content is in use.
        """
        try:
            names = self._own.entries(_FOLDER)
            room = self._has_room()
        except (OSError, PathError):  # none was kept yet
            return
        for name in names:
            try:
                content = bytes.fromhex(name.decode("ascii"))
            except ValueError:
                content = b""
            if content.hex().encode() != name or not room or not wanted(content):
                self._remove(_FOLDER + b"/" + name)

    def _has_room(self) -> bool:
        fd = self._own.open_directory()
        try:
            found = os.fstatvfs(fd)
        finally:
            os.close(fd)
        return found.f_bavail * found.f_frsize >= limits.SIGNATURES_ROOM

    def _remove(self, name: bytes) -> None:
        with suppress(OSError, PathError), self._own.place(name) as place:
            place.remove()


def _name(content: bytes) -> bytes:
    return _FOLDER + b"/" + content.hex().encode()
