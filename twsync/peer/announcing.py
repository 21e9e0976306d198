"""Ahead of the plan, the side that has the content: it tells of large files that its scan is about to hash, and gives each once."""

from __future__ import annotations

from collections import Counter

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
        self._sizes: Counter[int] | None = None
        self._count = 0
        # In the reactor's thread.
        self._dialogue: Dialogue | None = None
        self._waiting: list[messages.Ahead] = []
        self._offered: dict[bytes, tuple[int, Reading]] = {}

    # --- in the scan's thread ----------------------------------------------------------------------------------------------------------

    def large(self, key: bytes, found: Found) -> Reading | None:
        """Told by the scan of a file that it will hash, with its stat; None if it is not announced."""
        size, mtime_ns = found[:2]
        row = self._journal.get(key)
        there = row is not None and row.item.live
        if self._sizes is None:
            self._sizes = Counter(self._journal.sizes(AHEAD_FILE))
        alike = self._sizes[size]
        content = b""
        if row is not None and there:
            if row.item.kind is not Kind.FILE or (row.stat.size, row.stat.mtime_ns) == (size, mtime_ns):
                return None  # most likely it is only looked at once more
            content = row.item.content
            alike -= row.item.size == size
        # One of the size of another is most likely that one under a new name.
        if alike or self._count == MAX_AHEAD:
            return None
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
