"""Which connections may come in."""

from __future__ import annotations

from twsync.transport.sipadmission import Admission, AdmissionLimits


def test_a_bucket_fills_up_to_its_burst_and_no_more() -> None:
    admission = Admission(AdmissionLimits(rate=2, burst=3))
    assert [admission.allows("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert [admission.allows("a", 1.0) for _ in range(3)] == [True, True, False]
    assert [admission.allows("a", 1000.0) for _ in range(4)] == [True, True, True, False]


def test_places_and_strangers_are_counted() -> None:
    admission = Admission(AdmissionLimits(flows=3, strangers=2))
    for _ in range(2):
        assert admission.allows("a", 0.0)
        admission.enter("a")
    assert not admission.allows("a", 0.0)
    admission.authenticated("a")
    assert admission.allows("a", 0.0)
    admission.enter("a")
    assert admission.full and admission.standing == 3
    admission.leave("a", stranger=True)
    admission.leave("a", stranger=False)
    assert not admission.full and admission.standing == 1
    admission.leave("a", stranger=True)
    assert admission.standing == 0 and not admission._strangers


def test_one_ipv6_network_is_one_address() -> None:
    admission = Admission(AdmissionLimits(burst=1, rate=0))
    assert admission.allows("2001:db8::1", 0.0)
    assert not admission.allows("2001:db8::ffff:2", 0.0)
    assert admission.allows("2001:db8:0:1::1", 0.0)
    assert admission.allows("::ffff:192.0.2.1", 0.0)
    assert not admission.allows("192.0.2.1", 0.0)
    assert admission.allows("fe80::1%eth0", 0.0)
    assert admission.allows("", 0.0)


def test_memory_is_bounded() -> None:
    admission = Admission(AdmissionLimits(burst=1, rate=0, addresses=2))
    assert [admission.allows(host, 0.0) for host in ("a", "b", "a", "c", "a", "b")] == [True, True, False, True, False, True]


def test_a_clock_that_goes_back_gives_nothing() -> None:
    admission = Admission(AdmissionLimits(burst=1, rate=1))
    assert admission.allows("a", 100.0)
    assert not admission.allows("a", 50.0)
