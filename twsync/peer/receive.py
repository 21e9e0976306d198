"""The end of the transfers that lacks content: asks for it, and puts what comes into staging, proved.

Small files are asked for in bundles, large ones one by one (`largereceive`). How much is asked for at once, and how much that came
waits for the disk, is bounded; the connection is not read while too much waits. Content that is on this host already is copied, not
asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from twisted.internet.defer import Deferred

from twsync.errors import ProtocolError, TwsyncError
from twsync.limits import (
    LOCAL_LOOKUPS,
    MAX_BATCH_FILES,
    MAX_BUNDLE_BYTES,
    MAX_BUNDLE_BYTES_UNDER_WAY,
    MAX_BUNDLE_FILES,
    MAX_REQUESTS_UNDER_WAY,
    MESSAGE_BYTES,
    SMALL_FILE,
)
from twsync.peer.backlog import Backlog
from twsync.peer.dialogue import Dialogue
from twsync.peer.largereceive import Answer, LargeFiles
from twsync.peer.needs import Need
from twsync.peer.prefetch import Prefetch
from twsync.peer.smallahead import SmallAhead
from twsync.peer.smallfiles import claim_all, find_here, stage_bundle, with_content
from twsync.peer.streams import Workshop
from twsync.peer.tasks import Tasks
from twsync.peerwire import messages
from twsync.peerwire.frames import Frame, FrameType
from twsync.store.changes import Change
from twsync.store.ignore import Ignore
from twsync.store.journal import CollectionJournal
from twsync.store.paths import Gate
from twsync.store.staging import Staged, Staging

#: Times a content is asked for: once, and once more whole.
_TRIES = 2


@dataclass(slots=True)
class _Bundle:
    """A bundle under way."""

    needs: list[Need]
    size: int
    header: messages.Bundle | None = None


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
        self._small: deque[Need] = deque()
        self._big: deque[Need] = deque()
        self._bundles: dict[int, _Bundle] = {}
        self._gathered: _Bundle | None = None
        self._backlog = Backlog(dialogue, workshop)
        self._large = LargeFiles(
            dialogue, tasks, workshop, gate, staging, self._backlog, seed=seed, number=self._number, done=self._large_done
        )
        #: What is fetched ahead of the plan.
        self.prefetch = Prefetch(workshop, gate, journal, ignore, staging, self._large, self._claimed, wanted=ahead)
        self.small_ahead = SmallAhead(tasks, workshop, journal, ignore, staging, self._ask_ahead)
        self._bundle_bytes = 0
        self._requests = 0
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
        gathered, self._gathered = self._gathered, None
        self._small = deque(self.small_ahead.wanted([*(gathered.needs if gathered is not None else ()), *self._small]))
        if needs:
            await self._fetch(len(needs), here + small, rest, search)
        await self.prefetch.ended()
        while self.small_ahead.busy:
            # The plan has no use for it.
            self._dialogue.check()
            self._idle = Deferred()
            await self._idle
        self._dialogue.check()
        if self.small_ahead.useless:
            await self._workshop.write(self.small_ahead.drop)
            self._dialogue.check()

    async def _fetch(self, count: int, here: Sequence[tuple[Need, Staged]], needs: Sequence[Need], search: bool) -> None:
        """Get `count` needs: those that are here already, those that are under way, and these."""
        self._dialogue.check()
        self._unresolved = count
        done: Deferred[None] = Deferred()
        self._resolved = done
        try:
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
        self._small.extend(needs)
        self._ask()

    def planned(self) -> None:
        """A plan is made: from now on it says what is to be had. (The small files that were chosen before it most likely wants, so they are
        asked for while both sides' plans are compared.)"""
        self.prefetch.close()
        self.small_ahead.close()

    def _claimed(self, need: Need, staged: Staged | None) -> None:
        """The content of a need was on its way when the plan was made."""
        if staged is None:
            self._again(need)
        elif len(need.changes) == 1:
            self._resolve_each([(need, [staged])])
        else:
            self._tasks.start(self._keep_claimed(need, staged))

    async def _keep_claimed(self, need: Need, staged: Staged) -> None:
        changes = await self._workshop.write(claim_all, [(need, staged)], self._staging)
        self._dialogue.check()
        self._resolve([need], changes)

    def _ask(self) -> None:
        """Ask for as much as may be under way."""
        while self._big and self._large.room and self._dialogue.error is None:
            self._large.get(self._big.popleft())
        bundles = []
        while (self._small or self._gathered) and self._dialogue.error is None:
            bundle = self._next_bundle()
            if bundle is None:
                break
            transfer = self._number()
            self._bundles[transfer] = bundle
            bundles.append((transfer, tuple((need.key, need.content) for need in bundle.needs)))
        for bundle_entry in bundles:
            # One message each: a bundle's keys may fill a frame.
            self._dialogue.say(messages.Want(bundles=(bundle_entry,)))

    def _next_bundle(self) -> _Bundle | None:
        """The next bundle, None if there is no room for it yet."""
        if self._gathered is None:
            self._gathered = self._gather_bundle()
        bundle = self._gathered
        if self._bundle_bytes + bundle.size > MAX_BUNDLE_BYTES_UNDER_WAY or self._requests + len(bundle.needs) > MAX_REQUESTS_UNDER_WAY:
            return None
        self._gathered = None
        self._bundle_bytes += bundle.size
        self._requests += len(bundle.needs)
        return bundle

    def _gather_bundle(self) -> _Bundle:
        needs: list[Need] = []
        size = keys = 0
        while self._small and len(needs) < MAX_BUNDLE_FILES:
            need = self._small[0]
            size += need.size
            keys += len(need.changes[0].item.key)
            if needs and (size > MAX_BUNDLE_BYTES or keys > MESSAGE_BYTES):
                size -= need.size
                break
            needs.append(self._small.popleft())
        return _Bundle(needs, size)

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _resolve_each(self, done: list[tuple[Need, list[Staged]]]) -> None:
        self._resolve([need for need, _staged in done], [change for need, staged in done for change in with_content(need, staged)])

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
        (self._small if need.size <= SMALL_FILE else self._big).append(need)

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
            self._bundle_begins(message)
        elif isinstance(message, messages.File):
            self._large.begins(message)
        elif isinstance(message, messages.FileEnd):
            self._large.ends(message)

    def bulk_received(self, frame: Frame) -> None:
        """Content."""
        bundle = self._bundles.get(frame.transfer)
        if bundle is None:
            self._large.bulk_received(frame)
            return
        if bundle.header is None:
            raise ProtocolError("content before the bundle begins")
        self._backlog.add(len(frame.payload))
        self._tasks.start(self._keep_bundle(bundle, frame))

    def stopped(self, error: TwsyncError) -> None:
        """The dialogue is over: threads that wait for content must not wait any longer."""
        self._large.stopped(error)
        resolved, self._resolved = self._resolved, None
        if resolved is not None:
            resolved.errback(error)
        idle, self._idle = self._idle, None
        if idle is not None:
            idle.callback(None)

    # --- bundles -----------------------------------------------------------------------------------------------------------------------

    def _bundle_begins(self, message: messages.Bundle) -> None:
        bundle = self._bundles.get(message.transfer)
        if bundle is None or bundle.header is not None:
            raise ProtocolError("an answer to what was not asked")
        if len(message.files) != len(bundle.needs):
            raise ProtocolError("a bundle of another number of files than asked for")
        for need, (status, size) in zip(bundle.needs, message.files, strict=True):
            if status == "ok" and size != need.size:
                raise ProtocolError("a file of another size than its row")
        bundle.header = message
        if not any(size for _status, size in message.files):
            self._tasks.start(self._keep_bundle(bundle, Frame(FrameType.DATA, b"", message.transfer)))

    async def _keep_bundle(self, bundle: _Bundle, frame: Frame) -> None:
        # A second frame of the same transfer finds none.
        del self._bundles[frame.transfer]
        header, size = cast(messages.Bundle, bundle.header), len(frame.payload)
        try:
            results = await self._workshop.write(stage_bundle, bundle.needs, header.files, frame.kind, frame.payload, self._staging)
            frame.release()
        finally:
            if size:
                self._backlog.taken(size)
        self._dialogue.check()
        self._bundle_bytes -= bundle.size
        self._requests -= len(bundle.needs)
        self.received.literal_bytes += sum([size for _status, size in header.files])
        done: list[tuple[Need, list[Staged]]] = []
        ahead: list[tuple[Need, Staged | None]] = []
        for need, (status, _size), staged in zip(bundle.needs, header.files, results, strict=True):
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

    # --- large files -------------------------------------------------------------------------------------------------------------------

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
