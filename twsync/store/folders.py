"""Modes and times of folders, which have to wait until a session's work in them is over.

A folder's time changes with every entry made or removed in it, and a read-only folder takes none. So what a folder gets in the end is
written to the journal before the first change in it, and set when the session ends, or after a crash.
"""

from __future__ import annotations

import stat as modes
from collections.abc import Iterable

from twsync.reconcile.model import Kind
from twsync.store.diskerrors import fatal
from twsync.store.journal import CollectionJournal
from twsync.store.paths import Gate
from twsync.store.rows import PERMISSIONS, Stat, mtime_of

Owed = tuple[bytes, int, int]


class Folders:
    """What one session owes to folders."""

    def __init__(self, gate: Gate, journal: CollectionJournal) -> None:
        self._gate = gate
        self._journal = journal
        self._noted: set[bytes] = set()

    def note(self, folders: Iterable[bytes]) -> list[Owed]:
        """What these folders have to get back: only those that are now as the journal knows them.

        A folder whose time is another one was worked in by the user; that is a change to be told, not to be undone.
        """
        parents = set(folders) - self._noted - {b""}
        self._noted |= parents
        owed = []
        for key, row in self._journal.get_many(sorted(parents)).items():
            if row.item.kind is not Kind.DIRECTORY:
                continue
            try:
                found = self._gate.lstat(key)
            except OSError:
                continue
            if found is not None and modes.S_ISDIR(found.st_mode) and mtime_of(found) == row.stat.mtime_ns:
                owed.append((key, row.item.mode, row.item.mtime_ns))
        return owed

    def make_writable(self, key: bytes) -> bool:
        """Let the own user work in the folder above `key` for the time of the session; False if that cannot be."""
        parent = key.rpartition(b"/")[0]
        if not parent:
            return False
        try:
            with self._gate.place(parent) as place:
                found = place.lstat()
                if found is None or not modes.S_ISDIR(found.st_mode) or found.st_mode & 0o700 == 0o700:
                    return False
                # Written down first (if it was not noted before): a crash must not leave the folder open.
                self._journal.intents.defer([(parent, found.st_mode & PERMISSIONS, mtime_of(found))], replace=False)
                place.set_mode(found.st_mode & PERMISSIONS | 0o700)
        except OSError:
            return False
        return True

    def settle(self) -> None:
        """Set what is owed, deepest first, and bring the journal's stat up to date.

        :raises StoreError: the disk cannot go on; all is still owed then.
        """
        self._noted.clear()
        owed = self._journal.intents.owed()
        if not owed:
            return
        stats = []
        for key, mode, mtime_ns in owed:
            try:
                with self._gate.place(key) as place:
                    found = place.lstat()
                    if found is None or not modes.S_ISDIR(found.st_mode):
                        continue
                    if mtime_of(found) != mtime_ns:
                        place.set_mtime(mtime_ns)
                    if found.st_mode & PERMISSIONS != mode:
                        place.set_mode(mode)
                    after = place.lstat()
                    if after is not None:
                        stats.append((key, Stat.of(after)))
            except OSError as error:
                # Somebody else's folder keeps its own; the next scan says so.
                if (known := fatal(error, self._gate.root)) is not None:
                    raise known from error
        self._journal.settle(stats)
