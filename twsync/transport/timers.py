"""Timers that cost nothing when they are reset often."""

from __future__ import annotations

from collections.abc import Callable

from twsync.transport.interfaces import Clock, Delayed


class IdleTimer:
    """Notices that nothing was heard for a while: first a question is asked, then the other side is given up.

    :meth:`heard` is called for every frame, so it only notes the time; the delayed call looks at the note when it is due and goes on
    from there, rather than being moved each time.

    :param ask_after: seconds without anything heard after which `ask` is called, once per silence.
    :param lost_after: seconds without anything heard after which `lost` is called, once.
    """

    def __init__(self, clock: Clock, ask_after: float, lost_after: float, ask: Callable[[], None], lost: Callable[[], None]) -> None:
        self._clock = clock
        self._ask_after = ask_after
        self._lost_after = lost_after
        self._ask = ask
        self._lost = lost
        self._last = 0.0
        self._asked = False
        self._call: Delayed | None = None

    def start(self) -> None:
        """Begin to watch; now counts as heard."""
        self.stop()
        self.heard()
        self._schedule(self._ask_after)

    def heard(self) -> None:
        """Something came."""
        self._last = self._clock.seconds()
        self._asked = False

    def cover(self) -> None:
        """Nothing can be heard until the next `start`: only ask, again and again, so that the other side hears of us."""
        self.stop()
        self._call = self._clock.callLater(self._ask_after, self._say)

    def stop(self) -> None:
        """Watch no longer; may be called at any time."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

    def _schedule(self, delay: float) -> None:
        # Never shorter than a tick, so that rounding cannot make it spin.
        self._call = self._clock.callLater(max(delay, 0.01), self._due)

    def _say(self) -> None:
        self.cover()
        self._ask()

    def _due(self) -> None:
        silent = self._clock.seconds() - self._last
        if silent >= self._lost_after:
            self._call = None
            self._lost()
            return
        if silent >= self._ask_after and not self._asked:
            self._asked = True
            self._ask()
        self._schedule((self._lost_after if self._asked else self._ask_after) - silent)
