"""What a data connection makes of unusual and of impossible TLS, either way."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

import pytest
from channel_contract import Collected, content, send_all
from tls_records import ALERT, CLOSE_NOTIFY, DATA, HANDSHAKE, KEY_UPDATE, KEY_UPDATE_ASKED, RecordPeer
from twisted.internet.defer import Deferred
from twisted.internet.selectreactor import SelectReactor

from twsync.errors import SessionError
from twsync.limits import MAX_TLS_STEPS, MIB
from twsync.peerwire import messages as m
from twsync.peerwire.frames import Frame, FrameType, encode, head
from twsync.transport import straighttls, tls, widetls
from twsync.transport.listener import Listener

TOKEN = b"T" * 32


class Attacked:
    """A server's channel, and a peer that makes its own records."""

    def __init__(self):
        self.reactor = SelectReactor()
        one, two = tls.new_device("one"), tls.new_device("two")
        self.listener = Listener(self.reactor, two)
        self.port = None
        Deferred.fromCoroutine(self.listener.listen("tcp:0:interface=127.0.0.1")).addCallback(lambda port: setattr(self, "port", port))
        self.turn()
        taken = []
        self.listener.expect(TOKEN, one.fingerprint).addCallback(taken.append)
        self.peer = RecordPeer(tls.data_client(one, two.fingerprint)._context, self.port, self.turn)
        hello = m.encode(m.Hello(1, (), "call", "photos", TOKEN))
        self.say(encode(Frame(FrameType.CONTROL, hello)))
        while not taken:
            self.turn()
        (self.channel,) = taken
        self.end = Collected(self.channel)
        self.channel.resume()
        self.channel.send(m.RoundEnd(0, False))
        self.turn()
        self.say(head(FrameType.PONG, 0))
        self.heard = []
        self.until(lambda: self.heard)
        self.heard.clear()

    def say(self, data):
        self.peer.send(self.peer.out.seal(DATA, data))

    def turn(self):
        self.reactor.iterate(0.001)

    def until(self, done, turns=3000):
        for _ in range(turns):
            if done():
                return
            self.heard += self.peer.hear()
        raise AssertionError("it hangs")

    def close(self):
        self.channel.abort()
        self.peer.socket.close()
        Deferred.fromCoroutine(self.listener.close())
        for _ in range(10):
            self.turn()
        assert self.end.lost
        assert [reader for reader in self.reactor.getReaders() if reader is not self.reactor.waker] == []


@pytest.fixture(params=["straight", "twisted"])
def attacked(request, monkeypatch):
    monkeypatch.setattr(straighttls, "openssl", None if request.param == "twisted" else request.getfixturevalue("functions"))
    made = Attacked()
    assert (made.channel.transport._straight is None) == (request.param == "twisted")
    yield made
    made.close()


def frames(data, size):
    return b"".join(encode(Frame(FrameType.DATA, data[at : at + size], 7)) for at in range(0, len(data), size))


@pytest.mark.parametrize("seed", range(6))
def test_records_and_packets_of_any_size_and_new_keys_between(attacked, seed):
    chance = random.Random(seed)
    data = content(3 * MIB, 5)
    stream, at, wire = frames(data, chance.choice([1000, 70_000, MIB])), 0, b""
    while at < len(stream):
        size = chance.choice([1, 5, 9, 16384, 16384, 16384])
        wire += attacked.peer.out.seal(DATA, stream[at : at + size], chance.choice([0, 0, 1, 100]) if size < 16000 else 0)
        at += size
        if chance.random() < 0.02:
            wire += attacked.peer.out.key_update(chance.choice([KEY_UPDATE, KEY_UPDATE_ASKED]))
    at = 0
    while at < len(wire):
        size = chance.choice([1, 5, 100, 5000, 300_000])
        attacked.peer.send(wire[at : at + size])
        at += size
        attacked.heard += attacked.peer.hear()
    attacked.until(lambda: len(attacked.end.data) >= len(data))
    assert bytes(attacked.end.data) == data


