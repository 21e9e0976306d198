"""What stock clients send, on its way to the thread that deals with it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from twsync.limits import SYNCML_BUSY_AFTER
from twsync.peer.stockclients import StockClients
from twsync.peer.syncmlhttp import Answer
from twsync.syncml.deviceinfo import OwnDevice
from twsync.syncml.server import Server
from twsync.syncml.serversession import Reply

PHONE = IPv4Address("TCP", "192.0.2.7", 1024)


class Threads:
    """In place of a `Workshop`: what its threads are asked to do."""

    def __init__(self):
        self.jobs = []

    def answer(self, job, *arguments):
        self.jobs.append((arguments, Deferred()))
        return self.jobs[-1][1]

    def write(self, job, *arguments):
        return Deferred()


class Clients:
    """They listen in memory."""

    def __init__(self):
        self.threads, self.reactor = Threads(), MemoryReactorClock()
        recorder = SimpleNamespace(records=SimpleNamespace(journal=SimpleNamespace(database=None), now_ns=None))
        clients = StockClients(recorder, OwnDevice("h", "1", "server"), self.threads, self.reactor, self.reactor.seconds, bytes)
        with pytest.raises(StopIteration):
            clients.listen(self.reactor, "tcp:8080").send(None)

    def post(self, body):
        """A connection with one message."""
        protocol = self.reactor.tcpServers[0][1].buildProtocol(PHONE)
        protocol.wrappedProtocol.callLater = self.reactor.callLater
        protocol.makeConnection(StringTransport(peerAddress=PHONE))
        protocol.dataReceived(b"POST /syncml HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        return protocol


@pytest.fixture
def clients():
    return Clients()


def test_a_client_that_goes_away_is_told_to_the_thread(clients):
    staying, leaving = clients.post(b"a"), clients.post(b"b")
    leaving.connectionLost(Failure(ConnectionLost()))
    gone = [arguments[-1] for arguments, _ in clients.threads.jobs]
    assert [each() for each in gone] == [False, True]
    for _, done in clients.threads.jobs:
        done.callback(Answer(200, b"reply"))
    assert staying.transport.value().endswith(b"reply") and leaving.transport.value() == b""


def test_a_client_that_has_gone_away_is_not_told_that_it_takes_long(clients, monkeypatch):
    monkeypatch.setattr(Server, "busy", lambda *_: Reply(b"wait", "text/plain"))
    staying, leaving = clients.post(b"a"), clients.post(b"b")
    leaving.connectionLost(Failure(ConnectionLost()))
    clients.reactor.advance(SYNCML_BUSY_AFTER)
    assert staying.transport.value().endswith(b"wait")
    for _, done in clients.threads.jobs:
        done.callback(Answer(200, b"reply"))
    assert leaving.transport.value() == b""
