"""Who wins, and what the loser is called.

Everything here is an order or a name made from the rows alone, so that any two of any number of hosts that meet the same two rows come to
the same winner, the same copy name and the same copy version without asking anybody.

A copy's version has one entry: a replica number made from its name and content, counter 1. So a copy that two pairs of hosts make of the
same loser is one and the same row and merges silently; a copy with the same name and other content is concurrent to it, never older; and a
tombstone of the copy dominates every later making of the same copy: a copy that somebody threw away does not come back.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from blake3 import blake3
from msgspec.structs import replace

from twsync import limits
from twsync.reconcile.compare import same_content
from twsync.reconcile.model import Item, Kind
from twsync.reconcile.versions import Version

_CLASS = {Kind.DELETED: 0, Kind.FILE: 1, Kind.SYMLINK: 1, Kind.DIRECTORY: 2}

_NANOSECONDS_A_DAY = 86_400 * 10**9
_EPOCH = datetime.date(1970, 1, 1)
_FIRST_DAY = (datetime.date.min - _EPOCH).days
_LAST_DAY = (datetime.date.max - _EPOCH).days

#: A conflict suffix that conflict_name() made, before the extension or at the end.
_SUFFIX = re.compile(rb" \(conflict -?\d{4}-\d\d-\d\d [^()/]*\)(?: \d+)?(?=(?:\.[^. /]*)?\Z)", re.DOTALL)

#: Longer than any extension in use; what is longer, or holds a space, is a part of a sentence.
_LONGEST_EXTENSION = 32


class NameTooLongError(ValueError):
    """The key has no room for a conflict suffix; see limits.MAX_KEY."""


def rank(item: Item) -> tuple[int, int, bytes, int, int, bytes, int, str]:
    """The order of concurrent rows of one key: the greater wins.

    Directory over file and link over tombstone; then the later modification time; then the greater content id; then what is left, so that
    only equal rows are equal. At equal times the smaller mode wins: the more private one.
    """
    return (
        _CLASS[item.kind],
        item.mtime_ns,
        item.content,
        int(item.kind),
        -item.mode,
        item.target,
        item.size,
        item.device,
    )


def twin(replica: int) -> int:
    """The replica number under which a session's own decisions for `replica` are counted.

    A decision that is no join (see plan.py) must make a version that nobody else can make. The winner's own counter would not do: if the
    session dies after the partner's journal took the row and before the winner's did, the winner's next local change would take the same
    number for other content, and would look older than what the partner has. Local changes never raise the twin's counter.
    """
    return replica ^ 0xFFFF_FFFF_FFFF_FFFF


def conflict_name(key: bytes, item: Item, number: int = 1) -> bytes:
    """The key under which `item`, having lost `key`, goes on: ``name (conflict YYYY-MM-DD DEVICE).ext``.

    The day is that of the modification time in UTC. `number` 2 and up is set behind the bracket. A suffix that is there already is
    replaced. The stem is cut at the border of a UTF-8 character so that the last component fits into `limits.MAX_COMPONENT`; bytes that are
    not UTF-8 are kept.

    :raises NameTooLongError: if the key would become longer than `limits.MAX_KEY`.
    """
    parent, slash, name = key.rpartition(b"/")
    stem, extension = _split(_SUFFIX.sub(b"", name) or name)
    counter = b"" if number < 2 else b" %d" % number
    suffix = b" (conflict %s %s)%s" % (_day(item.mtime_ns), _device(item.device), counter)
    room = min(limits.MAX_COMPONENT, limits.MAX_KEY - len(parent + slash)) - len(suffix) - len(extension)
    if room < 1:
        raise NameTooLongError("no room for a conflict name")
    return parent + slash + _cut(stem, room) + suffix + extension


@dataclass(frozen=True, slots=True)
class Copy:
    """Where the losing content of a conflict goes on."""

    item: Item
    "The row: key, content and metadata of the loser, and the copy's version."
    present: bool
    "Whether this very content stands under that name already, so that nothing is to be made."


def conflict_copy(lost: Item, rows: Callable[[bytes], Iterable[Item]], taken: Callable[[bytes], bool] = lambda key: False) -> Copy:
    """The copy of `lost`: the first free name, or the one where the same content stands already.

    The plan calls this with the rows that both sides know of. The losing side calls it again when it sets its content aside, with its own
    journal (`rows`: one row or none) and disk (`taken`: something stands there that the journal does not know), because the plan
    has not seen those; it then writes that result, also where it differs from the operation's `copy`.

    :raises NameTooLongError: see :func:`conflict_name`.
    """
    number = 0
    while True:
        number += 1
        key = conflict_name(lost.key, lost, number)
        if key == lost.key:
            # A conflict copy that loses: its own name is the winner's.
            continue
        mark = _copy_replica(key, lost)
        known = tuple(rows(key))
        live = tuple(row for row in known if row.live)
        version = Version(((mark, 1),))
        for row in known:
            version = version.joined(row.version)
        if live and all(same_content(row, lost) for row in live):
            return Copy(replace(live[0], version=version), present=True)
        thrown_away = any(row.version.counter(mark) for row in known)
        if not live and not thrown_away and not taken(key):
            return Copy(replace(lost, key=key, version=version), present=False)


def _copy_replica(key: bytes, lost: Item) -> int:
    """64 bits that name this copy: its key, kind and content."""
    digest = blake3(b"twsync-copy-1\0" + bytes([lost.kind]) + lost.content + key).digest(8)
    # 0 names no replica anywhere in twsync.
    return int.from_bytes(digest, "big") or 1


def _split(name: bytes) -> tuple[bytes, bytes]:
    """Stem and extension with its dot; leading dots begin no extension."""
    bare = name.lstrip(b".")
    dot = bare.rfind(b".")
    if dot < 1 or len(bare) - dot > _LONGEST_EXTENSION or b" " in bare[dot:]:
        return name, b""
    return name[: len(name) - len(bare) + dot], bare[dot:]


def _day(mtime_ns: int) -> bytes:
    """The day of a time in UTC; times beyond the calendar are at its ends."""
    days = min(max(mtime_ns // _NANOSECONDS_A_DAY, _FIRST_DAY), _LAST_DAY)
    return (_EPOCH + datetime.timedelta(days=days)).isoformat().encode()


def _device(device: str) -> bytes:
    """A device's name as a part of a file name."""
    clean = "".join("_" if char in "/()\\" or not char.isprintable() else char for char in device).strip() or "unknown"
    return _cut(clean.encode("utf-8", "replace"), limits.MAX_DEVICE_NAME)


def _cut(name: bytes, size: int) -> bytes:
    """At most `size` bytes of `name`, not ending inside a UTF-8 character."""
    if len(name) <= size:
        return name
    end = size
    # A character has at most three continuation bytes; more of them in a row are not UTF-8 and can be cut anywhere.
    while end > max(1, size - 3) and 0x80 <= name[end] <= 0xBF:
        end -= 1
    return name[: size if 0x80 <= name[end] <= 0xBF else end]
