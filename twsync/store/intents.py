"""What a batch is about to do, written down before it does it; and what a session owes to directories."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from twsync.reconcile.model import Item
from twsync.store.database import Database

#: Intents of one record.
_TOGETHER = 256


class Intent(msgspec.Struct, frozen=True, gc=False):
    """One change that a crash may have cut in two."""

    item: Item
    "The row the key gets."
    partner: int
    staged: bytes
    "Name in staging of what is put into place; empty if nothing is."
    beside: bytes
    "Where the old content goes: a key below ``.twsync``, or the displaced row's key; empty if there is none."
    displaced: Item | None
    "The row that the old content goes on under."


class Intents:
    """The intent and deferred tables, for one collection."""

    def __init__(self, database: Database, collection: int) -> None:
        self._database = database
        self._collection = collection

    def write(self, intents: Sequence[Intent]) -> range:
        """The intents of a batch; returns their numbers."""
        found = self._database.row("SELECT max(n) FROM intent WHERE collection = ?", (self._collection,))
        # A record may hold fewer than this; its successor's number is still free.
        first = 0 if found[0] is None else found[0] + _TOGETHER
        encode = msgspec.msgpack.Encoder().encode
        self._database.execute_many(
            "INSERT INTO intent (collection, n, record) VALUES (?, ?, ?)",
            [(self._collection, first + n, encode(intents[n : n + _TOGETHER])) for n in range(0, len(intents), _TOGETHER)],
        )
        return range(first, first + len(intents))

    def pending(self) -> list[Intent]:
        """The intents of batches that did not end, in the order of the batches."""
        decode = msgspec.msgpack.Decoder(list[Intent]).decode
        found = self._database.rows("SELECT record FROM intent WHERE collection = ? ORDER BY n", (self._collection,))
        return [intent for (record,) in found for intent in decode(record)]

    def clear(self, batch: range | None = None) -> None:
        """A batch ended, whose intents have these numbers; None: all did."""
        if batch is None:
            self._database.execute("DELETE FROM intent WHERE collection = ?", (self._collection,))
        else:
            sql = "DELETE FROM intent WHERE collection = ? AND n >= ? AND n < ?"
            self._database.execute(sql, (self._collection, batch.start, batch.stop))

    def defer(self, owed: Iterable[tuple[bytes, int, int]], *, replace: bool) -> None:
        """Owe (key, mode, mtime) to directories.

        :param replace: the new values hold; otherwise those already owed do.
        """
        verb = "REPLACE" if replace else "IGNORE"
        self._database.execute_many(
            f"INSERT OR {verb} INTO deferred (collection, key, mode, mtime_ns) VALUES (?, ?, ?, ?)",
            [(self._collection, *one) for one in owed],
        )

    def owed(self) -> list[tuple[bytes, int, int]]:
        """(key, mode, mtime) of directories, deepest first."""
        return self._database.rows("SELECT key, mode, mtime_ns FROM deferred WHERE collection = ? ORDER BY key DESC", (self._collection,))

    def settle(self) -> None:
        """Nothing is owed any more."""
        self._database.execute("DELETE FROM deferred WHERE collection = ?", (self._collection,))
