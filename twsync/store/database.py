"""One SQLite file: opening, checking, upgrading, transactions, and errors as sentences.

Write-ahead log, so that commands read while the daemon writes. An ordinary commit is not flushed (``synchronous=NORMAL``): a power loss
may take the last ones back, never damage the file, and a journal that is a little behind only finds again what the disk shows anyway.
What must not be taken back (anchors) is committed with a flush, which makes everything before it durable too.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import Any

from twsync import limits
from twsync.errors import StoreError

#: "twsj": marks the file as a journal of twsync.
APPLICATION = 0x7477736A
#: Version of the schema that this code reads and writes.
VERSION = 5

#: Rows of one INSERT, the most first.
_TOGETHER = (512, 64, 8)
#: Names of one query.
_FOUND_TOGETHER = 64

Value = str | bytes | bytearray | int | float | None
Values = Sequence[Value]


class Database:
    """A connection that threads share; every use holds its lock."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open, make or upgrade the file.

        :raises StoreError: `journal-missing`, `journal-damaged`, `journal-newer`, `disk-full`, `read-only`, `journal-busy`.
        """
        self.path = path
        self.lock = threading.RLock()
        self._depth = 0
        self._undone = 0
        with self._errors():
            if read_only:
                if not path.exists():
                    raise StoreError(f"There is no journal at {path}: has a collection been added and synchronised yet?", "journal-missing")
                self._connection = self._connect(f"{path.absolute().as_uri()}?mode=ro")
            else:
                _create(path)
                self._connection = self._connect(path.absolute().as_uri())
        try:
            with self._errors():
                self._prepare(read_only)
        except BaseException:
            self._connection.close()
            raise

    def _connect(self, uri: str) -> sqlite3.Connection:
        return sqlite3.connect(
            uri, uri=True, timeout=limits.JOURNAL_BUSY, isolation_level=None, check_same_thread=False, cached_statements=256
        )

    def _prepare(self, read_only: bool) -> None:
        connection = self._connection
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found > VERSION:
            raise StoreError(f"{self.path} was written by a newer twsync: upgrade this one, or use the newer one.", "journal-newer")
        if found and connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
            raise self._damaged("is not a journal of twsync")
        if read_only:
            if not found:
                raise StoreError(f"The journal {self.path} is still empty; synchronise first.", "journal-missing")
            if found < VERSION:
                raise StoreError(f"{self.path} was written by an older twsync: start the daemon once, it upgrades it.", "journal-older")
            return
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA cache_size=-32768")
        # The log is copied back after 16 MiB of it: a page that many batches of a session touch is copied once.
        connection.execute("PRAGMA wal_autocheckpoint=4096")
        connection.execute("PRAGMA temp_store=MEMORY")
        # Some builds write zeros over what is deleted, all pages of a batch's intents once more: only where a page is written anyway.
        connection.execute("PRAGMA secure_delete=FAST")
        connection.execute("PRAGMA foreign_keys=OFF")
        if found == 0:
            if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise self._damaged("is not a journal of twsync")
            self._run("journal.sql", VERSION)
            return
        if (report := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise self._damaged(f"is damaged ({str(report).splitlines()[-1]})")
        for version in range(found + 1, VERSION + 1):
            self._run(f"journal-{version}.sql", version)

    def _run(self, name: str, version: int) -> None:
        """One script of the schema, all or nothing."""
        script = resources.files("twsync.store").joinpath("schema", name).read_text("utf-8")
        try:
            self._connection.executescript(
                f"BEGIN IMMEDIATE;{script};PRAGMA application_id={APPLICATION};PRAGMA user_version={version};COMMIT;"
            )
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the connection."""
        with self.lock, self._errors():
            self._connection.close()

    # --- use

    def rows(self, sql: str, values: Values = ()) -> list[Any]:
        """All rows of a query."""
        with self.lock, self._errors():
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, values: Values = ()) -> Any:  # noqa: ANN401 - a tuple whose types the query knows
        """The first row of a query, or None."""
        with self.lock, self._errors():
            return self._connection.execute(sql, values).fetchone()

    def execute(self, sql: str, values: Values = ()) -> int:
        """One statement; returns the number of rows it changed. Its own transaction, unless inside of one."""
        with self.lock, self._errors():
            return self._connection.execute(sql, values).rowcount

    def execute_many(self, sql: str, values: Iterable[Values]) -> int:
        """One statement for many rows, inside a transaction; returns the number of rows changed."""
        with self.lock, self._errors():
            return self._connection.executemany(sql, values).rowcount

    @property
    def written(self) -> tuple[int, int]:
        """Another value than before if any row may have changed: what was read is true as long as this is the same."""
        return self._connection.total_changes, self._undone

    def find(self, sql: str, values: Values, names: Iterable[str | bytes]) -> Iterator[Any]:
        """The rows of a query for many names, some at a time.

        :param sql: with ``{}`` where the placeholders for the names stand, at its end.
        :param values: those before the names.
        """
        asked = list(dict.fromkeys(names))
        sql = sql.format(", ".join("?" * _FOUND_TOGETHER))
        for start in range(0, len(asked), _FOUND_TOGETHER):
            some = asked[start : start + _FOUND_TOGETHER]
            # Always as many as the statement has, so that there is one statement.
            yield from self.rows(sql, (*values, *some, *some[-1:] * (_FOUND_TOGETHER - len(some))))

    def insert(self, into: str, rows: Sequence[Values], conflict: str) -> int:
        """Insert many rows, inside a transaction; returns the number of rows changed.

        Many rows in a statement, because sqlite3 gives the GIL away for each, and has to wait for it while other threads work.

        :param into: table and columns.
        :param conflict: what follows the rows.
        """
        one = f"({', '.join('?' * len(rows[0]))})" if rows else ""
        count = start = 0
        with self.lock, self._errors():
            for size in _TOGETHER:
                if size > len(rows) - start:
                    continue
                sql = f"INSERT INTO {into} VALUES {', '.join([one] * size)} {conflict}"
                while size <= len(rows) - start:
                    count += self._connection.execute(sql, [*chain.from_iterable(rows[start : start + size])]).rowcount
                    start += size
            if start < len(rows):
                count += self._connection.executemany(f"INSERT INTO {into} VALUES {one} {conflict}", rows[start:]).rowcount
        return count

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[None]:
        """All or nothing; nested ones belong to the outermost.

        :param durable: return only when it, and all before it, survive a power loss.
        """
        with self.lock:
            if self._depth:
                yield
                return
            with self._errors():
                if durable:
                    self._connection.execute("PRAGMA synchronous=FULL")
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
            except BaseException:
                self._undone += 1
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            else:
                with self._errors():
                    try:
                        self._connection.execute("COMMIT")
                    except sqlite3.Error:
                        self._undone += 1
                        if self._connection.in_transaction:
                            self._connection.execute("ROLLBACK")
                        raise
            finally:
                self._depth = 0
                if durable:
                    self._connection.execute("PRAGMA synchronous=NORMAL")

    def flush(self) -> None:
        """Return when everything committed so far survives a power loss."""
        with self.transaction(durable=True):
            self.execute("UPDATE durable SET n = n + 1")

    # --- errors

    def _damaged(self, what: str) -> StoreError:
        return StoreError(
            f"{self.path} {what}. Stop twsync and move the file and its -wal and -shm neighbours aside: a new journal is made, the next "
            "sessions compare everything, and no file is lost.",
            "journal-damaged",
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT):
                raise self._damaged("is damaged") from error
            if code == sqlite3.SQLITE_FULL:
                raise StoreError(f"No room for the journal {self.path}: make room on its disk, then try again.", "disk-full") from error
            if code == sqlite3.SQLITE_READONLY:
                raise StoreError(f"The journal {self.path} cannot be written: check the permissions of its folder.", "read-only") from error
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise StoreError(f"The journal {self.path} is busy in another process; try again.", "journal-busy") from error
            if code == sqlite3.SQLITE_CANTOPEN:
                raise StoreError(f"The journal {self.path} cannot be opened: check its folder and permissions.", "store-failed") from error
            raise StoreError(f"The journal {self.path} failed: {error}.", "store-failed") from error


def _create(path: Path) -> None:
    """Make an empty file that only the owner may read: names of files are private too."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreError(f"The journal {path} cannot be made: {os.strerror(error.errno or 0)}.", "store-failed") from error
