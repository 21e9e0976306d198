"""The control database: who may sign in, which devices there are, what is stored for them, and what sessions were held.

Everything here is synchronous and belongs into a thread; `control.records` is the daemon's. SQLite is used with one writer at a time and a
write-ahead log, so that `twsync ctl` works on the database of a running daemon. What `twsync ctl` changes raises a counter
(`Transaction.changes`) that the daemon reads once a second.

A new database is made under a temporary name and renamed when it is complete: whoever finds one finds a whole one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, make_url, select, text, update
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from twsync.errors import ConfigError, StoreError
from twsync.store import control_schema as schema
from twsync.store.control_rows import Transaction

#: Milliseconds that a writer waits for another one; `twsync ctl` and the daemon share the file.
_BUSY_MS = 10_000
#: Rows that are copied at once.
_TOGETHER = 1000
#: PostgreSQL's name, a number, for the lock that writers of a control database take: "twsync" in ASCII.
_LOCK = int.from_bytes(b"twsync")


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite database at `path`."""
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def located(url: str, folder: Path) -> str:
    """`url` with the path of a SQLite database taken relative to `folder`.

    :raises ConfigError: it is not a database URL.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError(f"[server] database is a URL such as sqlite:///syncctl.db, unlike {url!r}.") from error
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ConfigError("[server] database must name a file: sqlite:///syncctl.db.")
        parsed = parsed.set(database=str(folder / parsed.database))
    return parsed.render_as_string(hide_password=False)


class ControlDatabase:
    """An open control database. Thread-safe; each `transaction` uses its own connection.

    :param engine: made by `create` or `open`.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self.name = name
        "What to call it in messages: its path, or its URL without the password."

    @classmethod
    def create(cls, path: Path, realm: str) -> None:
        """Make a new, empty SQLite database for `realm`. (PostgreSQL's are made by its administrator, and filled by `open`.)

        :raises ConfigError: there already is one.
        :raises StoreError: the disk refused.
        """
        if path.exists():
            raise ConfigError(f"There already is a database at {path}; use it, or move it away first.", "exists")
        beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            # The file holds what signs users in: nobody else's business, from its first byte.
            os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            engine = _engine(_parsed(sqlite_url(beside)))
            try:
                with _clear_errors(str(path)), engine.begin() as connection:
                    cls._fill(connection, realm)
            finally:
                engine.dispose()  # closing the last connection writes the log into the file and removes it
            beside.rename(path)
        except OSError as error:
            raise StoreError(f"The database {path} cannot be made: {error.strerror}.") from error
        finally:
            for suffix in ("", "-wal", "-shm"):
                beside.with_name(beside.name + suffix).unlink(missing_ok=True)

    @staticmethod
    def _fill(connection: Connection, realm: str) -> None:
        schema.metadata.create_all(connection)
        connection.execute(insert(schema.state).values(id=1, version=schema.SCHEMA_VERSION, realm=realm, changes=0))

    @classmethod
    def open(cls, url: str, realm: str) -> ControlDatabase:
        """Open the database of `realm`. A PostgreSQL database without any tables gets them.

        :raises ConfigError: there is none, it is another realm's, or the URL cannot be used.
        :raises StoreError: it is damaged, of another version, or refuses.
        """
        parsed = _parsed(url)
        name = _shown(parsed)
        if parsed.get_backend_name() == "sqlite" and not Path(name).exists():
            raise ConfigError(f"There is no database at {name}; make one with 'twsync ctl init'.", "no-database")
        engine = _engine(parsed)
        try:
            cls._check(engine, name, realm)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, name)

    @classmethod
    def ready(cls, url: str, realm: str) -> ControlDatabase:
        """Open the database of `realm`; one of SQLite that is not there is made.

        :raises ConfigError, StoreError: as `open` and `create`.
        """
        parsed = _parsed(url)
        if parsed.get_backend_name() == "sqlite" and not Path(_shown(parsed)).exists():
            cls.create(Path(_shown(parsed)), realm)
        return cls.open(url, realm)

    @classmethod
    def _check(cls, engine: Engine, name: str, realm: str) -> None:
        with _clear_errors(name), engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                found = connection.execute(text("PRAGMA quick_check(1)")).scalar()
                if found != "ok":
                    said = str(found).splitlines()[-1]
                    raise StoreError(f"The database {name} is damaged ({said}); restore a backup.", "damaged")
            tables = inspect(connection).get_table_names()
            if engine.dialect.name == "postgresql" and not tables:
                cls._fill(connection, realm)
            elif "state" not in tables:
                raise StoreError(f"{name} is not a twsync control database; check [server] database.", "damaged")
            row = connection.execute(select(schema.state.c.version, schema.state.c.realm)).one_or_none()
            if row is None:
                raise StoreError(f"The database {name} is damaged (no state row); restore a backup.", "damaged")
            if row.realm != realm:
                raise ConfigError(
                    f"The database {name} belongs to the realm {row.realm!r}, and its passwords hold for that one only; "
                    f"set [server] realm = {row.realm!r}, or make a new database.",
                    "other-realm",
                )
            version = cls._upgrade(connection, row.version)
        if version != schema.SCHEMA_VERSION:
            raise StoreError(
                f"The database {name} has version {version}, this twsync knows versions up to {schema.SCHEMA_VERSION}; "
                f"use the twsync that made it, or restore a backup.",
                "other-version",
            )

    @staticmethod
    def _upgrade(connection: Connection, version: int) -> int:
        """Bring the tables up to date, if there is a way from `version`; the version that they have then."""
        while change := schema.UPGRADES.get(version):
            version += 1
            connection.execute(text(change))
            connection.execute(update(schema.state).values(version=version))
        connection.commit()
        return version

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction: committed at the end, rolled back by an exception.

        :raises StoreError: the database refused.
        """
        with _clear_errors(self.name), self._engine.begin() as connection:
            yield Transaction(connection)

    def copy_to(self, other: ControlDatabase) -> int:
        """All that is kept here into `other`, of the same realm; all or nothing. What somebody writes here meanwhile is left behind.

        :returns: how many rows.
        :raises ConfigError: `other` is in use already, or this one.
        :raises StoreError: one of the two refused.
        """
        in_use = ConfigError(f"The database {other.name} is in use already; name an empty one.", "exists")
        if other.name == self.name:
            raise in_use
        tables = [table for table in schema.metadata.sorted_tables if table is not schema.state]
        count = 0
        with _clear_errors(f"{self.name} or {other.name}"), self._engine.begin() as here, other._engine.begin() as there:
            if any(there.execute(select(table).limit(1)).first() is not None for table in tables):
                raise in_use
            for table in tables:
                # A number that the database gives is given anew, in the same order: else it would give it once more.
                columns = [column for column in table.columns if column.autoincrement is not True]
                rows = here.execute(select(*columns).order_by(*table.primary_key.columns).execution_options(yield_per=_TOGETHER))
                for some in rows.mappings().partitions():
                    there.execute(insert(table), [dict(row) for row in some])
                    count += len(some)
            there.execute(update(schema.state).values(changes=here.execute(select(schema.state.c.changes)).scalar_one()))
        return count

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


@contextlib.contextmanager
def _clear_errors(name: str) -> Iterator[None]:
    """One sentence for what a database may say."""
    try:
        yield
    except DBAPIError as error:
        cause = error.orig
        said = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
        damaged = isinstance(cause, sqlite3.DatabaseError) and type(cause) is sqlite3.DatabaseError
        if damaged:
            raise StoreError(f"The database {name} is damaged ({said}); restore a backup.", "damaged") from error
        raise StoreError(f"The database {name} refuses: {said}; check that it is there, writable and not full.") from error
    except SQLAlchemyError as error:
        raise StoreError(f"The database {name} refuses: {type(error).__name__}.") from error


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError as error:
        raise ConfigError(f"[server] database is a URL such as sqlite:///syncctl.db, unlike {url!r}.") from error


def _shown(url: URL) -> str:
    return str(url.database) if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)


def _engine(url: URL) -> Engine:
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")  # not SQLAlchemy's default, psycopg 2
    try:
        engine = create_engine(url)
    except NoSuchModuleError as error:
        raise ConfigError(f"twsync does not know databases of the kind {url.drivername!r}; use sqlite or postgresql.") from error
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"[server] database needs the Python package {error.name!r}, which is not installed; see 'pip install twsync[postgresql]'."
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    elif engine.dialect.name == "postgresql":
        event.listen(engine, "begin", _begin_postgresql)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, see below
    for pragma in (f"busy_timeout = {_BUSY_MS}", "journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    # Immediate: two that read first and write then would find each other's lock too late to wait for it.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_postgresql(connection: Connection) -> None:
    # One writer at a time there too, so that what a transaction has read still holds when it writes. Until its end; the number is ours.
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_BUSY_MS}")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
