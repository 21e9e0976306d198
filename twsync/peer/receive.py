"""The end of the transfers that lacks content: asks for it, and puts what comes into staging, proved.

Small files are asked for in bundles (`bundlereceive`), large ones one by one (`largereceive`). How much is asked for at once, and how
much that came waits for the disk, is bounded; the connection is not read while too much waits. Content that is on this host already is
copied, not asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred

from twsync.errors import TwsyncError
from twsync.limits import LOCAL_LOOKUPS, MAX_BATCH_FILES, SMALL_FILE
from twsync.peer.backlog import Backlog
from twsync.peer.bundlereceive import Bundles, SmallAnswer
from twsync.peer.dialogue import Dialogue
from twsync.peer.largereceive import Answer, LargeFiles
from twsync.peer.needs import Need
from twsync.peer.prefetch import Prefetch
from twsync.peer.smallahead import SmallAhead
from twsync.peer.smallfiles import claim_all, find_here, with_contents
from twsync.peer.streams import Workshop
from twsync.peer.tasks import Tasks
from twsync.peerwire import messages
from twsync.peerwire.frames import Frame
from twsync.store.changes import Change
from twsync.store.ignore import Ignore
from twsync.store.journal import CollectionJournal
from twsync.store.paths import Gate
from twsync.store.staging import Staged, Staging

#: Times a content is asked for: once, and once more whole.
_TRIES = 2


@dataclass(slots=True)
class Received:
    """What came, for counters and progress."""

    literal_bytes: int = 0
    matched_bytes: int = 0
    files: int = 0
    bytes: int = 0
    "Of content that is complete."


class Getter:
    """Gets content.

    :param ahead: whether content may come ahead of the plan.
    :param got: called with changes whose content is staged now.
    :param missed: called with a change whose content does not come, and the reason.
    """

    def __init__(
        self,
        dialogue: Dialogue,
        tasks: Tasks,
        workshop: Workshop,
        gate: Gate,
        journal: CollectionJournal,
        ignore: Ignore,
        staging: Staging,
        *,
        ahead: bool,
        seed: Callable[[], int],
        got: Callable[[list[Change]], None],
        missed: Callable[[Change, str], None],
    ) -> None:
        self._dialogue = dialogue
        self._tasks = tasks
        self._workshop = workshop
        self._gate = gate
        self._journal = journal
        self._staging = staging
        self._got = got
        self._missed = missed
        self._big: deque[Need] = deque()
        backlog = Backlog(dialogue, workshop)
        self._small = Bundles(dialogue, tasks, workshop, staging, backlog, number=self._number, done=self._small_done)
        self._large = LargeFiles(dialogue, tasks, workshop, gate, staging, backlog, seed=seed, number=self._number, done=self._large_done)
        #: What is fetched ahead of the plan.
        self.prefetch = Prefetch(workshop, gate, journal, ignore, staging, self._large, self._claimed, wanted=ahead)
        self.small_ahead = SmallAhead(tasks, workshop, journal, ignore, staging, self._ask_ahead)
        self._numbers = 0
        self._unresolved = 0
        self._resolved: Deferred[None] | None = None
        self._idle: Deferred[None] | None = None
        #: What came so far.
        self.received = Received()
        dialogue.getter = self
        dialogue.when_over(self.stopped)

    @property
    def progress_bytes(self) -> int:
        """Bytes of content that are here, those of files under way included."""
        return self.received.bytes + self.bytes_ahead

    @property
    def bytes_ahead(self) -> int:
        """Those that no change has got yet."""
        return self.prefetch.staged_bytes + self.small_ahead.bytes + self._large.progress_bytes

    # --- the order of things -----------------------------------------------------------------------------------------------------------

    async def fetch(self, needs: Sequence[Need], search: bool) -> None:
        """Get all of these; returns when each was passed to `got` or `missed`.

        :param search: whether to look on this host first.
        """
        here, rest = self.prefetch.settle(needs)
        small, rest = self.small_ahead.claim(rest)
        self._small.keep(self.small_ahead.wanted)
        if needs:
            await self._fetch(len(needs), here + small, rest, search)
        for fetch in self.prefetch.under_way:
            await fetch.over
        while self.small_ahead.busy:
            # The plan has no use for it.
            self._dialogue.check()
            self._idle = Deferred()
            await self._idle
        await self._drop_useless()

    async def _drop_useless(self) -> None:
        """Delete what came ahead of the plan and this has no use for: its room was counted as free."""
        self._dialogue.check()
        useless = self.prefetch.take_useless() + self.small_ahead.take_useless()
        if useless:
            await self._workshop.write(self._drop, useless)
            self._dialogue.check()

    def _drop(self, useless: list[Staged]) -> None:
        for staged in useless:
            self._staging.drop(staged)

    async def _fetch(self, count: int, here: Sequence[tuple[Need, Staged]], needs: Sequence[Need], search: bool) -> None:
        """Get `count` needs: those that are here already, those that are under way, and these."""
        self._dialogue.check()
        self._unresolved = count
        done: Deferred[None] = Deferred()
        self._resolved = done
        try:
            # (What the plan wants may come meanwhile: it is counted from here on.)
            await self._drop_useless()
            for start in range(0, len(here), MAX_BATCH_FILES):
                claimed = here[start : start + MAX_BATCH_FILES]
                changes = await self._workshop.write(claim_all, claimed, self._staging)
                self._dialogue.check()
                self._resolve([need for need, _staged in claimed], changes)
            # Where nothing is searched, nothing is read before an earlier session's file is found by its name.
            step = LOCAL_LOOKUPS if search else max(1, len(needs))
            for start in range(0, len(needs), step):
                some = needs[start : start + step]
                copies = await self._workshop.write(find_here, some, self._gate, self._journal, self._staging, search)
                self._dialogue.check()
                done_here = [(need, staged) for need, staged in zip(some, copies, strict=True) if staged is not None]
                self.received.matched_bytes += sum(need.size for need, _staged in done_here)
                for need, staged in zip(some, copies, strict=True):
                    if staged is None:
                        self._again(need)
                self._resolve_each(done_here)
                self._ask()
        except BaseException:
            done.addErrback(lambda _same: None)
            raise
        await done

    def _ask_ahead(self, needs: Sequence[Need]) -> None:
        """Ask for these ahead of the plan."""
        self._small.add(needs)
        self._ask()

    def planned(self) -> None:
        """A plan is made: from now on it says what is to be had. (The small files that were chosen before it most likely wants, so they are
        asked for while both sides' plans are compared.)"""
        self.prefetch.close()
        self.small_ahead.close()

    def _claimed(self, need: Need, staged: Staged | None) -> None:
        """The content of a need was on its way when the plan was made."""
        if staged is None:
            self._tasks.start(self._get_again(need))
        elif len(need.changes) == 1:
            self._resolve_each([(need, [staged])])
        else:
            self._tasks.start(self._keep_claimed(need, staged))

    async def _get_again(self, need: Need) -> None:
        # What came in its place has its room.
        await self._drop_useless()
        self._again(need)
        self._ask()

    async def _keep_claimed(self, need: Need, staged: Staged) -> None:
        changes = await self._workshop.write(claim_all, [(need, staged)], self._staging)
        self._dialogue.check()
        self._resolve([need], changes)

    def _ask(self) -> None:
        """Ask for as much as may be under way."""
        while self._big and self._large.room and self._dialogue.error is None:
            self._large.get(self._big.popleft())
        self._small.ask()

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _resolve_each(self, done: list[tuple[Need, list[Staged]]]) -> None:
        self._resolve([need for need, _staged in done], with_contents(done))

    def _resolve(self, needs: Sequence[Need], changes: list[Change]) -> None:
        """These needs are met: their changes with what is staged for them."""
        self.received.bytes += sum([need.size for need in needs])
        self.received.files += len(changes)
        self._got(changes)
        self._unresolved -= len(needs)
        self._perhaps_all()

    def _not_come(self, need: Need, status: str) -> None:
        """The other side says that the file it was asked for by this key does not come: other keys may still have the content."""
        self._missed(need.changes.pop(0), status)
        if need.changes:
            self._again(need)
        else:
            self._one_less()

    def _wrong(self, need: Need) -> None:
        """What came is not that content."""
        need.tries += 1
        need.whole = True
        if need.tries < _TRIES:
            self._again(need)
            return
        for change in need.changes:
            self._missed(change, "damaged")
        self._one_less()

    def _again(self, need: Need) -> None:
        if need.size <= SMALL_FILE:
            self._small.add([need])
        else:
            self._big.append(need)

    def _one_less(self) -> None:
        self._unresolved -= 1
        self._perhaps_all()

    def _perhaps_all(self) -> None:
        if not self._unresolved and self._resolved is not None:
            resolved, self._resolved = self._resolved, None
            resolved.callback(None)

    # --- from the other side -----------------------------------------------------------------------------------------------------------

    def message_received(self, message: messages.AnyMessage) -> None:
        """The beginning or end of an answer."""
        if isinstance(message, messages.Bundle):
            self._small.begins(message)
        elif isinstance(message, messages.File):
            self._large.begins(message)
        elif isinstance(message, messages.FileEnd):
            self._large.ends(message)

    def bulk_received(self, frame: Frame) -> None:
        """Content."""
        if not self._small.bulk_received(frame):
            self._large.bulk_received(frame)

    def stopped(self, error: TwsyncError) -> None:
        """The dialogue is over: threads that wait for content must not wait any longer."""
        self._large.stopped(error)
        resolved, self._resolved = self._resolved, None
        if resolved is not None:
            resolved.errback(error)
        idle, self._idle = self._idle, None
        if idle is not None:
            idle.callback(None)

    # --- what came ---------------------------------------------------------------------------------------------------------------------

    def _small_done(self, answers: list[SmallAnswer]) -> None:
        self.received.literal_bytes += sum([size for _need, (_status, size), _staged in answers])
        done: list[tuple[Need, list[Staged]]] = []
        ahead: list[tuple[Need, Staged | None]] = []
        for need, (status, _size), staged in answers:
            if need.ahead:
                ahead.append((need, None if staged is None else staged[0]))
            elif staged is not None:
                done.append((need, staged))
            elif status == "ok":
                self._wrong(need)
            else:
                self._not_come(need, status)
        for need, one in self.small_ahead.came(ahead):
            if one is not None and len(need.changes) == 1:
                done.append((need, [one]))
            else:
                self._claimed(need, one)
        if done:
            self._resolve_each(done)
        self._ask()
        idle, self._idle = self._idle, None
        if idle is not None:
            idle.callback(None)

    def _large_done(self, answer: Answer) -> None:
        self.received.literal_bytes += answer.literal_bytes
        self.received.matched_bytes += answer.matched_bytes
        if answer.fetch is not None:
            self.prefetch.came(answer.fetch, answer.staged)
        elif answer.status != "ok":
            self._not_come(answer.need, answer.status)
        elif answer.staged is None:
            self._wrong(answer.need)
        else:
            self._resolve_each([(answer.need, answer.staged)])
        self._ask()
