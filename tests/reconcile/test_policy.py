"""Winners and names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from twsync import limits
from twsync.reconcile.model import Item, Kind
from twsync.reconcile.policy import NameTooLongError, conflict_copy, conflict_name, rank, twin
from twsync.reconcile.versions import Version

DAY = 86_400
#: 2026-11-21, 23:59:59 UTC.
NOVEMBER = 1_795_305_599


def lost(key: bytes = b"k", mtime_ns: int = NOVEMBER * 10**9, device: str = "laptop", content: bytes = b"x" * 32) -> Item:
    return Item(key, Kind.FILE, content, 1, mtime_ns, 0o644, Version(((1, 1),)), device=device)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (b"a.txt", b"a (conflict 2026-11-21 laptop).txt"),
        (b"d/e.f/a.txt", b"d/e.f/a (conflict 2026-11-21 laptop).txt"),
        (b"a", b"a (conflict 2026-11-21 laptop)"),
        (b"a.tar.gz", b"a.tar (conflict 2026-11-21 laptop).gz"),
        (b".bashrc", b".bashrc (conflict 2026-11-21 laptop)"),
        (b".config.toml", b".config (conflict 2026-11-21 laptop).toml"),
        (b"..x", b"..x (conflict 2026-11-21 laptop)"),
        (b"a.", b"a (conflict 2026-11-21 laptop)."),
        (b"...", b"... (conflict 2026-11-21 laptop)"),
        (b"Dr. Smith called", b"Dr. Smith called (conflict 2026-11-21 laptop)"),
        (b"x." + b"e" * 40, b"x." + b"e" * 40 + b" (conflict 2026-11-21 laptop)"),
        (b"caf\xe9.txt", b"caf\xe9 (conflict 2026-11-21 laptop).txt"),
        ("né.txt".encode(), "né (conflict 2026-11-21 laptop).txt".encode()),
        (b"a\nb.txt", b"a\nb (conflict 2026-11-21 laptop).txt"),
        (b"a (conflict 2020-01-02 desk).txt", b"a (conflict 2026-11-21 laptop).txt"),
        (b"a (conflict 2020-01-02 desk) 3.txt", b"a (conflict 2026-11-21 laptop).txt"),
        (b"a (conflict 2020-01-02 desk)", b"a (conflict 2026-11-21 laptop)"),
        (b"a (conflict of interest).txt", b"a (conflict of interest) (conflict 2026-11-21 laptop).txt"),
        (b" (conflict 2020-01-02 desk)", b" (conflict 2020-01-02 desk) (conflict 2026-11-21 laptop)"),
    ],
)
def test_conflict_names(key: bytes, expected: bytes) -> None:
    """Before the extension; dotfiles have none; a suffix that is there is replaced; other bytes are kept."""
    assert conflict_name(key, lost(key)) == expected


def test_the_day_is_utc_and_inside_the_calendar() -> None:
    """The losing modification's day; times that no calendar has are at its ends."""
    assert b"2026-11-22" in conflict_name(b"k", lost(mtime_ns=(NOVEMBER + 1) * 10**9))
    assert b"1969-12-31" in conflict_name(b"k", lost(mtime_ns=-1))
    assert b"0001-01-01" in conflict_name(b"k", lost(mtime_ns=-(2**100)))
    assert b"9999-12-31" in conflict_name(b"k", lost(mtime_ns=2**100))


@pytest.mark.parametrize(
    ("device", "shown"),
    [
        ("laptop", "laptop"),
        ("a/b\\c", "a_b_c"),
        ("x\0y\n", "x_y_"),
        ("(me)", "_me_"),
        ("", "unknown"),
        ("  ", "unknown"),
        ("bücher", "bücher"),
        ("\udc80", "_"),
        ("é" * 40, "é" * 32),
    ],
)
def test_device_names_cannot_break_out(device: str, shown: str) -> None:
    """Neither a separator nor anything invisible; at most 64 bytes."""
    assert conflict_name(b"k", lost(device=device)).decode() == f"k (conflict 2026-11-21 {shown})"


def test_numbers_stand_before_the_extension() -> None:
    """The second and third copy of one day."""
    assert conflict_name(b"a.txt", lost(), 2) == b"a (conflict 2026-11-21 laptop) 2.txt"
    assert conflict_name(b"a.txt", lost(), 3) == b"a (conflict 2026-11-21 laptop) 3.txt"


