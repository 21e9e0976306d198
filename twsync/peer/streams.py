"""Where a session's blocking work is done, and the two belts between its threads and the reactor.

Scanning, hashing, reading and writing never happen in the reactor's thread. Short jobs go to the readers or the writers, two pools, so that
neither a slow disk below one collection nor a long hash keeps the other kind of work waiting. A job that lasts as long as a file is on
the wire (it waits for the network most of the time) goes to the streamers.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from twsync.errors import TwsyncError
from twsync.limits import MAX_SYNCML_THREADS, READ_AHEAD

T = TypeVar("T")
P = ParamSpec("P")


class ThreadReactor(Protocol):
    """What is asked of a reactor here."""

    def callFromThread(self, call: Callable[..., object], *args: object, **kwargs: object) -> None:
        """Call in the reactor's thread, soon; may be called from any thread."""


class Workshop:
    """The thread pools of a host's sessions; one for all of them.

    :param reactor: where results come back.
    :param threads: of readers and of writers; more than there are disks and cores helps nobody.
    :param streams: jobs of all sessions that wait for the network at once. A session has up to six (two large files each way, and the
        signatures of two); one that does not get its thread holds up its partner, so there must be enough for every session at once.
    """

    def __init__(self, reactor: ThreadReactor, threads: int = 4, streams: int = 6 * 40) -> None:
        self._reactor = reactor
        self._readers = ThreadPool(0, threads, "twsync readers")
        self._writers = ThreadPool(0, threads, "twsync writers")
        self._streamers = ThreadPool(0, streams, "twsync streams")
        self._answerers = ThreadPool(0, MAX_SYNCML_THREADS, "twsync answers")
        self._pools = (self._readers, self._writers, self._streamers, self._answerers)

    def start(self) -> None:
        """Start the pools; threads come when there is work."""
        for pool in self._pools:
            pool.start()

    def stop(self) -> None:
        """Wait for the work under way, and end all threads. Blocks: for the end of a process."""
        for pool in self._pools:
            pool.stop()

    def read(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Do a short job that reads."""
        return self._in(self._readers, job, *args, **kwargs)

    def write(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Do a short job that writes."""
        return self._in(self._writers, job, *args, **kwargs)

    def stream(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Do a job that waits for the network."""
        return self._in(self._streamers, job, *args, **kwargs)

    def answer(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Do a job that may wait for other jobs of its kind: a message of a SyncML client."""
        return self._in(self._answerers, job, *args, **kwargs)

    def back(self, call: Callable[..., object], *args: object) -> None:
        """From a thread: call in the reactor's."""
        self._reactor.callFromThread(call, *args)

    def _in(self, pool: ThreadPool, job: Callable[..., T], *args: object, **kwargs: object) -> Deferred[T]:
        done = deferToThreadPool(cast(Any, self._reactor), pool, _bare, partial(job, *args, **kwargs))
        return done


def _bare(job: Callable[[], T]) -> T:
    """Do a job; an error of ours that it raises leaves its frames behind.

    A session keeps its error, and frames that hang on it would be freed by the cycle collector only. Among their locals are memoryviews,
    and CPython crashes if it clears one in a cycle before its last reference is gone (seen with 3.11: `memory_clear`, `memory_dealloc`).
    """
    try:
        return job()
    except TwsyncError as error:
        links: list[BaseException] = [error]
        for link in links:
            link.__traceback__ = None
            links += [each for each in (link.__cause__, link.__context__) if each is not None and each not in links]
        raise


class Feed(Generic[T]):
    """From the reactor to a thread: the thread iterates, and waits when there is nothing yet.

    :param taken: called in the thread with the size of each chunk when the next one is asked for, which means that it is done with.
    """

    def __init__(self, taken: Callable[[int], None]) -> None:
        self._queue: queue.SimpleQueue[tuple[T | None, int, TwsyncError | None]] = queue.SimpleQueue()
        self._taken = taken
        self._ended = False

    def put(self, chunk: T, size: int) -> None:
        """One chunk; `size` is what it counts for."""
        self._queue.put((chunk, size, None))

    def end(self, error: TwsyncError | None = None) -> None:
        """No more chunks; with an error the iteration raises it when it comes there. The first call counts."""
        if not self._ended:
            self._ended = True
            self._queue.put((None, 0, error))

    def __iter__(self) -> Iterator[T]:
        while True:
            chunk, size, error = self._queue.get()
            if error is not None:
                raise error
            if chunk is None:
                return
            yield chunk
            self._taken(size)


class Draw(Generic[T]):
    """From a thread to the reactor: a streamer runs an iterable, a few elements ahead of who awaits them.

    :param source: run and, if it can be, closed in the streamer's thread.
    """

    def __init__(self, workshop: Workshop, source: Iterable[T], ahead: int = READ_AHEAD) -> None:
        self._workshop = workshop
        self._source = source
        # Counts as a semaphore does, in C: `threading.Semaphore` costs the reactor a sixth of its time in Python for a file's frames.
        self._room: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(ahead):
            self._room.put(None)
        self._stopped = False
        self._ready: deque[T] = deque()
        self._told = False
        self._over = False
        self._error: BaseException | None = None
        self._waiting: Deferred[None] | None = None
        #: Fires when the thread is done with the source, however it ended.
        self.finished: Deferred[None] = Deferred()
        workshop.stream(self._run).addErrback(self._fail).addCallback(self._end)

    async def next(self) -> T | None:
        """The next element, None at the end; raises what the source raised."""
        return self._take() if await self._come() else None

    async def some(self, most: int) -> list[T]:
        """The next element and those behind it that are there already; none at the end; raises what the source raised."""
        return [self._take() for _ in range(min(most, len(self._ready)))] if await self._come() else []

    async def _come(self) -> bool:
        while not self._ready:
            if self._error is not None:
                raise self._error
            if self._over:
                return False
            self._waiting = Deferred()
            await self._waiting
        return True

    def _take(self) -> T:
        self._room.put(None)
        return self._ready.popleft()

    def stop(self) -> None:
        """Want no more: the thread ends at its next element."""
        self._stopped = True
        self._ready.clear()
        self._room.put(None)

    def _run(self) -> None:
        source = iter(self._source)
        try:
            for element in source:
                self._room.get()
                if self._stopped:
                    return
                self._ready.append(element)
                if not self._told:
                    # Once for all elements until the reactor comes to it.
                    self._told = True
                    self._workshop.back(self._came)
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()

    def _came(self) -> None:
        self._told = False
        if not self._stopped:
            self._wake()

    def _fail(self, failure: Failure) -> None:
        self._error = failure.value

    def _end(self, _none: None) -> None:
        self._over = True
        # Who is woken may wait for it.
        self.finished.callback(None)
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)
