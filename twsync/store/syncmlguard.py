"""The guard on deletes of one session of records: how many the other side may bring."""

from __future__ import annotations

from collections.abc import Sequence

from twsync import limits
from twsync.reconcile import safety
from twsync.store.syncmllink import Links
from twsync.store.syncmlsession import RecordSession
from twsync.syncml.datastore import Action, Incoming


class DeleteGuard:
    """Counts them. Allowed are 25, or a fifth of the items, if that is more (docs/architecture.md, "Safety")."""

    def __init__(self, session: RecordSession, links: Links) -> None:
        self._session = session
        self._links = links
        self._deleted = 0
        self._live: int | None = None

    @property
    def _stops(self) -> bool:
        """Whether too many deletes end the session: a person at a twsync host can allow them. A stock client is answered one by one."""
        return self._session.peer.twsync or not self._session.server

    def delete(self) -> bool:
        """One more; whether it is allowed.

        :raises SessionError: `too-many-deletes`, where that ends the session.
        """
        allowed = self._allows(1, stop=self._stops)
        self._deleted += allowed
        return allowed

    def check(self, more: int) -> None:
        """Whether so many more would be allowed.

        :raises SessionError: `too-many-deletes`.
        """
        self._allows(more, stop=True)

    def look_ahead(self, changes: Sequence[Incoming]) -> None:
        """Stop before the first delete of a message that brings too many, where that ends the session.

        :raises SessionError: `too-many-deletes`.
        """
        if not self._stops:
            return
        deletes = [change for change in changes if change.action is Action.DELETE and not keeps(change)]
        if self._deleted + len(deletes) > limits.DELETE_GUARD_ITEMS:
            found = [held.key for change in deletes if (held := self._links.named(change)) is not None]
            rows = self._session.journal.get_many(found)
            self.check(sum(row.item.live for row in rows.values()))

    def _allows(self, more: int, *, stop: bool) -> bool:
        """Whether so many more deletes are allowed.

        :param stop: raise what is in the way.
        """
        session = self._session
        if self._deleted + more <= limits.DELETE_GUARD_ITEMS:
            return True
        if self._live is None:
            # Counting them takes a look at all rows.
            self._live = session.journal.live_count() + self._deleted
        error = safety.guard_deletes(
            self._deleted + more,
            self._live,
            allowed=session.terms.allow_deletes,
            where=session.folder.device,
            begun=self._deleted > 0,
            how=session.terms.how_to_allow,
        )
        if error is not None and stop:
            raise error
        return error is None


def keeps(change: Incoming) -> bool:
    """Whether a client only makes room (SftDel), or wants the item kept in an archive: the collection is that."""
    return change.soft or change.archive
