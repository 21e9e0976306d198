"""What a data channel does for a session, be it on a socket or in memory.

A test is given `ends` (see :class:`Ends`): two channels, `client` and `server`, each read by a :class:`Collected`, `client_end` and
`server_end`.
"""

from __future__ import annotations

import pytest
from strict_memory import OVERWRITTEN
from twisted.internet.defer import Deferred

from twsync.errors import SessionError
from twsync.limits import MIB
from twsync.peerwire import messages as m
from twsync.peerwire.frames import FrameType

#: Turns after which something hangs.
TURNS = 20_000


class Collected:
    """A receiver that adds up, and takes no more than it is allowed."""

    def __init__(self, channel):
        self.channel = channel
        self.data = bytearray()
        self.order = []
        self.messages = []
        self.lost = None
        self.pause_at = None
        self.keeps = None
        channel.receive(self)

    def frame_received(self, frame):
        assert self.lost is None
        self.order.append(frame.kind)
        if frame.kind is FrameType.CONTROL:
            self.messages.append(m.decode(frame.payload))
            return
        self.data += frame.payload
        if self.keeps is not None:
            self.keeps.append(frame)
        else:
            frame.release()
        if self.pause_at is not None and len(self.data) >= self.pause_at:
            self.channel.pause()

    def channel_lost(self, error):
        assert self.lost is None
        self.lost = error


class Ends:
    """Two channels and what makes things flow between them. Needs `step()`: one turn of it; `rest()`: let all that can flow now do so."""

    def turn(self, done):
        """Let things flow until `done()` is true."""
        for _ in range(TURNS):
            if done():
                return
            self.step()
        raise AssertionError("it hangs")

    def wait(self, deferred):
        """Its outcome."""
        outcome = []
        deferred.addBoth(outcome.append)
        self.turn(lambda: outcome)
        return outcome[0]


