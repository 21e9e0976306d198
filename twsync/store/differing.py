"""What of a tree is not as it is known: in C for the most part, for each entry costs."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from stat import S_ISDIR
from typing import Protocol

from twsync.store import batches
from twsync.store.batches import DIFFERS, EQUAL, Found
from twsync.store.listing import STAT, Listing
from twsync.store.root import OWN
from twsync.store.walk import found_of


class Known(Protocol):
    """A listing during one walk of the tree."""

    def __len__(self) -> int:
        """The number of entries that are known."""

    @property
    def equal(self) -> int:
        """Entries that were not given because they are as they are known."""

    @property
    def other(self) -> int:
        """Entries that were not given because they do not count: hidden ones and those without the suffix, if there is one."""

    def forget(self, key: bytes) -> bool:
        """No longer know an entry. Whether it was known."""

    def differing(self, fd: int, prefix: bytes) -> Iterator[tuple[bytes, Found]]:
        """Names in an open directory that are not known, or not so, as they are; and directories.

        In place of the error there is `EQUAL` for a directory that is as it is known, and `DIFFERS` for what is not as it is known.

        :param prefix: the directory's key and a slash; empty: the root.
        :raises OSError: it cannot be listed.
        """

    def missing(self) -> list[bytes]:
        """Keys that are known and were not met."""


def known(listing: Listing, suffix: bytes) -> Known:
    """What is known, for a walk.

    :param suffix: only names that have it count, and are not hidden; empty: all do.
    :raises ValueError: the listing is damaged: not a stat for each key, or an empty key.
    """
    if batches.NATIVE is not None:
        return batches.NATIVE.known(listing.keys, listing.stats, suffix, OWN)
    return _Singly(listing, suffix)


def entries_of(fd: int) -> Iterator[tuple[bytes, Found]]:
    """Names in an open directory, and what lstat says of each."""
    with os.scandir(fd) as entries:
        for entry in entries:
            try:
                found = found_of(entry.stat(follow_symlinks=False))
            except OSError as error:
                found = (0, 0, 0, 0, 0, error.errno or errno.EIO)
            yield os.fsencode(entry.name), found


class _Singly:
    def __init__(self, listing: Listing, suffix: bytes) -> None:
        *keys, rest = listing.keys.split(b"\0")
        if rest or b"" in keys or len(keys) * STAT.size != len(listing.stats):
            raise ValueError("these are not keys and their stats")
        self._rows: dict[bytes, Found] = dict(zip(keys, STAT.iter_unpack(listing.stats), strict=True))
        self._met: set[bytes] = set()
        self._suffix = suffix
        self.equal = self.other = 0

    def __len__(self) -> int:
        return len(self._rows)

    def forget(self, key: bytes) -> bool:
        return self._rows.pop(key, None) is not None

    def differing(self, fd: int, prefix: bytes) -> Iterator[tuple[bytes, Found]]:
        for name, found in entries_of(fd):
            if self._suffix and (name.startswith(b".") or not name.endswith(self._suffix)):
                self.other += name != OWN
                continue
            row = self._rows.get(prefix + name)
            if row is None or found[5]:
                # What could not be looked at was not met: it may be gone by now.
                yield name, found
                continue
            self._met.add(prefix + name)
            if row != found:
                yield name, (*found[:5], DIFFERS)
            elif S_ISDIR(found[4]):
                yield name, (*found[:5], EQUAL)
            else:
                self.equal += 1

    def missing(self) -> list[bytes]:
        return [key for key in self._rows if key not in self._met]
