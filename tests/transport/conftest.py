"""Data connections on real sockets, by the straight way between OpenSSL and the socket and by Twisted's."""

from __future__ import annotations

import pytest
from strict_memory import overwrite_what_is_given_back
from tcp_pair import Pair, way

from twsync.transport import openssl, straighttls


@pytest.fixture(autouse=True)
def strict_memory(monkeypatch):
    """Memory that is used too early shows."""
    overwrite_what_is_given_back(monkeypatch)


@pytest.fixture
def functions(request):
    """OpenSSL's functions, also where TWSYNC_DELTA=pure does without them. Other names than those we know are a failure."""
    try:
        import twsync.delta._core  # noqa: F401 - only whether it is there
    except ImportError:
        request.getfixturevalue("missing")("the C core was not built; install a C compiler and build with TWSYNC_NATIVE=yes")
    return openssl.OpenSSL()


@pytest.fixture(params=["straight", "twisted"])
def pair(request, monkeypatch):
    monkeypatch.setattr(straighttls, "openssl", None if request.param == "twisted" else request.getfixturevalue("functions"))
    made = Pair()
    assert (way(made.client) is None) == (way(made.server) is None) == (request.param == "twisted")
    yield made
    made.close()


@pytest.fixture
def straight_pair(functions, monkeypatch):
    monkeypatch.setattr(straighttls, "openssl", functions)
    made = Pair()
    yield made
    made.close()
