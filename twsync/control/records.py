"""The daemon's way to the database: one thread, changes in order, as many in one transaction as have gathered.

With one commit for everything that came while the one before it was written, a thousand devices that come back at once cost a few
commits, not a thousand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from twsync.store.control import ControlDatabase
from twsync.store.control_rows import Transaction

T = TypeVar("T")
Change = Callable[[Transaction], T]
#: Runs a function elsewhere, one at a time; for tests, at once.
Run = Callable[[Callable[[], Any]], "Deferred[Any]"]


class Records:
    """Queue of what has to be asked of and written to the database.

    :param run: runs a function in the database's thread.
    """

    _log = Logger()

    def __init__(self, run: Run) -> None:
        self._database: ControlDatabase | None = None
        self._run = run
        self._queue: list[tuple[Change[Any], Deferred[Any]]] = []
        self._busy = False
        self._idle: list[Deferred[None]] = []

    def attach(self, database: ControlDatabase) -> None:
        """Go to work with this database."""
        self._database = database
        self._start()

    def close(self) -> None:
        """Take no more; what connections that end now would still have to say is said anew at the next start."""
        self._database = None

    def do(self, change: Change[T]) -> Deferred[T]:
        """Carry out `change` in a transaction; fires when that is committed, with what it returned, or with the StoreError."""
        result: Deferred[T] = Deferred()
        self._queue.append((change, result))
        self._start()
        return result

    def note(self, change: Change[None]) -> None:
        """Carry out `change` some time soon; a failure is logged."""
        self.do(change).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        self._log.error("not written to the database: {reason}", reason=failure.getErrorMessage())

    def idle(self) -> Deferred[None]:
        """Fires when everything is written."""
        result: Deferred[None] = Deferred()
        if self._busy or self._queue:
            self._idle.append(result)
        else:
            result.callback(None)
        return result

    def _start(self) -> None:
        if self._busy or self._database is None:
            return
        if not self._queue:
            waiting, self._idle = self._idle, []
            for each in waiting:
                each.callback(None)
            return
        batch, self._queue = self._queue, []
        self._busy = True
        database = self._database
        self._run(lambda: _carry_out(database, [change for change, _ in batch])).addBoth(self._carried_out, batch)

    def _carried_out(self, results: list[Any] | Failure, batch: list[tuple[Change[Any], Deferred[Any]]]) -> None:
        self._busy = False
        if isinstance(results, Failure):
            results = [results] * len(batch)
        for (_, deferred), result in zip(batch, results, strict=True):
            deferred.callback(result)  # a Failure fires the errbacks
        self._start()


def _carry_out(database: ControlDatabase, changes: list[Change[Any]]) -> list[Any]:
    """In the database's thread."""
    try:
        with database.transaction() as transaction:
            return [change(transaction) for change in changes]
    except Exception as error:
        if len(changes) == 1:
            return [Failure(error)]
    # One of them is to blame, and the others shall not suffer for it.
    return [_carry_out(database, [change])[0] for change in changes]
