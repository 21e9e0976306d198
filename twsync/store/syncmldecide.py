"""Changes of the other side, decided one by one: what each takes to be done, or its answer."""

from __future__ import annotations

from msgspec.structs import replace

from twsync import limits, records
from twsync.errors import FormatError
from twsync.reconcile import safety
from twsync.reconcile.model import Item, Kind
from twsync.reconcile.policy import conflict_copy
from twsync.reconcile.record import Decision, Facts, Own, Verdict, decide, resulting
from twsync.reconcile.versions import Order, Version
from twsync.store.changes import Change
from twsync.store.packing import pack_version, unpack_version
from twsync.store.recordtexts import Text
from twsync.store.rows import Row
from twsync.store.syncmlcarry import Step
from twsync.store.syncmlguard import DeleteGuard, keeps
from twsync.store.syncmllink import Links
from twsync.store.syncmlmap import Held
from twsync.store.syncmlsession import RecordSession, key_of
from twsync.syncml.datastore import Action, Incoming, Outcome

#: Mode of a new record: people's data.
_MODE = 0o600
#: Answer for a delete that the guard holds back.
_FORBIDDEN = 403
_CHANGED_MEANWHILE = 409
_UNSUPPORTED = 415
#: Answer to another twsync host's deletion of what was changed here: it comes again.
_THEIRS_LOST = 419


