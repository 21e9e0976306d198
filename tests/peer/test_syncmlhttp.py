"""The HTTP binding: what a client's requests become, and what is refused before SyncML sees it."""

from __future__ import annotations

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from twsync.limits import MAX_SYNCML_DOCUMENT
from twsync.peer.stockclients import Crowd
from twsync.peer.syncmlhttp import Answer, site


class Server:
    """A site on a transport in memory."""

    def __init__(self, answer=None):
        self.seen = []
        self.addresses = []
        self._answer = answer

        def answers(address, token, body, content_type, origin, gone):
            self.addresses.append(address)
            self.seen.append((token, body, content_type))
            return self._answer or succeed(Answer(200, b"<reply/>", "application/vnd.syncml+xml"))

        self._site = site(answers)
        self.connect()

    def connect(self):
        self.protocol = self._site.buildProtocol(None)
        self.protocol.callLater = lambda *_: _Never()
        self.transport = StringTransport()
        self.protocol.makeConnection(self.transport)

    def send(self, text, body=b""):
        self.protocol.dataReceived(text.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        said = self.transport.value()
        self.transport.clear()
        return said


class _Never:
    def cancel(self):
        """Nothing to cancel."""

    def active(self):
        return False

    def reset(self, _):
        """Nothing to reset."""


@pytest.fixture
def server():
    return Server()


def post(body, path="/syncml", more=""):
    return f"POST {path} HTTP/1.1\nHost: h\nContent-Length: {len(body)}\nContent-Type: application/vnd.syncml+xml; charset=UTF-8{more}"


def test_a_message_is_handed_on_with_its_token(server):
    said = server.send(post(b"<a/>"), b"<a/>")
    assert said.startswith(b"HTTP/1.1 200 OK") and said.endswith(b"\r\n\r\n<reply/>")
    assert b"Cache-Control: no-store" in said and b"Content-Type: application/vnd.syncml+xml" in said and b"Set-Cookie" not in said
    server.send(post(b"<b/>", "/syncml/TOKEN"), b"<b/>")
    server.send(post(b"<c/>", "/syncml/"), b"<c/>")
    server.send(post(b"<d/>", "HTTP://proxied.example:80/syncml/TOKEN?x=1"), b"<d/>")
    assert [(token, body) for token, body, _ in server.seen] == [("", b"<a/>"), ("TOKEN", b"<b/>"), ("", b"<c/>"), ("TOKEN", b"<d/>")]


@pytest.mark.parametrize(
    ("host", "more", "address"),
    [
        ("sync.example.org:8080", "", "http://sync.example.org:8080/syncml"),
        ("[2001:db8::1]:8080", "", "http://[2001:db8::1]:8080/syncml"),
        ("sync.example.org", "\nX-Forwarded-Proto: https", "https://sync.example.org/syncml"),
        ("a/../<b>", "", ""),
    ],
)
def test_the_address_is_the_one_that_the_client_uses(server, host, more, address):
    server.send(f"POST /syncml/TOKEN HTTP/1.1\nHost: {host}\nContent-Length: 0{more}")
    assert server.addresses == [address]


def test_chunked_bodies_and_expectations(server):
    head = "POST /syncml HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\nExpect: 100-continue"
    said = server.send(head, b"")
    assert said.startswith(b"HTTP/1.1 100 Continue")
    server.protocol.dataReceived(b"4\r\n<a/>\r\n0\r\n\r\n")
    assert server.seen == [("", b"<a/>", None)]


@pytest.mark.parametrize(("path", "status"), [("/", b"404"), ("/other", b"404"), ("/syncml/a/b", b"404")])
def test_nothing_else_is_there(server, path, status):
    assert server.send(post(b"", path))[9:12] == status
    assert server.seen == []


def test_other_methods(server):
    assert server.send("GET /syncml HTTP/1.1\nHost: h")[9:12] == b"200"
    assert server.send("PUT /syncml HTTP/1.1\nHost: h\nContent-Length: 0")[9:12] == b"405"


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_beyond_the_limit_is_not_kept(server, declared):
    if declared:
        said = server.send(f"POST /syncml HTTP/1.1\nHost: h\nContent-Length: {MAX_SYNCML_DOCUMENT + 1}")
    else:
        server.send("POST /syncml HTTP/1.1\nHost: h\nTransfer-Encoding: chunked")
        piece = b"x" * (MAX_SYNCML_DOCUMENT // 4)
        for _ in range(5):
            server.protocol.dataReceived(b"%x\r\n%s\r\n" % (len(piece), piece))
        server.protocol.dataReceived(b"0\r\n\r\n")
        said = server.transport.value()
    assert said[9:12] == b"413" and b"Connection: close" in said
    assert server.seen == []


def test_an_endless_body_is_cut_off(server):
    server.send("POST /syncml HTTP/1.1\nHost: h\nTransfer-Encoding: chunked")
    piece = b"x" * (MAX_SYNCML_DOCUMENT // 2)
    for _ in range(5):
        server.protocol.dataReceived(b"%x\r\n%s\r\n" % (len(piece), piece))
    assert server.transport.disconnecting


def test_a_failure_is_told_without_its_reason():
    failing = Deferred()
    server = Server(failing)
    assert server.send(post(b"<a/>"), b"<a/>") == b""
    failing.errback(ValueError("the secret"))
    said = server.transport.value()
    assert said[9:12] == b"500" and b"secret" not in said


def test_a_client_that_leaves_before_the_answer():
    late = Deferred()
    server = Server(late)
    server.send(post(b"<a/>"), b"<a/>")
    from twisted.internet.error import ConnectionLost
    from twisted.python.failure import Failure

    server.protocol.connectionLost(Failure(ConnectionLost()))
    late.callback(Answer(200, b"<late/>"))
    assert server.transport.value() == b""


class Crowded:
    """A crowd whose connections are transports in memory."""

    def __init__(self, monkeypatch, most=3):
        monkeypatch.setattr("twsync.peer.stockclients.MAX_HTTP_CONNECTIONS", most)
        self.answers = []

        def answers(*_):
            self.answers.append(Deferred())
            return self.answers[-1]

        self.crowd = Crowd(site(answers), Clock())

    def connect(self, host, say=b"POST /syncml HTTP/1.1\r\nX"):
        protocol = self.crowd.buildProtocol(IPv4Address("TCP", host, 1))
        if protocol is None:
            return None
        protocol.wrappedProtocol.callLater = lambda *_: _Never()
        transport = StringTransport(peerAddress=IPv4Address("TCP", host, 1))
        protocol.makeConnection(transport)
        protocol.dataReceived(say)
        return transport


WHOLE = b"POST /syncml HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"


def test_who_says_nothing_gives_way(monkeypatch):
    crowded = Crowded(monkeypatch)
    silent = [crowded.connect("192.0.2.1") for _ in range(3)]
    late = [crowded.connect("192.0.2.2"), crowded.connect("192.0.2.3")]
    assert [one.disconnected for one in silent] == [True, True, False]
    assert not any(one.disconnected for one in late)
    assert len(crowded.crowd.protocols) == 3


def test_the_address_with_most_connections_gives_way_first(monkeypatch):
    crowded = Crowded(monkeypatch)
    first, *many = [crowded.connect(host) for host in ("192.0.2.1", "192.0.2.9", "192.0.2.9")]
    crowded.connect("192.0.2.2")
    assert [one.disconnected for one in (first, *many)] == [False, True, False]


def test_a_message_at_work_is_not_cut_off(monkeypatch):
    crowded = Crowded(monkeypatch)
    working = [crowded.connect("192.0.2.1", WHOLE) for _ in range(3)]
    assert crowded.connect("192.0.2.2") is None
    assert not any(one.disconnected for one in working)
    crowded.answers[1].callback(Answer(200, b"done"))
    assert crowded.connect("192.0.2.2") is not None
    assert [one.disconnected for one in working] == [False, True, False]
