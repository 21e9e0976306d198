"""Changes of the other side, put on the disk a batch at a time, in the order in which they are decided."""

from __future__ import annotations

from collections.abc import Sequence

from twsync import limits
from twsync.reconcile.model import Kind
from twsync.store.changes import Change, Status
from twsync.store.recordfolder import INVALID
from twsync.store.recordjournal import Batch
from twsync.store.rows import Row
from twsync.store.syncmlcarry import FULL_DISK, Carrying, Step
from twsync.store.syncmldecide import Deciding, tombstone
from twsync.store.syncmlguard import DeleteGuard
from twsync.store.syncmllink import Links
from twsync.store.syncmlsession import RecordSession, key_of
from twsync.syncml.chunking import octets
from twsync.syncml.datastore import Action, Incoming, Outcome

#: Answer for what does not belong into this type of session.
_NOT_ALLOWED = 405
_CHANGED_MEANWHILE = 409
_FULL = 420
_FAILED = 500


class Taking:
    """Takes the other side's changes of one session."""

    def __init__(self, session: RecordSession) -> None:
        self._session = session
        self._links = Links(session)
        self._guard = DeleteGuard(session, self._links)
        self._decided = Deciding(session, self._links, self._guard).decided
        self._carrying = Carrying(session)

    def take(self, changes: Sequence[Incoming]) -> list[Outcome]:
        """Carry out changes, in order; durable on return.

        :raises SessionError: `too-many-deletes`.
        :raises StoreError: the disk cannot go on.
        """
        if not self._session.receives:
            return [Outcome(_NOT_ALLOWED, "This session goes the other way.") for _ in changes]
        self._guard.look_ahead(changes)
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
                changes.append(Change(tombstone(session, row.key, version), row, None, None, 0))
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
        self._guard.check(len(rest))
        return rest

    def _read_ahead(self, changes: Sequence[Incoming]) -> None:
        """Look up together what deciding about these changes takes: names that the map knows, rows and texts."""
        session = self._session
        keys = {key: change.id for change in changes if (key := key_of(change.id)) is not None}
        held = session.maps.read_ahead("luid" if session.server else "guid", keys.values())
        held += session.maps.read_ahead("key", keys)
        rows = session.journal.read_ahead({*keys, *(one.key for one in held)})
        session.journal.texts.read_ahead([one.base for one in held if one.base] + [row.item.content for row in rows if row.item.live])

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
