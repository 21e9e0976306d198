"""Waits after failures, without a server."""

from __future__ import annotations

from twsync import limits
from twsync.control.slowdown import SlowDown

LAPTOP, DESKTOP = "sha256:" + "aa" * 32, "sha256:" + "bb" * 32


def fail(slow, count, user="alice", host="192.0.2.1", now=0.0, device=""):
    for _ in range(count):
        slow.failed(user, host, device, now)


def test_waits_double_up_to_thirty():
    """1, 2, 4, 8, 16, 30, 30."""
    slow, waits = SlowDown(), []
    fail(slow, 4)
    for number in range(7):
        slow.failed("alice", "192.0.2.1", "", number * 100.0)
        waits.append(slow.wait("alice", "192.0.2.1", "", number * 100.0))
    assert waits == [1, 2, 4, 8, 16, 30, 30]


def test_what_comes_too_early_makes_nobody_wait():
    """However often it comes, the wait runs from what was looked at last."""
    slow = SlowDown()
    fail(slow, 8)
    assert [slow.wait("alice", "192.0.2.1", "", 0.1 * number) for number in range(80)] == [8.0 - 0.1 * number for number in range(80)]
    assert slow.wait("alice", "192.0.2.1", "", 8.0) == 0
    assert slow.wait("alice", "192.0.2.1", "", 8.0) == 0


def test_a_guesser_gets_no_further_than_one_each_thirty_seconds():
    """Who tries ten times a second has 5 + 5 guesses in the first minute, and two in each further one."""
    slow, looked = SlowDown(), []
    for number in range(36_000):
        now = number / 10
        if slow.wait("alice", "192.0.2.1", "", now) == 0:
            slow.failed("alice", "192.0.2.1", "", now)
            looked.append(now)
    assert len([each for each in looked if each < 60]) == 10
    assert len(looked) <= 10 + 2 * 59


def test_a_known_device_is_a_place_of_its_own():
    """Neither strangers at its address nor the user's other devices make it wait, nor does it them; its own failures do."""
    slow = SlowDown()
    fail(slow, 100)
    for number in range(40):
        fail(slow, 5, user=f"user{number}")
    fail(slow, 9, device=LAPTOP)
    assert slow.wait("alice", "192.0.2.1", DESKTOP, 0.0) == 0
    assert slow.wait("alice", "192.0.2.1", LAPTOP, 0.0) == slow.wait("alice", "198.51.100.1", LAPTOP, 0.0) == 16
    slow = SlowDown()
    fail(slow, 1000, device=LAPTOP)
    assert slow.wait("alice", "192.0.2.1", "", 0.0) == slow.wait("bob", "192.0.2.1", "", 0.0) == 0
    assert slow.wait("alice", "192.0.2.1", LAPTOP, 0.0) == 30


def test_one_ipv6_network_is_one_address():
    """Whoever has a /64 has all its addresses; a mapped IPv4 address is that address."""
    slow = SlowDown()
    for number in range(20):
        slow.failed(f"user{number}", f"2001:db8::{number:x}", "", 0.0)
    assert slow.wait("carol", "2001:db8::ffff", "", 0.0) == 1
    assert slow.wait("carol", "2001:db8:0:1::1", "", 0.0) == 0
    fail(slow, 5, host="::ffff:192.0.2.5")
    assert slow.wait("alice", "192.0.2.5", "", 0.0) == 1


def test_a_place_that_is_no_address():
    """Such as a Unix socket."""
    slow = SlowDown()
    fail(slow, 5, host="")
    assert slow.wait("alice", "", "", 0.0) == 1


def test_memory_is_bounded(monkeypatch):
    """The oldest places make room."""
    monkeypatch.setattr(limits, "MAX_SIGN_IN_PLACES", 10)
    slow = SlowDown()
    for number in range(50):
        slow.failed(f"user{number}", "192.0.2.1", "", float(number))
    assert len(slow._failures) <= 11
    assert slow.wait("carol", "192.0.2.1", "", 49.0) == 30.0


def test_who_comes_back_later_is_not_kept():
    """A wait runs from the failure before, and ten minutes without one forget them all."""
    slow = SlowDown()
    fail(slow, 8)
    assert slow.wait("alice", "192.0.2.1", "", 7.0) == 1
    assert slow.wait("alice", "192.0.2.1", "", 100.0) == 0
    fail(slow, 1, now=599.0)
    assert slow.wait("alice", "192.0.2.1", "", 599.0) == 16
    fail(slow, 1, now=1199.0)
    assert slow.wait("alice", "192.0.2.1", "", 1199.0) == 0


def test_one_telephone_with_a_wrong_password_does_not_lock_out_the_house():
    """It tries again for ever; others at the same address sign in as ever."""
    slow = SlowDown()
    for number in range(1000):
        slow.failed("alice", "192.0.2.1", "", number * 0.1)
    assert slow.wait("alice", "192.0.2.1", "", 100.0) > 25
    assert slow.wait("bob", "192.0.2.1", "", 100.0) == 0


def test_names_that_nobody_has_take_no_memory():
    """A stranger may claim any name that fits a header."""
    slow = SlowDown()
    fail(slow, 5, user="\U0001f600" * 7000)
    assert slow.wait("\U0001f600" * 7000, "192.0.2.1", "", 0.0) == 1
    assert max(len(user or "") for user, _ in slow._failures) <= 65
