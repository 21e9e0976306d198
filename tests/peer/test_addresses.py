"""Which addresses are named to other devices."""

from __future__ import annotations

import pytest

from twsync.limits import MAX_DESCRIPTION_CANDIDATES
from twsync.peer.addresses import candidates, interface_addresses, read_fib_trie, read_if_inet6, route_address
from twsync.peer.service import bound_address

FIB = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 192.0.2.0
        /24 link UNICAST
     |-- 192.0.2.2
        /32 host LOCAL
Local:
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 192.0.2.2
        /32 host LOCAL
"""


def test_linux_tables():
    assert read_fib_trie(FIB) == ["192.0.2.2", "127.0.0.1"]
    assert read_if_inet6("20010db8000000000000000000000001 02 40 00 80 eth0\nfoo\n") == ["2001:db8::1"]


def test_this_host_has_no_useless_addresses():
    assert "127.0.0.1" not in interface_addresses()


def test_route():
    assert route_address("127.0.0.1") == "127.0.0.1"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"flow": "192.0.2.2"}, [("192.0.2.2", 5)]),
        ({"flow": "192.0.2.2", "interfaces": ["192.0.2.2", "10.0.0.1"], "observed": "203.0.113.1"},
         [("192.0.2.2", 5), ("10.0.0.1", 5), ("203.0.113.1", 5)]),
        ({"advertise": ["203.0.113.9:7", "203.0.113.8"], "flow": "192.0.2.2"},
         [("203.0.113.9", 7), ("203.0.113.8", 5), ("192.0.2.2", 5)]),
        ({"bound": "127.0.0.1", "flow": "192.0.2.2"}, [("127.0.0.1", 5)]),
        ({"bound": "0.0.0.0", "flow": "192.0.2.2", "interfaces": ["2001:db8::1"]}, [("192.0.2.2", 5)]),
        ({"bound": "::", "flow": "192.0.2.2", "interfaces": ["2001:db8::1"]}, [("192.0.2.2", 5), ("2001:db8::1", 5)]),
        ({"flow": "2001:db8::1", "interfaces": ["192.0.2.2"]}, [("192.0.2.2", 5)]),
        ({}, []),
    ],
)  # fmt: skip
def test_candidates(more, expected):
    assert candidates(5, **more) == expected


def test_candidates_are_few():
    assert len(candidates(5, interfaces=[f"10.0.0.{n}" for n in range(1, 99)])) == MAX_DESCRIPTION_CANDIDATES


@pytest.mark.parametrize(
    ("listen", "expected"),
    [("tcp:0", ""), ("tcp:0:interface=127.0.0.1", "127.0.0.1"), ("tcp:0:interface=\\:\\::backlog=5", "::"), ("tcp6:0", "::")],
)
def test_bound_address(listen, expected):
    assert bound_address(listen) == expected
