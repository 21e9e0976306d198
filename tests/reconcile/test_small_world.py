"""Every small world: one name that is nothing, a file, a link or a directory with one name in it; all bases, all changes of both sides."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from twsync.reconcile.model import Policy, SyncType

Tree = dict[str, str]
TREES: list[Tree] = [
    {},
    {"a": "one"},
    {"a": "two"},
    {"a": "@one"},
    {"a": "/"},
    {"a": "/", "a/b": "one"},
    {"a": "/", "a/b": "two"},
    {"a": "/", "a/b": "@one"},
    {"a": "/", "a/b": "/"},
]
TRIPLES = list(itertools.product(TREES, TREES, TREES))


def turn(host: Any, before: Tree, after: Tree, mtime: int) -> None:
    """A user makes one tree of another and touches nothing that stays."""
    for key in sorted(before, reverse=True):
        if key not in after:
            host.remove(key, mtime)
    for key in sorted(after):
        if before.get(key) != after[key]:
            if before.get(key) == "/" and after[key] != "/":
                host.remove(key, mtime)
            host.put(key, after[key], mtime)


def prepared(world: Any, base: Tree, left: Tree, right: Tree, mtimes: tuple[int, int]) -> tuple[Any, Any]:
    """Two hosts that were in step at `base` and are at `left` and `right` now."""
    one, other = world.hosts(2)
    turn(one, {}, base, 1)
    world.session(one, other)
    assert one.tree() == other.tree()
    turn(one, base, left, mtimes[0])
    turn(other, base, right, mtimes[1])
    return one, other


def new_contents(world: Any, base: Tree, tree: Tree) -> set[bytes]:
    """Of files and links that this side's user made."""
    return {world.content_id(what.removeprefix("@")) for key, what in tree.items() if what != "/" and base.get(key) != what}


def contents(host: Any) -> set[bytes]:
    return {row.content for row in host.live() if row.content}


def rests(world: Any, one: Any, other: Any) -> None:
    """The two come to the same tree and then nothing changes any more."""
    world.settle([one, other], 3)
    assert one.tree() == other.tree()
    tree = one.tree()
    world.session(other, one, SyncType.SLOW)
    assert one.tree() == other.tree() == tree


@pytest.mark.parametrize("mtimes", [(5, 6), (6, 5), (5, 5)])
def test_two_way_keeps_what_either_side_made(world: Any, mtimes: tuple[int, int]) -> None:
    """After one two-way session both trees are the same and hold every new content of both sides; a second one changes nothing."""
    for base, left, right in TRIPLES:
        one, other = prepared(world, base, left, right, mtimes)
        outcome = world.session(one, other)
        assert one.tree() == other.tree(), (base, left, right)
        assert new_contents(world, base, left) | new_contents(world, base, right) <= contents(one), (base, left, right)
        assert not world.session(other, one).changed, (base, left, right)
        if left == right or base in (left, right):
            assert not outcome.conflicts, (base, left, right)
            # Economy: what one side did is all that is done.
            assert left != right or not outcome.plans or all(operation.action == "merge" for operation in outcome.plans[0].operations)
            assert len(one.live()) == len(right if base == left else left)


@pytest.mark.parametrize("policy", [Policy.OURS, Policy.THEIRS])
def test_two_way_with_a_winner(world: Any, policy: Policy) -> None:
    """With `ours` and `theirs` the trees are the same too, and what lost is in the trash or under a conflict name."""
    for base, left, right in TRIPLES:
        one, other = prepared(world, base, left, right, (5, 6))
        world.session(one, other, SyncType.TWO_WAY, policy)
        assert one.tree() == other.tree()
        made = new_contents(world, base, left) | new_contents(world, base, right)
        assert made <= contents(one) | one.trash | other.trash
        if {left.get("a"), right.get("a")} == {"one", "two"} and base.get("a") != left["a"] and base.get("a") != right["a"]:
            assert contents(one) == {world.content_id(left["a"] if policy is Policy.OURS else right["a"])}
        assert not world.session(one, other).changed


def test_slow_deletes_nothing(world: Any) -> None:
    """After a slow session every key that was live on either side is live on both."""
    for base, left, right in TRIPLES:
        one, other = prepared(world, base, left, right, (5, 6))
        keys = {row.key for row in one.live()} | {row.key for row in other.live()}
        before = contents(one) | contents(other)
        world.session(one, other, SyncType.SLOW)
        assert keys <= {row.key for row in one.live()}
        assert one.tree() == other.tree()
        made = new_contents(world, base, left) | new_contents(world, base, right)
        assert made & before <= contents(one)
        rests(world, one, other)


def test_refresh_makes_the_receiver_what_the_sender_is(world: Any) -> None:
    """After a refresh the receiver's tree is the sender's; the sender's is as before, and what went is in the receiver's trash."""
    for base, left, right in TRIPLES:
        one, other = prepared(world, base, left, right, (5, 6))
        wanted, had = one.tree(), contents(other)
        world.session(one, other, SyncType.REFRESH_FROM_CLIENT)
        assert one.tree() == wanted == other.tree(), (base, left, right)
        assert had <= contents(other) | other.trash
        rests(world, one, other)
        assert one.tree() == wanted


@pytest.mark.parametrize("policy", [Policy.KEEP_BOTH, Policy.OURS])
def test_one_way_leaves_the_sender_alone(world: Any, policy: Policy) -> None:
    """After a one-way session the sender's tree is as before, nothing that only the receiver did is undone, and two-way goes on well."""
    for base, left, right in TRIPLES:
        one, other = prepared(world, base, left, right, (5, 6))
        wanted, made = one.tree(), new_contents(world, base, right)
        outcome = world.session(one, other, SyncType.ONE_WAY_FROM_CLIENT, policy)
        assert one.tree() == wanted
        if left == base:
            assert other.tree().keys() == {key.encode() for key in right}
        if right == base:
            assert other.tree() == wanted, (base, left, right)
        kept = contents(other) if policy is Policy.KEEP_BOTH else contents(other) | other.trash
        assert made <= kept, (base, left, right)
        arrived = new_contents(world, base, left) <= contents(other)
        assert arrived or outcome.plans[0].skipped, (base, left, right)
        rests(world, one, other)
        # What the receiver had made or kept has come to the sender by now.
        assert made <= kept and (policy is not Policy.KEEP_BOTH or made <= contents(one))
