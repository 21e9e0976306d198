"""Put prepared changes on the disk and into the journal, a batch at a time.

The order makes a crash at any instruction harmless::

    new content flushed          a renamed file is never empty after a power loss
    intents into the journal     what recovery has to look at
    each change                  twsync.store.placing
    folders flushed              the renames hold
    rows into the journal, intents out, in one transaction

Three steps for a batch: `Applier.begin` up to the intents, `Applier.put` up to the folders, `Applier.note` the rows. While one batch is put
into place, the rows of the one before may be noted and the next one begun, since nothing in these depends on the others. So the journal
may have the intents of three batches, and recovery looks at them all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from twsync import limits
from twsync.errors import PathError, StoreError
from twsync.reconcile.model import DIRECTORY, FILE, Item, Kind
from twsync.store import crossing
from twsync.store.barrier import flush_all, flush_directories
from twsync.store.changes import Change, Outcome, Status, ordered
from twsync.store.diskerrors import fatal, reason_of
from twsync.store.folders import Folders
from twsync.store.intents import Intent
from twsync.store.journal import CollectionJournal
from twsync.store.partial import Staged
from twsync.store.paths import Gate, parents
from twsync.store.placing import Placing
from twsync.store.rows import Row
from twsync.store.staging import Staging
from twsync.store.task import ChangedError, SkippedError, Task, same_thing
from twsync.store.trash import Trash, folder_name


@dataclass(slots=True)
class Batch:
    """A batch that is being applied."""

    changes: list[Change]
    "In the order of `ordered`."
    tasks: list[Task] = field(default_factory=list)
    "Those that could be prepared."
    folders: set[bytes] = field(default_factory=set)
    "Keys of the folders whose time changes."
    intents: range = range(0)
    "Numbers of its intents."
    left: list[Outcome] = field(default_factory=list)
    "Of the changes that were not done."
    rows: list[Row] = field(default_factory=list)
    "Those that hold when it is in place."
    failure: StoreError | None = None
    "What kept the rest of it from being put into place."


class Applier:
    """Applies the batches of one session. `recover` comes before the first scan after a start, `finish` at a session's end."""

    def __init__(
        self,
        gate: Gate,
        journal: CollectionJournal,
        staging: Staging,
        session: str,
        *,
        now_ns: int,
        step: Callable[[str], None] | None = None,
    ) -> None:
        """For one session.

        :param session: its id; names the folder in the trash.
        :param now_ns: the time, nanoseconds since the epoch; names that folder too.
        :param step: called before each step with its name (for tests, which stop there).
        """
        self._gate = gate
        self._journal = journal
        self._staging = staging
        self._trash = Trash(gate)
        self._step = step or _onward
        self._placing = Placing(gate, staging, self._trash, self._step)
        self._folders = Folders(gate, journal)
        self.folder = folder_name(session, now_ns)
        "The session's folder in the trash."

    def apply(self, batch: Iterable[Change]) -> list[Outcome]:
        """One batch, with at most one change for a key. Changes of one session are best cut into batches after `ordered`.

        Staged files are used up by the changes that are done; those of the others stay in staging and can be adopted.

        :returns: an outcome for each change, in the order of `ordered`.
        :raises StoreError: `disk-full`, `read-only`, `root-missing` ...; what was done before that is in the journal.
        """
        begun = self.begin(batch)
        self.put(begun)
        left = {outcome.key: outcome for outcome in self.note(begun)}
        return [left.get(change.key) or Outcome(change.key, Status.DONE) for change in begun.changes]

    def begin(self, changes: Iterable[Change]) -> Batch:
        """Prepare one batch and write down its intents. Then it is to be `put` and `noted`, each batch after the one before.

        :raises StoreError: as `apply`.
        """
        self._gate.check()
        batch = Batch(ordered(changes))
        tasks = batch.tasks
        few = sum([change.staged is not None for change in batch.changes]) <= limits.MAX_SINGLE_FLUSHES
        for change in batch.changes:
            staged = change.staged
            if not few and change.expected is None and staged is not None and _dressed(staged, change.item):
                # By far the most of a first session: a file that is ready.
                tasks.append(Task(change, staged.name))
                continue
            try:
                tasks.append(self._prepare(change, few))
            except (OSError, PathError) as error:
                batch.left.append(self._skipped(change, error))
        if not few:
            self._step("flush-content")
            self._flush(flush_all)
        self._step("intents")
        batch.folders = _folders(tasks)
        batch.intents = self._journal.begin_batch([_intent(task) for task in tasks], self._folders.note(batch.folders))
        return batch

    def put(self, batch: Batch) -> None:
        """Put a batch that has begun into place.

        :raises StoreError: as `apply`; `recover` finds what was done.
        """
        try:
            for some in _runs(batch.tasks):
                self._perform_all(some, batch)
        except StoreError as error:
            batch.failure = error
        try:
            self._step("flush-folders")
            self._flush(lambda gate: flush_directories(gate, _own_folders(batch.tasks), batch.folders))
        except StoreError as error:
            if batch.failure is None:
                raise
            raise batch.failure from error

    def note(self, batch: Batch) -> list[Outcome]:
        """The rows of a batch that is in place into the journal, its intents out of it.

        :returns: what came of those changes that were not done.
        :raises StoreError: as `apply`.
        """
        try:
            self._step("rows")
            owed = [(row.key, row.item.mode, row.item.mtime_ns) for row in batch.rows if row.item.kind is DIRECTORY]
            self._journal.end_batch(batch.rows, owed, batch.intents)
        except StoreError as error:
            if batch.failure is None:
                raise
            raise batch.failure from error
        self._step("done")
        if batch.failure is not None:
            raise batch.failure
        return batch.left

    def finish(self) -> None:
        """Set the modes and times of folders. At a session's end, also of one that failed.

        :raises StoreError: `disk-full`, `read-only` ...; `recover` does it then.
        """
        self._step("finish")
        self._folders.settle()

    # --- preparing

    def _prepare(self, change: Change, few: bool) -> Task:
        """Everything that can be done before the first rename."""
        task = Task(change, displaced=change.displaced)
        item, old = change.item, change.expected.item if change.expected is not None and change.expected.item.live else None
        if same_thing(item, old):
            return task
        if item.kind is Kind.FILE:
            if change.staged is None:
                raise ValueError(f"{change.key!r} has no content")
            task.staged = change.staged.name
            if few or not _dressed(change.staged, item):
                self._dress(task, few)
        elif item.kind is Kind.SYMLINK:
            task.staged = self._staging.link(item.target)
            self._staging.place(task.staged).set_mtime(item.mtime_ns)
        elif item.kind is Kind.DIRECTORY and old is not None:
            task.staged = self._staging.folder()
        if old is None or (old.kind is Kind.DIRECTORY and not item.live):
            task.displaced = None
        elif task.displaced is None or self._kept_already(task):
            task.displaced = None
            task.beside = self._trash.reserve(self.folder, change.key)
        return task

    def _dress(self, task: Task, few: bool) -> None:
        """Give a staged file the mode and time that it will have, and flush it if nothing flushes the batch."""
        item = task.change.item
        fd = self._staging.place(task.staged).open_read()
        try:
            os.fchmod(fd, item.mode & 0o777)
            os.utime(fd, ns=(item.mtime_ns, item.mtime_ns))
            if few:
                os.fsync(fd)
        finally:
            os.close(fd)

    def _kept_already(self, task: Task) -> bool:
        """Whether the content to be displaced lies under its conflict name already (an earlier session was cut short)."""
        if task.displaced is None:
            return False
        row = self._journal.get(task.displaced.key)
        return row is not None and same_thing(task.displaced, row.item) and self._gate.lstat(row.key) is not None

    # --- performing

    def _perform_all(self, tasks: list[Task], batch: Batch) -> None:
        """Tasks of one run: new files together as far as that goes, then the others and what was not done."""
        done: list[Row | None] = self._placing.put_many(tasks) if len(tasks) > 1 else [None]
        for task, row in zip(tasks, done, strict=True):
            if row is not None:
                batch.rows.append(row)
            elif (left := self._perform(task, batch.rows)) is not None:
                batch.left.append(left)

    def _perform(self, task: Task, rows: list[Row]) -> Outcome | None:
        """One task; the rows that hold then are added to `rows`. None: it is done."""
        change = task.change
        try:
            try:
                rows += self._placing.perform(task)
            except PermissionError:
                if not self._folders.make_writable(change.key):
                    raise
                rows += self._placing.perform(task)
            if change.staged is not None and not task.staged:
                self._staging.left(change.staged.name)
            return None
        except ChangedError:
            outcome = Outcome(change.key, Status.CHANGED)
        except SkippedError as skipped:
            outcome = Outcome(change.key, Status.SKIPPED, str(skipped))
        except (OSError, PathError) as error:
            outcome = self._skipped(change, error)
        if change.staged is not None:
            self._staging.left(change.staged.name)
        elif task.staged:
            with suppress(OSError):
                self._staging.forget(task.staged)
        return outcome

    def _skipped(self, change: Change, error: OSError | PathError) -> Outcome:
        """The outcome for an item that the disk refuses; an error that concerns the whole disk goes up."""
        if isinstance(error, OSError):
            known = fatal(error, self._gate.root)
            if known is not None:
                raise known from error
            if isinstance(error, crossing.MovedOnError):
                return Outcome(change.key, Status.CHANGED)
        return Outcome(change.key, Status.SKIPPED, reason_of(error))

    def _flush(self, how: Callable[[Gate], None]) -> None:
        try:
            how(self._gate)
        except OSError as error:
            known = fatal(error, self._gate.root)
            raise known or StoreError(f"Flushing the disk failed: {error.strerror}.", "disk-error") from error


