"""The coroutines of one session: the first that fails ends the dialogue, and nobody leaves before all are done."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from twsync.errors import SessionError, TwsyncError
from twsync.peer.dialogue import Dialogue

_log = Logger()


class Tasks:
    """Coroutines that run beside the main line of a session."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._running = 0
        self._settled: list[Deferred[None]] = []

    def start(self, work: Coroutine[Any, Any, None]) -> Deferred[None]:
        """Run `work`; an error it raises ends the dialogue.

        :returns: fires when it is done, however it ended.
        """
        self._running += 1
        over: Deferred[None] = Deferred()
        Deferred.fromCoroutine(work).addErrback(self._failed).addCallback(self._done).addCallback(over.callback)
        return over

    async def settled(self) -> None:
        """Return when none is running; never fails."""
        while self._running:
            waiting: Deferred[None] = Deferred()
            self._settled.append(waiting)
            await waiting

    def _failed(self, failure: Failure) -> None:
        self._dialogue.fail(as_error(failure))

    def _done(self, _none: None) -> None:
        self._running -= 1
        if not self._running:
            settled, self._settled = self._settled, []
            for each in settled:
                each.callback(None)


def as_error(failure: Failure) -> TwsyncError:
    """Any failure as an error that both sides can be told; a mistake of ours goes to the log."""
    error = failure.value
    if isinstance(error, TwsyncError):
        return error
    if isinstance(error, CancelledError):
        return SessionError("The session was cancelled.", "cancelled")
    _log.failure("a session was ended by a mistake of twsync", failure)
    return SessionError("An internal error ended the session; the log of the device it happened on has the details.", "internal-error")
