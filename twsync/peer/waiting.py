"""Deadlines on what is waited for."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar, cast

from twisted.internet.defer import Deferred

from twsync.transport.interfaces import Clock

_T = TypeVar("_T")


def within(waited: Deferred[_T], seconds: float, clock: Clock) -> Deferred[_T]:
    """`waited`, cancelled after `seconds`; it then fails with Python's own `TimeoutError`."""

    def late(_result: object, _seconds: float) -> NoReturn:
        raise TimeoutError

    return waited.addTimeout(seconds, cast(Any, clock), late)
