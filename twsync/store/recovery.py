"""After a crash: what was done is taken into the journal, what was half done is put back, the rest is left for the next session.

For each intent the disk is looked at. If it shows the row that the intent speaks of, content hashed again, the row is taken. If not,
the new content may still wait at the place that the old one was to get, or the old one may have left its place without a successor: both
are put back. Nothing is guessed: an intent that the disk does not show is dropped, and the next scan and session find out.
"""

from __future__ import annotations

from twsync.reconcile.model import Item, Kind
from twsync.store import crossing
from twsync.store.diskerrors import disk_errors
from twsync.store.folders import Folders
from twsync.store.hashing import content_of
from twsync.store.intents import Intent
from twsync.store.journal import CollectionJournal
from twsync.store.paths import Gate
from twsync.store.place import Place
from twsync.store.rows import NO_STAT, Row, Stat, kind_of, mtime_of
from twsync.store.staging import Staging


def recover(gate: Gate, journal: CollectionJournal, staging: Staging) -> int:
    """Bring disk and journal together again. Before the first scan after a start; costs nothing if the last stop was clean.

    :returns: the number of intents that were found.
    :raises StoreError: the disk cannot go on; it can be called again.
    """
    intents = journal.intents.pending()
    with disk_errors(gate.root):
        if intents:
            rows = [row for intent in intents for row in _look(gate, staging, intent)]
            journal.end_batch(rows, [(row.key, row.item.mode, row.item.mtime_ns) for row in rows if row.item.kind is Kind.DIRECTORY])
        Folders(gate, journal).settle()
    return len(intents)


def _look(gate: Gate, staging: Staging, intent: Intent) -> list[Row]:
    item = intent.item
    try:
        place = gate.place(item.key)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return [] if item.live else [Row(item, NO_STAT, 0, intent.partner)]
    with place:
        _clear_temporary(gate, intent, place)
        rows = []
        if intent.displaced is not None and (stat := _shows(gate, intent.displaced)) is not None:
            rows.append(Row(intent.displaced, stat.distrusted()))
        stat = _shows(gate, item)
        if stat is not None:
            rows.append(Row(item, stat, 0, intent.partner))
        elif intent.beside:
            _put_back(gate, staging, intent, place)
        return rows


def _shows(gate: Gate, item: Item) -> Stat | None:
    """The stat of what stands at an item's key if it is that item; NO_STAT for a tombstone of nothing."""
    try:
        with gate.place(item.key) as place:
            found = place.lstat()
            if found is None:
                return None if item.live else NO_STAT
            if kind_of(found.st_mode) is not item.kind:
                return None
            if item.kind is Kind.SYMLINK:
                return Stat.of(found) if place.readlink() == item.target else None
            if item.kind is Kind.FILE:
                if (found.st_size, mtime_of(found)) != (item.size, item.mtime_ns):
                    return None
                result = content_of(place)
                if result is None or result[0] != item.content:
                    return None
                found = result[1]
            return Stat.of(found).distrusted()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None if item.live else NO_STAT


def _beside(gate: Gate, intent: Intent) -> Place | None:
    try:
        return gate.place(intent.beside) if intent.displaced is not None else gate.private.place(intent.beside)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _put_back(gate: Gate, staging: Staging, intent: Intent, place: Place) -> None:
    """The key does not show the new row: free the place beside it of what does not belong there."""
    beside = _beside(gate, intent)
    if beside is None:
        return
    with beside:
        found = beside.lstat()
        if found is None:
            return
        if _waits(beside, intent.item):
            # The exchange did not come about.
            try:
                crossing.move(beside, staging.place(intent.staged))
            except FileExistsError:
                # A copy for another file system, whose original is still there.
                if intent.item.kind is not Kind.DIRECTORY:
                    beside.remove()
            if intent.item.kind is Kind.FILE:
                staging.left(intent.staged)
            else:
                staging.forget(intent.staged)
        elif place.lstat() is None and intent.item.live:
            # Without an exchange: the old content left, the new one did not come.
            crossing.move(beside, place)


def _waits(place: Place, item: Item) -> bool:
    """Whether this is the new content on its way."""
    found = place.lstat()
    if found is None or kind_of(found.st_mode) is not item.kind:
        return False
    if item.kind is Kind.SYMLINK:
        return place.readlink() == item.target
    if item.kind is Kind.FILE:
        if (found.st_size, mtime_of(found)) != (item.size, item.mtime_ns):
            return False
        result = content_of(place)
        return result is not None and result[0] == item.content
    return item.kind is Kind.DIRECTORY


def _clear_temporary(gate: Gate, intent: Intent, place: Place) -> None:
    """On a mount point: what waits in the key's folder is either the new content, or the old one that has yet to go to the trash."""
    if not intent.staged:
        return
    waiting = crossing.temporary(place, intent.staged)
    found = waiting.lstat()
    if found is None:
        return
    kind = kind_of(found.st_mode)
    if kind is Kind.DIRECTORY:
        waiting.remove_directory()
        return
    complete = _waits(waiting, intent.item)
    if complete and intent.beside and place.lstat() is None:
        # Without an exchange: the old content left, the new one did not come.
        waiting.move(place)
        return
    if intent.displaced is None and intent.beside and not complete:
        # Or a copy that was cut short; better in the trash than lost.
        beside = _beside(gate, intent)
        if beside is not None:
            with beside:
                if beside.lstat() is None:
                    crossing.copy(waiting, beside)
    waiting.remove()
