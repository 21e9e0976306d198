"""A journal of an older version is brought to the present one when it is opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from twsync.errors import StoreError
from twsync.reconcile.model import Kind
from twsync.store import database
from twsync.store.journal import Journal

#: Made by twsync with version 1 of the schema: two collections, rows, anchors, a session, a conflict, a trusted device.
OLD = Path(__file__).parent / "journal-1.sql"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "journal.db"
    connection = sqlite3.connect(path)
    connection.executescript(OLD.read_text())
    connection.close()
    return path


def layout(path: Path) -> list[tuple[str, str, str]]:
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type, name").fetchall()
    connection.close()
    return found


def test_everything_is_there_after_the_upgrade(old, tmp_path) -> None:
    journal = Journal.open(old)
    assert journal.collections() == ["music", "photos"]
    rows = journal.collection("photos", create=False)
    assert {row.key: row.item.kind for row in rows.under(b"")} == {b"a.txt": Kind.FILE, b"b": Kind.DIRECTORY, b"old": Kind.DELETED}
    assert rows.anchors.devices() == ["alice/desktop"]
    assert journal.sessions.get("call@host") is not None
    assert len(journal.conflicts.list(open_only=False)) == 1
    journal.close()
    Journal.open(tmp_path / "new.db").close()
    assert layout(old) == layout(tmp_path / "new.db")
    # And it opens again as what it is now.
    Journal.open(old).close()
    Journal.open(old, read_only=True).close()


def test_a_reader_does_not_upgrade(old) -> None:
    with pytest.raises(StoreError) as caught:
        Journal.open(old, read_only=True)
    assert caught.value.code == "journal-older"


def test_an_upgrade_that_fails_changes_nothing(old, monkeypatch) -> None:
    before = layout(old)
    run = database.Database._run

    def failing(self, name: str, version: int) -> None:
        self._connection.execute("CREATE TABLE syncml_owed (n)")
        run(self, name, version)

    monkeypatch.setattr(database.Database, "_run", failing)
    with pytest.raises(StoreError):
        Journal.open(old)
    monkeypatch.undo()
    connection = sqlite3.connect(old)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    connection.execute("DROP TABLE syncml_owed")
    connection.commit()
    connection.close()
    assert layout(old) == before
    Journal.open(old).close()


def test_a_listing_of_what_lies_at_the_top_is_not_taken_for_one_of_the_tree(tmp_path) -> None:
    path = tmp_path / "journal.db"
    Journal.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE listing")
    connection.execute("CREATE TABLE listing (collection INTEGER PRIMARY KEY, seq INTEGER, names BLOB, stats BLOB)")
    connection.execute("INSERT INTO listing VALUES (1, 300, x'6100', zeroblob(40))")
    connection.execute("PRAGMA user_version = 4")
    connection.commit()
    connection.close()
    journal = Journal.open(path)
    assert journal.database.rows("SELECT * FROM listing") == []
    journal.close()
