"""Failed sign-ins are counted, and challenges remembered, in memory and within bounds; times come as arguments."""

from __future__ import annotations

from contextlib import AbstractContextManager

import msgspec

from twsync import limits


class _Failures(msgspec.Struct):
    count: int
    last: float


#: Whom an attempt concerns.
Place = tuple[str, ...]
#: A place as it is counted: with the address that the attempts come from, and, behind None, from anywhere.
_Key = tuple[str | None, ...]


class Attempts:
    """Failed sign-ins by place: an account, a device, or a device of an account; of one address, and of all together.

    After `limits.SYNCML_FAILURES` from one address, or `limits.SYNCML_FAILURES_ANYWHERE` from all, each further failure doubles the wait,
    up to `limits.SYNCML_LONGEST_WAIT`. While it lasts, right credentials are refused like wrong ones. The places of one attempt count
    separately, so that many devices cannot guess one account's password, nor one device those of many accounts.

    :param lock: for several threads: a failure that is not counted is a guess for nothing.
    """

    def __init__(self, lock: AbstractContextManager[object]) -> None:
        self._lock = lock
        self._places: dict[_Key, _Failures] = {}

    def locked(self, places: tuple[Place, ...], origin: str, now: float) -> bool:
        """Whether one of the places has to wait.

        :param origin: the address that the attempt comes from.
        """
        with self._lock:
            return any(now < self._until(key, now) for key in _keys(places, origin))

    def failed(self, places: tuple[Place, ...], origin: str, now: float) -> None:
        """An attempt failed."""
        with self._lock:
            for key in _keys(places, origin):
                known = self._places.pop(key, None)
                count = known.count if known is not None and now - known.last < limits.SYNCML_FORGET_AFTER else 0
                self._places[key] = _Failures(count + 1, now)
            while len(self._places) > limits.MAX_SYNCML_FAILURE_PLACES:
                # Rather one that does not have to wait yet: names are made up faster than passwords are guessed.
                free = (key for key, known in self._places.items() if known.count < limits.SYNCML_FAILURES)
                del self._places[next(free, next(iter(self._places)))]

    def succeeded(self, places: tuple[Place, ...], origin: str) -> None:
        """An attempt succeeded: its places are forgotten, but for what came from elsewhere."""
        with self._lock:
            for place in places:
                self._places.pop((origin, *place), None)

    def _until(self, key: _Key, now: float) -> float:
        known = self._places.get(key)
        allowed = limits.SYNCML_FAILURES_ANYWHERE if key[0] is None else limits.SYNCML_FAILURES
        if known is None or known.count < allowed or now - known.last >= limits.SYNCML_FORGET_AFTER:
            return now
        return known.last + min(2.0 ** min(known.count - allowed, 30), limits.SYNCML_LONGEST_WAIT)


def _keys(places: tuple[Place, ...], origin: str) -> list[_Key]:
    return [(where, *place) for place in places for where in (origin, None)]


class Challenges:
    """Nonces of challenges that are not answered yet, by (account, device). Those of sessions that ended well are in the `Nonces` port.

    Kept here and not there, because anybody can make a server send a challenge.

    :param lock: for several threads.
    """

    def __init__(self, lock: AbstractContextManager[object]) -> None:
        self._lock = lock
        self._nonces: dict[tuple[str, str], bytes] = {}

    def give(self, account: str, device: str, nonce: bytes) -> None:
        """A challenge went out."""
        with self._lock:
            self._nonces.pop((account, device), None)
            self._nonces[account, device] = nonce
            while len(self._nonces) > limits.MAX_SYNCML_FAILURE_PLACES:
                del self._nonces[next(iter(self._nonces))]

    def get(self, account: str, device: str) -> bytes | None:
        """That of the last challenge."""
        with self._lock:
            return self._nonces.get((account, device))

    def used(self, account: str, device: str) -> None:
        """It was answered rightly: no digest made with it holds again."""
        with self._lock:
            self._nonces.pop((account, device), None)
