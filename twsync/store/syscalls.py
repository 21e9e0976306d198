"""System calls of Linux that Python does not offer, each with a way to say that the system lacks it.

`renameat2` matters for safety: exchanging two names never leaves a path without content, and what is thrown out is exactly what stood
there. `syncfs` matters for speed: one flush for a batch of thousands of files.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
#: ioctl: share the blocks of one file with another (btrfs, xfs).
FICLONE = 0x40049409

_libc = ctypes.CDLL(None, use_errno=True)


def _function(name: str, *types: type) -> Callable[..., int] | None:
    found = getattr(_libc, name, None)
    if found is None:
        return None
    found.argtypes = types
    found.restype = ctypes.c_int
    return found  # type: ignore[no-any-return]


_renameat2 = _function("renameat2", ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
_syncfs = _function("syncfs", ctypes.c_int)

#: Errors by which a kernel or file system says that it does not know the call or the flag.
_LACKING = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


class LackingError(Exception):
    """The system or the file system does not have this call; do it another way."""


def rename_flagged(from_fd: int, from_name: bytes, to_fd: int, to_name: bytes, flag: int) -> None:
    """renameat2 with `RENAME_NOREPLACE` or `RENAME_EXCHANGE`.

    :raises LackingError: not available here (EINVAL too: also given for a directory moved into itself, which no caller does).
    """
    if _renameat2 is None:
        raise LackingError
    if _renameat2(from_fd, from_name, to_fd, to_name, flag) == 0:
        return
    code = ctypes.get_errno()
    if code in _LACKING:
        raise LackingError
    raise OSError(code, os.strerror(code), from_name, None, to_name)


def sync_file_system(fd: int) -> None:
    """Flush everything of the file system that `fd` (not O_PATH) is on; the whole machine's where syncfs is missing."""
    if _syncfs is None:
        os.sync()
        return
    if _syncfs(fd) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
