"""Where users can be reached: their registered contacts, and the flow each came by.

Only bindings with a living flow stand here. What the database keeps of them is for those who look from outside.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from twsync.sip.values import Address
from twsync.store.control_values import BindingRow
from twsync.transport.siptls import Flow


@dataclass(frozen=True, slots=True, eq=False)
class Binding:
    """One contact of a user."""

    user: str
    device: str
    key: str
    "What a later registration of the same contact has in common with this one."
    contact: Address
    instance: str | None
    reg_id: int | None
    call_id: str
    cseq: int
    flow: Flow
    path: tuple[str, ...]
    "Route values towards the contact, if a proxy stands between (RFC 3327)."
    expires: float
    "Seconds of the reactor's clock."
    registered: float
    "When the contact first appeared."
    fingerprint: str | None
    "None for a stock user agent."
    agent: str
    observed: str
    "HOST:PORT the registration came from."

    @property
    def full_name(self) -> str:
        """Such as ``alice/laptop``."""
        return f"{self.user}/{self.device}"

    def row(self, expires: float) -> BindingRow:
        """As the database keeps it.

        :param expires: seconds since the epoch.
        """
        return BindingRow(
            self.user,
            self.key,
            self.device,
            str(self.contact.uri),
            self.instance,
            self.reg_id,
            self.call_id,
            self.cseq,
            self.flow.id,
            expires,
        )


class Location:
    """The bindings of all users."""

    def __init__(self) -> None:
        self._users: dict[str, dict[str, Binding]] = {}
        self._flows: dict[str, dict[tuple[str, str], Binding]] = {}
        self._expiry: list[tuple[float, int, Binding]] = []
        self._counter = 0
        self._count = 0

    def add(self, binding: Binding) -> Binding | None:
        """Add one; what it replaces comes back."""
        before = self._users.get(binding.user, {}).get(binding.key)
        if before is not None:
            self.remove(before)
        self._users.setdefault(binding.user, {})[binding.key] = binding
        self._flows.setdefault(binding.flow.id, {})[binding.user, binding.key] = binding
        self._counter += 1
        heapq.heappush(self._expiry, (binding.expires, self._counter, binding))
        self._count += 1
        if len(self._expiry) > 64 + 4 * self._count:
            self._expiry = [entry for entry in self._expiry if self._current(entry[2])]
            heapq.heapify(self._expiry)
        return before

    def remove(self, binding: Binding) -> None:
        """Remove this one, if it still stands."""
        if not self._current(binding):
            return
        user = self._users[binding.user]
        user.pop(binding.key)
        self._count -= 1
        if not user:
            del self._users[binding.user]
        flow = self._flows[binding.flow.id]
        flow.pop((binding.user, binding.key))
        if not flow:
            del self._flows[binding.flow.id]

    def _current(self, binding: Binding) -> bool:
        return self._users.get(binding.user, {}).get(binding.key) is binding

    def __len__(self) -> int:
        return self._count

    def find(self, user: str, key: str) -> Binding | None:
        """The binding with this key."""
        return self._users.get(user, {}).get(key)

    def of_user(self, user: str) -> list[Binding]:
        """All of a user, the latest registered first."""
        return list(reversed(self._users.get(user, {}).values()))

    def of_device(self, user: str, device: str) -> list[Binding]:
        """All of a device (more than one if it keeps several flows), the latest registered first."""
        return [binding for binding in self.of_user(user) if binding.device == device]

    def on_flow(self, flow: Flow) -> list[Binding]:
        """All that came by this flow."""
        return list(self._flows.get(flow.id, {}).values())

    def expire(self, now: float) -> list[Binding]:
        """Remove what has expired at `now`, and hand it out."""
        gone = []
        while self._expiry and self._expiry[0][0] <= now:
            binding = heapq.heappop(self._expiry)[2]
            if self._current(binding):
                self.remove(binding)
                gone.append(binding)
        return gone
