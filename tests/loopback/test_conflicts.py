"""Both sides change the same item: what is kept, what is said, and how a person ends it."""

from __future__ import annotations

import os

import pytest


def in_conflict(world, laptop, desktop, write, *, options=()):
    """A collection in step but for one file that both sides changed; the desktop's change is the later one."""
    name, (here, there) = world.share(laptop, desktop, options=options)
    write(here, {"a.txt": "at first", "b.txt": "b"})
    laptop.sync(name, "desktop").expect(0)
    write(here, {"a.txt": "of the laptop"})
    write(there, {"a.txt": "of the desktop"})
    os.utime(here / "a.txt", ns=(10**18, 1_700_000_000 * 10**9))
    os.utime(there / "a.txt", ns=(10**18, 1_700_000_100 * 10**9))
    return name, here, there


def test_both_are_kept(world, laptop, desktop, write, texts, same):
    """The later change keeps the name, the other stands beside it on both hosts; the code is 3, and the next session is quiet."""
    name, here, there = in_conflict(world, laptop, desktop, write)
    result = laptop.sync(name, "desktop").expect(3).document
    copy = "a (conflict 2023-11-14 laptop).txt"
    assert result["conflicts"] == [{"item": "a.txt", "resolution": "kept-both", "copy": copy}]
    assert texts(here) == {"a.txt": "of the desktop", copy: "of the laptop", "b.txt": "b"}
    same(here, there)
    again = laptop.sync(name, "desktop").expect(0).document
    assert again["conflicts"] == [] and again["sent"]["added"] == again["received"]["added"] == 0

    listed = laptop.twsync("conflicts", name, "--json").expect(0).document
    assert [entry["item"] for entry in listed] == ["a.txt"]


@pytest.mark.parametrize(("policy", "winner", "loser"), [("ours", "of the laptop", "there"), ("theirs", "of the desktop", "here")])
def test_one_side_wins(policy, winner, loser, world, laptop, desktop, write, texts, same):
    """With `ours` the caller's content holds, with `theirs` the callee's; the other goes to the trash, from which it can be had back."""
    name, here, there = in_conflict(world, laptop, desktop, write, options=("--policy", policy))
    laptop.sync(name, "desktop").expect(0, 3)
    assert texts(here) == {"a.txt": winner, "b.txt": "b"}
    same(here, there)
    lost = "of the laptop" if loser == "here" else "of the desktop"
    trash = {"here": here, "there": there}[loser] / ".twsync" / "trash"
    assert [path.read_text() for path in trash.rglob("a.txt*") if path.is_file()] == [lost]


def test_an_edit_beats_a_delete(world, laptop, desktop, write, texts, same):
    """What one side deleted and the other edited stays, without a conflict."""
    name, (here, there) = world.share(laptop, desktop)
    write(here, {"a.txt": "at first", "b.txt": "b"})
    laptop.sync(name, "desktop").expect(0)
    write(here, {"a.txt": None})
    write(there, {"a.txt": "edited"})
    assert laptop.sync(name, "desktop").expect(0).document["conflicts"] == []
    assert texts(here) == {"a.txt": "edited", "b.txt": "b"}
    same(here, there)


def test_the_same_edit_is_no_conflict(world, laptop, desktop, write, same):
    """Both sides came to the same bytes by themselves."""
    name, (here, there) = world.share(laptop, desktop)
    write(here, {"a.txt": "at first"})
    laptop.sync(name, "desktop").expect(0)
    write(here, {"a.txt": "the same"})
    write(there, {"a.txt": "the same"})
    result = laptop.sync(name, "desktop").expect(0).document
    assert result["conflicts"] == [] and result["sent"]["literal_bytes"] == result["received"]["literal_bytes"] == 0
    same(here, there)


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        ("ours", {"a.txt": "of the laptop", "b.txt": "b"}),
        ("theirs", {"a.txt": "of the desktop", "b.txt": "b"}),
        ("both", {"a.txt": "of the desktop", "a (conflict 2023-11-14 laptop).txt": "of the laptop", "b.txt": "b"}),
    ],
)
def test_a_person_resolves(keep, left, world, laptop, desktop, write, texts, same):
    """`twsync conflicts resolve` ends a conflict on this host; the next session carries the decision to the other."""
    name, here, there = in_conflict(world, laptop, desktop, write)
    laptop.sync(name, "desktop").expect(3)
    (entry,) = laptop.twsync("conflicts", name, "--json").expect(0).document
    laptop.twsync("conflicts", "resolve", str(entry["number"]), "--keep", keep).expect(0)
    assert texts(here) == left
    assert laptop.twsync("conflicts", name, "--json").expect(0).document == []
    laptop.sync(name, "desktop").expect(0)
    assert texts(there) == left
    same(here, there)
