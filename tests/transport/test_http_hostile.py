"""What a hostile HTTP server may make this host hold."""

from __future__ import annotations

import pytest
from twisted.internet.defer import ensureDeferred
from twisted.internet.error import ConnectionAborted
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from twsync.errors import SessionError
from twsync.limits import MAX_HTTP_ANSWER, MAX_HTTP_HEAD, MAX_SYNCML_DOCUMENT
from twsync.transport.http import post_with, web_agent

URL = "http://192.0.2.1/syncml"


def asked():
    """A POST under way: its outcome, and the connection's end at the server."""
    reactor = MemoryReactorClock()
    outcome = ensureDeferred(post_with(web_agent(reactor), reactor, MAX_SYNCML_DOCUMENT)(URL, "text/xml", b"<a/>"))
    reactor.advance(1)
    ((_, _, factory, _, _),) = reactor.tcpClients
    protocol, transport = factory.buildProtocol(None), StringTransport()
    protocol.makeConnection(transport)
    assert transport.value().endswith(b"<a/>")
    return outcome, protocol, transport


def test_an_answer_comes_through():
    outcome, protocol, _ = asked()
    protocol.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Type: text/xml\r\n\r\n")
    protocol.dataReceived(b"<b/>")
    answer = outcome.result
    assert (answer.status, answer.content_type, answer.body) == (200, "text/xml", b"<b/>")


def test_a_large_answer_comes_through():
    outcome, protocol, transport = asked()
    protocol.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r" % MAX_SYNCML_DOCUMENT)
    protocol.dataReceived(b"\n" + b"x" * MAX_SYNCML_DOCUMENT)
    assert len(outcome.result.body) == MAX_SYNCML_DOCUMENT
    assert not transport.disconnected


@pytest.mark.parametrize(
    ("start", "piece", "limit"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"b" * 8000 + b"\r\n", MAX_HTTP_HEAD),
        (b"", b"HTTP/1.1 100 Continue\r\nX-A: " + b"b" * 8000 + b"\r\n\r\n", MAX_HTTP_ANSWER),
    ],
)
def test_headers_without_end_are_cut_off(start, piece, limit):
    outcome, protocol, transport = asked()
    protocol.dataReceived(start)
    for _ in range(limit // len(piece) + 1):
        assert not transport.disconnected
        protocol.dataReceived(piece)
    assert transport.disconnected
    protocol.connectionLost(Failure(ConnectionAborted()))
    failure = outcome.result
    outcome.addErrback(lambda _: None)
    assert failure.check(SessionError)
