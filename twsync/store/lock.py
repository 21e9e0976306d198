"""One writer of a host's state at a time: the daemon, or a command while no daemon runs."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from twsync.errors import StoreError


class StateLock:
    """An exclusive lock on ``DIR/state/lock``, held until closed or until the process ends. Usable with `with`.

    flock belongs to the open file, so a crashed process leaves none behind. The file itself stays: deleting it would let two
    processes lock two files of one name.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def acquire(cls, path: Path, who: str) -> StateLock:
        """Take the lock without waiting.

        :param who: what the holder is called in the others' sentence, such as ``twistd syncpeer``.
        :raises StoreError: `locked`: the sentence names the process that has it.
        """
        fd = _open(path)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            other = _read(fd)
            os.close(fd)
            raise StoreError(f"{path.parent} is in use by {other}: stop it first, or let it do this.", "locked") from error
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{who}, process {os.getpid()}".encode(), 0)
        return cls(fd)

    def close(self) -> None:
        """Let go; a second time does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.ftruncate(fd, 0)
            os.close(fd)

    def __enter__(self) -> StateLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def holder(path: Path) -> str | None:
    """Who holds the lock now (``twistd syncpeer, process 4711``), None if nobody."""
    if not path.exists():
        return None
    fd = _open(path)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(fd)
    finally:
        os.close(fd)
    return None


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"The lock {path} cannot be opened: {os.strerror(error.errno or 0)}.", "store-failed") from error


def _read(fd: int) -> str:
    return os.pread(fd, 200, 0).decode("utf-8", "replace").strip() or "another process"
