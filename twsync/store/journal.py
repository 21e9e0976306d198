"""The journal of a host: what twsync remembers of its collections and partners. See docs/architecture.md, "The sync model"."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from twsync.errors import StoreError
from twsync.reconcile.model import Item
from twsync.store.anchors import AnchorTable
from twsync.store.conflicts import Conflicts
from twsync.store.database import Database
from twsync.store.intents import Intent, Intents
from twsync.store.items import Glance, Items
from twsync.store.listing import KeptListing
from twsync.store.rows import Row, Stat
from twsync.store.sessions import Sessions
from twsync.store.trust import Trust

if TYPE_CHECKING:
    from twsync.store.scan import ScanResult

#: Tables with rows of one collection, by its number.
_TABLES = ("item", "intent", "deferred", "anchor", "syncml_partner", "record_past", "record_session", "record_text", "listing")


class Journal:
    """``DIR/state/journal.db``. Thread-safe. One process writes (see `twsync.store.lock`), others may read."""

    def __init__(self, database: Database, token: Callable[[int], bytes]) -> None:
        self._database = database
        self._token = token
        self.sessions = Sessions(database)
        self.conflicts = Conflicts(database)
        self.trust = Trust(database)

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False, token: Callable[[int], bytes] = secrets.token_bytes) -> Journal:
        """Open or make.

        :param read_only: for a process that does not hold the lock; the file must exist.
        :param token: that many random bytes, for replicas.
        :raises StoreError: `journal-damaged`, `journal-newer`, `journal-missing`, `journal-busy`, `disk-full`, `read-only`.
        """
        return cls(Database(path, read_only=read_only), token)

    def collection(self, name: str, *, create: bool = True) -> CollectionJournal:
        """The journal of one collection, made with a new replica at first use.

        :param create: False: StoreError `not-found` instead of making one.
        """
        sql = "SELECT id, replica FROM collection WHERE name = ?"
        found = self._database.row(sql, (name,))
        if found is None:
            if not create:
                raise StoreError(f"The collection {name} was never synchronised here.", "not-found")
            with self._database.transaction(durable=True):
                # A replica of 0 stands for "none" in Row.partner.
                replica = self._token(8)
                while not any(replica):
                    replica = self._token(8)
                self._database.execute("INSERT OR IGNORE INTO collection (name, replica) VALUES (?, ?)", (name, replica))
            found = self._database.row(sql, (name,))
        return CollectionJournal(self._database, name, found[0], int.from_bytes(found[1], "big"), self.conflicts)

    def rest(self) -> None:
        """No session is under way: make the next scans cheap, and keep nothing of the file in memory."""
        for name in self.collections():
            try:
                self.collection(name, create=False).listing.renew()
            except StoreError as error:
                if error.code != "not-found":  # it was removed meanwhile
                    raise
        self._database.execute("PRAGMA shrink_memory")

    @property
    def database(self) -> Database:
        """The file, for tables that other modules keep in it."""
        return self._database

    def collections(self) -> list[str]:
        """Names of all collections that have a journal, sorted."""
        return [name for (name,) in self._database.rows("SELECT name FROM collection ORDER BY name")]

    def forget(self, name: str) -> None:
        """Drop a collection's journal; if it comes back, it is a new replica, and its sessions are slow. The history stays."""
        with self._database.transaction(durable=True):
            found = self._database.row("SELECT id FROM collection WHERE name = ?", (name,))
            if found is not None:
                for table in _TABLES:
                    self._database.execute(f"DELETE FROM {table} WHERE collection = ?", found)
                self._database.execute("DELETE FROM collection WHERE id = ?", found)
            self._database.execute("DELETE FROM conflict WHERE collection = ?", (name,))

    def durable(self) -> None:
        """Return when everything written so far survives a power loss."""
        self._database.flush()

    def close(self) -> None:
        """Close."""
        self._database.close()


