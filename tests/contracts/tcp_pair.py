"""Two data channels over TCP on loopback; see channel_contract.py for what is asked of them."""

from __future__ import annotations

from channel_contract import Collected, Ends
from twisted.internet.defer import Deferred
from twisted.internet.selectreactor import SelectReactor

from twsync.peerwire import messages as m
from twsync.transport import tls
from twsync.transport.connector import connect
from twsync.transport.listener import Listener

TOKEN = b"T" * 32


class Pair(Ends):
    """Two identified channels over TCP on loopback, with a reactor of their own."""

    def __init__(self):
        self.reactor = SelectReactor()
        one, two = tls.new_device("one"), tls.new_device("two")
        self.listener = Listener(self.reactor, two)
        port = self.wait(Deferred.fromCoroutine(self.listener.listen("tcp:0:interface=127.0.0.1")))
        taken = self.listener.expect(TOKEN, one.fingerprint)
        connected = self.wait(Deferred.fromCoroutine(connect(self.reactor, [("127.0.0.1", port)], one, two.fingerprint)))
        self.client = connected.channel
        self.client.send(m.Hello(1, (), "call", "photos", TOKEN))
        self.server = self.wait(taken)
        self.client_end, self.server_end = Collected(self.client), Collected(self.server)
        self.server.resume()
        # The straight way begins with what comes when nothing waits to be written.
        for number in range(2):
            for channel, other in ((self.server, self.client_end), (self.client, self.server_end)):
                channel.send(m.RoundEnd(number, False))
                self.turn(lambda other=other, number=number: len(other.messages) > number)
        for end in (self.client_end, self.server_end):
            end.messages.clear()
            end.order.clear()

    def step(self):
        self.reactor.iterate(0.01)

    def rest(self):
        for _ in range(50):
            self.reactor.iterate(0)

    def close(self):
        self.client.abort()
        self.server.abort()
        self.wait(Deferred.fromCoroutine(self.listener.close()))
        self.turn(lambda: self.client_end.lost and self.server_end.lost)
        for _ in range(5):
            self.step()
        assert [reader for reader in self.reactor.getReaders() if reader is not self.reactor.waker] == []
        assert self.reactor.getWriters() == []


def way(channel):
    return channel.transport._straight
