"""`twistd syncpeer`: everything of one host, wired in one place."""

from __future__ import annotations

import gc
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.logger import Logger
from twisted.python.failure import Failure

from twsync import __version__
from twsync.errors import TwsyncError
from twsync.peer import settings as peer_settings
from twsync.peer.acquaintance import Acquaintance
from twsync.peer.addresses import candidates, interface_addresses, route_address
from twsync.peer.agent import Agent
from twsync.peer.api import Api
from twsync.peer.callee import Callee
from twsync.peer.caller import Caller
from twsync.peer.calls import Call, Offer
from twsync.peer.exchange import Tools
from twsync.peer.expiring import expire
from twsync.peer.host import Host
from twsync.peer.identity import Identity
from twsync.peer.localapi import LocalInterface
from twsync.peer.looking import Look
from twsync.peer.mending import record_collections
from twsync.peer.presence import Device
from twsync.peer.recordapi import RecordCalls
from twsync.peer.recorded import Recorder
from twsync.peer.recordexchange import RecordExchange
from twsync.peer.registration import Binding
from twsync.peer.sessions import Exchange, Progress, Sessions, Work
from twsync.peer.settings import CollectionSettings, Settings
from twsync.peer.stockclients import StockClients
from twsync.peer.stockserver import StockServers
from twsync.peer.stored import Invitations
from twsync.peer.streams import Workshop
from twsync.peer.synchronising import Synchroniser
from twsync.peer.tracing import Tracer
from twsync.reconcile.model import Side
from twsync.session.result import SessionResult
from twsync.sip.message import Message
from twsync.sip.request import SyncRequest
from twsync.store.journal import Journal
from twsync.store.lock import StateLock
from twsync.store.recordhost import RecordHost
from twsync.syncml.deviceinfo import OwnDevice
from twsync.transport import keys, tls
from twsync.transport.connector import Connected, connect
from twsync.transport.datachannel import DataChannel
from twsync.transport.listener import Listener
from twsync.transport.siptls import ClientEndpoint

#: Seconds between writes of trace lines.
FLUSH_PAUSE = 1.0

_log = Logger()


