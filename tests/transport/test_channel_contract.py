"""The contract of data channels, kept by the real one on either way and by the double that the sessions' tests use."""

from __future__ import annotations

import pytest
from channel_contract import ChannelContract, Collected, Ends, content
from memory_channel import MemoryChannel
from twisted.internet.task import Clock

from twsync.limits import MIB
from twsync.peerwire.frames import FrameType


class Loop(Clock):
    """Runs in a turn what was asked for before it."""

    def __init__(self):
        super().__init__()
        self._calls = []

    def callFromThread(self, call):
        self._calls.append(call)

    def turn(self):
        calls, self._calls = self._calls, []
        for call in calls:
            call()
        self.advance(0.01)


class MemoryPair(Ends):
    """Two channels in memory."""

    def __init__(self, rate):
        self.loop = Loop()
        self.client, self.server = MemoryChannel.pair(self.loop, (None, rate), (None, rate))
        self.client_end, self.server_end = Collected(self.client), Collected(self.server)

    def step(self):
        self.loop.turn()

    def rest(self):
        for _ in range(1000):
            self.step()


class TestReal(ChannelContract):
    @pytest.fixture
    def ends(self, pair):
        return pair


class TestInMemory(ChannelContract):
    @pytest.fixture(params=[None, 100 * MIB])
    def ends(self, request):
        return MemoryPair(request.param)

    def test_memory_that_is_used_too_early_shows(self, ends):
        memory = bytearray(content(MIB))
        ends.client.send_bulk(FrameType.DATA, 7, memory)
        drained = ends.client.drained()
        assert not drained.called
        memory[-1] ^= 1
        ends.wait(drained)
        memory[0] ^= 1
        ends.turn(lambda: ends.server_end.data)
        assert bytes(ends.server_end.data) == content(MIB)[:-1] + bytes([memory[-1]]) != content(MIB)
