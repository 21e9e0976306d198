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
    """A binary file for reading."""

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes."""

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move."""

    def close(self) -> None:
        """Close."""


class Basis:
    """Files one after the other, as one binary file for reading.

    :param parts: each with its size; a part that has less gives zeros no more than it gives an error: the reading just ends early.
    """

    def __init__(self, parts: Sequence[tuple[Part, int]]) -> None:
        self._parts = [(part, size) for part, size in parts if size]
        self._at = 0
        self.size = sum(size for _part, size in self._parts)

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes from the current place; fewer where one part ends."""
        start = 0
        for part, length in self._parts:
            within = self._at - start
            if within < length:
                left = length - within
                part.seek(within)
                data = part.read(left if size < 0 else min(size, left))
                self._at += len(data)
                return data
            start += length
        return b""

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
