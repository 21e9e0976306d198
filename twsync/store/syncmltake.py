"""Changes of the other side, carried out: decided one by one, put on the disk a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from twsync import limits, records
from twsync.errors import FormatError
from twsync.reconcile import safety
from twsync.reconcile.model import Item, Kind
from twsync.reconcile.policy import conflict_copy
from twsync.reconcile.record import Decision, Facts, Own, Verdict, decide, resulting
from twsync.reconcile.versions import Order, Version
from twsync.store.changes import Change, Status
from twsync.store.packing import pack_version, unpack_version
from twsync.store.recordfolder import INVALID
from twsync.store.recordjournal import Batch
from twsync.store.recordtexts import Text
from twsync.store.rows import Row
from twsync.store.syncmlcarry import FULL_DISK, Carrying, Step
from twsync.store.syncmllink import Links
from twsync.store.syncmlmap import Held
from twsync.store.syncmlsession import RecordSession, key_of
from twsync.syncml.chunking import octets
from twsync.syncml.datastore import Action, Incoming, Outcome

#: Mode of a new record: people's data.
_MODE = 0o600
#: Answer for a delete that the guard holds back, and for what does not belong into this type of session.
_FORBIDDEN = 403
_NOT_ALLOWED = 405
_CHANGED_MEANWHILE = 409
_UNSUPPORTED = 415
#: Answer to another twsync host's deletion of what was changed here: it comes again.
_THEIRS_LOST = 419
_FULL = 420
_FAILED = 500


class Taking:
    """Takes the other side's changes of one session."""

    def __init__(self, session: RecordSession) -> None:
        self._session = session
        self._links = Links(session)
        self._carrying = Carrying(session)
        self._deleted = 0
        self._live: int | None = None

    def take(self, changes: Sequence[Incoming]) -> list[Outcome]:
        """Carry out changes, in order; durable on return.

        :raises SessionError: `too-many-deletes`.
        :raises StoreError: the disk cannot go on.
        """
        if not self._session.receives:
            return [Outcome(_NOT_ALLOWED, "This session goes the other way.") for _ in changes]
        self._look_ahead(changes)
        self._read_ahead(changes)
        outcomes: dict[int, Outcome] = {}
        steps: dict[int, Step] = {}
        names: set[str] = set()
        keys: set[bytes] = set()
        drops = False
        for number, change in enumerate(changes):
            # A batch has one change for a name and for a key; what the second one meets, the first decides. And what comes may be what
            # went, renamed: it is decided when the old name leads nowhere any more.
            step = self._decided(change, keys) if change.id not in names and (not drops or change.action is Action.DELETE) else None
            if step is None or (isinstance(step, Step) and step.keys & keys):
                self._carry_out(changes, steps, outcomes)
                names.clear()
                keys.clear()
                drops = False
                step = self._decided(change, keys)
            names.add(change.id)
            if isinstance(step, Outcome):
                outcomes[number] = step
            else:
                steps[number] = step
                keys |= step.keys
                drops = drops or step.drop
        self._carry_out(changes, steps, outcomes)
        return [outcomes[number] for number in range(len(changes))]

    def delete_rest(self) -> None:
        """A refresh: what the other side did not send is deleted here.

        :raises SessionError: `too-many-deletes`; nothing was deleted then.
        """
        session = self._session
        rest = self.guard_rest()
        for start in range(0, len(rest), limits.RESTORE_BATCH):
            changes = []
            for row in rest[start : start + limits.RESTORE_BATCH]:
                version = row.item.version.raised(session.partner.replica if not session.peer.twsync else session.journal.replica)
                changes.append(Change(self._tombstone(row.key, version), row, None, None, 0))
            batch = Batch(session.terms.session, session.now_ns(), maps=session.maps, dropped={one.key: one.key for one in changes})
            with session.journal.batch(batch):
                done = session.applier.apply(changes)
            for outcome in done:
                if outcome.status is Status.DONE:
                    session.report.received.deleted += 1
                else:
                    session.report.skipped.append((outcome.key, outcome.reason or str(outcome.status)))

    def guard_rest(self) -> list[Row]:
        """What `delete_rest` would delete.

        :raises SessionError: `too-many-deletes`.
        """
        session = self._session
        met = session.maps.paired(session.partner.stamp) | session.maps.dropped()
        rest = [row for row in session.journal.under(b"") if row.item.kind is Kind.FILE and row.key not in met]
        self._guard(len(rest), stop=True)
        return rest

    # --- deciding

    def _decided(self, change: Incoming, taken: set[bytes]) -> Step | Outcome:
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
        if _keeps(change) and session.server and live:
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
            if not self._guard(1, stop=self._stops):
                session.report.skipped.append((held.key, safety.TOO_MANY_DELETES))
                return Outcome(_FORBIDDEN, f"Too many items would be deleted; if that is what you want, {session.terms.how_to_allow}.")
            self._deleted += 1
            step.change = Change(self._tombstone(row.key, version), row, None, None, session.partner.replica)
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

    def _tombstone(self, key: bytes, version: Version) -> Item:
        session = self._session
        return Item(key, Kind.DELETED, b"", 0, session.now_ns(), 0, version, b"", session.peer.device[: limits.MAX_DEVICE_NAME])

    def _guard(self, more: int, *, stop: bool) -> bool:
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

    def _look_ahead(self, changes: Sequence[Incoming]) -> None:
        """Stop before the first delete of a message that brings too many, where the guard stops the session."""
        if not self._stops:
            return
        deletes = [change for change in changes if change.action is Action.DELETE and not _keeps(change)]
        if self._deleted + len(deletes) > limits.DELETE_GUARD_ITEMS:
            found = [held.key for change in deletes if (held := self._links.named(change)) is not None]
            rows = self._session.journal.get_many(found)
            self._guard(sum(row.item.live for row in rows.values()), stop=True)

    def _read_ahead(self, changes: Sequence[Incoming]) -> None:
        """Look up together what deciding about these changes takes: names that the map knows, rows and texts."""
        session = self._session
        keys = {key: change.id for change in changes if (key := key_of(change.id)) is not None}
        held = session.maps.read_ahead("luid" if session.server else "guid", keys.values())
        held += session.maps.read_ahead("key", keys)
        rows = session.journal.read_ahead({*keys, *(one.key for one in held)})
        session.journal.texts.read_ahead([one.base for one in held if one.base] + [row.item.content for row in rows if row.item.live])

    @property
    def _stops(self) -> bool:
        """Whether too many deletes end the session: a person at a twsync host can allow them. A stock client is answered one by one."""
        return self._session.peer.twsync or not self._session.server

    # --- doing

    def _carry_out(self, changes: Sequence[Incoming], steps: dict[int, Step], outcomes: dict[int, Outcome]) -> None:
        """Do what was decided, and empty `steps`."""
        done = self._carrying.apply(list(steps.values()))
        for number, step in steps.items():
            status, reason = done[step.key]
            tries = 0
            while status is Status.CHANGED and tries < limits.MAX_RECORD_TRIES:
                # The file was edited since it was looked at: it is looked at, and decided, once more.
                tries += 1
                again = self._again(changes[number], step.key)
                if isinstance(again, Outcome):
                    outcomes[number] = again
                    break
                step = again
                status, reason = self._carrying.apply([step])[step.key]
            if number in outcomes:
                continue
            if status is Status.DONE:
                self._links.paired(step.key)
                self._carrying.done(step)
                record = changes[number].record
                if record is not None:
                    self._session.report.received.bytes += octets(record.data)
                outcomes[number] = Outcome(step.decision.status)
            elif reason == FULL_DISK:
                outcomes[number] = Outcome(_FULL, "The disk is full.")
            else:
                self._session.report.skipped.append((step.key, reason or str(status)))
                code = _CHANGED_MEANWHILE if status is Status.CHANGED else _FAILED
                outcomes[number] = Outcome(code, f"The item was left alone: {reason or 'it changes too fast'}.")
        steps.clear()

    def _again(self, change: Incoming, key: bytes) -> Step | Outcome:
        session = self._session
        skipped = session.folder.learn(session.folder.look(session.now_ns(), [key]))
        if any(reason == INVALID for _, reason in skipped):
            session.report.skipped += skipped
            return Outcome(_CHANGED_MEANWHILE, "The item's file on this host is no valid record.")
        return self._decided(change, set())


def _keeps(change: Incoming) -> bool:
    """Whether a client only makes room (SftDel), or wants the item kept in an archive: the collection is that."""
    return change.soft or change.archive


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
