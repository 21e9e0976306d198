"""Threads for one piece of work."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable

import pytest

import twsync.delta.threads as threads_of
from twsync.delta.threads import Threads


def test_calls_and_results() -> None:
    """Each call is made once, and gives what it gives, in whatever order they are asked for."""
    with Threads(2) as threads:
        calls = [threads.submit(pow, number, 2) for number in range(200)]
        assert [call.result() for call in reversed(calls)] == [number**2 for number in reversed(range(200))]
        assert calls[0].result() == 0
        assert calls[0].exception() is None
        assert not calls[0].cancel()


def test_errors_come_through() -> None:
    """As often as they are asked for; the thread goes on."""
    with Threads(1) as threads:
        call = threads.submit(int, "x")
        for _ in range(2):
            with pytest.raises(ValueError, match="invalid literal"):
                call.result()
        assert isinstance(call.exception(), ValueError)
        assert threads.submit(int, "7").result() == 7


def test_errors_hang_in_no_cycle() -> None:
    """What a call that failed had in its hands is free as soon as nobody asks for the error any more."""
    seen: list[weakref.ref[threading.Event]] = []

    def fail() -> None:
        held = threading.Event()
        seen.append(weakref.ref(held))
        raise ValueError

    gc.disable()
    try:
        with Threads(1) as threads:
            threads.submit(fail).exception()
            with pytest.raises(ValueError):
                threads.submit(fail).result()
        assert [reference() for reference in seen] == [None, None]
    finally:
        gc.enable()


def test_several_at_once() -> None:
    """Two calls that wait for each other both end."""
    barrier = threading.Barrier(2, timeout=30)
    with Threads(2) as threads:
        assert sorted(call.result() for call in [threads.submit(barrier.wait) for _ in range(2)]) == [0, 1]


def test_block_is_left_when_all_is_done() -> None:
    """Calls that were submitted are made before, also if the block is left by an error."""
    made: list[int] = []
    with pytest.raises(ZeroDivisionError), Threads(2) as threads:
        for number in range(50):
            threads.submit(made.append, number)
        raise ZeroDivisionError
    assert sorted(made) == list(range(50))


def test_threads_that_cannot_all_be_started_leave_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system has no more threads: those that were started end."""
    started: list[threading.Event] = []

    def start(work: Callable[..., None], arguments: tuple[object, ...]) -> None:
        if started:
            raise RuntimeError("can't start new thread")
        ended = threading.Event()
        started.append(ended)
        threading.Thread(target=lambda: (work(*arguments), ended.set())).start()

    monkeypatch.setattr(threads_of, "start_new_thread", start)
    with pytest.raises(RuntimeError, match="can't start"), Threads(2):
        pass
    assert started[0].wait(30)
