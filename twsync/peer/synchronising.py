"""The data part of a session with this host's store: opens the collection, runs the exchange, closes it again. All disk work in threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from twsync.peer import exchange
from twsync.peer.exchange import Collection, Terms, Tools
from twsync.peer.looking import Look
from twsync.peer.sessions import Progress, Sessions, Work
from twsync.peer.settings import CollectionSettings, Settings
from twsync.peer.streams import Workshop
from twsync.peer.tasks import as_error
from twsync.reconcile.model import Policy, Side, SyncType
from twsync.session.result import SessionResult
from twsync.store.ignore import Ignore
from twsync.store.journal import Journal
from twsync.store.owner import open_gate
from twsync.store.recovery import recover
from twsync.store.staging import Staging
from twsync.transport.datachannel import DataChannel

_log = Logger()


class Synchroniser:
    """Runs the data part of sessions.

    :param settings: gives the present settings.
    """

    def __init__(self, tools: Tools, journal: Journal, sessions: Sessions, settings: Callable[[], Settings]) -> None:
        self._tools = tools
        self._workshop: Workshop = tools.workshop
        self._journal = journal
        self._sessions = sessions
        self._settings = settings

    async def exchange(self, channel: DataChannel, work: Work, progress: Progress) -> SessionResult:
        """:class:`twsync.peer.sessions.Exchange` of real collections.

        :raises TwsyncError: the collection cannot be used; the other side has been told.
        """
        settings = self._settings()
        look = work.look or self.look(work.collection, work.session, work.role, work.sync_type)
        try:
            collection = await look.collection()
        except Exception:
            # A connection that nobody minds would stand for ever.
            channel.close(as_error(Failure()))
            await look.close()
            raise
        terms = Terms(
            session=work.session, side=work.role, partner=work.partner, sync_type=SyncType(work.sync_type), policy=Policy(work.policy),
            token=work.token or b"", allow_deletes=work.allow_deletes,
            # The own user's word holds on all of the own devices; another user cannot lift this host's guards.
            heed_caller=work.partner.partition("/")[0] == settings.user,
        )  # fmt: skip
        return await exchange.run(channel, collection, terms, self._tools, lambda state: progress(_event(state)), look)

    def look(self, collection: CollectionSettings, session: str, role: Side, sync_type: str) -> Look:
        """Begin to look at a collection's disk for a session that is being agreed on; who made it closes it."""
        device = self._settings().device
        return Look(lambda: self._open(collection, device), self._close, session, role, SyncType(sync_type), self._tools)

    def _open(self, found: CollectionSettings, device: str) -> Collection:
        rows = self._journal.collection(found.name)
        return Collection(open_gate(found.path, rows), self._journal, rows, Ignore(found.ignore), device)

    def _close(self, collection: Collection) -> None:
        collection.gate.close()

    def recover_all(self, collections: Iterable[CollectionSettings]) -> None:
        """After a start: put in order what a kill or a power loss has left half done; nobody has to wait for it."""
        known = set(self._journal.collections())
        for collection in collections:
            # (Record collections are put in order when a session opens them.)
            if not collection.records and collection.name in known and self._sessions.take(collection.name):
                done: Deferred[None] = self._workshop.write(self._recover, collection)
                done.addErrback(self._not_recovered, collection)
                done.addBoth(self._recovered, collection)

    def _recover(self, found: CollectionSettings) -> None:
        rows = self._journal.collection(found.name)
        gate = open_gate(found.path, rows)
        try:
            staging = Staging(gate)
            try:
                recover(gate, rows, staging)
            finally:
                staging.close()
        finally:
            gate.close()

    def _not_recovered(self, failure: Failure, found: CollectionSettings) -> None:
        _log.error("The collection {name} cannot be used now: {error}", name=found.name, error=failure.value)

    def _recovered(self, _: None, found: CollectionSettings) -> None:
        self._sessions.release(found.name)


def _event(state: exchange.Progress) -> dict[str, object]:
    """How far the exchange is, as the local interface and INFO tell it."""
    return {
        "phase": state.phase, "bytes": state.received_bytes, "bytes_total": state.wanted_bytes, "items": state.received_files,
        "items_total": state.wanted_files, "bytes_sent": state.sent_bytes,
    }  # fmt: skip
