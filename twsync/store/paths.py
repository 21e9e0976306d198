"""The path gate: the only way to the files of a collection.

A key from a partner is bytes that somebody else chose. It is validated once and then walked, component by component, from a descriptor
of the root: each step is an openat with O_NOFOLLOW, so no link on the way is followed, whoever made it and whenever. Nothing joins
keys to path names, which also makes keys longer than PATH_MAX work.

Descriptors of directories are kept between uses. Before one is used again, its name is looked up anew and must still lead to the same
inode: a directory that was moved away, with a link put in its place, is not written through.
"""

from __future__ import annotations

import errno
import os
import re
import stat as modes
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby, repeat
from operator import itemgetter
from types import TracebackType

from twsync import limits
from twsync.errors import PathError, StoreError
from twsync.store.diskerrors import show
from twsync.store.place import Place
from twsync.store.root import OWN, WALK, open_marker, open_root

#: Folders above a key in twsync's own tree: trash, session.
_OWN_DEPTH = 4


#: Most keys: short components that do not begin with a dot. (An empty one, "." or ".." is none of them, nor is twsync's own folder.)
_PLAIN = re.compile(rb"[^./\x00][^/\x00]{0,120}(?:/[^./\x00][^/\x00]{0,120}){0,14}")


def split_key(key: bytes, *, own: bool = False) -> list[bytes]:
    """The components of a key.

    :param own: allow twsync's own folder as the first.
    :raises PathError: the key must not be used as a path.
    """
    if not key:
        raise PathError("A name is empty.")
    # The trash holds whole keys below folders of its own.
    if len(key) > limits.MAX_KEY + (limits.MAX_COMPONENT * _OWN_DEPTH if own else 0):
        raise PathError(f"A name is longer than {limits.MAX_KEY} bytes.")
    if b"\0" in key:
        raise PathError("A name contains a NUL byte.")
    parts = key.split(b"/")
    if len(parts) > limits.MAX_DEPTH + (_OWN_DEPTH if own else 0):
        raise PathError(f"A name is deeper than {limits.MAX_DEPTH} folders.")
    for part in parts:
        if not part or part == b"." or part == b"..":
            raise PathError("A name is absolute or contains an empty, '.' or '..' component.")
        if len(part) > limits.MAX_COMPONENT:
            raise PathError(f"A component of a name is longer than {limits.MAX_COMPONENT} bytes.")
    if not own and parts[0] == OWN:
        raise PathError("A name lies inside twsync's own folder.")
    return parts


def validate_key(key: bytes) -> None:
    """Refuse a key that must not be used as a path.

    :raises PathError: empty, absolute, too long or deep, with an empty, ``.`` or ``..`` component, a NUL, or in ``.twsync``.
    """
    if _PLAIN.fullmatch(key) is None:
        split_key(key)


#: Names that are none, or not everywhere.
_ODD_NAMES = frozenset({b"", b".", b"..", OWN})
_PARENT = itemgetter(0)


def parents(keys: Iterable[bytes]) -> Iterator[bytes]:
    """The key of the directory above each; empty for the root."""
    return map(_PARENT, map(bytes.rpartition, keys, repeat(b"/")))


