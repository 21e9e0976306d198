"""Which names users and devices may have."""

from __future__ import annotations

import pytest

from twsync.control.names import is_name, split_device, stock_device
from twsync.errors import UserError
from twsync.sip.values import URI


@pytest.mark.parametrize("name", ["alice", "zoë", "a.b-c_d", "x" * 64, "東京"])
def test_good_names(name):
    """Any script, up to 64 bytes."""
    assert is_name(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a@b", "a:b", "a b", "a\tb", "a\u00a0b", "x" * 65, "ö" * 33, "a\x7f", "\ud800", "a,b", "<a>"]
)
def test_bad_names(name):
    """What separates names elsewhere, white space, what cannot be printed, too long."""
    assert not is_name(name)


def test_devices_in_text():
    """USER/DEVICE and nothing else."""
    assert split_device("alice/laptop") == ("alice", "laptop")
    for text in ("alice", "alice/", "/laptop", "a/b/c", "a b/c"):
        with pytest.raises(UserError, match="alice/laptop"):
            split_device(text)


@pytest.mark.parametrize(
    ("uri", "instance", "name"),
    [
        ("sip:alice@192.0.2.1:5060", None, "alice-192.0.2.1-5060"),
        ("sip:alice@[2001:db8::1]", None, "alice-2001-db8-1"),
        ("sip:192.0.2.1", None, "192.0.2.1"),
        ("sip:a@b", "<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
        ("sip:%2F%2F@x", "urn:", "agent"),
        ("sip:" + "x" * 100 + "@h", None, "x" * 64),
    ],
)
def test_stock_agents_get_names(uri, instance, name):
    """By instance, else by user and address."""
    assert stock_device(URI.parse(uri), instance) == name and is_name(name)
