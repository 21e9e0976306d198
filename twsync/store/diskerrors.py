"""Errors of the operating system as sentences, and the line between one bad item and a disk that cannot go on."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from twsync.errors import PathError, StoreError

_FATAL = {
    errno.ENOSPC: ("disk-full", "The disk of {where} is full: make room there, then sync again."),
    errno.EDQUOT: ("disk-full", "The disk quota for {where} is used up: make room or have it raised, then sync again."),
    errno.EROFS: ("read-only", "{where} is on a read-only file system: mount it writable, then sync again."),
    errno.EIO: ("disk-error", "The disk of {where} reports an input/output error: look at the system's log, check the disk."),
    errno.EMFILE: ("too-many-files", "This process has too many files open to go on in {where}: raise its limit (ulimit -n)."),
    errno.ENFILE: ("too-many-files", "The system has too many files open to go on in {where}: raise fs.file-max."),
}

_ITEM = {
    errno.EACCES: "permission-denied",
    errno.EPERM: "permission-denied",
    errno.ENAMETOOLONG: "name-too-long",
    errno.EILSEQ: "bad-name",
    errno.EINVAL: "bad-name",
    errno.EBUSY: "busy",
    errno.ETXTBSY: "busy",
    errno.ENOTEMPTY: "not-empty",
    errno.EFBIG: "too-large",
    errno.EMLINK: "permission-denied",
}


def show(path: bytes) -> str:
    """A path for people: undecodable bytes as escapes."""
    return path.decode("utf-8", "backslashreplace")


def fatal(error: OSError, where: bytes) -> StoreError | None:
    """The error to raise if this one ends the whole session (disk full, read-only ...); None if it concerns one item."""
    found = _FATAL.get(error.errno or 0)
    if found is None:
        return None
    code, sentence = found
    return StoreError(sentence.format(where=show(where)), code)


def reason_of(error: OSError | PathError) -> str:
    """The reason to skip one item with."""
    if isinstance(error, PathError):
        return "bad-name"
    return _ITEM.get(error.errno or 0) or errno.errorcode.get(error.errno or 0, "disk-error").lower()


def unusable(error: OSError, where: bytes) -> StoreError:
    """The error of a folder that cannot even be opened or listed."""
    known = fatal(error, where)
    if known is not None:
        return known
    code = "permission-denied" if error.errno in (errno.EACCES, errno.EPERM) else "disk-error"
    what = (
        f"The folder {show(where)} cannot be read ({os.strerror(error.errno or 0)}): look at its permissions and its disk, then try again."
    )
    return StoreError(what, code)


@contextmanager
def disk_errors(where: bytes) -> Iterator[None]:
    """Turn every OSError inside into a StoreError that names `where`."""
    try:
        yield
    except OSError as error:
        known = fatal(error, where)
        if known is not None:
            raise known from error
        if error.errno in (errno.EACCES, errno.EPERM):
            raise StoreError(
                f"No permission to write in {show(where)}: give it to the user that runs twsync, then try again.", "permission-denied"
            ) from error
        raise StoreError(f"{show(where)}: {os.strerror(error.errno or 0)}.", "store-failed") from error