def content(size, salt=1):
    return (bytes((index * salt) & 0xFF for index in range(4096)) * (size // 4096 + 1))[:size]


def send_all(channel, data, piece=MIB, together=1):
    """Send in frames, as a session does: the next few when the channel can take them, out of memory that is used again."""

    async def sending():
        memory = [bytearray(piece) for _ in range(together)]
        for at in range(0, len(data), piece * together):
            for number, place in enumerate(range(at, min(at + piece * together, len(data)), piece)):
                part = data[place : place + piece]
                memory[number][: len(part)] = part
                channel.send_bulk(FrameType.DATA, 7, memoryview(memory[number])[: len(part)])
            await channel.drained()
            for each in memory:  # what is not on its way by now is lost
                each[:] = bytes([OVERWRITTEN]) * piece

    return Deferred.fromCoroutine(sending())


class ChannelContract:
    """Needs a fixture `ends`."""

    @pytest.mark.parametrize("together", [1, 5])
    def test_large_content_arrives_both_ways_at_once(self, ends, together):
        there, back = content(24 * MIB), content(20 * MIB, 3)
        sending = [send_all(ends.client, there, together=together), send_all(ends.server, back, 300_000, together)]
        ends.turn(lambda: len(ends.server_end.data) == len(there) and len(ends.client_end.data) == len(back))
        assert bytes(ends.server_end.data) == there
        assert bytes(ends.client_end.data) == back
        for each in sending:
            assert ends.wait(each) is None
        assert ends.client.wire_sent == ends.server.wire_received > len(there)
        assert ends.server.wire_sent == ends.client.wire_received < 1.01 * len(back) + 100_000

    def test_frames_keep_their_order_whatever_their_size(self, ends):
        sizes = (10, MIB, 0, 70_000, 1, 64 * 1024, 300)
        for number, size in enumerate(sizes):
            ends.client.send(m.RoundEnd(number, False))
            ends.client.send_bulk(FrameType.SIGNATURE if number % 2 else FrameType.DATA, number, content(size, number + 1))
        ends.client.send(m.RoundEnd(99, True))
        ends.turn(lambda: len(ends.server_end.messages) == len(sizes) + 1)
        assert ends.server_end.messages == [*(m.RoundEnd(number, False) for number in range(len(sizes))), m.RoundEnd(99, True)]
        assert bytes(ends.server_end.data) == b"".join(content(size, number + 1) for number, size in enumerate(sizes))
        bulk = [FrameType.SIGNATURE if number % 2 else FrameType.DATA for number in range(len(sizes))]
        assert ends.server_end.order == [kind for each in bulk for kind in (FrameType.CONTROL, each)] + [FrameType.CONTROL]

    def test_frames_that_are_kept_keep_their_content(self, ends):
        ends.server_end.keeps = []
        data = content(8 * MIB)
        send_all(ends.client, data)
        ends.turn(lambda: len(ends.server_end.data) == len(data))
        kept, ends.server_end.keeps = ends.server_end.keeps, None
        send_all(ends.client, content(8 * MIB, 3))
        ends.turn(lambda: len(ends.server_end.data) == 2 * len(data))
        assert b"".join(frame.payload for frame in kept) == data
        kept[0].release()
        assert set(bytes(kept[0].payload)) == {OVERWRITTEN}

    def test_sender_waits_for_a_receiver_that_does_not_read(self, ends):
        data = content(32 * MIB)
        ends.server_end.pause_at = 1
        sending = send_all(ends.client, data)
        ends.turn(lambda: ends.server_end.data)
        ends.rest()
        assert len(ends.server_end.data) < 8 * MIB and not sending.called
        ends.server_end.pause_at = None
        ends.server.resume()
        ends.turn(lambda: len(ends.server_end.data) == len(data))
        assert bytes(ends.server_end.data) == data
        assert ends.wait(sending) is None

    def test_what_was_sent_before_the_end_arrives(self, ends):
        data = content(16 * MIB)
        for at in range(0, len(data), MIB):  # far more than a socket takes, at once
            ends.client.send_bulk(FrameType.DATA, 7, data[at : at + MIB])
        ends.client.close(SessionError("The disk is full.", "disk-full"))
        ends.client.send(m.RoundEnd(1, False))  # too late
        ends.turn(lambda: ends.server_end.lost and ends.client_end.lost)
        assert bytes(ends.server_end.data) == data
        assert ends.server_end.messages == [m.Error("disk-full", "The disk is full.")]
        assert (ends.client_end.lost.code, ends.server_end.lost.code) == ("disk-full", "connection-lost")

    @pytest.mark.parametrize("paused", [False, True])
    def test_lost_connection_is_noticed_while_sending(self, ends, paused):
        if paused:
            ends.client.pause()
        sending = send_all(ends.client, content(32 * MIB))
        ends.turn(lambda: ends.server_end.data)
        ends.server.abort()
        assert ends.wait(sending).check(SessionError)
        ends.client.resume()
        ends.turn(lambda: ends.client_end.lost)
        assert ends.client_end.lost.code == "connection-lost"

    @pytest.mark.parametrize("end", ["abort", "close"])
    def test_who_waits_when_it_ends_is_told(self, ends, end):
        ends.server.pause()
        sending = send_all(ends.client, content(64 * MIB))
        ends.rest()
        assert not sending.called
        getattr(ends.client, end)()
        assert ends.wait(sending).check(SessionError)
        assert ends.wait(ends.client.drained()).check(SessionError)
        ends.server.resume()
        ends.turn(lambda: ends.server_end.lost and ends.client_end.lost)

    @pytest.mark.parametrize("end", ["abort", "close"])
    def test_end_by_the_receiver_of_a_frame(self, ends, end):
        taken = ends.server_end.frame_received

        def once(frame):
            taken(frame)
            getattr(ends.server, end)()

        ends.server_end.frame_received = once
        for number in range(1000):
            ends.client.send(m.RoundEnd(number, False))
        ends.turn(lambda: ends.server_end.lost and ends.client_end.lost)
        assert len(ends.server_end.messages) == 1

    @pytest.mark.parametrize("end", ["abort", "close"])
    def test_end_by_who_was_told_that_there_is_room(self, ends, end):
        data, failed = content(MIB), []
        for _ in range(8):
            ends.client.send_bulk(FrameType.DATA, 7, data)
        for _ in range(2):
            ends.client.drained().addCallback(lambda _none: getattr(ends.client, end)()).addErrback(failed.append)
        ends.turn(lambda: ends.server_end.lost and ends.client_end.lost)
        assert bytes(ends.server_end.data) == 8 * data if end == "close" else bytes(ends.server_end.data) in 8 * data
        assert all(failure.check(SessionError) for failure in failed)

    @pytest.mark.parametrize("end", ["abort", "close"])
    def test_end_by_who_is_told_the_end(self, ends, end):
        lost, waiting = ends.server_end.channel_lost, ends.server.drained()

        def again(error):
            lost(error)
            getattr(ends.server, end)()
            ends.server.send(m.RoundEnd(1, False))
            assert ends.wait(ends.server.drained()).check(SessionError)

        ends.server_end.channel_lost = again
        ends.client.close()
        ends.turn(lambda: ends.server_end.lost and ends.client_end.lost)
        assert ends.wait(waiting) is None
        assert ends.client_end.messages == []

    def test_mistake_of_a_receiver_ends_it(self, ends):
        def wrong(frame):
            raise SessionError("Not now.", "not-now")

        ends.server_end.frame_received = wrong
        ends.client.send(m.RoundEnd(1, False))
        ends.turn(lambda: ends.server_end.lost and ends.client_end.lost)
        assert ends.server_end.lost.code == "not-now"
        assert ends.client_end.messages == [m.Error("not-now", "Not now.")]
