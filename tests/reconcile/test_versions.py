"""Version vectors."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twsync.reconcile.versions import Order, Version

VERSIONS = st.dictionaries(st.integers(1, 4), st.integers(0, 3)).map(lambda counters: Version.of(counters.items()))
OPPOSITE = {Order.EQUAL: Order.EQUAL, Order.CONCURRENT: Order.CONCURRENT, Order.NEWER: Order.OLDER, Order.OLDER: Order.NEWER}


@given(VERSIONS, VERSIONS, VERSIONS)
def test_the_join_is_a_lattice(one: Version, other: Version, third: Version) -> None:
    """Commutative, associative, idempotent, and the least that is not older than either."""
    join = one.joined(other)
    assert join == other.joined(one)
    assert join.joined(third) == one.joined(other.joined(third))
    assert one.joined(one) == one
    assert join.order(one) in (Order.EQUAL, Order.NEWER)
    if third.order(one) in (Order.EQUAL, Order.NEWER) and third.order(other) in (Order.EQUAL, Order.NEWER):
        assert third.order(join) in (Order.EQUAL, Order.NEWER)


@given(VERSIONS, VERSIONS)
def test_order_is_what_the_counters_say(one: Version, other: Version) -> None:
    """Counter by counter, seen from both sides."""
    order = one.order(other)
    assert other.order(one) is OPPOSITE[order]
    ahead = any(one.counter(replica) > other.counter(replica) for replica in range(5))
    behind = any(one.counter(replica) < other.counter(replica) for replica in range(5))
    expected = {(False, False): Order.EQUAL, (True, False): Order.NEWER, (False, True): Order.OLDER, (True, True): Order.CONCURRENT}
    assert order is expected[ahead, behind]


@given(VERSIONS, st.integers(1, 5))
def test_raising_makes_it_newer(version: Version, replica: int) -> None:
    """By that replica's counter alone; entries stay ascending and positive."""
    raised = version.raised(replica)
    assert raised.order(version) is Order.NEWER
    assert raised.counter(replica) == version.counter(replica) + 1
    assert list(raised.entries) == sorted(raised.entries)
    assert all(counter > 0 for _, counter in raised.entries)


def test_the_empty_vector_is_older_than_every_other() -> None:
    """Where everything begins."""
    assert Version().order(Version(((1, 1),))) is Order.OLDER
    assert Version.of([(1, 0)]) == Version()
