"""Data connections over TLS in memory: who is let in, flow control, silence, and the race for a connection."""

from __future__ import annotations

import pytest
from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.test import iosim

from twsync.errors import ConfigError, ProtocolError, SessionError
from twsync.limits import (
    CONNECT_STAGGER,
    CONNECT_TIMEOUT,
    HELLO_TIMEOUT,
    IDLE_PING,
    IDLE_TIMEOUT,
    MAX_HELLO_FRAME,
    MAX_UNIDENTIFIED,
    MIB,
    TOKEN_LIFETIME,
)
from twsync.peerwire import messages as m
from twsync.peerwire.frames import FrameType, head
from twsync.transport import tls
from twsync.transport.connector import connect
from twsync.transport.datachannel import DataChannel
from twsync.transport.listener import Listener

TOKEN = b"T" * 32


class Notes:
    """A receiver that remembers."""

    def __init__(self, channel=None):
        self.frames = []
        self.lost = None
        if channel is not None:
            channel.receive(self)

    def frame_received(self, frame):
        self.frames.append(frame)

    def channel_lost(self, error):
        assert self.lost is None
        self.lost = error

    @property
    def messages(self):
        return [m.decode(frame.payload) for frame in self.frames if frame.kind is FrameType.CONTROL]

    @property
    def data(self):
        return b"".join(bytes(frame.payload) for frame in self.frames if frame.kind is FrameType.DATA)


class Net:
    """A listener, and client endpoints that lead to it or nowhere."""

    def __init__(self):
        self.clock = Clock()
        self.one, self.two, self.stranger = (tls.new_device(name) for name in ("one", "two", "stranger"))
        self.listener = Listener(self.clock, self.two)
        self.pumps = []
        self.tried = []

    def endpoint(self, behaviour="good", listener=None):
        net = self

        class Endpoint:
            def connect(self, factory):
                net.tried.append(behaviour)
                if behaviour == "refused":
                    failed = Deferred()
                    net.clock.callLater(0.01, failed.errback, Refused())
                    return failed
                if behaviour == "silent":
                    return Deferred()
                server = (listener or net.listener).factory.buildProtocol(None)
                client = factory.buildProtocol(None)
                if server is None:
                    return Deferred()
                net.pumps.append(iosim.connect(server, iosim.FakeTransport(server, True), client, iosim.FakeTransport(client, False)))
                done = Deferred()
                done.callback(client)
                return done

        return Endpoint()

    def run(self, seconds=0.0, step=1.0):
        """Let everything flow, and time pass."""
        end = self.clock.seconds() + seconds
        while True:
            for _ in range(4):
                for pump in self.pumps:
                    pump.flush()
                self.clock.advance(0)
            if self.clock.seconds() >= end:
                return
            self.clock.advance(min(step, end - self.clock.seconds()))

    def connect(self, *behaviours, device=None, fingerprint=None):
        """The connection, as a list that is filled, and its errors."""
        behaviours = behaviours or ("good",)
        endpoints = iter([self.endpoint(b) if isinstance(b, str) else b for b in behaviours])
        outcome = []
        Deferred.fromCoroutine(
            connect(
                self.clock,
                [(f"host{number}", number) for number in range(len(behaviours))],
                device or self.one,
                fingerprint or self.two.fingerprint,
                endpoint_for=lambda _host, _port: next(endpoints),
            )
        ).addBoth(lambda result: outcome.append(getattr(result, "value", result)))
        self.run()
        return outcome

    def hello(self, channel, token=TOKEN):
        channel.send(m.Hello(1, (), "call", "photos", token))
        self.run()

    def pair(self):
        """Two channels that are identified, each with notes."""
        taken = []
        self.listener.expect(TOKEN, self.one.fingerprint).addCallback(taken.append)
        (connected,) = self.connect()
        self.hello(connected.channel)
        (server,) = taken
        notes = Notes(connected.channel), Notes(server)
        server.resume()
        self.run()
        return connected.channel, server, *notes


@pytest.fixture
def net():
    return Net()


def taken_by(expectation):
    outcome = []
    expectation.addBoth(lambda result: outcome.append(getattr(result, "value", result)))
    return outcome


# --- who is let in ----------------------------------------------------------------------------------------------------------------------


