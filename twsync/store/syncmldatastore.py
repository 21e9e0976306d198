"""The store's side of `twsync.syncml.datastore`: one record collection in one session."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from twsync.errors import TwsyncError
from twsync.reconcile.model import SyncType
from twsync.store.syncmlgive import Giving
from twsync.store.syncmlsession import RecordSession, Report, key_of, name_of
from twsync.store.syncmltake import Taking
from twsync.syncml.datastore import Anchors, Incoming, Outcome, Outgoing


class RecordDatastore:
    """One record collection in one session; see `twsync.syncml.datastore.Datastore`. One thread at a time."""

    def __init__(
        self, session: RecordSession, released: Callable[[], None], begun: Callable[[RecordDatastore], None] | None = None
    ) -> None:
        """Made by `RecordDatastores.open`.

        :param released: called once, when it is closed.
        :param begun: told when the kind of the session is settled.
        """
        self._session = session
        self._begun = begun
        self._released = released
        self._giving = Giving(session)
        self._taking = Taking(session)
        self._closed = False
        self.sync_type: SyncType | None = None
        "The type that the session has; None: it has not begun."
        self.committed = False
        "Whether it ended well."
        self.error: TwsyncError | None = None
        "What failed here first."

    @property
    def name(self) -> str:
        """The collection."""
        return self._session.journal.name

    @property
    def report(self) -> Report:
        """What the session came to so far."""
        return self._session.report

    @property
    def anchors(self) -> Anchors:
        """Those of the last finished session with this partner."""
        return self._session.partner.anchors

    def begin(self, sync_type: SyncType, resumed: bool) -> None:
        """The kind of the session is settled: local changes are looked for.

        :raises SessionError: `emptied`.
        :raises StoreError: the folder or the disk cannot be used.
        """
        self.sync_type = sync_type
        if self._begun is not None:
            self._begun(self)
        with self._noting():
            self._session.begin(sync_type, resumed)

    def take(self, changes: Sequence[Incoming]) -> list[Outcome]:
        """Carry out changes of the other side, in order; durable on return.

        :raises SessionError: `too-many-deletes` (another twsync host, or here as client; a stock client's deletes are answered 403).
        :raises StoreError: the disk cannot go on.
        """
        with self._noting():
            return self._taking.take(changes)

    def received_all(self) -> None:
        """The other side's changes are complete: a refresh deletes here what was not sent.

        :raises SessionError: `too-many-deletes`.
        """
        if self._session.replaces:
            with self._noting():
                self._taking.delete_rest()

    def may_replace(self) -> None:
        """See `received_all`.

        :raises SessionError: `too-many-deletes`.
        """
        if self._session.replaces:
            with self._noting():
                self._taking.guard_rest()

    def count(self) -> int:
        """How many `changes` there are.

        :raises SessionError: `too-many-deletes` for a stock server.
        """
        with self._noting():
            return self._giving.count()

    def changes(self) -> Iterator[Outgoing]:
        """What the other side has to be told, each once.

        :raises SessionError: as `count`.
        """
        with self._noting():
            yield from self._giving.changes()

    def sent(self, change: Outgoing, status: int) -> None:
        """The other side answered a change."""
        self._giving.sent(change, status)

    def map(self, pairs: Sequence[tuple[str, str]]) -> list[int]:
        """Server: the client says under which LUIDs it stored Adds (GUID, LUID); the statuses: 200, 404, or 414 for a name that is too
        long."""
        said = iter(self._giving.mapped([pair for pair in pairs if key_of(pair[1]) is not None]))
        return [next(said) if key_of(luid) is not None else 414 for _, luid in pairs]

    def maps(self) -> Sequence[tuple[str, str]]:
        """Client: pairs (GUID, LUID) that no server has confirmed yet."""
        self._giving.settle()
        return [(guid, name_of(key)) for guid, key in self._session.maps.untold()]

    def maps_confirmed(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Client: the server has answered a Map that held these."""
        with self._session.journal.database.transaction():
            self._session.maps.confirmed((guid, luid.encode()) for guid, luid in pairs)

    def commit(self, anchors: Anchors) -> None:
        """The session is over and good. Durable on return."""
        session = self._session
        with self._noting(), session.journal.database.transaction(durable=True):
            session.partner.commit(anchors, told=session.told, compared=session.compares)
            session.journal.history.prune(session.now_ns())
            session.journal.texts.sweep()
        self.committed = True

    def close(self) -> None:
        """Put things away; a second time does nothing."""
        if not self._closed:
            self._closed = True
            try:
                with suppress(TwsyncError):
                    self._giving.settle()
                with suppress(TwsyncError):
                    self._session.close()
            finally:
                self._released()

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            self._giving.settle()
            yield
        except TwsyncError as error:
            self.error = self.error or error
            raise
