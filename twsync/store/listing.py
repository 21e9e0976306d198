"""The tree of a collection in one piece, as the journal keeps it, so that a scan need not read its rows; see `twsync.store.knowntree`.

It is a list of keys and one of stats, the stats laid out as C has them on this machine. Whatever stands there is compared only: on
another machine, where they mean something else, every entry differs.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from struct import Struct

import msgspec

from twsync import limits
from twsync.store.database import Database
from twsync.store.items import Glance, Items

#: One stat: size, mtime_ns, ctime_ns, ino, mode, and 0.
STAT = Struct("=qqqqIi")
#: It is of no use, and made anew, when so many rows and, beside them, one in 64 (2,560 bytes) are not as it says.
_OUTDATED, _OUTDATED_SIZE = 256, 64 * STAT.size
#: Rows that are in memory at once while it is made.
_TOGETHER = 4096


class Listing(msgspec.Struct, frozen=True):
    """Entries that are known, each with the stat that proves it unchanged."""

    keys: bytes
    "Each with a NUL behind it."
    stats: bytes
    "In the same order: as `Found`, 40 bytes."

    @classmethod
    def of(cls, glances: Iterable[Glance]) -> Listing:
        """Of these rows."""
        keys, stats, rest = bytearray(), bytearray(), iter(glances)
        while some := list(islice(rest, _TOGETHER)):
            keys += b"".join([glance[0] + b"\0" for glance in some])
            stats += b"".join([STAT.pack(*glance[1:], 0) for glance in some])
        return cls(bytes(keys), bytes(stats))

    def __len__(self) -> int:
        """The number of entries."""
        return len(self.stats) // STAT.size


class KeptListing:
    """One collection's.

    :param collection: its number.
    :param replica: the replica of that life of the collection.
    """

    def __init__(self, database: Database, items: Items, collection: int, replica: int) -> None:
        self._database = database
        self._items = items
        self._collection = collection
        self._replica = replica.to_bytes(8, "big")

    def load(self) -> tuple[int, Listing]:
        """The tree as its rows were at a sequence number."""
        found = self._database.row("SELECT seq, names, stats FROM listing WHERE collection = ?", (self._collection,))
        return (0, Listing(b"", b"")) if found is None else (found[0], Listing(found[1], found[2]))

    def stale(self, outdated: int = 0) -> bool:
        """Whether it helps nobody: so many rows have changed since.

        :param outdated: entries that a scan has found in vain not to be as it says.
        """
        seq, size = self._database.row("SELECT seq, length(stats) FROM listing WHERE collection = ?", (self._collection,)) or (0, 0)
        return outdated + self._items.count_since(seq) > _OUTDATED + size // _OUTDATED_SIZE

    def drop(self) -> None:
        """Have none until it is renewed."""
        self._database.execute("DELETE FROM listing WHERE collection = ?", (self._collection,))

    def renew(self) -> None:
        """Make it anew if that pays. Rows may change meanwhile: they are then newer than it."""
        if not self.stale():
            return
        seq, made = self._items.seq, Listing.of(self._items.each_glance())
        if max(len(made.keys), len(made.stats)) > limits.MAX_LISTING:
            return
        # Of that collection alone: its number may be another one's by now.
        self._database.execute(
            "INSERT OR REPLACE INTO listing (collection, seq, names, stats) "
            "SELECT id, ?, ?, ? FROM collection WHERE id = ? AND replica = ?",
            (seq, made.keys, made.stats, self._collection, self._replica),
        )
