"""The types of data that a collection can hold, and the protocol that each goes by."""

from __future__ import annotations

import enum


class SyncProtocol(enum.StrEnum):
    """How the data travels."""

    RSYNC = "rsync"
    "Files, by the peer protocol and the delta core."
    SYNCML = "syncml"
    "Records, by SyncML."


class DataType(enum.StrEnum):
    """What a collection holds; the words of ``twsync collection add --type``."""

    FILES = "files"
    PICTURES = "pictures"
    MUSIC = "music"
    CONTACTS = "contacts"
    CALENDAR = "calendar"
    TASKS = "tasks"
    NOTES = "notes"
    SMS = "sms"

    @property
    def protocol(self) -> SyncProtocol:
        """The protocol that this type goes by."""
        return SyncProtocol.RSYNC if self in _FILES else SyncProtocol.SYNCML

    @property
    def policies(self) -> frozenset[str]:
        """The words of `twsync.reconcile.model` that may decide its conflicts: `Policy` for files, `RecordPolicy` for records."""
        return _FILE_POLICIES if self in _FILES else _RECORD_POLICIES


_FILE_POLICIES = frozenset({"keep-both", "ours", "theirs"})
_RECORD_POLICIES = frozenset({"merge", "duplicate", "ours", "theirs"})
_FILES = frozenset({DataType.FILES, DataType.PICTURES, DataType.MUSIC})
