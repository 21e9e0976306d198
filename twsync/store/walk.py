"""Walk a collection by descriptors and note what is not as the journal knows it. The speed of a scan without changes is decided here."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from blake3 import blake3

from twsync.errors import PathError, StoreError
from twsync.reconcile.model import Kind
from twsync.store.diskerrors import fatal
from twsync.store.hashing import content_of
from twsync.store.ignore import Ignore
from twsync.store.items import Glance
from twsync.store.paths import Gate, split_key
from twsync.store.place import Place
from twsync.store.rows import Stat, kind_of, mtime_of

SPECIAL = "special-file"
UNREADABLE = "unreadable"
CHANGING = "changing"
TOO_LONG = "path-too-long"

_TYPE = 0o170000
_REGULAR, _DIRECTORY, _LINK = 0o100000, 0o040000, 0o120000
#: File type bits of an `st_mode` by `Kind`; deleted rows are never looked up.
_TYPES = (0, _REGULAR, _DIRECTORY, _LINK)
_INODE = 2**63 - 1


class Seen(msgspec.Struct, frozen=True, gc=False):
    """An entry on the disk that is not as its row says, or has none."""

    key: bytes
    kind: Kind
    content: bytes
    size: int
    mtime_ns: int
    mode: int
    target: bytes
    stat: Stat


@dataclass(slots=True)
class Walk:
    """One walk: what it needs, and what it has found so far."""

    gate: Gate
    ignore: Ignore
    racy_ns: int
    "Entries that changed at this time or later are not trusted."
    cancelled: Callable[[], bool]
    progress: Callable[[int, int], None]
    known: dict[bytes, Glance]
    "Live rows that were not met yet; what is left in the end has vanished."
    seen: list[Seen] = field(default_factory=list)
    skipped: list[tuple[bytes, str]] = field(default_factory=list)
    unknown: set[bytes] = field(default_factory=set)
    "Keys that could not be looked at: neither they nor anything below them is taken for vanished."
    found: int = 0
    hashed: int = 0

    def tree(self) -> None:
        """Walk everything below the root."""
        below = [b""]
        while below:
            below += self._directory(below.pop())
            self.progress(self.found, self.hashed)
            if self.cancelled():
                raise StoreError("The scan was cancelled.", "cancelled")

    def entry(self, key: bytes) -> bool:
        """Look at one key; False if nothing is there."""
        try:
            with self.gate.place(key) as place:
                found = place.lstat()
                if found is None:
                    return False
                self.known.pop(key, None)
                self.found += 1
                self._look(key, found, place)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            self._skip(key, error)
        return True

    def hidden(self, key: bytes) -> bool:
        """Whether a key or a folder above it could not be looked at, or is left out."""
        if self.unknown:
            above = key
            while above:
                if above in self.unknown:
                    return True
                above = above.rpartition(b"/")[0]
        return self.ignore.matches(key)

    def _directory(self, parent: bytes) -> list[bytes]:
        """One directory; returns the keys of those below it."""
        try:
            fd = self.gate.open_directory(parent)
        except FileNotFoundError:
            return []
        except OSError as error:
            if not parent:
                raise StoreError("The collection's folder cannot be read: check its permissions.", "permission-denied") from error
            self._skip(parent, error)
            return []
        try:
            return self._entries(fd, parent)
        except OSError as error:
            if not parent:
                raise fatal(error, self.gate.root) or StoreError("The collection's folder cannot be listed.", "disk-error") from error
            self._skip(parent, error)
            return []
        finally:
            os.close(fd)

    def _entries(self, fd: int, parent: bytes) -> list[bytes]:
        below = []
        prefix = parent + b"/" if parent else b""
        met, encode, plain, matches = self.known.pop, os.fsencode, self.ignore.trivial, self.ignore.matches
        count = 0
        with os.scandir(fd) as entries:
            for entry in entries:
                name = entry.name
                key = prefix + encode(name)
                count += 1
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    count -= 1
                    continue
                except OSError as error:
                    self._skip(key, error)
                    continue
                mode = found.st_mode
                directory = mode & _TYPE == _DIRECTORY
                if (not plain or name.startswith(".twsync")) and matches(key, directory):
                    if key == b".twsync":
                        count -= 1
                    self.unknown.add(key)
                    continue
                row = met(key, None)
                # Index for index: kind, st_mode, st_size, st_mtime_ns, st_ctime_ns, st_ino. The one that differs most comes first.
                if row is None or not (
                    found.st_ctime_ns == row[5]
                    and found.st_mtime_ns == row[4]
                    and found.st_size == row[3]
                    and found.st_ino & _INODE == row[6]
                    and mode & 0o777 == row[2]
                    and mode & _TYPE == _TYPES[row[1]]
                ):
                    self._look(key, found, Place(fd, key[len(prefix) :]))
                if directory and key not in self.unknown:
                    below.append(key)
        self.found += count
        return below

    def _look(self, key: bytes, found: os.stat_result, place: Place) -> None:
        """Note an entry that is new or not as its row says."""
        try:
            split_key(key)
        except PathError:
            self.unknown.add(key)
            self.skipped.append((key, TOO_LONG))
            return
        kind = kind_of(found.st_mode)
        content = target = b""
        try:
            if kind is Kind.FILE:
                result = content_of(place, self.cancelled)
                if result is None:
                    self.unknown.add(key)
                    self.skipped.append((key, CHANGING))
                    return
                content, found = result
                self.hashed += found.st_size
            elif kind is Kind.SYMLINK:
                target = place.readlink()
                content = blake3(target).digest()
            elif kind is None:
                self.unknown.add(key)
                self.skipped.append((key, SPECIAL))
                return
        except PathError:
            self.unknown.add(key)
            self.skipped.append((key, CHANGING))
            return
        except OSError as error:
            self._skip(key, error)
            return
        stat = Stat.of(found)
        if stat.ctime_ns >= self.racy_ns:
            stat = stat.distrusted()
        size = found.st_size if kind is Kind.FILE else 0
        mode = 0 if kind is Kind.SYMLINK else stat.mode
        self.seen.append(Seen(key, kind, content, size, mtime_of(found), mode, target, stat))

    def _skip(self, key: bytes, error: OSError) -> None:
        """One thing cannot be looked at: it stays as the journal knows it. Out of descriptors is no property of the one thing."""
        if error.errno in (errno.EMFILE, errno.ENFILE) and (known := fatal(error, self.gate.root)) is not None:
            raise known from error
        self.unknown.add(key)
        gone = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE)
        self.skipped.append((key, CHANGING if gone else UNREADABLE))
