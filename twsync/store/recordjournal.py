"""The journal of a record collection: each transaction that writes rows also writes texts, history, and what a partner holds by them.

So a session that dies at any point leaves a journal in which the three say the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import msgspec

from twsync.store.conflicts import Conflicts
from twsync.store.database import Database
from twsync.store.intents import Intent
from twsync.store.journal import CollectionJournal, Journal
from twsync.store.packing import pack_version, signed
from twsync.store.recordhistory import RecordHistory
from twsync.store.recordtexts import Text, Texts
from twsync.store.recordtwins import in_line
from twsync.store.rows import Row
from twsync.store.scan import ScanResult
from twsync.store.syncmlmap import Held, Maps


class Batch(msgspec.Struct):
    """What goes with a batch of the Applier."""

    session: str
    now_ns: int
    texts: list[Text] = msgspec.field(default_factory=list)
    maps: Maps | None = None
    reserved: list[Held] = msgspec.field(default_factory=list)
    "Written before the first change, so that a name of the other side leads to the same key after a crash."
    held: dict[bytes, Held] = msgspec.field(default_factory=dict)
    "By the key of the row with which it is written."
    dropped: dict[bytes, bytes] = msgspec.field(default_factory=dict)
    "Keys that the partner does not hold any more, by the key of the row with which that is written."


class RecordJournal(CollectionJournal):
    """Rows of one record collection, with texts and history."""

    def __init__(self, database: Database, name: str, number: int, replica: int, conflicts: Conflicts) -> None:
        super().__init__(database, name, number, replica, conflicts)
        self._items.sends_on = False
        self.database = database
        self.number = number
        self.texts = Texts(database, number)
        self.history = RecordHistory(database, number)
        self._batch: Batch | None = None
        # What `read_ahead` has found, and the state of the database for which it is true.
        self._ahead: dict[bytes, Row | None] = {}
        self._written = (-1, 0)

    @classmethod
    def of(cls, journal: Journal, name: str, *, create: bool = True) -> RecordJournal:
        """The journal of a collection; see `Journal.collection`."""
        plain = journal.collection(name, create=create)
        return cls(journal.database, name, plain._number, plain.replica, plain.conflicts)

    def read_ahead(self, keys: Iterable[bytes]) -> list[Row]:
        """Look up many keys at once; until anything is written, `get` knows what was found."""
        with self._database.lock:
            if self._written != self._database.written:
                self._ahead, self._written = {}, self._database.written
            asked = list(keys)
            self._ahead.update(dict.fromkeys(asked))
            found = self.get_many(asked)
            self._ahead.update(found)
            return list(found.values())

    def get(self, key: bytes) -> Row | None:
        """One row."""
        if self._written == self._database.written and key in self._ahead:
            return self._ahead[key]
        return super().get(key)

    @contextmanager
    def batch(self, batch: Batch) -> Iterator[None]:
        """What the next `begin_batch` and `end_batch` write beside the rows."""
        self._batch = batch
        try:
            yield
        finally:
            self._batch = None

    def learn(self, result: ScanResult, texts: Sequence[Text]) -> int:
        """As `record`, with the texts of the live rows of `result.changes`; see `in_line` for their versions."""
        with self._database.transaction():
            self.texts.put(texts)
            known = self.get_many(row.key for row in result.changes)
            # A row that changed since the scan looked at it stays.
            written = [row for row in result.changes if row.seq == (known[row.key].seq if row.key in known else 0)]
            uids = {text.content: text.identity.uid for text in texts}

            def uid(row: Row) -> str:
                return uids.get(row.item.content, "") if row.item.live else self.texts.uid(known[row.key].item.content)

            written = in_line(written, uid, self.rows_of if self.seq else lambda _uids: {}, self.replica)
            self._replaced(written, known | self.get_many(row.key for row in written if row.key not in known))
            return self.record(replace(result, changes=written))

    def rows_of(self, uids: Iterable[str]) -> dict[str, dict[bytes, Row]]:
        """The rows of each of these UIDs: live ones, and those that had it when they were deleted, as far as that is known."""
        keys = self.texts.keys_of(uids)
        rows = self.get_many({key for some in keys.values() for key in some})
        return {
            uid: {key: rows[key] for key in sorted(some & rows.keys()) if rows[key].item.live or self._had(rows[key]) == uid}
            for uid, some in keys.items()
        }

    def was(self, row: Row) -> Text | None:
        """What was deleted here; None: that is not known any more."""
        return self.texts.get(self._last(row))

    def _had(self, row: Row) -> str:
        return self.texts.uid(self._last(row))

    def _last(self, row: Row) -> bytes:
        """The content of a row before it was deleted, or one that some device is known to have of it."""
        found = self.history.last(row.key, row.seq)
        if found:
            return found
        held = self._database.row(
            "SELECT m.base FROM syncml_partner p JOIN syncml_map m ON m.partner = p.n "
            "WHERE p.collection = ? AND m.key = ? AND m.held = 1 AND m.base != x'' ORDER BY p.used_ns DESC LIMIT 1",
            (self._number, row.key),
        )
        return b"" if held is None else bytes(held[0])

    def begin_batch(self, intents: Sequence[Intent], owed: Iterable[tuple[bytes, int, int]]) -> range:
        """As its parent; texts and reserved names too."""
        with self._database.transaction():
            batch = super().begin_batch(intents, owed)
            if self._batch is not None:
                self.texts.put(self._batch.texts)
                self.history.began(self._batch.session, self.seq, self._batch.now_ns)
                if self._batch.maps is not None:
                    self._batch.maps.put(self._batch.reserved)
            return batch

    def end_batch(self, rows: Iterable[Row], owed: Iterable[tuple[bytes, int, int]], batch: range | None = None) -> int:
        """As its parent; the history of the rows and what the partner holds by them too.

        Without a batch (`recover`): a row that was taken from a partner as it is, that partner holds.
        """
        rows = list(rows)
        with self._database.transaction():
            self._replaced(rows, self.get_many(row.key for row in rows))
            seq = super().end_batch(rows, owed, batch)
            writing = self._batch
            if writing is None:
                self._database.execute_many(
                    """UPDATE syncml_map SET held = 1, base = ?, version = ? WHERE key = ?
                       AND partner IN (SELECT n FROM syncml_partner WHERE collection = ? AND replica = ?)""",
                    [
                        (row.item.content, pack_version(row.item.version), row.key, self._number, signed(row.partner))
                        for row in rows
                        if row.partner and row.item.live
                    ],
                )
            elif writing.maps is not None:
                writing.maps.drop([writing.dropped[row.key] for row in rows if row.key in writing.dropped])
                writing.maps.put([writing.held[row.key] for row in rows if row.key in writing.held])
            return seq

    def _replaced(self, rows: Iterable[Row], known: dict[bytes, Row]) -> None:
        old = [(row.key, known.get(row.key)) for row in rows]
        changed = [
            (row.key, before)
            for row, (_, before) in zip(rows, old, strict=True)
            if row.item.content != (before.item.content if before is not None else b"")
        ]
        if changed:
            self.history.replaced(self.seq + 1, changed)
