"""This host as a client of a stock SyncML server: ``twsync syncml sync URL COLLECTION ...``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from twsync import __version__
from twsync.errors import SessionError
from twsync.limits import HTTP_TIMEOUT, MAX_SYNCML_DOCUMENT
from twsync.peer.recorded import Opened, Recorder
from twsync.peer.sessions import Progress
from twsync.peer.streams import Workshop
from twsync.peer.syncmldrive import drive
from twsync.reconcile.model import Side, SyncType
from twsync.session.result import Error, SessionResult, State
from twsync.store.syncmlaccounts import SyncmlServers
from twsync.syncml.client import ClientSession
from twsync.syncml.clientaccess import Credentials
from twsync.syncml.clientresult import Result
from twsync.syncml.clientsetup import ClientSetup, Wanted, alerted
from twsync.syncml.deviceinfo import OwnDevice
from twsync.syncml.document import Encoding, Protocol
from twsync.transport.http import Answer, post_with, web_agent
from twsync.transport.interfaces import Clock

#: Seconds between two signs of life to the command that waits: a third of its patience.
SAID_AGAIN = 30.0


@dataclass(frozen=True, slots=True)
class StockOrder:
    """A session that someone wants."""

    url: str
    collections: Sequence[tuple[str, str]]
    "Own name and the server's, for each datastore."
    user: str = ""
    password: str = ""
    "Empty user: nothing is proved."
    sync_type: SyncType = SyncType.TWO_WAY
    protocol: Protocol = Protocol.V1_2
    encoding: Encoding = Encoding.WBXML
    fixed: bool = False
    "Neither another version nor another encoding is tried."
    allow_deletes: bool = False
    allow_slow: bool = True
    session_id: int | None = None
    "Of the notification that asked for the session."
    notified: Sequence[tuple[str, int]] | None = None
    "The server's datastores and alert codes in it."

    def __repr__(self) -> str:
        """Without the password."""
        return f"StockOrder({self.url!r}, {self.collections!r}, {self.user!r})"


class StockServers:
    """Runs such sessions.

    :param reactor: for connections.
    :param device: this device's id for servers.
    """

    def __init__(
        self, recorder: Recorder, workshop: Workshop, reactor: Any, now: Callable[[], float], token: Callable[[int], bytes],  # noqa: ANN401
        device: Callable[[], str],
    ) -> None:  # fmt: skip
        self._recorder = recorder
        self._workshop = workshop
        self._reactor = reactor
        self._now = now
        self._token = token
        self._device = device
        self._servers = SyncmlServers(recorder.records.journal, recorder.records.now_ns)

    async def synchronise(self, order: StockOrder, report: Progress) -> list[SessionResult]:
        """One session with all the collections of the order; a result for each that was opened.

        :raises SessionError: the session failed before any was.
        """
        remembered = await self._workshop.read(self._servers.load, order.user, order.url)
        datastores = self._recorder.datastores(
            Side.CLIENT, f"{order.user}@{order.url}" if order.user else order.url, [own for own, _ in order.collections],
            allow_deletes=order.allow_deletes,
        )  # fmt: skip
        number = int.from_bytes(self._token(3), "big") if order.session_id is None else order.session_id
        setup = ClientSetup(
            url=order.url, own=OwnDevice(self._device(), __version__, "workstation"), session_id=str(number),
            partner=f"server:{order.url}", protocol=order.protocol, encoding=order.encoding, fixed_protocol=order.fixed,
            fixed_encoding=order.fixed, credentials=Credentials(order.user, order.password) if order.user else None,
            remembered=remembered,
        )  # fmt: skip
        wanted = [Wanted(own, theirs, order.sync_type, allow_slow=order.allow_slow) for own, theirs in order.collections]
        if order.notified is not None:
            wanted = alerted(order.notified, wanted)
        session = ClientSession(wanted, datastores, setup)
        post = post_with(web_agent(self._reactor), self._reactor, MAX_SYNCML_DOCUMENT, HTTP_TIMEOUT)
        outcome: Result | None = None

        async def counted(url: str, content_type: str, body: bytes) -> Answer:
            datastores.messages.sent += len(body)
            answer = await post(url, content_type, body)
            datastores.messages.received += len(answer.body)
            return answer

        def going_on() -> None:
            report({"phase": "transfer"})

        try:
            with said_again(self._reactor, going_on):
                outcome = await drive(session, counted, self._workshop.write, self._reactor, self._now, going_on)
        finally:
            results = await self._workshop.write(_conclude, datastores.opened, outcome)
            if session.remembered != remembered:
                await self._workshop.write(self._servers.store, order.user, order.url, session.remembered)
            for opened, result in zip(datastores.opened, results, strict=True):
                result.type = str(order.sync_type)
                self._recorder.finish(opened, result)
        if not results:
            error = outcome.error or next((store.error for store in outcome.stores if store.error is not None), None)
            if error is not None:
                raise SessionError(error.message, error.code)
        return results


@contextmanager
def said_again(clock: Clock, say: Callable[[], None]) -> Iterator[None]:
    """Say something every `SAID_AGAIN` seconds: a command that hears nothing from its daemon for long gives it up, and servers are slow."""

    def again() -> None:
        timers.append(clock.callLater(SAID_AGAIN, again))
        timers.pop(0)
        say()

    timers = [clock.callLater(SAID_AGAIN, again)]
    try:
        yield
    finally:
        timers.pop().cancel()


def _conclude(all_opened: Sequence[Opened], outcome: Result | None) -> list[SessionResult]:
    """In a thread: close what is open, and say what each came to."""
    told = {store.name: store for store in outcome.stores} if outcome is not None else {}
    results = []
    for opened in all_opened:
        opened.store.close()
        store = told.get(opened.running.collection)
        result = opened.result(store)
        error = (store.error if store is not None else None) or (outcome.error if outcome is not None else None)
        if error is not None:
            result.state, result.error = State.FAILED, Error(code=error.code, message=error.message)
        results.append(result)
    return results
