"""Whose a folder is: ``.twsync/collection`` names the collection of this host that it was taken into use for.

Two folders that changed places have their markers, and would be synchronised as deletes and additions. So a collection that knows items
goes into its own folder alone: one that bears its replica, or none. A collection that knows nothing takes over whatever folder it is given.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Annotated

import msgspec

from twsync.errors import PathError, StoreError
from twsync.limits import MAX_OWNER
from twsync.store.diskerrors import disk_errors, show
from twsync.store.journal import CollectionJournal
from twsync.store.partial import write_all
from twsync.store.paths import Gate

_NAME = b"collection"
#: Of one that is being written.
_NEW = b"collection.new"
#: What a disk may have against writing it.
_NOT_NOW = frozenset({"disk-full", "read-only", "permission-denied"})


class Owner(msgspec.Struct, frozen=True):
    """A collection on a host."""

    collection: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9._-]{1,64}\Z")]
    "Its name, for people."
    replica: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{16}\Z")]
    "In hexadecimal: this life of its journal."


def open_gate(path: str | bytes | os.PathLike[str], rows: CollectionJournal) -> Gate:
    """The gate of a collection's folder, which is its own from now on.

    :raises StoreError: `folder-of-another`; as `Gate.open`.
    """
    gate = Gate.open(path, known=rows.known)
    try:
        _claim(gate, rows)
    except BaseException:
        gate.close()
        raise
    return gate


def check_owner(gate: Gate, rows: CollectionJournal) -> Owner | None:
    """Refuse a folder that is another collection's, if this one knows items.

    :returns: whose it is so far; None: nobody's. (It was made by an earlier version, or what it says was damaged.)
    :raises StoreError: `folder-of-another`.
    """
    found = _read(gate)
    if found is not None and rows.known and found.replica != _replica(rows):
        whose = f"the collection {found.collection}"
        if found.collection == rows.name:
            whose = f"another {found.collection} (another device's, or one that was removed here)"
        raise StoreError(
            f"{show(gate.root)} is the folder of {whose}, not of the collection {rows.name}: bring its own folder back there, or correct "
            "its path in syncpeer.toml; if it is the right folder, remove the collection and add it again, nothing is deleted then.",
            "folder-of-another",
        )
    return found


def _claim(gate: Gate, rows: CollectionJournal) -> None:
    found = check_owner(gate, rows)
    if found is not None and found.replica == _replica(rows):
        return
    try:
        with disk_errors(gate.root):
            _write(gate, Owner(rows.name, _replica(rows)))
    except StoreError as error:
        # A folder that bears no name can be used without: it gets one when the disk takes it. Another's name must not stay.
        if found is not None or error.code not in _NOT_NOW:
            raise


def _replica(rows: CollectionJournal) -> str:
    return f"{rows.replica:016x}"


def _read(gate: Gate) -> Owner | None:
    try:
        with disk_errors(gate.root), suppress(FileNotFoundError), os.fdopen(gate.private.open_read(_NAME), "rb") as file:
            return msgspec.json.decode(file.read(MAX_OWNER), type=Owner)
    except (PathError, msgspec.MsgspecError, UnicodeDecodeError):
        pass
    return None


def _write(gate: Gate, owner: Owner) -> None:
    """Durable before the journal knows anything: else the old name could be back after a power loss."""
    own = gate.private
    with own.place(_NEW) as new, own.place(_NAME) as place:
        with suppress(FileNotFoundError):  # of a process that was killed
            new.remove()
        fd = new.create()
        try:
            write_all(fd, msgspec.json.encode(owner))
            os.fsync(fd)
        finally:
            os.close(fd)
        new.replace(place)
    fd = own.open_directory()
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
