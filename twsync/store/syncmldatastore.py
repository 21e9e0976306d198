"""The store's side of `twsync.syncml.datastore`: the record collections of a host, and one of them in a session."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from twsync import limits
from twsync.errors import StoreError, TwsyncError
from twsync.reconcile.model import SyncType
from twsync.records import Family
from twsync.store.journal import Journal
from twsync.store.paths import Gate
from twsync.store.recordfolder import RecordFolder
from twsync.store.recordjournal import RecordJournal
from twsync.store.syncmledge import describe
from twsync.store.syncmlgive import Giving
from twsync.store.syncmlsession import RecordSession, Report, Terms, key_of, name_of
from twsync.store.syncmltake import Taking
from twsync.syncml.datastore import Anchors, Incoming, Outcome, Outgoing, Peer
from twsync.syncml.document import DataStore


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


@dataclass(frozen=True, slots=True)
class RecordCollection:
    """A record collection of this host, as the settings have it."""

    name: str
    path: Path
    family: Family


class Guests(Protocol):
    """Sessions that may have a collection and have to let go of it for others: those of clients that say when they go on."""

    def gives_way(self, name: str) -> bool:
        """Whether the one that has a collection would let go of it."""

    def give_way(self, name: str) -> bool:
        """Have it let go; whether it did."""


class RecordHost:
    """The record collections of a host. Thread-safe; lives as long as the daemon."""

    def __init__(
        self,
        journal: Journal,
        collections: Callable[[], Mapping[str, RecordCollection]],
        device: str,
        now_ns: Callable[[], int],
    ) -> None:
        """Of one host.

        :param collections: those that the settings name now.
        :param device: name of this device, for the rows.
        """
        self.journal = journal
        self.collections = collections
        self.device = device
        self.now_ns = now_ns
        self.guests: Guests | None = None
        self._busy: set[str] = set()
        self._freed = threading.Condition(threading.RLock())
        self._waiting = 0
        self._hurried = False

    def claim(self, name: str, patience: float = 0.0) -> Callable[[], None]:
        """Have a collection alone; returns what lets go of it.

        :param patience: seconds to wait in this thread for others to let go of it.
        :raises StoreError: `busy`.
        """
        given = self._taken(name) or (self.guests is not None and self.guests.give_way(name) and self._taken(name))
        if not given and not self._waited(name, patience):
            raise StoreError(f"The collection {name} is being synchronised; try again in a moment.", "busy")

        def release() -> None:
            with self._freed:
                self._busy.discard(name)
                self._freed.notify_all()

        return release

    def hurry(self) -> None:
        """The daemon ends: nobody waits any more."""
        with self._freed:
            self._hurried = True
            self._freed.notify_all()

    def busy(self, name: str) -> bool:
        """Whether a collection is claimed by somebody who would not let go of it."""
        with self._freed:
            claimed = name in self._busy
        return claimed and not (self.guests is not None and self.guests.gives_way(name))

    def _taken(self, name: str) -> bool:
        with self._freed:
            free = name not in self._busy
            self._busy.add(name)
        return free

    def _waited(self, name: str, patience: float) -> bool:
        with self._freed:
            if patience <= 0.0 or self._waiting >= limits.MAX_SYNCML_WAITING:
                return False
            self._waiting += 1
            try:
                self._freed.wait_for(lambda: name not in self._busy or self._hurried, patience)
            finally:
                self._waiting -= 1
            return not self._hurried and self._taken(name)

    def folder(self, name: str) -> RecordFolder:
        """The files of a collection; close its gate after use.

        :raises StoreError: `not-found`, `root-missing`, `root-marker-missing`, ...
        """
        collection = self.collections().get(name)
        if collection is None:
            raise StoreError(f"There is no record collection {name} on this host; see: twsync collection list.", "not-found")
        journal = RecordJournal.of(self.journal, name)
        gate = Gate.open(collection.path, known=journal.known)
        return RecordFolder(gate, journal, collection.family, self.device)

    def datastores(self, terms: Terms, granted: Sequence[str] | None = None) -> RecordDatastores:
        """Those that one session may reach.

        :param granted: names of collections; None: all.
        """
        return RecordDatastores(self, terms, granted)


class RecordDatastores:
    """The collections that one session may reach; see `twsync.syncml.datastore.Datastores`."""

    def __init__(self, host: RecordHost, terms: Terms, granted: Sequence[str] | None = None) -> None:
        """Made by `RecordHost.datastores`."""
        self._host = host
        self._terms = terms
        self._granted = None if granted is None else frozenset(granted)
        self.opened: list[RecordDatastore] = []
        "Those that were opened, for their reports."

    def names(self) -> Sequence[str]:
        """Names of the collections that may be synchronised, sorted."""
        return sorted(name for name in self._host.collections() if self._granted is None or name in self._granted)

    def describe(self, name: str) -> DataStore:
        """The entry of one for the device information.

        :raises StoreError: `not-found`, `not-allowed`.
        """
        return describe(name, self.known(name).family)

    def open(
        self,
        name: str,
        peer: Peer,
        closed: Callable[[RecordDatastore], None] | None = None,
        begun: Callable[[RecordDatastore], None] | None = None,
        patience: float = 0.0,
    ) -> RecordDatastore:
        """Open for a session.

        :param closed: told when it is closed, before anybody else can have the collection.
        :param begun: told when the kind of the session is settled.
        :param patience: seconds to wait in this thread for others to let go of it.
        :raises StoreError: `not-found`, `not-allowed`, `busy`; anything else: the folder or the disk cannot be used.
        """
        self.known(name)
        release = self._host.claim(name, patience)
        try:
            folder = self._host.folder(name)
            try:
                session = RecordSession(folder, peer, self._terms, self._host.now_ns)
            except BaseException:
                folder.gate.close()
                raise
        except BaseException:
            release()
            raise

        def released() -> None:
            folder.gate.close()
            try:
                if closed is not None:
                    closed(made)
            finally:
                release()

        made = RecordDatastore(session, released, begun)
        self.opened.append(made)
        return made

    def known(self, name: str) -> RecordCollection:
        """One of them, before it is opened.

        :raises StoreError: `not-found`, `not-allowed`.
        """
        collection = self._host.collections().get(name)
        if collection is None:
            raise StoreError(f"There is no record collection {name} on this host.", "not-found")
        if self._granted is not None and name not in self._granted:
            raise StoreError(f"The collection {name} is not granted to this account; see: twsync syncml account.", "not-allowed")
        return collection
