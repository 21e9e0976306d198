"""New content before it is put into place: ``.twsync/staging/``.

Names begin with the content id in hex, so that what an earlier session left is found again: ``HEX.N`` is complete, ``HEX.N.part`` is not.
What has no content id, links and folders on their way to a name that something else holds, is ``link.N`` and ``folder.N``. A file
whose content id is not known yet has the hash of its key and size instead: a later session that wants this key in this size tries it.
Behind the number stands which device it comes from: when a session has got all that this device has, what is left of it is useless.
"""

from __future__ import annotations

import itertools
import os
from binascii import hexlify
from collections.abc import Iterable, Sequence
from contextlib import suppress

from blake3 import blake3

from twsync import limits
from twsync.errors import StoreError
from twsync.reconcile.model import Item
from twsync.store import batches
from twsync.store.batches import Found
from twsync.store.copying import copy_bytes
from twsync.store.diskerrors import disk_errors, show
from twsync.store.hashing import hash_descriptor
from twsync.store.leftovers import Leftovers, origin
from twsync.store.partial import Partial, Staged, write_all
from twsync.store.paths import Gate
from twsync.store.place import Place

__all__ = ["Partial", "Staged", "Staging"]

_FOLDER = b"staging"
_PART = b".part"


class Staging:
    """The staging folder of one collection. One session uses it at a time; its threads may share it."""

    def __init__(self, gate: Gate) -> None:
        """Open the folder, made if it is missing.

        :raises StoreError: `disk-full`, `read-only`, `permission-denied`.
        """
        self._where = gate.root
        with disk_errors(gate.root):
            gate.private.make_directories(_FOLDER)
            self._fd = gate.private.open_directory(_FOLDER)
            names = self._names()
        self._numbers = itertools.count(1 + max((_number(name) for name in names), default=0))
        self._left = Leftovers(self._fd, names)
        self._origin = b""

    def close(self) -> None:
        """Close the folder; what is in it stays."""
        os.close(self._fd)

    def comes_from(self, device: str) -> None:
        """From now on content comes from this device."""
        self._origin = origin(device)

    def place(self, name: bytes) -> Place:
        """The place of a name in staging."""
        return Place(self._fd, name)

    def flush(self) -> None:
        """Make the folder's entries durable."""
        os.fsync(self._fd)

    def room(self) -> int:
        """Bytes that the disk still takes."""
        found = os.fstatvfs(self._fd)
        return found.f_bavail * found.f_frsize

    def check_room(self, size: int, room: int) -> None:
        """Make sure that `size` bytes can fit.

        :param room: bytes that there is room for.
        :raises StoreError: `disk-full`.
        """
        if size > room:
            raise StoreError(f"The disk of {show(self._where)} has no room for {size} more bytes: make room, then sync again.", "disk-full")

    # --- new content

    def put(self, content: bytes, data: bytes | bytearray | memoryview, *, mode: int = 0o600, mtime_ns: int | None = None) -> Staged | None:
        """A small file in one step, best with the mode and time it will have; None if `data` is not that content.

        :raises StoreError: `disk-full`, `read-only`, `permission-denied`.
        """
        if blake3(data).digest() != content:
            return None
        name = self._new(content.hex().encode())
        with disk_errors(self._where):
            fd = self.place(name).create()
            try:
                write_all(fd, data)
                if mtime_ns is not None:
                    os.fchmod(fd, mode & 0o777)
                    os.utime(fd, ns=(mtime_ns, mtime_ns))
            except BaseException:
                self.forget(name)
                raise
            finally:
                os.close(fd)
        return Staged(name, content, len(data)) if mtime_ns is None else Staged(name, content, len(data), mode & 0o777, mtime_ns)

    def put_many(self, data: bytes | memoryview, items: Sequence[Item]) -> list[Staged | None]:
        """The small files of these items, whose bytes follow each other in `data`, each with the mode and time it will have; None for one
        that is not its item's content.

        :raises StoreError: as `put`.
        """
        if batches.NATIVE is None or not items:
            found, at = [], 0
            for item in items:
                found.append(self.put(item.content, data[at : at + item.size], mode=item.mode, mtime_ns=item.mtime_ns))
                at += item.size
            return found
        contents, modes = [item.content for item in items], [item.mode for item in items]
        name = b"%s.%d" + self._origin
        names = [name % (hexlify(content), number) for content, number in zip(contents, self._numbers, strict=False)]
        sizes, mtimes = [item.size for item in items], [item.mtime_ns for item in items]
        errors = batches.NATIVE.stage(self._fd, names, data, sizes, contents, modes, mtimes)
        failed = next((error for error in errors if error > 0), 0)
        if failed:
            with disk_errors(self._where):
                raise OSError(failed, os.strerror(failed))
        return [
            None if error else Staged(name, item.content, item.size, item.mode, item.mtime_ns)
            for error, name, item in zip(errors, names, items, strict=True)
        ]

    def move_many(self, staged: Sequence[bytes], fds: Sequence[int], names: Sequence[bytes]) -> Iterable[Found] | None:
        """Move complete files to names, in open directories, that nothing holds, and look at them there; see `Batches.place`. None where
        only single files can be moved."""
        return None if batches.NATIVE is None else batches.NATIVE.place(self._fd, staged, fds, names)

    def create(self, content: bytes) -> Partial:
        """Begin to receive this content from its first byte; what was received before stays as a basis until this one is finished.

        :raises StoreError: `disk-full`, `read-only`, `permission-denied`.
        """
        return self._create(content, content)

    def create_unknown(self, key: bytes, size: int) -> Partial:
        """Begin to receive a file for this key whose content id is not known yet.

        :raises StoreError: as `create`.
        """
        return self._create(_stand_in(key, size), b"")

    def _create(self, stem: bytes, content: bytes) -> Partial:
        name = self._new(stem.hex().encode()) + _PART
        with disk_errors(self._where):
            return Partial(self, self._where, content, name, self.place(name).create())

    def find_unknown(self, key: bytes, size: int) -> int:
        """Bytes of a file for this key that was partly received while its content id was not known; 0 for none."""
        return self.find_partial(_stand_in(key, size))

    def claim_unknown(self, key: bytes, size: int, content: bytes) -> None:
        """What was received for this key while its content id was not known, if there is any, is taken for a part of this content."""
        found = self._left.largest(_stand_in(key, size))
        if found is not None:
            with disk_errors(self._where):
                self._left.take(found[0])
                self.left(self.named(content, found[0]))

    def resume(self, content: bytes) -> Partial:
        """Go on behind the bytes already received (`Partial.size`), or begin.

        :raises StoreError: as `create`.
        """
        found = self._left.largest(content)
        if found is None:
            return self.create(content)
        with disk_errors(self._where):
            fd = os.open(found[0], os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._fd)
            return Partial(self, self._where, content, found[0], fd)

    def link(self, target: bytes) -> bytes:
        """A symbolic link on its way to its place; returns its name in staging."""
        name = self._new(b"link")
        with disk_errors(self._where):
            self.place(name).make_link(target)
        return name

    def folder(self) -> bytes:
        """A folder on its way to its place; returns its name in staging."""
        name = self._new(b"folder")
        with disk_errors(self._where):
            self.place(name).make_directory()
        return name

    def copy(self, source: int, content: bytes) -> Staged | None:
        """A copy of an open file, proved; None if it is not that content.

        :raises StoreError: `disk-full`, `read-only`, `permission-denied`.
        """
        name = self._new(content.hex().encode())
        with disk_errors(self._where):
            fd = self.place(name).create()
            proved = False
            try:
                size = copy_bytes(source, fd)
                os.lseek(fd, 0, os.SEEK_SET)
                proved = hash_descriptor(fd, size) == (content, size)
            finally:
                os.close(fd)
                if not proved:
                    self.forget(name)
        return Staged(name, content, size) if proved else None

    def duplicate(self, staged: Staged) -> Staged:
        """A second copy, for a second key with the same content.

        :raises StoreError: as `put`.
        """
        with disk_errors(self._where):
            source = self.place(staged.name).open_read()
        try:
            copied = self.copy(source, staged.content)
        finally:
            os.close(source)
        if copied is None:
            raise StoreError(f"A file in {show(self._where)}/.twsync/staging was changed by another program.", "store-failed")
        return copied

    # --- what earlier sessions left

    def find_partial(self, content: bytes) -> int:
        """Bytes of the largest partly received copy; 0 for none."""
        found = self._left.largest(content)
        return 0 if found is None else found[1]

    def holds(self, content: bytes, size: int) -> bool:
        """Whether an earlier session left the whole of this content; `adopt` proves it."""
        return bool(self._left) and self._left.holds(content, size)

    def bytes_left(self, key: bytes, size: int, content: bytes, *, basis: bool) -> int:
        """Bytes of a file that is wanted here which an earlier session left, and which need no room again.

        :param basis: an older file stands at the key; then what was partly received is received once more, with it as a basis.
        """
        if self.holds(content, size):
            return size
        return 0 if basis else min(size, self.find_partial(content) or self.find_unknown(key, size))

    def open_basis(self, content: bytes) -> int | None:
        """A read descriptor of the largest partly received copy, as a delta's basis; None if there is none."""
        found = self._left.largest(content)
        return None if found is None else self.place(found[0]).open_read()

    def adopt(self, content: bytes, size: int) -> Staged | None:
        """A complete file of this content that an earlier session left, proved again."""
        for name in self._left.complete(content):
            self._left.take(name)
            try:
                fd = self.place(name).open_read()
            except OSError:
                continue
            try:
                if hash_descriptor(fd, size) == (content, size):
                    return Staged(name, content, size)
            finally:
                os.close(fd)
            self.forget(name)
        return None

    def left(self, name: bytes) -> None:
        """This is in staging and nobody works on it: it may be adopted or resumed."""
        self._left.add(name)

    def drop(self, staged: Staged) -> None:
        """Delete one that is not needed after all."""
        self.forget(staged.name)

    def unwanted(self, wanted: Iterable[tuple[bytes, int, bytes]]) -> list[tuple[bytes, int]]:
        """What was left and is of no use for these (key, size, content id): names, and the bytes that they take."""
        return self._left.others(stem for key, size, content in wanted for stem in (content, _stand_in(key, size)))

    def have_all(self, device: str) -> None:
        """A session has got all that a device has: whatever was left of what came from it is useless."""
        self.give_up(self._left.of(origin(device)))

    def give_up(self, names: Iterable[bytes]) -> None:
        """Delete files that were left, as far as the disk lets us."""
        for name in names:
            with suppress(OSError):
                self.forget(name)

    def sweep(self, now_ns: int, max_age: float = limits.STAGING_AGE, max_bytes: int = limits.STAGING_BYTES) -> int:
        """Delete what is older than `max_age` seconds, then the oldest beyond `max_bytes`; but not the newest, as many as a session has
        under way, however large: else a file larger than that would never come over a line that breaks. Before a session, not in one.

        :returns: the bytes freed.
        """
        # A complete file may carry the time of the file it becomes: it came when it was changed last.
        with disk_errors(self._where):
            found = [
                (stat.st_mtime_ns if name.endswith(_PART) else stat.st_ctime_ns, stat.st_size, name)
                for name in self._names()
                if (stat := self.place(name).lstat()) is not None
            ]
        total, freed = sum(size for _, size, _ in found), 0
        for rank, (since_ns, size, name) in enumerate(sorted(found), limits.MAX_LARGE_UNDER_WAY - len(found)):
            old = now_ns - since_ns > max_age * 1e9
            if old or (rank < 0 and total - freed > max_bytes):
                self.forget(name)
                freed += size
        return freed

    # --- inside

    def _new(self, stem: bytes) -> bytes:
        return b"%s.%d%s" % (stem, next(self._numbers), self._origin)

    def _names(self) -> list[bytes]:
        return [os.fsencode(name) for name in os.listdir(self._fd)]  # noqa: PTH208 - by descriptor

    def forget(self, name: bytes) -> None:
        """Delete what has this name; nothing if it is gone."""
        self._left.take(name)
        place = self.place(name)
        try:
            place.remove()
        except FileNotFoundError:
            pass
        except IsADirectoryError:
            place.remove_directory()

    def named(self, content: bytes, name: bytes) -> bytes:
        """The content id of a part is known now; its new name."""
        new = self._new(content.hex().encode()) + _PART
        self.place(name).replace(self.place(new))
        return new

    def finished(self, content: bytes, name: bytes, size: int) -> Staged:
        """A part is complete: all other parts of this content have served."""
        done = self._new(content.hex().encode())
        self.place(name).replace(self.place(done))
        for other, _size in self._left.parts(content):
            self.forget(other)
        return Staged(done, content, size)


def _stand_in(key: bytes, size: int) -> bytes:
    """What stands for the content id of a file while that is not known."""
    return blake3(b"%d %b" % (size, key)).digest()


def _number(name: bytes) -> int:
    number = name.split(b".")[1:2]
    return int(number[0]) if number and number[0].isdigit() else 0
