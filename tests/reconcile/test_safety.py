"""The guards."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twsync.reconcile.model import Item, Kind
from twsync.reconcile.safety import EMPTIED, TOO_MANY_DELETES, guard_deletes, guard_emptied, lost


@pytest.mark.parametrize(
    ("count", "live", "stops"),
    [
        (0, 0, False),
        (25, 25, False),
        (26, 26, True),
        (26, 130, False),
        (26, 129, True),
        (200, 1000, False),
        (201, 1000, True),
        (1000, 1000, True),
    ],
)
def test_deletes_need_both_numbers(count: int, live: int, stops: bool) -> None:
    """More than 25 and more than 20 %: only both together stop a session."""
    error = guard_deletes(count, live, allowed=False)
    assert (error is not None) is stops
    assert guard_deletes(count, live, allowed=True) is None
    if error:
        assert error.code == TOO_MANY_DELETES
        assert "--allow-deletes" in error.message
        assert str(count) in error.message


def keys(items: list[Item]) -> list[bytes]:
    return [item.key for item in items]


def tree(world: Any, **what: str) -> list[Item]:
    """Live rows; a name has "_" for "/"."""
    return [world.item(name.replace("_", "/"), content) for name, content in what.items()]


def test_a_renamed_folder_is_no_delete(world: Any) -> None:
    """Files, empty ones too, links and the folders above them."""
    content = {"d": "/", "d_a": "x", "d_b": "y", "d_b2": "y", "d_none": "", "d_link": "@x", "d_e": "/", "d_e_f": "z"}
    old = tree(world, **content)
    new = tree(world, **{"n" + name[1:]: what for name, what in content.items()})
    assert lost(old, new) == []
    assert lost(old, tree(world, n="x", m="y", o="y", p="", q="@x", r="z")) == [], "folders need no successor"


def test_what_does_not_come_back_is_lost_with_the_folders_that_go_with_it(world: Any) -> None:
    """A folder that loses anything is lost; one beside it is not."""
    old = tree(world, d="/", d_a="/", d_a_x="x", d_b="/", d_b_y="y", d_l="@x")
    assert keys(lost(old, tree(world, n_y="y", n_l="@x", n_x="@x"))) == [b"d/a/x", b"d", b"d/a"]
    assert keys(lost(old, [])) == [b"d/a/x", b"d/b/y", b"d/l", b"d", b"d/a", b"d/b"]


def test_a_link_is_not_the_file_that_its_target_spells(world: Any) -> None:
    """Their content ids are the same."""
    assert keys(lost(tree(world, a="x"), tree(world, b="@x"))) == [b"a"]


def test_one_that_comes_accounts_for_one_that_goes(world: Any) -> None:
    """Of three copies, two are lost; of many empty files, all but one."""
    assert keys(lost(tree(world, a="x", b="x", c="x"), tree(world, n="x"))) == [b"b", b"c"]
    assert len(lost(tree(world, **{f"f{number}": "" for number in range(99)}), tree(world, n=""))) == 98


def test_empty_folders_are_counted(world: Any) -> None:
    """Nothing tells where they went."""
    assert keys(lost(tree(world, d="/", d_e="/", d_x="x"), tree(world, n="/", n_e="/", n_x="x"))) == [b"d/e"]
    assert keys(lost(tree(world, d="/", d_e="/"), [])) == [b"d", b"d/e"]


def small_trees() -> st.SearchStrategy[dict[str, str]]:
    """Trees of few names and contents, complete with their folders."""
    names = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join)
    leaves = st.dictionaries(names, st.sampled_from(["", "x", "y", "@x", "/"]), max_size=12)

    def complete(drawn: dict[str, str]) -> dict[str, str]:
        above = {key[:end] for key in drawn for end in range(len(key)) if key[end] == "/"}
        return drawn | dict.fromkeys(above, "/")

    return leaves.map(complete)


def contents(items: list[Item]) -> Counter[tuple[Kind, bytes]]:
    return Counter((item.kind, item.content) for item in items if item.kind is not Kind.DIRECTORY)


@given(old=small_trees())
@settings(max_examples=60, deadline=None)
def test_any_rename_of_a_tree_loses_empty_folders_at_most(world: Any, old: dict[str, str]) -> None:
    """Whatever it is."""
    removed = [world.item(key, what) for key, what in old.items()]
    coming = [world.item("n/" + key, what) for key, what in old.items()]
    for item in lost(removed, coming):
        assert item.kind is Kind.DIRECTORY
        assert not contents([below for below in removed if below.key.startswith(item.key + b"/")])


@given(old=small_trees(), new=small_trees())
@settings(max_examples=100, deadline=None)
def test_of_each_content_as_many_are_lost_as_do_not_come_back(world: Any, old: dict[str, str], new: dict[str, str]) -> None:
    """And a folder is lost exactly if anything below it is, or if nothing below it was moved."""
    removed = [world.item(key, what) for key, what in old.items()]
    coming = [world.item("n/" + key, what) for key, what in new.items()]
    gone = lost(removed, coming)
    assert len(set(keys(gone))) == len(gone)
    assert all(item in removed for item in gone)
    assert contents(gone) == contents(removed) - contents(coming)
    for folder in removed:
        if folder.kind is Kind.DIRECTORY:
            below = contents([item for item in removed if item.key.startswith(folder.key + b"/")])
            missing = contents([item for item in gone if item.key.startswith(folder.key + b"/")])
            assert (folder in gone) is (bool(missing) or not below)


@given(rounds=st.lists(st.tuples(small_trees(), small_trees()), max_size=4))
@settings(max_examples=60, deadline=None)
def test_rounds_hide_no_loss(world: Any, rounds: list[tuple[dict[str, str], dict[str, str]]]) -> None:
    """What earlier rounds lost is counted with each later one; what came in one round excuses nothing that a later one removes."""
    gone: list[Item] = []
    removed: Counter[tuple[Kind, bytes]] = Counter()
    came: Counter[tuple[Kind, bytes]] = Counter()
    for number, (old, new) in enumerate(rounds):
        going = [world.item(f"o{number}/{key}", what) for key, what in old.items()]
        coming = [world.item(f"n{number}/{key}", what) for key, what in new.items()]
        gone = lost([*gone, *going], coming)
        removed += contents(going)
        came += contents(coming)
        missing = removed - came
        assert not missing - contents(gone)


def test_an_emptied_root_stops() -> None:
    """Nothing found where something was; a root that was always empty is none of that."""
    error = guard_emptied(0, 3, allowed=False, root="/data/photos")
    assert error is not None
    assert error.code == EMPTIED
    assert "--allow-deletes" in error.message
    assert "/data/photos" in error.message
    assert guard_emptied(0, 0, allowed=False) is None
    assert guard_emptied(1, 300, allowed=False) is None
    assert guard_emptied(0, 3, allowed=True) is None
