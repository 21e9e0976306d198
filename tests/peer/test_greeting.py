"""The hellos before HTTP."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from twsync.errors import ProtocolError, SessionError
from twsync.peer.greeting import ALLOW_DELETES, Greeting
from twsync.peerwire import messages as m
from twsync.peerwire.frames import Frame, FrameType
from twsync.reconcile.model import Side


class Channel:
    """A channel that remembers what is said."""

    def __init__(self, hello=None):
        self.hello = hello
        self.sent = []

    def receive(self, receiver):
        self.receiver = receiver

    def resume(self):
        """Nothing is paused."""

    def send(self, message):
        self.sent.append(message)

    def hear(self, message):
        self.receiver.frame_received(Frame(FrameType.CONTROL, m.encode(message)))


def greet(channel, side, token=None):
    outcome = []
    greeting = Greeting(channel)
    task = Deferred.fromCoroutine(greeting.exchange(side, "call", "contacts", token))
    task.addBoth(lambda result: outcome.append(getattr(result, "value", result)))
    return greeting, outcome


def test_the_client_speaks_first():
    channel = Channel()
    _, outcome = greet(channel, Side.CLIENT, b"T" * 32)
    assert channel.sent == [m.Hello(m.PROTOCOL, m.FEATURES, "call", "contacts", b"T" * 32)] and outcome == []
    channel.hear(m.Hello(m.PROTOCOL, (), "call", "contacts", None))
    assert outcome == [None]


def test_the_server_answers_what_the_listener_heard():
    channel = Channel(m.Hello(m.PROTOCOL, (), "call", "contacts", b"T" * 32))
    _, outcome = greet(channel, Side.SERVER)
    assert outcome == [None] and channel.sent[0].token is None


@pytest.mark.parametrize(
    ("hello", "error"),
    [
        (m.Hello(m.PROTOCOL + 1, (), "call", "contacts", None), SessionError),
        (m.Hello(m.PROTOCOL, (), "other", "contacts", None), ProtocolError),
        (m.Hello(m.PROTOCOL, (), "call", "photos", None), ProtocolError),
    ],
)
def test_another_session_or_version_is_refused(hello, error):
    channel = Channel()
    _, outcome = greet(channel, Side.CLIENT)
    channel.hear(hello)
    assert isinstance(outcome[0], error)


def test_a_refusal_is_told_as_it_is():
    channel = Channel()
    greet(channel, Side.CLIENT)
    with pytest.raises(SessionError, match="No session waits"):
        channel.hear(m.Error("refused", "No session waits for this connection."))


def test_a_refusal_does_nothing_to_a_terminal():
    channel = Channel()
    greet(channel, Side.CLIENT)
    with pytest.raises(SessionError, match=r"^No \[2J session\.$"):
        channel.hear(m.Error("refused", " No\x1b[2J\r\nsession.\u202e"))


def test_anything_else_is_no_hello():
    channel = Channel()
    greet(channel, Side.CLIENT)
    with pytest.raises(ProtocolError):
        channel.hear(m.RoundEnd(1, False))
    with pytest.raises(ProtocolError):
        channel.receiver.frame_received(Frame(FrameType.DATA, b"x"))


def test_http_begins_when_the_server_is_ready():
    channel = Channel()
    greeting, _ = greet(channel, Side.CLIENT)
    channel.hear(m.Hello(m.PROTOCOL, (ALLOW_DELETES,), "call", "contacts", None))
    assert greeting.allow_deletes
    ready = []
    Deferred.fromCoroutine(greeting.switched()).addCallback(lambda _: ready.append(True))
    assert ready == []
    channel.hear(m.Switch())
    assert ready == [True]
    with pytest.raises(ProtocolError):
        channel.hear(m.Switch())
    greeting.switch()
    assert channel.sent[-1] == m.Switch()


def test_nobody_switches_before_hello():
    channel = Channel()
    greet(channel, Side.CLIENT)
    with pytest.raises(ProtocolError):
        channel.hear(m.Switch())


def test_the_end_of_the_channel_ends_both_waits():
    channel = Channel()
    greeting, outcome = greet(channel, Side.CLIENT)
    gone = SessionError("Lost.", "connection-lost")
    greeting.channel_lost(gone)
    assert outcome == [gone]
    over = []
    Deferred.fromCoroutine(greeting.over()).addCallback(lambda _: over.append(True))
    assert over == [True]