def pieces(keys: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Where a list of keys is cut (from, to) so that each piece of it needs few directories at once."""
    start = end = 0
    folders: set[bytes] = set()
    for parent, run in groupby(parents(keys)):
        folders.add(parent)
        if len(folders) > limits.MAX_FOLDERS_TOGETHER:
            yield start, end
            start, folders = end, {parent}
        end += sum(1 for _ in run)
    if start < end:
        yield start, end


class Places:
    """Places of many keys for one piece of work, those of one directory by one descriptor, which is looked up once. Use it by `with`."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._held: dict[bytes, Place] = {}

    def __enter__(self) -> Places:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Done with all of them."""
        held, self._held = self._held, {}
        for place in held.values():
            place.release()

    def locate(self, keys: Sequence[bytes]) -> tuple[Sequence[int], list[int], list[bytes], dict[int, OSError | PathError]]:
        """Where these keys are.

        :returns: the numbers, in `keys`, of those that have a place, the descriptors of their directories and their names in them; and of
            the others what `Gate.place` raised.
        """
        names = [key.rpartition(b"/")[2] for key in keys]
        # Most keys are of the plain kind, and then one look at all of them together shows it.
        plain = (
            max(map(len, keys), default=0) <= limits.MAX_COMPONENT
            and b"\0" not in b"".join(names)
            and _ODD_NAMES.isdisjoint(names)
            and not any(map(bytes.startswith, keys, repeat(b"/")))
        )
        numbers: list[int] = []
        fds: list[int] = []
        failed: dict[int, OSError | PathError] = {}
        start = 0
        for parent, run in groupby(parents(keys)):
            end = start + sum(1 for _ in run)
            for first, last in ((start, end),) if plain else zip(range(start, end), range(start + 1, end + 1), strict=True):
                try:
                    if not plain:
                        validate_key(keys[first])
                    held = self._held.get(parent)
                    if held is None:
                        held = self._held[parent] = self._gate.place(keys[first])
                except (OSError, PathError) as error:
                    failed.update(dict.fromkeys(range(first, last), error))
                else:
                    numbers += range(first, last)
                    fds += [held.fd] * (last - first)
            start = end
        return numbers, fds, [names[number] for number in numbers] if failed else names, failed


class _Directory:
    """An open directory: its descriptor, its identity, and those below it that are open too."""

    __slots__ = ("children", "dead", "device", "fd", "inode", "users")

    def __init__(self, fd: int) -> None:
        found = os.fstat(fd)
        self.fd = fd
        self.device = found.st_dev
        self.inode = found.st_ino
        self.children: dict[bytes, _Directory] = {}
        self.users = 0
        self.dead = False


class Gate:
    """A tree below one directory descriptor. Thread-safe; a `Place` keeps its directory open while it is used."""

    def __init__(self, fd: int, root: bytes, *, own: bool = False) -> None:
        self.root = root
        self._own = own
        self._top = _Directory(fd)
        self._open = 0
        self._lock = threading.Lock()
        self._private: Gate | None = None

    @classmethod
    def open(cls, root: str | bytes | os.PathLike[str], *, known: bool) -> Gate:
        """Open a collection's root.

        :param known: the journal holds items of it; then a missing ``.twsync`` is refused, else it is made.
        :raises StoreError: `root-missing`, `root-marker-missing`, `read-only`, `permission-denied`.
        """
        path = os.path.abspath(os.fsencode(root))  # noqa: PTH100
        gate = cls(open_root(path), path)
        try:
            gate._private = cls(open_marker(gate._top.fd, path, known), os.path.join(path, OWN), own=True)  # noqa: PTH118
        except BaseException:
            gate.close()
            raise
        return gate

    @property
    def private(self) -> Gate:
        """The gate of ``.twsync/``."""
        if self._private is None:
            raise StoreError(f"{show(self.root)} has no folder of twsync's own.", "root-marker-missing")
        return self._private

    def check(self) -> None:
        """Make sure that the root's path still leads to this directory, and that its marker is there.

        :raises StoreError: `root-missing`, `root-marker-missing`.
        """
        fd = open_root(self.root)
        try:
            found = os.fstat(fd)
            if (found.st_dev, found.st_ino) != (self._top.device, self._top.inode):
                raise StoreError(f"{show(self.root)} was replaced while it was in use; try again.", "root-missing")
            os.close(open_marker(fd, self.root, True))
        finally:
            os.close(fd)

    def close(self) -> None:
        """Close all descriptors that no place uses; those in use are closed when their place is released."""
        if self._private is not None:
            self._private.close()
        with self._lock:
            self._bury(self._top)

    # --- verbs

    def place(self, key: bytes) -> Place:
        """The place of a key. Release it, best by `with`.

        :raises PathError: the key must not be used.
        :raises FileNotFoundError, NotADirectoryError: a parent is missing, or is no directory (a link is none).
        """
        parts = split_key(key, own=self._own)
        name = parts.pop()
        if len(parts) > limits.MAX_CACHED_DEPTH:
            fd = self._walk_deep(parts)
            return Place(fd, name, partial(os.close, fd))
        with self._lock:
            directory = self._walk(parts)
            directory.users += 1
        return Place(directory.fd, name, partial(self._release, directory))

    def lstat(self, key: bytes) -> os.stat_result | None:
        """What stands at the key; None for nothing, also if a parent is missing or is no directory."""
        try:
            with self.place(key) as place:
                return place.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def open_read(self, key: bytes) -> int:
        """A descriptor of the regular file at the key; see `Place.open_read`."""
        with self.place(key) as place:
            return place.open_read()

    def readlink(self, key: bytes) -> bytes:
        """The target of the link at the key."""
        with self.place(key) as place:
            return place.readlink()

    def entries(self, key: bytes = b"") -> list[bytes]:
        """The names in the directory at the key (the root: ``b""``), sorted."""
        if key:
            with self.place(key) as place:
                return place.entries()
        return Place(self._top.fd, b".").entries()

    def open_directory(self, key: bytes = b"") -> int:
        """A descriptor of the directory at the key (the root: ``b""``), for listing and flushing."""
        if key:
            with self.place(key) as place:
                return place.open_directory()
        return Place(self._top.fd, b".").open_directory()

    def make_directories(self, key: bytes, mode: int = 0o700) -> None:
        """Make the directory at the key and those above it, as far as they are missing."""
        parts = split_key(key, own=self._own)
        for depth in range(1, len(parts) + 1):
            with self.place(b"/".join(parts[:depth])) as place:
                try:
                    place.make_directory(mode)
                except FileExistsError:
                    found = place.lstat()
                    if found is None or not modes.S_ISDIR(found.st_mode):
                        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), place.name) from None

    # --- walking

    def _walk(self, parts: list[bytes]) -> _Directory:
        if self._top.dead:
            raise StoreError(f"{show(self.root)} is closed already.", "root-missing")
        if self._open >= limits.MAX_OPEN_DIRECTORIES:
            for old in self._top.children.values():
                self._bury(old)
            self._top.children = {}
        here = self._top
        for name in parts:
            child = here.children.get(name)
            if child is not None:
                try:
                    found = os.stat(name, dir_fd=here.fd, follow_symlinks=False)
                    same = found.st_ino == child.inode and found.st_dev == child.device
                except OSError:
                    same = False
                if same:
                    here = child
                    continue
                del here.children[name]
                self._bury(child)
            opened = _Directory(os.open(name, WALK, dir_fd=here.fd))
            here.children[name] = opened
            self._open += 1
            here = opened
        return here

    def _bury(self, directory: _Directory) -> None:
        """Close a directory and all below it, each as soon as no place uses it."""
        for child in directory.children.values():
            self._bury(child)
        directory.children = {}
        if directory.dead:
            return
        directory.dead = True
        if directory is not self._top:
            self._open -= 1
        if directory.users == 0:
            os.close(directory.fd)

    def _release(self, directory: _Directory) -> None:
        with self._lock:
            directory.users -= 1
            if directory.dead and directory.users == 0:
                os.close(directory.fd)

    def _walk_deep(self, parts: list[bytes]) -> int:
        fd = os.dup(self._top.fd)
        for name in parts:
            try:
                below = os.open(name, WALK, dir_fd=fd)
            finally:
                os.close(fd)
            fd = below
        return fd
