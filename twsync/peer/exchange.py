"""One session over one data channel: the whole of docs/protocol/peer.md, for either side.

The main line is read from top to bottom in :class:`_Session`: hello and open (`opening`), then rounds (`comparing`, plan,
`movement`), then `commit`.
Whatever fails, fails here: the first error ends everything, the other side is told its code and sentence, no thread is left behind, and
what was put into place stays.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from functools import partial

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from twsync.errors import ProtocolError, SessionError, TwsyncError
from twsync.limits import IDLE_TIMEOUT, MAX_ROUNDS
from twsync.peer.commit import Commit
from twsync.peer.comparing import Compared, Comparison
from twsync.peer.dialogue import Channel, Dialogue
from twsync.peer.gathering import IGNORED
from twsync.peer.greeting import no_hello
from twsync.peer.looking import Look, write_scan
from twsync.peer.movement import Movement, Store
from twsync.peer.needs import Needs, work_out
from twsync.peer.opening import Opened, exchange_open, greet
from twsync.peer.outcome import CHANGING, Tally, summary
from twsync.peer.room import fit
from twsync.peer.tasks import Tasks, as_error
from twsync.peer.terms import Collection, Progress, Terms, Tools
from twsync.peerwire import messages
from twsync.reconcile import anchors as marks
from twsync.reconcile import safety
from twsync.reconcile.anchors import Scope
from twsync.reconcile.model import Item, SyncType
from twsync.reconcile.operation import Operation, Plan
from twsync.reconcile.versions import Order
from twsync.session.result import SessionResult
from twsync.store.scan import ScanResult, scan
from twsync.transport.interfaces import Delayed

__all__ = ["Collection", "Progress", "Terms", "Tools", "run"]

#: Errors of a host's own disk and folders: their sentences do not say which host's they are.
OF_A_PLACE = frozenset(
    {
        "disk-full",
        "disk-error",
        "read-only",
        "permission-denied",
        "root-missing",
        "root-marker-missing",
        "folder-of-another",
        "too-many-files",
    }
)
#: Seconds between two calls of a progress callback.
PROGRESS_INTERVAL = 0.25
_REFRESH = frozenset({SyncType.REFRESH_FROM_CLIENT, SyncType.REFRESH_FROM_SERVER})


async def run(
    channel: Channel,
    collection: Collection,
    terms: Terms,
    tools: Tools,
    progress: Callable[[Progress], None] | None = None,
    look: Look | None = None,
) -> SessionResult:
    """Hold a session over a data channel that stands, and close it.

    :param channel: the client's, fresh from `connect`; the server's, as `Listener.expect` gave it.
    :param progress: called at every change of phase, and four times a second while content moves.
    :param look: the first look at the disk, if it has begun; it is closed in the end.
    :returns: what it came to, also if it failed or was cancelled; by then no thread works for it any more. Cancel it through the
        Deferred that awaits it: it still ends in good order, as failed with ``cancelled``.
    """
    if look is None:
        look = Look(lambda: collection, lambda _collection: None, terms.session, terms.side, terms.sync_type, tools)
    session = _Session(channel, collection, terms, tools, progress or (lambda _progress: None), look)
    result: list[SessionResult] = []
    waiting: list[Deferred[None]] = []

    def ended(outcome: SessionResult) -> None:
        result.append(outcome)
        for each in waiting:
            if not each.called:
                each.callback(None)

    Deferred.fromCoroutine(session.run()).addCallback(ended)
    while not result:
        waiting.append(Deferred())
        try:
            await waiting[-1]
        except CancelledError:
            session.cancel()
    return result[0]


class _Session:
    """The main line."""

    def __init__(
        self, channel: Channel, collection: Collection, terms: Terms, tools: Tools, progress: Callable[[Progress], None], look: Look
    ) -> None:
        self._channel = channel
        self._collection = collection
        self._rows = collection.rows
        self._terms = terms
        self._tools = tools
        self._work = tools.workshop
        self._report = progress
        self._phase = "scan"
        self._progress_call: Delayed | None = None
        self._dialogue = Dialogue(channel)
        self._tasks = Tasks(self._dialogue)
        self._tally = Tally()
        self._store: Store | None = None
        self._look = look
        self._movement: Movement | None = None
        self._commit = Commit(self._dialogue, self._work, self._rows, terms, self._tally)
        self._opened: Opened | None = None
        self._blocked: dict[bytes, str] = {}
        self._unsent_copies = False
        # Items here when the round was planned, with those that earlier rounds removed: what came since makes no share smaller.
        self._live = 0
        self._started = tools.clock.seconds()

    # --- beginning and end -----------------------------------------------------------------------------------------------------------

    def cancel(self) -> None:
        """End the session soon."""
        self._dialogue.fail(SessionError("The session was cancelled.", "cancelled"))

    async def run(self) -> SessionResult:
        """The whole session."""
        error: TwsyncError | None = None
        self._watch()
        try:
            await self._hold()
            self._dialogue.finish()
        except Exception:
            error = as_error(Failure())
            self._dialogue.fail(error)
            # What failed first is what ended the session, wherever it was noticed.
            error = self._dialogue.error or error
            if self._dialogue.told_by_peer and error.code in OF_A_PLACE:
                error = SessionError(f"{self._terms.partner}: {error.message}", error.code)
        finally:
            await self._leave()
        return self._result(error)

    async def _leave(self) -> None:
        """Wait for everything that works for this session, and put things away."""
        if self._progress_call is not None:
            self._progress_call.cancel()
            self._progress_call = None
        self._look.stop()
        await self._tasks.settled()
        if self._movement is not None:
            self._movement.close()
        await self._look.close()

    async def _hold(self) -> None:
        self._dialogue.begin()
        self._dialogue.when_over(lambda _error: self._look.stop())
        terms = self._terms
        # Before the store is opened: hello has a deadline, and waits for no disk.
        await self._greet()
        self._store = await self._look.store()
        self._store.staging.comes_from(terms.partner)
        announcing = self._look.announcing
        proposal = self._tools.random(messages.ANCHOR_BYTES)
        known = await self._look.known(terms.partner)
        opened = self._opened = await exchange_open(self._dialogue, terms, self._rows, known, proposal)
        # From here on the other side may ask for what it is shown.
        comparison = Comparison(
            self._dialogue, self._tasks, self._work, self._rows, self._collection.ignore, opened.partner, self._shown, self._announced
        )
        movement = self._movement = Movement(
            self._dialogue,
            self._tasks,
            self._collection,
            self._store,
            self._tools,
            comparison.offered,
            announcing,
            marks.sender(terms.sync_type) is not terms.side,
            self._tally,
        )
        if self._dialogue.ahead:
            announcing.begin(self._dialogue)
        scope = opened.first_scope(terms)
        if scope.send:
            self._look.show(comparison.show)
        scanned = await self._look.result()
        where = f"the folder of {self._rows.name} on {self._collection.device}"
        guard = safety.guard_emptied(scanned.found, scanned.known, allowed=opened.allow_deletes, root=where)
        if guard is not None:
            raise guard
        await self._record(scanned)
        if self._dialogue.ahead and marks.sender(terms.sync_type) is not terms.side:
            movement.small_ahead.begin(self._blocked)
        number, retry = 1, frozenset[bytes]()
        while await self._round(number, opened, comparison, movement, scope, retry):
            number += 1
            retry = frozenset(self._tally.take_again() | movement.supplier.take_changed())
            await self._record(await self._work.read(self._look_again, retry))
            scope = Scope(scope.send, comparison.own_seq, False)
        await self._end(comparison, opened)

    async def _greet(self) -> None:
        late = self._tools.clock.callLater(IDLE_TIMEOUT, self._dialogue.fail, no_hello(self._terms.partner))
        try:
            await greet(self._dialogue, self._terms, self._rows.name)
        finally:
            if late.active():
                late.cancel()

    def _look_again(self, only: Set[bytes]) -> ScanResult:
        """Look at some keys once more. In a reader's thread."""
        return scan(
            self._collection.gate,
            self._rows,
            self._collection.ignore,
            now_ns=self._tools.now_ns(),
            device=self._collection.device,
            only=only,
            cancelled=lambda: self._dialogue.error is not None,
        )

    async def _announced(self, message: messages.Ahead) -> None:
        if not self._dialogue.ahead or self._movement is None:
            raise ProtocolError("an announced file that was not agreed on")
        await self._movement.prefetch.announced(message)

    def _shown(self, rows: list[Item]) -> None:
        """The other side's rows, as they come."""
        assert self._movement is not None
        self._movement.small_ahead.shown(rows)

    async def _record(self, scanned: ScanResult) -> None:
        self._dialogue.check()
        await self._work.write(write_scan, self._collection, scanned)
        self._blocked.update(scanned.skipped)

    # --- a round ---------------------------------------------------------------------------------------------------------------------

    async def _round(
        self, number: int, opened: Opened, comparison: Comparison, movement: Movement, scope: Scope, retry: Set[bytes]
    ) -> bool:
        """One round; whether there is another."""
        self._enter("compare")
        everything = number > 1 and self._terms.sync_type in _REFRESH
        compared = await comparison.round(scope, retry, self._blocked, everything)
        self._tally.doubt(self._terms.side, lambda conflict: _behind(compared.theirs.get(conflict.key), conflict.result))
        for key in retry:
            # What neither side can name any more will not come again by itself.
            if key not in compared.mine and key not in compared.theirs:
                self._tally.skip(key, CHANGING)
        assert self._store is not None
        # The room first: what comes meanwhile counts for both then, not for neither.
        room = await self._work.read(self._store.staging.room)
        plan, digest, needs, deletes = await self._work.read(self._decide, compared, opened, room + movement.bytes_ahead)
        self._dialogue.check()
        movement.planned()
        self._dialogue.say(messages.Plan(digest, deletes))
        heard: messages.Plan = await self._dialogue.hear(messages.Plan)
        if heard.digest != digest:
            raise SessionError(
                "The two devices came to different decisions, so nothing was changed; bring both to the same version of twsync.",
                "plan-mismatch",
            )
        self._look.announcing.over()
        self._tally.planned(plan, IGNORED)
        self._tally.again.update(needs.stale)
        self._commit.planned(plan)
        self._enter("transfer")
        await movement.round(needs, partial(self._guard_removals, needs, opened))
        settled = self._tally.settle(plan, needs)
        await self._commit.remember(settled, self._tools.now_ns())
        return await self._end_round(number, plan, settled, movement)

    def _decide(self, compared: Compared, opened: Opened, room: int) -> tuple[Plan, bytes, Needs, int]:
        """The plan, its digest, what it means here, and how many items the session will have deleted here, unless a guard is against it.

        In a reader's thread.

        :param room: bytes that the disk takes, and those that came ahead of the plan: it has a use for them, or they are deleted.
        """
        terms, rows = self._terms, self._rows
        plan = compared.plan(terms.side, rows.replica, opened.partner, opened.sync_type, opened.policy)
        needs = work_out(
            plan, terms.side, self._collection.gate, rows, compared.mine, compared.theirs, opened.partner, self._collection.ignore
        )
        # What earlier rounds removed counts too: else a session could remove a little in each.
        gone = self._tally.gone()
        deletes = len(safety.lost([*gone, *needs.removed], needs.coming))
        if gone or needs.removed:
            self._live = len(gone) + rows.live_count()
        guard = safety.guard_deletes(
            deletes,
            self._live,
            allowed=opened.allow_deletes,
            where=self._collection.device,
            begun=self._tally.anything,
        )
        if guard is not None:
            raise guard
        assert self._store is not None
        fit(needs, self._store.staging, room)
        return plan, plan.digest(), needs, deletes

    def _guard_removals(self, needs: Needs, opened: Opened) -> None:
        """What was to come and did not (it cannot be put here, or was not given) excuses no removal. In a reader's thread."""
        guard = safety.guard_deletes(
            len(self._tally.losing(needs.removed)), self._live,
            allowed=opened.allow_deletes, where=self._collection.device, begun=self._tally.anything,
        )  # fmt: skip
        if guard is not None:
            raise guard

    async def _end_round(self, number: int, plan: Plan, settled: list[tuple[Operation, bytes]], movement: Movement) -> bool:
        last = number == MAX_ROUNDS
        side, tally = self._terms.side, self._tally
        # The copies that this side made are news for the other. (What it was asked for and could not give, the other side counts.)
        copies = plan.copies(side) if marks.moves(self._terms.sync_type, side) else 0
        retry = len(tally.again) + copies
        self._unsent_copies = last and copies > 0
        if last:
            tally.give_up([copy for operation, copy in settled if copies and operation.loser is side])
        self._dialogue.say(messages.RoundEnd(retry, tally.held))
        heard: messages.RoundEnd = await self._dialogue.hear(messages.RoundEnd)
        if movement.supplier.busy:
            raise ProtocolError("round-end before every answer came")
        tally.own_held = tally.own_held or heard.held
        again = not last and (retry > 0 or heard.retry > 0)
        self._dialogue.round_over(again)
        return again

    # --- commit ----------------------------------------------------------------------------------------------------------------------

    async def _end(self, comparison: Comparison, opened: Opened) -> None:
        self._enter("commit")
        # Only copies that no round was left for have not been seen over there.
        own_seq = comparison.own_seq if self._unsent_copies else None
        await self._commit.run(opened, (own_seq, comparison.peer_seq), self._blocked, self._counters(), self._finish)
        self._tally.doubt(self._terms.side, lambda conflict: conflict.key in self._commit.peer_skipped)

    def _finish(self) -> None:
        """Everything durable, and nothing kept that nobody will go on with. In a writer's thread."""
        assert self._store is not None
        self._store.applier.finish()
        if marks.sender(self._terms.sync_type) is not self._terms.side and not self._tally.held:
            self._store.staging.have_all(self._terms.partner)

    def _counters(self) -> messages.Counters:
        tally, movement = self._tally, self._movement
        if movement is None:
            return messages.Counters()
        return messages.Counters(tally.added, tally.changed, tally.deleted, movement.literal_bytes, movement.matched_bytes)

    # --- telling ---------------------------------------------------------------------------------------------------------------------

    def _enter(self, phase: str) -> None:
        self._phase = phase
        self._tell()

    def _watch(self) -> None:
        self._tell()
        self._progress_call = self._tools.clock.callLater(PROGRESS_INTERVAL, self._watch)

    def _tell(self) -> None:
        self._report(Progress(self._phase) if self._movement is None else self._movement.progress(self._phase))

    def _result(self, error: TwsyncError | None) -> SessionResult:
        return summary(
            self._terms,
            self._rows.name,
            self._terms.sync_type if self._opened is None else self._opened.sync_type,
            self._tally,
            {**self._commit.peer_skipped, **self._blocked},
            (self._commit.peer_counters, self._channel.wire_sent),
            (self._counters(), self._channel.wire_received),
            self._tools.clock.seconds() - self._started,
            error,
        )


def _behind(row: Item | None, result: Item) -> bool:
    """Whether a row that was shown, if any, does not know of a result."""
    return row is not None and row.version.order(result.version) in (Order.OLDER, Order.CONCURRENT)
