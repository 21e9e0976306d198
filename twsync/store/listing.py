"""The tree of a collection as one list, which the journal keeps, so that a scan need not read its rows; see `twsync.store.knowntree`.

It is a list of keys and one of stats, the stats laid out as C has them on this machine. Whatever stands there is compared only: on
another machine, where they mean something else, every entry differs.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count, islice
from struct import Struct

import msgspec

from twsync.store.database import Database
from twsync.store.items import Glance, Items

#: One stat: size, mtime_ns, ctime_ns, ino, mode, and 0.
STAT = Struct("=qqqqIi")
#: It is of no use, and made anew, when so many rows and, beside them, one in 64 (2,560 bytes) are not as it says.
_OUTDATED, _OUTDATED_SIZE = 256, 64 * STAT.size
#: Rows of one part of it: a megabyte and a half.
_PART = 16_384


class Listing(msgspec.Struct, frozen=True):
    """Entries that are known, each with the stat that proves it unchanged."""

    keys: bytes
    "Each with a NUL behind it."
    stats: bytes
    "In the same order: as `Found`, 40 bytes."

    @classmethod
    def of(cls, glances: Iterable[Glance]) -> Listing:
        """Of these rows."""
        rows = list(glances)
        return cls(b"".join([row[0] + b"\0" for row in rows]), b"".join([STAT.pack(*row[1:], 0) for row in rows]))

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
        with self._database.lock:
            seq, _size = self._made()
            sql = "SELECT keys, stats FROM listing WHERE collection = ? ORDER BY part"
            found = self._database.rows(sql, (self._collection,)) if seq else []
        return seq, Listing(b"".join([keys for keys, _stats in found]), b"".join([stats for _keys, stats in found]))

    def stale(self, outdated: int = 0) -> bool:
        """Whether it helps nobody: so many rows have changed since.

        :param outdated: entries that a scan has found in vain not to be as it says.
        """
        seq, size = self._made()
        return outdated + self._items.count_since(seq) > _OUTDATED + size // _OUTDATED_SIZE

    def _made(self) -> tuple[int, int]:
        """Its sequence number, and the bytes of its stats; 0 if there is none, or one that was not made to its end."""
        sql = "SELECT part, seq, length(stats) FROM listing WHERE collection = ? ORDER BY part"
        parts, seqs, sizes = zip(*self._database.rows(sql, (self._collection,)) or [(0, 0, 0)], strict=True)
        # Two that make it at once write parts of the same, or of different ones.
        whole = parts == tuple(range(len(parts))) and len(set(seqs)) == 1 and not sizes[-1]
        return (seqs[0], sum(sizes)) if whole else (0, 0)

    def drop(self) -> None:
        """Have none until it is renewed."""
        self._database.execute("DELETE FROM listing WHERE collection = ?", (self._collection,))

    def renew(self) -> None:
        """Make it anew if that pays, in parts: nobody waits for the journal longer than one takes. Rows may change meanwhile: they are then
        newer than it."""
        if not self.stale():
            return
        seq, glances = self._items.seq, self._items.each_glance()
        self.drop()
        for number in count():
            part = Listing.of(islice(glances, _PART))
            # Of that collection alone: its number may be another one's by now.
            self._database.execute(
                "INSERT OR REPLACE INTO listing (collection, part, seq, keys, stats) "
                "SELECT id, ?, ?, ?, ? FROM collection WHERE id = ? AND replica = ?",
                (number, seq, part.keys, part.stats, self._collection, self._replica),
            )
            if not part.keys:
                return
