"""How many connections the process may hold."""

from __future__ import annotations

import resource

import pytest

from twsync.control.descriptors import RESERVED, connections_possible


@pytest.fixture
def limit(monkeypatch):
    """Pretends limits, and notes what is set."""

    class Limit:
        now = (1024, 4096)

    monkeypatch.setattr(resource, "getrlimit", lambda kind: Limit.now)
    monkeypatch.setattr(resource, "setrlimit", lambda kind, values: setattr(Limit, "now", values))
    return Limit


@pytest.mark.parametrize(
    ("before", "wanted", "after", "possible"),
    [
        ((1024, 65_536), 4096, (4096 + RESERVED, 65_536), 4096),
        ((1024, 4096), 4096, (4096, 4096), 4096 - RESERVED),
        ((1024, resource.RLIM_INFINITY), 4096, (4096 + RESERVED, resource.RLIM_INFINITY), 4096),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 4096, (resource.RLIM_INFINITY, resource.RLIM_INFINITY), 4096),
        ((1024, 4096), 100, (1024, 4096), 100),
        ((10, 10), 100, (10, 10), 1),
    ],
)
def test_the_soft_limit_is_raised_as_far_as_needed(limit, before, wanted, after, possible):
    """And never lowered, nor the hard one touched."""
    limit.now = before
    assert connections_possible(wanted) == possible
    assert limit.now == after
