"""The control server as a service: all parts are made and wired here, and time is handed to them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_bytes
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from twsync import __version__, limits
from twsync.control.authentication import Authentication
from twsync.control.descriptors import connections_possible
from twsync.control.dialogs import DialogTable
from twsync.control.directory import Directory
from twsync.control.ladder import Ladder
from twsync.control.listening import Port, listen
from twsync.control.location import Location
from twsync.control.pending import Pending
from twsync.control.presence import Presence
from twsync.control.proxy import Proxy
from twsync.control.records import Records, Run
from twsync.control.registrar import Registrar
from twsync.control.routing import Routes
from twsync.control.sessions import Sessions
from twsync.control.settings import Settings
from twsync.control.signalling import Signalling
from twsync.control.slowdown import SlowDown
from twsync.sip.digest import Algorithm, Verifier
from twsync.sip.uri import Domain
from twsync.store.control import ControlDatabase
from twsync.store.control_rows import Transaction
from twsync.store.control_values import Device, StoredRequest, User
from twsync.transport.interfaces import Clock
from twsync.transport.siptls import AdmissionLimits, SipTransport

_log = Logger()

#: Seconds between looks at what time brings, and at the database's change counter.
TICK = 1.0
#: Seconds between looks for dialogs that nobody holds any more, and between prunings of the database.
RECYCLE = 10.0
PRUNE = 3600.0


@dataclass(slots=True)
class Parts:
    """Everything that makes up a control server above the sockets and the database's thread."""

    signalling: Signalling
    transport: SipTransport
    directory: Directory
    location: Location
    dialogs: DialogTable
    pending: Pending
    presence: Presence
    sessions: Sessions
    ladder: Ladder
    proxy: Proxy
    records: Records
    wall: Callable[[], float]
    _changes: int = -1
    _recycled: float = 0.0
    _pruned: float = 0.0
    _pruned_at: int = 0
    _looking: bool = False
    _left: bool = False

    def load(self, transaction: Transaction) -> None:
        """Take in the database at the start: bindings and open sessions in it are an earlier life's."""
        transaction.clear_bindings()
        transaction.end_open_sessions(self.wall(), "the server was restarted")
        self._changes = transaction.changes()
        transaction.take_up(self._changes)
        self.directory.take(transaction.users(), transaction.devices(), self.wall())
        self.pending.take(transaction.requests(), self.wall())

    def tick(self, now: float) -> None:
        """What time brings; to be called about once a second.

        :param now: seconds of the reactor's clock.
        """
        self.signalling.expire()
        self.sessions.flush()
        self.ladder.flush(lambda call_id: self.sessions.open(call_id) is not None)
        if now - self._recycled >= RECYCLE:
            self._recycled = now
            self.proxy.recycle()
        if now - self._pruned >= PRUNE or self.sessions.begun - self._pruned_at >= limits.SESSIONS_PER_PRUNE:
            self._pruned, self._pruned_at = now, self.sessions.begun
            sessions_before, requests_before = self.wall() - limits.SESSION_HISTORY, self.wall() - limits.STORED_REQUEST_LIFETIME
            self.records.note(lambda database: database.prune(sessions_before, requests_before, limits.MAX_SESSION_HISTORY))
        if not self._looking:
            self._looking = True
            self.look()

    def leave(self) -> None:
        """The server stops: write what is not written yet, and that nobody is online any more."""
        self.sessions.flush()
        self.ladder.flush(lambda call_id: True)
        self.signalling.leave()
        self._left = True
        self.records.note(lambda database: database.take_up(None))

    def look(self) -> None:
        """Take up what administrators changed in the database."""
        known, as_of = self._changes, self.wall()

        def read(database: Transaction) -> tuple[int, list[User], list[Device], list[StoredRequest]] | None:
            changes = database.changes()
            return None if changes == known else (changes, database.users(), database.devices(), database.requests())

        def take(found: tuple[int, list[User], list[Device], list[StoredRequest]] | None) -> None:
            self._looking = False
            if found is not None and not self._left:
                changes, users, devices, requests = found
                self._changes = changes
                _log.info("taking up changes by an administrator")
                self.signalling.take_directory(users, devices, as_of)
                self.signalling.take_requests(requests, as_of)
                self.records.note(lambda database: database.take_up(changes))

        def failed(failure: Failure) -> None:
            self._looking = False
            _log.error("the database cannot be read: {reason}", reason=failure.getErrorMessage())

        self.records.do(read).addCallbacks(take, failed).addErrback(lambda failure: _log.failure("changes not taken up", failure))


