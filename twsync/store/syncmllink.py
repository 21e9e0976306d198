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
        for key in names:
            if theirs is not None and self._related(key, text, theirs):
                return key
        if session.compares:
            found = self._matcher().find(identity.uid, identity.digest, identity.keys)
        else:
            found = Matcher(session.journal.texts.twins(identity, session.partner.number)).find(identity.uid, identity.digest)
        if found is None and session.compares and hint is not None:
            found = self._deleted(identity, hint)
        if found is None:
            # Last, for versions of items that were found to be one are joined: what was deleted here under this name. The versions say
            # which of the two follows the other.
            found = next((key for key in names if self._is_dead(key)), None)
        return found

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

    def _is_dead(self, key: bytes) -> bool:
        row = self._session.journal.get(key)
        return row is not None and not row.item.live

    def _related(self, key: bytes, text: Text, theirs: Version) -> bool:
        """Whether the live row at a key is the same item to another twsync host: one version follows the other, or the UIDs agree."""
        session = self._session
        row = session.journal.get(key)
        if row is None or not row.item.live or (key not in self._matcher() if session.compares else self._has(key)):
            return False
        if row.item.version.order(theirs) is not Order.CONCURRENT:
            return True
        own = session.journal.texts.get(row.item.content)
        return own is not None and own.identity.uid != "" and own.identity.uid == text.identity.uid

    def _matcher(self) -> Matcher:
        if self._unmet is None:
            session = self._session
            met = session.maps.paired(session.partner.stamp)
            self._unmet = Matcher(one for one in session.journal.texts.likenesses() if one.key not in met)
        return self._unmet
