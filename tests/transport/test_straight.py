"""Data connections on real sockets: the straight way between OpenSSL and the socket, beside Twisted's, and one end of each."""

from __future__ import annotations

import os
import socket
from types import SimpleNamespace

import pytest
from channel_contract import content, send_all
from OpenSSL.SSL import WantReadError
from tcp_pair import Pair, way
from twisted.internet.protocol import Protocol

from twsync.errors import SessionError
from twsync.limits import MIB
from twsync.peerwire import messages as m
from twsync.peerwire.frames import FrameType, Room, head
from twsync.transport import openssl, straight, straighttls, widetls


def test_nothing_waits_for_an_acknowledgement(pair):
    assert [bool(channel.transport.getTcpNoDelay()) for channel in (pair.client, pair.server)] == [True, True]


def test_small_pieces_are_one_record(pair):
    pair.server.become(taken := Echo(False))
    pair.client.hush()
    before = pair.client.wire_sent
    pair.client._wire.writeSequence(b"%d," % number for number in range(1000))
    pair.turn(lambda: len(taken.data) == 3890)
    assert bytes(taken.data) == b"".join(b"%d," % number for number in range(1000))
    assert pair.client.wire_sent - before < 3890 + 100


def test_buffers_of_the_system_may_be_small(pair):
    for channel in (pair.client, pair.server):
        channel.transport.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    pair.server.transport.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    there, back = content(20_000), content(MIB, 3)
    sending = [send_all(pair.client, there, 5000), send_all(pair.server, back, 200_000, 3)]
    pair.turn(lambda: len(pair.server_end.data) == len(there) and len(pair.client_end.data) == len(back))
    assert (bytes(pair.server_end.data), bytes(pair.client_end.data)) == (there, back)
    for each in sending:
        assert pair.wait(each) is None


def test_silent_end_of_the_other_process_is_noticed(pair):
    # What the kernel does when a process is killed: the socket closes, TLS does not.
    pair.server.transport.transport.abortConnection()
    pair.turn(lambda: pair.client_end.lost is not None)
    assert pair.client_end.lost.code == "connection-lost"


class Flood:
    """Tiny frames, far more than are taken in during one turn, in few records."""

    ping = head(FrameType.PING, 0)

    def __init__(self, pair, behind=b""):
        self.pair = pair
        pair.client._wire.write(self.ping * (10 * widetls.STEPS) + behind)

    def turn(self):
        """One turn of the reactor; how many frames were taken in."""
        before = self.pair.server.frame_bytes_received
        self.pair.reactor.iterate(0.01)
        return (self.pair.server.frame_bytes_received - before) // len(self.ping)


def test_tiny_frames_do_not_hold_up_everybody_else(pair):
    flood = Flood(pair)
    taken = [flood.turn() for _ in range(20)]
    assert sum(taken) == 10 * widetls.STEPS, "also those of which the socket does not tell any more"
    assert max(taken) <= 2 * widetls.STEPS


def message(number):
    payload = m.encode(m.RoundEnd(number, False))
    return head(FrameType.CONTROL, len(payload)) + payload


def test_behind_tiny_frames_the_order_is_kept(pair):
    Flood(pair, message(7))
    pair.client.send(m.RoundEnd(8, False))
    pair.client.send_bulk(FrameType.DATA, 7, content(MIB))
    pair.client.close(SessionError("The disk is full.", "disk-full"))
    pair.turn(lambda: pair.server_end.lost and pair.client_end.lost)
    assert pair.server_end.messages == [m.RoundEnd(7, False), m.RoundEnd(8, False), m.Error("disk-full", "The disk is full.")]
    assert bytes(pair.server_end.data) == content(MIB)


def test_who_pauses_between_tiny_frames_is_given_no_more_than_what_was_read(pair):
    flood = Flood(pair)
    while not flood.turn():
        pass
    pair.server.pause()
    pair.turn(lambda: not flood.turn())
    before = pair.server.frame_bytes_received
    sending = send_all(pair.client, content(16 * MIB))
    for _ in range(50):
        assert not flood.turn()
    assert pair.server.frame_bytes_received == before and not sending.called
    pair.server.resume()
    pair.turn(lambda: len(pair.server_end.data) == 16 * MIB)
    pair.wait(sending)


def test_frames_before_an_impossible_record_are_handed_on(pair):
    Flood(pair, message(7))
    raw = b"\x17\x03\x03\x00\x20" + bytes(32)  # not encrypted by who it seems to be from
    if way(pair.client):
        os.write(way(pair.client).fileno(), raw)
    else:
        pair.client.transport.transport.write(raw)
    pair.turn(lambda: pair.server_end.lost)
    assert pair.server_end.messages[-1] == m.RoundEnd(7, False)


