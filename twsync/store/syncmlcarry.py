"""What was decided about changes of the other side, put on the disk and into the journal."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from twsync.errors import StoreError
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


class Step(msgspec.Struct, gc=False):
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
    copy: bytes = b""
    "The key of the copy if this is a conflict of which both contents go on."
    copy_of: bytes | None = None
    "This is new here and the copy of a conflict of that key, which the other side has decided."
    aside: Change | None = None
    "Duplicate: the copy of the own content, which is made first."
    result: Text | None = None
    "What the file of `change` will hold; None: what it holds already, or nothing."
    lost: Text | None = None
    "Their content, if a part of it is nowhere now: it goes to the trash. (The own one goes there by being replaced.)"

    @property
    def keys(self) -> set[bytes]:
        """Keys that get new rows by it."""
        return {self.key} if self.aside is None else {self.key, self.aside.key}


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
        try:
            outcomes |= self._set_aside([step for step in steps if step.aside is not None])
        except StoreError as error:
            return _full(error, steps)
        every, steps = steps, [step for step in steps if outcomes[step.key][0] is Status.DONE]
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
        if len(quiet) < len(steps):
            try:
                changes = self._staged([step for step in steps if step.change is not None])
                with session.journal.batch(batch):
                    for outcome in session.applier.apply(changes):
                        outcomes[outcome.key] = (outcome.status, outcome.reason)
            except StoreError as error:
                return _full(error, every)
        with session.journal.database.transaction():
            session.journal.texts.put(text for step in quiet for text in step.texts)
            session.maps.drop(step.key for step in quiet if step.drop)
            session.maps.put(step.held for step in quiet if step.held is not None)
            session.maps.owe(step.key for step in steps if step.owe and outcomes[step.key][0] is Status.DONE)
        return outcomes

    def _set_aside(self, steps: list[Step]) -> dict[bytes, tuple[Status, str]]:
        """Make the copies of own contents that will be replaced: they stand before anything is, in a batch of their own.

        :returns: what came of each, by the key of its step.
        """
        session = self._session
        if not steps:
            return {}
        texts = [text for step in steps for text in step.texts]
        with session.journal.batch(Batch(session.terms.session, session.now_ns(), texts=texts)):
            done = {one.key: (one.status, one.reason) for one in session.applier.apply(step.aside for step in steps if step.aside)}
        return {step.key: done[step.aside.key] for step in steps if step.aside is not None}

    def _staged(self, steps: list[Step]) -> list[Change]:
        """The changes of steps, with what comes into their files in staging."""
        wanted = [(step.change, step.result) for step in steps if step.change is not None and step.result is not None]
        staged = self._session.staging.put_many(b"".join([text.data for _, text in wanted]), [change.item for change, _ in wanted])
        given = {change.key: one for (change, _), one in zip(wanted, staged, strict=True)}
        return [replace(step.change, staged=given.get(step.key)) for step in steps if step.change is not None]

    def done(self, step: Step) -> None:
        """A step was carried out: count it, and keep what a person may want to see of a conflict."""
        session, verdict = self._session, step.decision.verdict
        received = session.report.received
        if verdict is Verdict.ADD:
            received.added += 1
            if step.key in session.deleted_there:
                # A stock server has answered the deletion with 200, and sends what was edited there meanwhile.
                session.deleted_there.discard(step.key)
                session.report.sent.deleted -= 1
        elif verdict is Verdict.DELETE:
            received.deleted += 1
        elif verdict in (Verdict.TAKE, Verdict.MERGE, Verdict.DUPLICATE):
            received.changed += 1
        if step.lost is not None:
            self._discard(step.key, step.lost)
        if step.decision.conflict:
            self._conflict(step.key, step.copy, _RESOLUTIONS[step.decision.status], own_lost=bool(step.copy))
        if step.copy_of is not None:
            self._conflict(step.copy_of, step.key, "duplicate", own_lost=False)

    def _conflict(self, key: bytes, copy: bytes, resolution: str, *, own_lost: bool) -> None:
        session = self._session
        session.report.conflicts.append(KeptConflict(key, resolution, copy))
        session.journal.conflicts.add(
            session.journal.name, key, copy, resolution, own_lost, session.terms.session, session.peer.device, session.now_ns()
        )

    def _discard(self, key: bytes, lost: Text) -> None:
        """Put content that lost here, and that its sender will replace, into the session's trash."""
        session = self._session
        staged = session.staging.put(lost.content, lost.data)
        if staged is not None:
            trash = Trash(session.gate)
            with disk_errors(session.gate.root), trash.place(trash.reserve(session.applier.folder, key)) as place:
                crossing.move(session.staging.place(staged.name), place)


def _full(error: StoreError, steps: list[Step]) -> dict[bytes, tuple[Status, str]]:
    """The outcome of everything that met a full disk; any other error goes up."""
    if error.code != "disk-full":
        raise error
    return {step.key: (Status.SKIPPED, FULL_DISK) for step in steps}
