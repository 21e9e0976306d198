"""Failed sign-ins are counted, and challenges remembered, in memory and within bounds; times come as arguments."""

from __future__ import annotations

import msgspec

from twsync import limits


class _Failures(msgspec.Struct):
    count: int
    last: float


#: Where attempts are counted.
Place = tuple[str, ...]


class Attempts:
    """Failed sign-ins by place: an account, a device, or a device of an account.

    After `limits.SYNCML_FAILURES` each further failure doubles the wait, up to `limits.SYNCML_LONGEST_WAIT`. While it lasts, right
    credentials are refused like wrong ones. The places of one attempt count separately, so that many devices cannot guess one
    account's password, nor one device those of many accounts.
    """

    def __init__(self) -> None:
        self._places: dict[Place, _Failures] = {}

    def locked(self, places: tuple[Place, ...], now: float) -> bool:
        """Whether one of the places has to wait."""
        return any(now < self._until(place, now) for place in places)

    def failed(self, places: tuple[Place, ...], now: float) -> None:
        """An attempt failed."""
        for place in places:
            known = self._places.pop(place, None)
            count = known.count if known is not None and now - known.last < limits.SYNCML_FORGET_AFTER else 0
            self._places[place] = _Failures(count + 1, now)
        while len(self._places) > limits.MAX_SYNCML_FAILURE_PLACES:
            # Rather one that does not have to wait yet: names are made up faster than passwords are guessed.
            free = (place for place, known in self._places.items() if known.count < limits.SYNCML_FAILURES)
            del self._places[next(free, next(iter(self._places)))]

    def succeeded(self, places: tuple[Place, ...]) -> None:
        """An attempt succeeded: its places are forgotten."""
        for place in places:
            self._places.pop(place, None)

    def _until(self, place: Place, now: float) -> float:
        known = self._places.get(place)
        if known is None or known.count < limits.SYNCML_FAILURES or now - known.last >= limits.SYNCML_FORGET_AFTER:
            return now
        return known.last + min(2.0 ** min(known.count - limits.SYNCML_FAILURES, 30), limits.SYNCML_LONGEST_WAIT)


class Challenges:
    """Nonces of challenges that are not answered yet, by (account, device). Those of sessions that ended well are in the `Nonces` port.

    Kept here and not there, because anybody can make a server send a challenge.
    """

    def __init__(self) -> None:
        self._nonces: dict[tuple[str, str], bytes] = {}

    def give(self, account: str, device: str, nonce: bytes) -> None:
        """A challenge went out."""
        self._nonces.pop((account, device), None)
        self._nonces[account, device] = nonce
        while len(self._nonces) > limits.MAX_SYNCML_FAILURE_PLACES:
            del self._nonces[next(iter(self._nonces))]

    def get(self, account: str, device: str) -> bytes | None:
        """That of the last challenge."""
        return self._nonces.get((account, device))

    def used(self, account: str, device: str) -> None:
        """It was answered rightly: no digest made with it holds again."""
        self._nonces.pop((account, device), None)
