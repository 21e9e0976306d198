"""Scans: every kind of entry, and every way to hide a change."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3
from two_scans import renew

from twsync import limits
from twsync.errors import StoreError
from twsync.reconcile.model import Kind
from twsync.reconcile.versions import Version
from twsync.store import hashing
from twsync.store.batches import Found
from twsync.store.ignore import Ignore
from twsync.store.knowntree import KnownTree
from twsync.store.paths import Gate
from twsync.store.scan import scan


def changes(result) -> dict[bytes, Kind]:
    return {row.key: row.item.kind for row in result.changes}


def test_a_first_scan_finds_everything_and_a_second_nothing(host) -> None:
    host.write("a.txt", b"hello")
    host.write("d/e/empty", b"")
    (host.root / "link").symlink_to("nowhere/at all")
    found = host.learn()
    assert changes(found) == {
        b"a.txt": Kind.FILE,
        b"d": Kind.DIRECTORY,
        b"d/e": Kind.DIRECTORY,
        b"d/e/empty": Kind.FILE,
        b"link": Kind.SYMLINK,
    }
    assert (found.found, found.known, found.skipped) == (5, 0, [])
    row = host.rows.get(b"a.txt")
    assert row.item.content == blake3(b"hello").digest()
    assert (row.item.size, row.item.mode, row.item.device) == (5, 0o644, "laptop")
    assert row.item.version == Version(((host.rows.replica, 1),))
    assert host.rows.get(b"link").item.target == b"nowhere/at all"
    assert host.rows.get(b"d/e/empty").item.content == blake3(b"").digest()
    again = host.look()
    assert (again.changes, again.refreshed, again.found, again.known) == ([], [], 5, 5)


def test_changes_raise_the_own_counter_and_keep_what_did_not_change(host) -> None:
    for name in ("content", "chmod", "touch", "same"):
        host.write(name)
    host.learn()
    host.write("content", b"new content")
    (host.root / "chmod").chmod(0o600)
    os.utime(host.root / "touch", ns=(1, 123456789))
    rows = {row.key: row.item for row in host.learn().changes}
    assert set(rows) == {b"content", b"chmod", b"touch"}
    assert all(item.version.counter(host.rows.replica) == 2 for item in rows.values())
    assert rows[b"chmod"].mode == 0o600
    assert rows[b"touch"].mtime_ns == 123456789
    assert rows[b"chmod"].content == rows[b"touch"].content == blake3(b"data").digest()


def test_what_vanished_becomes_a_tombstone_once(host) -> None:
    host.write("d/a")
    host.write("b")
    host.learn()
    (host.root / "d" / "a").unlink()
    (host.root / "d").rmdir()
    found = host.learn()
    assert changes(found) == {b"d": Kind.DELETED, b"d/a": Kind.DELETED}
    assert (found.found, found.known) == (1, 3)
    row = host.rows.get(b"d/a")
    assert row.item.version.counter(host.rows.replica) == 2
    assert (row.item.content, row.item.size, row.item.mode) == (b"", 0, 0)
    assert host.look().changes == []
    host.write("d/a")
    assert host.learn().changes[1].item.version.counter(host.rows.replica) == 3


def test_the_kind_of_an_entry_may_change(host) -> None:
    host.write("file-folder")
    host.write("folder-file/x")
    host.write("folder-link/x")
    host.write("file-link")
    host.learn()
    (host.root / "file-folder").unlink()
    host.write("file-folder/y")
    for name in ("folder-file", "folder-link"):
        (host.root / name / "x").unlink()
        (host.root / name).rmdir()
    host.write("folder-file")
    (host.root / "elsewhere").mkdir()
    (host.root / "elsewhere" / "x").write_bytes(b"")
    (host.root / "folder-link").symlink_to("elsewhere")
    (host.root / "file-link").unlink()
    (host.root / "file-link").symlink_to("file-folder/y")
    found = changes(host.learn())
    assert found == {
        b"elsewhere": Kind.DIRECTORY,
        b"elsewhere/x": Kind.FILE,
        b"file-folder": Kind.DIRECTORY,
        b"file-folder/y": Kind.FILE,
        b"file-link": Kind.SYMLINK,
        b"folder-file": Kind.FILE,
        b"folder-file/x": Kind.DELETED,
        b"folder-link": Kind.SYMLINK,
        b"folder-link/x": Kind.DELETED,
    }


# --- hidden changes


def test_an_edit_that_keeps_size_and_modification_time_is_found(host) -> None:
    path = host.write("a", b"old!")
    host.learn()
    path.write_bytes(b"new!")
    os.utime(path, ns=(0, host.rows.get(b"a").item.mtime_ns))
    found = host.look()
    assert [row.item.content for row in found.changes] == [blake3(b"new!").digest()]


def test_a_file_that_takes_another_ones_place_is_found(host) -> None:
    host.write("a", b"aaaa")
    host.write("b", b"bbbb")
    host.learn()
    (host.root / "b").rename(host.root / "a")
    assert changes(host.look()) == {b"a": Kind.FILE, b"b": Kind.DELETED}


def test_a_stat_taken_too_early_is_not_trusted(host) -> None:
    host.write("a", b"data")
    found = scan(host.gate, host.rows, Ignore(), now_ns=time.time_ns(), device="laptop")
    host.rows.record(found)
    assert not host.rows.get(b"a").stat.trusted
    seq = host.rows.seq
    again = host.learn()
    assert [key for key, _ in again.refreshed] == [b"a"]
    assert again.changes == []
    assert host.rows.get(b"a").stat.trusted
    assert host.rows.seq == seq


def test_a_rename_back_and_forth_is_no_change(host) -> None:
    path = host.write("a")
    host.learn()
    path.rename(host.root / "b")
    (host.root / "b").rename(path)
    found = host.learn()
    assert (found.changes, [key for key, _ in found.refreshed]) == ([], [b"a"])


def test_a_file_that_never_stops_changing_is_skipped_and_not_deleted(host, singly, monkeypatch: pytest.MonkeyPatch) -> None:
    path = host.write("a", b"data")
    host.learn()
    host.write("a", b"changed")
    tries = []
    genuine = hashing.hash_descriptor

    def slow(fd: int, size: int, *others) -> tuple[bytes, int]:
        tries.append(size)
        result = genuine(fd, size, *others)
        with path.open("ab") as file:
            file.write(b"more")
        return result

    monkeypatch.setattr(hashing, "hash_descriptor", slow)
    found = host.scan(Ignore(), time.time_ns())
    assert found.skipped == [(b"a", "changing")]
    assert found.changes == []
    assert len(tries) == limits.MAX_READ_TRIES


def test_a_file_that_changes_once_while_it_is_read_is_read_again(host, singly, monkeypatch: pytest.MonkeyPatch) -> None:
    path = host.write("a", b"torn")
    genuine = hashing.hash_descriptor
    edits = [b"whole"]

    def once(fd: int, size: int, *others) -> tuple[bytes, int]:
        result = genuine(fd, size, *others)
        if edits:
            path.write_bytes(edits.pop())
        return result

    monkeypatch.setattr(hashing, "hash_descriptor", once)
    assert [row.item.content for row in host.look().changes] == [blake3(b"whole").digest()]


def test_a_listing_that_misses_an_entry_deletes_nothing(host, singly, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is written to while it is listed may leave out what was there all the time."""
    host.write("a")
    host.write("b")
    host.learn()
    genuine = os.scandir

    class Blind:
        def __init__(self, fd: int) -> None:
            self.inner = genuine(fd)

        def __enter__(self):
            return (entry for entry in self.inner if entry.name != "a")

        def __exit__(self, *_: object) -> None:
            self.inner.close()

    monkeypatch.setattr(os, "scandir", Blind)
    assert host.look().changes == []


