"""How long a partner may take: a session that does not get on is not waited for for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred

from twsync.limits import HTTP_TIMEOUT
from twsync.transport.interfaces import Clock

#: Seconds between two looks.
PAUSE = 30.0

T = TypeVar("T")


class Patience:
    """Ends a session that does not get on for `limits.HTTP_TIMEOUT` seconds, the time that a client waits for an answer.

    A connection that says a byte now and then, or messages that bring nothing, do not get it on.

    :param moved: grows when the session gets on.
    :param end: called once, when it did not; the time in which a message is at work does not count.
    """

    def __init__(self, clock: Clock, moved: Callable[[], float], end: Callable[[], None]) -> None:
        self._clock = clock
        self._moved = moved
        self._end = end
        self._working = 0
        self._last = moved()
        self._since = clock.seconds()
        self._timer = clock.callLater(PAUSE, self._look)

    def during(self, work: Deferred[T]) -> Deferred[T]:
        """A message is at work until `work` fires: the time is ours."""
        self._working += 1

        def done(result: T) -> T:
            self._working -= 1
            return result

        return work.addBoth(done)

    def stop(self) -> None:
        """The session is over."""
        if self._timer.active():
            self._timer.cancel()

    def _look(self) -> None:
        moved = self._moved()
        if moved > self._last or self._working:
            self._last, self._since = moved, self._clock.seconds()
        if self._clock.seconds() - self._since < HTTP_TIMEOUT:
            self._timer = self._clock.callLater(PAUSE, self._look)
        else:
            self._end()
