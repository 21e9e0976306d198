"""Compare the disk with the journal: what changed here since it was last looked at?

An entry whose stat is the one in the journal is unchanged without being opened. The stat counts only if the entry had been quiet for
`limits.RACY_NS` when it was taken, and it holds the change time, which no program can set back: an edit that keeps size and modification
time is found. Everything else is hashed. What cannot be looked at stays as the journal knows it; only what is certainly not there
becomes a tombstone.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from operator import attrgetter

from twsync import limits
from twsync.errors import PathError
from twsync.reconcile.model import Item, Kind
from twsync.reconcile.versions import Version
from twsync.store.batches import Found
from twsync.store.beside import Beside
from twsync.store.hashing import never
from twsync.store.ignore import Ignore
from twsync.store.journal import CollectionJournal
from twsync.store.knowntree import KnownTree
from twsync.store.paths import Gate, split_key
from twsync.store.reading import Reading
from twsync.store.rows import NO_STAT, Row, Stat
from twsync.store.walk import Seen, Walk

#: Changes that are worth taking while the scan goes on.
MANY = 2048
_KEY = attrgetter("item.key")


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What a scan found; `CollectionJournal.record` writes it."""

    changes: list[Row]
    "Local changes, by key: items with the own counter raised, their stat, and as `seq` that of the row they replace (0: new)."
    refreshed: list[tuple[bytes, Stat]]
    "Rows whose content is the same but whose stat cache was out of date."
    skipped: list[tuple[bytes, str]]
    "Keys that could not be taken, by key, with a reason: special-file, unreadable, changing, path-too-long."
    found: int
    "Entries on the disk, ignored and skipped ones included, twsync's own folder not."
    known: int
    "Live rows that the journal had before; of a look at some keys alone, those of them."
    outdated: int = 0
    "Entries that are as their rows say, but not as the listing that the journal keeps does."

    def parts(self, size: int) -> Iterator[ScanResult]:
        """The same in results with so many changes at most; what else was found is in the first."""
        yield replace(self, changes=self.changes[:size])
        for start in range(size, len(self.changes), size):
            yield ScanResult(self.changes[start : start + size], [], [], 0, 0)


def scan(
    gate: Gate,
    journal: CollectionJournal,
    ignore: Ignore,
    *,
    now_ns: int,
    device: str,
    only: Iterable[bytes] | None = None,
    cancelled: Callable[[], bool] | None = None,
    progress: Callable[[int, int], None] | None = None,
    early: Callable[[list[Row]], None] | None = None,
    large: Callable[[bytes, Found], Reading | None] | None = None,
    suffix: bytes = b"",
    begun: Callable[[int], None] | None = None,
) -> ScanResult:
    """Find local changes. Takes as long as it takes, so call it in a pool.

    :param now_ns: the time, nanoseconds since the epoch, read just before the call.
    :param device: name of this device, for the rows.
    :param only: look at these keys alone (a further round), and at folders above them that the journal does not know.
    :param cancelled: asked now and then; True ends the scan.
    :param progress: called now and then with (entries seen, bytes hashed).
    :param early: takes what is there and new or changed while the scan goes on, if it is much, in a thread of its own; it is not among the
        changes of the result. What is gone always is: there may be a reason to doubt it.
    :param large: told of each large file before it is hashed; the reading that it gives, if it does, lets others read it meanwhile.
    :param suffix: for a folder whose items all lie at its top, and whose names have it: nothing else there is looked at.
    :param begun: told at once how many live rows there are, if all of them are looked at.
    :raises StoreError: `cancelled`, `permission-denied` (the root), `too-many-files`.
    """
    findings = _Findings(journal, device)
    walk = Walk(gate, ignore, now_ns - limits.RACY_NS, cancelled or never, progress or _silent, {}, large=large)
    outdated = 0
    with Beside(1, 1) as writer:
        if only is not None:
            known, unmet = _some(walk, only, journal), iter(walk.known)
        else:
            tree = KnownTree(journal, suffix)
            walk.known, known = tree.rows, tree.known

            def halfway(found: int, hashed: int) -> None:
                (progress or _silent)(found + tree.passed, hashed)
                if early is not None and len(walk.seen) >= MANY:
                    writer.run(_nothing, early, findings.take(walk))

            if begun is not None:
                begun(known)
            walk.progress = halfway
            walk.tree(tree.entries)
            walk.found += tree.passed
            unmet, outdated = tree.missing(), tree.outdated
        changes = findings.take(walk)
        writer.finish()
    gone = _vanished(walk, unmet)
    changes += [_tombstone(row, journal.replica, device, now_ns) for row in journal.get_many(gone).values()]
    changes.sort(key=_KEY)
    return ScanResult(changes, findings.refreshed, sorted(walk.skipped), walk.found, known, outdated)


