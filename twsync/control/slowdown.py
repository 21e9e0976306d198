"""How long sign-in attempts are not looked at, after failures from where they come.

An attempt that comes too early is refused with the seconds that are left, before its password is looked at: nobody learns from the answer
whether it was right. Only what was looked at and wrong counts, so attempts that come too early, or whose sender has gone, keep nobody
else out, and a right password takes nobody's turn.

A device that has signed in as the user before proves that by its key, and is a place of its own: however others guess behind its address,
and whatever password its user's other devices still have, only its own failures make it wait. All others share a place by user and
address, and one by address. Whoever is slowed down already makes his address no slower: one telephone with a wrong password, which tries
again for ever, shall not lock out the house that it shares an address with.
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


class SlowDown:
    """Counts failures and tells waits. Times are seconds of any one clock."""

    def __init__(self) -> None:
        self._failures: dict[Place, _Failures] = {}

    def wait(self, user: str, host: str, device: str, now: float) -> float:
        """Seconds until an attempt for `user` from `host` is looked at.

        :param device: fingerprint of the user's device that sends it, if it has signed in before and has proven its key; else empty.
        """
        return max(0.0, *(self._left(place, now) for place in _places(user, host, device)))

    def failed(self, user: str, host: str, device: str, now: float) -> None:
        """An attempt was looked at, and had a wrong password or an unknown user. Arguments as for `wait`."""
        for place in _places(user, host, device):
            found = self._current(place, now)
            if found is None:
                self._make_room(now)
                found = self._failures[place] = _Failures()
            else:  # the latest failure moves behind: the dictionary's order is that of age
                self._failures[place] = self._failures.pop(place)
            found.count += 1
            found.latest = now
            if found.count > limits.SIGN_IN_USER_FAILURES and place[0] is not None:
                return

    def _left(self, place: Place, now: float) -> float:
        found = self._current(place, now)
        threshold = limits.SIGN_IN_ADDRESS_FAILURES if place[0] is None else limits.SIGN_IN_USER_FAILURES
        return 0.0 if found is None or found.count < threshold else found.latest + _pause(found.count - threshold) - now

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


def _places(user: str, host: str, device: str) -> tuple[Place, ...]:
    """Where an attempt counts; that of the user comes first."""
    if device:
        return ((user, device),)
    address = _network(host)
    # No user's name is longer; what a stranger claims beyond is not kept.
    return (user[: limits.MAX_DEVICE_NAME + 1], address), (None, address)


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
