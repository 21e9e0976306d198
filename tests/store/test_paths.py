"""The path gate: a test per attack."""

from __future__ import annotations

import os
import re
import shutil
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from twsync import limits
from twsync.errors import PathError, StoreError
from twsync.store.paths import Gate, Places, split_key, validate_key

BAD = [
    b"",
    b"/",
    b"/etc/passwd",
    b"//x",
    b".",
    b"..",
    b"../x",
    b"a/..",
    b"a/../../x",
    b"a/./b",
    b"a//b",
    b"a/",
    b"./a",
    b"a\0b",
    b"\0",
    b".twsync",
    b".twsync/trash/x",
    b"x" * 256,
    b"a/" + b"x" * 256,
    b"a/" * 512 + b"a",
    b"/".join([b"x" * 255] * 65),
]

GOOD = [
    b"a",
    b"...",
    b"..a",
    b"a..",
    b" ",
    b"\xff\xfe",
    b"a/.twsync",
    b".twsyncx",
    b"-rf",
    b"\n",
    b"x" * 255,
    b"a/" * 511 + b"a",
    b"C:\\x",
    b"~",
]


@pytest.mark.parametrize("key", BAD)
def test_bad_keys_are_refused_everywhere(key: bytes, tmp_path: Path) -> None:
    gate = Gate.open(tmp_path, known=False)
    with pytest.raises(PathError):
        validate_key(key)
    for verb in (gate.lstat, gate.open_read, gate.readlink, gate.place):
        with pytest.raises(PathError):
            verb(key)
    gate.close()


@pytest.mark.parametrize("key", GOOD)
def test_strange_but_harmless_keys_are_taken(key: bytes) -> None:
    validate_key(key)


@given(st.binary(max_size=40) | st.lists(st.sampled_from([b"", b".", b"..", b"a", b"\0", b".twsync", b"\xc3"]), max_size=6).map(b"/".join))
@example(b"a/../b")
@settings(max_examples=300, deadline=None)
def test_a_key_that_passes_stays_below_the_root(key: bytes) -> None:
    try:
        parts = split_key(key)
    except PathError:
        return
    assert os.path.normpath(b"/root/" + key) == b"/root/" + b"/".join(parts)
    assert parts[0] != b".twsync"


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_bytes(b"secret")
    (folder / "below").mkdir()
    (folder / "below" / "secret").write_bytes(b"secret")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("depth", [0, 1, 3, 40])
def test_a_link_on_the_way_is_never_followed(root: Path, outside: Path, depth: int) -> None:
    above = "/".join(["d"] * depth)
    (root / above).mkdir(parents=True, exist_ok=True)
    (root / above / "link").symlink_to(outside)
    gate = Gate.open(root, known=False)
    prefix = f"{above}/" if above else ""
    key = f"{prefix}link/secret".encode()
    assert gate.lstat(key) is None
    for verb in (gate.open_read, gate.readlink, gate.place):
        with pytest.raises(NotADirectoryError):
            verb(key)
    with pytest.raises(NotADirectoryError):
        gate.place(f"{prefix}link/below/new".encode())
    with pytest.raises(NotADirectoryError):
        gate.make_directories(f"{prefix}link/new".encode())
    assert sorted(path.name for path in outside.iterdir()) == ["below", "secret"]
    gate.close()


def test_a_link_at_the_end_is_seen_but_not_followed(root: Path, outside: Path) -> None:
    (root / "link").symlink_to(outside / "secret")
    gate = Gate.open(root, known=False)
    with pytest.raises(PathError):
        gate.open_read(b"link")
    assert gate.readlink(b"link") == os.fsencode(outside / "secret")
    with gate.place(b"link") as place:
        place.set_mode(0o600)
        place.set_mtime(12)
        with pytest.raises(FileExistsError):
            place.create()
        place.remove()
    assert (outside / "secret").stat().st_mtime_ns != 12
    assert (outside / "secret").read_bytes() == b"secret"
    gate.close()


def test_an_open_folder_that_is_moved_away_is_not_written_through(root: Path, outside: Path) -> None:
    (root / "a" / "b").mkdir(parents=True)
    gate = Gate.open(root, known=False)
    assert gate.lstat(b"a/b/x") is None
    (root / "a").rename(outside / "a")
    (root / "a").symlink_to(outside / "a")
    with pytest.raises(NotADirectoryError):
        gate.place(b"a/b/x")
    (root / "a").unlink()
    (root / "a" / "b").mkdir(parents=True)
    with gate.place(b"a/b/x") as place:
        os.close(place.create())
    assert (root / "a" / "b" / "x").exists()
    assert not (outside / "a" / "b" / "x").exists()
    gate.close()


