"""What stood in a record collection before: a log that leads back, one entry for each content that was replaced.

It costs what changed, not what there is. Where a key stood at sequence number S says the entry with the least `ended` above S, or, if
there is none, the key's row.
"""

from __future__ import annotations

from collections.abc import Iterable

from twsync import limits
from twsync.reconcile.model import Kind
from twsync.store.database import Database
from twsync.store.rows import Row


class RecordHistory:
    """The record_past and record_session tables, for one collection."""

    def __init__(self, database: Database, collection: int) -> None:
        self._database = database
        self._collection = collection

    def replaced(self, ended: int, old: Iterable[tuple[bytes, Row | None]]) -> None:
        """Rows that a transaction replaces.

        :param ended: the least sequence number of those that replace them.
        """
        was = ((key, row.item.content if row is not None and row.item.kind is Kind.FILE else b"") for key, row in old)
        self._database.insert(
            "record_past (collection, ended, key, content)",
            [(self._collection, ended, bytearray(key), bytearray(content)) for key, content in was],
            "ON CONFLICT DO NOTHING",
        )

    def began(self, session: str, seq: int, now_ns: int) -> None:
        """A session is about to change something for the first time."""
        self._database.execute(
            "INSERT OR IGNORE INTO record_session (session, collection, seq, began_ns) VALUES (?, ?, ?, ?)",
            (session, self._collection, seq, now_ns),
        )

    def before(self, session: str) -> int | None:
        """The sequence number at which the collection stood before a session; None: it changed nothing here, or is too old."""
        found = self._database.row("SELECT seq FROM record_session WHERE session = ? AND collection = ?", (session, self._collection))
        return None if found is None else int(found[0])

    def at(self, seq: int) -> dict[bytes, bytes]:
        """Keys that changed since a sequence number, each with its content then (empty: nothing stood there)."""
        return dict(
            self._database.rows(
                """SELECT key, content FROM record_past WHERE collection = ?1 AND ended > ?2
                   GROUP BY key HAVING ended = min(ended) ORDER BY key""",
                (self._collection, seq),
            )
        )

    def last(self, key: bytes, seq: int) -> bytes:
        """What stood at a key before the row with this sequence number took it away; empty: it is not known (any more)."""
        found = self._database.row(
            "SELECT content FROM record_past WHERE collection = ? AND ended <= ? AND key = ? AND content != x'' "
            "ORDER BY ended DESC LIMIT 1",
            (self._collection, seq, key),
        )
        return b"" if found is None else bytes(found[0])

    def prune(self, now_ns: int) -> None:
        """Forget sessions that cannot be taken back any more, and what only they need. In a transaction."""
        self._database.execute(
            """DELETE FROM record_session WHERE collection = ?1 AND (began_ns < ?2 OR seq < coalesce(
                   (SELECT seq FROM record_session WHERE collection = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?3), 0))""",
            (self._collection, now_ns - int(limits.RECORD_HISTORY * 1e9), limits.RECORD_SESSIONS - 1),
        )
        self._database.execute(
            """DELETE FROM record_past WHERE collection = ?1 AND ended <= coalesce(
                   (SELECT min(seq) FROM record_session WHERE collection = ?1), 9223372036854775807)""",
            (self._collection,),
        )


def sessions(database: Database, session: str) -> list[str]:
    """Names of the collections that a session changed, as far as it can be taken back."""
    sql = "SELECT c.name FROM record_session s JOIN collection c ON c.id = s.collection WHERE s.session = ? ORDER BY c.name"
    return [name for (name,) in database.rows(sql, (session,))]