def _onward(step: str) -> None:
    """No test looks on."""


def _runs(tasks: Iterable[Task]) -> Iterator[list[Task]]:
    """The tasks in their order: new files that follow each other as one list, anything else as a list of one."""
    run: list[Task] = []
    for task in tasks:
        expected = task.change.expected
        if task.change.item.kind is FILE and (expected is None or not expected.item.live):
            run.append(task)
            continue
        if run:
            yield run
            run = []
        yield [task]
    if run:
        yield run


def _intent(task: Task) -> Intent:
    beside = task.displaced.key if task.displaced is not None else task.beside
    return Intent(task.change.item, task.change.partner, task.staged, beside, task.displaced)


def _dressed(staged: Staged, item: Item) -> bool:
    """Whether a staged file has the mode and time that it will have."""
    return staged.mode == item.mode and staged.mtime_ns == item.mtime_ns


def _folders(tasks: Iterable[Task]) -> set[bytes]:
    """Keys of the folders whose time changes."""
    changes = [task.change for task in tasks]
    return set(parents([one.item.key for one in changes if one.expected is None or not same_thing(one.item, one.expected.item)]))


def _own_folders(tasks: Iterable[Task]) -> set[bytes]:
    return {task.beside.rpartition(b"/")[0] for task in tasks if task.beside}
