"""What a watcher is told of devices: their contacts, online or not, in portions that fit into messages."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterable, Sequence

from twsync import limits
from twsync.control.directory import Directory
from twsync.control.location import Binding, Location
from twsync.sip.reginfo import Contact, Registration
from twsync.sip.uri import Domain
from twsync.store.control_values import Device
from twsync.transport.interfaces import Clock


class Registrations:
    """Describes who is registered.

    :param wall: seconds since the epoch.
    """

    def __init__(self, domain: Domain, clock: Clock, wall: Callable[[], float], directory: Directory, location: Location) -> None:
        self._domain = domain
        self._clock = clock
        self._wall = wall
        self._directory = directory
        self._location = location

    def told(self, users: Sequence[str], changed: Collection[tuple[str, str]] | None) -> list[tuple[Registration, ...]]:
        """What goes into one document after the other.

        :param users: those that the watcher may see.
        :param changed: the devices (user, name) that are due; None for everything.
        """
        contacts: dict[str, list[Contact]] = {}
        for user in users:
            known = self._contacts(user)
            if changed is None:
                contacts[user] = list(known.values())
                continue
            due = sorted(name for owner, name in changed if owner == user)
            if due:
                contacts[user] = [known.get(name) or self._gone(user, name) for name in due]
        return [tuple(self._registration(user, found) for user, found in portion) for portion in _portions(contacts)]

    def _registration(self, user: str, contacts: Iterable[Contact]) -> Registration:
        state = "active" if self._location.of_user(user) else "terminated"
        return Registration(self._domain.aor(user), user, state, tuple(contacts))

    def _contacts(self, user: str) -> dict[str, Contact]:
        online: dict[str, Binding] = {}
        for binding in self._location.of_user(user):  # the latest first
            online.setdefault(binding.device, binding)
        known = {device.name: device for device in self._directory.devices(user)}
        return {name: self._describe(user, name, known.get(name), online.get(name)) for name in sorted(known.keys() | online.keys())}

    def _describe(self, user: str, name: str, device: Device | None, binding: Binding | None) -> Contact:
        gruu = self._domain.gruu(user, name)
        fingerprint = device.fingerprint if device is not None else None
        agent = binding.agent if binding is not None else device.agent if device is not None else ""
        observed = binding.observed if binding is not None else device.observed if device is not None else ""
        seen = self._wall() if binding is not None else device.last_seen if device is not None else 0.0
        params = {
            "+vnd.twsync.device": name,
            "+vnd.twsync.fingerprint": fingerprint or "",
            "+vnd.twsync.last-seen": rfc3339(seen),
            "+vnd.twsync.agent": agent,
            "+vnd.twsync.observed": observed,
        }
        params = {key: value for key, value in params.items() if value}
        if binding is None:
            return Contact(name, gruu, "terminated", "expired", pub_gruu=gruu, params=params)
        now = self._clock.seconds()
        return Contact(
            name, str(binding.contact.uri), "active", "registered",
            expires=max(0, round(binding.expires - now)), duration_registered=max(0, round(now - binding.registered)),
            callid=binding.call_id, cseq=binding.cseq, pub_gruu=gruu, params=params,
        )  # fmt: skip

    def _gone(self, user: str, name: str) -> Contact:
        return Contact(name, self._domain.gruu(user, name), "terminated", "unregistered", params={"+vnd.twsync.device": name})


def rfc3339(seconds: float) -> str:
    """A time as text, UTC, whole seconds."""
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _portions(contacts: dict[str, list[Contact]]) -> list[list[tuple[str, list[Contact]]]]:
    """Registrations in portions of at most `MAX_CONTACTS_PER_NOTIFY` contacts; a user without any counts as one."""
    portions: list[list[tuple[str, list[Contact]]]] = [[]]
    room = limits.MAX_CONTACTS_PER_NOTIFY
    for user, found in contacts.items():
        rest = list(found)
        while True:
            if room <= 0:
                portions.append([])
                room = limits.MAX_CONTACTS_PER_NOTIFY
            now, rest = rest[:room], rest[room:]
            portions[-1].append((user, now))
            room -= max(1, len(now))
            if not rest:
                break
    return portions