@pytest.mark.parametrize("mistake", [False, True])
def test_end_between_tiny_frames(pair, monkeypatch, mistake):
    flood = Flood(pair)
    took, mistakes = pair.server.took, [ZeroDivisionError()]

    def failing(count):
        if mistakes:
            raise mistakes.pop()
        took(count)

    while not flood.turn():
        pass
    if mistake:
        monkeypatch.setattr(pair.server, "took", failing)
    else:
        pair.server.abort()
    for _ in range(20):
        pair.reactor.iterate(0.01)
    assert pair.server_end.lost and pair.client_end.lost


def test_impossible_frame_ends_the_connection(pair):
    pair.client._wire.write(b"\x00\x00\x00\x05\xee1234" + bytes(MIB))
    pair.turn(lambda: pair.client_end.lost and pair.server_end.lost)
    assert pair.server_end.lost.code == "protocol-error"
    (error,) = (message for message in pair.client_end.messages if isinstance(message, m.Error))
    assert error.code == "protocol-error"


def test_both_ways_understand_each_other(functions, monkeypatch):
    chosen = iter([functions, None])
    original = straighttls.StraightTls._straighten

    def only_the_first(self):
        if "way" not in vars(self):
            self.way = next(chosen)
        monkeypatch.setattr(straighttls, "openssl", self.way)
        original(self)

    monkeypatch.setattr(straighttls.StraightTls, "_straighten", only_the_first)
    pair = Pair()
    assert (way(pair.client) is None) != (way(pair.server) is None)
    data = content(8 * MIB)
    send_all(pair.client, data)
    send_all(pair.server, data)
    pair.turn(lambda: len(pair.server_end.data) == len(pair.client_end.data) == len(data))
    assert bytes(pair.server_end.data) == bytes(pair.client_end.data) == data
    pair.close()


def test_pure_core_goes_twisteds_way(monkeypatch):
    monkeypatch.setenv("TWSYNC_DELTA", "pure")
    assert openssl._find() is None


def test_closed_by_a_callback_of_openssl(straight_pair):
    # What OpenSSL is reading is taken from it only when it has come back.
    pair = straight_pair
    made, connection = way(pair.server), pair.server.transport._tlsConnection
    lib, seen = made._lib, []

    def receive(*arguments):
        made.close()
        seen.append((made.closed, made._connection is connection))
        return lib.twb_receive(*arguments)

    made._lib = SimpleNamespace(twb_receive=receive)
    assert made.receive([Room(memoryview(bytearray(10)))], 10) == (straight.Result.LOST, 0)
    assert seen == [(True, True)] and made._connection is None
    with pytest.raises(WantReadError):
        connection.recv(10)


def test_other_names_in_pyopenssl(functions, monkeypatch):
    monkeypatch.setattr(straighttls, "openssl", functions)
    monkeypatch.setattr(openssl.OpenSSL, "take", lambda _self, connection: connection._renamed)
    pair = Pair()
    assert way(pair.client) is way(pair.server) is None
    data = content(MIB)
    send_all(pair.client, data)
    pair.turn(lambda: len(pair.server_end.data) == len(data))
    pair.close()


class Clumsy(Protocol):
    """Makes a mistake."""

    lost = False

    def dataReceived(self, data):
        raise ZeroDivisionError

    def connectionLost(self, reason):
        self.lost = True


def test_mistake_of_another_protocol_ends_the_connection(pair):
    clumsy = Clumsy()
    pair.server.become(clumsy)
    pair.client.hush()
    pair.client._wire.write(b"anything")
    pair.turn(lambda: clumsy.lost and pair.server_end.lost and pair.client_end.lost)


class Echo(Protocol):
    """Another protocol: sends back what comes, and remembers it."""

    def __init__(self, answers):
        self.answers = answers
        self.data = bytearray()
        self.lost = False

    def dataReceived(self, data):
        self.data += data
        if self.answers:
            self.transport.write(bytes(data).upper())

    def connectionLost(self, reason):
        self.lost = True


def test_another_protocol_takes_over_whatever_the_way(pair):
    caller, callee = Echo(False), Echo(True)
    pair.server.become(callee)
    pair.client.hush()
    pair.client.become(caller)
    text = b"abcdefgh" * MIB
    caller.transport.write(text)
    pair.turn(lambda: len(caller.data) == len(text))
    assert bytes(callee.data) == text and bytes(caller.data) == text.upper()
    caller.transport.loseConnection()
    pair.turn(lambda: caller.lost and callee.lost)
