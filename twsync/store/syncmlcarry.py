"""What was decided about changes of the other side, put on the disk and into the journal."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from twsync.errors import StoreError
from twsync.reconcile.model import Item
from twsync.reconcile.record import Decision, Verdict
from twsync.store import crossing
from twsync.store.changes import Change, Status
from twsync.store.diskerrors import disk_errors
from twsync.store.recordjournal import Batch
from twsync.store.recordtexts import Text
from twsync.store.syncmlmap import Held
from twsync.store.syncmlsession import KeptConflict, RecordSession
from twsync.store.trash import Trash

#: The reason with which everything of a batch is skipped that met a full disk.
FULL_DISK = "disk-full"
_RESOLUTIONS = {207: "merged", 208: "ours", 209: "duplicate", 419: "theirs"}


class Step(msgspec.Struct):
    """One change, decided."""

    key: bytes
    decision: Decision
    change: Change | None = None
    "What is done on the disk; None: nothing."
    held: Held | None = None
    "What the partner has of the key then."
    reserve: bool = False
    "Whether its name is new here."
    drop: bool = False
    "Whether it has nothing of the key any more."
    owe: bool = False
    "Whether it must be told of the key."
    texts: list[Text] = []
    copy: Item | None = None
    "Duplicate: the own content's new row."
    lost: Text | None = None
    "Their content, if a part of it is nowhere now: it goes to the trash. (The own one goes there by being replaced.)"


class Carrying:
    """Carries out the steps of one session."""

    def __init__(self, session: RecordSession) -> None:
        self._session = session

    def apply(self, steps: list[Step]) -> dict[bytes, tuple[Status, str]]:
        """One batch of the Applier, and what only the journal has to know.

        :param steps: at most one for a key.
        :returns: for each key what came of it, with the reason of what was skipped.
        :raises StoreError: the disk cannot go on, for another reason than that it is full.
        """
        session = self._session
        outcomes = {step.key: (Status.DONE, "") for step in steps}
        batch = Batch(session.terms.session, session.now_ns(), maps=session.maps)
        quiet = [step for step in steps if step.change is None]
        for step in steps:
            if step.change is None:
                continue
            batch.texts += step.texts
            if step.drop:
                batch.dropped[step.key] = step.key
            if step.held is not None:
                batch.held[step.key] = step.held
                if step.reserve:
                    batch.reserved.append(replace(step.held, held=False, base=b"", version=b""))
        changes = [step.change for step in steps if step.change is not None]
        if changes:
            try:
                with session.journal.batch(batch):
                    for outcome in session.applier.apply(changes):
                        outcomes[outcome.key] = (outcome.status, outcome.reason)
            except StoreError as error:
                if error.code != "disk-full":
                    raise
                return {step.key: (Status.SKIPPED, FULL_DISK) for step in steps}
        with session.journal.database.transaction():
            for step in quiet:
                session.journal.texts.put(step.texts)
                if step.drop:
                    session.maps.drop([step.key])
                if step.held is not None:
                    session.maps.put([step.held])
            session.maps.owe(step.key for step in steps if step.owe and outcomes[step.key][0] is Status.DONE)
        return outcomes

    def done(self, step: Step) -> None:
        """A step was carried out: count it, and keep what a person may want to see of a conflict."""
        session, verdict = self._session, step.decision.verdict
        received = session.report.received
        if verdict is Verdict.ADD:
            received.added += 1
        elif verdict is Verdict.DELETE:
            received.deleted += 1
        elif verdict in (Verdict.TAKE, Verdict.MERGE, Verdict.DUPLICATE):
            received.changed += 1
        if step.lost is not None:
            self._discard(step.key, step.lost)
        if step.decision.conflict:
            resolution = _RESOLUTIONS[step.decision.status]
            copy = step.copy.key if step.copy is not None else b""
            session.report.conflicts.append(KeptConflict(step.key, resolution, copy))
            session.journal.conflicts.add(
                session.journal.name, step.key, copy, resolution, bool(copy), session.terms.session, session.peer.device, session.now_ns()
            )

    def _discard(self, key: bytes, lost: Text) -> None:
        """Put content that lost here, and that its sender will replace, into the session's trash."""
        session = self._session
        staged = session.staging.put(lost.content, lost.data)
        if staged is not None:
            trash = Trash(session.gate)
            with disk_errors(session.gate.root), trash.place(trash.reserve(session.applier.folder, key)) as place:
                crossing.move(session.staging.place(staged.name), place)
