"""Which connections may come in."""

from __future__ import annotations

from twsync.transport.sipadmission import Admission, AdmissionLimits


def test_a_bucket_fills_up_to_its_burst_and_no_more() -> None:
    admission = Admission(AdmissionLimits(rate=2, burst=3))
    assert [admission.enter("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert [admission.enter("a", 1.0) for _ in range(3)] == [True, True, False]
    assert [admission.enter("a", 1000.0) for _ in range(4)] == [True, True, True, False]
    assert admission.standing == 8
    admission.leave()
    assert admission.standing == 7


def test_one_ipv6_network_is_one_address() -> None:
    admission = Admission(AdmissionLimits(burst=1, rate=0))
    assert admission.enter("2001:db8::1", 0.0)
    assert not admission.enter("2001:db8::ffff:2", 0.0)
    assert admission.enter("2001:db8:0:1::1", 0.0)
    assert admission.enter("::ffff:192.0.2.1", 0.0)
    assert not admission.enter("192.0.2.1", 0.0)
    assert admission.enter("fe80::1%eth0", 0.0)
    assert admission.enter("", 0.0)


def test_memory_is_bounded() -> None:
    admission = Admission(AdmissionLimits(burst=1, rate=0, addresses=2))
    assert [admission.enter(host, 0.0) for host in ("a", "b", "a", "c", "a", "b")] == [True, True, False, True, False, True]


def test_a_clock_that_goes_back_gives_nothing() -> None:
    admission = Admission(AdmissionLimits(burst=1, rate=1))
    assert admission.enter("a", 100.0)
    assert not admission.enter("a", 50.0)
