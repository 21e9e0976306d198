"""Waits after failures, without a server."""

from __future__ import annotations

from twsync import limits
from twsync.control.slowdown import SlowDown


def fail(slow, count, user="alice", host="192.0.2.1", now=0.0):
    for _ in range(count):
        slow.failed(user, host, now)


def test_waits_double_up_to_thirty():
    """1, 2, 4, 8, 16, 30, 30."""
    slow, waits = SlowDown(), []
    fail(slow, 4)
    for number in range(7):
        slow.failed("alice", "192.0.2.1", number * 100.0)
        waits.append(slow.wait("alice", "192.0.2.1", number * 100.0))
    assert waits == [1, 2, 4, 8, 16, 30, 30]


def test_attempts_wait_behind_each_other():
    """Until too many wait."""
    slow = SlowDown()
    fail(slow, 8)
    waits = [slow.wait("alice", "192.0.2.1", 0.0) for _ in range(20)]
    assert waits[:3] == [8, 16, 24] and waits[-1] is None


def test_one_ipv6_network_is_one_address():
    """Whoever has a /64 has all its addresses; a mapped IPv4 address is that address."""
    slow = SlowDown()
    for number in range(20):
        slow.failed(f"user{number}", f"2001:db8::{number:x}", 0.0)
    assert slow.wait("carol", "2001:db8::ffff", 0.0) == 1
    assert slow.wait("carol", "2001:db8:0:1::1", 0.0) == 0
    fail(slow, 5, host="::ffff:192.0.2.5")
    assert slow.wait("alice", "192.0.2.5", 0.0) == 1


def test_a_place_that_is_no_address():
    """Such as a Unix socket."""
    slow = SlowDown()
    fail(slow, 5, host="")
    assert slow.wait("alice", "", 0.0) == 1


def test_memory_is_bounded(monkeypatch):
    """The oldest places make room."""
    monkeypatch.setattr(limits, "MAX_SIGN_IN_PLACES", 10)
    slow = SlowDown()
    for number in range(50):
        slow.failed(f"user{number}", "192.0.2.1", float(number))
    assert len(slow._failures) <= 11
    assert slow.wait("carol", "192.0.2.1", 49.0) == 30.0


def test_who_comes_back_later_is_not_kept():
    """A wait runs from the attempt before."""
    slow = SlowDown()
    fail(slow, 8)
    assert slow.wait("alice", "192.0.2.1", 7.0) == 1
    assert slow.wait("alice", "192.0.2.1", 100.0) == 0
    assert slow.wait("alice", "192.0.2.1", 100.0) == 8


def test_one_telephone_with_a_wrong_password_does_not_lock_out_the_house():
    """It tries again for ever; others at the same address sign in as ever."""
    slow = SlowDown()
    for number in range(1000):
        slow.failed("alice", "192.0.2.1", number * 0.1)
    assert slow.wait("alice", "192.0.2.1", 100.0) > 25
    assert slow.wait("bob", "192.0.2.1", 100.0) == 0
