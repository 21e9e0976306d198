"""Large files that go: read and sent one by one, whole or as a delta of a signature that comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twsync.errors import ProtocolError
from twsync.limits import MAX_LARGE_UNDER_WAY, MAX_SIGNATURE, READ_AHEAD, SLOW_SENDING
from twsync.peer.dialogue import Dialogue
from twsync.peer.largeread import Chunk, DataFrame, WantedFile, check_signature
from twsync.peer.sending import Sending
from twsync.peer.streams import Draw, Workshop
from twsync.peer.tasks import Tasks
from twsync.peerwire import messages
from twsync.peerwire.frames import Frame
from twsync.store.source import CHANGED


class LargeSupply:
    """Gives large files.

    :param read: gives what is to be said of a file, in a streamer's thread; see `largeread.read_large`.
    :param answered: called with each file and its status, before its last message is said: the other side may then ask for more.
    """

    def __init__(
        self,
        dialogue: Dialogue,
        tasks: Tasks,
        workshop: Workshop,
        sending: Sending,
        *,
        read: Callable[[WantedFile], Iterator[Chunk]],
        answered: Callable[[WantedFile, str], None],
    ) -> None:
        self._dialogue = dialogue
        self._tasks = tasks
        self._workshop = workshop
        self._sending = sending
        self._read = read
        self._on_answer = answered
        self._under_way: dict[int, WantedFile] = {}
        self._draws: set[Draw[Chunk]] = set()

    def want(self, wanted: WantedFile) -> None:
        """A want, or a fetch ahead of the plan.

        :raises ProtocolError: there are too many at once.
        """
        if len(self._under_way) >= MAX_LARGE_UNDER_WAY:
            raise ProtocolError("too many large files asked for at once")
        self._under_way[wanted.transfer] = wanted
        if wanted.mode == "whole":
            self._start(wanted)
        elif wanted.reading is not None:
            wanted.reading.expect(wanted.item.size)

    def stop(self, transfer: int) -> None:
        """What was fetched ahead is not wanted any more.

        :raises ProtocolError: it was not fetched ahead.
        """
        wanted = self._under_way.get(transfer)
        if wanted is None:
            return  # its end is on the way
        if wanted.reading is None:
            raise ProtocolError("a stop of what was not fetched ahead")
        wanted.stopped = True
        if not wanted.started:
            wanted.started = True
            self._answered(wanted, CHANGED)
            self._dialogue.say(messages.File(transfer, CHANGED, 0))

    def bulk_received(self, frame: Frame) -> None:
        """A piece of a signature; an empty one ends it.

        :raises ProtocolError: nobody asked for it, or it cannot be one.
        """
        wanted = self._under_way.get(frame.transfer)
        if wanted is None or wanted.mode != "delta" or wanted.started:
            raise ProtocolError("a signature that nobody asked for")
        if frame.payload:
            wanted.signature += frame.payload
            if len(wanted.signature) > MAX_SIGNATURE:
                raise ProtocolError("a signature that is too large")
        else:
            check_signature(wanted.signature, wanted.item.size)
            self._start(wanted)

    def end(self) -> None:
        """The dialogue is over: what is being read is not wanted any more."""
        for draw in self._draws:
            draw.stop()

    def _start(self, wanted: WantedFile) -> None:
        wanted.started = True
        self._tasks.start(self._answer(wanted))

    async def _answer(self, wanted: WantedFile) -> None:
        draw: Draw[Chunk] = Draw(self._workshop, self._read(wanted))
        self._draws.add(draw)
        try:
            status = await draw.next()
            self._dialogue.check()
            assert isinstance(status, str)
            if status == "ok":
                self._dialogue.say(messages.File(wanted.transfer, status, wanted.item.size))
                end, most = None, READ_AHEAD
                while end is None:
                    frames, end = await self._next(draw, most)
                    if wanted.stopped:  # what was read ahead is not wanted either
                        self._sending.give_back(frames)
                        end = end and CHANGED
                        continue
                    # One after the other where they take their time: what else is said waits behind them.
                    most = 1 if await self._sending.send(wanted.transfer, frames) > SLOW_SENDING else READ_AHEAD
                self._answered(wanted, end)
                self._dialogue.say(messages.FileEnd(wanted.transfer, end))
            else:
                self._answered(wanted, status)
                self._dialogue.say(messages.File(wanted.transfer, status, 0))
                await self._dialogue.drained()
        finally:
            draw.stop()
            await draw.finished
            self._draws.discard(draw)

    def _answered(self, wanted: WantedFile, status: str) -> None:
        del self._under_way[wanted.transfer]
        self._on_answer(wanted, status)

    async def _next(self, draw: Draw[Chunk], most: int) -> tuple[list[DataFrame], str | None]:
        """The frames that are there, and the status behind them."""
        chunks = await draw.some(most)
        self._dialogue.check()
        # It only ends before its last status when it was stopped.
        assert chunks
        frames = [chunk for chunk in chunks if not isinstance(chunk, str)]
        return frames, chunks[-1] if isinstance(chunks[-1], str) else None
