"""One change at one place: look, swap, look again.

What stands at a path is never unlinked or overwritten. New content changes places with it in one step (renameat2), so that the path always
has one of the two, and what is thrown out is exactly what stood there: if that turns out not to be what the journal knew, because somebody
wrote in the last microseconds, it is put back. The old content goes where the new one waited: to the trash, or to its conflict name.
"""

from __future__ import annotations

import errno
import os
import stat as modes
from collections.abc import Callable
from contextlib import suppress

from twsync.reconcile.model import Kind
from twsync.store import crossing
from twsync.store.paths import Gate
from twsync.store.place import Place
from twsync.store.staging import Staging
from twsync.store.syscalls import LackingError
from twsync.store.task import ChangedError, SkippedError, Task
from twsync.store.trash import Trash


class Swapping:
    """Puts new content where other content stands. Errors of the disk go up as OSError; what was half done is undone before."""

    def __init__(self, gate: Gate, staging: Staging, trash: Trash, step: Callable[[str], None]) -> None:
        self._gate = gate
        self._staging = staging
        self._trash = trash
        self._step = step

    def beside(self, task: Task) -> Place:
        """The place that the old content goes to."""
        return self._gate.place(task.displaced.key) if task.displaced is not None else self._trash.place(task.beside)

    def swap(self, task: Task, place: Place, found: os.stat_result) -> None:
        """Where something else stands."""
        if modes.S_ISDIR(found.st_mode) and place.entries():
            raise SkippedError("not-empty")
        staged = self._staging.place(task.staged)
        with self.beside(task) as beside:
            self._step("wait-beside")
            staged = self._wait(staged, beside, place, task.staged)
            self._step("exchange")
            try:
                beside.exchange(place)
            except LackingError:
                beside.move(staged)
                self._swap_slowly(staged, beside, place, found)
                return
            except OSError as error:
                beside.move(staged)
                if error.errno == errno.ENOENT:
                    raise ChangedError from None
                if error.errno != errno.EXDEV:
                    raise
                self._swap_across(task, staged, beside, place, found)
                return
            self._step("look-again")
            if not identical(found, beside.lstat()):
                beside.exchange(place)
                beside.move(staged)
                raise ChangedError
            if modes.S_ISDIR(found.st_mode):
                self._step("remove-exchanged")
                try:
                    beside.remove_directory()
                except OSError:
                    beside.exchange(place)
                    beside.move(staged)
                    raise SkippedError("not-empty") from None

    def _wait(self, staged: Place, beside: Place, place: Place, name: bytes) -> Place:
        """Put what is staged where the old content will go; returns the place to put it back to."""
        try:
            staged.move(beside)
            return staged
        except FileExistsError:
            raise SkippedError("name-taken") from None
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        # A conflict name on a mount point.
        waiting = crossing.temporary(place, name)
        crossing.copy(staged, waiting)
        try:
            waiting.move(beside)
        except BaseException as stopped:
            waiting.remove()
            if isinstance(stopped, FileExistsError):
                raise SkippedError("name-taken") from None
            raise
        forget(staged)
        return waiting

    def _swap_slowly(self, staged: Place, beside: Place, place: Place, found: os.stat_result) -> None:
        """Without an exchange: a second name for the old content, then a rename over the first. Where a folder comes
        or goes, the path is gone for a moment, and recovery puts back what left it."""
        waiting = staged.lstat()
        if modes.S_ISDIR(found.st_mode):
            self._step("discard")
            place.move(beside)
            if beside.entries():
                beside.move(place)
                raise SkippedError("not-empty")
            self._step("put")
            staged.move(place)
            beside.remove_directory()
            return
        linked = waiting is not None and not modes.S_ISDIR(waiting.st_mode)
        if linked:
            try:
                self._step("link-beside")
                place.link_to(beside)
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS):
                    raise
                linked = False
        if not linked:
            self._step("discard")
            place.move(beside)
        self._step("put")
        # A second name shows a write to the old content, but not another file saved over the first one: that is looked for last of all.
        if not identical(found, beside.lstat()) or (linked and not identical(found, place.lstat())):
            if linked:
                beside.remove()
            else:
                beside.move(place)
            raise ChangedError
        if linked:
            staged.replace(place)
        else:
            staged.move(place)

    def _swap_across(self, task: Task, staged: Place, beside: Place, place: Place, found: os.stat_result) -> None:
        """On another file system than staging and trash."""
        if task.change.item.kind is Kind.DIRECTORY:
            crossing.copy(place, beside)
            if not identical(found, place.lstat()):
                beside.remove()
                raise ChangedError
            self._step("remove-across")
            place.remove()
            place.make_directory()
            staged.remove_directory()
            return
        waiting = crossing.temporary(place, task.staged)
        crossing.copy(staged, waiting)
        try:
            self._step("exchange-across")
            waiting.exchange(place)
        except LackingError:
            if modes.S_ISDIR(found.st_mode):
                place.remove_directory()
                waiting.move(place)
            else:
                crossing.copy(place, beside)
                waiting.replace(place)
            forget(staged)
            return
        except OSError:
            waiting.remove()
            raise
        if not identical(found, waiting.lstat()):
            waiting.exchange(place)
            waiting.remove()
            raise ChangedError
        self._step("discard-across")
        if modes.S_ISDIR(found.st_mode):
            waiting.remove_directory()
        else:
            crossing.copy(waiting, beside)
            waiting.remove()
        forget(staged)


def forget(staged: Place) -> None:
    """Delete what was copied to another file system."""
    with suppress(FileNotFoundError):
        staged.remove()


def identical(before: os.stat_result, after: os.stat_result | None) -> bool:
    """Whether two looks show one thing that was not written to; a rename changes the change time, so that does not count."""
    return after is not None and (before.st_ino, before.st_dev, before.st_mode, before.st_size, before.st_mtime_ns) == (
        after.st_ino,
        after.st_dev,
        after.st_mode,
        after.st_size,
        after.st_mtime_ns,
    )