def test_a_racing_thread_never_gets_a_write_outside(root: Path, outside: Path) -> None:
    """A folder is swapped for a link and back while files are made and read below it."""
    (root / "a").mkdir()
    target = outside / "below"
    stop = threading.Event()

    def race() -> None:
        while not stop.is_set():
            (root / "a").rename(root / "kept")
            (root / "a").symlink_to(target)
            (root / "a").unlink()
            (root / "kept").rename(root / "a")

    racer = threading.Thread(target=race)
    racer.start()
    gate = Gate.open(root, known=False)
    made = refused = 0
    try:
        for number in range(3000):
            try:
                with gate.place(b"a/f%d" % number) as place:
                    os.close(place.create())
                    made += 1
            except (FileNotFoundError, NotADirectoryError):
                refused += 1
            try:
                os.close(gate.open_read(b"a/secret"))
                raise AssertionError("read through a link")
            except (FileNotFoundError, NotADirectoryError):
                pass
    finally:
        stop.set()
        racer.join()
        gate.close()
    assert made + refused == 3000
    assert [path.name for path in target.iterdir()] == ["secret"]


@pytest.mark.parametrize("kind", ["fifo", "folder"])
def test_only_regular_files_are_opened(root: Path, kind: str) -> None:
    if kind == "fifo":
        os.mkfifo(root / "x")
    else:
        (root / "x").mkdir()
    gate = Gate.open(root, known=False)
    with pytest.raises(PathError, match="regular") as caught:
        gate.open_read(b"x")
    assert caught.value.code == "not-regular"
    gate.close()


def test_names_of_any_bytes_and_twins_of_one_name_are_kept_apart(root: Path) -> None:
    names = [b"\xff\xfe", "é".encode(), "e\u0301".encode(), b"x" * 255, b"new\nline", b" ", b"\\", b"\x01", b"A", b"a"]
    gate = Gate.open(root, known=False)
    for number, name in enumerate(names):
        with gate.place(name) as place:
            fd = place.create()
            os.write(fd, b"%d" % number)
            os.close(fd)
    assert gate.entries() == sorted([*names, b".twsync"])
    for number, name in enumerate(names):
        fd = gate.open_read(name)
        assert os.read(fd, 9) == b"%d" % number
        os.close(fd)
    gate.close()


def test_paths_longer_than_any_call_takes(root: Path) -> None:
    deep = b"/".join([b"d" * 200] * 78)
    assert len(deep) > 15_000
    gate = Gate.open(root, known=False)
    gate.make_directories(deep)
    with gate.place(deep + b"/f") as place:
        fd = place.create()
        os.write(fd, b"deep")
        os.close(fd)
        place.set_mtime(5)
        place.set_mode(0o640)
    found = gate.lstat(deep + b"/f")
    assert found is not None
    assert (found.st_size, found.st_mtime_ns, found.st_mode & 0o777) == (4, 5, 0o640)
    assert gate.entries(deep) == [b"f"]
    gate.close()
    shutil.rmtree(root, ignore_errors=True)


def test_bad_keys_among_good_ones_are_told_apart(root: Path) -> None:
    """Keys are looked at together, and answered one by one."""
    bad = [b"/a", b"a//b", b"d/..", b"", b"d/" + b"x" * 256, b"a\0"]
    with closing(Gate.open(root, known=False)) as gate, Places(gate) as places:
        for key in bad:
            numbers, _fds, names, failed = places.locate([b"a", key, b"c"])
            assert (list(numbers), names, list(failed)) == ([0, 2], [b"a", b"c"], [1])
            assert isinstance(failed[1], PathError)


def test_the_deepest_key_needs_few_descriptors(root: Path) -> None:
    deep = b"/".join([b"d"] * (limits.MAX_DEPTH - 1))
    gate = Gate.open(root, known=False)
    gate.make_directories(deep)
    before = descriptors()
    with gate.place(deep + b"/f"):
        assert descriptors() <= before + 2
    assert descriptors() <= before
    gate.close()


