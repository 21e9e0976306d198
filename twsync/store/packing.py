"""Version vectors and replicas as the journal stores them."""

from __future__ import annotations

import struct
from functools import lru_cache

from twsync.reconcile.versions import Version

_PAIR = struct.Struct(">QQ")


@lru_cache(maxsize=65536)
def pack_version(version: Version) -> bytes:
    """16 bytes an entry."""
    return b"".join(_PAIR.pack(replica, counter) for replica, counter in version.entries)


# Most rows of a journal share a handful of vectors; sharing the values saves memory and time.
@lru_cache(maxsize=65536)
def unpack_version(data: bytes) -> Version:
    """The inverse of `pack_version`."""
    return Version(tuple(_PAIR.iter_unpack(data)))


def signed(replica: int) -> int:
    """A replica as SQLite's integer."""
    return replica - 2**64 if replica >= 2**63 else replica


def unsigned(value: int) -> int:
    """The inverse of `signed`."""
    return value % 2**64
