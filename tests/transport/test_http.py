"""HTTP on a data channel: requests and answers over TLS in memory, limits, patience, and the end of the connection."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.test import iosim
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from twsync.errors import SessionError
from twsync.peerwire import messages as m
from twsync.transport import http, tls
from twsync.transport.datachannel import DataChannel
from twsync.transport.straighttls import StraightTlsFactory

LIMIT = 100_000


class Echo(Resource):
    """Answers with what came, backwards; holds a request of ``wait``."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self):
        super().__init__()
        self.held = []
        self.seen = []

    def render_POST(self, request):
        body = request.content.read()
        self.seen.append((request.path, request.getHeader("content-type"), body))
        if body == b"wait":
            self.held.append(request)
            return NOT_DONE_YET
        request.setHeader("Content-Type", "application/test")
        return b"y" * (LIMIT + 1) if body == b"more" else body[::-1]


class Ends:
    """The receiver of a channel: remembers the hello of the other side, and the end."""

    def __init__(self):
        self.lost = None

    def frame_received(self, frame):
        self.frame = m.decode(frame.payload)

    def channel_lost(self, error):
        self.lost = error


class Wire:
    """Two channels, the server's of which becomes HTTP."""

    def __init__(self):
        self.clock = Clock()
        one, two = tls.new_device("one"), tls.new_device("two")
        self.client, self.server = DataChannel(self.clock), DataChannel(self.clock)
        self.ends = []
        for channel in (self.client, self.server):
            self.ends.append(Ends())
            channel.receive(self.ends[-1])
        client = self._wrap(tls.data_client(one, two.fingerprint), self.client)
        server = self._wrap(tls.data_server(two, lambda _: True), self.server)
        self._pump = iosim.connect(server, iosim.FakeTransport(server, True), client, iosim.FakeTransport(client, False))
        self.run()
        self.echo = Echo()
        site = Site(self.echo, timeout=None)
        self.client.send(m.Hello(1, (), "call", "contacts", b"T" * 32))
        self.run()
        self.server.send(m.Hello(1, (), "call", "contacts", None))
        http.serve(self.server, site, self.clock)
        self.run()
        self.post = http.post_with(http.channel_agent(self.clock, self.client), self.clock, LIMIT, patience=60.0, name="the other device")

    def _wrap(self, creator, channel):
        return StraightTlsFactory(creator, Factory.forProtocol(lambda: channel), self.clock).buildProtocol(None)

    def run(self, seconds=0.0):
        for _ in range(6):
            self._pump.flush()
            self.clock.advance(0)
        if seconds:
            self.clock.advance(seconds)
            self.run()

    def ask(self, body, path="/syncml"):
        outcome = []
        task = Deferred.fromCoroutine(self.post(f"http://peer.invalid{path}", "text/x-test", body))
        task.addBoth(lambda result: outcome.append(getattr(result, "value", result)))
        self.run()
        return outcome, task


@pytest.fixture
def wire():
    return Wire()


def test_requests_one_after_the_other_on_one_connection(wire):
    for body in (b"first", b"x" * 90_000, b""):
        outcome, _ = wire.ask(body, "/syncml/token")
        assert outcome == [http.Answer(200, "application/test", body[::-1])]
    assert [seen[:2] for seen in wire.echo.seen] == [(b"/syncml/token", "text/x-test")] * 3
    assert wire.ends[0].lost is None


def test_an_answer_beyond_the_limit_is_refused(wire):
    outcome, _ = wire.ask(b"more")
    assert isinstance(outcome[0], SessionError) and outcome[0].code == "too-large"


def test_patience_has_an_end(wire):
    outcome, _ = wire.ask(b"wait")
    assert outcome == []
    wire.run(59.0)
    assert outcome == []
    wire.run(2.0)
    assert isinstance(outcome[0], SessionError) and outcome[0].code == "timeout"


def test_the_end_of_the_connection_ends_the_request(wire):
    outcome, _ = wire.ask(b"wait")
    wire.server.abort()
    wire.run()
    assert isinstance(outcome[0], SessionError) and outcome[0].code == "connection-lost"
    assert str(outcome[0]) == "The connection to the other device was lost; start the session again."
    assert wire.ends[0].lost is not None and wire.ends[1].lost is not None


def test_a_lost_channel_takes_no_second_connection(wire):
    wire.client.abort()
    wire.run()
    outcome, _ = wire.ask(b"first")
    assert isinstance(outcome[0], SessionError)


def test_a_request_can_be_cancelled(wire):
    outcome, task = wire.ask(b"wait")
    task.cancel()
    wire.run()
    assert outcome and not isinstance(outcome[0], SessionError)


def test_frames_do_not_come_any_more_and_silence_is_no_fault(wire):
    """Pings of the channel stop: HTTP has the connection for itself."""
    before = wire.client.wire_sent
    wire.run(600.0)
    assert wire.client.wire_sent == before
    outcome, _ = wire.ask(b"still there")
    assert outcome[0].body == b"ereht llits"
