"""One change at one place: look whether the disk is as the journal knows it, make the change, note what the disk looks like then."""

from __future__ import annotations

import errno
import os
import stat as modes
from collections.abc import Callable, Sequence
from contextlib import suppress

from twsync import limits
from twsync.reconcile.model import Item, Kind
from twsync.store import crossing
from twsync.store.hashing import content_of
from twsync.store.paths import Gate, Places, pieces
from twsync.store.place import Place
from twsync.store.rows import NO_STAT, PERMISSIONS, Row, Stat, kind_of
from twsync.store.staging import Staging
from twsync.store.swapping import Swapping, forget, identical
from twsync.store.task import ChangedError, SkippedError, Task, same_thing
from twsync.store.trash import Trash

#: Kinds that are made in staging.
_STAGED = frozenset({Kind.FILE, Kind.SYMLINK})


def as_known(place: Place, found: os.stat_result | None, row: Row) -> bool:
    """Whether what stands at a place is what a live row says."""
    if found is None or kind_of(found.st_mode) is not row.item.kind:
        return False
    if row.item.kind is Kind.DIRECTORY:
        return True
    if row.item.kind is Kind.SYMLINK:
        return place.readlink() == row.item.target
    stat = Stat.of(found)
    if stat == row.stat:
        return True
    if row.stat.trusted or row.stat not in (NO_STAT, stat.distrusted()):
        return False
    result = content_of(place)
    return result is not None and result[0] == row.item.content


