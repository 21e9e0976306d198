"""The values that a decision is made of. See docs/architecture.md, "The sync model"."""

from __future__ import annotations

import enum

import msgspec

from twsync.reconcile.versions import Version


class Kind(enum.IntEnum):
    """What stands at a key."""

    DELETED = 0
    FILE = 1
    DIRECTORY = 2
    SYMLINK = 3

    # (Enum's own is written in Python.)
    __hash__ = int.__hash__


#: By name alone, for what is done for each of many rows: to find a member by its class costs more than to make an object.
DELETED, FILE, DIRECTORY, SYMLINK = Kind


class SyncType(enum.StrEnum):
    """The six client-started sync types; the caller is the client."""

    TWO_WAY = "two-way"
    SLOW = "slow"
    ONE_WAY_FROM_CLIENT = "one-way-from-client"
    REFRESH_FROM_CLIENT = "refresh-from-client"
    ONE_WAY_FROM_SERVER = "one-way-from-server"
    REFRESH_FROM_SERVER = "refresh-from-server"


class Policy(enum.StrEnum):
    """Who wins a conflict between files: both kept, the caller's content, the callee's content."""

    KEEP_BOTH = "keep-both"
    OURS = "ours"
    THEIRS = "theirs"


class RecordPolicy(enum.StrEnum):
    """Who wins a conflict between records (the names of `Policy` mean the same)."""

    MERGE = "merge"
    "Property by property against the last common content; what both changed is kept twice where the type allows it."
    DUPLICATE = "duplicate"
    "Both are kept, as two items."
    OURS = "ours"
    THEIRS = "theirs"


class Side(enum.StrEnum):
    """A side of a session."""

    CLIENT = "client"
    SERVER = "server"

    __hash__ = str.__hash__

    @property
    def other(self) -> Side:
        """The side across."""
        return Side.SERVER if self is Side.CLIENT else Side.CLIENT


class Item(msgspec.Struct, frozen=True, gc=False):
    """One row of a journal, as both sides of a session see it.

    (A Struct, because a session makes a hundred thousand of them, and the cycle collector need not look at them.)

    Values are valid by construction only if they come from the own journal; `peerwire.messages` checks those from a peer.
    """

    key: bytes
    "Path inside the collection, components joined by ``/``."
    kind: Kind
    content: bytes
    "BLAKE3 of a file's bytes or a link's target, 32 bytes; empty for directories and tombstones."
    size: int
    "Bytes of a file; 0 otherwise."
    mtime_ns: int
    "Modification time, nanoseconds since the epoch; of a tombstone: when the deletion was seen."
    mode: int
    "Permission bits, 0 to 0o777; 0 for links and tombstones."
    version: Version
    target: bytes = b""
    "A link's target."
    device: str = ""
    "Name of the device that made this version."

    @property
    def live(self) -> bool:
        """Whether anything stands at the key."""
        return self.kind is not DELETED
