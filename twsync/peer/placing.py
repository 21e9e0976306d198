"""Puts changes into place in batches, one batch at a time, while the next ones gather.

A batch costs one durability barrier however many files it has, so a batch waits for company; but not for long, since what is in place when
a session dies needs not be sent again. While a batch is put into place the rows of the one before go into the journal, and the intents of
the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred, succeed

from twsync.errors import TwsyncError
from twsync.limits import BATCH_BYTES, BATCH_FILES, BATCH_SECONDS, MAX_BATCH_FILES
from twsync.peer.dialogue import Dialogue
from twsync.peer.streams import Workshop
from twsync.peer.tasks import Tasks
from twsync.store.apply import Applier, Batch
from twsync.store.changes import Change, Outcome
from twsync.transport.interfaces import Clock, Delayed


class Placer:
    """Feeds an `Applier`.

    :param done: called with each batch and what came of those of its changes that were not done.
    """

    def __init__(
        self,
        dialogue: Dialogue,
        tasks: Tasks,
        workshop: Workshop,
        clock: Clock,
        applier: Applier,
        done: Callable[[list[Change], list[Outcome]], None],
    ) -> None:
        self._dialogue = dialogue
        self._tasks = tasks
        self._workshop = workshop
        self._clock = clock
        self._applier = applier
        self._done = done
        self._waiting: deque[Change] = deque()
        self._bytes = 0
        self._busy = False
        #: Each fires when the last batch that has come so far is in place, and in the journal, or has failed.
        self._put: Deferred[None] = succeed(None)
        self._noted: Deferred[None] = succeed(None)
        self._flushing: Deferred[None] | None = None
        self._timer: Delayed | None = None
        dialogue.when_over(self._stopped)

    def add(self, changes: Iterable[Change]) -> None:
        """More changes, to be made after those before."""
        more = list(changes)
        self._waiting.extend(more)
        self._bytes += _bytes(more)
        if len(self._waiting) >= BATCH_FILES or self._bytes >= BATCH_BYTES:
            self._go()
        elif self._waiting and self._timer is None and not self._busy:
            self._timer = self._clock.callLater(BATCH_SECONDS, self._late)

    async def flush(self) -> None:
        """Return when everything added so far was dealt with."""
        while self._busy or self._waiting:
            self._dialogue.check()
            self._flushing = Deferred()
            waiting = self._flushing
            self._go()
            await waiting
        self._dialogue.check()

    def _late(self) -> None:
        self._timer = None
        self._go()

    def _go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._busy and self._waiting and self._dialogue.error is None:
            self._busy = True
            self._tasks.start(self._place())

    def _enough(self) -> bool:
        """Whether what waits need not wait for company."""
        return (
            bool(self._waiting)
            and self._dialogue.error is None
            and (self._flushing is not None or len(self._waiting) >= BATCH_FILES or self._bytes >= BATCH_BYTES)
        )

    async def _place(self) -> None:
        try:
            more = True
            while more:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH_FILES))]
                self._bytes -= _bytes(batch)
                begun = await self._workshop.write(self._applier.begin, batch)
                await self._put
                self._put = self._tasks.start(self._put_one(batch, begun))
                more = self._enough()
                if not more:
                    await self._put
                    await self._noted
                    more = self._enough()
        except BaseException:
            # The dialogue is about to fail of it, and that wakes who waits.
            self._busy = False
            raise
        self._busy = False
        if not self._waiting or self._dialogue.error is not None:
            self._wake()
        elif self._timer is None:
            self._timer = self._clock.callLater(BATCH_SECONDS, self._late)

    async def _put_one(self, changes: list[Change], batch: Batch) -> None:
        self._dialogue.check()
        await self._workshop.write(self._applier.put, batch)
        await self._noted
        self._noted = self._tasks.start(self._note(changes, batch))

    async def _note(self, changes: list[Change], batch: Batch) -> None:
        self._done(changes, await self._workshop.write(self._applier.note, batch))

    def _stopped(self, _error: TwsyncError) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiting.clear()
        if not self._busy:
            self._wake()

    def _wake(self) -> None:
        flushing, self._flushing = self._flushing, None
        if flushing is not None:
            flushing.callback(None)


def _bytes(changes: Iterable[Change]) -> int:
    """Of their content."""
    return sum([change.staged.size for change in changes if change.staged is not None])
