"""A scan by the listing that the journal keeps: random histories of a tree, and when the listing is made anew or dropped.

`Host.look` compares each scan with one by the rows.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from two_scans import renew

from twsync.reconcile.model import Kind
from twsync.store import differing, items, knowntree
from twsync.store import listing as kept
from twsync.store.batches import Found
from twsync.store.ignore import Ignore
from twsync.store.listing import Listing


@pytest.fixture(params=["in_c", "singly"])
def way(request: pytest.FixtureRequest) -> str:
    """In C, or in Python."""
    request.getfixturevalue(request.param)
    name: str = request.param
    return name


FOLDERS = ["", "d", "d/e", "d/e/f", "g", "tmp", "x.d"]
NAMES = ["a", "b", "c.tmp", "d", "e", "tmp", ".hidden", "ü"]


def edit(choice: random.Random, host, round_: int) -> None:
    """Something that a person or a program does to one entry."""
    path = host.root / choice.choice(FOLDERS) / choice.choice(NAMES)
    what = choice.randrange(12)
    if any(above.is_symlink() or (above.exists() and not above.is_dir()) for above in path.parents):
        return
    if what == 0 and (path.is_symlink() or path.exists()):
        remove(path)
    elif what < 6 and not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            path.unlink()
        path.write_bytes(b"x" * choice.randrange(3))
    elif what == 6 and not path.is_symlink() and not path.exists():
        path.mkdir(parents=True)
    elif what == 7 and not path.is_symlink() and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(choice.choice(["a", "d", "nowhere"]))
    elif what == 8 and path.exists() and not path.is_symlink():
        path.chmod(choice.choice([0o700, 0o755]))
    elif what == 9 and path.exists() and not path.is_symlink():
        os.utime(path, ns=(round_, round_))
    elif what == 10:
        # A folder with all that is in it under another name, or in another folder's place.
        folder, other = host.root / choice.choice(FOLDERS[1:]), host.root / choice.choice(FOLDERS[1:])
        if folder.is_dir() and not folder.is_symlink() and folder not in (other, *other.parents) and other not in folder.parents:
            if other.is_symlink() or other.exists():
                remove(other)
            if other.parent.is_dir() and not other.parent.is_symlink():
                folder.rename(other)
    elif path.is_file() and not path.is_symlink():
        # Another file in its place that looks the same but for its inode number: nothing but the stat of its row changes.
        before = path.stat()
        (host.root / "new").write_bytes(path.read_bytes())
        os.utime(host.root / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
        (host.root / "new").chmod(before.st_mode & 0o777)
        (host.root / "new").rename(path)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("later", [10**9, -(10**9)], ids=["quiet", "racy"])
def test_edits_of_any_kind_are_found(host, way, seed: int, later: int) -> None:
    choice = random.Random(f"{seed} {later} {way}")
    patterns: tuple[str, ...] = ()
    learned = 0
    for round_ in range(40):
        for _ in range(choice.randrange(1, 12)):
            edit(choice, host, round_)
        if choice.random() < 0.1:
            patterns = choice.choice([(), ("*.tmp",), ("tmp/", "d/e/"), ("d",)])
        found = host.look(*patterns, later=later)
        if choice.random() < 0.7:
            host.rows.record(found)
            learned += len(found.changes)
        if choice.random() < 0.3:
            live = [row for row in host.rows.rows() if row.item.live]
            if live:
                row = choice.choice(live)
                # A session has joined the versions of what is the same on both hosts; or a delete came, and the file has yet to go.
                kind = choice.choice([row.item.kind, Kind.DELETED])
                host.rows.take([replace(row, item=replace(row.item, version=row.item.version.raised(77), kind=kind))])
    assert learned > 30


def test_what_cannot_be_listed_stays(host, way, monkeypatch: pytest.MonkeyPatch) -> None:
    host.write("d/a")
    host.write("e/a")
    host.learn()
    renew(host.rows.listing)
    genuine = host.gate.open_directory

    def refused(key: bytes) -> int:
        if key == b"d":
            raise PermissionError(13, "no")
        return genuine(key)

    monkeypatch.setattr(type(host.gate), "open_directory", lambda gate, key: refused(key))
    (host.root / "e" / "a").unlink()
    found = host.look()
    assert (found.skipped, [row.key for row in found.changes if not row.item.live]) == ([(b"d", "unreadable")], [b"e/a"])


def test_what_goes_between_its_listing_and_the_look_at_it_is_gone(host, singly, monkeypatch: pytest.MonkeyPatch) -> None:
    host.write("d/a")
    host.write("d/b")
    host.learn()
    renew(host.rows.listing)
    genuine = differing.entries_of

    def meanwhile(fd: int) -> Iterator[tuple[bytes, Found]]:
        (host.root / "d" / "a").unlink(missing_ok=True)
        for name, found in genuine(fd):
            yield name, found
            if name == b"b":
                yield b"a", (0, 0, 0, 0, 0, errno.ENOENT)

    monkeypatch.setattr(differing, "entries_of", meanwhile)
    found = host.look()
    assert [(row.key, row.item.live) for row in found.changes] == [(b"d", True), (b"d/a", False)]
    assert found.skipped == []


def test_progress_counts_what_is_as_it_was(host, way) -> None:
    for number in range(30):
        host.write(f"d/{number}")
    host.learn()
    renew(host.rows.listing)
    said = []
    host.scan(Ignore(), time.time_ns() + 10**9, progress=lambda found, _hashed: said.append(found))
    assert said[-1] == 31


# --- when it is made


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing that four entries are not like is made anew."""
    monkeypatch.setattr(kept, "_OUTDATED", 4)


