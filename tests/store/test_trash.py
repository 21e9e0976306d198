"""The trash, and conflicts that a person decides."""

from __future__ import annotations

import os
import time

import pytest

from twsync.errors import PathError, StoreError, UserError
from twsync.reconcile.model import Kind
from twsync.store.resolution import resolve
from twsync.store.trash import Trash, folder_name


def discard(host, *keys: bytes) -> None:
    host.learn()
    applier = host.applier()
    applier.apply([host.removal(key) for key in keys])
    applier.finish()


def test_what_was_deleted_is_listed_and_comes_back(host) -> None:
    host.write("d/a.txt", b"content", mode=0o640)
    (host.root / "l").symlink_to("x")
    discard(host, b"d/a.txt", b"d", b"l")
    assert host.tree() == {}
    trash = Trash(host.gate)
    found = trash.list()
    assert [(one.key, one.kind, one.size) for one in found] == [(b"d/a.txt", Kind.FILE, 7), (b"l", Kind.SYMLINK, 1)]
    assert abs(found[0].discarded_ns - time.time_ns()) < 5 * 10**9
    assert trash.restore(found[0].session, b"d/a.txt") == b"d/a.txt"
    assert trash.restore(found[1].session, b"l") == b"l"
    assert host.tree() == {"d": None, "d/a.txt": b"content", "l": b"x"}
    assert (host.root / "d" / "a.txt").stat().st_mode & 0o777 == 0o640
    assert trash.list() == []


def test_restoring_never_overwrites(host) -> None:
    for name in ("a.txt", "x" * 255, "noext", ".hidden", "a." + "e" * 250):
        host.write(name, b"old")
        discard(host, name.encode())
        host.write(name, b"in the way")
        session = Trash(host.gate).list()[0].session
        used = Trash(host.gate).restore(session, name.encode())
        assert used != name.encode()
        assert b" (restored)" in used
        assert len(used) <= 255
        assert (host.root / os.fsdecode(used)).read_bytes() == b"old"
        assert (host.root / name).read_bytes() == b"in the way"
    assert (host.root / "a (restored).txt").exists()
    assert (host.root / ".hidden (restored)").exists()
    host.write("a.txt", b"old 2")
    discard(host, b"a.txt")
    session = Trash(host.gate).list()[0].session
    host.write("a.txt", b"in the way")
    assert Trash(host.gate).restore(session, b"a.txt") == b"a (restored 2).txt"


def test_restoring_elsewhere_and_what_is_not_there(host) -> None:
    host.write("a", b"old")
    discard(host, b"a")
    trash = Trash(host.gate)
    session = trash.list()[0].session
    for bad in (b"../x", b"/x", b".twsync/x"):
        with pytest.raises(PathError):
            trash.restore(session, b"a", bad)
    for wrong in ((session, b"b"), ("none", b"a"), ("..", b"x"), (session, b"../../../x"), (session + "/a", b"b")):
        with pytest.raises((StoreError, PathError)):
            trash.restore(*wrong)
    assert trash.restore(session, b"a", b"new/folder/b") == b"new/folder/b"
    assert host.tree() == {"new": None, "new/folder": None, "new/folder/b": b"old"}


def test_long_and_odd_names_go_to_the_trash_and_come_back(host) -> None:
    deep = b"/".join([b"d" * 200] * 78) + b"/f"
    host.gate.make_directories(deep.rpartition(b"/")[0])
    with host.gate.place(deep) as place:
        os.close(place.create())
    host.write(os.fsdecode(b"\xff\n"), b"odd")
    discard(host, deep, b"\xff\n")
    trash = Trash(host.gate)
    found = trash.list()
    assert {one.key for one in found} == {deep, b"\xff\n"}
    for one in found:
        assert trash.restore(one.session, one.key) == one.key
    assert host.gate.lstat(deep) is not None


def test_what_is_no_sessions_folder_does_not_keep_the_rest_from_being_listed(host) -> None:
    host.write("a", b"old")
    discard(host, b"a")
    top = host.root / ".twsync" / "trash"
    (top / "stray").write_bytes(b"x")
    (top / "elsewhere").symlink_to("/")
    (found,) = Trash(host.gate).list()
    assert found.key == b"a"
    with pytest.raises(StoreError):
        Trash(host.gate).restore("elsewhere", b"etc/hostname")


def test_a_trash_that_cannot_be_listed_is_told_with_its_collection(host, tmp_path) -> None:
    (host.root / ".twsync" / "trash").symlink_to(tmp_path)
    with pytest.raises(StoreError, match=str(host.root)):
        Trash(host.gate).list()


def test_a_session_id_is_no_path() -> None:
    for name in ("../../etc", "a/b", "a\0b", "." * 300, "call-id@host"):
        folder = folder_name(name, 1_795_000_000 * 10**9)
        assert "/" not in folder
        assert "\0" not in folder
        assert folder.startswith("20261118T")
        assert len(folder) < 150


# --- deciding a conflict


def conflict(host, own_lost: bool):
    host.write("a", b"theirs" if own_lost else b"ours")
    host.write("a (conflict)", b"ours" if own_lost else b"theirs")
    host.learn()
    conflicts = host.journal.conflicts
    return conflicts.get(conflicts.add("photos", b"a", b"a (conflict)", "kept-both", own_lost, "s", "alice/desktop", 1))


@pytest.mark.parametrize("own_lost", [True, False])
@pytest.mark.parametrize("keep", ["ours", "theirs", "both"])
def test_a_person_decides(host, own_lost: bool, keep: str) -> None:
    found = conflict(host, own_lost)
    before = host.tree()
    resolve(host.gate, host.journal.conflicts, found, keep, time.time_ns())
    other = {"ours": b"theirs", "theirs": b"ours"}
    assert host.tree() == (before if keep == "both" else {"a": keep.encode()})
    assert list(host.trash().values()) == ([] if keep == "both" else [other[keep]])
    assert host.journal.conflicts.list() == []
    assert host.journal.conflicts.get(found.number).resolution == keep
    with pytest.raises(UserError):
        resolve(host.gate, host.journal.conflicts, host.journal.conflicts.get(found.number), keep, 1)


def test_what_takes_the_place_may_be_made_of_both(host) -> None:
    found = conflict(host, True)
    resolve(host.gate, host.journal.conflicts, found, "ours", 1, lambda was, copy: was + b"+" + copy)
    assert host.tree() == {"a": b"theirs+ours"}
    assert sorted(host.trash().values()) == [b"ours", b"theirs"]
    assert list((host.root / ".twsync" / "staging").iterdir()) == []


def test_a_copy_that_was_removed_by_hand(host) -> None:
    found = conflict(host, True)
    (host.root / "a (conflict)").unlink()
    with pytest.raises(StoreError):
        resolve(host.gate, host.journal.conflicts, found, "ours", 1)
    resolve(host.gate, host.journal.conflicts, found, "theirs", 1)
    assert host.tree() == {"a": b"theirs"}
    with pytest.raises(UserError):
        resolve(host.gate, host.journal.conflicts, found, "neither", 1)