# --- variety


def test_special_files_are_skipped_and_no_tombstone_is_made_for_them(host) -> None:
    for name in ("fifo", "socket"):
        host.write(name)
    host.write("folder/below")
    host.learn()
    for name in ("fifo", "socket"):
        (host.root / name).unlink()
    os.mkfifo(host.root / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"/proc/self/fd/{os.open(host.root, os.O_RDONLY)}/socket")
    (host.root / "folder" / "below").unlink()
    (host.root / "folder").rmdir()
    os.mkfifo(host.root / "folder")
    os.mkfifo(host.root / "new")
    found = host.learn()
    assert found.skipped == [(name, "special-file") for name in (b"fifo", b"folder", b"new", b"socket")]
    assert found.changes == []
    assert host.rows.get(b"folder/below").item.live
    assert host.rows.get(b"new") is None


@pytest.mark.parametrize("mtime_ns", [0, -1_500_000_000, 32_503_680_000 * 10**9, 9_000_000_000 * 10**9])
def test_any_modification_time_is_kept_and_stable(host, mtime_ns: int) -> None:
    path = host.write("a", mtime_ns=mtime_ns)
    found = host.learn()
    stored = host.rows.get(b"a").item.mtime_ns
    assert stored == min(path.stat().st_mtime_ns, 2**63 - 1)
    assert len(found.changes) == 1
    assert host.look().changes == []