class Deciding:
    """Decides the other side's changes of one session; does nothing but staging what is set aside."""

    def __init__(self, session: RecordSession, links: Links, guard: DeleteGuard) -> None:
        self._session = session
        self._links = links
        self._guard = guard

    def decided(self, change: Incoming, taken: set[bytes]) -> Step | Outcome:
        """What a change takes; or its answer, where nothing is to be done.

        :param taken: keys that no new item may be given.
        :raises SessionError: `too-many-deletes`, where that ends the session.
        """
        try:
            theirs = self._version(change)
            if key_of(change.id) is None:
                return Outcome(414, f"The name of an item is empty, longer than {limits.MAX_ITEM_NAME} characters, or no text.")
            if change.action is Action.DELETE:
                return self._deletion(change, theirs)
            if change.record is None:
                return Outcome(412, "The change has no content.")
            return self._content(change, self._session.edge.incoming(change.record, partial=change.partial), theirs, taken)
        except FormatError as error:
            return Outcome(_UNSUPPORTED, error.message)

    def _version(self, change: Incoming) -> Version | None:
        if not self._session.peer.twsync:
            return None
        packed = change.version or (change.record.version if change.record is not None else b"")
        if not packed:
            return None
        if len(packed) % 16 or len(packed) // 16 > limits.MAX_GIVEN_ENTRIES:
            raise FormatError("An item's version is malformed.")
        version = unpack_version(packed)
        replicas = [replica for replica, _ in version.entries]
        if replicas != sorted(set(replicas)) or any(not 0 < counter <= limits.MAX_GIVEN_COUNTER for _, counter in version.entries):
            raise FormatError("An item's version is malformed.")
        return version

    def _deletion(self, change: Incoming, theirs: Version | None) -> Step | Outcome:
        session = self._session
        held = self._links.named(change)
        if held is None:
            return Outcome(211)
        row = session.journal.get(held.key)
        live = row is not None and row.item.live
        if keeps(change) and session.server and live:
            # It stays here, and is not sent again until it changes: then the other side gets it as a new one. (What a server drops softly
            # it keeps itself: then it goes here.)
            soft = replace(held, luid=None, soft=True, held=True, base=held.base if held.held else row.item.content if row else b"")
            return Step(held.key, Decision(Verdict.KEEP, 200), held=soft)
        facts = Facts(
            own=Own.LIVE if live else Own.DELETED if row is not None else Own.ABSENT,
            deleted=True,
            own_changed=not (held.held and row is not None and row.item.content == held.base),
            order=_order(theirs, row, session.journal.replica),
        )
        decision = decide(facts, session.sync_type, session.terms.policy, session.terms.side)
        if decision.verdict is Verdict.REVIVE and session.peer.twsync:
            # Others know 200 only for a deletion that lost; another twsync host shall not count it.
            decision = replace(decision, status=_THEIRS_LOST)
        step = Step(held.key, decision, drop=True)
        if row is None:
            return step
        version = resulting(decision.verdict, row.item.version, theirs, session.journal.replica, session.partner.replica)
        if decision.verdict is Verdict.DELETE:
            if not self._guard.delete():
                session.report.skipped.append((held.key, safety.TOO_MANY_DELETES))
                return Outcome(_FORBIDDEN, f"Too many items would be deleted; if that is what you want, {session.terms.how_to_allow}.")
            step.change = Change(tombstone(session, row.key, version), row, None, None, session.partner.replica)
        elif version != row.item.version:
            step.change = Change(replace(row.item, version=version), row)
        step.owe = decision.verdict is Verdict.REVIVE
        return step

    def _content(self, change: Incoming, came: Text, theirs: Version | None, taken: set[bytes]) -> Step | Outcome:
        session = self._session
        hint = self._links.named(change)
        key = hint.key if hint is not None and self._links.certain(hint) else None
        if change.action is Action.REPLACE and not session.server and hint is not None:
            # The server names an item by what this client called it. One that was never here it has to add under a name of its own.
            key = hint.key
            if session.journal.get(key) is None:
                return Outcome(404, "There is no such item here.")
        renamed = self._links.moved(hint, came.identity) if hint is not None and key is not None and theirs is not None else None
        if key is None:
            key = self._links.alike(change, came, theirs, hint)
        key = renamed or key
        same = hint is not None and (hint.key == key or renamed is not None)
        base = self._base(hint if same else session.maps.by_key(key) if key is not None else None)
        row = session.journal.get(key) if key is not None else None
        own = session.journal.texts.get(row.item.content) if row is not None and row.item.live else None
        if row is not None and row.item.live and own is None:
            return Outcome(_CHANGED_MEANWHILE, "The item cannot be read on this host.")
        kept = base or own
        if change.partial and kept is None:
            return Outcome(404, "A part of an item that is not here.")
        full = came if kept is None else session.edge.completed(kept, came, partial=change.partial)
        facts = Facts(
            own=Own.ABSENT if row is None else Own.LIVE if own is not None else Own.DELETED,
            deleted=False,
            same=own is not None and own.identity.digest == full.identity.digest,
            own_changed=base is None or own is None or own.identity.digest != base.identity.digest,
            their_changed=base is None or full.identity.digest != base.identity.digest,
            order=_order(theirs, row, session.journal.replica),
        )
        decision = decide(facts, session.sync_type, session.terms.policy, session.terms.side)
        version = resulting(
            decision.verdict, row.item.version if row is not None else None, theirs, session.journal.replica, session.partner.replica
        )
        if key is None:
            key = session.folder.name(
                full,
                lambda key: key in taken or self._links.means_another(key, full.identity),
                change.id if session.peer.twsync else "",
            )
        return self._step(change, key, decision, version, row, own, base, full, theirs)

    def _step(
        self,
        change: Incoming,
        key: bytes,
        decision: Decision,
        version: Version,
        row: Row | None,
        own: Text | None,
        base: Text | None,
        full: Text,
        theirs: Version | None,
    ) -> Step:
        """What a decision about content takes."""
        session, verdict = self._session, decision.verdict
        # As it stands in their journal; a device without versions has what was made of its change.
        packed = pack_version(theirs if theirs is not None else version)
        before = session.maps.by_key(key)
        step = Step(key, decision, texts=[full], reserve=before is None)
        step.held = self._held(change, key, before, full.content, packed)
        if verdict is Verdict.SAME and own is not None:
            step.held = replace(step.held, base=own.content)
            step.texts = []
        result = full
        if verdict is Verdict.MERGE and own is not None:
            prefer: records.Prefer = "both" if session.sends else "theirs"
            merged = records.merge(session.folder.family, base.text if base is not None else None, own.text, full.text, prefer)
            result = Text.of(session.folder.family, merged.text)
            step.texts.append(result)
            step.lost = full if merged.conflicts else None
        if verdict in (Verdict.SAME, Verdict.KEEP):
            if row is not None and version != row.item.version:
                step.change = Change(replace(row.item, version=version), row)
            step.owe = verdict is Verdict.KEEP
            step.lost = full if decision.conflict else None
            return step
        step.owe = verdict is Verdict.MERGE
        item = Item(
            key,
            Kind.FILE,
            result.content,
            len(result.data),
            session.now_ns(),
            row.item.mode if row is not None and row.item.live else _MODE,
            version,
            b"",
            session.peer.device[: limits.MAX_DEVICE_NAME],
        )
        plain = verdict in (Verdict.ADD, Verdict.TAKE) and (theirs is None or theirs == version)
        if verdict is Verdict.DUPLICATE and row is not None and own is not None:
            self._set_aside(step, row, own)
        if verdict is Verdict.ADD and change.record is not None and change.record.copy_of:
            step.copy_of = self._links.original(change.record.copy_of)
        same = own is not None and own.content == result.content
        if same and row is not None:
            item = replace(item, mtime_ns=row.item.mtime_ns)
        step.result = None if same else result
        step.change = Change(item, row, None, None, session.partner.replica if plain else 0)
        return step

    def _set_aside(self, step: Step, row: Row, own: Text) -> None:
        """Let the own content go on as an item of its own."""
        session = self._session
        text = Text.of(session.folder.family, records.as_copy(session.folder.family, own.text))
        lost = replace(row.item, content=text.content, size=len(text.data), device=session.folder.device)
        copy = conflict_copy(lost, self._rows_at, lambda other: session.gate.lstat(other) is not None)
        step.copy = copy.item.key
        if not copy.present:
            staged = session.staging.put(text.content, text.data, mode=copy.item.mode, mtime_ns=copy.item.mtime_ns)
            step.aside = Change(copy.item, session.journal.get(copy.item.key), staged)
            step.texts.append(text)

    def _held(self, change: Incoming, key: bytes, before: Held | None, base: bytes, version: bytes) -> Held:
        """What the partner has of a key, `before` being what it had."""
        session = self._session
        held = Held(
            key,
            held=True,
            base=base,
            version=version,
            stamp=session.partner.stamp if session.compares else before.stamp if before is not None else 0,
        )
        if session.server:
            return replace(held, luid=change.id, guid=before.guid if before is not None else None, told=True)
        if change.action is Action.ADD:
            return replace(held, guid=change.id)
        return replace(held, guid=before.guid if before is not None else None, told=before is None or before.told)

    def _base(self, held: Held | None) -> Text | None:
        """What both sides had after the last exchange."""
        session = self._session
        if held is None or not held.held or not held.base:
            return None
        base, version = held.base, held.version
        if session.peer.twsync:
            # Two hosts may have met since with the roles changed.
            for other, its in session.maps.bases(held.key):
                if unpack_version(its).order(unpack_version(version)) is Order.NEWER:
                    base, version = other, its
        return session.journal.texts.get(base)

    def _rows_at(self, key: bytes) -> list[Item]:
        row = self._session.journal.get(key)
        return [] if row is None else [row.item]


def tombstone(session: RecordSession, key: bytes, version: Version) -> Item:
    """What is left of an item that the other side deletes."""
    return Item(key, Kind.DELETED, b"", 0, session.now_ns(), 0, version, b"", session.peer.device[: limits.MAX_DEVICE_NAME])


def _order(theirs: Version | None, row: Row | None, replica: int) -> Order | None:
    """How the other side's version stands to the own one.

    One that names more changes of this journal (`replica`) than this journal made of the item proves nothing: this journal is an older copy
    of itself, the item had another name before, or the other side lies. Then what both had last says who changed it.
    """
    if theirs is None or row is None:
        return None
    own = row.item.version
    if theirs.counter(replica) > own.counter(replica):
        return Order.CONCURRENT
    return theirs.order(own)
