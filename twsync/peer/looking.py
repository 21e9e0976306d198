"""A session's first look at its own disk. It may begin before the connection stands: the introduction takes as long as many a look.

What it finds is written to the journal as local changes, whatever becomes of the session. What is gone is not: it is in the result.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from twisted.internet.defer import Deferred

from twsync.errors import SessionError, TwsyncError
from twsync.peer.announcing import Announcing
from twsync.peer.movement import Store
from twsync.peer.terms import Collection, Tools
from twsync.reconcile import anchors as marks
from twsync.reconcile.anchors import Anchors
from twsync.reconcile.model import Item, Side, SyncType
from twsync.store.rows import Row
from twsync.store.scan import ScanResult, scan

T = TypeVar("T")


class Look:
    """Opens a collection and its store, and scans it. Whoever made it lets go of it by :meth:`close`, however it ended.

    :param opening: opens the collection; in a writer's thread.
    :param closing: lets go of it; there too.
    :param session: the Call-ID.
    :param side: this host's.
    """

    def __init__(
        self,
        opening: Callable[[], Collection],
        closing: Callable[[Collection], None],
        session: str,
        side: Side,
        sync_type: SyncType,
        tools: Tools,
    ) -> None:
        self._opening = opening
        self._closing = closing
        self._session = session
        self._tools = tools
        self._work = tools.workshop
        # Large files are told of only to who may want them.
        self._announces = marks.sender(sync_type) is not side.other
        self._collection: Collection | None = None
        self._store: Store | None = None
        self._anchors: dict[str, Anchors] | None = None
        self._live: int | None = None
        self._result: ScanResult | None = None
        self._error: Exception | None = None
        self._stopped = self._over = self._closed = False
        self._waiting: list[Deferred[None]] = []
        self._found: list[Item] = []
        self._show_on: Callable[[list[Item]], None] | None = None
        self._announcing: Announcing | None = None
        Deferred.fromCoroutine(self._run())

    # --- what it comes to; each raises what went wrong -------------------------------------------------------------------------------

    async def collection(self) -> Collection:
        """The open collection."""
        return await self._there(lambda: self._collection)

    async def store(self) -> Store:
        """Its store, in order."""
        return await self._there(lambda: self._store)

    @property
    def announcing(self) -> Announcing:
        """What is announced of large files; there is one as soon as the collection is open."""
        assert self._announcing is not None
        return self._announcing

    async def known(self, partner: str) -> tuple[Anchors, int]:
        """What the journal said before the scan wrote to it: the anchors of a partner device, and how many rows are live."""
        live = await self._there(lambda: self._live)
        assert self._anchors is not None
        return self._anchors.get(partner, Anchors()), live

    async def result(self) -> ScanResult:
        """What the scan has found and not shown."""
        return await self._there(lambda: self._result)

    def show(self, show: Callable[[list[Item]], None]) -> None:
        """Show changes that are written, those found so far and those still to come, as long as the scan goes on."""
        self._show_on = show
        self._show_more([])

    # --- the end -----------------------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Nobody waits for more of it."""
        self._stopped = True
        self._show_on = None

    async def close(self) -> None:
        """Stop, and return when no thread works for it and everything is put away. A second time does nothing."""
        self.stop()
        while not self._over:
            await self._next()
        if self._closed:
            return
        self._closed = True
        self._result, self._found = None, []
        if self._store is not None:
            with suppress(TwsyncError, OSError):  # what could not be done now, `recover` does before the next session
                await self._work.write(self._store.close)
        if self._collection is not None:
            with suppress(OSError):  # a disk may say so late what it could not write; the session has ended
                await self._work.write(self._closing, self._collection)

    # --- inside ------------------------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        work = self._work
        try:
            collection = self._collection = await work.write(self._opening)
            self._announcing = Announcing(work, collection.rows)
            self._tell()
            self._check()
            self._store = await work.write(Store.open, collection, self._session, self._tools.now_ns())
            self._anchors = await work.read(collection.rows.anchors.load)
            self._tell()
            self._check()
            self._result = await work.read(self._scan, collection)
        except Exception as error:
            self._error = error
        self._over = True
        self._tell()

    def _check(self) -> None:
        if self._stopped:
            raise SessionError("The session ended before its look at the disk did.", "cancelled")

    def _scan(self, collection: Collection) -> ScanResult:
        """In a reader's thread."""
        return scan(
            collection.gate,
            collection.rows,
            collection.ignore,
            now_ns=self._tools.now_ns(),
            device=collection.device,
            cancelled=lambda: self._stopped,
            early=lambda changes: self._early(collection, changes),
            large=self.announcing.large if self._announces else None,
            begun=lambda live: self._work.back(self._begun, live),
        )

    def _begun(self, live: int) -> None:
        self._live = live
        self._tell()

    def _early(self, collection: Collection, changes: list[Row]) -> None:
        """Changes while the scan goes on, which the other side may look at meanwhile. In a thread of the scan."""
        write_scan(collection, ScanResult(changes, [], [], 0, 0))
        self._work.back(self._show_more, [row.item for row in changes])

    def _show_more(self, items: list[Item]) -> None:
        self._found += items
        if self._show_on is not None and self._found:
            found, self._found = self._found, []
            self._show_on(found)

    async def _there(self, found: Callable[[], T | None]) -> T:
        while (result := found()) is None:
            if self._error is not None:
                raise self._error
            await self._next()
        return result

    async def _next(self) -> None:
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        await waiting

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.called:
                each.callback(None)


def write_scan(collection: Collection, scanned: ScanResult) -> None:
    """Write what a scan has found; durable before any of it is shown: a counter that the other side has seen must never be used again."""
    collection.rows.record(scanned)
    if scanned.changes:
        collection.journal.durable()
