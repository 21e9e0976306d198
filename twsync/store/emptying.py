"""Empty the trash: session folders are deleted for good, entry by entry.

No link is followed and nothing outside is reached, for each name goes through the gate anew; another file system that is mounted inside is
left alone. What cannot be removed is told, and the rest goes.
"""

from __future__ import annotations

import errno
import stat as modes
from collections.abc import Callable, Set
from contextlib import suppress
from dataclasses import dataclass, field

from twsync.errors import PathError
from twsync.store.diskerrors import disk_errors, fatal, reason_of
from twsync.store.paths import Gate
from twsync.store.place import Place
from twsync.store.trash import FOLDER, Trash, discarded_ns

#: What the owner needs to empty a directory.
_OPEN = 0o700


@dataclass(frozen=True, slots=True)
class Kept:
    """Something that stays in the trash although it was to go."""

    session: str
    "The session's folder."
    key: bytes
    "What in it; empty: the folder itself."
    reason: str


@dataclass(slots=True)
class Emptied:
    """What came of it."""

    files: int = 0
    "Files and links removed."
    size: int = 0
    "Bytes that they had; of a file with another name elsewhere none."
    kept: list[Kept] = field(default_factory=list)
    complete: bool = True
    "False: it was stopped before all was looked at."


def empty(gate: Gate, before_ns: int | None, used: Set[str], stop: Callable[[], bool]) -> Emptied:
    """Delete session folders. Nobody may put anything into those meant meanwhile.

    :param before_ns: those made before this time, nanoseconds since the epoch, whatever else is there staying; None: everything.
    :param used: folders that hold what a recovery may still need; they stay.
    :param stop: asked before each entry; True ends it.
    :raises StoreError: `read-only`, `permission-denied` (the trash itself), ...
    """
    done = Emptied()
    with disk_errors(gate.root):
        for folder in Trash(gate).folders():
            if before_ns is not None and not 0 < discarded_ns(folder) < before_ns:
                continue
            if folder in used:
                done.kept.append(Kept(folder, b"", "in-use"))
                continue
            _clear(gate, folder, stop, done)
            if not done.complete:
                break
    return done


def _clear(gate: Gate, folder: str, stop: Callable[[], bool], done: Emptied) -> None:
    """Delete a session's folder as far as that goes; what is deepest first."""
    own = gate.private
    with own.place(FOLDER) as trash:
        found = trash.lstat()
    device = None if found is None else found.st_dev
    top = b"/".join((FOLDER, folder.encode("utf-8", "surrogateescape")))
    # With whether a directory has been emptied, so far as it can be.
    waiting = [(top, False)]
    while waiting:
        if stop():
            done.complete = False
            return
        where, emptied = waiting.pop()
        try:
            with own.place(where) as place:
                stat = place.lstat()
                if stat is None:
                    continue
                if not modes.S_ISDIR(stat.st_mode):
                    place.remove()
                    done.files += 1
                    done.size += stat.st_size if stat.st_nlink == 1 else 0
                elif emptied:
                    place.remove_directory()
                elif stat.st_dev != device:
                    done.kept.append(Kept(folder, where[len(top) + 1 :], "mount-point"))
                else:
                    names = _names(place, stat.st_mode)
                    waiting.append((where, True))
                    waiting += [(where + b"/" + name, False) for name in names]
        except FileNotFoundError:
            # Somebody was quicker: it was restored, or removed by hand.
            continue
        except (OSError, PathError) as error:
            if isinstance(error, OSError):
                if emptied and error.errno == errno.ENOTEMPTY:
                    # What stays in it is told already.
                    continue
                if error.errno != errno.EIO and (known := fatal(error, gate.root)) is not None:
                    raise known from error
            done.kept.append(Kept(folder, where[len(top) + 1 :], reason_of(error)))


def _names(place: Place, mode: int) -> list[bytes]:
    """What is in a directory, which can be emptied then if it is the own one."""
    if mode & _OPEN != _OPEN:
        with suppress(OSError):  # then listing it, or emptying it, says more
            place.set_mode(_OPEN)
    return place.entries()
