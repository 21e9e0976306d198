"""One row of a journal, with what the disk looked like when it was recorded."""

from __future__ import annotations

import os
import stat as modes

import msgspec
from msgspec.structs import replace

from twsync.reconcile.model import Item, Kind

#: Permission bits that travel; setuid, setgid and sticky never do.
PERMISSIONS = 0o777

_KINDS = {modes.S_IFREG: Kind.FILE, modes.S_IFDIR: Kind.DIRECTORY, modes.S_IFLNK: Kind.SYMLINK}


#: SQLite's and the wire's integers are 64 bits with a sign; some file systems know later times and larger inode numbers.
_LEAST, _MOST = -(2**63), 2**63 - 1


def mtime_of(found: os.stat_result) -> int:
    """The modification time of an lstat, nanoseconds; beyond the years 1677 to 2262 the nearest within, as the README says."""
    return min(max(found.st_mtime_ns, _LEAST), _MOST)


def kind_of(mode: int) -> Kind | None:
    """What an `st_mode` stands for: a kind, or None for a fifo, socket or device."""
    return _KINDS.get(modes.S_IFMT(mode))


class Stat(msgspec.Struct, frozen=True, gc=False):
    """The stat cache of one row: equal to the disk's means that the content was not touched since."""

    size: int
    "Bytes, as lstat gives them (a link's is the length of its target)."
    mtime_ns: int
    "Modification time."
    ctime_ns: int
    'Change time; 0 when the entry changed so shortly before it was looked at that a later change could hide ("racy").'
    ino: int
    "Inode number."
    mode: int
    "Permission bits, as the file system keeps them."

    @classmethod
    def of(cls, found: os.stat_result) -> Stat:
        """The values of an lstat."""
        return cls(found.st_size, mtime_of(found), min(found.st_ctime_ns, _MOST), found.st_ino & _MOST, found.st_mode & PERMISSIONS)

    @property
    def trusted(self) -> bool:
        """Whether an equal stat proves equal content."""
        return self.ctime_ns != 0

    def distrusted(self) -> Stat:
        """These values, to be looked at again next time."""
        return replace(self, ctime_ns=0)


#: No stat known: equal to nothing on disk.
NO_STAT = Stat(0, 0, 0, 0, 0)


class Row(msgspec.Struct, frozen=True, gc=False):
    """An item with its place in the journal."""

    item: Item
    stat: Stat = NO_STAT
    seq: int = 0
    "Sequence number of the row's last change; 0 for a row that is not in the journal yet."
    partner: int = 0
    "Replica that the row was last taken from; 0 for a local change."

    @property
    def key(self) -> bytes:
        """The item's key."""
        return self.item.key