def test_sparse_large_and_odd_names(host) -> None:
    with (host.root / "sparse").open("wb") as file:
        file.truncate(3 << 20)
    big = os.urandom(limits.PARALLEL_HASH + 12345)
    (host.root / "big").write_bytes(big)
    names = [b"\xff\xfe", "é".encode(), "e\u0301".encode(), b"x" * 255, b"new\nline", b"A", b"a"]
    for name in names:
        (host.root / os.fsdecode(name)).write_bytes(name)
    found = host.learn()
    assert set(changes(found)) == {*names, b"sparse", b"big"}
    assert host.rows.get(b"sparse").item.content == blake3(bytes(3 << 20)).digest()
    assert host.rows.get(b"big").item.content == blake3(big).digest()
    assert host.look().changes == []


def test_paths_beyond_path_max_are_scanned(host) -> None:
    deep = b"/".join([b"d" * 200] * 30)
    host.gate.make_directories(deep)
    with host.gate.place(deep + b"/f") as place:
        os.close(place.create())
    found = host.learn()
    assert found.changes[-1].key == deep + b"/f"
    assert found.skipped == []
    assert host.look().changes == []
    with host.gate.place(deep + b"/f") as place:
        place.remove()
    assert changes(host.look())[deep + b"/f"] is Kind.DELETED


def test_paths_that_are_too_long_are_skipped(host) -> None:
    deep = b"/".join([b"d" * 250] * 65)
    host.gate.make_directories(deep)
    fd = host.gate.open_directory(deep)
    os.mkdir(b"e" * 250, dir_fd=fd)
    os.close(fd)
    found = host.look()
    assert found.skipped == [(deep + b"/" + b"e" * 250, "path-too-long")]


UNREADABLE = """
    import os, sys, time
    from pathlib import Path
    from twsync.store.ignore import Ignore
    from twsync.store.journal import Journal
    from twsync.store.paths import Gate
    from twsync.store.scan import scan

    root = Path(sys.argv[1], "root")
    rows = Journal.open(Path(sys.argv[1], "journal.db")).collection("photos")
    gate = Gate.open(root, known=False)
    look = lambda: scan(gate, rows, Ignore(), now_ns=time.time_ns() + 10**9, device="laptop")
    rows.record(look())
    # The folders above the tree may be private: go on from here.
    os.chdir(root)
    root = Path()
    if os.geteuid() == 0:
        # Root may read everything: be somebody else, who owns the tree.
        for path in [root, *root.rglob("*")]:
            os.chown(path, 65534, 65534)
        rows.record(look())
        os.setegid(65534)
        os.seteuid(65534)
    (root / "file").chmod(0)
    (root / "folder").chmod(0)
    (root / "listed").chmod(0o400)
    found = look()
    print(found.skipped)
    print([(row.key, row.item.kind.name, oct(row.item.mode)) for row in found.changes])
    for name in ("file", "folder", "listed"):
        (root / name).chmod(0o700)
"""


def test_what_cannot_be_read_is_skipped_and_stays(tmp_path: Path) -> None:
    for name in ("file", "folder/below", "listed/inside"):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"data")
    code = textwrap.dedent(UNREADABLE)
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=20, check=False)
    assert done.stderr == ""
    skipped, changed = done.stdout.splitlines()
    assert skipped == "[(b'file', 'unreadable'), (b'folder', 'unreadable'), (b'listed/inside', 'unreadable')]"
    assert changed == "[(b'folder', 'DIRECTORY', '0o0'), (b'listed', 'DIRECTORY', '0o400')]"


