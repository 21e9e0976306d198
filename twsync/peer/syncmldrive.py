"""Runs a SyncML client session: its requests over HTTP, its work in a thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from twsync.errors import SessionError
from twsync.limits import SYNCML_RETRIES, SYNCML_RETRY_PAUSE
from twsync.syncml.client import ClientSession
from twsync.syncml.clientresult import Error, Request, Result
from twsync.transport.http import Answer, Post
from twsync.transport.interfaces import Clock

#: Errors after which the same message is sent again: the reply may have been lost, and the server gives it again.
_PASSING = frozenset({"unreachable", "timeout", "connection-lost"})

T = TypeVar("T")


class InThread(Protocol):
    """:meth:`twsync.peer.streams.Workshop.write`."""

    def __call__(self, job: Callable[..., Request | Result], *args: object) -> Deferred[Request | Result]:
        """Call in a thread."""


async def drive(
    session: ClientSession,
    post: Post,
    in_thread: InThread,
    clock: Clock,
    now: Callable[[], float],
    progress: Callable[[], None],
    retries: int = SYNCML_RETRIES,
) -> Result:
    """Run a session to its end.

    :param post: over one data channel, or to any URL.
    :param now: seconds since 1970.
    :param progress: told after every message.
    :param retries: times that a message is sent again whose reply did not come.
    :returns: what it came to, also if the server cannot be reached.
    """
    outcome = await _to_its_end(in_thread(session.start, now()))
    while isinstance(outcome, Request):
        progress()
        if outcome.delay:
            await _sleep(clock, outcome.delay)
        try:
            answer = await _asked(outcome, post, clock, retries)
        except SessionError as error:
            outcome = await _to_its_end(in_thread(session.abort, Error.of(error)))
            continue
        if answer.status == 200:
            outcome = await _to_its_end(in_thread(session.receive, answer.body, answer.content_type, now()))
        else:
            outcome = await _to_its_end(in_thread(session.refused, answer.status, now()))
    return outcome


async def _to_its_end(job: Deferred[T]) -> T:
    """What a thread does. Cancelled meanwhile, it ends when the thread is done: what the thread works with is closed next."""
    awaited: Deferred[T] = Deferred()
    done: Deferred[None] = Deferred()

    def tell(result: T | Failure) -> None:
        done.callback(None)
        if not awaited.called:
            awaited.callback(cast(T, result))

    job.addBoth(tell)
    try:
        return await awaited
    except CancelledError:
        await done
        raise


async def _asked(request: Request, post: Post, clock: Clock, retries: int) -> Answer:
    pause = SYNCML_RETRY_PAUSE
    for left in range(retries, -1, -1):
        try:
            return await post(request.url, request.content_type, request.body)
        except SessionError as error:
            if error.code not in _PASSING or not left:
                raise
        await _sleep(clock, pause)
        pause *= 2
    raise AssertionError("the last try returns or raises")


async def _sleep(clock: Clock, seconds: float) -> None:
    slept: Deferred[None] = Deferred()
    timer = clock.callLater(seconds, slept.callback, None)
    try:
        await slept
    finally:
        if timer.active():
            timer.cancel()