def test_long_names_are_cut_at_a_character() -> None:
    """255 bytes hold; a character of several bytes is not cut in two, bytes that are no UTF-8 are."""
    whole = conflict_name("ü".encode() * 125 + b".txt", lost())
    assert 254 <= len(whole) <= 255
    whole.decode()
    assert len(conflict_name(b"\xbf" * 255, lost())) == 255


@given(
    st.lists(st.binary(min_size=1, max_size=255).filter(lambda name: b"/" not in name and b"\0" not in name), min_size=1, max_size=4),
    st.integers(-(2**63), 2**63),
    st.text(max_size=80),
    st.integers(1, 10**6),
)
def test_a_conflict_name_is_a_name(components: list[bytes], mtime_ns: int, device: str, number: int) -> None:
    """In the same directory, at most 255 bytes, not the key itself, and stable: a copy's copy is named like the copy."""
    key = b"/".join(components)
    name = conflict_name(key, lost(key, mtime_ns, device), number)
    assert name.rpartition(b"/")[0] == key.rpartition(b"/")[0]
    last = name.rpartition(b"/")[2]
    assert 0 < len(last) <= limits.MAX_COMPONENT
    assert b"\0" not in last
    assert len(conflict_name(name, lost(name, mtime_ns, device)).rpartition(b"/")[2]) <= limits.MAX_COMPONENT


def test_no_room_for_a_name() -> None:
    """A key that is at the limit without the suffix."""
    key = b"d/" * (limits.MAX_KEY // 2 - 1) + b"k"
    with pytest.raises(NameTooLongError):
        conflict_name(key, lost(key))


def none(key: bytes) -> list[Item]:
    return []


def test_the_same_copy_is_the_same_row_everywhere() -> None:
    """Key, content, metadata and version follow from the loser alone; other content or another name is another version."""
    one, again = conflict_copy(lost(), none), conflict_copy(replace(lost(), version=Version(((9, 9),))), none)
    assert one == again
    assert not one.present
    other = conflict_copy(lost(content=b"y" * 32), none)
    assert other.item.key == one.item.key
    assert one.item.version.joined(other.item.version) not in (one.item.version, other.item.version)


def test_names_that_are_taken() -> None:
    """By other content, by something on the disk, by a copy that was thrown away; not by an unrelated tombstone."""
    first = conflict_copy(lost(), none).item
    other = replace(first, content=b"z" * 32, version=Version(((7, 1),)))
    assert conflict_copy(lost(), lambda key: [other] if key == first.key else []).item.key.endswith(b" 2")
    assert conflict_copy(lost(), none, lambda key: key == first.key).item.key.endswith(b" 2")
    thrown = replace(first, kind=Kind.DELETED, content=b"", version=first.version.raised(7))
    assert conflict_copy(lost(), lambda key: [thrown] if key == first.key else []).item.key.endswith(b" 2")
    unrelated = replace(thrown, version=Version(((7, 5),)))
    copy = conflict_copy(lost(), lambda key: [unrelated] if key == first.key else [])
    assert copy.item.key == first.key
    assert copy.item.version == first.version.joined(unrelated.version)


def test_a_losing_copy_moves_on() -> None:
    """A conflict copy that loses on its own day does not take its own name for a copy made already."""
    first = conflict_copy(lost(), none).item
    assert conflict_copy(first, lambda key: [first] if key == first.key else []).item.key == first.key + b" 2"


def test_content_that_stands_there_already() -> None:
    """No second copy; the row's version comes to include the copy's, so that all copies of it are one."""
    first = conflict_copy(lost(), none).item
    there = replace(first, version=Version(((7, 1),)), mtime_ns=0)
    copy = conflict_copy(lost(), lambda key: [there])
    assert copy.present
    assert copy.item == replace(there, version=first.version.joined(there.version))


def test_rank_is_total(world: Any) -> None:
    """Directory over anything over tombstone, then time, then content."""
    rising = [
        world.item("k", None, {1: 1}, 9),
        world.item("k", "x", {1: 1}, 5),
        world.item("k", "@a", {1: 1}, 6),
        world.item("k", "x", {1: 1}, 7),
        world.item("k", "/", {1: 1}, 1),
        world.item("k", "/", {1: 1}, 2),
    ]
    assert [rank(row) for row in rising] == sorted(rank(row) for row in rising)
    assert rank(world.item("k", "x", {1: 1}, 5)) != rank(world.item("k", "y", {1: 1}, 5))


@given(st.integers(1, 2**64 - 2))
def test_a_twin_is_another_replica(replica: int) -> None:
    """64 bits, not itself, not shared."""
    assert 0 < twin(replica) < 2**64
    assert twin(replica) != replica
    assert twin(twin(replica)) == replica
