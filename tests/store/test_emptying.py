"""Emptying the trash: what goes, what stays, and what is never reached."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from twsync.errors import StoreError
from twsync.store.apply import Applier
from twsync.store.emptying import Emptied, Kept, empty
from twsync.store.place import Place
from twsync.store.trash import Trash

DAY = 86_400 * 10**9
NOW = 1_795_000_000 * 10**9


def discard(host, age: int, *keys: bytes) -> str:
    """What is at these keys was deleted by a session so many days ago; returns its folder."""
    host.learn()
    applier = Applier(host.gate, host.rows, host.staging, f"s{age}", now_ns=NOW - age * DAY)
    applier.apply([host.removal(key) for key in keys])
    applier.finish()
    return applier.folder


def emptied(host, before_ns: int | None = None, used: frozenset[str] = frozenset(), stop=bool) -> Emptied:
    return empty(host.gate, before_ns, used, stop)


def top(host) -> Path:
    return host.root / ".twsync" / "trash"


def test_what_is_older_goes_and_what_none_of_ours_made_stays(host) -> None:
    for age in (40, 31, 30, 2):
        host.write(f"d/f{age}", bytes(100))
        discard(host, age, b"d/f%d" % age)
    (top(host) / "by hand").mkdir()
    done = emptied(host, NOW - 30 * DAY)
    assert done == Emptied(2, 200)
    assert [one.key for one in Trash(host.gate).list()] == [b"d/f2", b"d/f30"]
    assert (top(host) / "by hand").is_dir()
    assert emptied(host, NOW - 30 * DAY) == Emptied()


def test_everything_goes_whatever_it_is(host) -> None:
    deep = b"/".join([b"d" * 200] * 78) + b"/f"
    host.gate.make_directories(deep.rpartition(b"/")[0])
    with host.gate.place(deep) as place:
        os.close(place.create())
    host.write(os.fsdecode(b"\xff\n"), b"odd")
    discard(host, 1, deep, b"\xff\n")
    (top(host) / "by hand").mkdir()
    (top(host) / "stray").write_bytes(b"123")
    assert emptied(host) == Emptied(3, 6)
    assert list(top(host).iterdir()) == []
    assert emptied(host) == Emptied()


def test_no_trash_is_an_empty_one(host) -> None:
    assert emptied(host) == Emptied()


def test_links_are_removed_and_not_followed(host, tmp_path) -> None:
    outside = tmp_path / "outside"
    (outside / "d").mkdir(parents=True)
    (outside / "d" / "f").write_bytes(b"stays")
    (host.root / "l").symlink_to(outside)
    folder = discard(host, 1, b"l")
    (top(host) / folder / "m").symlink_to(outside / "d")
    (top(host) / "20200101T000000Z-x").symlink_to(outside)
    assert emptied(host).files == 3
    assert (outside / "d" / "f").read_bytes() == b"stays"
    assert list(top(host).iterdir()) == []


def test_a_trash_that_is_a_link_is_refused(host, tmp_path) -> None:
    (tmp_path / "outside" / "s").mkdir(parents=True)
    top(host).symlink_to(tmp_path / "outside")
    with pytest.raises(StoreError):
        emptied(host)
    assert (tmp_path / "outside" / "s").is_dir()


def test_a_directory_that_becomes_a_link_leads_nowhere(host, tmp_path) -> None:
    """Between the look into a directory and the deletion of what is in it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_bytes(b"stays")
    host.write("d/f", b"goes")
    folder = discard(host, 1, b"d/f")
    asked = []

    def stop() -> bool:
        asked.append(1)
        if len(asked) == 3:
            (top(host) / folder / "d").rename(tmp_path / "moved")
            (top(host) / folder / "d").symlink_to(outside)
        return False

    done = emptied(host, stop=stop)
    assert (outside / "f").read_bytes() == b"stays"
    assert [each.key for each in done.kept] == [b"d/f"]


