"""Applying batches: what is done, what is refused, and that nothing is ever lost."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from blake3 import blake3
from msgspec.structs import replace

from twsync import limits
from twsync.errors import StoreError
from twsync.reconcile.model import Item
from twsync.reconcile.versions import Version
from twsync.store import apply, barrier
from twsync.store.batches import Batches
from twsync.store.changes import Change
from twsync.store.place import Place
from twsync.store.syscalls import LackingError


def statuses(outcomes) -> dict[bytes, str]:
    return {key: outcome.reason or str(outcome.status) for key, outcome in outcomes.items()}


def test_everything_that_can_happen_to_a_path(host, system: str) -> None:
    host.write("replaced", b"old")
    host.write("deleted", b"old deleted")
    host.write("folder/deleted", b"old below")
    host.write("file-folder", b"old file")
    host.write("folder-file/x", b"old x")
    host.write("dressed", mode=0o600)
    (host.root / "link").symlink_to("old")
    (host.root / "link-file").symlink_to("old")
    host.write("file-link", b"old target")
    host.learn()
    outcomes = host.apply(
        host.file(b"new", b"new", mode=0o755),
        host.file(b"replaced", b"new content"),
        host.removal(b"deleted"),
        host.folder(b"made", mode=0o750, mtime_ns=123456789),
        host.file(b"made/inside", b"inside"),
        host.removal(b"folder/deleted"),
        host.removal(b"folder"),
        host.folder(b"file-folder"),
        host.file(b"file-folder/below", b"below"),
        host.removal(b"folder-file/x"),
        host.file(b"folder-file", b"now a file"),
        host.link(b"link", b"new target \xff"),
        host.file(b"link-file", b"was a link"),
        host.link(b"file-link", b"a"),
        host.link(b"new-link", b"b"),
        Change(replace(host.rows.get(b"dressed").item, mode=0o644, mtime_ns=77, version=Version(((5, 5),))), host.rows.get(b"dressed")),
    )
    assert set(statuses(outcomes).values()) == {"done"}
    assert len(outcomes) == 16
    assert host.tree() == {
        "new": b"new",
        "replaced": b"new content",
        "made": None,
        "made/inside": b"inside",
        "file-folder": None,
        "file-folder/below": b"below",
        "folder-file": b"now a file",
        "link": b"new target \xff",
        "link-file": b"was a link",
        "file-link": b"a",
        "new-link": b"b",
        "dressed": b"data",
    }
    assert host.trash() == {
        "replaced": b"old",
        "deleted": b"old deleted",
        "folder/deleted": b"old below",
        "file-folder": b"old file",
        "folder-file/x": b"old x",
        "file-link": b"old target",
    }
    assert (host.root / "new").stat().st_mode & 0o7777 == 0o755
    made = (host.root / "made").stat()
    assert (made.st_mode & 0o777, made.st_mtime_ns) == (0o750, 123456789)
    assert ((host.root / "dressed").stat().st_mode & 0o777, (host.root / "dressed").stat().st_mtime_ns) == (0o644, 77)
    assert (host.root / "new-link").lstat().st_mtime_ns == (host.root / "new").stat().st_mtime_ns
    again = host.learn()
    assert again.changes == []
    assert list((host.root / ".twsync" / "staging").iterdir()) == []
    assert host.rows.get(b"new").partner == host.partner
    assert host.rows.get(b"dressed").partner == 0
    assert not host.rows.get(b"deleted").item.live


def test_a_second_look_hashes_nothing_that_came_with_an_old_time(host) -> None:
    host.apply(host.file(b"a", b"new"), host.folder(b"d"), host.file(b"d/b", b"new"))
    assert host.look().refreshed == []


def test_special_mode_bits_are_never_set(host) -> None:
    host.apply(host.file(b"a", b"new", mode=0o7755), host.folder(b"d", mode=0o7777))
    assert (host.root / "a").stat().st_mode & 0o7777 == 0o755
    assert (host.root / "d").stat().st_mode & 0o7777 == 0o777


def test_the_time_of_a_folder_survives_work_in_it(host) -> None:
    host.write("d/a")
    os.utime(host.root / "d", ns=(5, 5))
    host.learn()
    host.apply(host.file(b"d/b", b"new"), host.removal(b"d/a"))
    assert (host.root / "d").stat().st_mtime_ns == 5
    assert host.look().changes == []


def test_the_time_of_a_folder_that_the_user_works_in_is_left_alone(host) -> None:
    host.write("d/a")
    os.utime(host.root / "d", ns=(5, 5))
    host.learn()
    host.write("d/own")
    host.apply(host.file(b"d/b", b"new"))
    assert (host.root / "d").stat().st_mtime_ns != 5
    assert [row.key for row in host.look().changes] == [b"d", b"d/own"]


# --- the disk is not what the journal knows


def test_what_changed_meanwhile_is_left_alone(host, system: str) -> None:
    for name in ("edited", "replaced", "deleted", "removed", "kind", "touched"):
        host.write(name, b"old")
    (host.root / "link").symlink_to("old")
    host.learn()
    batch = [host.file(name, b"new") for name in (b"edited", b"replaced", b"deleted", b"kind", b"touched", b"new", b"gone/x")]
    batch += [host.removal(b"removed"), host.link(b"link", b"new"), host.folder(b"new-folder")]
    host.write("edited", b"own")
    (host.root / "own").write_bytes(b"own")
    (host.root / "own").replace(host.root / "replaced")
    (host.root / "deleted").unlink()
    host.write("removed", b"own")
    (host.root / "kind").unlink()
    (host.root / "kind").mkdir()
    os.utime(host.root / "touched", ns=(1, 1))
    (host.root / "new").write_bytes(b"own")
    (host.root / "new-folder").write_bytes(b"own")
    (host.root / "link").unlink()
    (host.root / "link").symlink_to("own")
    before = host.tree()
    outcomes = statuses(host.apply(*batch))
    assert set(outcomes.values()) == {"changed"}
    assert len(outcomes) == len(batch)
    assert host.tree() == before
    assert host.trash() == {}
    assert host.rows.get(b"edited").item.device == "laptop"
    assert host.rows.get(b"new") is None


def test_staged_content_of_a_change_that_was_refused_is_adopted_in_the_next_round(host) -> None:
    host.write("a", b"old")
    host.learn()
    change = host.file(b"a", b"new")
    host.write("a", b"own")
    host.apply(change)
    staged = host.staging.adopt(change.item.content, 3)
    assert staged is not None
    assert staged.name == change.staged.name


def test_an_edit_in_the_last_moment_is_put_back(host) -> None:
    """The writer comes between the look and the exchange."""
    path = host.write("a", b"old")
    host.learn()

    def step(name: str) -> None:
        if name == "exchange":
            path.write_bytes(b"edited")

    outcomes = host.apply(host.file(b"a", b"new"), step=step)
    assert statuses(outcomes) == {b"a": "changed"}
    assert host.tree() == {"a": b"edited"}
    assert host.trash() == {}


def test_a_removal_in_the_last_moment_is_noticed(host) -> None:
    path = host.write("a", b"old")
    host.write("b", b"old")
    host.learn()

    def step(name: str) -> None:
        if name == "exchange":
            path.unlink()
        elif name == "discard":
            (host.root / "b").write_bytes(b"edited")

    outcomes = host.apply(host.file(b"a", b"new"), host.removal(b"b"), step=step)
    assert statuses(outcomes) == {b"a": "changed", b"b": "changed"}
    assert host.tree() == {"b": b"edited"}
    assert host.trash() == {}


def test_removing_what_is_gone_already_is_done(host) -> None:
    host.write("d/a")
    host.learn()
    batch = [host.removal(b"d/a"), host.removal(b"d")]
    (host.root / "d" / "a").unlink()
    (host.root / "d").rmdir()
    assert set(statuses(host.apply(*batch)).values()) == {"done"}
    assert host.look().changes == []


def test_a_folder_with_untracked_things_stays(host) -> None:
    host.write("d/tracked")
    host.write("e/tracked")
    host.learn("*.o")
    host.write("d/ignored.o")
    host.write("e/ignored.o")
    outcomes = statuses(
        host.apply(host.removal(b"d/tracked"), host.removal(b"d"), host.removal(b"e/tracked"), host.file(b"e", b"a file instead"))
    )
    assert outcomes == {b"d/tracked": "done", b"d": "not-empty", b"e/tracked": "done", b"e": "not-empty"}
    assert host.tree() == {"d": None, "d/ignored.o": b"data", "e": None, "e/ignored.o": b"data"}
    assert host.rows.get(b"d").item.live


def test_a_folder_swapped_for_a_link_is_not_written_through(host, tmp_path: Path) -> None:
    host.write("d/a", b"old")
    host.learn()
    outside = tmp_path / "outside"
    (host.root / "d").rename(outside)
    (host.root / "d").symlink_to(outside)
    outcomes = host.apply(host.file(b"d/a", b"new"), host.file(b"d/b", b"new"))
    assert statuses(outcomes) == {b"d/a": "changed", b"d/b": "changed"}
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"a": b"old"}


# --- conflicts


def displaced(host, key: bytes, copy: bytes) -> Item:
    return replace(host.rows.get(key).item, key=copy, version=Version(((123, 1),)))


def test_keep_both_moves_the_loser_to_its_name_without_a_gap(host, system: str) -> None:
    host.write("d/a", b"ours")
    host.learn()
    seen = []
    change = host.file(b"d/a", b"theirs", displaced=displaced(host, b"d/a", b"d/a (conflict)"))
    host.apply(change, step=lambda name: seen.append((host.root / "d" / "a").read_bytes()))
    assert host.tree() == {"d": None, "d/a": b"theirs", "d/a (conflict)": b"ours"}
    assert host.trash() == {}
    assert set(seen) == {b"ours", b"theirs"}
    row = host.rows.get(b"d/a (conflict)")
    assert (row.item.version, row.partner) == (Version(((123, 1),)), 0)
    assert host.look().changes == []


def test_a_conflict_name_that_is_taken_is_never_overwritten(host, system: str) -> None:
    host.write("a", b"ours")
    host.learn()
    change = host.file(b"a", b"theirs", displaced=displaced(host, b"a", b"a (conflict)"))
    host.write("a (conflict)", b"somebody else's")
    assert statuses(host.apply(change)) == {b"a": "name-taken"}
    assert host.tree() == {"a": b"ours", "a (conflict)": b"somebody else's"}


def test_a_copy_that_an_earlier_session_made_is_enough(host) -> None:
    host.write("a", b"ours")
    host.write("a (conflict)", b"ours")
    host.learn()
    change = host.file(b"a", b"theirs", displaced=displaced(host, b"a", b"a (conflict)"))
    assert statuses(host.apply(change)) == {b"a": "done"}
    assert host.tree() == {"a": b"theirs", "a (conflict)": b"ours"}
    assert host.trash() == {"a": b"ours"}


# --- the disk refuses


def test_the_same_name_may_go_to_the_trash_twice(host) -> None:
    applier = host.applier()
    host.write("a", b"0")
    host.learn()
    for number in (b"1", b"2", b"3"):
        applier.apply([host.file(b"a", number)])
    applier.apply([host.removal(b"a")])
    applier.apply([host.folder(b"a")])
    applier.apply([host.file(b"a/b", b"x")])
    applier.apply([host.removal(b"a/b")])
    applier.finish()
    top = host.root / ".twsync" / "trash"
    assert sorted(path.read_bytes() for path in top.rglob("*") if path.is_file()) == [b"0", b"1", b"2", b"3", b"x"]


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "disk-full"), (errno.EDQUOT, "disk-full"), (errno.EROFS, "read-only"), (errno.EIO, "disk-error")],
)
def test_a_disk_that_cannot_go_on_ends_the_session_and_keeps_what_was_done(host, singly, monkeypatch, number: int, code: str) -> None:
    genuine = Place.move
    calls = []

    def full(self: Place, to: Place) -> None:
        calls.append(to.name)
        if to.name == b"c":
            raise OSError(number, os.strerror(number))
        genuine(self, to)

    batch = [host.file(name, b"new " + name) for name in (b"a", b"b", b"c", b"d")]
    monkeypatch.setattr(Place, "move", full)
    with pytest.raises(StoreError, match=str(host.root)) as caught:
        host.apply(*batch)
    assert caught.value.code == code
    assert host.tree() == {"a": b"new a", "b": b"new b"}
    assert host.rows.get(b"b").item.live
    assert host.rows.get(b"c") is None
    assert host.rows.intents.pending() == []
    assert host.look().changes == []


def test_folders_that_cannot_be_flushed_end_the_session(host, monkeypatch) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr(apply, "flush_directories", full)
    with pytest.raises(StoreError) as caught:
        host.apply(host.file(b"a", b"new"))
    assert caught.value.code == "disk-full"
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.EACCES, "permission-denied"), (errno.ENAMETOOLONG, "name-too-long"), (errno.EILSEQ, "bad-name")]
)
def test_one_refused_item_does_not_stop_the_others(host, singly, monkeypatch, number: int, reason: str) -> None:
    genuine = Place.move

    def refusing(self: Place, to: Place) -> None:
        if to.name == b"b":
            raise OSError(number, os.strerror(number))
        genuine(self, to)

    batch = [host.file(name, b"new") for name in (b"a", b"b", b"c")]
    monkeypatch.setattr(Place, "move", refusing)
    assert statuses(host.apply(*batch)) == {b"a": "done", b"b": reason, b"c": "done"}


@pytest.mark.usefixtures("in_c")
def test_what_a_batch_does_not_do_is_done_singly_and_says_why(host, monkeypatch) -> None:
    genuine = Batches.place

    def refusing(self: Batches, fd: int, staged, fds, names):
        found = list(genuine(self, fd, staged, fds, [b"x" * 300 if name == b"b" else name for name in names]))
        assert [one[5] for one in found] == [0, errno.ENAMETOOLONG, errno.EEXIST, 0]
        return found

    monkeypatch.setattr(Batches, "place", refusing)
    batch = [host.file(name, b"new") for name in (b"a", b"b", b"c", b"d")]
    host.write("c", b"somebody else's")
    assert statuses(host.apply(*batch)) == {b"a": "done", b"b": "done", b"c": "changed", b"d": "done"}
    assert host.tree() == {"a": b"new", "b": b"new", "c": b"somebody else's", "d": b"new"}


@pytest.mark.parametrize("folders", [1, limits.MAX_FOLDERS_TOGETHER, limits.MAX_FOLDERS_TOGETHER + 1])
def test_new_files_in_many_folders(host, folders: int) -> None:
    keys = [b"%d/%s" % (number, name) for number in range(folders) for name in (b"a", b"b")]
    made = [host.folder(b"%d" % number) for number in range(folders)]
    assert set(statuses(host.apply(*made, *(host.file(key, b"data") for key in keys))).values()) == {"done"}
    assert len(host.tree()) == 3 * folders
    assert host.look().changes == []


def test_a_full_disk_while_staging_names_the_folder(host, monkeypatch) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "")

    with monkeypatch.context() as patch, pytest.raises(StoreError, match=f"disk of {host.root} is full: make room") as caught:
        patch.setattr(os, "write", full)
        host.staged(b"x")
    assert caught.value.code == "disk-full"
    assert list((host.root / ".twsync" / "staging").iterdir()) == []
    with pytest.raises(StoreError, match="no room") as caught:
        host.staging.check_room(2**60, host.staging.room())
    assert caught.value.code == "disk-full"
    host.staging.check_room(1, host.staging.room())


def test_a_vanished_root_ends_the_session(host) -> None:
    batch = [host.file(b"a", b"new")]
    host.root.rename(host.base / "away")
    with pytest.raises(StoreError) as caught:
        host.apply(*batch)
    assert caught.value.code == "root-missing"


def test_many_files_are_flushed_by_one_call(host, monkeypatch) -> None:
    calls = []
    monkeypatch.setattr(barrier, "sync_file_system", calls.append)
    host.apply(*[host.file(b"f%d" % number, b"x") for number in range(50)])
    assert len(calls) == 1
    host.apply(host.folder(b"a"), *[host.folder(b"a/%d" % number) for number in range(20)])
    host.apply(*[host.file(b"a/%d/f" % number, b"x") for number in range(20)])
    assert len(calls) == 3


READ_ONLY = """
    import os, sys, runpy
    from pathlib import Path
    base = Path(sys.argv[1])
    os.chdir(base)
    conftest = runpy.run_path(sys.argv[2])
    if os.geteuid() == 0:
        os.setgroups([])
        os.chown(base, 65534, 65534)
    made = conftest["Host"](base, Path("root"))
    made.write("d/a", b"old")
    (made.root / "d").chmod(0o555)
    made.write("foreign/a", b"old")
    (made.root / "foreign").chmod(0o755)
    made.learn()
    if os.geteuid() == 0:
        for path in [made.root, *made.root.rglob("*")]:
            if "foreign" not in path.parts:
                os.chown(path, 65534, 65534)
        made.learn()
        os.setegid(65534)
        os.seteuid(65534)
        made.gate.check = lambda: None
    else:
        (made.root / "foreign").chmod(0o555)
        made.learn()
    batch = [made.file(key, b"new") for key in (b"d/a", b"d/b", b"foreign/b", b"e/f")]
    outcomes = made.apply(made.folder(b"e", mode=0o555), *batch)
    print({key.decode(): outcome.reason or str(outcome.status) for key, outcome in outcomes.items()})
    print(oct((made.root / "d").stat().st_mode & 0o777), oct((made.root / "e").stat().st_mode & 0o777))
    print([row.key for row in made.look().changes])
