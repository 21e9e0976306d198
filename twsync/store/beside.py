"""Threads beside the one that does a piece of work: it goes on, and takes their results in the order in which it asked for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class Beside:
    """Jobs for threads that are started when there are some. Use it by `with`: it is left when they have ended.

    :param threads: one does all jobs in their order.
    :param ahead: jobs that may wait or be under way before `run` waits for the first of them.
    """

    def __init__(self, threads: int, ahead: int) -> None:
        self._threads = threads
        self._ahead = ahead
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: deque[tuple[Future[Any], Callable[[Any], None]]] = deque()

    def __enter__(self) -> Beside:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def run(self, then: Callable[[T], None], job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> None:
        """Do a job there; its result goes to `then`, here, at a later `run` or at `finish`, which also raise what it raises."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, "twsync beside")
        self._waiting.append((self._pool.submit(job, *args, **kwargs), then))
        while len(self._waiting) > self._ahead:
            self._take()

    def finish(self) -> None:
        """Wait for all of them."""
        while self._waiting:
            self._take()

    def _take(self) -> None:
        future, then = self._waiting.popleft()
        then(future.result())