def test_answer_with_new_keys(attacked):
    attacked.peer.send(attacked.peer.out.key_update(KEY_UPDATE_ASKED))
    attacked.say(head(FrameType.PING, 0))
    attacked.until(lambda: (DATA, head(FrameType.PONG, 0)) in attacked.heard)
    assert (HANDSHAKE, KEY_UPDATE) in attacked.heard


@pytest.mark.parametrize("message", [KEY_UPDATE, KEY_UPDATE_ASKED])
def test_new_keys_without_end_end_the_connection(attacked, message):
    """OpenSSL would take in all that there are before it lets anybody else go on."""
    out = attacked.peer.out
    attacked.peer.send(b"".join(out.key_update(message) for _ in range(100)))
    attacked.say(head(FrameType.PING, 0))
    attacked.until(lambda: (DATA, head(FrameType.PONG, 0)) in attacked.heard)
    with suppress(ConnectionError):
        attacked.peer.send(b"".join(out.key_update(message) for _ in range(MAX_TLS_STEPS)))
    attacked.until(lambda: attacked.end.lost)


def test_nothing_in_records_without_end_ends_the_connection(attacked):
    with suppress(ConnectionError):
        attacked.peer.send(b"".join(attacked.peer.out.seal(DATA, b"", 1000) for _ in range(1000)))
    attacked.until(lambda: attacked.end.lost)


CLIENT_HELLO = b"\x01\x00\x00\x26\x03\x03" + bytes(36)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda out: out.seal(ALERT, CLOSE_NOTIFY),
        lambda out: out.seal(ALERT, b"\x02\x50"),  # an internal error of theirs
        lambda out: out.seal(ALERT, b"\x02"),
        lambda out: out.seal(HANDSHAKE, CLIENT_HELLO),  # what was a renegotiation once
        lambda out: out.seal(HANDSHAKE, KEY_UPDATE + b"\x01"),  # not at the end of its record
        lambda out: out.seal(HANDSHAKE, b"\x18\x00\x00\x01\x02"),
        lambda out: out.seal(99, b"what?"),
        lambda out: b"\x16\x03\x03\x00\x2a" + CLIENT_HELLO,  # not encrypted
        lambda out: out.seal(DATA, b"somebody else's")[:-1] + b"!",
        lambda out: b"\x17\x03\x03\xff\xff" + bytes(65535),
        lambda out: b"GET / HTTP/1.1\r\n\r\n",
        None,  # the TCP connection ends, TLS does not
    ],
)
@pytest.mark.parametrize("tiny", [False, True])
def test_what_came_before_the_end_of_tls_is_handed_on(attacked, wrong, tiny):
    data = content(2 * MIB + 77)
    payload = m.encode(m.RoundEnd(7, False))
    stream = (
        frames(data, MIB) + head(FrameType.PONG, 0) * (3 * widetls.STEPS if tiny else 0) + head(FrameType.CONTROL, len(payload)) + payload
    )
    out = attacked.peer.out
    wire = b"".join(out.seal(DATA, stream[at : at + 16384]) for at in range(0, len(stream), 16384))
    attacked.peer.send(wire + (wrong(out) if wrong else b""))
    if wrong:
        with suppress(ConnectionError):
            attacked.peer.send(out.seal(DATA, encode(Frame(FrameType.CONTROL, m.encode(m.RoundEnd(8, False))))))
    else:
        attacked.peer.socket.shutdown(socket.SHUT_WR)
    attacked.until(lambda: attacked.end.lost)
    assert bytes(attacked.end.data) == data
    assert attacked.end.messages == [m.RoundEnd(7, False)]
    assert attacked.end.lost.code == "connection-lost"
    attacked.until(lambda: attacked.peer.ended)


def test_the_other_side_closes_while_we_send(attacked):
    sending = send_all(attacked.channel, content(64 * MIB))
    for _ in range(10):
        attacked.turn()
    assert not sending.called
    attacked.peer.send(attacked.peer.out.seal(ALERT, CLOSE_NOTIFY))
    attacked.until(lambda: attacked.end.lost)
    failed = []
    sending.addErrback(failed.append)
    assert failed[0].check(SessionError)
    attacked.until(lambda: attacked.peer.ended)
