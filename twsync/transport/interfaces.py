"""What is asked of Twisted's objects, as types that a type checker understands (zope's interfaces are none)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol


class Delayed(Protocol):
    """A call that is going to be made."""

    def active(self) -> bool:
        """Whether it is still to come."""

    def cancel(self) -> None:
        """Do not make it."""


class Clock(Protocol):
    """A reactor's sense of time; `twisted.internet.task.Clock` has it too."""

    def seconds(self) -> float:
        """The time, in seconds from any point."""

    def callLater(self, delay: float, call: Callable[..., object], *args: object, **kwargs: object) -> Delayed:
        """Call in `delay` seconds."""


class StreamTransport(Protocol):
    """A connected transport with flow control both ways."""

    def write(self, data: bytes | memoryview) -> None:
        """Send, or queue."""

    def writeSequence(self, iovec: Iterable[bytes | memoryview]) -> None:
        """The same with pieces, one after the other."""

    def loseConnection(self) -> None:
        """Close when everything written was sent."""

    def abortConnection(self) -> None:
        """Close at once."""

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Tell `producer` when to pause and resume."""

    def unregisterProducer(self) -> None:
        """No longer."""

    def pauseProducing(self) -> None:
        """Read no more for now."""

    def resumeProducing(self) -> None:
        """Read on."""
