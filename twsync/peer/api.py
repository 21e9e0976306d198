"""The calls of the local interface: what commands ask of a running daemon. Arguments are checked structs; results are JSON documents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from twsync.errors import SessionError, TwsyncError, UserError
from twsync.peer import documents, mending
from twsync.peer.caller import Caller, Order
from twsync.peer.host import Host
from twsync.peer.localapi import Report
from twsync.peer.presence import Device
from twsync.reconcile.model import SyncType
from twsync.sip.request import SyncRequest
from twsync.store.journal import Journal

#: Runs blocking work in a thread.
InThread = Callable[..., Awaitable[Any]]

#: Seconds that an alert waits for this host's registration.
ALERT_TIMEOUT = 10.0
#: Nanoseconds that one call empties trash for, far less than its command waits; it calls again for the rest, and sessions get their turn.
EMPTY_FOR = 10 * 10**9


class NoArguments(msgspec.Struct, forbid_unknown_fields=True):
    """Of `ping`, `status`, `devices` and `reload`."""


class SyncArguments(msgspec.Struct, forbid_unknown_fields=True):
    """Of `sync`."""

    collection: str
    device: str
    type: str = "two-way"
    allow_deletes: bool = False
    timeout: float = 60.0
    wait: bool = True


class AlertArguments(msgspec.Struct, forbid_unknown_fields=True):
    """Of `alert`."""

    collection: str
    device: str
    type: str = "two-way"


class DeviceArguments(msgspec.Struct, forbid_unknown_fields=True):
    """Of `trust`."""

    device: str


class CollectionArguments(msgspec.Struct, forbid_unknown_fields=True):
    """Of `forget`."""

    collection: str


class ResolveArguments(msgspec.Struct, forbid_unknown_fields=True):
    """Of `resolve`."""

    number: int
    keep: str


class RestoreArguments(msgspec.Struct, forbid_unknown_fields=True):
    """Of `restore`; names are bytes and come in hexadecimal."""

    collection: str
    session: str
    item: str
    to: str | None = None


class EmptyArguments(msgspec.Struct, forbid_unknown_fields=True):
    """Of `empty`; a time in nanoseconds since the epoch, null for everything."""

    collection: str
    before: int | None


class Api:
    """Answers calls.

    :param reload: reads the settings again; raises ConfigError and changes nothing if they are wrong.
    :param now_ns: nanoseconds since the epoch.
    :param claim: keeps sessions with SyncML clients from a collection; returns what lets go of it. See `RecordHost.claim`.
    :param more: further calls, by name.
    """

    def __init__(
        self, host: Host, caller: Caller, journal: Journal, reload: Callable[[], None], in_thread: InThread, now_ns: Callable[[], int],
        claim: Callable[[str], Callable[[], None]],
        more: Mapping[str, tuple[type[msgspec.Struct], Callable[[Any, Report], Awaitable[Any]]]] | None = None,
    ) -> None:  # fmt: skip
        self._host = host
        self._caller = caller
        self._journal = journal
        self._reload = reload
        self._in_thread = in_thread
        self._now_ns = now_ns
        self._claim = claim
        self._calls: dict[str, tuple[type[msgspec.Struct], Callable[[Any, Report], Awaitable[Any]]]] = {
            "ping": (NoArguments, self._ping), "status": (NoArguments, self._status), "devices": (NoArguments, self._devices),
            "reload": (NoArguments, self._reloaded), "sync": (SyncArguments, self._sync),
            "alert": (AlertArguments, self._alert), "trust": (DeviceArguments, self._trust),
            "forget": (CollectionArguments, self._forget), "resolve": (ResolveArguments, self._resolve),
            "restore": (RestoreArguments, self._restore), "empty": (EmptyArguments, self._empty), **(more or {}),
        }  # fmt: skip

    async def __call__(self, name: str, arguments: dict[str, Any], report: Report) -> object:
        """Answer one call.

        :raises TwsyncError: it cannot be done; what the client is told.
        """
        if name not in self._calls:
            raise UserError(f"The daemon does not know the call {name!r}; restart it after an upgrade.", code="unknown-call")
        shape, method = self._calls[name]
        try:
            checked = msgspec.convert(arguments, shape)
        except msgspec.ValidationError as error:
            raise UserError(f"The daemon does not understand the call {name!r} ({error}); restart it after an upgrade.") from None
        return await method(checked, report)

    async def _ping(self, _: NoArguments, _report: Report) -> dict[str, Any]:
        return {}

    async def _status(self, _: NoArguments, _report: Report) -> dict[str, Any]:
        agent = self._host.agent
        running = [each.describe() for each in self._host.sessions.running]
        document = documents.status(self._host.settings, self._journal, agent.registered, agent.describe(), running)
        return {**document, "data": {"port": self._host.port, "addresses": self._host.candidates()}}

    async def _devices(self, _: NoArguments, _report: Report) -> list[dict[str, Any]]:
        agent = self._host.agent
        if not agent.presence.devices and not await agent.wait_registered(ALERT_TIMEOUT):
            why = agent.describe()["message"] or "it does not answer"
            raise SessionError(f"This host is not connected to the server: {why}.", "server-unreachable")
        found = dict(agent.presence.devices)
        own = self._host.settings.full_name
        for known in self._journal.trust.list():
            found.setdefault(known.device, Device(known.device, False, None, None, known.fingerprint, None))
        return [self._device(found[name], name == own) for name in sorted(found)]

    def _device(self, device: Device, own: bool) -> dict[str, Any]:
        known = self._journal.trust.get(device.name)
        trusted = own or (known is not None and device.fingerprint in (None, known.fingerprint))
        return {
            "device": device.name, "online": device.online and (own or self._host.agent.registered), "address": device.address,
            "last_seen": device.last_seen, "fingerprint": device.fingerprint, "trusted": trusted, "met": own or known is not None,
            "own": own, "agent": device.agent, **documents.trusted(known),
        }  # fmt: skip

    async def _sync(self, wanted: SyncArguments, report: Report) -> dict[str, Any]:
        _check_type(wanted.type)
        order = Order(wanted.collection, wanted.device, wanted.type, wanted.allow_deletes, wanted.timeout)
        running, task = self._caller.start(order, report)
        if not wanted.wait:
            return running.describe()
        result: dict[str, Any] = msgspec.to_builtins(await task)
        return result

    async def _alert(self, wanted: AlertArguments, _report: Report) -> dict[str, Any]:
        _check_type(wanted.type)
        agent = self._host.agent
        self._host.settings.collection(wanted.collection)
        if not await agent.wait_registered(ALERT_TIMEOUT):
            why = agent.describe()["message"] or "it does not answer"
            raise SessionError(f"This host is not connected to the server: {why}.", "server-unreachable")
        request = SyncRequest(self._host.token(16).hex(), self._host.settings.full_name, wanted.collection, wanted.type)
        refusal = await agent.alert(wanted.device, request)
        document = {"device": wanted.device, "collection": wanted.collection, "type": wanted.type}
        if refusal is None:
            return {**document, "state": "accepted", "message": ""}
        if refusal.stored:
            return {**document, "state": "queued", "message": refusal.message}
        raise SessionError(refusal.message, refusal.code)

    async def _reloaded(self, _: NoArguments, _report: Report) -> dict[str, Any]:
        self._reload()
        return {"collections": [found.name for found in self._host.settings.collections]}

    async def _forget(self, wanted: CollectionArguments, _report: Report) -> dict[str, Any]:
        self._reload()
        if any(found.name == wanted.collection for found in self._host.settings.collections):
            raise UserError(f"The collection {wanted.collection} is still in the settings; remove it there first.")
        for running in self._host.sessions.running:
            if running.collection == wanted.collection and running.task is not None:
                running.task.cancel()
        await self._host.sessions.free(wanted.collection)
        await self._in_thread(self._journal.forget, wanted.collection)
        return {"collection": wanted.collection}

    async def _trust(self, wanted: DeviceArguments, _report: Report) -> dict[str, Any]:
        return mending.trust(self._journal, wanted.device, self._host.acquaintance.announced(wanted.device), self._now_ns())

    async def _resolve(self, wanted: ResolveArguments, _report: Report) -> object:
        conflict = self._journal.conflicts.get(wanted.number)
        if conflict is None:
            raise UserError(f"There is no conflict {wanted.number}; `twsync conflicts` lists them.", code="not-found")
        arguments = (self._host.settings, self._journal, wanted.number, wanted.keep, self._now_ns())
        return await self._alone(conflict.collection, mending.resolve, *arguments)

    async def _restore(self, wanted: RestoreArguments, _report: Report) -> object:
        try:
            key, to = bytes.fromhex(wanted.item), None if wanted.to is None else bytes.fromhex(wanted.to)
        except ValueError:
            raise UserError("The item's name is not in hexadecimal.") from None
        return await self._alone(wanted.collection, mending.restore, self._host.settings, wanted.collection, wanted.session, key, to)

    async def _empty(self, wanted: EmptyArguments, _report: Report) -> object:
        host, end = self._host, self._now_ns() + EMPTY_FOR

        def stop() -> bool:
            return host.sessions.stopping or self._now_ns() > end

        def empty() -> dict[str, Any]:
            release = self._claim(wanted.collection)
            try:
                done = mending.empty_trash(host.settings, self._journal, wanted.collection, wanted.before, stop)
            finally:
                release()
            return documents.emptied(wanted.collection, done)

        return await self._alone(wanted.collection, empty)

    async def _alone(self, collection: str, work: Callable[..., object], *arguments: object) -> object:
        """Do something to a collection while no session uses it."""
        if not self._host.sessions.take(collection):
            raise UserError(f"{collection} is being synchronised; try again when that is done, `twsync status` shows it.", code="busy")
        try:
            return await self._in_thread(work, *arguments)
        finally:
            self._host.sessions.release(collection)


def _check_type(name: str) -> None:
    if name not in {each.value for each in SyncType}:
        raise TwsyncError(f"There is no sync type {name!r}; use one of {', '.join(SyncType)}.", code="refused")