def assemble(
    settings: Settings, clock: Clock, wall: Callable[[], float], token: Callable[[int], bytes], run: Run, connections: int | None = None,
) -> Parts:  # fmt: skip
    """Make all parts and wire them.

    :param clock: timers, and the time that things expire by.
    :param wall: seconds since the epoch.
    :param token: gives that many random bytes.
    :param run: runs a function in the database's thread.
    :param connections: how many there can be at once; None takes what the settings say.
    """
    domain = Domain(settings.realm, [settings.host])
    routes = Routes(domain, settings.host)
    algorithms = (Algorithm.SHA256, Algorithm.MD5) if settings.registration.md5 else (Algorithm.SHA256,)
    records = Records(run)
    signalling = Signalling(clock, wall, token, routes, records)
    admission = AdmissionLimits(
        flows=connections or settings.limits.connections,
        rate=settings.limits.connections_per_second,
        burst=settings.limits.connections_per_address,
        strangers=settings.limits.connections_per_address,
    )
    transport = SipTransport(clock, token, signalling, admission=admission)
    directory, location = Directory(), Location()
    dialogs = DialogTable(location)
    pending = Pending(transport, clock, wall, token, domain, records)
    presence = Presence(transport, clock, wall, token, routes, settings.policy, directory, location, settings.registration.min_expires)
    sessions, ladder = Sessions(records, wall), Ladder(records, clock, wall)
    proxy = Proxy(
        transport=transport, clock=clock, token=token, routes=routes, policy=settings.policy, directory=directory, location=location,
        dialogs=dialogs, pending=pending, sessions=sessions, ladder=ladder,
    )  # fmt: skip
    signalling.transport = transport
    signalling.authentication = Authentication(Verifier(settings.realm, token(32), algorithms), routes, directory, SlowDown())
    signalling.registrar = Registrar(domain, settings.registration, directory, location)
    signalling.location = location
    signalling.proxy = proxy
    signalling.presence = presence
    signalling.pending = pending
    signalling.ladder = ladder
    return Parts(signalling, transport, directory, location, dialogs, pending, presence, sessions, ladder, proxy, records, wall)


class ControlService(Service):
    """Listens, and holds the database's thread.

    :param token: gives that many random bytes.
    """

    def __init__(self, settings: Settings, reactor: Any, token: Callable[[int], bytes] = token_bytes) -> None:  # noqa: ANN401
        self._settings = settings
        self._reactor = reactor
        self._ports: list[Port] = []
        self._pool = ThreadPool(1, 1, "database")
        self._database: ControlDatabase | None = None
        self._ticking: LoopingCall | None = None
        self._connections = connections_possible(settings.limits.connections)
        self.parts = assemble(settings, reactor, time.time, token, self._run, self._connections)

    def _run(self, function: Callable[[], Any]) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._pool, function)

    @property
    def addresses(self) -> list[Any]:
        """Where the server listens, in the order of ``[server] sip``."""
        return [port.getHost() for port in self._ports]

    def privilegedStartService(self) -> None:
        """Listen, while ports below 1024 and the key may still be opened.

        :raises TwsyncError: that is not possible.
        """
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        self._listen()

    def _listen(self) -> None:
        # The database belongs to the user that the daemon goes on as, so it is opened later. Nothing comes in before: accepting
        # connections is the running reactor's work.
        for description in self._settings.sip:
            self._ports.append(listen(self._reactor, description, self.parts.transport.factory()))

    def startService(self) -> None:
        """Open the database and go to work.

        :raises TwsyncError: something does not let it.
        """
        super().startService()  # type: ignore[no-untyped-call]
        if not self._ports:
            self._listen()
        self._database = ControlDatabase.open(self._settings.database, self._settings.realm)
        with self._database.transaction() as transaction:
            self.parts.load(transaction)
        self.parts.records.attach(self._database)
        self._pool.start()
        self._say()
        # In the reactor's first round: from here on connections are served and signals end the server in good order.
        self._reactor.callLater(0, _log.info, "ready")
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = self._reactor
        self._ticking.start(TICK, now=False)

    def _tick(self) -> None:
        try:
            self.parts.tick(self._reactor.seconds())
        except Exception:  # a LoopingCall that fails never calls again
            _log.failure("the work that time brings failed")

    def _say(self) -> None:
        settings = self._settings
        if self._connections < settings.limits.connections:
            _log.warn(
                "this process may hold {possible} connections, fewer than [limits] connections = {wanted}; raise its limit of open files",
                possible=self._connections, wanted=settings.limits.connections,
            )  # fmt: skip
        _log.info(
            "twsync {version}: control server of the realm {realm}, reached as {host}",
            version=__version__, realm=settings.realm, host=settings.host,
        )  # fmt: skip
        for address, description in zip(self.addresses, settings.sip, strict=True):
            kind = "SIP over TLS" if description.startswith("ssl:") else "SIP without TLS"
            _log.info("{kind} at {address}", kind=kind, address=_shown(address))
        if settings.web:
            _log.warn("[server] web is set, but this build serves no pages yet: nothing listens at {web}", web=settings.web)
        if settings.metrics:
            _log.warn("[server] metrics is set, but this build serves no metrics yet: nothing listens at {at}", at=settings.metrics)

    async def _stop(self) -> None:
        await DeferredList([maybeDeferred(port.stopListening) for port in self._ports], consumeErrors=True)
        self._ports = []
        if self._ticking is not None and self._ticking.running:
            self._ticking.stop()
        if self._database is not None:
            self.parts.leave()
            await self.parts.records.idle()
            self.parts.records.close()
            self._pool.stop()
            self._database.close()
            self._database = None

    def stopService(self) -> Deferred[None]:
        """Stop listening, write what is left, close the database."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())


def _shown(address: Any) -> str:  # noqa: ANN401 - each kind of endpoint has its own
    host, port = getattr(address, "host", None), getattr(address, "port", None)
    if host is None:
        return str(address)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
