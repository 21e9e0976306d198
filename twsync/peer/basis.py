"""What a delta starts from: the older file here, with what was received of the new one in an earlier session before it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

from twsync.limits import MAX_BASIS_MORE, MAX_BASIS_TIMES


def largest_basis(size: int) -> int:
    """Bytes that the basis of a delta for a file of `size` bytes may have."""
    return MAX_BASIS_TIMES * size + MAX_BASIS_MORE


class Part(Protocol):
    """A binary file for reading at any place, by several threads."""

    def readinto_at(self, buffer: memoryview, place: int, /) -> int:
        """Fill some or all of a buffer with the bytes at a place; 0 only at the end."""

    def close(self) -> None:
        """Close."""


class Received:
    """A part that was received before.

    :param descriptor: of the file; closed by `close`.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def readinto_at(self, buffer: memoryview, place: int, /) -> int:
        """See `Part`."""
        return os.preadv(self._descriptor, [buffer], place)

    def close(self) -> None:
        """Close."""
        os.close(self._descriptor)


class Basis:
    """Files one after the other, as one binary file for reading.

    :param parts: each with its size; a part that has less gives zeros no more than it gives an error: the reading just ends early.
    """

    def __init__(self, parts: Sequence[tuple[Part, int]]) -> None:
        self._parts = [(part, size) for part, size in parts if size]
        self._at = 0
        self.size = sum(size for _part, size in self._parts)

    def readinto_at(self, buffer: memoryview, place: int, /) -> int:
        """Fill a buffer with the bytes at a place, as far as one part goes; 0 at the end. For any thread."""
        start = 0
        for part, length in self._parts:
            within = place - start
            if within < length:
                return part.readinto_at(buffer[: length - within], within)
            start += length
        return 0

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer from the current place, as far as one part goes; 0 at the end."""
        count = self.readinto_at(buffer, self._at)
        self._at += count
        return count

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes from the current place; fewer where one part ends."""
        left = max(0, self.size - self._at)
        buffer = bytearray(left if size < 0 else min(size, left))
        with memoryview(buffer) as view:
            count = self.readinto(view)
        return bytes(buffer[:count])

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        return self._at

    def tell(self) -> int:
        """The current place."""
        return self._at

    def close(self) -> None:
        """Close all parts."""
        for part, _size in self._parts:
            part.close()
