"""Ahead of the plan, the side that has the content: it tells of large files that its scan is about to hash, and gives each once."""

from __future__ import annotations

from twsync.errors import ProtocolError
from twsync.limits import AHEAD_FILE, MAX_AHEAD
from twsync.peer.dialogue import Dialogue
from twsync.peer.streams import Workshop
from twsync.peerwire import messages
from twsync.reconcile.model import Item, Kind
from twsync.reconcile.versions import Version
from twsync.store.batches import Found
from twsync.store.journal import CollectionJournal
from twsync.store.reading import Reading


def unknown_content(key: bytes, size: int) -> Item:
    """A file of which its key and size are known, and no more."""
    return Item(key, Kind.FILE, b"", size, 0, 0, Version())


class Announcing:
    """Announces files, and knows which of them may still be fetched."""

    def __init__(self, workshop: Workshop, journal: CollectionJournal) -> None:
        self._workshop = workshop
        self._journal = journal
        #: What this host had before: size, time and inode number of each large file.
        self._large: set[tuple[int, int, int]] | None = None
        self._sizes: set[int] = set()
        self._count = 0
        # In the reactor's thread.
        self._dialogue: Dialogue | None = None
        self._waiting: list[messages.Ahead] = []
        self._offered: dict[bytes, tuple[int, Reading]] = {}

    # --- in the scan's thread ----------------------------------------------------------------------------------------------------------

    def large(self, key: bytes, found: Found) -> Reading | None:
        """Told by the scan of a file that it will hash, with its stat; None if it is not announced."""
        size, mtime_ns, _ctime_ns, inode = found[:4]
        if self._large is None:
            self._large = set(self._journal.large(AHEAD_FILE))
            self._sizes = {each[0] for each in self._large}
        row = self._journal.get(key)
        item = row.item if row is not None and row.item.live else None
        if item is not None and item.kind is not Kind.FILE:
            return None
        if row is not None and item is not None and (row.stat.size, row.stat.mtime_ns) == (size, mtime_ns):
            return None  # most likely it is only looked at once more
        # Most likely another file under a new name, unless it was edited in its place.
        moved = (size, mtime_ns, inode) in self._large or (size in self._sizes and (item is None or item.size != size))
        if moved or self._count == MAX_AHEAD:
            return None
        content = b"" if item is None else item.content
        self._count += 1
        reading = Reading()
        self._workshop.back(self._announce, messages.Ahead(key, size, content), reading)
        return reading

    # --- in the reactor's ----------------------------------------------------------------------------------------------------------------

    def begin(self, dialogue: Dialogue) -> None:
        """The other side may be told from now on."""
        self._dialogue = dialogue
        for message in self._waiting:
            dialogue.say(message)
        self._waiting.clear()

    def _announce(self, message: messages.Ahead, reading: Reading) -> None:
        self._offered[message.key] = message.size, reading
        if self._dialogue is None:
            self._waiting.append(message)
        elif self._dialogue.error is None:
            self._dialogue.say(message)

    def take(self, key: bytes) -> tuple[Item, Reading]:
        """The other side fetches this file.

        :raises ProtocolError: it was not announced, or has been fetched already.
        """
        found = self._offered.pop(key, None)
        if found is None or self._dialogue is None:
            raise ProtocolError("a fetch of what was never announced")
        return unknown_content(key, found[0]), found[1]

    def over(self) -> None:
        """The plans are agreed on: nothing is fetched any more."""
        self._offered.clear()
