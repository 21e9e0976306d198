"""The control database in a SQLite file: private, whole or not there, and what is said of a file that is none."""

from __future__ import annotations

import stat

import pytest

from twsync.errors import ConfigError, StoreError
from twsync.store.control import ControlDatabase, located, sqlite_url


@pytest.fixture
def url(tmp_path):
    ControlDatabase.create(tmp_path / "control.db", "example.org")
    return sqlite_url(tmp_path / "control.db")


def test_new_database_is_private_and_alone(url, tmp_path):
    """0600, and nothing temporary stays beside it."""
    path = tmp_path / "control.db"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in tmp_path.iterdir()] == ["control.db"]


def test_nothing_is_written_over(url, tmp_path):
    """A second one is refused."""
    with pytest.raises(ConfigError, match="already is a database"):
        ControlDatabase.create(tmp_path / "control.db", "example.org")


def test_interrupted_making_leaves_nothing(tmp_path, monkeypatch):
    """The file has its name only when it is whole."""

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ControlDatabase, "_fill", fail)
    with pytest.raises(StoreError, match="No space left"):
        ControlDatabase.create(tmp_path / "control.db", "example.org")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("damage", "error", "words"),
    [
        (lambda path: path.unlink(), ConfigError, "twsync ctl init"),
        (lambda path: path.write_bytes(b"x" * 5000), StoreError, "damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\x99" * (path.stat().st_size - 4096)), StoreError, "damaged"),
        (lambda path: path.write_bytes(b""), StoreError, "not a twsync control database"),
    ],
    ids=["missing", "garbage", "torn", "empty"],
)
def test_a_file_that_cannot_be_opened(url, tmp_path, damage, error, words):
    """One sentence that says what is wrong with it."""
    damage(tmp_path / "control.db")
    with pytest.raises(error, match=words) as caught:
        ControlDatabase.open(url, "example.org")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("::", "URL"),
        ("nonsense://host/name", "does not know"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
    ],
)
def test_bad_urls(url, words, tmp_path):
    """Told with an example."""
    with pytest.raises(ConfigError, match=words):
        ControlDatabase.open(located(url, tmp_path), "example.org")


def test_paths_are_relative_to_the_settings(tmp_path):
    """An absolute one stays, and so does another kind of database."""
    assert located("sqlite:///a.db", tmp_path) == f"sqlite:///{tmp_path}/a.db"
    assert located("sqlite:////var/a.db", tmp_path) == "sqlite:////var/a.db"
    assert located("postgresql://u:p@h/n", tmp_path) == "postgresql://u:p@h/n"


def test_write_ahead_log_and_foreign_keys(url):
    """As every connection of ours has them."""
    database = ControlDatabase.open(url, "example.org")
    with database._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    database.close()


def test_a_disk_that_refuses_is_one_sentence(url):
    """What the database says comes through."""
    database = ControlDatabase.open(url, "example.org")
    with pytest.raises(StoreError, match=r"refuses: .*readonly"), database.transaction() as transaction:
        transaction._connection.exec_driver_sql("PRAGMA query_only = ON")
        transaction.set_admin("alice", True)
    database.close()
