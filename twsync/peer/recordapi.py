"""The calls of the local interface that concern records and SyncML; see :mod:`twsync.peer.api`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from twsync.peer import accounts, mending
from twsync.peer.accounts import AccountChange
from twsync.peer.host import Host
from twsync.peer.localapi import Report
from twsync.peer.stockclients import StockClients
from twsync.peer.stockserver import StockOrder, StockServers
from twsync.reconcile.model import SyncType
from twsync.store.recordhost import RecordHost
from twsync.syncml.document import Encoding, Protocol

#: Runs blocking work in a thread.
InThread = Callable[..., Awaitable[Any]]


class SyncmlArguments(msgspec.Struct, forbid_unknown_fields=True):
    """Of `syncml`: a session with a stock SyncML server; the fields of `StockOrder`."""

    url: str
    collections: list[tuple[str, str]]
    user: str = ""
    password: str = ""
    sync_type: SyncType = SyncType.TWO_WAY
    protocol: Protocol = Protocol.V1_2
    encoding: Encoding = Encoding.WBXML
    fixed: bool = False
    allow_deletes: bool = False
    allow_slow: bool = True
    session_id: int | None = None
    notified: list[tuple[str, int]] | None = None

    def order(self) -> StockOrder:
        """As the session takes it."""
        return StockOrder(**msgspec.structs.asdict(self))


class UndoArguments(msgspec.Struct, forbid_unknown_fields=True):
    """Of `undo`."""

    session: str


class AllowDeletesArguments(msgspec.Struct, forbid_unknown_fields=True):
    """Of `allow-deletes`."""

    account: str


class RecordCalls:
    """Answers them."""

    def __init__(self, host: Host, records: RecordHost, clients: StockClients, servers: StockServers, in_thread: InThread) -> None:
        self._host = host
        self._records = records
        self._clients = clients
        self._servers = servers
        self._in_thread = in_thread
        self.calls: dict[str, tuple[type[msgspec.Struct], Callable[[Any, Report], Awaitable[Any]]]] = {
            "account": (AccountChange, self._account), "syncml": (SyncmlArguments, self._syncml), "undo": (UndoArguments, self._undo),
            "allow-deletes": (AllowDeletesArguments, self._allow_deletes),
        }  # fmt: skip

    async def _account(self, wanted: AccountChange, _report: Report) -> dict[str, Any]:
        await self._in_thread(accounts.change, self._host.settings, self._records.journal, wanted, self._records.now_ns())
        return {"name": wanted.name}

    async def _allow_deletes(self, wanted: AllowDeletesArguments, _report: Report) -> dict[str, Any]:
        self._clients.allow_deletes(wanted.account)
        return {"name": wanted.account}

    async def _syncml(self, wanted: SyncmlArguments, report: Report) -> list[Any]:
        return [msgspec.to_builtins(result) for result in await self._servers.synchronise(wanted.order(), report)]

    async def _undo(self, wanted: UndoArguments, _report: Report) -> object:
        return await self._in_thread(mending.undo, self._records, wanted.session)
