"""Grants: how they are written and what they allow."""

from __future__ import annotations

import pytest

from twsync.control.policy import Grant, Policy
from twsync.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "grant"),
    [
        ("alice -> bob/photos", Grant("alice", "bob", "photos")),
        ("alice->bob", Grant("alice", "bob")),
        ("  zoë ->  bob/my.files ", Grant("zoë", "bob", "my.files")),
    ],
)
def test_grants_are_read(text, grant):
    """White space around names does not matter."""
    assert Grant.parse(text) == grant and Grant.parse(str(grant)) == grant


@pytest.mark.parametrize(
    "text", ["", "alice", "alice bob", "alice -> ", "-> bob", "alice -> bob/", "alice -> bob/a/b", "a b -> c", "alice <- bob"]
)
def test_bad_grants_are_refused(text):
    """With a sentence that shows a good one."""
    with pytest.raises(ConfigError, match="alice -> bob/photos"):
        Grant.parse(text)


def test_what_grants_allow():
    """The own devices always; one collection; everything; nothing back."""
    policy = Policy([Grant("alice", "bob", "photos"), Grant("alice", "carol")])
    cases = {
        ("alice", "alice", "x"): True,
        ("alice", "alice", None): True,
        ("alice", "bob", "photos"): True,
        ("alice", "bob", "music"): False,
        ("alice", "bob", None): False,
        ("alice", "carol", "music"): True,
        ("alice", "carol", None): True,
        ("bob", "alice", "photos"): False,
        ("bob", "carol", "photos"): False,
    }
    assert {case: policy.allows(*case) for case in cases} == cases
    assert policy.visible("alice") == ["alice", "bob", "carol"] and policy.visible("bob") == ["bob"]
    assert policy.watchers("bob") == ["bob", "alice"] and policy.watchers("alice") == ["alice"]
    assert policy.knows("alice", "bob") and not policy.knows("bob", "alice")
