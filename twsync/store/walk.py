"""Walk a collection by descriptors and note what is not as the journal knows it. The speed of a scan without changes is decided here."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

import msgspec
from blake3 import blake3

from twsync import limits
from twsync.errors import PathError, StoreError
from twsync.reconcile.model import FILE, SYMLINK, Kind
from twsync.store import batches
from twsync.store.batches import EQUAL, Found
from twsync.store.beside import Beside
from twsync.store.diskerrors import fatal, unusable
from twsync.store.hashing import content_of
from twsync.store.ignore import Ignore
from twsync.store.items import Glance
from twsync.store.paths import Gate, validate_key
from twsync.store.place import Place
from twsync.store.reading import Reading
from twsync.store.rows import PERMISSIONS, Stat, kind_of

SPECIAL = "special-file"
UNREADABLE = "unreadable"
CHANGING = "changing"
TOO_LONG = "path-too-long"

_TYPE = 0o170000
_REGULAR, _DIRECTORY = 0o100000, 0o040000


#: Of an open directory and its key with a slash: names that have to be looked at, and what lstat says of each.
Entries = Callable[[int, bytes], Iterable[tuple[bytes, Found]]]


def found_of(found: os.stat_result) -> Found:
    """An lstat as the batches give it."""
    stat = Stat.of(found)
    return stat.size, stat.mtime_ns, stat.ctime_ns, stat.ino, found.st_mode & (_TYPE | PERMISSIONS), 0


#: Threads that hash small files while the walk goes on, files of one go, and how many goes the walk is ahead.
_THREADS, _TOGETHER, _AHEAD = 2, 512, 6
#: A path that the system gives and that is shorter than this cannot be too long or too deep for a key.
_SHALLOW = 2 * limits.MAX_DEPTH
#: So few are not worth another thread.
_FEW = 32


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
    "Live rows of what is looked at; whoever meets one takes it out."
    seen: list[Seen] = field(default_factory=list)
    skipped: list[tuple[bytes, str]] = field(default_factory=list)
    unknown: set[bytes] = field(default_factory=set)
    "Keys that could not be looked at: neither they nor anything below them is taken for vanished."
    found: int = 0
    hashed: int = 0
    beside: Beside = field(default_factory=lambda: Beside(_THREADS, _AHEAD))
    "Where small files are hashed while the walk goes on."
    large: Callable[[bytes, Found], Reading | None] | None = None
    "Told of each large file before it is hashed; see `scan`."
    held: set[int] = field(default_factory=set)
    "Descriptors of the directories that they are in."

    def tree(self, entries: Entries) -> None:
        """Walk everything below the root.

        :param entries: see `KnownTree.entries`.
        """
        below = [b""]
        try:
            with self.beside:
                while below:
                    below += self._directory(below.pop(), entries)
                    self.progress(self.found, self.hashed)
                    if self.cancelled():
                        raise StoreError("The scan was cancelled.", "cancelled")
                self.beside.finish()
        finally:
            for fd in self.held:
                os.close(fd)

    def entry(self, key: bytes) -> bool:
        """Look at one key; False if nothing is there."""
        try:
            with self.gate.place(key) as place:
                found = place.lstat()
                if found is None:
                    return False
                self.known.pop(key, None)
                self.found += 1
                self._look(key, found_of(found), place)
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

    def _directory(self, parent: bytes, entries: Entries) -> list[bytes]:
        """One directory; returns the keys of those below it."""
        try:
            fd = self.gate.open_directory(parent)
        except OSError as error:
            if not parent:
                raise unusable(error, self.gate.root) from error
            if not isinstance(error, FileNotFoundError):
                self._skip(parent, error)
            return []
        try:
            return self._entries(fd, parent, entries)
        except OSError as error:
            if not parent:
                raise unusable(error, self.gate.root) from error
            self._skip(parent, error)
            return []
        finally:
            os.close(fd)

    def _entries(self, fd: int, parent: bytes, entries: Entries) -> list[bytes]:
        below = []
        prefix = parent + b"/" if parent else b""
        met, plain, matches = self.known.pop, self.ignore.trivial, self.ignore.matches
        count = 0
        new: list[tuple[bytes, bytes, Found]] = []
        for name, found in entries(fd, prefix):
            key = prefix + name
            directory = found[4] & _TYPE == _DIRECTORY
            if (not plain or name.startswith(b".twsync")) and matches(key, directory):
                self.unknown.add(key)
                count += key != b".twsync"
                continue
            if found[5]:
                if found[5] == EQUAL:
                    count += 1
                    below.append(key)
                elif found[5] != errno.ENOENT:
                    count += 1
                    self._skip(key, OSError(found[5], os.strerror(found[5])))
                continue
            count += 1
            row = met(key, None)
            # A glance is a key and these five.
            if row is None or row[1:] != found[:5]:
                new.append((key, name, found))
            if directory:
                below.append(key)
        self._look_at_many(fd, new)
        self.found += count
        return [key for key in below if key not in self.unknown] if self.unknown else below

    def _look_at_many(self, fd: int, new: list[tuple[bytes, bytes, Found]]) -> None:
        """Note entries of one directory that are new or not as their rows say."""
        native = batches.NATIVE
        small: list[tuple[bytes, bytes, Found]] = []
        for one in new:
            key, name, found = one
            if native is not None and found[4] & _TYPE == _REGULAR and found[0] <= limits.SMALL_FILE:
                small.append(one)
            else:
                self._look(key, found, Place(fd, name))
        if native is None:
            return
        for start in range(0, len(small), _TOGETHER):
            some = small[start : start + _TOGETHER]
            names = [name for _key, name, _found in some]
            if len(small) <= _FEW:
                self._hashed(fd, some, native.contents(fd, names))
                continue
            held = os.dup(fd)
            self.held.add(held)
            self.beside.run(partial(self._hashed, held, some), native.contents, held, names)

    def _hashed(self, fd: int, small: list[tuple[bytes, bytes, Found]], contents: Iterable[tuple[bytes, Found]]) -> None:
        """Note files that were hashed beside the walk, and look once more at those that were not."""
        note, racy_ns, longest = self.seen.append, self.racy_ns, limits.MAX_COMPONENT
        hashed = 0
        for (key, name, found), (content, after) in zip(small, contents, strict=True):
            size, mtime_ns, ctime_ns, ino, mode, error = after
            if error:
                self._look(key, found, Place(fd, name))
            elif (len(name) <= longest and len(key) < _SHALLOW) or self._proper(key):
                hashed += size
                bits = mode & PERMISSIONS
                stat = Stat(size, mtime_ns, 0 if ctime_ns >= racy_ns else ctime_ns, ino, bits)
                note(Seen(key, FILE, content, size, mtime_ns, bits, b"", stat))
        self.hashed += hashed
        if fd in self.held:
            self.held.remove(fd)
            os.close(fd)

    def _proper(self, key: bytes) -> bool:
        """Whether a key can be one of a collection; noted if not."""
        try:
            validate_key(key)
        except PathError:
            self.unknown.add(key)
            self.skipped.append((key, TOO_LONG))
            return False
        return True

    def _look(self, key: bytes, found: Found, place: Place) -> None:
        """Note an entry that is new or not as its row says."""
        if not self._proper(key):
            return
        kind = kind_of(found[4])
        content = target = b""
        try:
            if kind is Kind.FILE:
                reading = self.large(key, found) if self.large is not None and found[0] >= limits.AHEAD_FILE else None
                result = content_of(place, self.cancelled, reading)
                if result is None:
                    self.unknown.add(key)
                    self.skipped.append((key, CHANGING))
                    return
                content, after = result
                found = found_of(after)
                self.hashed += after.st_size
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
        self._note(key, kind, content, found, target)

    def _note(self, key: bytes, kind: Kind, content: bytes, found: Found, target: bytes) -> None:
        size, mtime_ns, ctime_ns, ino, mode, _ = found
        bits = mode & PERMISSIONS
        stat = Stat(size, mtime_ns, 0 if ctime_ns >= self.racy_ns else ctime_ns, ino, bits)
        self.seen.append(Seen(key, kind, content, size if kind is FILE else 0, mtime_ns, 0 if kind is SYMLINK else bits, target, stat))

    def _skip(self, key: bytes, error: OSError) -> None:
        """One thing cannot be looked at: it stays as the journal knows it. Out of descriptors is no property of the one thing."""
        if error.errno in (errno.EMFILE, errno.ENFILE) and (known := fatal(error, self.gate.root)) is not None:
            raise known from error
        self.unknown.add(key)
        gone = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE)
        self.skipped.append((key, CHANGING if gone else UNREADABLE))