def test_open_folders_are_bounded_and_closed(root: Path) -> None:
    before = descriptors()
    gate = Gate.open(root, known=False)
    held = gate.place(b"x")
    for number in range(3 * limits.MAX_OPEN_DIRECTORIES):
        gate.make_directories(b"d%d" % number)
        assert gate.lstat(b"d%d/x" % number) is None
    assert descriptors() <= before + limits.MAX_OPEN_DIRECTORIES + limits.MAX_CACHED_DEPTH + 4
    with gate.place(b"d1/y") as place:
        for number in range(2 * limits.MAX_OPEN_DIRECTORIES):
            gate.lstat(b"d%d/x" % number)
        os.close(place.create())
    assert (root / "d1" / "y").exists()
    held.release()
    gate.close()
    assert descriptors() == before


def test_threads_share_a_gate(root: Path) -> None:
    gate = Gate.open(root, known=False)
    for number in range(30):
        gate.make_directories(b"d%d/e" % number)
    failures: list[BaseException] = []

    def work(start: int) -> None:
        try:
            for number in range(300):
                with gate.place(b"d%d/e/%d" % ((start + number) % 30, start * 1000 + number)) as place:
                    os.close(place.create())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert sum(len(files) for _, _, files in os.walk(root)) == 1200
    gate.close()


# --- the root


def test_a_missing_root_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="missing") as caught:
        Gate.open(tmp_path / "none", known=True)
    assert caught.value.code == "root-missing"


BROKEN = [
    (5, "disk-error", "input/output error"),
    (13, "permission-denied", "Permission denied"),
    (107, "disk-error", "Transport endpoint is not connected"),
    (116, "disk-error", "Stale file handle"),
]


@pytest.mark.parametrize("name", ["root", ".twsync"])
@pytest.mark.parametrize(("number", "code", "text"), BROKEN)
def test_a_root_that_the_disk_does_not_give_is_told_with_its_name(
    name: str, number: int, code: str, text: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a defect, nor a folder that is missing."""
    gate = Gate.open(root, known=False)
    genuine = os.open

    def broken(path: bytes, *others: Any, **more: Any) -> int:
        if os.fsencode(path).rpartition(b"/")[2] == os.fsencode(name if name != "root" else root.name):
            raise OSError(number, os.strerror(number))
        return genuine(path, *others, **more)

    monkeypatch.setattr(os, "open", broken)
    for opening in (lambda: Gate.open(root, known=True), lambda: Gate.open(root, known=False), gate.check):
        with pytest.raises(StoreError, match=re.escape(str(root))) as caught:
            opening()
        assert (caught.value.code, text in caught.value.message) == (code, True)
    gate.close()


def test_a_root_that_is_a_file_or_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for name in ("file", "link"):
        with pytest.raises(StoreError) as caught:
            Gate.open(tmp_path / name, known=False)
        assert caught.value.code == "root-missing"
    assert not (tmp_path / "real" / ".twsync").exists()


def test_a_known_root_without_its_marker_is_refused_and_a_new_one_gets_it(root: Path) -> None:
    with pytest.raises(StoreError) as caught:
        Gate.open(root, known=True)
    assert caught.value.code == "root-marker-missing"
    assert not (root / ".twsync").exists()
    Gate.open(root, known=False).close()
    assert (root / ".twsync").stat().st_mode & 0o777 == 0o700
    Gate.open(root, known=True).close()


def test_a_marker_that_is_a_link_is_refused(root: Path, outside: Path) -> None:
    (root / ".twsync").symlink_to(outside)
    with pytest.raises(StoreError) as caught:
        Gate.open(root, known=False)
    assert caught.value.code == "root-marker-missing"


def test_check_notices_a_replaced_or_emptied_root(root: Path) -> None:
    gate = Gate.open(root, known=False)
    gate.check()
    (root / ".twsync").rename(root / "moved")
    with pytest.raises(StoreError) as caught:
        gate.check()
    assert caught.value.code == "root-marker-missing"
    (root / "moved").rename(root / ".twsync")
    root.rename(root.with_name("other"))
    with pytest.raises(StoreError) as caught:
        gate.check()
    assert caught.value.code == "root-missing"
    shutil.copytree(root.with_name("other"), root)
    with pytest.raises(StoreError, match="replaced"):
        gate.check()
    gate.close()
