"""Version vectors: which of two rows is newer, or neither.

A vector maps replicas (64-bit numbers, see docs/architecture.md) to counters. The empty vector is older than every other.
After D. S. Parker et al., "Detection of Mutual Inconsistency in Distributed Systems", IEEE TSE 9(3), 1983.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

import msgspec


class Order(enum.Enum):
    """How one version stands to another."""

    EQUAL = "equal"
    OLDER = "older"
    NEWER = "newer"
    CONCURRENT = "concurrent"


class Version(msgspec.Struct, frozen=True, gc=False):
    """A version vector: pairs of (replica, counter), ascending by replica, every counter positive."""

    entries: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, int]]) -> Version:
        """The vector of these pairs, in any order; a counter of 0 is left out."""
        return cls(tuple(sorted((replica, counter) for replica, counter in pairs if counter)))

    def counter(self, replica: int) -> int:
        """The counter of `replica`, 0 if it has none."""
        return next((counter for found, counter in self.entries if found == replica), 0)

    def raised(self, replica: int) -> Version:
        """This vector with the counter of `replica` raised by one."""
        counters = dict(self.entries)
        counters[replica] = counters.get(replica, 0) + 1
        return Version.of(counters.items())

    def joined(self, other: Version) -> Version:
        """The least vector that is not older than either."""
        if self.entries == other.entries or not other.entries:
            return self
        if not self.entries:
            return other
        counters = dict(self.entries)
        for replica, counter in other.entries:
            counters[replica] = max(counter, counters.get(replica, 0))
        return Version.of(counters.items())

    def order(self, other: Version) -> Order:
        """How this version stands to `other`: ``NEWER`` means that this one dominates."""
        if self.entries == other.entries:
            return Order.EQUAL
        mine, theirs = dict(self.entries), dict(other.entries)
        ahead = any(counter > theirs.get(replica, 0) for replica, counter in self.entries)
        behind = any(counter > mine.get(replica, 0) for replica, counter in other.entries)
        if ahead and behind:
            return Order.CONCURRENT
        return Order.NEWER if ahead else Order.OLDER
