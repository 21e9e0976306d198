"""What a batch is about to do, written down before it does it; and what a session owes to directories."""

from __future__ import annotations

from collections.abc import Iterable

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

    def write(self, intents: Iterable[Intent]) -> None:
        """The intents of a batch; there are none before."""
        waiting = list(intents)
        encode = msgspec.msgpack.Encoder().encode
        self._database.execute_many(
            "INSERT INTO intent (collection, n, record) VALUES (?, ?, ?)",
            [(self._collection, n, encode(waiting[n : n + _TOGETHER])) for n in range(0, len(waiting), _TOGETHER)],
        )

    def pending(self) -> list[Intent]:
        """The intents of a batch that did not end."""
        decode = msgspec.msgpack.Decoder(list[Intent]).decode
        found = self._database.rows("SELECT record FROM intent WHERE collection = ? ORDER BY n", (self._collection,))
        return [intent for (record,) in found for intent in decode(record)]

    def clear(self) -> None:
        """The batch ended."""
        self._database.execute("DELETE FROM intent WHERE collection = ?", (self._collection,))

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
