"""Puts changes into place in batches, one batch at a time, while the next ones gather.

A batch costs one durability barrier however many files it has, so a batch waits for company; but not for long, since what is in place when
a session dies needs not be sent again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred

from twsync.errors import TwsyncError
from twsync.limits import BATCH_BYTES, BATCH_FILES, BATCH_SECONDS, MAX_BATCH_FILES
from twsync.peer.dialogue import Dialogue
from twsync.peer.streams import Workshop
from twsync.peer.tasks import Tasks
from twsync.store.apply import Applier
from twsync.store.changes import Change, Outcome
from twsync.transport.interfaces import Clock, Delayed


class Placer:
    """Feeds an `Applier`.

    :param done: called with each batch and what came of its changes.
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
        self._flushing: Deferred[None] | None = None
        self._timer: Delayed | None = None
        dialogue.when_over(self._stopped)

    def add(self, changes: Iterable[Change]) -> None:
        """More changes, to be made after those before."""
        for change in changes:
            self._waiting.append(change)
            if change.staged is not None:
                self._bytes += change.staged.size
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

    async def _place(self) -> None:
        try:
            while self._waiting and self._dialogue.error is None:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH_FILES))]
                self._bytes -= sum(change.staged.size for change in batch if change.staged is not None)
                self._done(batch, await self._workshop.write(self._applier.apply, batch))
                if self._flushing is None and len(self._waiting) < BATCH_FILES and self._bytes < BATCH_BYTES:
                    break
        except BaseException:
            # The dialogue is about to fail of it, and that wakes who waits.
            self._busy = False
            raise
        self._busy = False
        if not self._waiting or self._dialogue.error is not None:
            self._wake()
        elif self._timer is None:
            self._timer = self._clock.callLater(BATCH_SECONDS, self._late)

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