def test_directories_that_nobody_may_write_to(host, monkeypatch) -> None:
    """To root, who may run the tests, the system refuses nothing."""
    remove, entries = Place.remove, Place.entries

    def refused(mode: int) -> None:
        if mode & 0o700 != 0o700:
            raise PermissionError(13, "Permission denied")

    def remove_if_allowed(place: Place) -> None:
        refused(os.fstat(place.fd).st_mode)
        remove(place)

    def entries_if_allowed(place: Place) -> list[bytes]:
        refused(os.stat(place.name, dir_fd=place.fd).st_mode)
        return entries(place)

    monkeypatch.setattr(Place, "remove", remove_if_allowed)
    monkeypatch.setattr(Place, "entries", entries_if_allowed)
    host.write("d/e/f", b"1234")
    folder = discard(host, 1, b"d/e/f")
    for name, mode in (("d/e", 0o500), ("d", 0o000), ("", 0o300)):
        (top(host) / folder / name).chmod(mode)
    assert emptied(host) == Emptied(1, 4)
    assert list(top(host).iterdir()) == []


def test_what_cannot_be_removed_stays_and_the_rest_goes(host, monkeypatch) -> None:
    for name in ("d/a", "d/b", "e/c", "g"):
        host.write(name, b"1234")
    folder = discard(host, 1, b"d/a", b"d/b", b"e/c", b"g")
    remove, entries = Place.remove, Place.entries

    def refused(place: Place) -> None:
        if place.name == b"b":
            raise PermissionError(1, "Operation not permitted")
        remove(place)

    def unreadable(place: Place) -> list[bytes]:
        if place.name == b"e":
            raise OSError(5, "Input/output error")
        return entries(place)

    monkeypatch.setattr(Place, "remove", refused)
    monkeypatch.setattr(Place, "entries", unreadable)
    done = emptied(host)
    assert (done.files, done.size, done.complete) == (2, 8, True)
    assert sorted(each.key for each in done.kept) == [b"d/b", b"e"]
    assert {each.key: each.reason for each in done.kept} == {b"d/b": "permission-denied", b"e": "eio"}
    assert sorted(path.name for path in (top(host) / folder).rglob("*") if path.is_file()) == ["b", "c"]


def test_a_disk_that_takes_no_changes_is_one_error(host, monkeypatch) -> None:
    host.write("a", b"1234")
    discard(host, 1, b"a")

    def refused(place: Place) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Place, "remove", refused)
    with pytest.raises(StoreError) as caught:
        emptied(host)
    assert caught.value.code == "read-only"


def test_what_somebody_else_takes_away_meanwhile_is_not_counted(host) -> None:
    host.write("d/a", b"1234")
    host.write("d/b", b"1234")
    folder = discard(host, 1, b"d/a", b"d/b")
    asked = []

    def stop() -> bool:
        asked.append(1)
        if len(asked) == 3:
            Trash(host.gate).restore(folder, b"d/a")
        return False

    assert emptied(host, stop=stop) == Emptied(1, 4)
    assert host.tree() == {"d": None, "d/a": b"1234"}


def test_a_file_with_another_name_frees_nothing(host) -> None:
    path = host.write("a", bytes(100))
    discard_to = host.base / "other name"
    discard_to.hardlink_to(path)
    discard(host, 1, b"a")
    assert emptied(host) == Emptied(1, 0)
    assert discard_to.read_bytes() == bytes(100)


def test_folders_in_use_stay(host) -> None:
    host.write("a", b"1234")
    host.write("b", b"1234")
    one, other = discard(host, 1, b"a"), discard(host, 2, b"b")
    assert emptied(host, used=frozenset({one})) == Emptied(1, 4, [Kept(one, b"", "in-use")])
    assert Trash(host.gate).folders() == [one]
    assert other != one


def test_it_ends_when_it_is_told_to_and_goes_on_later(host) -> None:
    for age in (2, 1):
        host.write("a", b"1234")
        host.write("b", b"1234")
        discard(host, age, b"a", b"b")
    answers = iter([False, False, True])
    assert emptied(host, stop=lambda: next(answers)) == Emptied(1, 4, [], complete=False)
    assert emptied(host) == Emptied(3, 12)


def test_another_file_system_inside_is_left_alone(host, monkeypatch) -> None:
    host.write("d/f", b"1234")
    folder = discard(host, 1, b"d/f")
    lstat = Place.lstat

    def mounted(place: Place) -> os.stat_result | None:
        found = lstat(place)
        if place.name != b"d" or found is None:
            return found
        fields = list(found)
        fields[2] += 1  # st_dev
        return os.stat_result(fields)

    monkeypatch.setattr(Place, "lstat", mounted)
    assert emptied(host) == Emptied(0, 0, [Kept(folder, b"d", "mount-point")])
    assert (top(host) / folder / "d" / "f").exists()
