"""What a session needs besides its datastores: accounts, nonces, known devices. The store's floor fills them; in tests, dictionaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from twsync.syncml.datastore import Datastores
from twsync.syncml.document import DevInf


class Account(msgspec.Struct, frozen=True):
    """An account for SyncML clients. At least one of the two secrets is there."""

    name: str
    password: str | None = None
    "In clear: needed for the md5 scheme of SyncML 1.0."
    digest: str | None = None
    "B64(MD5(name ':' password)): enough for basic, and for md5 from 1.1 on."

    def __repr__(self) -> str:
        """Without the secrets."""
        return f"Account({self.name!r})"


class Accounts(Protocol):
    """The accounts of a host."""

    def account(self, name: str) -> Account | None:
        """One by its name; None: there is none."""

    def datastores(self, account: str, device: str, twsync: bool) -> Datastores:
        """The collections that were granted to an account (or to the user of a twsync host), as one of its devices sees them."""


class Nonces(Protocol):
    """The nonce that the next md5 digest of a device has to be made with; kept across sessions and restarts."""

    def load(self, account: str, device: str) -> bytes:
        """The nonce, raw; empty: none was given out yet."""

    def store(self, account: str, device: str, nonce: bytes) -> None:
        """Keep it."""


class Devices(Protocol):
    """Device information of the other side, from the last time it was sent."""

    def load(self, account: str, device: str) -> DevInf | None:
        """What is known of a device."""

    def store(self, account: str, device: str, devinf: DevInf) -> None:
        """Keep it."""

    def seen(self, account: str, device: str) -> None:
        """A device was let in to an account: it is one of its `owners` from now on."""

    def owners(self, device: str) -> Sequence[str]:
        """Accounts that a device has used: for one that sends an md5 digest without its user's name, and for the count of failures. A few
        at most."""
