"""Whose a folder is."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from twsync.errors import StoreError
from twsync.reconcile.model import Item, Kind
from twsync.reconcile.versions import Version
from twsync.store.journal import CollectionJournal, Journal
from twsync.store.owner import check_owner, open_gate
from twsync.store.place import Place
from twsync.store.rows import NO_STAT, Row


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal.open(tmp_path / "journal.db")
    yield opened
    opened.close()


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    one, two = tmp_path / "s1", tmp_path / "s2"
    one.mkdir()
    two.mkdir()
    return one, two


def learn(rows: CollectionJournal) -> None:
    """The journal knows an item."""
    rows.take([Row(Item(b"a", Kind.FILE, bytes(32), 1, 0, 0o644, Version().raised(rows.replica)), NO_STAT)])


def use(folder: Path, rows: CollectionJournal) -> None:
    """As a session does."""
    open_gate(folder, rows).close()
    learn(rows)


def owner(folder: Path) -> str:
    return (folder / ".twsync" / "collection").read_text()


def refusal(folder: Path, rows: CollectionJournal) -> str:
    before = owner(folder)
    with pytest.raises(StoreError) as caught:
        open_gate(folder, rows)
    assert caught.value.code == "folder-of-another"
    assert owner(folder) == before
    return caught.value.message


def test_folders_that_changed_places_are_refused(journal: Journal, folders: tuple[Path, Path]) -> None:
    """Each by a sentence that names both; back in their places they are used again."""
    one, two = folders
    first, second = journal.collection("s1"), journal.collection("s2")
    use(one, first)
    use(two, second)
    away = one.rename(one.with_name("x"))
    two.rename(one)
    away.rename(two)
    said = refusal(one, first)
    assert f"{one} is the folder of the collection s2, not of the collection s1" in said
    assert "remove the collection and add it again" in said
    assert "collection s1, not of the collection s2" in refusal(two, second)
    away = one.rename(one.with_name("x"))
    two.rename(one)
    away.rename(two)
    use(one, first)
    use(two, second)


def test_a_folder_that_bears_no_name_gets_one(journal: Journal, folders: tuple[Path, Path]) -> None:
    """It was made by an earlier version, or what it says is damaged: what a power loss leaves, or something odd in its place."""
    one, _two = folders
    rows = journal.collection("s1")
    use(one, rows)
    there = one / ".twsync" / "collection"
    right = there.read_text()
    for damage in (None, "", "{}", '{"collection": "s1"}', "\xff", "x" * 5000, '{"collection": "s1\\n", "replica": "' + "0" * 16 + '"}'):
        there.unlink()
        if damage is not None:
            there.write_text(damage, "latin-1")
        use(one, rows)
        assert there.read_text() == right
    there.unlink()
    there.symlink_to("/etc/passwd")
    use(one, rows)
    assert not there.is_symlink()
    assert there.read_text() == right


def test_a_collection_that_knows_nothing_takes_over(journal: Journal, folders: tuple[Path, Path], tmp_path: Path) -> None:
    """A lost journal, one that was removed and added again, another host: the folder is compared as a whole then."""
    one, _two = folders
    use(one, journal.collection("s1"))
    journal.forget("s1")
    again = journal.collection("s1")
    use(one, again)
    assert f"{again.replica:016x}" in owner(one)
    lost = Journal.open(tmp_path / "new.db")
    try:
        use(one, lost.collection("s1"))
        said = refusal(one, again)
        assert "another s1 (another device's, or one that was removed here), not of the collection s1" in said
    finally:
        lost.close()


def test_an_older_journal_is_the_same_collection(journal: Journal, folders: tuple[Path, Path]) -> None:
    """Whatever it knows."""
    rows = journal.collection("s1")
    open_gate(folders[0], rows).close()
    before = owner(folders[0])
    learn(rows)
    open_gate(folders[0], rows).close()
    assert owner(folders[0]) == before


def test_a_kill_while_it_is_written_leaves_the_old_name_or_the_new(
    journal: Journal, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was half written is no hindrance."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    one, _two = folders
    use(one, journal.collection("s1"))
    before = owner(one)
    rows = journal.collection("s2")
    for step in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(*((os, "fsync") if step == "fsync" else (Place, "replace")), killed)
            with pytest.raises(KeyboardInterrupt):
                open_gate(one, rows)
        assert owner(one) == before
    use(one, rows)
    assert f"{rows.replica:016x}" in owner(one)
    assert [path.name for path in (one / ".twsync").iterdir()] == ["collection"]


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC])
def test_a_disk_that_takes_nothing(journal: Journal, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A folder of an earlier version is used without a name until then; another's name must go first."""

    def refused(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    one, _two = folders
    rows = journal.collection("s1")
    use(one, rows)
    with monkeypatch.context() as patch:
        patch.setattr(Place, "create", refused)
        use(one, rows)
        with pytest.raises(StoreError) as caught:
            open_gate(one, journal.collection("s2"))
        assert caught.value.code in {"read-only", "disk-full"}
        (one / ".twsync" / "collection").unlink()
        use(one, rows)
    use(one, rows)
    assert f"{rows.replica:016x}" in owner(one)


def test_a_look_writes_nothing(journal: Journal, folders: tuple[Path, Path]) -> None:
    """As that of the doctor."""
    one, _two = folders
    rows = journal.collection("s1")
    gate = open_gate(one, rows)
    (one / ".twsync" / "collection").unlink()
    assert check_owner(gate, rows) is None
    assert not (one / ".twsync" / "collection").exists()
    gate.close()