"""


def test_read_only_folders_are_opened_for_the_session_and_closed_again(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    code = textwrap.dedent(READ_ONLY)
    conftest = Path(__file__).with_name("conftest.py")
    modules = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, tmp_path, conftest]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, env=modules)
    assert done.stderr == ""
    outcomes, folder_modes, changes = done.stdout.splitlines()
    # As root the foreign folder belongs to somebody else; otherwise it is an own one like d.
    foreign = "permission-denied" if os.geteuid() == 0 else "done"
    assert outcomes == str({"d/a": "done", "d/b": "done", "e": "done", "e/f": "done", "foreign/b": foreign})
    assert folder_modes == "0o555 0o555"
    assert changes == "[]"


def test_a_file_system_without_links_and_exchange_still_loses_nothing(host, monkeypatch) -> None:
    def refused(self: Place, other: Place) -> None:
        raise OSError(errno.EPERM, "")

    def lacking(self: Place, other: Place) -> None:
        raise LackingError

    monkeypatch.setattr(Place, "exchange", lacking)
    monkeypatch.setattr(Place, "link_to", refused)
    host.write("a", b"old")
    host.learn()
    assert statuses(host.apply(host.file(b"a", b"new"), host.file(b"b", b"new"))) == {b"a": "done", b"b": "done"}
    assert host.tree() == {"a": b"new", "b": b"new"}
    assert host.trash() == {"a": b"old"}


# --- somebody works on the same files


def overwrite(path: Path) -> None:
    path.write_bytes(b"own")


def overwrite_keeping_the_time(path: Path) -> None:
    before = path.stat() if path.exists() else None
    path.write_bytes(b"own, longer")
    if before is not None:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def save_by_rename(path: Path) -> None:
    path.with_name("saved").write_bytes(b"own")
    path.with_name("saved").replace(path)


STEPS = ["intents", "put", "wait-beside", "exchange", "look-again", "discard", "link-beside", "put-across", "exchange-across"]
STEPS += ["discard-across", "remove-across", "set-mtime", "set-mode", "flush-folders", "rows", "done", "finish"]


@pytest.mark.parametrize("edit", [overwrite, overwrite_keeping_the_time, save_by_rename])
def test_an_edit_at_any_step_is_neither_lost_nor_overlooked(host, system: str, edit) -> None:
    """Whatever the moment: the edit is at its path or in the trash, and after a scan the journal says what the disk holds."""
    seen = set()
    for moment in STEPS:
        for name, number in (("new", 0), ("replaced", 1), ("removed", 2), ("dressed", 3)):
            key = f"{moment}-{name}"
            if number:
                host.write(key, b"old")
        host.learn()
        row = host.rows.get(f"{moment}-dressed".encode())
        dressed = replace(row.item, mode=0o600, mtime_ns=5, version=row.item.version.raised(9))
        changes = {
            "new": host.file(f"{moment}-new".encode(), b"new"),
            "replaced": host.file(f"{moment}-replaced".encode(), b"new"),
            "removed": host.removal(f"{moment}-removed".encode()),
            "dressed": Change(dressed, row),
        }
        for name, change in changes.items():
            path = host.root / f"{moment}-{name}"

            def step(at: str, path: Path = path, moment: str = moment, name: str = name) -> None:
                if at == moment and path not in seen:
                    seen.add(path)
                    edit(path)

            host.apply(change, step=step)
            host.look()
            found = host.rows.record(host.look())
            assert found
            if path in seen:
                trashed = {data for other, data in host.trash().items() if other == path.name}
                assert (path.exists() and path.read_bytes().startswith(b"own")) or any(data.startswith(b"own") for data in trashed), (
                    path.name
                )
            row = host.rows.get(path.name.encode())
            content = blake3(path.read_bytes()).digest() if path.exists() else b""
            assert (row.item.content if row else b"") == content, path.name
    assert len(seen) >= 4 * 4
