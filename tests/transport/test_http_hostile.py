"""What a hostile HTTP server may make this host hold."""

from __future__ import annotations

import contextlib

import pytest
from cryptography.x509 import load_der_x509_certificate
from OpenSSL import SSL
from twisted.internet.defer import ensureDeferred
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from twsync.errors import SessionError
from twsync.limits import HTTP_CONNECT_TIMEOUT, MAX_HTTP_ANSWER, MAX_HTTP_HEAD, MAX_HTTP_INTERIM, MAX_SYNCML_DOCUMENT
from twsync.transport import http, tls
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


class Socket(StringTransport):
    """Has the one method of a TCP transport that a request by TLS needs beyond."""

    def setTcpNoDelay(self, enabled):
        pass


@implementer(IOpenSSLClientConnectionCreator)
class Trusting:
    """TLS with whoever answers."""

    def clientConnectionForTLS(self, protocol):
        return SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)


def shaking(connected=0.0):
    """A POST by https: its outcome, the reactor, and the connection's end at the server, which has got a ClientHello after some seconds."""
    reactor = MemoryReactorClock()
    outcome = ensureDeferred(post_with(web_agent(reactor), reactor, MAX_SYNCML_DOCUMENT)("https" + URL[4:], "text/xml", b"<a/>"))
    reactor.advance(1)
    ((_, _, factory, _, _),) = reactor.tcpClients
    reactor.advance(connected)
    protocol, transport = factory.buildProtocol(None), Socket()
    protocol.makeConnection(transport)
    assert transport.value().startswith(b"\x16\x03")
    return outcome, reactor, protocol, transport


def ended(outcome):
    """What a POST failed with."""
    caught = []
    outcome.addErrback(caught.append)
    assert caught[0].check(SessionError)
    return caught[0].value


@pytest.mark.parametrize("connected", [0.0, 20.0])
def test_a_port_that_leaves_the_handshake_unanswered_is_given_up(connected):
    """Also one that was slow to take the connection: both have one time together."""
    outcome, reactor, protocol, transport = shaking(connected)
    reactor.advance(HTTP_CONNECT_TIMEOUT - connected - 2)
    assert not transport.disconnected
    reactor.advance(1)
    assert transport.disconnected
    protocol.connectionLost(Failure(ConnectionAborted()))
    error = ended(outcome)
    assert error.code == "unreachable" and "no TLS handshake within 30 seconds" in error.message
    assert not reactor.getDelayedCalls()


def test_a_port_without_tls_is_named_as_such():
    outcome, reactor, protocol, transport = shaking()
    protocol.dataReceived(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert transport.disconnecting
    protocol.connectionLost(Failure(ConnectionDone()))
    error = ended(outcome)
    assert error.code == "unreachable" and "it is no port for https" in error.message
    assert not reactor.getDelayedCalls()


def test_a_slow_answer_has_its_time_once_tls_stands(monkeypatch):
    """The time for the handshake is not that of the answer."""
    device = tls.new_device("server")
    context = SSL.Context(SSL.TLS_METHOD)
    context.use_certificate(load_der_x509_certificate(device.certificate))
    context.use_privatekey(device.key)
    server = SSL.Connection(context, None)
    server.set_accept_state()
    monkeypatch.setattr(http, "optionsForClientTLS", lambda _: Trusting())
    outcome, reactor, protocol, transport = shaking()
    came = b""
    while transport.value():
        server.bio_write(transport.value())
        transport.clear()
        with contextlib.suppress(SSL.WantReadError):
            came += server.recv(10_000)
        with contextlib.suppress(SSL.WantReadError):
            protocol.dataReceived(server.bio_read(100_000))
        reactor.advance(1)
    assert came.startswith(b"POST ")
    reactor.advance(2 * HTTP_CONNECT_TIMEOUT)
    assert not transport.disconnected
    server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<b/>")
    protocol.dataReceived(server.bio_read(100_000))
    assert outcome.result.body == b"<b/>"
