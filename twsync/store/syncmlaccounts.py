"""Accounts of stock SyncML clients, their nonces, and what is known of devices. In the journal, whose file only its owner can read.

What is kept of a password: SyncML's md5 scheme needs, from 1.1 on, B64(MD5(name:password)), so nothing better than this unsalted digest
can be kept; whoever reads it can sign in with it, and find a weak password from it. The md5 scheme of SyncML 1.0 needs the clear
password; it is kept only for an account that is made for that. Give these accounts a password of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from twsync import limits
from twsync.errors import StoreError, UserError
from twsync.store.database import Database
from twsync.store.journal import Journal
from twsync.syncml.auth import user_digest
from twsync.syncml.clientsetup import Remembered
from twsync.syncml.document import DevInf
from twsync.syncml.ports import Account


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """An account for SyncML clients, without its secrets."""

    name: str
    collections: tuple[str, ...] | None
    "Names of those granted; None: all record collections."
    clear: bool
    "Whether the clear password is kept, for SyncML 1.0."
    added_ns: int


class SyncmlAccounts:
    """The syncml_account table."""

    def __init__(self, journal: Journal) -> None:
        self._database: Database = journal.database

    def add(self, name: str, password: str, collections: Sequence[str] | None, now_ns: int, *, clear: bool = False) -> None:
        """Make an account, or give one that is there a new password and new grants.

        :param collections: names of those granted; None: all record collections.
        :param clear: keep the clear password too, for clients of SyncML 1.0 that sign in by md5.
        :raises UserError: a name or password that cannot be used.
        """
        if not name or ":" in name or not name.isprintable() or len(name) > limits.MAX_SYNCML_NAME:
            raise UserError(f"The name of an account is printable, without colons, and has at most {limits.MAX_SYNCML_NAME} characters.")
        if not password or len(password) > limits.MAX_SYNCML_NAME:
            raise UserError(f"A password has 1 to {limits.MAX_SYNCML_NAME} characters.")
        granted = None if collections is None else msgspec.json.encode(sorted(set(collections))).decode()
        with self._database.transaction(durable=True):
            self._database.execute(
                "INSERT OR REPLACE INTO syncml_account (name, digest, password, collections, added_ns) VALUES (?, ?, ?, ?, ?)",
                (name, user_digest(name, password), password if clear else None, granted, now_ns),
            )

    def grant(self, name: str, collections: Sequence[str] | None) -> None:
        """Change what an account may reach.

        :param collections: names of collections; None: all record collections.
        :raises UserError: `not-found`.
        """
        granted = None if collections is None else msgspec.json.encode(sorted(set(collections))).decode()
        with self._database.transaction(durable=True):
            if not self._database.execute("UPDATE syncml_account SET collections = ? WHERE name = ?", (granted, name)):
                raise UserError(f"There is no account {name}; see: twsync syncml account list.", "not-found")

    def remove(self, name: str) -> None:
        """Remove an account, and what its devices left.

        :raises UserError: `not-found`.
        """
        with self._database.transaction(durable=True):
            if not self._database.execute("DELETE FROM syncml_account WHERE name = ?", (name,)):
                raise UserError(f"There is no account {name}; see: twsync syncml account list.", "not-found")
            self._database.execute("DELETE FROM syncml_device WHERE account = ?", (name,))
            self._database.execute("DELETE FROM syncml_partner WHERE account = ?", (name,))

    def list(self) -> list[AccountRecord]:
        """All, by name."""
        found = self._database.rows("SELECT name, collections, password IS NOT NULL, added_ns FROM syncml_account ORDER BY name")
        return [AccountRecord(name, _granted(collections), bool(clear), added) for name, collections, clear, added in found]

    def account(self, name: str) -> Account | None:
        """One, with its secrets, for a session."""
        found = self._database.row("SELECT digest, password FROM syncml_account WHERE name = ?", (name,))
        return None if found is None else Account(name, password=found[1], digest=found[0])

    def granted(self, name: str) -> tuple[str, ...] | None:
        """Names of the collections that an account may reach; None: all.

        :raises UserError: `not-found`.
        """
        found = self._database.row("SELECT collections FROM syncml_account WHERE name = ?", (name,))
        if found is None:
            raise UserError(f"There is no account {name}.", "not-found")
        return _granted(found[0])


def _granted(collections: str | None) -> tuple[str, ...] | None:
    return None if collections is None else msgspec.json.decode(collections, type=tuple[str, ...])


class SyncmlNonces:
    """Nonces; see `twsync.syncml.ports.Nonces`."""

    def __init__(self, journal: Journal, now_ns: Callable[[], int]) -> None:
        self._database: Database = journal.database
        self._now_ns = now_ns

    def load(self, account: str, device: str) -> bytes:
        """The nonce, raw; empty: none was given out yet."""
        found = self._database.row("SELECT nonce FROM syncml_device WHERE account = ? AND device = ?", (account, device))
        return b"" if found is None else bytes(found[0])

    def store(self, account: str, device: str, nonce: bytes) -> None:
        """Keep it."""
        _keep(self._database, account, device, "nonce", nonce, self._now_ns())


class SyncmlDevices:
    """Device information; see `twsync.syncml.ports.Devices`."""

    def __init__(self, journal: Journal, now_ns: Callable[[], int]) -> None:
        self._database: Database = journal.database
        self._now_ns = now_ns

    def load(self, account: str, device: str) -> DevInf | None:
        """What is known of a device."""
        found = self._database.row("SELECT devinf FROM syncml_device WHERE account = ? AND device = ?", (account, device))
        if found is None or not found[0]:
            return None
        try:
            return msgspec.msgpack.decode(found[0], type=DevInf)
        except msgspec.MsgspecError:
            # Written by another version: the device is asked again.
            return None

    def store(self, account: str, device: str, devinf: DevInf) -> None:
        """Keep it.

        :raises StoreError: it is too large.
        """
        data = msgspec.msgpack.encode(devinf)
        if len(data) > limits.MAX_DEVINF:
            raise StoreError(f"The device information of {device} is larger than {limits.MAX_DEVINF} bytes.", "too-large")
        _keep(self._database, account, device, "devinf", data, self._now_ns())

    def seen(self, account: str, device: str) -> None:
        """It was let in."""
        with self._database.transaction():
            self._database.execute(
                "INSERT INTO syncml_device (account, device, seen_ns) VALUES (?1, ?2, ?3) "
                "ON CONFLICT (account, device) DO UPDATE SET seen_ns = ?3",
                (account, device, self._now_ns()),
            )
            _make_room(self._database, account)

    def owners(self, device: str) -> list[str]:
        """Accounts that a device has used, the last one first."""
        sql = "SELECT account FROM syncml_device WHERE device = ? ORDER BY seen_ns DESC LIMIT 8"
        return [account for (account,) in self._database.rows(sql, (device,))]


class SyncmlServers:
    """What a client session keeps of a server; see `twsync.syncml.clientsetup.Remembered`."""

    def __init__(self, journal: Journal, now_ns: Callable[[], int]) -> None:
        self._database: Database = journal.database
        self._now_ns = now_ns

    def load(self, user: str, server: str) -> Remembered:
        """What is known of a server.

        :param user: the account there.
        :param server: its URL, or ``user/device`` of a twsync host.
        """
        found = self._database.row("SELECT devinf FROM syncml_device WHERE account = ? AND device = ?", (_SERVER + user, server))
        try:
            return msgspec.msgpack.decode(found[0], type=Remembered) if found is not None else Remembered()
        except msgspec.MsgspecError:
            # Written by another version: the session exchanges it again.
            return Remembered()

    def store(self, user: str, server: str, remembered: Remembered) -> None:
        """Keep it."""
        _keep(self._database, _SERVER + user, server, "devinf", msgspec.msgpack.encode(remembered), self._now_ns())


#: Stands before the user's name where the device is a server: no account of a client has a colon in its name.
_SERVER = "server:"


def _keep(database: Database, account: str, device: str, column: str, value: bytes, now_ns: int) -> None:
    """Write one value of a device."""
    with database.transaction():
        database.execute(
            f"INSERT INTO syncml_device (account, device, {column}, seen_ns) VALUES (?1, ?2, ?3, ?4) "
            f"ON CONFLICT (account, device) DO UPDATE SET {column} = ?3, seen_ns = ?4",
            (account, device, value, now_ns),
        )
        _make_room(database, account)


def _make_room(database: Database, account: str) -> None:
    """Forget the devices that were not seen for longest."""
    database.execute(
        "DELETE FROM syncml_device WHERE account = ?1 AND device NOT IN "
        "(SELECT device FROM syncml_device WHERE account = ?1 ORDER BY seen_ns DESC LIMIT ?2)",
        (account, limits.MAX_SYNCML_DEVICES),
    )
