"""Which new SIP connections may come in: so many at once, so many per second and address, and so many strangers of one address.

A stranger is a connection that has not authenticated yet. When all places are taken, the stranger that has stood for longest has to go:
so a flood of connections that say nothing cannot keep out who signs in quickly. A client that cannot get in is not answered but closed:
before the TLS handshake a refusal costs us nothing.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

from twsync import limits


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """How many connections may come in; see `twsync.limits` for the reasons."""

    flows: int = limits.MAX_SIP_FLOWS
    "Connections at once."
    rate: float = limits.SIP_FLOW_RATE
    "New ones per second and address, on average."
    burst: int = limits.SIP_FLOW_BURST
    "New ones of one address at once."
    strangers: int = limits.MAX_SIP_STRANGERS
    "Connections of one address that have not authenticated."
    addresses: int = limits.MAX_SIP_ADDRESSES
    "Addresses that are remembered; the one that was quiet for longest is forgotten first."


class Admission:
    """Counts connections; a token bucket per address (per /64 of IPv6, which one host can fill alone)."""

    def __init__(self, limits: AdmissionLimits | None = None) -> None:
        self._limits = limits or AdmissionLimits()
        self._standing = 0
        self._strangers: dict[str, int] = {}
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    @property
    def standing(self) -> int:
        """Connections admitted and not left."""
        return self._standing

    def allows(self, host: str, now: float) -> bool:
        """Whether this address may make one more connection now, if there is a place for it."""
        network = _network(host)
        tokens, then = self._buckets.pop(network, (float(self._limits.burst), now))
        tokens = min(float(self._limits.burst), tokens + max(0.0, now - then) * self._limits.rate)
        strangers = self._strangers.get(network, 0)
        allowed = tokens >= 1.0 and strangers < self._limits.strangers
        self._buckets[network] = (tokens - 1.0 if tokens >= 1.0 else tokens, now)
        if len(self._buckets) > self._limits.addresses:
            self._buckets.popitem(last=False)
        return allowed

    @property
    def full(self) -> bool:
        """Whether all places are taken."""
        return self._standing >= self._limits.flows

    def enter(self, host: str) -> None:
        """A connection from this address comes in. It is a stranger, and must `leave` once."""
        network = _network(host)
        self._standing += 1
        self._strangers[network] = self._strangers.get(network, 0) + 1

    def authenticated(self, host: str) -> None:
        """An admitted connection from this address is no stranger any more."""
        network = _network(host)
        left = self._strangers.pop(network) - 1
        if left:
            self._strangers[network] = left

    def leave(self, host: str, stranger: bool) -> None:
        """An admitted connection from this address ended."""
        self._standing -= 1
        if stranger:
            self.authenticated(host)


def _network(host: str) -> str:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return host
