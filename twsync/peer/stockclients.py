"""Stock SyncML clients of this host: the endpoint ``/syncml``, their accounts, and the history of their sessions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.policies import WrappingFactory
from twisted.python.failure import Failure

from twsync.errors import ConfigError
from twsync.limits import MAX_HTTP_AT_WORK, MAX_HTTP_CONNECTIONS, SYNCML_ALLOWANCE, SYNCML_BUSY_AFTER
from twsync.peer.recorded import Opened, RecordedDatastores, Recorder
from twsync.peer.streams import Workshop
from twsync.peer.syncmlhttp import Answer, site
from twsync.reconcile.model import Side
from twsync.store.syncmlaccounts import SyncmlAccounts, SyncmlDevices, SyncmlNonces
from twsync.syncml.datastore import Datastores
from twsync.syncml.deviceinfo import OwnDevice
from twsync.syncml.ports import Account
from twsync.syncml.server import Server, ServerSetup
from twsync.syncml.serversession import Reply
from twsync.transport.interfaces import Clock, Delayed

#: How the history names such a device.
PREFIX = "syncml:"

#: Seconds between two looks for sessions that were left.
EXPIRE_PAUSE = 30.0
#: Seconds between two lines of the log that say that there are too many connections.
CROWDED_PAUSE = 60.0

_log = Logger()


class StockClients:
    """Serves them."""

    def __init__(
        self, recorder: Recorder, own: OwnDevice, workshop: Workshop, clock: Clock, now: Callable[[], float], token: Callable[[int], bytes]
    ) -> None:
        self._recorder = recorder
        self._workshop = workshop
        self._clock = clock
        self._now = now
        self._token = token
        journal, now_ns = recorder.records.journal, recorder.records.now_ns
        self._accounts = SyncmlAccounts(journal)
        nonces, devices = SyncmlNonces(journal, now_ns), SyncmlDevices(journal, now_ns)
        self._allowed: dict[str, float] = {}
        self._server = Server(ServerSetup(own), self, nonces, devices, threading.Lock)
        self._at_work = _AtWork()
        self._waiting = 0
        self._waiting_bytes = 0
        self._port: Any = None
        self._expiring: Delayed | None = None

    async def listen(self, reactor: object, description: str) -> int:
        """Listen on a Twisted endpoint string.

        :returns: the port.
        :raises ConfigError: it is none, or cannot be listened on.
        """
        try:
            endpoint = serverFromString(cast(Any, reactor), description)
        except (ValueError, KeyError, TypeError, IndexError, OSError) as error:
            raise ConfigError(f"[syncml] listen = {description!r} is no endpoint; write for example 'tcp:8080'. ({error})") from error
        try:
            self._port = await cast(Any, endpoint).listen(Crowd(cast(Any, site(self._answers)), self._clock))
        except Exception as error:  # CannotListenError, a name that does not resolve ...: whatever it is, this is the sentence for it
            raise ConfigError(f"[syncml] listen = {description!r} does not work: {str(error).rstrip('.')}.") from error
        self._expiring = self._clock.callLater(EXPIRE_PAUSE, self._expire)
        return int(getattr(self._port.getHost(), "port", 0))

    async def close(self) -> None:
        """Stop listening, and give up the sessions under way."""
        if self._expiring is not None and self._expiring.active():
            self._expiring.cancel()
        port, self._port = self._port, None
        if port is not None:
            await port.stopListening()
        self._recorder.records.hurry()
        await self._workshop.write(self._server.close)

    def allow_deletes(self, name: str) -> None:
        """The user's word: sessions of an account that begin within `SYNCML_ALLOWANCE` may delete as much as they like.

        :raises UserError: `not-found`.
        """
        self._accounts.granted(name)
        self._allowed[name] = self._now() + SYNCML_ALLOWANCE

    # --- others who want a collection that a client has

    def gives_way(self, name: str) -> bool:
        """Whether the session that has a collection would let go of it."""
        return self._server.gives_way(name, self._now())

    def give_way(self, name: str) -> bool:
        """Have it let go; whether it did. In a thread."""
        return self._server.give_way(name, self._now())

    # --- messages

    def _answers(
        self, address: str, token: str, body: bytes, content_type: str | None, origin: str, gone: Callable[[], bool]
    ) -> Deferred[Answer]:
        if self._waiting >= MAX_HTTP_CONNECTIONS or self._waiting_bytes + len(body) > MAX_HTTP_AT_WORK:
            # Their clients may be gone, and have made room for others.
            return succeed(Answer(503, b"Too many messages at once; try again in a minute.\n"))
        self._waiting += 1
        self._waiting_bytes += len(body)
        answered: Deferred[Answer] = Deferred()

        def busy() -> None:
            reply = self._server.busy(body, origin)
            if reply is not None:
                answered.callback(Answer(200, reply.body, reply.content_type))

        timer = self._clock.callLater(SYNCML_BUSY_AFTER, busy)

        def done(result: Answer | Failure) -> None:
            self._waiting -= 1
            self._waiting_bytes -= len(body)
            if timer.active():
                timer.cancel()
            if not answered.called:
                answered.callback(result)
            elif isinstance(result, Failure):
                _log.failure("A SyncML message could not be answered.", failure=result)

        self._workshop.answer(self._answer, address, token, body, content_type, origin, gone).addBoth(done)
        return answered

    def _expire(self) -> None:
        """Let go of sessions that were left: they keep a collection from others."""
        self._expiring = self._clock.callLater(EXPIRE_PAUSE, self._expire)
        expired = self._workshop.write(self._server.expire, self._now())
        expired.addErrback(lambda failure: _log.failure("SyncML sessions that were left could not be ended.", failure=failure))

    def _answer(self, address: str, token: str, body: bytes, content_type: str | None, origin: str, gone: Callable[[], bool]) -> Answer:
        """In a thread."""
        resp_uri = (lambda made: f"{address}/{made}") if address else None
        with self._at_work.on_message(gone, self._recorder.finish_from_thread):
            reply = self._server.receive(token or None, body, content_type, self._now(), self._token, resp_uri, origin=origin)
            if isinstance(reply, Reply):
                if isinstance(reply.datastores, RecordedDatastores):
                    reply.datastores.messages.received += len(body)
                    reply.datastores.messages.sent += len(reply.body)
                return Answer(200, reply.body, reply.content_type)
        return Answer(reply.status, f"{reply.text}\n".encode())

    # --- the accounts of the server

    def account(self, name: str) -> Account | None:
        """One by its name."""
        return self._accounts.account(name)

    def datastores(self, account: str, device: str, twsync: bool) -> Datastores:
        """The collections that were granted to an account."""
        granted = self._accounts.granted(account)
        allowed = self._now() < self._allowed.get(account, 0.0)
        return self._recorder.datastores(
            Side.SERVER, f"{account}/{device}", granted, self._closed, allow_deletes=allowed, gone=self._at_work.gone
        )

    def _closed(self, opened: Opened) -> None:
        """A collection was let go: its session is told to the history once the reply to this message is counted."""
        if not self._at_work.put_off(opened):
            self._recorder.finish_from_thread(opened)


class _AtWork(threading.local):
    """What a thread knows while it deals with a message: whether the client has gone away, and what was closed."""

    def __init__(self) -> None:
        self._gone: Callable[[], bool] = bool
        self._closed: list[Opened] | None = None

    @contextmanager
    def on_message(self, gone: Callable[[], bool], finish: Callable[[Opened], None]) -> Iterator[None]:
        """What is closed meanwhile is finished at the end."""
        self._gone = gone
        closed = self._closed = []
        try:
            yield
        finally:
            self._gone, self._closed = bool, None
            for opened in closed:
                finish(opened)

    def gone(self) -> bool:
        """Whether the client has gone away."""
        return self._gone()

    def put_off(self, opened: Opened) -> bool:
        """Whether the thread deals with a message."""
        if self._closed is None:
            return False
        self._closed.append(opened)
        return True


class Crowd(WrappingFactory):
    """Lets in no more connections at once than the limit.

    When there are as many, the oldest that has no whole message on it gives way to a new one; of the address that has most of them, if one
    has more than others. So whoever opens connections and says nothing, or a byte now and then, keeps nobody out.
    """

    noisy = False

    def __init__(self, wrapped: Factory[Any], clock: Clock) -> None:
        super().__init__(cast(Any, wrapped))  # type: ignore[no-untyped-call]
        self._clock = clock
        self._told: float | None = None

    def buildProtocol(self, addr: Any) -> Any:  # noqa: ANN401 - an address, a protocol
        """A protocol, or None: the connection is closed at once."""
        if len(self.protocols) >= MAX_HTTP_CONNECTIONS:
            self._tell(addr)
            idle = [each for each in self.protocols if not any(request.whole for request in each.wrappedProtocol.requests)]
            if not idle:
                return None
            hosts = [getattr(each.getPeer(), "host", "") for each in idle]
            leaving = idle[hosts.index(max(hosts, key=hosts.count))]
            leaving.abortConnection()
            # Its end comes a moment later; it is not to be chosen twice.
            self.unregisterProtocol(leaving)
        return super().buildProtocol(addr)

    def unregisterProtocol(self, p: Any) -> None:  # noqa: ANN401 - a protocol
        """One is over, or as good as that."""
        self.protocols.pop(p, None)

    def _tell(self, addr: object) -> None:
        now = self._clock.seconds()
        if self._told is None or now - self._told >= CROWDED_PAUSE:
            self._told = now
            _log.warn("There are too many SyncML connections; the last one is from {address}.", address=addr)
