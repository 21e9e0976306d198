"""What a hostile HTTP server may make this host hold."""

from __future__ import annotations

import pytest
from twisted.internet.defer import ensureDeferred
from twisted.internet.error import ConnectionAborted
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from twsync.errors import SessionError
from twsync.limits import MAX_HTTP_ANSWER, MAX_HTTP_HEAD, MAX_HTTP_INTERIM, MAX_SYNCML_DOCUMENT
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


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize(
    ("start", "piece", "count"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"b" * 8000 + b"\r\n", MAX_HTTP_HEAD // 8007 + 1),
        (b"", b"HTTP/1.1 103 Early Hints\r\nX-A: " + b"b" * 40000 + b"\r\n\r\n", MAX_HTTP_HEAD // 40000 + 1),
        (b"", CONTINUE, MAX_HTTP_INTERIM + 1),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;" + b"y" * 993 + b"\r\nx\r\n", MAX_HTTP_ANSWER // 1000 + 1),
    ],
)
def test_headers_and_framing_without_end_are_cut_off(start, piece, count):
    outcome, protocol, transport = asked()
    protocol.dataReceived(start)
    for _ in range(count):
        assert not transport.disconnected
        protocol.dataReceived(piece)
    assert transport.disconnected
    protocol.connectionLost(Failure(ConnectionAborted()))
    failure = outcome.result
    outcome.addErrback(lambda _: None)
    assert failure.check(SessionError)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
def test_a_few_interim_answers_are_passed_over(size):
    outcome, protocol, transport = asked()
    stream = CONTINUE * MAX_HTTP_INTERIM + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<b/>"
    for start in range(0, len(stream), size):
        protocol.dataReceived(stream[start : start + size])
    assert outcome.result.body == b"<b/>"
    assert not transport.disconnected


def test_a_flood_of_interim_answers_in_one_piece_is_not_read():
    outcome, protocol, transport = asked()
    protocol.dataReceived(CONTINUE * 100_000)
    assert transport.disconnected
    protocol.connectionLost(Failure(ConnectionAborted()))
    outcome.addErrback(lambda _: None)
