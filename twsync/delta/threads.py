"""Threads for one piece of work: as much of a `concurrent.futures.Executor` as the core uses.

The real one has a condition for each call, and costs 50 µs more: a sixth of the processor time of a
search in a large file, where each portion of 1 MiB is a call. It loads `logging` and more, too, which takes the command 15 ms.
"""

from __future__ import annotations

from _queue import SimpleQueue
from _thread import allocate_lock, start_new_thread

TYPE_CHECKING = False  # so to type checkers it is true; see interface.py
if TYPE_CHECKING:
    from _thread import LockType
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Self


class _Call:
    """A call under way, as a `concurrent.futures.Future` shows it."""

    __slots__ = ("_done", "_error", "_value", "_work")

    def __init__(self, function: Callable[..., object], arguments: tuple[object, ...]) -> None:
        self._work: tuple[Callable[..., object], tuple[object, ...]] | None = (function, arguments)
        self._value: Any = None
        self._error: BaseException | None = None
        #: Held until the call has ended.
        self._done = allocate_lock()
        self._done.acquire()

    def run(self) -> None:
        """Make the call, in one of the threads."""
        assert self._work is not None
        function, arguments = self._work
        try:
            self._value = function(*arguments)
        except BaseException as error:
            self._error = error
        self._work = None  # what it was given is free
        self._done.release()
        del self  # the error has this frame

    def exception(self) -> BaseException | None:
        """Wait for its end; what it has raised."""
        with self._done:
            return self._error

    def result(self) -> Any:  # noqa: ANN401 - whatever the function gives
        """Wait for its end; what it gives or raises."""
        error = self.exception()
        if error is None:
            return self._value
        try:
            raise error
        finally:
            del error, self  # the error has this frame

    def cancel(self) -> bool:
        """It cannot be called back; who leaves waits for it."""
        return False


class Turn:
    """When it is the turn of one of several calls that do something one after the other.

    :param before: that of the call before.
    """

    __slots__ = ("_before", "_over")

    def __init__(self, before: Turn | None) -> None:
        self._before = before
        self._over = allocate_lock()
        self._over.acquire()

    def wait(self) -> None:
        """Until the turn of the call before is over. Once; every call has to, whatever happens to it."""
        if self._before is not None:
            self._before._over.acquire()
            self._before = None

    def end(self) -> None:
        """It is the next one's turn."""
        self._over.release()


class Threads:
    """Some threads, which have ended when the ``with`` block is left."""

    def __init__(self, count: int) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._count = count
        #: Of each thread that was started; held until it has ended.
        self._ends: list[LockType] = []

    def submit(self, function: Callable[..., object], *arguments: object) -> _Call:
        """Let one of the threads make a call."""
        call = _Call(function, arguments)
        self._calls.put(call)
        return call

    def __enter__(self) -> Self:
        try:
            for _ in range(self._count):
                end = allocate_lock()
                end.acquire()
                start_new_thread(self._work, (end,))
                self._ends.append(end)
        except BaseException:  # the system has no more threads
            self._leave()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._leave()

    def _leave(self) -> None:
        for _ in self._ends:
            self._calls.put(None)
        for end in self._ends:
            end.acquire()

    def _work(self, end: LockType) -> None:
        while (call := self._calls.get()) is not None:
            call.run()
            del call  # not kept while there is nothing to do
        end.release()
