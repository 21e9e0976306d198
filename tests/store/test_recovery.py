"""Killed at any instruction: a child process dies before the k-th thing it does to disk or journal, for every k."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from twsync.reconcile.model import Kind
from twsync.reconcile.versions import Version
from twsync.store import folders
from twsync.store.batches import Batches
from twsync.store.changes import Change
from twsync.store.database import Database
from twsync.store.place import Place

#: What a process can die between.
VERBS = (
    "create",
    "make_directory",
    "make_link",
    "move",
    "replace",
    "exchange",
    "link_to",
    "remove",
    "remove_directory",
    "set_mode",
    "set_mtime",
)

OLD = {
    "same": b"same",
    "a": b"old a",
    "b": b"ours",
    "c": b"old c",
    "d": None,
    "d/x": b"old x",
    "e": b"old e",
    "f": None,
    "f/y": b"old y",
    "g": b"g",
}
NEW = {
    "same": b"same",
    "a": b"new a",
    "b": b"theirs",
    "b (conflict)": b"ours",
    "e": None,
    "e/z": b"new z",
    "f": b"file f",
    "g": b"g",
    "h": b"target",
    "n": b"new n",
    "o": b"new o",
}


def prepare(host) -> None:
    for key, data in OLD.items():
        if data is not None:
            host.write(key, data)
    (host.root / "d").chmod(0o755)
    host.learn()


def batch(host) -> list[Change]:
    """What brings OLD to NEW, as far as it is not there: as a session after a crash works it out."""
    wanted = {
        b"a": lambda: host.file(b"a", b"new a"),
        b"b": lambda: host.file(b"b", b"theirs", displaced=copy),
        b"c": lambda: host.removal(b"c"),
        b"d/x": lambda: host.removal(b"d/x"),
        b"d": lambda: host.removal(b"d"),
        b"e": lambda: host.folder(b"e", mode=0o700),
        b"e/z": lambda: host.file(b"e/z", b"new z"),
        b"f/y": lambda: host.removal(b"f/y"),
        b"f": lambda: host.file(b"f", b"file f"),
        b"g": lambda: Change(replace(host.rows.get(b"g").item, mode=0o600, mtime_ns=99, version=version), host.rows.get(b"g")),
        b"h": lambda: host.link(b"h", b"target"),
        b"n": lambda: host.file(b"n", b"new n"),
        b"o": lambda: host.file(b"o", b"new o"),
    }
    version = Version(((host.partner, 1),))
    copy = replace(host.rows.get(b"b").item, key=b"b (conflict)", version=Version(((123, 1),)))
    rows = host.rows.get_many(wanted)
    return [make() for key, make in wanted.items() if key not in rows or not rows[key].item.version.counter(host.partner)]


def die_at(point: int, patch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Count everything that is done, and die before number `point`."""
    count = 0

    def step(name: str) -> None:
        nonlocal count
        count += 1
        if count == point:
            os._exit(9)

    for owner, names in ((Place, VERBS), (Database, ("execute_many", "insert"))):
        for name in names:
            genuine = getattr(owner, name)

            def counted(self, *values, genuine=genuine, name=name, **more):
                step(name)
                return genuine(self, *values, **more)

            patch.setattr(owner, name, counted)
    together = Batches.place

    def one_by_one(self, fd, staged, fds, names):
        found = []
        for one in zip(staged, fds, names, strict=True):
            step("place")
            found += together(self, fd, *([value] for value in one))
        return found

    patch.setattr(Batches, "place", one_by_one)
    return step


def in_a_child(work: Callable[[], None]) -> int:
    """Run in a forked process; returns its exit status, 0 at the end of the work."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_ever_later(folder: Path, work: Callable[[Path, int], None]) -> Iterator[tuple[Path, int]]:
    """Run `work(base, point)` in processes that die at the first place, the second and so on, until one lives; yields both for each."""
    point, status = 0, 9
    while status == 9:
        point += 1
        base = folder / str(point)
        base.mkdir()
        status = in_a_child(lambda base=base, point=point: work(base, point))
        assert status in (0, 9)
        yield base, point


@pytest.fixture
def fast_disk(monkeypatch) -> Iterator[Path]:
    """A folder in memory where there is one, and no flushing: hundreds of journals are made, and what is tested is the order of things."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    monkeypatch.setattr(os, "sync", lambda: None)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


def test_killed_anywhere_every_path_is_old_or_new_and_the_next_run_goes_on(system: str, fast_disk: Path, make_host) -> None:
    def work(base: Path, point: int) -> None:
        host = make_host(base)
        prepare(host)
        changes = batch(host)
        with pytest.MonkeyPatch.context() as patch:
            step = die_at(point, patch)
            host.apply(*changes, step=step)

    for base, point in killed_ever_later(fast_disk, work):
        host = make_host(base)
        before = host.tree()
        replaced_folder = system in ("plain", "mounts") and {"e", "f"}
        for key in OLD.keys() & NEW.keys():
            if not (replaced_folder and key in replaced_folder):
                assert before.get(key, "gone") in (OLD[key], NEW[key]), (point, key)
        host.recover()
        assert host.rows.intents.pending() == []
        assert host.rows.intents.owed() == []
        after = host.tree()
        for key in OLD.keys() | NEW.keys():
            assert after.get(key, "gone") in (OLD.get(key, "gone"), NEW.get(key, "gone")), (point, key)
        assert after.keys() <= OLD.keys() | NEW.keys(), point
        found = host.learn()
        # Only a change of times or mode alone may look like a local one: it carries no content, and merges.
        assert [row.key for row in found.changes if row.item.kind is not Kind.DIRECTORY and row.key != b"g"] == [], point
        rest = batch(host)
        host.apply(*rest)
        assert batch(host) == [], point
        assert host.tree() == NEW, point
        kept = set(host.trash().values())
        assert {b"old a", b"old c", b"old x", b"old e", b"old y"} <= kept, point
        assert kept <= {value for value in OLD.values() if value is not None}, point
        assert (host.root / "e").stat().st_mode & 0o777 == 0o700
        host.close()
        host.close = lambda: None
    # Every verb was a place to die at: as many as there are changes, and more.
    assert point > 40


