"""The hellos before HTTP."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from twsync.errors import ProtocolError, SessionError
from twsync.limits import IDLE_TIMEOUT
from twsync.peer.greeting import ALLOW_DELETES, Greeting
from twsync.peer.recordexchange import RecordExchange
from twsync.peer.sessions import Work
from twsync.peer.settings import CollectionSettings
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


@pytest.mark.parametrize("said", [[], [m.Hello(m.PROTOCOL, (), "call", "contacts", None)]])
def test_a_partner_that_says_nothing_is_not_waited_for_for_ever(said):
    """Neither for hello nor for the switch that follows it."""

    class Open(Channel):
        wire_sent = wire_received = 0
        closed = None

        def close(self, error=None):
            self.closed = error

    clock, channel, outcome = Clock(), Open(), []
    records = SimpleNamespace(datastores=lambda terms, names: SimpleNamespace(opened=[]), journal=None, now_ns=None)
    workshop = SimpleNamespace(write=lambda call, *arguments: succeed(call(*arguments)))
    sessions = RecordExchange(records, workshop, clock, clock.seconds, bytes, lambda: "alice/desktop", "UTC")
    collection = CollectionSettings("contacts", Path("contacts"), "contacts")
    # This side is SyncML's client too, and so waits for the switch.
    work = Work("call", collection, "alice/laptop", Side.CLIENT, "two-way", "merge", False, b"T" * 32)
    Deferred.fromCoroutine(sessions.exchange(channel, work, lambda event: None)).addBoth(outcome.append)
    for message in said:
        channel.hear(message)
    clock.pump([IDLE_TIMEOUT - 1])
    assert outcome == [] and channel.closed is None
    clock.pump([1])
    (result,) = outcome
    assert (result.state, result.error.code, channel.closed.code) == ("failed", "timeout", "timeout")
    assert "alice/laptop took the connection but does not begin" in result.error.message


def test_the_end_of_the_channel_ends_both_waits():
    channel = Channel()
    greeting, outcome = greet(channel, Side.CLIENT)
    gone = SessionError("Lost.", "connection-lost")
    greeting.channel_lost(gone)
    assert outcome == [gone]
    over = []
    Deferred.fromCoroutine(greeting.over()).addCallback(lambda _: over.append(True))
    assert over == [True]
