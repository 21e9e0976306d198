"""The order in which one side carries out its part."""

from __future__ import annotations

from typing import Any

from twsync.reconcile.compare import Change
from twsync.reconcile.model import Side, SyncType
from twsync.reconcile.order import Phase, steps


def ordered(world: Any, client: list[Any], server: list[Any]) -> list[tuple[Phase, bytes]]:
    own = {row.key: row for row in server}
    decided = world.decide({row.key: row for row in client}, own, (1, 2), SyncType.TWO_WAY)
    return [(step.phase, step.operation.key) for step in steps(decided.operations, Side.SERVER, own.get)]


def test_a_tree_is_made_from_the_top(world: Any) -> None:
    """Directories from the highest, then what is in them, at the end the directories' times from the deepest."""
    client = [world.item(key, what, {1: 1}) for key, what in (("a/b/c", "x"), ("a", "/"), ("a/b", "/"), ("a/l", "@x"))]
    assert ordered(world, client, []) == [
        (Phase.DIRECTORIES, b"a"),
        (Phase.DIRECTORIES, b"a/b"),
        (Phase.PLACE, b"a/l"),
        (Phase.PLACE, b"a/b/c"),
        (Phase.DIRECTORY_METADATA, b"a/b"),
        (Phase.DIRECTORY_METADATA, b"a"),
    ]


def test_a_tree_is_removed_from_the_bottom_and_last(world: Any) -> None:
    """Deletes wait until everything else is placed: a renamed file is still found under its old name."""
    old = [world.item(key, what, {1: 1}) for key, what in (("a", "/"), ("a/b", "/"), ("a/b/c", "x"))]
    client = [world.item(row.key, None, {1: 2}) for row in old] + [world.item("z", "x", {1: 1})]
    assert ordered(world, client, old) == [
        (Phase.PLACE, b"z"),
        (Phase.REMOVE, b"a/b/c"),
        (Phase.REMOVE, b"a/b"),
        (Phase.REMOVE, b"a"),
    ]


def test_types_change(world: Any) -> None:
    """What is in a directory goes before a file takes its place; a file goes when a directory is made there."""
    old = [world.item("d", "/", {1: 1}), world.item("d/x", "x", {1: 1}), world.item("f", "x", {1: 1})]
    client = [
        world.item("d", "y", {1: 2}),
        world.item("d/x", None, {1: 2}),
        world.item("f", "/", {1: 2}),
        world.item("f/y", "y", {1: 1}),
    ]
    assert ordered(world, client, old) == [
        (Phase.CLEAR, b"d/x"),
        (Phase.DIRECTORIES, b"f"),
        (Phase.PLACE, b"d"),
        (Phase.PLACE, b"f/y"),
        (Phase.DIRECTORY_METADATA, b"f"),
    ]


def test_a_losing_file_is_set_aside_first(world: Any) -> None:
    """Also where a directory takes its place; a row that changes its version only is a record."""
    client = [world.item("k", "/", {1: 1}, 1), world.item("k/x", "x", {1: 1}), world.item("r", "r", {1: 2})]
    server = [world.item("k", "y", {2: 1}, 9), world.item("r", "r", {1: 1})]
    assert ordered(world, client, server) == [
        (Phase.RECORD, b"r"),
        (Phase.SET_ASIDE, b"k"),
        (Phase.DIRECTORIES, b"k"),
        (Phase.PLACE, b"k/x"),
        (Phase.DIRECTORY_METADATA, b"k"),
    ]


def test_each_change_is_counted_once(world: Any) -> None:
    """Of the steps of one operation one carries the report's word; rows that are the result already take no step."""
    client = {b"k": world.item("k", "/", {1: 1}, 1), b"same": world.item("same", "x", {1: 1})}
    server = {b"k": world.item("k", "y", {2: 1}, 9)}
    own = server | {b"same": client[b"same"]}
    decided = world.decide(client, server, (1, 2), SyncType.TWO_WAY)
    found = steps(decided.operations, Side.SERVER, own.get)
    assert {step.operation.key for step in found} == {b"k"}
    assert [step.change for step in found if step.change] == [Change.CHANGED]
    assert not steps(decided.operations, Side.CLIENT, client.get)
