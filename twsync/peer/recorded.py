"""Record collections opened by SyncML sessions with others than twsync hosts: each becomes a session of the history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from twisted.logger import Logger

from twsync.errors import StoreError, TwsyncError
from twsync.limits import MAX_SYNCML_WAITS, SYNCML_PATIENCE
from twsync.peer.recordresult import fill
from twsync.peer.sessions import Running, Sessions, blank
from twsync.peer.settings import Settings
from twsync.peer.streams import Workshop
from twsync.reconcile.model import RecordPolicy, Side
from twsync.reconcile.safety import ALLOW
from twsync.session.datatypes import SyncProtocol
from twsync.session.result import SessionResult, State, printable
from twsync.store.recordhost import AT_ONCE, RecordHost, Wait
from twsync.store.syncmldatastore import RecordDatastore
from twsync.store.syncmlsession import Terms
from twsync.syncml.clientresult import StoreResult
from twsync.syncml.datastore import Peer
from twsync.syncml.document import DataStore

_log = Logger()

#: How the history names such a partner.
PREFIX = "syncml:"
#: Of a session that did not come to its end.
_CUT = ("cut-short", "The SyncML session was not ended; the next one goes on where this one was.")


@dataclass(slots=True)
class Messages:
    """Bytes of the SyncML messages of one session, whatever number of collections it has."""

    sent: int = 0
    received: int = 0


@dataclass(eq=False)
class Opened:
    """One collection in one session."""

    running: Running
    store: RecordDatastore
    messages: Messages

    def result(self, told: StoreResult | None = None) -> SessionResult:
        """What it came to.

        :param told: what a client session says of it.
        """
        running = self.running
        running.sync_type = running.sync_type or str(self.store.sync_type or "")
        error = self.store.error
        reason = _CUT if error is None else (error.code, error.message)
        result = blank(running, State.DONE) if self.store.committed else blank(running, State.FAILED, *reason)
        result.sent.wire_bytes, result.received.wire_bytes = self.messages.sent, self.messages.received
        fill(result, self.store, told)
        return result


class Recorder:
    """Opens collections and tells the history.

    :param zone: IANA name of the time zone of local times that say none.
    """

    def __init__(
        self, records: RecordHost, sessions: Sessions, settings: Callable[[], Settings], workshop: Workshop,
        token: Callable[[int], bytes], zone: str,
    ) -> None:  # fmt: skip
        self.records = records
        self._sessions = sessions
        self._settings = settings
        self._workshop = workshop
        self._token = token
        self._zone = zone

    def datastores(
        self, side: Side, partner: str, granted: Sequence[str] | None, closed: Callable[[Opened], None] | None = None,
        *, allow_deletes: bool = False, gone: Callable[[], bool] = bool,
    ) -> RecordedDatastores:  # fmt: skip
        """The collections that a session with `partner` may reach.

        :param granted: their names; None: all.
        :param closed: told of each that was begun when it is closed, in the thread that does it. None: somebody else tells the history how
            they ended, and what was opened is there from the start.
        :param gone: asked in the thread of a message: whether its client has gone away.
        """
        return RecordedDatastores(self, side, partner, granted, closed, allow_deletes, gone)

    def open(self, wanted: RecordedDatastores, name: str, peer: Peer, wait: Wait = AT_ONCE) -> Opened:
        """Open one, in a thread.

        :raises TwsyncError: it cannot be opened.
        """
        wanted.known(name)
        collection = self._settings().collection(name)
        again = next((opened for opened in wanted.opened if opened.running.collection == name), None)
        session = self._token(16).hex() if again is None else again.running.session
        how = ALLOW if wanted.side is Side.CLIENT else f"say `twsync syncml account allow-deletes {peer.account}` on {self.records.device}"
        terms = Terms(
            session=session, side=wanted.side, policy=cast(RecordPolicy, collection.policy), allow_deletes=wanted.allow_deletes,
            how_to_allow=how, zone=self._zone,
        )  # fmt: skip

        def begun(store: RecordDatastore) -> None:
            # Not before: a store is closed and opened again when a client says late what it is.
            if wanted.closed is not None:
                opened.running.sync_type = str(store.sync_type)
                self._workshop.back(self._sessions.begin, opened.running)

        def closed(store: RecordDatastore) -> None:
            if wanted.closed is not None and store.sync_type is not None:
                wanted.closed(opened)

        try:
            store = self.records.datastores(terms, wanted.granted).open(name, peer, closed, begun, wait)
        except TwsyncError as error:
            if wanted.side is Side.CLIENT or error.code == "busy":
                raise
            # A client gets no session by it that the history could show, and it is not told about the disks of this host.
            _log.warn("{name} cannot be synchronised with {partner}: {reason}", name=name, partner=wanted.partner, reason=error.message)
            raise StoreError(f"The collection {name} cannot be used now; the log of its host says why.", error.code) from error
        if again is not None:
            # A client opens a collection again once it knows what the server is.
            again.store, opened = store, again
            return again
        opened = Opened(
            Running(session, name, f"{PREFIX}{printable(wanted.partner)}", wanted.side, "", 0, SyncProtocol.SYNCML), store,
            wanted.messages,
        )  # fmt: skip
        wanted.opened.append(opened)
        if wanted.closed is None:
            self._workshop.back(self._sessions.begin, opened.running)
        return opened

    def finish(self, opened: Opened, result: SessionResult) -> None:
        """The session of one is over, in the reactor's thread."""
        self._sessions.finish(opened.running, result)
        self._sessions.over(opened.running)

    def finish_from_thread(self, opened: Opened) -> None:
        """As `finish`, from a thread, with what the store says."""
        self._workshop.back(self.finish, opened, opened.result())


class RecordedDatastores:
    """See `twsync.syncml.datastore.Datastores`."""

    def __init__(
        self, recorder: Recorder, side: Side, partner: str, granted: Sequence[str] | None, closed: Callable[[Opened], None] | None,
        allow_deletes: bool, gone: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._recorder = recorder
        self.side = side
        self.partner = partner
        self.granted = granted
        self.closed = closed
        self.allow_deletes = allow_deletes
        self.opened: list[Opened] = []
        self.messages = Messages()
        self._gone = gone
        self._busy = ""
        self._waits = MAX_SYNCML_WAITS
        self._shown = recorder.records.datastores(Terms(session="", side=side), granted)

    def names(self) -> Sequence[str]:
        """Names of those that may be reached."""
        return self._shown.names()

    def describe(self, name: str) -> DataStore:
        """Its entry of the device information."""
        return self._shown.describe(name)

    def known(self, name: str) -> None:
        """
        :raises StoreError: `not-found`, `not-allowed`: a client is told no more than that.
        """
        self._shown.known(name)

    def open(self, name: str, peer: Peer) -> RecordDatastore:
        """Open for a session. Who asks again for what was busy waits for others to let go of it; if in vain, no more in this session."""
        patient, self._busy = self._busy == name and self._waits > 0, ""
        try:
            return self._recorder.open(self, name, peer, Wait(SYNCML_PATIENCE if patient else 0.0, self._gone)).store
        except TwsyncError as error:
            if error.code == "busy":
                self._busy, self._waits = name, 0 if patient else self._waits
            raise
        finally:
            self._waits -= patient
