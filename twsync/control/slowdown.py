"""How long a sign-in attempt has to wait, after failures from where it comes.

The wait is before an attempt is looked at, and attempts wait one behind the other: were only the answers late, someone with many
connections could try many passwords at once and would see a right one by its quick answer. A wait runs from the attempt before, so
that somebody who comes back after a while is not kept.

Whoever is slowed down already makes his address no slower: one telephone with a wrong password, which tries again for ever, shall not
lock out the house that it shares an address with.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from twsync import limits

Place = tuple[str | None, str]


@dataclass(slots=True)
class _Failures:
    count: int = 0
    latest: float = 0.0
    ready: float = 0.0
    "When the last attempt let through is looked at."


class SlowDown:
    """Counts failures and tells waits. Times are seconds of any one clock."""

    def __init__(self) -> None:
        self._failures: dict[Place, _Failures] = {}

    def wait(self, user: str, host: str, now: float) -> float | None:
        """Seconds that an attempt for `user` from `host` has to wait; None if too many wait already."""
        address = _network(host)
        places = ((user, address), limits.SIGN_IN_USER_FAILURES), ((None, address), limits.SIGN_IN_ADDRESS_FAILURES)
        slow = [(found, threshold) for place, threshold in places if (found := self._current(place, now)) and found.count >= threshold]
        if not slow:
            return 0.0
        ready = max(now, *(max(found.latest, found.ready) + _pause(found.count - threshold) for found, threshold in slow))
        if ready - now > limits.SIGN_IN_LONGEST_QUEUE:
            return None
        for found, _ in slow:
            found.ready = ready
        return ready - now

    def failed(self, user: str, host: str, now: float) -> None:
        """An attempt for `user` from `host` had a wrong password or an unknown user."""
        address = _network(host)
        for place in ((user, address), (None, address)):
            found = self._current(place, now)
            if place[0] is None and self._failures[user, address].count > limits.SIGN_IN_USER_FAILURES:
                return
            if found is None:
                self._make_room(now)
                found = self._failures[place] = _Failures()
            else:  # the latest failure moves behind: the dictionary's order is that of age
                self._failures[place] = self._failures.pop(place)
            found.count += 1
            found.latest = now

    def _current(self, place: Place, now: float) -> _Failures | None:
        found = self._failures.get(place)
        if found is not None and now - found.latest >= limits.SIGN_IN_FORGET_AFTER:
            del self._failures[place]
            return None
        return found

    def _make_room(self, now: float) -> None:
        while self._failures:
            oldest = next(iter(self._failures))
            if len(self._failures) < limits.MAX_SIGN_IN_PLACES and now - self._failures[oldest].latest < limits.SIGN_IN_FORGET_AFTER:
                return
            del self._failures[oldest]


def _pause(more: int) -> float:
    """Seconds between two attempts after so many failures more than are free."""
    return float(min(limits.SIGN_IN_LONGEST_WAIT, 2.0 ** min(more, 10)))


def _network(host: str) -> str:
    """An IPv4 address, or the /64 of an IPv6 address: whoever has one address there has them all."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if address.version == 6:
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return str(address)
