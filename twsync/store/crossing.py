"""Moves between file systems: a collection may have mount points inside, and no rename crosses those.

The content is copied to a temporary name in the folder it goes to, made durable, and renamed there; only then is the original removed.
"""

from __future__ import annotations

import errno
import os
import stat as modes

from twsync.store.copying import copy_bytes
from twsync.store.hashing import same_file
from twsync.store.ignore import TEMPORARY
from twsync.store.place import Place


class MovedOnError(OSError):
    """The original changed while it was copied."""


def temporary(place: Place, name: bytes) -> Place:
    """The place in the same folder at which something waits that was called `name` in staging."""
    return Place(place.fd, TEMPORARY + name)


def copy(source: Place, target: Place) -> None:
    """Copy a file or link, with its mode and time, to a place where nothing stands; durable on return.

    :raises FileExistsError: something stands there.
    :raises MovedOnError: the original changed meanwhile; then nothing stands there.
    """
    found = os.stat(source.name, dir_fd=source.fd, follow_symlinks=False)
    if modes.S_ISLNK(found.st_mode):
        target.make_link(source.readlink())
        target.set_mtime(found.st_mtime_ns)
        return
    reading = source.open_read()
    try:
        before = os.fstat(reading)
        writing = target.create()
        try:
            try:
                count = copy_bytes(reading, writing)
                os.fchmod(writing, before.st_mode & 0o777)
                os.utime(writing, ns=(before.st_atime_ns, before.st_mtime_ns))
                os.fsync(writing)
                if count != before.st_size or not same_file(before, os.fstat(reading)):
                    raise MovedOnError(errno.EBUSY, "the file changed while it was copied")
            except BaseException:
                target.remove()
                raise
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def move(source: Place, target: Place) -> None:
    """Move a file or link to a place where nothing stands, on whatever file system.

    :raises FileExistsError: something stands there.
    """
    try:
        source.move(target)
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    waiting = temporary(target, b"move.%d" % os.getpid())
    copy(source, waiting)
    try:
        waiting.move(target)
    except BaseException:
        waiting.remove()
        raise
    source.remove()
