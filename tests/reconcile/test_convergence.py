"""Any number of hosts, any sessions in any order: they come to the same tree, lose nothing, and then rest."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from twsync.reconcile.model import Kind, Policy, SyncType
from twsync.reconcile.versions import Version

NAMES = ["a", "b", "a/x", "a/y", "b/x", "a/x/z", "c.txt"]
WRITES = st.tuples(
    st.just("write"),
    st.integers(0, 3),
    st.sampled_from(NAMES),
    st.sampled_from(["/", "/", "new", "new", "@link", "same"]),
    st.integers(0, 3),
)
REMOVES = st.tuples(st.just("remove"), st.integers(0, 3), st.sampled_from(NAMES), st.just(""), st.integers(0, 3))
RENAMES = st.tuples(st.just("rename"), st.integers(0, 3), st.sampled_from(NAMES), st.sampled_from(NAMES), st.integers(0, 3))
COPIES = st.tuples(st.just("remove copy"), st.integers(0, 3), st.just(""), st.just(""), st.integers(0, 3))
CUTS = st.sampled_from(["", "", "", "client", "server", "commit-client", "commit-server", "prepare-client", "prepare-server"])


def sessions(types: list[SyncType]) -> Any:
    return st.tuples(st.just("session"), st.integers(0, 3), st.integers(0, 3), st.sampled_from(types), CUTS)


def perform(world: Any, hosts: list[Any], events: list[tuple[Any, ...]], policies: Any = None) -> set[bytes]:
    """Let the events happen; returns the contents that a user made and that no user changed or removed afterwards."""
    alive: set[bytes] = set()
    for number, (what, index, first, second, third) in enumerate(events):
        host = hosts[index % len(hosts)]
        if what == "session":
            partner = hosts[first % len(hosts)]
            if partner is not host:
                world.session(host, partner, second, Policy.KEEP_BOTH if policies is None else policies[number % len(policies)], third)
            continue
        before = {row.key: row.content for row in host.live()}
        if what == "write":
            host.write(first, f"content {number}" if second == "new" else second, third)
        elif what == "remove":
            host.remove(first, third)
        elif what == "rename":
            host.rename(first, second, third)
        else:
            copies = sorted(row.key for row in host.live() if b"(conflict" in row.key)
            if copies:
                host.remove(copies[0].decode(), third)
        host.check()
        after = {row.key: row.content for row in host.live()}
        if what != "rename":
            alive -= {content for key, content in before.items() if after.get(key) != content}
        if what == "write" and second == "new" and after.get(first.encode()) == world.content_id(f"content {number}"):
            alive.add(world.content_id(f"content {number}"))
    return alive


def contents(host: Any) -> set[bytes]:
    return {row.content for row in host.live() if row.kind is Kind.FILE}


def converged(world: Any, hosts: list[Any]) -> None:
    """All hosts have the same tree, in directories that stand, and call everything by the same version: no conflict is left to come."""
    world.settle(hosts)
    for host in hosts:
        host.check()
        assert host.tree() == hosts[0].tree()
        assert {row.key: row.version for row in host.live()} == {row.key: row.version for row in hosts[0].live()}


GENTLE = [SyncType.TWO_WAY, SyncType.TWO_WAY, SyncType.SLOW]
EVENTS = st.lists(WRITES | WRITES | REMOVES | RENAMES | COPIES | sessions(GENTLE), min_size=8, max_size=40)


@settings(max_examples=100)
@given(st.integers(2, 4), EVENTS)
def test_hosts_converge_and_lose_nothing(world: Any, count: int, events: list[tuple[Any, ...]]) -> None:
    """With keep-both, every content that no user replaced or removed is on every host in the end, and not in the trash only."""
    hosts = world.hosts(count)
    alive = perform(world, hosts, events)
    converged(world, hosts)
    assert alive <= contents(hosts[0])


ANY = st.lists(WRITES | WRITES | REMOVES | RENAMES | sessions(list(SyncType)), min_size=8, max_size=40)


@settings(max_examples=100)
@given(st.integers(2, 4), ANY, st.lists(st.sampled_from(list(Policy)), min_size=1, max_size=3))
def test_any_type_and_policy_converges(world: Any, count: int, events: list[tuple[Any, ...]], policies: list[Policy]) -> None:
    """Whatever types and policies came before: two-way sessions bring all hosts to the same tree, and no content is beyond recovery."""
    hosts = world.hosts(count)
    alive = perform(world, hosts, events, policies)
    converged(world, hosts)
    assert alive <= contents(hosts[0]).union(*(host.trash for host in hosts))


def drawn(dice: random.Random, types: list[SyncType]) -> list[tuple[Any, ...]]:
    """As the strategies above, but long and evenly spread: Hypothesis keeps its lists short, and some troubles need many steps."""
    events: list[tuple[Any, ...]] = []
    cuts = ["", "", "", "client", "server", "commit-client", "commit-server", "prepare-client", "prepare-server"]
    for _ in range(dice.randint(5, 60)):
        what = dice.choices(["write", "remove", "rename", "remove copy", "session"], [35, 10, 8, 3, 44])[0]
        index, name, time = dice.randrange(4), dice.choice(NAMES), dice.randrange(4)
        if what == "session":
            events.append((what, index, dice.randrange(4), dice.choice(types), dice.choice(cuts)))
        elif what == "write":
            events.append((what, index, name, dice.choice(["/", "/", "new", "new", "@link", "same"]), time))
        else:
            events.append((what, index, name, dice.choice(NAMES), time))
    return events


@pytest.mark.parametrize("block", range(4))
def test_long_histories(world: Any, block: int) -> None:
    """400 histories of up to 60 events, each with its seed; the seed is in the failure."""
    for seed in range(block * 100, block * 100 + 100):
        dice = random.Random(seed)
        hosts = world.hosts(dice.randint(2, 4))
        alive = perform(world, hosts, drawn(dice, GENTLE))
        converged(world, hosts)
        assert alive <= contents(hosts[0]), f"seed {seed}"
        policies = [dice.choice(list(Policy)) for _ in range(3)]
        hosts = world.hosts(dice.randint(2, 4))
        alive = perform(world, hosts, drawn(dice, list(SyncType)), policies)
        converged(world, hosts)
        assert alive <= contents(hosts[0]).union(*(host.trash for host in hosts)), f"seed {seed}"


def test_a_ring_of_three_sees_no_false_conflict(world: Any) -> None:
    """Edits that travel round a ring, each made on what came in: nobody takes them for conflicts."""
    hosts = world.hosts(3)
    hosts[0].write("a.txt", "first", 1)
    conflicts = 0
    for number in range(12):
        here, there = hosts[number % 3], hosts[(number + 1) % 3]
        conflicts += world.session(here, there).conflicts
        there.write("a.txt", f"edit {number}", 2 + number)
        # Also backwards round the ring, so that rows meet that came on both ways.
        conflicts += world.session(hosts[(number + 2) % 3], there).conflicts
    assert not conflicts
    converged(world, hosts)
    assert contents(hosts[0]) == {world.content_id("edit 11")}


def test_changes_on_both_sides_of_a_ring_settle_without_copies(world: Any) -> None:
    """Different files changed everywhere at once: no conflict, and nothing is sent twice."""
    hosts = world.hosts(3)
    for number, host in enumerate(hosts):
        host.write(f"{host.name}.txt", f"content {number}", number)
    assert not sum(world.session(hosts[one], hosts[other]).conflicts for one, other in [(0, 1), (1, 2), (2, 0), (0, 1), (1, 2)])
    assert all(len(host.live()) == 3 for host in hosts)
    outcome = world.session(hosts[0], hosts[1])
    assert not outcome.changed


def test_four_hosts_make_one_copy_of_one_conflict(world: Any) -> None:
    """Two pairs decide the same conflict on their own; when they meet, there is one copy and no further conflict."""
    hosts = world.hosts(4)
    hosts[0].write("a.txt", "one", 5)
    world.session(hosts[0], hosts[2])
    hosts[1].write("a.txt", "two", 7)
    world.session(hosts[1], hosts[3])
    assert world.session(hosts[0], hosts[1]).conflicts == 1
    assert world.session(hosts[3], hosts[2]).conflicts == 1
    assert not sum(world.session(hosts[one], hosts[other]).conflicts for one, other in [(0, 2), (1, 3), (0, 3), (1, 2)])
    converged(world, hosts)
    assert sorted(hosts[0].tree()) == [b"a (conflict 1970-01-01 ash).txt", b"a.txt"]


def test_a_copy_that_was_thrown_away_stays_away(world: Any) -> None:
    """Removed on one host; the same copy made by others meanwhile does not bring it back."""
    hosts = world.hosts(4)
    world.settle(hosts)  # they have met: a first meeting is slow, and would bring back what only one of two has
    hosts[0].write("a", "one", 5)
    world.session(hosts[0], hosts[2])
    hosts[1].write("a", "two", 7)
    world.session(hosts[1], hosts[3])
    world.session(hosts[0], hosts[1])
    hosts[1].remove("a (conflict 1970-01-01 ash)", 9)
    world.session(hosts[2], hosts[3])
    converged(world, hosts)
    assert sorted(hosts[0].tree()) == [b"a"]


def test_a_one_way_sender_is_not_haunted_by_its_own_content(world: Any) -> None:
    """After a conflict in a one-way session the sender's next changes are no conflicts."""
    sender, receiver = world.hosts(2)
    sender.write("a", "one", 5)
    receiver.write("a", "two", 7)
    assert world.session(sender, receiver, SyncType.ONE_WAY_FROM_CLIENT).conflicts == 1
    for number in range(3):
        sender.write("a", f"edit {number}", 8 + number)
        assert not world.session(sender, receiver, SyncType.ONE_WAY_FROM_CLIENT).conflicts
    assert not world.session(sender, receiver).conflicts
    converged(world, [sender, receiver])
    assert contents(sender) == {world.content_id("edit 2"), world.content_id("two")}


def test_a_lost_journal_loses_nothing(world: Any) -> None:
    """A host whose journal is gone comes back with a new replica: all is compared, nothing deleted, equal content is no conflict."""
    hosts = world.hosts(3)
    for name in ("a", "b", "c"):
        hosts[0].write(name, f"content {name}", 1)
    world.settle(hosts)
    hosts[0].write("a", "later", 2)
    reborn = world.Host("ash", 2000)
    for row in sorted(hosts[0].live(), key=lambda row: row.key):
        if row.key != b"b":
            reborn.record(replace(row, version=Version(((2000, 1),))), 0)
    outcome = world.session(reborn, hosts[1])
    assert outcome.plans[0].sync_type is SyncType.SLOW
    assert outcome.conflicts == 1
    converged(world, [reborn, *hosts[1:]])
    assert {world.content_id(text) for text in ("later", "content a", "content b", "content c")} == contents(reborn)
