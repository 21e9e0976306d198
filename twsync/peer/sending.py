"""Content on its way out: frames that leave together, at the pace that the wire takes them."""

from __future__ import annotations

from collections.abc import Sequence

from twsync.peer.dialogue import Dialogue
from twsync.peer.largeread import DataFrame
from twsync.peer.pace import Pace
from twsync.transport.buffers import Buffers


class Sending:
    """Sends bulk frames and gives their memory back.

    :param buffers: where their memory came from.
    """

    def __init__(self, dialogue: Dialogue, pace: Pace, buffers: Buffers) -> None:
        self._dialogue = dialogue
        self._pace = pace
        self._buffers = buffers
        #: Bytes of content sent.
        self.content_bytes = 0

    async def send(self, transfer: int, frames: Sequence[DataFrame]) -> float:
        """Send frames together.

        :returns: seconds that the wire let us wait.
        """
        size = 0
        for kind, payload in frames:
            self._dialogue.say_bulk(kind, transfer, payload)
            size += len(payload)
        self.content_bytes += size
        before = self._pace.now()
        await self._dialogue.drained()
        waited = self._pace.now() - before
        self.give_back(frames)
        self._pace.sent(size, waited)
        return waited

    def give_back(self, frames: Sequence[DataFrame]) -> None:
        """The memory of frames that are sent, or need not be."""
        for _kind, payload in frames:
            self._buffers.give(payload)
