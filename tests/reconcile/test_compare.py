"""Rows side by side, and which of them must travel."""

from __future__ import annotations

from typing import Any

import pytest

from twsync.reconcile.compare import Change, Work, ancestors, change, counterparts, same_row, with_ancestors, work

# own row, result, work, what the user sees
CASES = [
    (None, ("x", {1: 1}, 5), Work.CONTENT, Change.ADDED),
    (None, ("/", {1: 1}, 5), Work.DIRECTORY, Change.ADDED),
    (None, ("@x", {1: 1}, 5), Work.LINK, Change.ADDED),
    (None, (None, {1: 1}, 5), Work.RECORD, None),
    ((None, {1: 1}, 5), ("x", {1: 2}, 5), Work.CONTENT, Change.ADDED),
    ((None, {1: 1}, 5), (None, {1: 1}, 9), Work.NOTHING, None),
    ((None, {1: 1}, 5), (None, {1: 2}, 5), Work.RECORD, None),
    (("x", {1: 1}, 5), (None, {1: 2}, 5), Work.REMOVE, Change.DELETED),
    (("x", {1: 1}, 5), ("x", {1: 1}, 5), Work.NOTHING, None),
    (("x", {1: 1}, 5), ("x", {1: 2}, 5), Work.RECORD, None),
    (("x", {1: 1}, 5), ("x", {1: 2}, 6), Work.METADATA, Change.CHANGED),
    (("x", {1: 1}, 5), ("y", {1: 2}, 5), Work.CONTENT, Change.CHANGED),
    (("x", {1: 1}, 5), ("@x", {1: 2}, 5), Work.LINK, Change.CHANGED),
    (("/", {1: 1}, 5), ("/", {1: 2}, 6), Work.METADATA, None),
    (("/", {1: 1}, 5), ("x", {1: 2}, 6), Work.CONTENT, Change.CHANGED),
]


@pytest.mark.parametrize(("own", "result", "todo", "seen"), CASES)
def test_work_and_change(world: Any, own: Any, result: Any, todo: Work, seen: Change | None) -> None:
    """What a side does, and what its user sees of it."""
    row = world.item("k", *own) if own else None
    after = world.item("k", *result)
    assert work(row, after) is todo
    assert change(row, after) is seen
    assert (row is not None and same_row(row, after)) is (todo is Work.NOTHING)


def test_a_directory_s_mode_is_a_change(world: Any) -> None:
    """Its time is nobody's work, its mode is somebody's."""
    assert change(world.item("k", "/", {1: 1}, 5, mode=0o755), world.item("k", "/", {1: 2}, 5, mode=0o700)) is Change.CHANGED


def test_ancestors() -> None:
    """Nearest first, without the root."""
    assert list(ancestors(b"a/b/c")) == [b"a/b", b"a"]
    assert list(ancestors(b"a")) == []


def test_directories_travel_with_what_is_in_them(world: Any) -> None:
    """Once each, before their content; not for tombstones; those that the journal does not know are left out."""
    journal = {row.key: row for row in (world.item("a", "/"), world.item("a/b", "/"), world.item("g", "/"))}
    rows = [world.item("a/b/x", "x"), world.item("a/b/y", "y"), world.item("g/z", None), world.item("a/b", "/"), world.item("q/x", "x")]
    assert [row.key for row in with_ancestors(rows, journal.get)] == [b"a", b"a/b", b"a/b/x", b"a/b/y", b"g/z", b"q/x"]


@pytest.mark.parametrize(
    ("what", "own", "received", "answered"),
    [
        ("older", ("x", {1: 1}), ("y", {1: 2}), False),
        ("the same", ("x", {1: 1}), ("x", {1: 1}), False),
        ("newer", ("x", {1: 2}), ("x", {1: 1}), True),
        ("concurrent", ("x", {1: 1}), ("x", {2: 1}), True),
        ("one vector, other content", ("x", {1: 1}), ("y", {1: 1}), True),
        ("one vector, other time", ("x", {1: 1}, 5), ("x", {1: 1}, 6), True),
        ("an older directory that would go", ("/", {1: 1}), (None, {1: 2}), True),
        ("an older directory that stays", ("/", {1: 1}), ("/", {1: 2}), False),
        ("an older tombstone", (None, {1: 1}), ("x", {1: 2}), False),
    ],
)
def test_counterparts(world: Any, what: str, own: Any, received: Any, answered: bool) -> None:
    """The own row is shown unless it is the same or older; a directory that would go always is."""
    row, got = world.item("k", *own), world.item("k", *received)
    found = list(counterparts({b"k": got}, (), {b"k": row}.get, lambda key: []))
    assert found == ([row] if answered else [])
    assert not list(counterparts({b"k": got}, {b"k"}, {b"k": row}.get, lambda key: []))


def test_what_lives_in_a_directory_that_would_go_is_shown(world: Any) -> None:
    """Live rows below it that the other side did not name, each once; and what this side refuses to give up."""
    journal = {row.key: row for row in (world.item("d", "/", {1: 1}), world.item("d/new", "n", {2: 1}), world.item("d/gone", None, {2: 1}))}
    journal[b"d/x"] = world.item("d/x", "x", {1: 1})
    received = {b"d": world.item("d", None, {1: 2}), b"d/x": world.item("d/x", None, {1: 2})}

    def below(key: bytes) -> list[Any]:
        return [row for row in journal.values() if row.key.startswith(key + b"/")]

    assert [row.key for row in counterparts(received, (), journal.get, below)] == [b"d", b"d/new"]
    assert [row.key for row in counterparts(received, {b"d/new"}, journal.get, below)] == [b"d"]
    assert [row.key for row in counterparts(received, (), journal.get, below, {b"d/x"})] == [b"d", b"d/new", b"d/x"]
