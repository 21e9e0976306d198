"""Large files that come: asked for one by one, whole or as a delta, and put into staging while they come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred

from twsync.errors import ProtocolError, TwsyncError
from twsync.limits import FRAME_COST, MAX_LARGE_UNDER_WAY
from twsync.peer.backlog import Backlog
from twsync.peer.basis import Basis
from twsync.peer.dialogue import Dialogue
from twsync.peer.largefile import Chunks, NotComingError, Opening, open_large, signature, take_in
from twsync.peer.needs import Need
from twsync.peer.smallfiles import for_all
from twsync.peer.streams import Draw, Feed, Workshop
from twsync.peer.tasks import Tasks
from twsync.peerwire import messages
from twsync.peerwire.frames import Frame, FrameType
from twsync.store.paths import Gate
from twsync.store.signatures import Signatures
from twsync.store.staging import Partial, Staged, Staging


@dataclass(slots=True)
class _Large:
    """A large file under way."""

    need: Need
    partial: Partial
    feed: Chunks
    begun: bool = False
    ended: bool = False
    signing: bool = False
    "Whether its signature is on the way."


@dataclass(slots=True)
class Fetch:
    """A file that is fetched ahead of the plan, of whatever content it is."""

    need: Need
    over: Deferred[None] = field(init=False)
    "Fires when it is not under way any more."
    stopped: bool = False
    transfer: int = 0


@dataclass(slots=True)
class Answer:
    """What came of one large file."""

    need: Need
    status: str
    "`ok`, or why the other side does not send it."
    staged: list[Staged] | None
    "One for each change of the need; None if what came is not that content."
    fetch: Fetch | None = None
    "It came ahead of the plan."
    literal_bytes: int = 0
    matched_bytes: int = 0


class LargeFiles:
    """Gets large files.

    :param number: gives transfer numbers.
    :param done: called with what came of each file.
    """

    def __init__(
        self,
        dialogue: Dialogue,
        tasks: Tasks,
        workshop: Workshop,
        gate: Gate,
        staging: Staging,
        backlog: Backlog,
        *,
        seed: Callable[[], int],
        number: Callable[[], int],
        done: Callable[[Answer], None],
    ) -> None:
        self._dialogue = dialogue
        self._tasks = tasks
        self._workshop = workshop
        self._gate = gate
        self._staging = staging
        self._signatures = Signatures(gate)
        self._backlog = backlog
        self._seed = seed
        self._number = number
        self._done = done
        self._under_way: dict[int, _Large] = {}
        self._slots = MAX_LARGE_UNDER_WAY
        self._planned = False

    @property
    def room(self) -> bool:
        """Whether another file may be asked for."""
        return self._slots > 0

    @property
    def progress_bytes(self) -> int:
        """Bytes of files under way that are here."""
        return sum(large.partial.size for large in self._under_way.values())

    def get(self, need: Need) -> None:
        """Ask for a file, if there is `room`."""
        self._slots -= 1
        self._tasks.start(self._get(need))

    # --- ahead of the plan -------------------------------------------------------------------------------------------------------------

    def fetch(self, need: Need) -> Fetch:
        """Ask for an announced file, if there is `room`; the need has no content id."""
        self._slots -= 1
        fetch = Fetch(need)
        fetch.over = self._tasks.start(self._get(need, fetch))
        return fetch

    def claim(self, fetch: Fetch, content: bytes) -> None:
        """The plan has this content for it; so it is worth to be kept if the session breaks off."""
        large = self._under_way.get(fetch.transfer)
        if large is not None:
            self._tasks.start(self._claim(large.partial, content))

    def stop(self, fetch: Fetch) -> None:
        """The plan has no use for it."""
        fetch.stopped = True
        large = self._under_way.get(fetch.transfer)
        if large is not None and not large.ended and not large.signing:
            self._dialogue.say(messages.Stop(fetch.transfer))

    def planned(self) -> None:
        """The own plan is about to be said: nothing can be fetched any more that has not been."""
        self._planned = True

    async def _claim(self, partial: Partial, content: bytes) -> None:
        await self._workshop.write(partial.claim, content)

    # --- from the other side -----------------------------------------------------------------------------------------------------------

    def begins(self, message: messages.File) -> None:
        """The beginning of an answer."""
        large = self._find(message.transfer)
        if large.begun:
            raise ProtocolError("a file that begins twice")
        large.begun = True
        if message.status != "ok":
            _end(large, message.status)
        elif message.size != large.need.size:
            raise ProtocolError("a file of another size than its row")

    def ends(self, message: messages.FileEnd) -> None:
        """The end of an answer."""
        large = self._find(message.transfer)
        if not large.begun:
            raise ProtocolError("the end of a file that did not begin")
        _end(large, message.status)

    def bulk_received(self, frame: Frame) -> None:
        """Content."""
        large = self._find(frame.transfer)
        if not large.begun:
            raise ProtocolError("content before the file begins")
        size = len(frame.payload) + FRAME_COST
        self._backlog.add(size)
        large.feed.put(frame, size)

    def stopped(self, error: TwsyncError) -> None:
        """The dialogue is over: threads that wait for content must not wait any longer."""
        for large in self._under_way.values():
            large.feed.end(error)

    def _find(self, transfer: int) -> _Large:
        large = self._under_way.get(transfer)
        if large is None or large.ended:
            raise ProtocolError("an answer to what was not asked")
        return large

    # --- one file ----------------------------------------------------------------------------------------------------------------------

    async def _get(self, need: Need, fetch: Fetch | None = None) -> None:
        opening = await self._workshop.stream(open_large, need, self._gate, self._staging, self._seed())
        answer = Answer(need, "ok", None, fetch)
        try:
            staged = opening.staged
            if staged is None:
                staged = await self._transfer(opening, answer)
            else:
                answer.matched_bytes = need.size
            if staged is not None:
                answer.staged = await self._workshop.stream(for_all, need, staged, self._staging)
        except NotComingError as not_coming:
            answer.status = not_coming.code
        finally:
            self._slots += 1
            opening.close()
        self._dialogue.check()
        self._done(answer)

    async def _transfer(self, opening: Opening, answer: Answer) -> Staged | None:
        need, fetch = answer.need, answer.fetch
        transfer = self._number()
        mode = "whole" if opening.basis is None else "delta"
        feed: Chunks = Feed(self._backlog.taken)
        large = self._under_way[transfer] = _Large(need, opening.partial, feed)
        try:
            if fetch is None:
                self._dialogue.say(messages.Want(files=((transfer, need.key, need.content, mode, opening.offset),)))
            else:
                if fetch.stopped or self._planned:
                    raise NotComingError("", "stopped")
                fetch.transfer = transfer
                self._dialogue.say(messages.Fetch(transfer, need.key, mode))
            if opening.basis is not None:
                await self._send_signature(transfer, large, opening.basis, opening.older, fetch)
            staged, answer.literal_bytes, answer.matched_bytes = await self._workshop.stream(take_in, need, opening, feed, self._signatures)
            return staged
        finally:
            del self._under_way[transfer]

    async def _send_signature(self, transfer: int, large: _Large, basis: Basis, older: bytes, fetch: Fetch | None) -> None:
        large.signing = True
        draw: Draw[bytes] = Draw(self._workshop, signature(basis, older, self._signatures, self._seed()))
        try:
            while (chunk := await draw.next()) is not None and not (fetch and fetch.stopped):
                self._dialogue.say_bulk(FrameType.SIGNATURE, transfer, chunk)
                await self._dialogue.drained()
        finally:
            draw.stop()
            await draw.finished
        large.signing = False
        if fetch and fetch.stopped:
            self._dialogue.say(messages.Stop(transfer))
        else:
            self._dialogue.say_bulk(FrameType.SIGNATURE, transfer, b"")


def _end(large: _Large, status: str) -> None:
    large.ended = True
    large.feed.end(None if status == "ok" else NotComingError("", status))