def write(host, *names: str) -> None:
    for name in names:
        host.write(name)
    host.rows.record(host.scan(Ignore(), time.time_ns() + 10**9))


@pytest.mark.usefixtures("few")
def test_it_is_made_when_nothing_is_under_way_and_much_has_changed(host) -> None:
    write(host, "a", "b", "c", "d")
    host.journal.rest()
    assert host.rows.listing.load() == (0, Listing(b"", b""))
    write(host, "d/e" if (host.root / "d").is_dir() else "e")
    assert host.rows.listing.stale()
    host.journal.rest()
    seq, listing = host.rows.listing.load()
    assert (seq, listing.keys.split(b"\0")) == (5, [b"a", b"b", b"c", b"d", b"e", b""])
    (host.root / "b").unlink()
    write(host, "f")
    host.journal.rest()
    assert host.rows.listing.load() == (seq, listing)
    write(host, "g", "h", "i")
    host.journal.rest()
    assert [*host.rows.listing.load()[1].keys.split(b"\0")] == [b"a", b"c", b"d", b"e", b"f", b"g", b"h", b"i", b""]


def test_a_long_one_may_be_wrong_in_one_entry_of_64(host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "_OUTDATED", 0)
    names = [str(number) for number in range(2 * 64)]
    write(host, *names)
    host.journal.rest()
    for name in names[:2]:
        (host.root / name).unlink()
    host.rows.record(host.scan(Ignore(), time.time_ns() + 10**9))
    assert not host.rows.listing.stale()
    assert host.rows.listing.stale(1)