def test_announced_device_with_its_token_is_let_in(net):
    client, server, client_notes, server_notes = net.pair()
    assert server.hello == m.Hello(1, (), "call", "photos", TOKEN)
    assert (server.fingerprint, client.fingerprint) == (net.one.fingerprint, net.two.fingerprint)
    server.send(m.RoundEnd(1, False))
    client.send_bulk(FrameType.DATA, 7, b"x" * (MIB // 2))
    client.send(m.RoundEnd(2, True))
    net.run()
    assert client_notes.messages == [m.RoundEnd(1, False)]
    assert server_notes.data == b"x" * (MIB // 2)
    assert server_notes.messages == [m.RoundEnd(2, True)]
    assert server_notes.frames[0].transfer == 7


def test_wire_bytes_are_counted_tls_included(net):
    client, server, _, _ = net.pair()
    before = client.wire_sent
    client.send_bulk(FrameType.DATA, 1, bytes(MIB))
    net.run()
    assert MIB < client.wire_sent - before < MIB * 1.02
    assert client.wire_sent == server.wire_received
    assert client.frame_bytes_sent == server.frame_bytes_received


@pytest.mark.parametrize("case", ["wrong token", "no token", "wrong device", "nobody expected", "not hello"])
def test_others_are_refused(net, case):
    outcome = taken_by(net.listener.expect(TOKEN, net.one.fingerprint)) if case != "nobody expected" else []
    if case == "wrong device":
        # Known for another session, so TLS lets it through; the token is for somebody else.
        taken_by(net.listener.expect(b"S" * 32, net.stranger.fingerprint))
    found = net.connect(device=net.stranger if case == "wrong device" else None)
    notes = Notes(found[0].channel)
    if case == "nobody expected":  # already TLS refuses
        assert notes.lost is not None and notes.messages == []
        return
    if case == "not hello":
        found[0].channel.send(m.RoundEnd(0, False))
    else:
        net.hello(found[0].channel, {"wrong token": b"X" * 32, "no token": None}.get(case, TOKEN))
    net.run()
    (message,) = notes.messages
    assert isinstance(message, m.Error)
    assert "TTTT" not in message.message
    assert notes.lost is not None
    assert outcome == []
    # The owner of the token can still come.
    (connected,) = net.connect()
    net.hello(connected.channel)
    assert isinstance(outcome[0], DataChannel)


def test_a_token_is_good_once(net):
    net.pair()
    net.listener.expect(b"other" + TOKEN[5:], net.one.fingerprint).addErrback(lambda _failure: None)
    (again,) = net.connect()
    notes = Notes(again.channel)
    net.hello(again.channel)
    assert isinstance(notes.messages[0], m.Error)
    assert notes.lost is not None


def test_a_token_is_void_after_its_time(net):
    outcome = taken_by(net.listener.expect(TOKEN, net.one.fingerprint))
    net.run(TOKEN_LIFETIME + 1)
    (error,) = outcome
    assert isinstance(error, SessionError) and error.code == "no-data-connection"


def test_an_expectation_can_be_taken_back(net):
    expectation = net.listener.expect(TOKEN, net.one.fingerprint)
    outcome = taken_by(expectation)
    expectation.cancel()
    net.listener.expect(b"S" * 32, net.one.fingerprint).addErrback(lambda _failure: None)
    (connected,) = net.connect()
    notes = Notes(connected.channel)
    net.hello(connected.channel)
    assert notes.lost is not None
    assert len(outcome) == 1 and not isinstance(outcome[0], DataChannel)


def test_who_does_not_identify_himself_is_sent_away(net):
    taken_by(net.listener.expect(TOKEN, net.one.fingerprint, lifetime=1000))
    (connected,) = net.connect()
    notes = Notes(connected.channel)
    net.run(HELLO_TIMEOUT + 1)
    assert notes.lost is not None
    assert not net.listener._unidentified


def test_large_frame_before_identification_is_refused(net):
    taken_by(net.listener.expect(TOKEN, net.one.fingerprint))
    (connected,) = net.connect()
    notes = Notes(connected.channel)
    connected.channel.send(m.Error("x", "y" * 400))
    connected.channel._outbox.put(b"\x00\x00\x20\x00" + bytes(100))
    net.run()
    assert notes.lost is not None
    assert MAX_HELLO_FRAME < 0x2000


def test_a_frame_behind_the_hello_is_refused(net):
    outcome = taken_by(net.listener.expect(TOKEN, net.one.fingerprint))
    (connected,) = net.connect()
    connected.channel.send(m.Hello(1, (), "call", "photos", TOKEN))
    connected.channel.send(m.RoundEnd(0, False))
    net.run()
    (server,) = outcome
    notes = Notes(server)
    assert isinstance(notes.lost, ProtocolError)


def test_the_hall_is_not_crowded(net):
    taken_by(net.listener.expect(TOKEN, net.one.fingerprint, lifetime=1000))
    for _ in range(MAX_UNIDENTIFIED):
        net.connect()
    net.run()
    assert net.listener.crowded
    assert net.listener.factory.buildProtocol(None) is None
    net.run(HELLO_TIMEOUT + 1)
    assert not net.listener.crowded


def test_idle_connections_do_not_keep_the_port_shut(net):
    """Who holds as many as there may be pushes out his own, and neither who came before nor who comes now."""
    taken = taken_by(net.listener.expect(TOKEN, net.one.fingerprint, lifetime=1000))
    first = net.listener.factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 1))
    iosim.connect(first, iosim.FakeTransport(first, True), quiet := Protocol(), iosim.FakeTransport(quiet, False))
    for _ in range(3 * MAX_UNIDENTIFIED):
        idle = net.listener.factory.buildProtocol(IPv4Address("TCP", "192.0.2.66", 1))
        iosim.connect(idle, iosim.FakeTransport(idle, True), quiet := Protocol(), iosim.FakeTransport(quiet, False))
    assert net.listener.crowded
    assert not first._aborted and not idle._aborted
    outcome = net.connect()
    net.run()
    net.hello(outcome[0].channel)
    net.run()
    assert len(taken) == 1


def test_pings_of_who_does_not_read_are_not_answered_without_end(net):
    client, server, _, _ = net.pair()
    server._outbox.pauseProducing()
    before = server.frame_bytes_sent
    for _ in range(1000):
        client.transport.write(head(FrameType.PING, 0))
    net.run()
    assert server.frame_bytes_sent == before
    server._outbox.resumeProducing()
    client.transport.write(head(FrameType.PING, 0))
    net.run()
    assert server.frame_bytes_sent == before + len(head(FrameType.PONG, 0))


# --- flow control -----------------------------------------------------------------------------------------------------------------------


def test_sender_waits_while_the_transport_is_full(net):
    client, _, _, _ = net.pair()
    client._outbox.pauseProducing()
    fired = []
    client.drained().addCallback(lambda _none: fired.append(1))
    assert not fired
    client._outbox.resumeProducing()
    assert fired
    client.drained().addCallback(lambda _none: fired.append(2))
    assert fired == [1, 2]


def test_waiting_sender_learns_of_the_end(net):
    client, server, _, _ = net.pair()
    client._outbox.pauseProducing()
    errors = []
    client.drained().addErrback(lambda failure: errors.append(failure.value))
    server.abort()
    net.run()
    client.abort()
    assert isinstance(errors[0], SessionError)
    client.drained().addErrback(lambda failure: errors.append(failure.value))
    assert len(errors) == 2


def test_small_frames_leave_together(net):
    client, server, _, server_notes = net.pair()
    before, frames_before = client.wire_sent, client.frame_bytes_sent
    for number in range(100):
        client.send(m.RoundEnd(number, False))
    net.run()
    assert len(server_notes.messages) == 100
    # One TLS record (22 bytes and the frames), not a hundred.
    assert client.wire_sent - before < client.frame_bytes_sent - frames_before + 50
    assert server.frame_bytes_received == client.frame_bytes_sent


def test_paused_channel_reads_nothing_and_says_that_it_lives(net):
    client, server, client_notes, server_notes = net.pair()
    server.pause()
    transport = server.transport.transport
    assert transport.producerState == "paused" if hasattr(transport, "producerState") else True
    net.run(IDLE_TIMEOUT * 3)
    assert client_notes.lost is None and server_notes.lost is None
    server.resume()
    client.send(m.RoundEnd(1, False))
    net.run()
    assert server_notes.messages == [m.RoundEnd(1, False)]


# --- silence and the end ------------------------------------------------------------------------------------------------------------------


def test_silent_connections_stay_alive_by_pings(net):
    _, _, client_notes, server_notes = net.pair()
    net.run(IDLE_TIMEOUT * 5)
    assert client_notes.lost is None and server_notes.lost is None
    assert client_notes.frames == server_notes.frames == []


def test_dead_connection_is_given_up(net):
    _, _, client_notes, server_notes = net.pair()
    net.pumps.clear()
    net.run(IDLE_TIMEOUT + IDLE_PING)
    assert client_notes.lost.code == server_notes.lost.code == "timeout"


def test_error_is_told_before_closing(net):
    client, server, client_notes, server_notes = net.pair()
    server.close(SessionError("The disk is full.", "disk-full"))
    net.run()
    assert client_notes.messages == [m.Error("disk-full", "The disk is full.")]
    assert client_notes.lost.code == "connection-lost"
    assert server_notes.lost.code == "disk-full"
    assert client.transport is not None


def test_garbage_is_answered_by_an_error_and_the_end(net):
    client, _, client_notes, server_notes = net.pair()
    client._outbox.put(b"\x00\x00\x00\x01\x77")
    net.run()
    assert isinstance(server_notes.lost, ProtocolError)
    assert client_notes.messages[0].code == "protocol-error"


def test_mistake_of_a_receiver_ends_the_connection_in_good_order(net):
    client, server, client_notes, _ = net.pair()

    class Broken(Notes):
        def frame_received(self, frame):
            raise KeyError("oops")

    broken = Broken(server)
    client.send(m.RoundEnd(0, False))
    net.run()
    assert broken.lost.code == "internal-error"
    assert client_notes.messages[0].code == "internal-error"


def test_close_that_is_not_answered_is_cut(net):
    client, _, _, _ = net.pair()
    net.pumps.clear()
    client.close()
    net.run(10)
    assert client.transport.transport.disconnected or client.transport.transport.disconnecting


def test_receiver_set_late_is_told_of_the_end(net):
    client, _, _, _ = net.pair()
    client.abort()
    notes = Notes(client)
    assert notes.lost is not None


# --- the race ---------------------------------------------------------------------------------------------------------------------------


def test_first_address_that_works_is_taken(net):
    taken_by(net.listener.expect(TOKEN, net.one.fingerprint))
    outcome = net.connect("refused", "silent", "good", "good")
    assert net.tried == ["refused"]
    net.run(0.02, step=0.02)
    assert net.tried == ["refused", "silent"]
    net.run(CONNECT_STAGGER, step=0.05)
    (connected,) = outcome
    assert connected.address == ("host2", 2)
    assert [address for address, _reason in connected.failures] == [("host0", 0)]
    assert net.tried == ["refused", "silent", "good"]
    net.run(60)
    assert len(outcome) == 1


def test_no_address_works(net):
    outcome = net.connect("refused", "silent")
    net.run(CONNECT_TIMEOUT + 1, step=0.5)
    (error,) = outcome
    assert error.code == "unreachable"
    assert "host0 port 0: " in error.message and "host1 port 1: no answer in time" in error.message


def test_no_address_at_all(net):
    outcome = []
    Deferred.fromCoroutine(connect(net.clock, [], net.one, net.two.fingerprint, endpoint_for=None)).addErrback(
        lambda failure: outcome.append(failure.value)
    )
    assert outcome[0].code == "unreachable"


def test_wrong_device_at_an_address_is_passed_over(net):
    other = Listener(net.clock, net.stranger)
    other.expect(TOKEN, net.one.fingerprint, lifetime=1000)
    taken_by(net.listener.expect(TOKEN, net.one.fingerprint))
    outcome = net.connect(net.endpoint("good", other), "good")
    net.run(1)
    (connected,) = outcome
    assert connected.address == ("host1", 1)
    assert connected.channel.fingerprint == net.two.fingerprint


def test_connecting_can_be_cancelled(net):
    work = Deferred.fromCoroutine(
        connect(net.clock, [("a", 1)], net.one, net.two.fingerprint, endpoint_for=lambda _h, _p: net.endpoint("silent"))
    )
    errors = []
    work.addErrback(lambda failure: errors.append(failure))
    work.cancel()
    assert errors
    assert not net.clock.getDelayedCalls()


def test_nothing_is_left_on_the_clock(net):
    client, server, _, _ = net.pair()
    client.close()
    net.run(10)
    server.close()
    net.run(10)
    assert not net.clock.getDelayedCalls()


def test_a_port_that_is_none_is_said_in_one_sentence():
    refused = []
    Deferred.fromCoroutine(Listener(reactor, tls.new_device()).listen("tcp:70000")).addErrback(
        lambda failure: refused.append(failure.value)
    )
    (error,) = refused
    assert isinstance(error, ConfigError) and "0-65535" in error.message
    assert error.message.endswith(".") and not error.message.endswith("..")
