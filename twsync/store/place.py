"""One name in one open directory, and everything that can be done to it. No verb follows a link, and none takes a path."""

from __future__ import annotations

import errno
import os
import stat as modes
from collections.abc import Callable
from types import TracebackType

from twsync.errors import PathError
from twsync.store import syscalls
from twsync.store.syscalls import RENAME_EXCHANGE, RENAME_NOREPLACE, LackingError

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Place:
    """A name in a directory that stays open as long as the place is used: `with gate.place(key) as place`.

    All verbs raise OSError as the system gives it.
    """

    __slots__ = ("_release", "fd", "name")

    def __init__(self, fd: int, name: bytes, release: Callable[[], None] | None = None) -> None:
        self.fd = fd
        self.name = name
        self._release = release

    def __enter__(self) -> Place:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()

    def release(self) -> None:
        """Done with it: the directory may be closed."""
        release, self._release = self._release, None
        if release is not None:
            release()

    # --- looking

    def lstat(self) -> os.stat_result | None:
        """What stands here, or None."""
        try:
            return os.stat(self.name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def open_read(self) -> int:
        """A descriptor of the regular file here.

        O_NONBLOCK keeps a fifo that took the file's place from blocking the thread; it has no meaning for a regular file.

        :raises PathError: `not-regular`: something else stands here.
        """
        try:
            fd = os.open(self.name, _READ, dir_fd=self.fd)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO, errno.ENODEV):
                raise PathError("Not a regular file.", "not-regular") from error
            raise
        if not modes.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise PathError("Not a regular file.", "not-regular")
        return fd

    def open_directory(self) -> int:
        """A descriptor of the directory here, for listing and flushing."""
        return os.open(self.name, _DIRECTORY, dir_fd=self.fd)

    def readlink(self) -> bytes:
        """The target of the link here."""
        return os.readlink(self.name, dir_fd=self.fd)

    def entries(self) -> list[bytes]:
        """The names in the directory here, sorted."""
        fd = self.open_directory()
        try:
            return sorted(os.fsencode(name) for name in os.listdir(fd))  # noqa: PTH208 - by descriptor
        finally:
            os.close(fd)

    # --- making

    def create(self, mode: int = 0o600) -> int:
        """A new empty file, open for reading and writing; FileExistsError if anything stands here."""
        return os.open(self.name, _CREATE, mode, dir_fd=self.fd)

    def make_directory(self, mode: int = 0o700) -> None:
        """A new directory."""
        os.mkdir(self.name, mode, dir_fd=self.fd)

    def make_link(self, target: bytes) -> None:
        """A new symbolic link."""
        os.symlink(target, self.name, dir_fd=self.fd)

    # --- moving and removing

    def move(self, to: Place) -> None:
        """Take what stands here to another place, where nothing stands: FileExistsError otherwise.

        Without renameat2 a directory's move is checked first, and a file's is a link and an unlink: no way overwrites.
        """
        try:
            syscalls.rename_flagged(self.fd, self.name, to.fd, to.name, RENAME_NOREPLACE)
            return
        except LackingError:
            pass
        found = os.stat(self.name, dir_fd=self.fd, follow_symlinks=False)
        if modes.S_ISDIR(found.st_mode):
            # mkdir reserves the name; rename replaces only an empty directory.
            to.make_directory()
            os.rename(self.name, to.name, src_dir_fd=self.fd, dst_dir_fd=to.fd)
            return
        os.link(self.name, to.name, src_dir_fd=self.fd, dst_dir_fd=to.fd, follow_symlinks=False)
        os.unlink(self.name, dir_fd=self.fd)

    def replace(self, to: Place) -> None:
        """Plain rename: what stands at `to` is gone. Only for twsync's own folders."""
        os.rename(self.name, to.name, src_dir_fd=self.fd, dst_dir_fd=to.fd)

    def exchange(self, other: Place) -> None:
        """Swap what stands at two places, in one step; LackingError if the file system cannot."""
        syscalls.rename_flagged(self.fd, self.name, other.fd, other.name, RENAME_EXCHANGE)

    def link_to(self, other: Place) -> None:
        """Give the file here a second name."""
        os.link(self.name, other.name, src_dir_fd=self.fd, dst_dir_fd=other.fd, follow_symlinks=False)

    def remove(self) -> None:
        """Delete the file or link here."""
        os.unlink(self.name, dir_fd=self.fd)

    def remove_directory(self) -> None:
        """Delete the empty directory here."""
        os.rmdir(self.name, dir_fd=self.fd)

    # --- metadata

    def set_mode(self, mode: int) -> None:
        """Permission bits of the file or directory here (not of a link).

        By a descriptor, so that a link which takes its place is not followed. An O_PATH one needs no permission to read, but
        takes no fchmod: its entry in /proc leads to the very inode it holds.
        """
        fd = os.open(self.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.fd)
        try:
            if not modes.S_ISLNK(os.fstat(fd).st_mode):
                os.chmod(f"/proc/self/fd/{fd}", mode & 0o777)  # noqa: PTH101
        finally:
            os.close(fd)

    def set_mtime(self, mtime_ns: int) -> None:
        """Modification time of what stands here, a link's own included; the access time stays."""
        found = os.stat(self.name, dir_fd=self.fd, follow_symlinks=False)
        os.utime(self.name, ns=(found.st_atime_ns, mtime_ns), dir_fd=self.fd, follow_symlinks=False)
