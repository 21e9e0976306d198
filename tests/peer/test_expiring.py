"""What the settings say about the trash is done when sessions have ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3
from twisted.logger import LogLevel, globalLogPublisher

from twsync.peer.address import ServerAddress
from twsync.peer.expiring import expire
from twsync.peer.settings import CollectionSettings, Settings
from twsync.reconcile.model import Item, Kind
from twsync.reconcile.versions import Version
from twsync.store.intents import Intent
from twsync.store.journal import Journal
from twsync.store.rows import Row

DAY = 86_400
NOW = 1_795_000_000  # 2026-11-18


@pytest.fixture
def journal(tmp_path):
    opened = Journal.open(tmp_path / "journal.db")
    yield opened
    opened.close()


@pytest.fixture
def said():
    """What the log got, at warnings and above."""
    events = []

    def take(event):
        if event["log_level"] >= LogLevel.warn:
            events.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(take)
    yield events
    globalLogPublisher.removeObserver(take)


@pytest.fixture
def settings(tmp_path) -> Settings:
    """A host that keeps the trash of `photos` for 30 days, and that of `music` for ever; both have an old and a new session there."""
    collections = []
    for name, days in (("photos", 30), ("music", 0)):
        for session in ("20261001T000000Z-old", "20261117T000000Z-new"):
            folder = tmp_path / name / ".twsync" / "trash" / session
            folder.mkdir(parents=True)
            (folder / "a").write_bytes(b"1234")
        collections.append(CollectionSettings(name, tmp_path / name, trash_days=days))
    server = ServerAddress("alice", "192.0.2.1", 5061)
    return Settings(
        tmp_path / "syncpeer.toml", "laptop", "alice", server, None, "tcp:0", (), tmp_path / "api.sock", collections=tuple(collections)
    )


def left(settings: Settings, name: str) -> list[str]:
    path: Path = settings.collection(name).path / ".twsync" / "trash"
    return sorted(each.name.partition("-")[2] for each in path.iterdir())


def test_what_is_too_old_goes_where_the_settings_say_so(settings, journal, said):
    expire(settings, journal, NOW * 10**9, bool)
    assert (left(settings, "photos"), left(settings, "music")) == (["new"], ["new", "old"])
    expire(settings, journal, (NOW + 31 * DAY) * 10**9, bool)
    assert left(settings, "photos") == []
    assert said == []


def test_a_session_is_not_disturbed(settings, journal):
    expire(settings, journal, NOW * 10**9, lambda: True)
    assert left(settings, "photos") == ["new", "old"]
    answers = iter([False, False, True])
    expire(settings, journal, NOW * 10**9, lambda: next(answers))
    assert left(settings, "photos") == ["new", "old"]


def test_what_a_recovery_may_need_stays(settings, journal, said):
    """A session was cut short: the old content has left its place, the new one has not come, and nobody has put it back yet."""
    rows = journal.collection("photos")
    item = Item(b"a", Kind.FILE, blake3(b"new").digest(), 3, 1, 0o644, Version.of([(5, 1)]))
    rows.begin_batch([Intent(item, 5, b"staged", b"trash/20261001T000000Z-old/a", None)], [])
    expire(settings, journal, NOW * 10**9, bool)
    assert left(settings, "photos") == ["new", "old"]
    assert said == ["photos: 1 things in the trash cannot be deleted, the first one is all of 20261001T000000Z-old (in-use)."]


def test_a_folder_that_cannot_be_used_does_not_keep_the_others_from_it(settings, journal, said):
    first, second = settings.collections
    second = replace(second, trash_days=1)
    (first.path / ".twsync").rename(first.path / "away")
    expire(replace(settings, collections=(first, second)), journal, NOW * 10**9, bool)
    assert left(settings, "music") == []
    assert [each.partition(":")[0] for each in said] == ["The trash of photos was not looked through"]


def test_a_folder_of_another_collection_is_not_touched(settings, journal, said):
    journal.collection("photos").take([Row(Item(b"a", Kind.DIRECTORY, b"", 0, 1, 0o755, Version.of([(5, 1)])))], 5)
    owner = settings.collection("photos").path / ".twsync" / "collection"
    owner.write_text('{"collection": "other", "replica": "0000000000000001"}')
    expire(settings, journal, NOW * 10**9, bool)
    assert left(settings, "photos") == ["new", "old"]
    assert "is the folder of" in said[0]