def test_a_folder_that_the_disk_does_not_list_is_skipped_and_stays(host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is opened or listed: what is below it is not taken for gone, what is beside it is looked at."""
    for name in ("closed/a", "listed/b", "other/c"):
        host.write(name)
    host.learn()
    host.write("other/d")
    opened, listed = Gate.open_directory, KnownTree.entries

    def open_directory(gate: Gate, key: bytes = b"") -> int:
        if key == b"closed":
            raise OSError(5, "Input/output error")
        return opened(gate, key)

    def entries(tree: KnownTree, fd: int, prefix: bytes) -> Iterator[tuple[bytes, Found]]:
        if prefix == b"listed/":
            raise OSError(5, "Input/output error")
        return listed(tree, fd, prefix)

    monkeypatch.setattr(Gate, "open_directory", open_directory)
    monkeypatch.setattr(KnownTree, "entries", entries)
    found = host.look()
    assert found.skipped == [(b"closed", "unreadable"), (b"listed", "unreadable")]
    assert [(row.key, row.item.kind) for row in found.changes] == [(b"other", Kind.DIRECTORY), (b"other/d", Kind.FILE)]


@pytest.mark.parametrize("opened", [True, False])
@pytest.mark.parametrize(
    ("number", "code", "text"),
    [(2, "disk-error", "No such file"), (5, "disk-error", "input/output error"), (13, "permission-denied", "Permission denied")],
)
def test_a_root_that_the_disk_does_not_list_ends_the_scan(
    host, opened: bool, number: int, code: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.write("a")
    host.learn()

    def broken(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(*(KnownTree, "entries") if opened else (Gate, "open_directory"), broken)
    with pytest.raises(StoreError) as caught:
        host.look()
    assert (caught.value.code, text in caught.value.message, str(host.root) in caught.value.message) == (code, True, True)


# --- ignoring, choosing, stopping


def test_ignored_names_are_left_out_and_their_rows_left_alone(host) -> None:
    host.write("a.o")
    host.write("keep.o")
    host.write("build/x")
    host.write("src/build/y")
    host.write("z")
    host.write("inner/.twsync/staging/x")
    assert set(changes(host.look("*.o", "!keep.o", "/build/"))) == {b"keep.o", b"z", b"src", b"src/build", b"src/build/y", b"inner"}
    host.learn()
    assert host.look("*.o", "build/").changes == []
    (host.root / "a.o").unlink()
    assert host.look("*.o").changes == []
    assert changes(host.look()) == {b"a.o": Kind.DELETED}


def test_ignore_answers_for_keys_of_partners() -> None:
    ignore = Ignore(["*.o", "build/", "# a comment", ""])
    assert ignore.matches(b"x/y.o")
    assert ignore.matches(b"build/deep/x")
    assert ignore.matches(b"build", directory=True)
    assert not ignore.matches(b"build")
    assert not ignore.matches(b"\xff\xfe")
    assert ignore.matches(b"a/.twsync/x")
    assert Ignore().matches(b".twsync-new-1")
    assert Ignore(["a"]).digest != Ignore(["b"]).digest


def test_some_keys_only(host) -> None:
    host.write("a")
    host.write("b")
    host.write("d/x")
    host.learn()
    host.write("a", b"new")
    host.write("b", b"new")
    (host.root / "d" / "x").unlink()
    (host.root / "d").rmdir()
    host.write("d", b"file")
    host.write("new/deep/c")
    assert changes(host.look(only=[b"a", b"nothing", b"../a"])) == {b"a": Kind.FILE}
    assert changes(host.look(only=[b"d"])) == {b"d": Kind.FILE, b"d/x": Kind.DELETED}
    assert changes(host.look(only=[b"d/x"])) == {b"d/x": Kind.DELETED}
    assert changes(host.look(only=[b"new/deep/c"])) == {b"new": Kind.DIRECTORY, b"new/deep": Kind.DIRECTORY, b"new/deep/c": Kind.FILE}


def test_an_emptied_root_is_told_by_the_numbers(host) -> None:
    for number in range(30):
        host.write(f"f{number}")
    host.learn()
    for path in host.root.glob("f*"):
        path.unlink()
    found = host.look()
    assert (found.found, found.known, len(found.changes)) == (0, 30, 30)


def test_a_scan_can_be_cancelled_and_tells_its_progress(host) -> None:
    host.write("d/a")
    host.write("b")
    seen = []
    scan(host.gate, host.rows, Ignore(), now_ns=0, device="laptop", progress=lambda *numbers: seen.append(numbers))
    assert seen[-1] == (3, 8)
    with pytest.raises(StoreError) as caught:
        scan(host.gate, host.rows, Ignore(), now_ns=0, device="laptop", cancelled=lambda: True)
    assert caught.value.code == "cancelled"


def test_a_row_that_changed_during_the_scan_is_left_alone(host) -> None:
    host.write("a", b"one")
    host.learn()
    host.write("a", b"two")
    stale = host.look()
    host.write("a", b"three")
    host.learn()
    host.rows.record(stale)
    assert host.rows.get(b"a").item.content == blake3(b"three").digest()


def test_a_busy_tree_never_makes_a_scan_fail(host) -> None:
    """Folders and files come, go and change kind while scans run; what stays is never taken for deleted."""
    for number in range(20):
        host.write(f"stays/{number}")
    host.learn()
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            (host.root / "x" / "y").mkdir(parents=True, exist_ok=True)
            (host.root / "x" / "y" / "f").write_bytes(b"f")
            (host.root / "x" / "y" / "f").unlink()
            (host.root / "x" / "y").rmdir()
            (host.root / "x").rmdir()
            (host.root / "x").symlink_to("stays")
            (host.root / "x").unlink()

    churner = threading.Thread(target=churn)
    churner.start()
    try:
        for number in range(100):
            found = host.scan(Ignore(), time.time_ns() + 1_000_000_000)
            assert not [row.key for row in found.changes if row.key.startswith(b"stays")]
            host.rows.record(found)
            if number % 5 == 0:
                renew(host.rows.listing)
    finally:
        stop.set()
        churner.join()
    host.learn()
    assert host.tree().keys() == {os.fsdecode(row.key) for row in host.rows.rows() if row.item.live}
