"""Rows on the wire, and the check that each one from a peer goes through before anything believes it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated

import msgspec

from twsync.errors import ProtocolError
from twsync.limits import MAX_COMPONENT, MAX_DEPTH, MAX_DEVICE_NAME, MAX_FILE_SIZE, MAX_KEY, MAX_LINK_TARGET, MAX_VERSION_ENTRIES
from twsync.reconcile.model import DIRECTORY, FILE, SYMLINK, Item, Kind
from twsync.reconcile.versions import Version

#: Bytes of a content id (BLAKE3).
CONTENT_BYTES = 32
_KINDS = tuple(Kind)
_FILE_NUMBER = int(FILE)
#: Times that fit the journal and `utimensat`: 64 bits of nanoseconds.
_MIN_TIME, _MAX_TIME = -(2**63), 2**63 - 1
_PERMISSIONS = 0o777
_OWN = b".twsync"
# An empty, "." or ".." component, one that is too long, or a NUL.
_BAD_KEY = re.compile(rb"(?:\A|/)\.{0,2}(?:/|\Z)|\x00|[^/]{%d}" % (MAX_COMPONENT + 1), re.DOTALL)
# The first, among keys with a slash before and a NUL behind each.
_BAD_COMPONENT = re.compile(rb"/\.{0,2}[/\x00]")

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


def items(rows: Sequence[Row]) -> list[Item]:
    """The items of rows from a peer; raises as :func:`item`."""
    if not _all_proper([row.key for row in rows]):
        return [item(row) for row in rows]
    found: list[Item] = []
    # Most rows are of files, and of the version and device of the row before.
    entries: tuple[tuple[int, int], ...] | None = None
    version, maker = Version(), ""
    for row in rows:
        content = row.content
        if row.kind != _FILE_NUMBER or row.target or len(content) != CONTENT_BYTES or row.device != maker:
            found.append(item(row))
            maker = row.device
            continue
        if row.version != entries:
            entries = row.version
            version = _version(entries)
        found.append(Item(row.key, FILE, content, row.size, row.mtime_ns, row.mode, version, b"", maker))
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


def _all_proper(keys: Sequence[bytes]) -> bool:
    """Whether a look at all of these keys at once shows that `check_key` refuses none of them. A long one needs a look of its own."""
    joined = b"\0/%b\0" % b"\0/".join(keys)
    return (
        joined.count(b"\0") == len(keys) + 1
        and max(map(len, keys)) <= MAX_COMPONENT
        and b"\0/" + _OWN not in joined
        and _BAD_COMPONENT.search(joined) is None
    )


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
