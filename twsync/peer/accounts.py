"""Accounts of stock SyncML clients, as a person changes them: by the daemon when it runs, by the command when it does not."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from twsync.errors import UserError
from twsync.peer.documents import when
from twsync.peer.settings import Settings
from twsync.store.journal import Journal
from twsync.store.syncmlaccounts import SyncmlAccounts


class AccountChange(msgspec.Struct, forbid_unknown_fields=True):
    """What to do with an account; also the arguments of the local interface's call `account`."""

    action: Literal["add", "passwd", "grant", "remove"]
    name: str
    password: str = ""
    "Of `add` and `passwd`."
    collections: list[str] | None = None
    "Of `add` and `grant`: those it may reach; None: all collections of records, later ones too."
    clear: bool = False
    "Of `add` and `passwd`: keep the password itself, for md5 of SyncML 1.0."

    def __repr__(self) -> str:
        """Without the password."""
        return f"AccountChange({self.action!r}, {self.name!r})"


def change(settings: Settings, journal: Journal, wanted: AccountChange, now_ns: int) -> None:
    """Do it.

    :raises UserError: there is such an account already, or none; a name, password or collection that cannot be used.
    """
    accounts = SyncmlAccounts(journal)
    for name in wanted.collections or ():
        if not settings.collection(name).records:
            raise UserError(f"{name} holds files; SyncML clients reach collections of records only.", code="no-records")
    match wanted.action:
        case "add":
            if accounts.account(wanted.name) is not None:
                what = f"There is an account {wanted.name} already; change it with `twsync syncml account passwd` or `grant`."
                raise UserError(what, code="exists")
            accounts.add(wanted.name, wanted.password, wanted.collections, now_ns, clear=wanted.clear)
        case "passwd":
            accounts.add(wanted.name, wanted.password, accounts.granted(wanted.name), now_ns, clear=wanted.clear)
        case "grant":
            accounts.grant(wanted.name, wanted.collections)
        case "remove":
            accounts.remove(wanted.name)


def listed(journal: Journal) -> list[dict[str, Any]]:
    """All accounts, without their secrets."""
    return [
        {"name": each.name, "collections": None if each.collections is None else list(each.collections), "added": when(each.added_ns)}
        for each in SyncmlAccounts(journal).list()
    ]