@pytest.mark.usefixtures("few")
def test_it_is_dropped_when_much_was_only_refreshed(host) -> None:
    names = [str(number) for number in range(8)]
    write(host, *names)
    host.journal.rest()
    for name in names:
        before = (host.root / name).stat()
        (host.root / "new").write_bytes((host.root / name).read_bytes())
        os.utime(host.root / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
        (host.root / "new").chmod(before.st_mode & 0o777)
        (host.root / "new").rename(host.root / name)
    again = [host.scan(Ignore(), time.time_ns() + 10**9)]
    assert (len(again[0].refreshed), again[0].outdated) == (8, 0)
    host.rows.record(again[0])
    assert len(host.rows.listing.load()[1]) == 8
    read = []
    again.append(host.scan(Ignore(), time.time_ns() + 10**9, progress=lambda _found, hashed: read.append(hashed)))
    assert (again[1].refreshed, again[1].outdated, read[-1]) == ([], 8, 0)
    host.rows.record(again[1])
    assert len(host.rows.listing.load()[1]) == 0
    host.journal.rest()
    assert host.scan(Ignore(), time.time_ns() + 10**9).outdated == 0
    assert len(host.rows.listing.load()[1]) == 8


@pytest.mark.usefixtures("few")
def test_a_collection_that_was_removed_meanwhile_does_not_come_back(host, monkeypatch: pytest.MonkeyPatch) -> None:
    write(host, *"abcdefgh")
    genuine = host.journal.collections
    monkeypatch.setattr(host.journal, "collections", lambda: ["music", *genuine()])
    host.journal.rest()
    assert genuine() == ["photos"]
    assert len(host.rows.listing.load()[1]) == 8


@pytest.mark.usefixtures("few")
def test_it_is_made_and_used_some_rows_at_a_time(host, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{number:02}" for number in range(40)]
    write(host, *names)
    for name in names[:30]:
        (host.root / name).unlink()
    host.rows.record(host.scan(Ignore(), time.time_ns() + 10**9))
    asked: list[int] = []
    genuine = type(host.journal.database).rows

    def counting(database, sql, values=()):
        found = genuine(database, sql, values)
        asked.append(len(found))
        return found

    monkeypatch.setattr(items, "_STEP", 8)
    monkeypatch.setattr(knowntree, "_TOGETHER", 4)
    monkeypatch.setattr(kept, "_PART", 4)
    monkeypatch.setattr(type(host.journal.database), "rows", counting)
    renew(host.rows.listing)
    assert asked == [0, 8, 8, 8, 8, 8, 0]  # first whether there is one
    assert [size for (size,) in genuine(host.journal.database, "SELECT length(stats) / 40 FROM listing ORDER BY part")] == [4, 4, 2, 0]
    assert host.rows.listing.load()[1].keys.split(b"\0") == [*map(os.fsencode, names[30:]), b""]
    for name in names[30:]:
        (host.root / name).touch()
    keys: list[int] = []
    some = type(host.rows).glances_of
    monkeypatch.setattr(type(host.rows), "glances_of", lambda rows, asked: keys.append(len(asked)) or some(rows, asked))
    found = host.scan(Ignore(), time.time_ns() + 10**9)
    assert (max(keys), sum(keys), len(found.changes)) == (4, 10, 10)


@pytest.mark.usefixtures("few")
def test_a_collection_that_was_forgotten_meanwhile_leaves_none_to_the_next_one(host, monkeypatch: pytest.MonkeyPatch) -> None:
    write(host, *"abcdefgh")

    def meanwhile(glances) -> Listing:
        made = genuine(glances)
        host.journal.forget("photos")
        assert host.journal.collection("photos")._number == host.rows._number
        return made

    genuine = Listing.of
    monkeypatch.setattr(Listing, "of", meanwhile)
    host.rows.listing.renew()
    assert host.journal.collection("photos").listing.load() == (0, Listing(b"", b""))


@pytest.mark.usefixtures("few")
def test_rows_that_change_while_it_is_made_are_newer(host, monkeypatch: pytest.MonkeyPatch) -> None:
    write(host, *"abcdefgh")
    genuine = Listing.of

    def meanwhile(glances) -> Listing:
        made = genuine(glances)
        host.write("a", b"other")
        host.rows.record(host.scan(Ignore(), time.time_ns() + 10**9))
        return made

    monkeypatch.setattr(Listing, "of", meanwhile)
    host.rows.listing.renew()
    assert (host.rows.listing.load()[0], host.rows.seq) == (8, 9)
    found = host.scan(Ignore(), time.time_ns() + 10**9)
    assert (found.changes, found.refreshed, found.known, found.found) == ([], [], 8, 8)


@pytest.mark.usefixtures("way")
def test_a_damaged_listing_is_dropped(host) -> None:
    host.write("a")
    host.learn()
    host.rows.listing.drop()
    for part in ("0, 1, x'61', x'00'", "1, 1, x'', x''"):
        host.journal.database.execute(f"INSERT INTO listing VALUES (?, {part})", (host.rows._number,))
    with pytest.raises(ValueError, match="keys"):
        differing.known(host.rows.listing.load()[1], b"")
    found = host.scan(Ignore(), time.time_ns() + 10**9)
    assert (found.changes, found.found, found.known) == ([], 1, 1)
    assert host.rows.listing.load() == (0, Listing(b"", b""))


@pytest.mark.usefixtures("few")
def test_one_that_was_not_made_to_its_end_is_none(host, monkeypatch: pytest.MonkeyPatch) -> None:
    write(host, *"abcdefgh")
    monkeypatch.setattr(kept, "_PART", 4)
    host.journal.rest()
    database = host.journal.database
    made = database.rows("SELECT * FROM listing ORDER BY part")
    assert len(made) == 3
    for damage in (
        "DELETE FROM listing WHERE part = 2",
        "DELETE FROM listing WHERE part = 0",
        "DELETE FROM listing WHERE part = 1",
        "UPDATE listing SET seq = 7 WHERE part = 0",
        "INSERT INTO listing VALUES (1, 3, 8, x'61', x'62')",
    ):
        database.execute(damage)
        assert host.rows.listing.load() == (0, Listing(b"", b""))
        assert host.rows.listing.stale()
        host.journal.rest()
        assert database.rows("SELECT * FROM listing ORDER BY part") == made
        assert len(host.rows.listing.load()[1]) == 8


def test_of_nothing_but_tombstones_it_is_empty(host) -> None:
    host.write("a")
    host.learn()
    (host.root / "a").unlink()
    host.learn()
    renew(host.rows.listing)
    assert host.rows.listing.load() == (2, Listing(b"", b""))
    host.write("b")
    assert [row.key for row in host.look().changes] == [b"b"]
