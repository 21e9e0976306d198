"""Staging: resume, proof, leftovers; and content that is here already."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest
from blake3 import blake3

from twsync.errors import StoreError
from twsync.limits import MIB
from twsync.store import copying
from twsync.store.changes import Status
from twsync.store.localcopy import copy_content
from twsync.store.source import open_source, read_contents
from twsync.store.staging import Staging

DATA = os.urandom(300_000)
CONTENT = blake3(DATA).digest()


def names(host) -> list[str]:
    return sorted(path.name for path in (host.root / ".twsync" / "staging").iterdir())


def test_a_small_file_is_proved_and_private(host) -> None:
    staged = host.staging.put(CONTENT, DATA)
    assert (staged.content, staged.size) == (CONTENT, len(DATA))
    path = host.root / ".twsync" / "staging" / os.fsdecode(staged.name)
    assert path.read_bytes() == DATA
    assert path.stat().st_mode & 0o777 == 0o600
    assert host.staging.put(CONTENT, DATA[1:]) is None
    dressed = host.staging.put(CONTENT, memoryview(DATA), mode=0o4751, mtime_ns=5)
    path = host.root / ".twsync" / "staging" / os.fsdecode(dressed.name)
    assert (path.stat().st_mode & 0o7777, path.stat().st_mtime_ns) == (0o751, 5)
    assert (dressed.mode, dressed.mtime_ns) == (0o751, 5)
    host.staging.drop(staged)
    host.staging.drop(dressed)
    assert names(host) == []


def test_runs_of_zeros_become_holes(host) -> None:
    """In the middle and at the end, also when the file is kept in a hole and goes on; a short run is written."""
    pieces = [b"a" * 5000, bytes(1 << 20), b"b" * 100, bytes(100), bytes(1 << 20), bytes(1 << 20)]
    content = blake3(b"".join(pieces)).digest()
    part = host.staging.create(content)
    for piece in pieces[:5]:
        part.append(piece)
    part.keep()
    assert host.staging.find_partial(content) == sum(map(len, pieces[:5]))
    part = host.staging.resume(content)
    part.append(pieces[5])
    staged = part.finish()
    path = host.root / ".twsync" / "staging" / os.fsdecode(staged.name)
    assert path.read_bytes() == b"".join(pieces)
    assert path.stat().st_blocks * 512 < 1 << 20
    host.staging.drop(staged)


def test_an_interrupted_file_goes_on_where_it_stopped(host, make_host) -> None:
    assert host.staging.find_partial(CONTENT) == 0
    assert host.staging.open_basis(CONTENT) is None
    part = host.staging.create(CONTENT)
    part.append(DATA[:100_000])
    part.keep()
    host.close()
    host.close = lambda: None
    later = make_host(host.base)
    assert later.staging.find_partial(CONTENT) == 100_000
    basis = later.staging.open_basis(CONTENT)
    assert os.pread(basis, 200_000, 0) == DATA[:100_000]
    os.close(basis)
    part = later.staging.resume(CONTENT)
    assert part.size == 100_000
    part.append(bytearray(DATA[100_000:]))
    staged = part.finish()
    assert staged.size == len(DATA)
    assert names(later) == [staged.name.decode()]
    assert later.apply(later.file(b"a", DATA))[b"a"].status is Status.DONE
    assert later.staging.find_partial(CONTENT) == 0


def test_a_part_that_does_not_come_out_right_is_gone(host) -> None:
    part = host.staging.create(CONTENT)
    part.append(b"wrong")
    assert part.finish() is None
    assert names(host) == []
    with host.staging.create(CONTENT):
        pass
    assert names(host) == []
    part = host.staging.create(CONTENT)
    part.append(b"x")
    part.discard()
    assert names(host) == []


@pytest.mark.parametrize("end", ["finish", "keep", "discard"])
def test_a_disk_that_says_at_the_end_what_it_did_not_write(host, monkeypatch, end: str) -> None:
    part = host.staging.create(CONTENT)
    part.append(DATA)
    genuine = os.close

    def close(fd: int) -> None:
        genuine(fd)
        raise OSError(errno.ENOSPC, "")

    with monkeypatch.context() as patch:
        patch.setattr(os, "close", close)
        if end == "finish":
            with pytest.raises(StoreError, match="is full"):
                part.finish()
        else:
            getattr(part, end)()
    assert (len(names(host)) == 0) == (end == "discard")


def test_a_part_that_cannot_be_cut_to_its_length_is_closed_and_left_once(host, monkeypatch) -> None:
    part = host.staging.create(CONTENT)
    part.append(b"x")
    part.append(bytes(MIB))
    closed = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", Mock(side_effect=OSError(errno.EIO, "")))
        patch.setattr(os, "close", lambda fd, genuine=os.close: (closed.append(fd), genuine(fd)))
        part.keep()
        part.keep()
    assert len(closed) == 1
    assert host.staging.find_partial(CONTENT)
    assert len(host.staging.unwanted([])) == 1


def test_a_new_attempt_keeps_the_old_part_as_basis_until_it_is_done(host) -> None:
    with host.staging.create(CONTENT) as part:
        part.append(DATA[:200_000])
    with host.staging.create(CONTENT) as part:
        part.append(DATA[:50_000])
    assert host.staging.find_partial(CONTENT) == 200_000
    part = host.staging.create(CONTENT)
    part.append(DATA)
    assert part.finish() is not None
    assert len(names(host)) == 1


def test_a_complete_file_of_an_earlier_session_is_adopted_if_it_is_right(host, make_host) -> None:
    good = host.staging.put(CONTENT, DATA)
    bad = host.staging.put(blake3(b"x").digest(), b"x")
    (host.root / ".twsync" / "staging" / os.fsdecode(bad.name)).write_bytes(b"y")
    host.close()
    host.close = lambda: None
    later = make_host(host.base)
    assert later.staging.adopt(blake3(b"x").digest(), 1) is None
    assert later.staging.adopt(CONTENT, len(DATA)).name == good.name
    assert later.staging.adopt(CONTENT, len(DATA)) is None
    assert later.staging.put(CONTENT, DATA).name != good.name


def test_a_second_copy_for_a_second_key(host) -> None:
    first = host.staging.put(CONTENT, DATA)
    second = host.staging.duplicate(first)
    assert second.name != first.name
    folder = host.root / ".twsync" / "staging"
    assert (folder / os.fsdecode(second.name)).read_bytes() == DATA
    (folder / os.fsdecode(first.name)).write_bytes(b"altered")
    with pytest.raises(StoreError):
        host.staging.duplicate(first)


def test_sweeping_by_age_and_by_size(host) -> None:
    for number, age in enumerate((30, 10, 5, 1)):
        with host.staging.create(blake3(b"%d" % number).digest()) as part:
            part.append(bytes(100))
        path = max((host.root / ".twsync" / "staging").iterdir(), key=lambda path: path.stat().st_ctime_ns)
        os.utime(path, (0, time.time() - age * 86400))
    staging = Staging(host.gate)
    assert staging.sweep(time.time_ns(), max_age=14 * 86400.0) == 100
    assert len(names(host)) == 3
    # The last two may be what the next session goes on with, however large they are.
    assert staging.sweep(time.time_ns(), max_age=14 * 86400.0, max_bytes=150) == 100
    assert [staging.find_partial(blake3(b"%d" % number).digest()) for number in range(4)] == [0, 0, 100, 100]
    staging.close()


def test_what_came_from_a_device_that_has_no_more_to_give_is_let_go(host) -> None:
    staging = host.staging

    def part(number: int) -> bytes:
        with staging.create(blake3(b"%d" % number).digest()) as part:
            part.append(b"x")
        return b"%d" % number

    part(0)
    staging.comes_from("alice/desktop")
    part(1)
    staging.left(staging.put(CONTENT, DATA).name)
    staging.comes_from("alice/phone")
    part(2)
    staging.have_all("alice/desktop")
    staging.close()
    host.staging = staging = Staging(host.gate)
    assert [staging.find_partial(blake3(b"%d" % number).digest()) for number in range(3)] == [1, 0, 1]
    assert staging.adopt(CONTENT, len(DATA)) is None
    staging.have_all("alice/phone")
    assert len(names(host)) == 1


def test_what_is_of_no_use_for_what_is_wanted(host) -> None:
    staging = host.staging
    with staging.create(CONTENT) as part:
        part.append(DATA)
    with staging.create_unknown(b"key", 9) as part:
        part.append(b"x")
    for wanted, useless in (([], 2), ([(b"a", 5, CONTENT)], 1), ([(b"key", 8, CONTENT)], 1), ([(b"key", 9, CONTENT)], 0)):
        assert len(staging.unwanted(wanted)) == useless
    ((name, size),) = staging.unwanted([(b"key", 9, b"")])
    assert name.startswith(CONTENT.hex().encode()) and len(DATA) <= size + 4096 and size <= len(DATA)
    staging.give_up([name, name])
    assert len(names(host)) == 1


def test_a_complete_file_is_as_old_as_its_stay(host) -> None:
    """Its own time is that of the file it was to become."""
    host.staging.put(CONTENT, DATA, mtime_ns=1)
    staging = Staging(host.gate)
    assert staging.sweep(time.time_ns(), max_age=14 * 86400.0) == 0
    assert staging.holds(CONTENT, len(DATA))
    assert not staging.holds(CONTENT, len(DATA) - 1)
    assert staging.sweep(time.time_ns() + 15 * 86400 * 10**9, max_age=14 * 86400.0) == len(DATA)
    assert not staging.holds(CONTENT, len(DATA))
    staging.close()


# --- content that is here


def test_content_under_another_name_is_copied_and_proved(host) -> None:
    host.write("old name", DATA)
    host.learn()
    staged = copy_content(host.gate, host.rows, host.staging, CONTENT, len(DATA))
    assert staged is not None
    assert (host.root / ".twsync" / "staging" / os.fsdecode(staged.name)).read_bytes() == DATA
    host.staging.drop(staged)
    host.write("old name", DATA[:-1] + b"!")
    assert copy_content(host.gate, host.rows, host.staging, CONTENT, len(DATA)) is None
    (host.root / "old name").unlink()
    assert copy_content(host.gate, host.rows, host.staging, CONTENT, len(DATA)) is None
    assert names(host) == []


@pytest.mark.parametrize("lacking", [True, False])
def test_copies_are_whole_whatever_the_kernel_offers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: bool) -> None:
    if lacking:

        def none(*_: object) -> int:
            raise OSError(18, "")

        monkeypatch.setattr(os, "copy_file_range", none)
    (tmp_path / "a").write_bytes(DATA * 8)
    with (tmp_path / "a").open("rb") as source, (tmp_path / "b").open("wb+") as target:
        assert copying.copy_bytes(source.fileno(), target.fileno()) == len(DATA) * 8
    assert (tmp_path / "b").read_bytes() == DATA * 8


# --- sending


def test_a_source_is_read_only_as_long_as_it_is_what_the_row_says(host) -> None:
    path = host.write("a", DATA)
    host.learn()
    row = host.rows.get(b"a")
    with open_source(host.gate, row) as source:
        assert source.size == len(DATA)
        assert source.read(10) == DATA[:10]
        assert source.seek(5) == 5
        buffer = bytearray(7)
        assert source.readinto(buffer) == 7
        assert buffer == DATA[5:12]
        assert source.tell() == 12
        assert source.unchanged()
        path.write_bytes(b"other")
        assert not source.unchanged()
    with pytest.raises(StoreError) as caught:
        open_source(host.gate, row)
    assert caught.value.code == "changed"
    assert read_contents(host.gate, [row.item]) == (b"", ["changed"])
    path.unlink()
    with pytest.raises(StoreError) as caught:
        open_source(host.gate, row)
    assert caught.value.code == "changed"
    os.mkfifo(path)
    with pytest.raises(StoreError) as caught:
        open_source(host.gate, row)
    assert caught.value.code == "changed"


@pytest.mark.parametrize("how", ["together", "singly"])
def test_small_files_are_given_only_if_they_are_what_was_shown(how: str, host, tmp_path: Path, request) -> None:
    if how == "singly":
        request.getfixturevalue("singly")
    names = ("same", "empty", "other", "longer", "shorter", "gone", "fifo", "link", "d/same", "d/gone", "moved/a", "swapped/a")
    for name in names:
        host.write(name, b"" if name == "empty" else b"data of " + name.encode())
    host.learn()
    items = [host.rows.get(name.encode()).item for name in names]
    host.write("other", b"DATA of other")
    host.write("longer", b"data of longer and more")
    host.write("shorter", b"data")
    for name in ("gone", "fifo", "link", "d/gone"):
        (host.root / name).unlink()
    os.mkfifo(host.root / "fifo")
    (host.root / "link").symlink_to("same")
    for name in ("moved", "swapped"):
        (host.root / name).rename(tmp_path / name)
    (host.root / "swapped").symlink_to(tmp_path / "swapped")
    changed = {"other", "longer", "shorter", "gone", "fifo", "link", "d/gone", "moved/a", "swapped/a"}
    data, reasons = read_contents(host.gate, items)
    assert dict(zip(names, reasons, strict=True)) == {name: "changed" if name in changed else "" for name in names}
    assert data == b"data of samedata of d/same"


def test_a_replaced_name_is_noticed(host) -> None:
    path = host.write("a", b"data")
    host.learn()
    with open_source(host.gate, host.rows.get(b"a")) as source:
        (host.root / "b").write_bytes(b"data")
        (host.root / "b").replace(path)
        assert source.read() == b"data"
        assert not source.unchanged()


def test_a_racy_row_is_proved_by_its_content(host) -> None:
    path = host.write("a", b"data")
    host.rows.record(host.look(later=0))
    row = host.rows.get(b"a")
    assert not row.stat.trusted
    with open_source(host.gate, row) as source:
        assert source.read() == b"data"
    assert read_contents(host.gate, [row.item]) == (b"data", [""])
    path.write_bytes(b"atad")
    os.utime(path, ns=(0, row.stat.mtime_ns))
    with pytest.raises(StoreError):
        open_source(host.gate, row)


def test_unreadable_is_told_apart(host, monkeypatch) -> None:
    host.write("a")
    host.learn()
    row = host.rows.get(b"a")

    def refused(key: bytes) -> int:
        raise PermissionError(13, "")

    with monkeypatch.context() as patch:
        patch.setattr(host.gate, "open_read", refused)
        with pytest.raises(StoreError) as caught:
            open_source(host.gate, row)
        assert caught.value.code == "unreadable"
    with monkeypatch.context() as patch:
        patch.setattr(host.gate, "place", refused)
        assert read_contents(host.gate, [row.item]) == (b"", ["unreadable"])


# --- real file systems


@pytest.fixture
def small_disk(tmp_path: Path, missing) -> Iterator[Path]:
    """A file system of one MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], capture_output=True, check=False)
    if done.returncode != 0:
        missing("this user cannot mount a tmpfs (the errors of a full disk are also tested by injection, in test_apply.py)")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_really_full_disk(small_disk: Path, tmp_path: Path, make_host) -> None:
    host = make_host(tmp_path, small_disk)
    host.write("a", b"old")
    host.learn()
    part = host.staging.create(CONTENT)
    with pytest.raises(StoreError, match="is full") as caught:
        for _ in range(10):
            part.append(DATA)
    assert caught.value.code == "disk-full"
    part.keep()
    with pytest.raises(StoreError, match="no room"):
        host.staging.check_room(900_000, host.staging.room())
    assert host.tree() == {"a": b"old"}
    assert host.staging.sweep(time.time_ns(), max_age=-1) > 0
    assert host.apply(host.file(b"a", b"new"))[b"a"].status is Status.DONE
    host.close()
    host.close = lambda: None


def test_a_mount_point_inside_a_collection(small_disk: Path, tmp_path: Path, make_host) -> None:
    host = make_host(tmp_path, tmp_path)
    host.write("disk/a", b"old")
    host.write("disk/b", b"old b")
    host.learn("journal.db*")
    outcomes = host.apply(host.file(b"disk/a", b"new"), host.file(b"disk/d", b"more"), host.removal(b"disk/b"), host.link(b"disk/l", b"x"))
    assert {outcome.status for outcome in outcomes.values()} == {Status.DONE}
    assert {key: data for key, data in host.tree().items() if key.startswith("disk/")} == {
        "disk/a": b"new",
        "disk/d": b"more",
        "disk/l": b"x",
    }
    assert host.trash() == {"disk/a": b"old", "disk/b": b"old b"}
    assert host.look("journal.db*").changes == []
    host.close()
    host.close = lambda: None
