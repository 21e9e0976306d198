"""The journal: rows, anchors, history, trust, damage."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twsync.errors import StoreError, UserError
from twsync.reconcile.anchors import Anchors, Mark
from twsync.reconcile.model import Item, Kind
from twsync.reconcile.versions import Version
from twsync.store.intents import Intent
from twsync.store.journal import Journal
from twsync.store.lock import StateLock, holder
from twsync.store.packing import pack_version, signed, unpack_version, unsigned
from twsync.store.rows import Row, Stat
from twsync.store.trust import Meeting

NOW = 1_795_000_000_000_000_000


@pytest.fixture
def journal(tmp_path: Path):
    made = Journal.open(tmp_path / "journal.db")
    yield made
    made.close()


def item(key: bytes, counter: int = 1, replica: int = 2**64 - 1, kind: Kind = Kind.FILE) -> Item:
    content = b"c" * 32 if kind is Kind.FILE else b""
    return Item(key, kind, content, 3, -5, 0o640, Version(((replica, counter),)), b"", "laptop")


def test_a_row_comes_back_as_it_was(journal) -> None:
    rows = journal.collection("photos")
    row = Row(
        Item(b"\xff/\n", Kind.SYMLINK, b"h" * 32, 0, -(2**63), 0, Version(((1, 2), (2**64 - 1, 2**63))), b"\xfe", "l\u00e4ptop"),
        Stat(1, 2, 3, 2**63 - 1, 0o777),
    )
    assert rows.take([row], 2**64 - 7) == 1
    found = rows.get(b"\xff/\n")
    assert (found.item, found.stat, found.seq, found.partner) == (row.item, row.stat, 1, 2**64 - 7)
    assert rows.get(b"other") is None
    assert rows.get_many([b"x", b"\xff/\n"]) == {b"\xff/\n": found}


@pytest.mark.parametrize("count", [0, 1, 7, 8, 63, 64, 72, 511, 512, 585, 1100])
def test_any_number_of_rows_is_written(journal, count) -> None:
    rows = journal.collection("photos")
    rows.take([Row(item(b"%04d" % number)) for number in range(5)], 0)
    written = [Row(item(b"%04d" % number, number + 2)) for number in range(count)]
    assert rows.take(written, 0) == 5 + count
    found = rows.rows(after=5)
    assert [(row.item, row.seq) for row in found] == [(row.item, 6 + number) for number, row in enumerate(written)]
    assert rows.live_count() == max(5, count)


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 128, 130])
def test_any_number_of_rows_is_looked_up_in_the_order_asked(journal, count) -> None:
    rows = journal.collection("photos")
    keys = [b"%03d" % number for number in range(count)]
    rows.take([Row(item(key)) for key in keys], 0)
    asked = [*reversed(keys), b"none", *keys[:3]]
    found = rows.get_many(iter(asked))
    assert list(found) == list(reversed(keys))
    assert all(row.key == key for key, row in found.items())


def test_intents_of_a_large_batch_come_back_in_order(journal) -> None:
    rows = journal.collection("photos")
    intents = [Intent(item(b"%04d" % number), 7, b"staged", b"", item(b"old") if number % 2 else None) for number in range(600)]
    rows.begin_batch(intents, [])
    assert rows.intents.pending() == intents
    rows.end_batch([], [])
    assert rows.intents.pending() == []


def test_each_batch_ends_with_its_own_intents(journal) -> None:
    rows = journal.collection("photos")
    intents = [[Intent(item(b"%d-%03d" % (batch, n)), 7, b"staged", b"", None) for n in range(300)] for batch in range(4)]
    numbers = [rows.begin_batch(some, []) for some in intents[:3]]
    assert rows.intents.pending() == [*intents[0], *intents[1], *intents[2]]
    rows.end_batch([], [], numbers[1])
    assert rows.intents.pending() == [*intents[0], *intents[2]]
    rows.end_batch([], [], numbers[0])
    last = rows.begin_batch(intents[3], [])
    assert rows.intents.pending() == [*intents[2], *intents[3]]
    rows.end_batch([], [], numbers[2])
    rows.end_batch([], [], rows.begin_batch([], []))
    assert rows.intents.pending() == intents[3]
    journal.collection("music").end_batch([], [], last)
    assert rows.intents.pending() == intents[3]
    # What recovery has looked at, whatever batch it was of.
    rows.end_batch([], [])
    assert rows.intents.pending() == []


def test_sequence_numbers_rise_by_row_and_changes_are_cut_by_them(journal) -> None:
    rows = journal.collection("photos")
    assert (rows.seq, rows.known) == (0, False)
    rows.take([Row(item(b"a")), Row(item(b"b"))], 0)
    rows.take([Row(item(b"c"))], 9)
    rows.take([Row(item(b"a", 2))], 0)
    assert (rows.seq, rows.known) == (4, True)
    assert [found.key for found in rows.changes(0)] == [b"b", b"c", b"a"]
    assert [found.key for found in rows.changes(2)] == [b"c", b"a"]
    assert [found.key for found in rows.changes(0, 3)] == [b"b", b"c"]
    assert [found.key for found in rows.changes(0, exclude_partner=9)] == [b"b", b"a"]
    assert [row.seq for row in rows.rows(1, 3)] == [2, 3]


def test_collections_are_apart_and_live_rows_are_counted(journal) -> None:
    photos, music = journal.collection("photos"), journal.collection("music")
    assert photos.replica != music.replica
    photos.take([Row(item(b"a")), Row(item(b"d", kind=Kind.DIRECTORY)), Row(item(b"x", kind=Kind.DELETED))], 0)
    assert (photos.live_count(), music.live_count()) == (2, 0)
    assert (photos.any_live(), music.any_live()) == (True, False)
    assert journal.collections() == ["music", "photos"]
    assert [row.key for row in photos.find_content(b"c" * 32)] == [b"a"]
    assert music.find_content(b"c" * 32) == []
    photos.take([Row(item(b"a", 2), Stat(3, 7, 8, 9, 0o640))], 0)
    assert (photos.large(3), photos.large(4), music.large(0)) == ([(3, 7, 9)], [], [])
    assert journal.collection("photos").replica == photos.replica
    journal.forget("photos")
    assert journal.collections() == ["music"]
    again = journal.collection("photos")
    assert (again.replica != photos.replica, again.seq) == (True, 0)
    with pytest.raises(StoreError) as caught:
        journal.collection("none", create=False)
    assert caught.value.code == "not-found"


def test_rows_below_a_folder(journal) -> None:
    rows = journal.collection("photos")
    keys = [b"a", b"a/b", b"a/b/c", b"a-", b"a0", b"ab/c", b"a/\xff"]
    rows.take([Row(item(key)) for key in keys], 0)
    assert [row.key for row in rows.under(b"a")] == [b"a/b", b"a/b/c", b"a/\xff"]
    assert [row.key for row in rows.under(b"")] == sorted(keys)


@given(st.dictionaries(st.integers(0, 2**64 - 1), st.integers(1, 2**64 - 1), max_size=5))
def test_versions_pack(pairs: dict[int, int]) -> None:
    version = Version.of(pairs.items())
    assert unpack_version(pack_version(version)) == version
    assert all(unsigned(signed(replica)) == replica and -(2**63) <= signed(replica) < 2**63 for replica in pairs)


def test_anchors_are_kept_for_each_device(journal, tmp_path: Path) -> None:
    rows = journal.collection("photos")
    assert rows.anchors.load() == {}
    first = Anchors(2**64 - 1, None, Mark(b"t" * 16, 5, 7))
    rows.anchors.save("alice/desktop", first)
    both = Anchors(3, Mark(b"t" * 16, 5, 7), Mark(b"u" * 16, 9, 8))
    rows.anchors.save("bob/phone", both)
    assert rows.anchors.load()["alice/desktop"] == first
    assert rows.anchors.load()["bob/phone"] == both
    assert journal.collection("music").anchors.devices() == []
    assert rows.anchors.devices() == ["alice/desktop", "bob/phone"]
    rows.anchors.drop("bob/phone")
    assert rows.anchors.devices() == ["alice/desktop"]
    rows.anchors.drop()
    assert rows.anchors.devices() == []


def test_changed_ignore_patterns_drop_the_anchors(journal) -> None:
    rows = journal.collection("photos")
    assert rows.set_patterns(b"one") is False
    rows.anchors.save("d", Anchors(3, Mark(b"t", 5, 7)))
    assert rows.set_patterns(b"one") is False
    assert rows.anchors.devices() == ["d"]
    assert rows.set_patterns(b"two") is True
    assert rows.anchors.devices() == []


def test_sessions_are_listed_newest_first_and_pruned(journal) -> None:
    sessions = journal.sessions
    for number in range(5):
        sessions.begin(f"s{number}", "photos" if number % 2 else "music", "alice/desktop", "client", NOW + number)
        sessions.add_trace(f"s{number}", ["one"])
        sessions.add_trace(f"s{number}", ["two", "three"])
    sessions.finish("s1", "done", '{"state": "done"}', NOW + 50)
    assert sessions.trace("s1") == ["one", "two", "three"]
    found = sessions.get("s1")
    assert (found.state, found.ended_ns, found.result) == ("done", NOW + 50, '{"state": "done"}')
    assert [one.session for one in sessions.list(collection="music")] == ["s4", "s2", "s0"]
    assert [one.session for one in sessions.list(2)] == ["s4", "s3"]
    assert sessions.list(device="nobody") == []
    assert sessions.interrupted(NOW + 99) == 4
    assert sessions.get("s4").state == "failed"
    sessions.prune(2)
    assert [one.session for one in sessions.list()] == ["s4", "s3"]
    assert sessions.trace("s1") == []


def test_conflicts_are_listed_until_somebody_decides(journal) -> None:
    conflicts = journal.conflicts
    first = conflicts.add("photos", b"a", b"a (conflict)", "kept-both", True, "s", "alice/desktop", NOW)
    assert conflicts.add("photos", b"a", b"a (conflict)", "kept-both", True, "s2", "alice/desktop", NOW) == first
    second = conflicts.add("music", b"b", b"", "ours", False, "s", "alice/desktop", NOW)
    assert [one.number for one in conflicts.list()] == [first]
    assert [one.number for one in conflicts.list(open_only=False)] == [second, first]
    assert conflicts.list("music") == []
    conflicts.resolved(first, "theirs", NOW + 1)
    assert conflicts.list() == []
    assert (conflicts.get(first).resolution, conflicts.get(first).own_lost) == ("theirs", True)
    assert conflicts.get(99) is None


def test_a_changed_key_is_not_trusted_until_somebody_says_so(journal) -> None:
    trust = journal.trust
    assert trust.meet("alice/desktop", "sha256:aa", NOW) is Meeting.FIRST
    assert trust.meet("alice/desktop", "sha256:aa", NOW) is Meeting.SAME
    with pytest.raises(UserError):
        trust.accept("alice/desktop", NOW)
    assert trust.meet("alice/desktop", "sha256:bb", NOW + 1) is Meeting.CHANGED
    assert (trust.get("alice/desktop").fingerprint, trust.get("alice/desktop").offered) == ("sha256:aa", "sha256:bb")
    assert trust.accept("alice/desktop", NOW + 2).fingerprint == "sha256:bb"
    assert trust.meet("alice/desktop", "sha256:bb", NOW) is Meeting.SAME
    assert trust.meet("alice/desktop", "sha256:aa", NOW) is Meeting.CHANGED
    assert trust.accept("bob/phone", NOW, "sha256:cc").fingerprint == "sha256:cc"
    assert [one.device for one in trust.list()] == ["alice/desktop", "bob/phone"]
    trust.forget("bob/phone")
    with pytest.raises(UserError):
        trust.accept("bob/phone", NOW)


# --- the file


def test_another_process_reads_while_this_one_writes(journal, tmp_path: Path) -> None:
    rows = journal.collection("photos")
    reading = Journal.open(tmp_path / "journal.db", read_only=True)
    rows.take([Row(item(b"a"))], 0)
    assert reading.collection("photos").get(b"a") is not None
    with journal._database.transaction():
        rows.take([Row(item(b"b"))], 0)
        assert reading.collection("photos").get(b"b") is None
    assert reading.collection("photos").get(b"b") is not None
    with pytest.raises(StoreError) as caught:
        reading.sessions.begin("s", "c", "d", "client", 0)
    assert caught.value.code == "read-only"
    reading.close()


def test_reading_makes_no_journal(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        Journal.open(tmp_path / "none.db", read_only=True)
    assert caught.value.code == "journal-missing"
    assert list(tmp_path.iterdir()) == []


def test_the_journal_is_private(journal, tmp_path: Path) -> None:
    assert (tmp_path / "journal.db").stat().st_mode & 0o777 == 0o600


def test_a_failed_transaction_leaves_nothing(journal) -> None:
    rows = journal.collection("photos")

    def broken():
        yield Row(item(b"a"))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        rows.take(broken(), 0)
    assert (rows.get(b"a"), rows.seq) == (None, 0)
    rows.take([Row(item(b"b"))], 0)
    assert rows.seq == 1


@pytest.mark.parametrize("damage", ["middle", "start", "garbage", "stranger"])
def test_a_damaged_journal_says_what_to_do(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "journal.db"
    journal = Journal.open(path)
    journal.collection("photos").take([Row(item(b"key %d" % number)) for number in range(3000)], 0)
    journal.close()
    data = bytearray(path.read_bytes())
    if damage == "middle":
        data[8192 : len(data) // 2] = bytes(len(data) // 2 - 8192)
    elif damage == "start":
        data[:100] = b"\xff" * 100
    elif damage == "garbage":
        data[:] = b"this is no database" * 999
    path.write_bytes(data)
    if damage == "stranger":
        path.unlink()
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE t (x)")
        other.close()
    with pytest.raises(StoreError, match="aside") as caught:
        Journal.open(path)
    assert caught.value.code == "journal-damaged"


def test_a_newer_journal_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal.open(path).close()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(StoreError) as caught:
        Journal.open(path)
    assert caught.value.code == "journal-newer"


def test_committed_rows_survive_a_killed_process(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from twsync.reconcile.model import Item, Kind
from twsync.reconcile.versions import Version
from twsync.store.journal import Journal
from twsync.store.rows import Row
rows = Journal.open(Path(sys.argv[1])).collection("photos")
one = lambda key: Row(Item(key, Kind.DIRECTORY, b"", 0, 0, 0, Version(((1, 1),))))
rows.take([one(b"kept")], 0)
with rows._database.transaction():
    rows.take([one(b"lost")], 0)
    os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "j.db")], check=False, timeout=20).returncode == 9
    journal = Journal.open(tmp_path / "j.db")
    rows = journal.collection("photos")
    assert (rows.get(b"kept") is not None, rows.get(b"lost"), rows.seq) == (True, None, 1)
    journal.close()


def test_threads_share_a_journal(journal) -> None:
    rows = journal.collection("photos")
    failures = []

    def work(name: int) -> None:
        try:
            for number in range(50):
                rows.take([Row(item(b"%d/%d" % (name, number)))], 0)
                journal.sessions.begin(f"{name}-{number}", "c", "d", "client", 0)
                rows.changes(rows.seq - 2)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert rows.seq == 200
    assert sorted(row.seq for row in rows.rows()) == list(range(1, 201))


def test_many_rows_are_written_fast(journal) -> None:
    rows = journal.collection("photos")
    many = [Row(item(b"folder %d/file %d" % (number // 100, number))) for number in range(20_000)]
    begun = time.perf_counter()
    rows.take(many, 0)
    # Measured 0.12 s; the bound is for a busy machine.
    assert time.perf_counter() - begun < 2


# --- the lock


def test_only_one_process_holds_the_state(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert holder(path) is None
    with StateLock.acquire(path, "twistd syncpeer"):
        assert holder(path).startswith("twistd syncpeer, process ")
        with pytest.raises(StoreError, match="in use by twistd syncpeer, process") as caught:
            StateLock.acquire(path, "twsync trust")
        assert caught.value.code == "locked"
    assert holder(path) is None
    lock = StateLock.acquire(path, "twsync trust")
    assert holder(path).startswith("twsync trust")
    lock.close()
    lock.close()


def test_a_dead_process_holds_no_lock(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from twsync.store.lock import StateLock
lock = StateLock.acquire(Path(sys.argv[1]), "dead")
os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "lock")], check=False, timeout=20).returncode == 9
    assert holder(tmp_path / "lock") is None
    StateLock.acquire(tmp_path / "lock", "next").close()
