"""Users and devices in memory, as the database has them, and what a new state of the database changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from twsync.sip.digest import Algorithm
from twsync.store.control_values import Device, User


@dataclass(frozen=True, slots=True)
class Changes:
    """What an administrator did since the last look."""

    users: frozenset[str] = frozenset()
    "Users that were removed or have another password: nothing they proved before counts any more."
    devices: frozenset[tuple[str, str]] = frozenset()
    "Devices (user, name) that were removed, renamed, blocked or bound to another key."


@dataclass(slots=True)
class Directory:
    """Who is known. `take` brings in the database's rows, `save` what registration learnt."""

    _users: dict[str, User] = field(default_factory=dict)
    _former: dict[str, User] = field(default_factory=dict)
    "Users as they were before their last change of password, as far as this life of the server saw it."
    _devices: dict[str, dict[str, Device]] = field(default_factory=dict)

    def take(self, users: Iterable[User], devices: Iterable[Device], as_of: float) -> Changes:
        """Replace everything; tells what those who are signed in have to lose.

        :param as_of: when the database was asked, seconds since the epoch: what appeared here since then is not in it yet, and stays.
        """
        before_users, before_devices = self._users, self._devices
        self._users = {user.name: user for user in users}
        changed = {name: user for name, user in before_users.items() if _secrets(self._users.get(name)) != _secrets(user)}
        self._former = {name: user for name, user in (self._former | changed).items() if name in self._users}
        self._devices = {}
        for device in devices:
            self._devices.setdefault(device.user, {})[device.name] = device
        for known in before_devices.values():
            for device in known.values():
                if device.first_seen >= as_of and device.user in self._users:
                    self._devices.setdefault(device.user, {}).setdefault(device.name, device)
        return Changes(
            frozenset(changed),
            frozenset(
                (user, name)
                for user, known in before_devices.items()
                for name, device in known.items()
                if self._lost(device, self._devices.get(user, {}).get(name))
            ),
        )

    @staticmethod
    def _lost(before: Device, after: Device | None) -> bool:
        return after is None or (after.blocked and not before.blocked) or after.fingerprint != before.fingerprint

    def has_user(self, name: str) -> bool:
        """Whether there is such a user."""
        return name in self._users

    def secret(self, user: str, algorithm: Algorithm) -> str | None:
        """HA1 of a user, for `sip.digest.Verifier`."""
        return _secret(self._users.get(user), algorithm)

    def former_secret(self, user: str, algorithm: Algorithm) -> str | None:
        """The same before the last change of password; None if there was none since the server was started."""
        return _secret(self._former.get(user), algorithm)

    def device(self, user: str, name: str) -> Device | None:
        """One device."""
        return self._devices.get(user, {}).get(name)

    def devices(self, user: str) -> list[Device]:
        """The devices of a user, by name."""
        return sorted(self._devices.get(user, {}).values(), key=lambda device: device.name)

    def with_fingerprint(self, user: str, fingerprint: str) -> Device | None:
        """The device of a user that has this key."""
        return next((device for device in self._devices.get(user, {}).values() if device.fingerprint == fingerprint), None)

    def save(self, device: Device) -> None:
        """Take in what registration knows of a device."""
        self._devices.setdefault(device.user, {})[device.name] = device

    def seen(self, user: str, name: str, now: float) -> Device | None:
        """Note that a device was there until `now` (seconds since the epoch); None if it is not a lasting one."""
        device = self.device(user, name)
        if device is not None:
            device = replace(device, last_seen=now)
            self.save(device)
        return device


def _secrets(user: User | None) -> tuple[str, str | None] | None:
    return None if user is None else (user.ha1_sha256, user.ha1_md5)


def _secret(user: User | None, algorithm: Algorithm) -> str | None:
    if user is None:
        return None
    return user.ha1_sha256 if algorithm is Algorithm.SHA256 else user.ha1_md5