class Placing:
    """Performs tasks on the disk. All errors of the disk go up as OSError; what was half done is undone before."""

    def __init__(self, gate: Gate, staging: Staging, trash: Trash, step: Callable[[str], None]) -> None:
        self._gate = gate
        self._staging = staging
        self._step = step
        self._swapping = Swapping(gate, staging, trash, step)

    def perform(self, task: Task) -> list[Row]:
        """Do it; returns the rows that hold now.

        :raises ChangedError, SkippedError, OSError: nothing was changed.
        """
        change = task.change
        old = change.expected if change.expected is not None and change.expected.item.live else None
        try:
            place = self._gate.place(change.key)
        except (FileNotFoundError, NotADirectoryError):
            if change.item.live:
                raise ChangedError from None
            return [Row(change.item, NO_STAT, 0, change.partner)]
        with place:
            if old is None and change.item.kind in _STAGED:
                # New here: the move itself finds out whether the name is free, and never replaces.
                self._put(task, place)
                return self._rows(task, place)
            found = place.lstat()
            if old is None and found is not None:
                # A folder for a folder is the only thing that may be there already.
                if not (change.item.kind is Kind.DIRECTORY and modes.S_ISDIR(found.st_mode)):
                    raise ChangedError
                return self._rows(task, place)
            if old is not None and not as_known(place, found, old):
                if found is not None or change.item.live:
                    raise ChangedError
            elif not change.item.live:
                if found is not None:
                    self._remove(task, place, found)
            elif old is not None and found is not None and same_thing(change.item, old.item):
                return [Row(change.item, self._dress(place, found, change.item, old), 0, change.partner)]
            elif found is not None:
                self._swapping.swap(task, place, found)
            elif change.item.kind is Kind.DIRECTORY:
                self._step("make-directory")
                place.make_directory()
            else:
                self._put(task, place)
            return self._rows(task, place)

    def put_many(self, tasks: Sequence[Task]) -> list[Row | None]:
        """New files whose content is staged, into folders that are there, all at once; None for each that is not done."""
        rows: list[Row | None] = [None] * len(tasks)
        for start, end in pieces([task.change.item.key for task in tasks]):
            some = tasks[start:end]
            with Places(self._gate) as places:
                numbers, fds, names, _failed = places.locate([task.change.item.key for task in some])
                self._step("put")
                moved = self._staging.move_many([some[number].staged for number in numbers], fds, names)
            for number, (size, mtime_ns, ctime_ns, ino, mode, error) in zip(numbers, moved or (), strict=False):
                if error:
                    continue
                change = some[number].change
                stat = NO_STAT
                if mode:
                    trusted = _trusted(change.item, size, mtime_ns, ctime_ns)
                    stat = Stat(size, mtime_ns, ctime_ns if trusted else 0, ino, mode & PERMISSIONS)
                rows[start + number] = Row(change.item, stat, 0, change.partner)
        return rows

    def _rows(self, task: Task, place: Place) -> list[Row]:
        change = task.change
        rows = [Row(change.item, _stat(place.lstat(), change.item) if change.item.live else NO_STAT, 0, change.partner)]
        if task.displaced is not None:
            with self._gate.place(task.displaced.key) as copy:
                # Its change time is new; whether it was written to meanwhile is for the next look to say.
                rows.insert(0, Row(task.displaced, _stat(copy.lstat(), task.displaced).distrusted()))
        return rows

    # --- the ways to change a place

    def _dress(self, place: Place, found: os.stat_result, item: Item, old: Row) -> Stat:
        """Times and mode. Folders get theirs when the session's work in them is over."""
        if item.kind is Kind.DIRECTORY:
            return Stat.of(found)
        if (item.mode, item.mtime_ns) == (old.item.mode, old.item.mtime_ns):
            return old.stat
        if item.mode != old.item.mode and item.kind is Kind.FILE:
            self._step("set-mode")
            place.set_mode(item.mode)
        if item.mtime_ns != old.item.mtime_ns:
            self._step("set-mtime")
            place.set_mtime(item.mtime_ns)
        after = place.lstat()
        if after is None or (after.st_ino, after.st_size) != (found.st_ino, found.st_size):
            raise ChangedError
        # An edit between the look and the setting of the time would be hidden by that time: hashed again next time.
        return Stat.of(after).distrusted()

    def _put(self, task: Task, place: Place) -> None:
        """Where nothing stands."""
        staged = self._staging.place(task.staged)
        self._step("put")
        try:
            staged.move(place)
        except FileExistsError:
            raise ChangedError from None
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            waiting = crossing.temporary(place, task.staged)
            crossing.copy(staged, waiting)
            self._step("put-across")
            try:
                waiting.move(place)
            except BaseException as stopped:
                waiting.remove()
                if isinstance(stopped, FileExistsError):
                    raise ChangedError from None
                raise
            forget(staged)

    def _remove(self, task: Task, place: Place, found: os.stat_result) -> None:
        if modes.S_ISDIR(found.st_mode):
            self._step("remove-directory")
            try:
                place.remove_directory()
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    raise SkippedError("not-empty") from None
                raise
            return
        with self._swapping.beside(task) as beside:
            self._step("discard")
            try:
                place.move(beside)
            except FileExistsError:
                raise SkippedError("name-taken") from None
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                crossing.copy(place, beside)
                self._step("remove-across")
                if not identical(found, place.lstat()):
                    beside.remove()
                    raise ChangedError from None
                place.remove()
                return
            if not identical(found, beside.lstat()):
                with suppress(FileExistsError):
                    beside.move(place)
                raise ChangedError


def _stat(found: os.stat_result | None, item: Item) -> Stat:
    """The stat cache of something just put into place."""
    if found is None:
        return NO_STAT
    stat = Stat.of(found)
    return stat if item.kind is not Kind.FILE or _trusted(item, stat.size, stat.mtime_ns, stat.ctime_ns) else stat.distrusted()


def _trusted(item: Item, size: int, mtime_ns: int, ctime_ns: int) -> bool:
    """Whether the stat of a file that was just put into place proves its content.

    It carries the size and time of its item; whoever has written to it since shows by them, unless its time is about now already. (An
    edit of the same size that sets that very time again, between the rename and this look, is the one that would be overlooked.)
    """
    return size == item.size and mtime_ns == item.mtime_ns and ctime_ns - mtime_ns >= limits.RACY_NS
