"""A large file that is hashed and sent at the same time: what one thread reads for the wire, the scan need not read again.

The scan hashes by itself until somebody reads the file for the other side. Then it lends its hasher to that reader, which hashes what it
reads as soon as it comes to the place where the scan was. But the scan waits for nobody: if the wire is slow it takes its hasher back and
reads on by itself. Whoever it is that hashes: it is every byte of the file, in order, between the scan's two looks at its stat.
"""

from __future__ import annotations

from collections.abc import Callable
from os import stat_result
from threading import Condition, Lock
from typing import Protocol

from twsync.limits import HASH_ALONE, HASH_RATE, READ_FOR_BOTH_BYTES, READ_FOR_BOTH_SECONDS


class Hasher(Protocol):
    """As much of a BLAKE3 hasher as is lent."""

    def update(self, data: memoryview, /) -> object:
        """More bytes."""


class Reading:
    """One file that is read by two threads: one hashes it, the other sends it."""

    def __init__(self) -> None:
        self._lock = Lock()
        #: The hasher was taken back, or what is hashed has come so far.
        self._moved = Condition(self._lock)
        #: Somebody reads, or nobody does any more.
        self._turned = Condition(self._lock)
        self._file: tuple[int, int] | None = None
        self._joined = False
        #: Seconds that a reader who is announced is waited for; once.
        self._patience = 0.0
        self._hasher: Hasher | None = None
        # How far it is hashed, while the hasher is lent, and how far it is read by who reads.
        self._hashed = 0
        self._read = 0
        #: The scan does not wait before this place.
        self._alone = 0

    # --- for who hashes ----------------------------------------------------------------------------------------------------------------

    def begin(self, found: stat_result) -> None:
        """Hashing begins, of this file."""
        with self._lock:
            self._file = found.st_dev, found.st_ino

    def lend(self, hasher: Hasher, place: int, cancelled: Callable[[], bool]) -> int:
        """Let another thread hash from `place` on, as long as one reads the file and comes forward. Call it now and then.

        :returns: how far it came.
        """
        with self._lock:
            patience, self._patience = self._patience, 0.0
            if patience and not self._joined:
                self._turned.wait(patience)
            if not self._joined or self._read > place or place < self._alone:
                return place
            self._hasher, self._hashed = hasher, place
            try:
                while self._joined and not cancelled():
                    before = self._read
                    self._turned.wait(READ_FOR_BOTH_SECONDS)
                    if self._read - before < READ_FOR_BOTH_BYTES:
                        self._alone = self._hashed + HASH_ALONE
                        break
                return self._hashed
            finally:
                self._hasher = None
                self._moved.notify_all()

    # --- for who reads ---------------------------------------------------------------------------------------------------------------

    def expect(self, size: int) -> None:
        """Somebody is about to read it, as soon as he has what he needs for it.

        :param size: of the file, about.
        """
        with self._lock:
            self._patience = size / HASH_RATE

    def join(self, found: stat_result) -> bool:
        """Begin to read the file with this stat from its first byte; False if it is not the one that is hashed."""
        with self._lock:
            if self._file != (found.st_dev, found.st_ino) or self._joined:
                return False
            self._joined, self._read = True, 0
            self._turned.notify_all()
            return True

    def passed(self, place: int, data: memoryview) -> None:
        """These bytes are at this place of the file. Calls may overlap; but all bytes before were read already, or are being read."""
        if not data:
            return  # behind the end of the file, where nothing is hashed that could be waited for
        end = place + len(data)
        with self._lock:
            while self._hasher is not None and self._hashed < place:
                self._moved.wait()
            if self._hasher is not None and self._hashed < end:
                self._hasher.update(data[self._hashed - place :])
                self._hashed = end
                self._moved.notify_all()
            self._read = max(self._read, end)

    def leave(self) -> None:
        """Read no more."""
        with self._lock:
            self._joined = False
            self._turned.notify_all()
