"""What remote changes replaced or deleted: ``.twsync/trash/SESSION/`` with the original names inside.

A session's folder is named by time and session id. If a name comes up twice in one session, the second goes to a folder ``SESSION~1``.
`twsync.store.emptying` deletes them.
"""

from __future__ import annotations

import datetime
import os
import re
import stat as modes
from collections.abc import Iterator
from dataclasses import dataclass

from twsync import limits
from twsync.errors import StoreError
from twsync.reconcile.model import Kind
from twsync.store import crossing
from twsync.store.diskerrors import disk_errors, show
from twsync.store.paths import Gate
from twsync.store.place import Place
from twsync.store.rows import kind_of

#: Its name in twsync's own folder.
FOLDER = b"trash"
_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class Discarded:
    """One file or link in the trash."""

    session: str
    "The session's folder."
    key: bytes
    kind: Kind
    size: int
    discarded_ns: int
    "When the session began to discard, to the second."


def folder_name(session: str, now_ns: int) -> str:
    """The trash folder of a session: sorts by time, and holds nothing of a foreign id that means something to a file system."""
    when = datetime.datetime.fromtimestamp(now_ns // 10**9, datetime.UTC).strftime(_TIME)
    return f"{when}-{re.sub(r'[^A-Za-z0-9@_-]', '_', session)[:100]}"


class Trash:
    """The trash of one collection."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._own = gate.private

    # --- putting in

    def reserve(self, folder: str, key: bytes) -> bytes:
        """The key, below ``.twsync``, at which something can be put into a session's folder; nothing stands there, the folders above it do.

        :raises OSError: as the disk gives it.
        """
        for generation in range(limits.MAX_TRASH_GENERATIONS):
            where = b"/".join((FOLDER, (f"{folder}~{generation}" if generation else folder).encode(), key))
            try:
                try:
                    place = self._own.place(where)
                except FileNotFoundError:
                    self._own.make_directories(where.rpartition(b"/")[0])
                    return where
                with place:
                    if place.lstat() is None:
                        return where
            except NotADirectoryError:
                continue
        what = f"The trash of {show(self._gate.root)} holds {show(key)} too often: empty it (`twsync trash empty`)."
        raise StoreError(what, "store-failed")

    def place(self, where: bytes) -> Place:
        """The place of a key that `reserve` gave."""
        return self._own.place(where)

    # --- for people

    def restore(self, session: str, key: bytes, to: bytes | None = None) -> bytes:
        """Put a file or link back; nothing is ever overwritten.

        :param session: the folder, as `list` names it.
        :param to: another key than its own.
        :returns: the key used: if something stands there, ``name (restored).ext`` beside it.
        :raises StoreError: `not-found`, disk errors.
        :raises PathError: `to` must not be used.
        """
        where = b"/".join((FOLDER, session.encode("utf-8", "surrogateescape"), key))
        stat = self._own.lstat(where)
        if session not in self.folders() or stat is None or modes.S_ISDIR(stat.st_mode):
            raise StoreError(f"There is no {show(key)} in the trash of {session}; see: twsync trash list.", "not-found")
        wanted = key if to is None else to
        parent = wanted.rpartition(b"/")[0]
        with disk_errors(self._gate.root):
            if parent:
                self._gate.make_directories(parent, 0o777)
            for number in range(limits.MAX_TRASH_GENERATIONS):
                free = _numbered(wanted, number)
                with self._own.place(where) as source, self._gate.place(free) as target:
                    try:
                        crossing.move(source, target)
                    except FileExistsError:
                        continue
                    return free
        raise StoreError(f"Too many restored copies of {show(wanted)}: rename or remove some.", "store-failed")

    def folders(self) -> list[str]:
        """Session folders, oldest first."""
        try:
            names = self._own.entries(FOLDER)
        except FileNotFoundError:
            return []
        return [name.decode("utf-8", "surrogateescape") for name in names]

    # --- inside

    def _walk(self, folder: str) -> Iterator[tuple[bytes, os.stat_result]]:
        """Everything below a session's folder, folders before what is in them."""
        top = b"/".join((FOLDER, folder.encode("utf-8", "surrogateescape")))
        below = [top]
        while below:
            here = below.pop()
            try:
                names = self._own.entries(here)
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                # Emptied meanwhile; no session's; or a directory that was replaced, which is empty.
                continue
            for name in names:
                where = here + b"/" + name
                stat = self._own.lstat(where)
                if stat is None:
                    continue
                if modes.S_ISDIR(stat.st_mode):
                    below.append(where)
                yield where[len(top) + 1 :], stat

    def list(self, session: str | None = None) -> list[Discarded]:
        """What is in the trash (of one session's folder), newest session first, then by key.

        :raises StoreError: `disk-error`, ...
        """
        found = []
        with disk_errors(self._gate.root):
            for folder in self.folders():
                if session in (None, folder):
                    when = discarded_ns(folder)
                    for key, stat in self._walk(folder):
                        kind = kind_of(stat.st_mode)
                        if kind in (Kind.FILE, Kind.SYMLINK):
                            found.append(Discarded(folder, key, kind, stat.st_size, when))
        return sorted(found, key=lambda one: (-one.discarded_ns, one.session, one.key))


def discarded_ns(folder: str) -> int:
    """When a session's folder was made, nanoseconds since the epoch; 0 for a folder that is none of ours."""
    try:
        return int(datetime.datetime.strptime(folder[:16], _TIME).replace(tzinfo=datetime.UTC).timestamp()) * 10**9
    except ValueError:
        return 0


def _numbered(key: bytes, number: int) -> bytes:
    """The key itself, then ``name (restored).ext``, ``name (restored 2).ext`` ..., within the length of a component."""
    if number == 0:
        return key
    parent, slash, name = key.rpartition(b"/")
    stem, dot, extension = name.rpartition(b".")
    if not stem:
        stem, dot, extension = name, b"", b""
    mark = b" (restored)" if number == 1 else b" (restored %d)" % number
    room = limits.MAX_COMPONENT - len(mark + dot + extension)
    if room < 1:
        stem, dot, extension, room = name, b"", b"", limits.MAX_COMPONENT - len(mark)
    return parent + slash + stem[:room] + mark + dot + extension