BATCHES = [
    {"d": None, "d/a": b"1", "d/b": b"2", "x": b"new x"},
    {"d/c": b"3", "e": None, "e/a": b"4", "y": b"new y"},
    {"e/b": b"5", "z": None, "z/a": b"6"},
    {"d/d": b"7", "e/c": b"8", "w": None},
]
STOOD = {"x": b"old x", "y": b"old y", "z": b"old z", "w": b"old w"}


def changes_of(host, number: int) -> list[Change]:
    """A batch as far as it is not there; None makes a folder, and takes `w` away."""
    made = []
    for name, data in BATCHES[number].items():
        key = name.encode()
        row = host.rows.get(key)
        if row is None or not row.item.version.counter(host.partner):
            made.append(host.removal(key) if name == "w" else host.folder(key) if data is None else host.file(key, data))
    return made


def test_killed_anywhere_while_three_batches_are_under_way(fast_disk: Path, make_host) -> None:
    """In the order of a session: a batch is begun while the one before it is put, and the rows of the one before that come afterwards."""
    pending = set()

    def work(base: Path, point: int) -> None:
        host = make_host(base)
        for key, data in STOOD.items():
            host.write(key, data)
        host.learn()
        changes = [changes_of(host, number) for number in range(4)]
        with pytest.MonkeyPatch.context() as patch:
            applier = host.applier(die_at(point, patch))
            begun = [applier.begin(changes[0]), applier.begin(changes[1])]
            for number in range(4):
                applier.put(begun[number])
                if number < 2:
                    begun.append(applier.begin(changes[number + 2]))
                if number:
                    applier.note(begun[number - 1])
            applier.note(begun[3])
            applier.finish()

    for base, point in killed_ever_later(fast_disk, work):
        host = make_host(base)
        pending.add(len(host.rows.intents.pending()))
        host.recover()
        assert host.rows.intents.pending() == [] and host.rows.intents.owed() == []
        after = host.tree()
        wanted = {key: data for some in BATCHES for key, data in some.items() if key != "w"}
        for key in wanted.keys() | STOOD.keys():
            assert after.get(key, "gone") in (STOOD.get(key, "gone"), wanted.get(key, "gone")), (point, key)
        # Recovery knows every file of every batch that is in place.
        found = host.learn()
        assert [row.key for row in found.changes if row.item.kind is not Kind.DIRECTORY] == [], point
        for number in range(4):
            host.apply(*changes_of(host, number))
        assert host.tree() == wanted, point
        assert set(host.trash().values()) == set(STOOD.values()), point
        host.close()
        host.close = lambda: None
    assert point > 40
    # There were moments with the intents of one, of two and of three batches.
    assert {0, 4, 8, 11} <= pending


def test_a_clean_stop_leaves_nothing_to_recover(host) -> None:
    host.apply(host.file(b"a", b"new"))
    assert host.recover() == 0


def test_modes_owed_to_folders_are_paid_after_a_crash(host) -> None:
    host.write("d/a")
    (host.root / "d").chmod(0o500)
    os.utime(host.root / "d", ns=(5, 5))
    host.learn()
    applier = host.applier()
    applier.apply([host.file(b"d/b", b"new"), host.folder(b"e", mode=0o500, mtime_ns=6)])
    assert (host.root / "e").stat().st_mode & 0o777 == 0o700
    host.recover()
    for name, mtime_ns in (("d", 5), ("e", 6)):
        found = (host.root / name).stat()
        assert (found.st_mode & 0o777, found.st_mtime_ns) == (0o500, mtime_ns)
    assert host.look().changes == []


def test_a_read_only_folder_is_not_left_open_by_a_crash(host) -> None:
    host.write("d/a")
    (host.root / "d").chmod(0o555)
    host.learn()
    owed = folders.Folders(host.gate, host.rows)
    assert owed.make_writable(b"d/b")
    assert (host.root / "d").stat().st_mode & 0o777 == 0o755
    host.recover()
    assert (host.root / "d").stat().st_mode & 0o777 == 0o555


def test_an_edit_after_the_crash_is_not_taken_for_the_new_content(host) -> None:
    """The intent speaks of content that the disk no longer shows: the row is not taken, the edit is a local change."""
    host.write("a", b"old")
    host.learn()
    change = host.file(b"a", b"new")

    class DiedError(Exception):
        pass

    def step(name: str) -> None:
        if name == "flush-folders":
            raise DiedError

    with pytest.raises(DiedError):
        host.apply(change, step=step)
    host.write("a", b"own")
    assert host.recover() == 1
    assert host.rows.get(b"a").item.version.counter(host.partner) == 0
    assert [row.key for row in host.look().changes] == [b"a"]
    assert host.trash() == {"a": b"old"}