class CollectionJournal:
    """Rows, anchors and intents of one collection."""

    def __init__(self, database: Database, name: str, number: int, replica: int, conflicts: Conflicts) -> None:
        self._database = database
        self._number = number
        self._items = Items(database, number)
        self.name = name
        self.replica = replica
        "64 bits that name this life of this journal."
        self.conflicts = conflicts
        self.anchors = AnchorTable(database, number)
        self.intents = Intents(database, number)
        self.listing = KeptListing(database, self._items, number, replica)

    # --- reading

    @property
    def seq(self) -> int:
        """The sequence number of the last change."""
        return self._items.seq

    @property
    def known(self) -> bool:
        """Whether any row was ever recorded (for `Gate.open`)."""
        return self.seq > 0

    def get(self, key: bytes) -> Row | None:
        """One row."""
        return self._items.get(key)

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, Row]:
        """The rows of those keys that have one."""
        return self._items.get_many(keys)

    def under(self, key: bytes) -> list[Row]:
        """Rows below a directory, tombstones too, sorted by key (all rows for ``b""``)."""
        return self._items.under(key)

    def glances(self) -> list[Glance]:
        """All live rows as a scan needs them."""
        return self._items.glances()

    def glances_of(self, keys: Iterable[bytes]) -> dict[bytes, Glance]:
        """The live rows of those keys that have one."""
        return self._items.glances_of(keys)

    def glances_below(self, key: bytes) -> list[Glance]:
        """The live rows below a directory."""
        return self._items.glances_below(key)

    def glances_since(self, seq: int) -> dict[bytes, Glance | None]:
        """Rows with a greater sequence number; None: it is a tombstone."""
        return self._items.glances_since(seq)

    def changes(self, after: int, upto: int | None = None, exclude_partner: int = 0) -> list[Item]:
        """Items with `after` < seq <= `upto`, but no rows last taken from the replica `exclude_partner`, by seq."""
        return self._items.changes(after, upto, exclude_partner)

    def rows(self, after: int = 0, upto: int | None = None) -> list[Row]:
        """Whole rows with `after` < seq <= `upto`, by seq."""
        return self._items.rows(after, upto)

    def any_live(self) -> bool:
        """Whether there is a row that is no tombstone."""
        return self._items.any_live()

    def live_count(self) -> int:
        """Rows that are not tombstones. Looks at all rows."""
        return self._items.live_count()

    def find_content(self, content: bytes, limit: int = 8) -> list[Row]:
        """Live files of this content."""
        return self._items.find_content(content, limit)

    def large(self, least: int) -> list[tuple[int, int, int]]:
        """Size, and modification time and inode number on the disk, of the live files with at least so many bytes. Looks at all rows."""
        return self._items.large(least)

    # --- writing

    def record(self, result: ScanResult) -> int:
        """Write what a scan found; a row that changed since the scan looked at it is left alone. Returns the new seq."""
        with self._database.transaction():
            if result.outdated and self.listing.stale(result.outdated):
                self.listing.drop()
            self._items.refresh(result.refreshed)
            return self._items.write(result.changes, guarded=True)

    def take(self, rows: Iterable[Row], partner: int | None = None) -> int:
        """Write rows as they are, each with a new seq; returns the last.

        For rows that need nothing done to the disk (versions joined, nothing there on either side), with the stat of the row they
        replace.

        :param partner: the replica they are taken from, for all of them; None: as each row says.
        """
        with self._database.transaction():
            if partner is not None:
                rows = [Row(row.item, row.stat, row.seq, partner) for row in rows]
            return self._items.write(rows)

    def begin_batch(self, intents: Sequence[Intent], owed: Iterable[tuple[bytes, int, int]]) -> range:
        """One transaction: what a batch is about to do, and the modes and times owed to the directories that it works in.

        :returns: the numbers of the intents; a batch before it may still have its own.
        """
        with self._database.transaction():
            batch = self.intents.write(intents)
            self.intents.defer(owed, replace=False)
            return batch

    def end_batch(self, rows: Iterable[Row], owed: Iterable[tuple[bytes, int, int]], batch: range | None = None) -> int:
        """One transaction: the rows of a batch, as each says, what its folders get in the end, and its intents cleared.

        :param batch: what `begin_batch` returned; None: all intents are cleared.
        :returns: the new seq.
        """
        with self._database.transaction():
            seq = self._items.write(rows)
            self.intents.defer(owed, replace=True)
            self.intents.clear(batch)
            return seq

    def settle(self, stats: Iterable[tuple[bytes, Stat]]) -> None:
        """One transaction: folders have got what was owed to them, and look so."""
        with self._database.transaction():
            self._items.refresh(stats)
            self.intents.settle()

    def set_patterns(self, digest: bytes) -> bool:
        """Remember the hash of the ignore patterns; True if it changed, and then all anchors were dropped.

        The first digest of a new journal is no change.
        """
        with self._database.transaction():
            old = self._database.row("SELECT patterns FROM collection WHERE id = ?", (self._number,))[0]
            if old == digest:
                return False
            self._database.execute("UPDATE collection SET patterns = ? WHERE id = ?", (digest, self._number))
            if old:
                self.anchors.drop()
            return bool(old)
