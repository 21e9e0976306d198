"""Rows on the wire, and the check that each one from a peer goes through before anything believes it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Annotated

import msgspec

from twsync.errors import ProtocolError
from twsync.limits import MAX_COMPONENT, MAX_DEPTH, MAX_DEVICE_NAME, MAX_FILE_SIZE, MAX_KEY, MAX_LINK_TARGET, MAX_VERSION_ENTRIES
from twsync.reconcile.model import DIRECTORY, FILE, SYMLINK, Item, Kind
from twsync.reconcile.versions import Version

#: Bytes of a content id (BLAKE3).
CONTENT_BYTES = 32
#: Most keys: short components, none of which begins with a dot.
_PLAIN_KEY = re.compile(rb"[^./\x00][^/\x00]{0,120}(?:/[^./\x00][^/\x00]{0,120}){0,14}")
_KINDS = tuple(Kind)
#: Times that fit the journal and `utimensat`: 64 bits of nanoseconds.
_MIN_TIME, _MAX_TIME = -(2**63), 2**63 - 1
_PERMISSIONS = 0o777
_OWN = b".twsync"
# An empty, "." or ".." component, one that is too long, or a NUL.
_BAD_KEY = re.compile(rb"(?:\A|/)\.{0,2}(?:/|\Z)|\x00|[^/]{%d}" % (MAX_COMPONENT + 1), re.DOTALL)

KeyBytes = Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_KEY)]


class Row(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False):
    """An item as it travels: an array of its fields in this order."""

    key: KeyBytes
    kind: Annotated[int, msgspec.Meta(ge=0, le=3)]
    content: bytes
    size: Annotated[int, msgspec.Meta(ge=0, le=MAX_FILE_SIZE)]
    mtime_ns: Annotated[int, msgspec.Meta(ge=_MIN_TIME, le=_MAX_TIME)]
    mode: Annotated[int, msgspec.Meta(ge=0, le=_PERMISSIONS)]
    version: Annotated[tuple[tuple[int, int], ...], msgspec.Meta(min_length=1, max_length=MAX_VERSION_ENTRIES)]
    target: Annotated[bytes, msgspec.Meta(max_length=MAX_LINK_TARGET)]
    device: Annotated[str, msgspec.Meta(max_length=MAX_DEVICE_NAME)]


def row(item: Item) -> Row:
    """The wire form of an item."""
    return Row(
        item.key,
        int(item.kind),
        item.content,
        item.size,
        item.mtime_ns,
        item.mode,
        item.version.entries,
        item.target,
        item.device,
    )


def item(row: Row) -> Item:
    """The item of a row from a peer.

    :raises ProtocolError: the row could not have come from a journal: a key that is no path inside a collection, a content id that does
        not fit the kind, a version that is not in order.
    """
    key, content, target, device = row.key, row.content, row.target, row.device
    if _PLAIN_KEY.fullmatch(key) is None:
        check_key(key)
    kind = _KINDS[row.kind]
    if len(content) != (CONTENT_BYTES if kind is FILE or kind is SYMLINK else 0):
        raise ProtocolError(f"a {kind.name.lower()} with a content id of {len(content)} bytes")
    if row.size and kind is not FILE:
        raise ProtocolError("a size on what is not a file")
    if (kind is SYMLINK) != bool(target) or b"\0" in target:
        raise ProtocolError("a link's target is missing, misplaced or impossible")
    if row.mode and kind is not FILE and kind is not DIRECTORY:
        raise ProtocolError("permissions on what has none")
    if not _is_device_name(device):
        raise ProtocolError("a device name that no device has")
    return Item(key, kind, content, row.size, row.mtime_ns, row.mode, _version(row.version), target, device)


def items(rows: Iterable[Row]) -> list[Item]:
    """The items of rows from a peer; raises as :func:`item`."""
    found: list[Item] = []
    # Most rows are of files with plain names, and of the version and device of the row before.
    entries: tuple[tuple[int, int], ...] | None = None
    version, maker, plain = Version(), "", _PLAIN_KEY.fullmatch
    for row in rows:
        key, content = row.key, row.content
        if row.kind != FILE or row.target or len(content) != CONTENT_BYTES or plain(key) is None or row.device != maker:
            found.append(item(row))
            maker = row.device
            continue
        if row.version != entries:
            entries = row.version
            version = _version(entries)
        found.append(Item(key, FILE, content, row.size, row.mtime_ns, row.mode, version, b"", maker))
    return found


@lru_cache(maxsize=256)  # most rows share a handful of versions, and then they share the value too
def _version(entries: tuple[tuple[int, int], ...]) -> Version:
    last = -1
    for replica, counter in entries:
        if not last < replica < 2**64 or not 0 < counter < 2**63:
            raise ProtocolError("a version that is not in order")
        last = replica
    return Version(entries)


@lru_cache(maxsize=256)  # the rows of a session name a handful of devices
def _is_device_name(name: str) -> bool:
    return len(name.encode()) <= MAX_DEVICE_NAME and all(character >= " " and character != "\x7f" for character in name)


def check_key(key: bytes) -> None:
    """Refuse a key that is no path inside a collection.

    The path gate refuses the same keys once more; here they end the session, since no honest peer sends one.

    :raises ProtocolError: it is empty, absolute, too long or too deep, has a NUL or an empty, ``.`` or ``..`` component, or lies in the
        collection's own folder.
    """
    if not key or len(key) > MAX_KEY or _BAD_KEY.search(key) or key.count(b"/") >= MAX_DEPTH:
        raise ProtocolError("a key that is no path inside a collection")
    if key == _OWN or key.startswith(_OWN + b"/"):
        raise ProtocolError("a key in the collection's own folder")
