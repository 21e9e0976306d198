"""Which own item a change of the other side is about."""

from __future__ import annotations

from twsync.reconcile.recordmatch import Likeness, Matcher
from twsync.reconcile.versions import Order, Version
from twsync.records import Identity
from twsync.store.recordtexts import Text
from twsync.store.syncmlmap import Held
from twsync.store.syncmlsession import RecordSession, key_of
from twsync.syncml.datastore import Action, Incoming


class Links:
    """Names of the other side, and own items, of one session."""

    def __init__(self, session: RecordSession) -> None:
        self._session = session
        self._unmet: Matcher | None = None

    def named(self, change: Incoming) -> Held | None:
        """What the map knows of the other side's name. (Also what an earlier session knew, while everything is compared.)

        As client: a name of a Replace or Delete is the own key, also if nothing is known of it.
        """
        session, key = self._session, key_of(change.id)
        if key is None:
            return None
        if not session.server:
            if change.action is Action.ADD:
                return self._standing(session.maps.by_guid(change.id))
            return session.maps.by_key(key) or Held(key)
        return self._standing(session.maps.by_luid(change.id))

    def certain(self, held: Held) -> bool:
        """Whether the map can be relied on: everything is compared anew, and this item was met already; or nothing is."""
        session = self._session
        return not session.compares or (held.held and held.stamp == session.partner.stamp)

    def alike(self, change: Incoming, text: Text, theirs: Version | None, hint: Held | None) -> bytes | None:
        """The key of the own item that this must be, though the map does not say so; None: it is new here."""
        session = self._session
        identity = text.identity
        names = [] if theirs is None else [key for key in (hint.key if hint is not None else None, key_of(change.id)) if key is not None]
        found = next((key for key in names if self._is_same(key, identity)), None)
        if found is None:
            free = self._matcher() if session.compares else Matcher(session.journal.texts.twins(identity, session.partner.number))
            found = free.find(identity.uid, identity.digest)
        if found is None and theirs is not None:
            found = next((key for key in names if self._follows(key, identity, theirs)), None)
        if found is None and session.compares:
            found = self._matcher().find(identity.uid, identity.digest, identity.keys)
        if found is None and session.compares and hint is not None:
            found = self._deleted(identity, hint)
        if found is None and theirs is not None:
            # Last, for versions of items that were found to be one are joined: what was deleted here under this name. The versions say
            # which of the two follows the other.
            found = next((key for key in names if self._was_same(key, identity, theirs)), None)
        if found is None and theirs is not None and identity.uid:
            found = self._buried(identity.uid, theirs)
        return found

    def moved(self, held: Held, identity: Identity) -> bytes | None:
        """The live item of the same UID under another name, if the one that a name led to was deleted here: it was renamed."""
        session = self._session
        row = session.journal.get(held.key)
        if row is None or row.item.live or not identity.uid:
            return None
        twins = session.journal.texts.twins(identity, session.partner.number)
        return min((one.key for one in twins if one.uid == identity.uid), default=None)

    def original(self, name: str) -> bytes | None:
        """The live item of which a new one is the copy of a conflict; None: it is not here.

        :param name: what the client of the session calls it.
        """
        session, key = self._session, key_of(name)
        if key is not None and session.server:
            held = session.maps.by_luid(name)
            key = None if held is None else held.key
        row = session.journal.get(key) if key is not None else None
        return key if row is not None and row.item.live else None

    def means_another(self, key: bytes, identity: Identity) -> bool:
        """Whether a name stands for another item, here or for the partner, so that a new one must not have it.

        The partner could not tell the two apart after a crash. For a third host that still has what was deleted here under this name, the
        new item would be an edit of that.
        """
        session = self._session
        if session.maps.by_key(key) is not None:
            return True
        row = session.journal.get(key)
        if row is None or row.item.live:
            return row is not None
        was = session.journal.was(row)
        return was is not None and not _one(was.identity, identity)

    def paired(self, key: bytes) -> None:
        """An own item has met its partner."""
        if self._unmet is not None:
            self._unmet.pair(key)

    # --- inside

    def _standing(self, held: Held | None) -> Held | None:
        """A name that was set aside counts only as long as nothing else stands at the key."""
        if held is None or held.held:
            return held
        row = self._session.journal.get(held.key)
        return held if row is None or not row.item.live else None

    def _deleted(self, identity: Identity, hint: Held) -> bytes | None:
        """The key of an item that was deleted here, if it is the one that had this name."""
        session = self._session
        row, base = session.journal.get(hint.key), session.journal.texts.get(hint.base)
        if row is None or row.item.live or base is None:
            return None
        was = base.identity
        return Matcher([Likeness(hint.key, was.uid, was.digest, was.keys)]).find(identity.uid, identity.digest, identity.keys)

    def _has(self, key: bytes) -> bool:
        """Whether the other side has an item for this key that is named."""
        held = self._session.maps.by_key(key)
        return held is not None and held.held and not held.soft

    def _was_same(self, key: bytes, identity: Identity, theirs: Version) -> bool:
        """Whether what was deleted here at a key is the same item: by its UID, or, if there is none, by the versions."""
        session = self._session
        row = session.journal.get(key)
        if row is None or row.item.live:
            return False
        was = session.journal.was(row)
        if was is not None and was.identity.uid and identity.uid:
            return was.identity.uid == identity.uid
        return row.item.version.order(theirs) is not Order.CONCURRENT

    def _buried(self, uid: str, theirs: Version) -> bytes | None:
        """The key, under whatever name, of an item of this UID whose deletion follows the version that comes: what comes is not new.

        What lives follows what was deleted under another name, see `twsync.store.recordtwins`; so a renamed record is not meant.
        """
        journal = self._session.journal
        # By far the most that comes has a UID that was never here.
        rows = journal.rows_of([uid]).get(uid, {}) if journal.texts.knows(uid) else {}
        followed = (Order.OLDER, Order.EQUAL)
        return min((key for key, row in rows.items() if not row.item.live and theirs.order(row.item.version) in followed), default=None)

    def _named_so(self, key: bytes) -> tuple[Version, Identity] | None:
        """The live item at a key that another twsync host may mean by this name; None: there is none, or it has its partner."""
        session = self._session
        row = session.journal.get(key)
        if row is None or not row.item.live or (key not in self._matcher() if session.compares else self._has(key)):
            return None
        own = session.journal.texts.get(row.item.content)
        return None if own is None else (row.item.version, own.identity)

    def _is_same(self, key: bytes, identity: Identity) -> bool:
        """Whether the item at a key has the same UID, or, where one side has none, the same content."""
        own = self._named_so(key)
        return own is not None and _one(own[1], identity)

    def _follows(self, key: bytes, identity: Identity, theirs: Version) -> bool:
        """Whether one of the two versions follows the other, where no UIDs can say what is one item.

        Each host gives out its own names, so one name may mean two items; and versions of two items may well be in order, for each counts
        from 1. So this never stands against a UID.
        """
        own = self._named_so(key)
        if own is None or (own[1].uid and identity.uid):
            return False
        return own[0].order(theirs) in (Order.NEWER, Order.OLDER)

    def _matcher(self) -> Matcher:
        if self._unmet is None:
            session = self._session
            met = session.maps.paired(session.partner.stamp)
            self._unmet = Matcher(one for one in session.journal.texts.likenesses() if one.key not in met)
        return self._unmet


def _one(one: Identity, other: Identity) -> bool:
    """Whether two are one item: by UID; by content if one has none."""
    return one.uid == other.uid if one.uid and other.uid else one.digest == other.digest
