"""The record collections of a host: which there are, who has one now, and those that a session may reach."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from twsync import limits
from twsync.errors import StoreError
from twsync.records import Family
from twsync.store.journal import Journal
from twsync.store.owner import open_gate
from twsync.store.recordfolder import RecordFolder
from twsync.store.recordjournal import RecordJournal
from twsync.store.syncmldatastore import RecordDatastore
from twsync.store.syncmledge import describe
from twsync.store.syncmlsession import RecordSession, Terms
from twsync.syncml.datastore import Peer
from twsync.syncml.document import DataStore


@dataclass(frozen=True, slots=True)
class RecordCollection:
    """A record collection of this host, as the settings have it."""

    name: str
    path: Path
    family: Family


class Wait(NamedTuple):
    """How a thread waits for others to let go of a collection."""

    seconds: float = 0.0
    gone: Callable[[], bool] = bool
    "Whether who wants it has gone away meanwhile: it would keep from others what it does not use."


#: Or not at all.
AT_ONCE = Wait()


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

    def claim(self, name: str, wait: Wait = AT_ONCE) -> Callable[[], None]:
        """Have a collection alone; returns what lets go of it.

        :raises StoreError: `busy`.
        """
        given = self._taken(name) or (self.guests is not None and self.guests.give_way(name) and self._taken(name))
        if not given and not self._waited(name, wait):
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

    def _waited(self, name: str, wait: Wait) -> bool:
        with self._freed:
            if wait.seconds <= 0.0 or self._waiting >= limits.MAX_SYNCML_WAITING:
                return False
            self._waiting += 1
            try:
                self._freed.wait_for(lambda: name not in self._busy or self._hurried, wait.seconds)
            finally:
                self._waiting -= 1
            return not self._hurried and not wait.gone() and self._taken(name)

    def folder(self, name: str) -> RecordFolder:
        """The files of a collection; close its gate after use.

        :raises StoreError: `not-found`, `root-missing`, `root-marker-missing`, `folder-of-another`, ...
        """
        collection = self.collections().get(name)
        if collection is None:
            raise StoreError(f"There is no record collection {name} on this host; see: twsync collection list.", "not-found")
        journal = RecordJournal.of(self.journal, name)
        return RecordFolder(open_gate(collection.path, journal), journal, collection.family, self.device)

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
        wait: Wait = AT_ONCE,
    ) -> RecordDatastore:
        """Open for a session.

        :param closed: told when it is closed, before anybody else can have the collection.
        :param begun: told when the kind of the session is settled.
        :raises StoreError: `not-found`, `not-allowed`, `busy`; anything else: the folder or the disk cannot be used.
        """
        self.known(name)
        release = self._host.claim(name, wait)
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
