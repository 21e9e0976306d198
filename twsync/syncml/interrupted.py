"""What sessions that have not ended yet were begun as, so that a client that asks to go on gets the same kind of session."""

from __future__ import annotations

from contextlib import AbstractContextManager

from twsync import limits
from twsync.reconcile.model import SyncType


class Interrupted:
    """Sync types that clients asked for, by datastore; kept until the session has ended well, in memory and within bounds.

    :param lock: for several threads.
    """

    def __init__(self, lock: AbstractContextManager[object]) -> None:
        self._lock = lock
        self._asked: dict[tuple[str, str, str], SyncType] = {}

    def begin(self, account: str, device: str, name: str, asked: SyncType) -> None:
        """A session of a datastore begins."""
        with self._lock:
            self._asked.pop((account, device, name), None)
            self._asked[account, device, name] = asked
            while len(self._asked) > limits.MAX_SYNCML_INTERRUPTED:
                del self._asked[next(iter(self._asked))]

    def end(self, account: str, device: str, name: str) -> None:
        """It has ended well."""
        with self._lock:
            self._asked.pop((account, device, name), None)

    def asked(self, account: str, device: str, name: str) -> SyncType | None:
        """What the last session was begun as, if it has not ended; None, too, if nobody knows any more."""
        with self._lock:
            return self._asked.get((account, device, name))