class _Findings:
    """What a walk has seen, as changes of rows."""

    def __init__(self, journal: CollectionJournal, device: str) -> None:
        self._journal = journal
        self._known = journal.known
        self._device = device
        self._first = Version().raised(journal.replica)
        self.refreshed: list[tuple[bytes, Stat]] = []

    def take(self, walk: Walk) -> list[Row]:
        """The changes, by key, of what was seen since the last time."""
        found, walk.seen = walk.seen, []
        rows = self._journal.get_many(seen.key for seen in found) if self._known else {}
        changes: list[Row] = []
        for seen in found:
            old = rows.get(seen.key)
            if old is None:
                item = Item(seen.key, seen.kind, seen.content, seen.size, seen.mtime_ns, seen.mode, self._first, seen.target, self._device)
                changes.append(Row(item, seen.stat))
            elif not _same(old, seen):
                changes.append(_changed(old, seen, old.item.version.raised(self._journal.replica), self._device))
            elif old.stat != seen.stat:
                self.refreshed.append((seen.key, seen.stat))
        changes.sort(key=_KEY)
        return changes


def _some(walk: Walk, only: Iterable[bytes], journal: CollectionJournal) -> int:
    """Look at some keys. What was a folder and is none any more takes everything below it along. Returns how many live rows they have."""
    asked = {}
    for key in only:
        try:
            asked[key] = split_key(key)
        except PathError:
            continue
    above = {b"/".join(parts[:depth]) for parts in asked.values() for depth in range(1, len(parts))}
    live = journal.glances_of(above.union(asked))
    for key in sorted(above.difference(live).union(asked)):
        if walk.ignore.matches(key):
            continue
        there = walk.entry(key)
        if key not in live:
            continue
        folder = there and key not in walk.unknown and any(seen.key == key and seen.kind is Kind.DIRECTORY for seen in walk.seen[-1:])
        if not there:
            walk.known[key] = live[key]
        if stat.S_ISDIR(live[key][5]) and not folder and key not in walk.unknown:
            walk.known.update((glance[0], glance) for glance in journal.glances_below(key))
    return len(live)


def _silent(found: int, hashed: int) -> None:
    """Progress that nobody looks at."""


def _nothing(none: None) -> None:
    """What comes of work that gives nothing."""


def _known_times(old: Row) -> tuple[int, int]:
    """Modification time and mode that the disk had when the row was written. A file system may keep them coarser than the item says."""
    if old.stat == NO_STAT:
        return old.item.mtime_ns, old.item.mode
    return old.stat.mtime_ns, 0 if old.item.kind is Kind.SYMLINK else old.stat.mode


def _same(old: Row, seen: Seen) -> bool:
    item = old.item
    alike = (item.kind, item.content, item.target) == (seen.kind, seen.content, seen.target)
    return alike and _known_times(old) == (seen.mtime_ns, seen.mode)


def _changed(old: Row, seen: Seen, version: Version, device: str) -> Row:
    mtime_ns, mode = seen.mtime_ns, seen.mode
    if old.item.kind is seen.kind and old.item.content == seen.content:
        # What did not change on the disk goes on as the item had it, even if this file system cannot show it.
        disk_mtime, disk_mode = _known_times(old)
        mtime_ns = old.item.mtime_ns if disk_mtime == mtime_ns else mtime_ns
        mode = old.item.mode if disk_mode == mode else mode
    return Row(Item(seen.key, seen.kind, seen.content, seen.size, mtime_ns, mode, version, seen.target, device), seen.stat, old.seq)


def _tombstone(old: Row, replica: int, device: str, now_ns: int) -> Row:
    item = Item(old.key, Kind.DELETED, b"", 0, now_ns, 0, old.item.version.raised(replica), b"", device)
    return Row(item, NO_STAT, old.seq)


def _vanished(walk: Walk, unmet: Iterable[bytes]) -> list[bytes]:
    """Keys that are certainly not there: not met, not hidden, and not there when asked for by name.

    The last look matters because a directory that is written to while it is listed may leave out an entry that was there all the time.
    Below a folder that is gone it is not needed.
    """
    gone: set[bytes] = set()
    for key in sorted(unmet):
        if walk.hidden(key):
            continue
        if key.rpartition(b"/")[0] in gone:
            gone.add(key)
            continue
        try:
            there = walk.gate.lstat(key) is not None
        except OSError:
            there = True
        if not there:
            gone.add(key)
    return sorted(gone)
