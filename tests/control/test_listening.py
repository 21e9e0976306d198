"""Endpoint strings, and what is said of those that cannot be."""

from __future__ import annotations

import datetime
import socket

import pytest
from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock

from twsync.control.listening import listen
from twsync.errors import ConfigError, StoreError
from twsync.transport import tls


@pytest.fixture
def pair(tmp_path):
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    tls.create_server_certificate(tmp_path / "cert.pem", tmp_path / "key.pem", ["localhost"], now)
    return f"privateKey={tmp_path}/key.pem:certKey={tmp_path}/cert.pem"


def test_tls_and_tcp(pair):
    """``ssl:`` goes by our own TLS over a plain port; interface and backlog are passed on."""
    memory = MemoryReactorClock()
    listen(memory, f"ssl:5061:{pair}:interface=127.0.0.1", Factory())
    listen(memory, "tcp:5060:interface=\\:\\:1:backlog=7", Factory())
    (first, second) = memory.tcpServers
    assert (first[0], first[3]) == (5061, "127.0.0.1") and type(first[1]).__name__ == "TLSMemoryBIOFactory"
    assert (second[0], second[2], second[3]) == (5060, 7, "::1")
    assert not memory.sslServers


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ("ssl:5061", "needs privateKey= and certKey="),
        ("ssl:5061:privateKey=/nothing/key.pem:certKey=/nothing/cert.pem", "cannot be used"),
        ("ssl:5061:privateKey=a:certKey=b:sslmethod=SSLv3", "'sslmethod' cannot stand"),
        ("tcp", "is not an endpoint"),
        ("tcp:port", "is not an endpoint"),
        ("carrier-pigeon:5", "is not an endpoint"),
    ],
)
def test_what_is_no_endpoint(description, words):
    """A sentence that shows it."""
    with pytest.raises(ConfigError, match=words):
        listen(MemoryReactorClock(), description, Factory())


def test_port_in_use():
    """Says so."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(StoreError, match="Address already in use; is another server running"):
            listen(reactor, f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1", Factory())