class PeerService(Service):
    """One host: its connection to the server, its data port, its sessions, its local interface.

    :param settings: checked settings; `load` reads them again.
    :param reactor: Twisted's, for connections, timers and threads.
    :param now: seconds since the epoch.
    :param token: gives that many random bytes.
    :param uniform: random numbers from 0 to 1.
    :param zone: IANA name of the time zone of this host.
    :param give_back: called in a thread when the last session under way has ended: free memory is not needed for some time.
    """

    def __init__(
        self,
        settings: Settings,
        reactor: Any,  # noqa: ANN401 - a reactor has no type that a checker understands
        now: Callable[[], float],
        token: Callable[[int], bytes],
        uniform: Callable[[], float],
        load: Callable[[Path], Settings] = peer_settings.load,
        zone: str = "UTC",
        give_back: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._reactor = reactor
        self._now = now
        self._token = token
        self._uniform = uniform
        self._load = load
        self._zone = zone
        self._give_back = give_back
        self._device = keys.load_device(settings.device_folder)
        self._open = ExitStack()
        self._flush: Any = None

    # --- life ---

    def startService(self) -> None:
        """Start everything.

        :raises TwsyncError: it cannot be started.
        """
        super().startService()  # type: ignore[no-untyped-call]
        failures: list[BaseException] = []

        def failed(failure: Failure) -> None:
            failures.append(cast(BaseException, failure.value))

        Deferred.fromCoroutine(self._start()).addErrback(failed)
        if failures:
            self._open.close()
            raise failures[0]

    async def _start(self) -> None:
        self._wire()
        self.host.port = await self.host.listener.listen(self._settings.listen)
        interrupted = self.journal.sessions.interrupted(self._now_ns())
        if interrupted:
            _log.warn("{count} sessions were cut short by the last stop; the next ones go on where they were.", count=interrupted)
        if self._settings.syncml:
            port = await self._stock.listen(self._reactor, self._settings.syncml)
            _log.info("SyncML clients are served on port {port}, path /syncml.", port=port)
        self._interface.start()
        self._synchroniser.recover_all(self._settings.collections)
        self.agent.start()
        self._flush_later()
        _log.info(
            "{name} ({fingerprint}) is up: server {server}, data port {port}.",
            name=self._settings.full_name, fingerprint=self._device.fingerprint, server=self._settings.server.uri, port=self.host.port,
        )  # fmt: skip

    def _wire(self) -> None:
        """All parts and who knows whom."""
        settings = self._settings
        settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._open.enter_context(StateLock.acquire(settings.state / "lock", "twistd syncpeer"))
        self.journal = Journal.open(settings.state / "journal.db")
        self._open.callback(self.journal.close)
        self._workshop = Workshop(self._reactor)
        self._workshop.start()
        self._open.callback(self._workshop.stop)
        self.tracer = Tracer(self._now, self.journal.sessions.add_trace)
        self.sessions = Sessions(self.journal, self.tracer, self._now_ns)
        tools = Tools(self._workshop, self._reactor, self._now_ns, self._token)
        self._synchroniser = Synchroniser(tools, self.journal, self.sessions, lambda: self._settings)
        identity = Identity.of(settings, self._device.fingerprint, self._device.instance)
        self.agent = Agent(
            identity, self._endpoint, lambda: self._settings.password(), self._reactor, self._now, self._token, self._uniform,
            route_address, self,
        )  # fmt: skip
        self.records = RecordHost(self.journal, lambda: record_collections(self._settings), settings.device, self._now_ns)
        self.sessions.also_busy = self.records.busy
        record_exchange = RecordExchange(
            self.records, self._workshop, self._reactor, self._now, self._token, lambda: self._settings.full_name, self._zone
        )
        recorder = Recorder(self.records, self.sessions, lambda: self._settings, self._workshop, self._token, self._zone)
        own = OwnDevice(settings.full_name, __version__)
        self._stock = StockClients(recorder, own, self._workshop, self._reactor, self._now, self._token)
        self.records.guests = self._stock

        def exchange(channel: DataChannel, work: Work, progress: Progress) -> Awaitable[SessionResult]:
            runs: Exchange = record_exchange.exchange if work.collection.records else self._synchroniser.exchange
            return runs(channel, work, progress)

        def look(collection: CollectionSettings, session: str, role: Side, sync_type: str) -> Look | None:
            return None if collection.records else self._synchroniser.look(collection, session, role, sync_type)

        self.host = Host(
            settings=settings, device=self._device, agent=self.agent, sessions=self.sessions,
            acquaintance=Acquaintance(self.journal, lambda: self.agent.presence.devices, self._now_ns), tracer=self.tracer,
            listener=Listener(self._reactor, self._device), connect=self._connect, exchange=exchange, candidates=self._candidates,
            clock=self._reactor, now=self._now, token=self._token, uniform=self._uniform, look=look,
        )  # fmt: skip
        self.caller = Caller(self.host)
        self.callee = Callee(self.host)
        self._invitations = Invitations(self.host, self.caller)
        servers = StockServers(recorder, self._workshop, self._reactor, self._now, self._token, lambda: self._settings.full_name)
        more = RecordCalls(self.host, self.records, self._stock, servers, self._workshop.write).calls
        api = Api(self.host, self.caller, self.journal, self.reload, self._workshop.write, self._now_ns, self.records.claim, more)
        self._interface = LocalInterface(self._reactor, settings.socket, api)

    def stopService(self) -> Deferred[None]:
        """End running sessions in good order, say goodbye to the server, let go of everything."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
        # The local interface goes last of these: whoever waits for a session hears how it ended.
        await self._stock.close()
        await self.sessions.stop(self._reactor)
        await self.agent.stop()
        await self._interface.stop()
        await self.host.listener.close()
        self.tracer.flush()
        self._open.close()
        _log.info("{name} is down.", name=self._settings.full_name)

    def reload(self) -> None:
        """Take up changed settings: collections at once, the rest at the next start.

        :raises ConfigError: the settings are wrong; the old ones hold.
        """
        new = self._load(self._settings.file)
        old, self._settings = self._settings, new
        self.host.settings = new
        fixed = ("device", "server", "server_fingerprint", "listen", "socket", "syncml", "log_level", "log_json")
        changed = [name for name in fixed if getattr(old, name) != getattr(new, name)]
        if changed:
            _log.warn("Changed settings that need a restart: {names}.", names=", ".join(changed))
        self.agent.retry_now()
        _log.info("Settings read again: {count} collections.", count=len(new.collections))

    # --- what the agent says ---

    def registered(self, binding: Binding) -> None:
        """Nothing waits for it here: stored requests come from the server by themselves."""

    def offered(self, offer: Offer) -> None:
        """Someone calls."""
        self.callee.offered(offer)

    def progressed(self, call: Call, body: bytes) -> None:
        """The other side's progress is for the server; this host sees its own."""

    def requested(self, request: SyncRequest) -> tuple[int, str]:
        """The server, or another device, asks for a session."""
        return self._invitations.requested(request)

    def devices_changed(self, devices: dict[str, Device]) -> None:
        """Presence is asked for when it is needed."""

    def traced(self, direction: Literal["sent", "received"], message: Message) -> None:
        """A message went over the wire."""
        self.tracer.message(direction, message)

    # --- small parts ---

    def _now_ns(self) -> int:
        return int(self._now() * 1_000_000_000)

    def _endpoint(self) -> ClientEndpoint:
        server = self._settings.server
        plain: Any = HostnameEndpoint(self._reactor, server.host, server.port)
        if not server.secure:
            return cast(ClientEndpoint, plain)
        context: Any = tls.control_client(self._device, server.host, self._settings.server_fingerprint)
        return cast(ClientEndpoint, wrapClientTLS(context, plain))

    async def _connect(self, candidates: Sequence[tuple[str, int]], fingerprint: str) -> Connected:
        return await connect(self._reactor, candidates, self._device, fingerprint)

    def _candidates(self) -> list[tuple[str, int]]:
        flow, binding = self.agent.flow, self.agent.binding
        return candidates(
            self.host.port, bound=bound_address(self._settings.listen), advertise=self._settings.advertise,
            flow=flow.local[0] if flow is not None else None, interfaces=interface_addresses(),
            observed=binding.observed[0] if binding is not None and binding.observed else None,
        )  # fmt: skip

    def _flush_later(self) -> None:
        self._flush = self._reactor.callLater(FLUSH_PAUSE, self._flush_now)

    def _flush_now(self) -> None:
        self.tracer.flush()
        if self.sessions.come_to_rest():
            # The parts of a session know each other, and the rows that they have are of no interest to the cycle collector: by itself it
            # would come only after several sessions. It takes 2 to 10 ms.
            gc.collect()
            self._workshop.write(self._rest).addErrback(_not_at_rest)
            self._workshop.write(expire, self._settings, self.journal, self._now_ns(), self.sessions.under_way).addErrback(_not_at_rest)
        self._flush_later()

    def _rest(self) -> None:
        """A session of 20,000 files leaves 20 MiB of the journal's pages and of freed rows. In a writer's thread."""
        try:
            self.journal.rest()
        finally:
            self._give_back()


def _not_at_rest(failure: Failure) -> None:
    """Nothing is lost but time and memory; the next session tells more of a disk that is full."""
    if isinstance(failure.value, TwsyncError):
        _log.warn("The journal was not put in order for the next session: {error}", error=failure.value.message)
    else:
        _log.failure("The journal was not put in order for the next session.", failure=failure)


def bound_address(listen: str) -> str:
    """The address that an endpoint string listens on; empty if it names none (then all of IPv4, or with ``tcp6`` of both)."""
    found = re.search(r":interface=((?:\\.|[^:\\])*)", listen)
    if found is None:
        return "::" if listen.startswith("tcp6") else ""
    return re.sub(r"\\(.)", r"\1", found[1])
