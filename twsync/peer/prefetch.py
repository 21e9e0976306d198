"""Ahead of the plan, the side that lacks content: fetches announced files into staging, and gives them to the needs of the plan.

Nothing is decided by it. What no need asks for is stopped, or deleted; what turns out to be another content is asked for as ever.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from twsync.errors import PathError, ProtocolError
from twsync.limits import AHEAD_FILE, MAX_AHEAD
from twsync.peer.announcing import unknown_content
from twsync.peer.largereceive import Fetch, LargeFiles
from twsync.peer.needs import Need
from twsync.peer.streams import Workshop
from twsync.peerwire import messages
from twsync.reconcile.model import Kind
from twsync.store.changes import Change
from twsync.store.ignore import Ignore
from twsync.store.journal import CollectionJournal
from twsync.store.paths import Gate
from twsync.store.rows import Row
from twsync.store.staging import Staged, Staging


class Prefetch:
    """Fetches ahead, in the first round.

    :param claimed: called with a need of the plan whose content was under way, and what came: that content, or None.
    :param wanted: whether content may come to this side at all.
    """

    def __init__(
        self,
        workshop: Workshop,
        gate: Gate,
        journal: CollectionJournal,
        ignore: Ignore,
        staging: Staging,
        large: LargeFiles,
        claimed: Callable[[Need, Staged | None], None],
        *,
        wanted: bool,
    ) -> None:
        self._workshop = workshop
        self._gate = gate
        self._journal = journal
        self._ignore = ignore
        self._staging = staging
        self._large = large
        self._claimed = claimed
        self._wanted = wanted
        self._heard = 0
        self._open = True
        self._sizes: set[int] | None = None
        #: Bytes of what waits, and of what is under way.
        self._expected = 0
        self._waiting: deque[Need] = deque()
        self._under_way: list[Fetch] = []
        #: The need of the plan that a fetch is for.
        self._needs: dict[bytes, Need] = {}
        #: Complete, by content id.
        self._done: dict[bytes, Staged] = {}

    @property
    def staged_bytes(self) -> int:
        """Bytes of complete files that no need has got yet."""
        return sum(staged.size for staged in self._done.values())

    # --- before the plan -----------------------------------------------------------------------------------------------------------------

    async def announced(self, message: messages.Ahead) -> None:
        """The other side is about to hash a file. To be told when the own scan is over.

        :raises ProtocolError: it announces too many.
        """
        self._heard += 1
        if self._heard > MAX_AHEAD or not self._open:
            raise ProtocolError("files announced too late, or too many")
        if self._wanted and not self._ignore.matches(message.key):
            need = await self._workshop.read(self._need, message)
            if need is not None:
                self._expected += need.size
                self._waiting.append(need)
                self._go_on()

    def _need(self, message: messages.Ahead) -> Need | None:
        """What would be fetched; None if it is not worth it, or there is no telling. In a reader's thread."""
        if self._sizes is None:
            self._sizes = {size for size, _mtime_ns, _inode in self._journal.large(AHEAD_FILE)}
        row = self._journal.get(message.key)
        if row is not None and not row.item.live:
            row = None
        if message.size in self._sizes and (row is None or row.item.size != message.size):
            return None  # it may be the file here that has this size
        if self._staging.find_unknown(message.key, message.size):
            return None  # `want` goes on behind what came in an earlier session
        if not self._replaces(message, row) or self._staging.room() < self._expected + message.size:
            return None
        self._sizes.add(message.size)
        return Need(b"", message.size, [Change(unknown_content(message.key, message.size), row)])

    def _replaces(self, message: messages.Ahead, row: Row | None) -> bool:
        """Whether it would replace here what it replaces there."""
        if row is not None:
            return row.item.kind is Kind.FILE and row.item.content == message.content
        try:
            return not message.content and self._gate.lstat(message.key) is None
        except (OSError, PathError):
            return False

    def _go_on(self) -> None:
        """Fetch as much as may be under way."""
        while self._open and self._waiting and self._large.room:
            self._under_way.append(self._large.fetch(self._waiting.popleft()))

    def came(self, fetch: Fetch, staged: list[Staged] | None) -> None:
        """What came of one; it may have been stopped."""
        self._under_way.remove(fetch)
        self._expected -= fetch.need.size
        need = self._needs.pop(fetch.need.key, None)
        found = staged[0] if staged else None
        if found is not None and (need is None or found.content != need.content):
            self._done[found.content] = found
            found = None
        if need is not None:
            self._claimed(need, found)
        self._go_on()

    # --- the plan ------------------------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """The own plan is about to be said: nothing else is fetched ahead of it."""
        self._open = False
        self._waiting.clear()
        self._large.planned()

    def settle(self, needs: Iterable[Need]) -> tuple[list[tuple[Need, Staged]], list[Need]]:
        """The needs of the plan are known.

        :returns: those whose content is here, and those that have to be met in another way. The others are under way.
        """
        if not self._done and not self._under_way:
            return [], list(needs)
        fetches = {(fetch.need.key, fetch.need.size): fetch for fetch in self._under_way}
        here: list[tuple[Need, Staged]] = []
        rest: list[Need] = []
        for need in needs:
            staged = self._done.pop(need.content, None)
            fetch = next((fetch for change in need.changes if (fetch := fetches.pop((change.key, need.size), None))), None)
            if staged is not None:
                here.append((need, staged))
            elif fetch is not None:
                self._needs[fetch.need.key] = need
                self._large.claim(fetch, need.content)
            else:
                rest.append(need)
        for fetch in self._under_way:
            if fetch.need.key not in self._needs:
                self._large.stop(fetch)
        return here, rest

    @property
    def under_way(self) -> list[Fetch]:
        """What is still fetched."""
        return self._under_way.copy()

    def take_useless(self) -> list[Staged]:
        """What is complete and no need of the plan, which is known, wants; it is not known here any more."""
        useless, self._done = list(self._done.values()), {}
        return useless
