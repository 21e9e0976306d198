"""History of sessions: results as JSON, and the lines of their traces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from twsync.store.database import Database

_COLUMNS = "session, collection, device, role, state, started_ns, ended_ns, result"


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One session."""

    session: str
    "Call-ID."
    collection: str
    device: str
    "The partner."
    role: str
    "client or server."
    state: str
    "running, done, partial, failed, queued."
    started_ns: int
    ended_ns: int
    "0 while it runs."
    result: str
    "JSON of the result; empty while it runs."


class Sessions:
    """Sessions and their traces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, session: str, collection: str, device: str, role: str, now_ns: int) -> None:
        """A session starts (again, if one of that id is known)."""
        sql = f"INSERT OR REPLACE INTO session ({_COLUMNS}) VALUES (?, ?, ?, ?, 'running', ?, 0, '')"
        self._database.execute(sql, (session, collection, device, role, now_ns))

    def finish(self, session: str, state: str, result: str, now_ns: int) -> None:
        """It ended; `result` is JSON."""
        self._database.execute("UPDATE session SET state = ?, result = ?, ended_ns = ? WHERE session = ?", (state, result, now_ns, session))

    def interrupted(self, now_ns: int) -> int:
        """At start: sessions that still run were cut short by a stop; they are marked failed. Returns how many."""
        return self._database.execute("UPDATE session SET state = 'failed', ended_ns = ? WHERE state = 'running'", (now_ns,))

    def get(self, session: str) -> SessionRecord | None:
        """One session."""
        found = self._database.row(f"SELECT {_COLUMNS} FROM session WHERE session = ?", (session,))
        return None if found is None else SessionRecord(*found)

    def add_trace(self, session: str, lines: Iterable[str]) -> None:
        """Append trace lines (JSON each)."""
        with self._database.transaction():
            first = self._database.row("SELECT coalesce(max(n), -1) + 1 FROM trace WHERE session = ?", (session,))[0]
            self._database.execute_many(
                "INSERT INTO trace (session, n, line) VALUES (?, ?, ?)", [(session, n, line) for n, line in enumerate(lines, first)]
            )

    def trace(self, session: str) -> list[str]:
        """The trace lines in order."""
        return [line for (line,) in self._database.rows("SELECT line FROM trace WHERE session = ? ORDER BY n", (session,))]

    def prune(self, keep: int) -> None:
        """Forget all but the newest `keep` sessions, and traces without one."""
        with self._database.transaction():
            self._database.execute(
                "DELETE FROM session WHERE state != 'running' AND n NOT IN (SELECT n FROM session ORDER BY n DESC LIMIT ?)", (keep,)
            )
            self._database.execute("DELETE FROM trace WHERE session NOT IN (SELECT session FROM session)")

    def list(self, limit: int = 100, collection: str | None = None, device: str | None = None) -> list[SessionRecord]:
        """Newest first."""
        wanted = "(?1 IS NULL OR collection = ?1) AND (?2 IS NULL OR device = ?2)"
        found = self._database.rows(f"SELECT {_COLUMNS} FROM session WHERE {wanted} ORDER BY n DESC LIMIT ?3", (collection, device, limit))
        return [SessionRecord(*one) for one in found]
