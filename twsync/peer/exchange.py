"""One session over one data channel: the whole of docs/protocol/peer.md, for either side.

The main line is read from top to bottom in :class:`_Session`: hello and open, then rounds (`comparing`, plan, `movement`), then commit.
Whatever fails, fails here: the first error ends everything, the other side is told its code and sentence, no thread is left behind, and
what was put into place stays.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from contextlib import suppress

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from twsync.errors import ProtocolError, SessionError, TwsyncError
from twsync.limits import MAX_ROUNDS, MAX_SKIPPED_BYTES_PER_SESSION, MAX_SKIPPED_PER_MESSAGE, MAX_SKIPPED_PER_SESSION
from twsync.peer.comparing import Compared, Comparison
from twsync.peer.dialogue import Channel, Dialogue
from twsync.peer.gathering import IGNORED, skipped_messages
from twsync.peer.movement import Movement, Store
from twsync.peer.needs import Needs, work_out
from twsync.peer.outcome import CHANGING, Tally, summary
from twsync.peer.tasks import Tasks, as_error
from twsync.peer.terms import Collection, Progress, Terms, Tools
from twsync.peerwire import messages
from twsync.reconcile import anchors as marks
from twsync.reconcile import safety
from twsync.reconcile.anchors import Anchors, Mark, Scope
from twsync.reconcile.compare import same_content, same_metadata
from twsync.reconcile.model import Item, Side, SyncType
from twsync.reconcile.operation import Operation, Plan, Resolution
from twsync.session.result import SessionResult
from twsync.store.rows import Row
from twsync.store.scan import ScanResult, scan
from twsync.transport.interfaces import Delayed

__all__ = ["Collection", "Progress", "Terms", "Tools", "run"]

#: Errors of a host's own disk and folders: their sentences do not say which host's they are.
OF_A_PLACE = frozenset(
    {"disk-full", "disk-error", "read-only", "permission-denied", "root-missing", "root-marker-missing", "too-many-files"}
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
) -> SessionResult:
    """Hold a session over a data channel that stands, and close it.

    :param channel: the client's, fresh from `connect`; the server's, as `Listener.expect` gave it.
    :param progress: called at every change of phase, and four times a second while content moves.
    :returns: what it came to, also if it failed or was cancelled; by then no thread works for it any more. Cancel it through the
        Deferred that awaits it: it still ends in good order, as failed with ``cancelled``.
    """
    session = _Session(channel, collection, terms, tools, progress or (lambda _progress: None))
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

    def __init__(self, channel: Channel, collection: Collection, terms: Terms, tools: Tools, progress: Callable[[Progress], None]) -> None:
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
        self._scanning: Deferred[ScanResult] | None = None
        self._movement: Movement | None = None
        # What the first scan has found so far, and who shows it to the other side.
        self._found: list[Item] = []
        self._showing: Comparison | None = None
        self._mine = Anchors()
        self._common: Mark | None = None
        self._sync_type = terms.sync_type
        self._policy = terms.policy
        self._allow_deletes = terms.allow_deletes
        self._token = b""
        self._partner = 0
        self._blocked: dict[bytes, str] = {}
        self._peer_skipped: dict[bytes, str] = {}
        self._peer_counters = messages.Counters()
        self._confirmed: dict[bytes, Item] = {}
        self._unsent_copies = False
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
            error = as_error(Failure())  # type: ignore[no-untyped-call]
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
        if self._scanning is not None:
            with suppress(Exception):
                await self._scanning
        await self._tasks.settled()
        if self._store is not None:
            with suppress(TwsyncError):  # what could not be done now, `recover` does before the next session
                await self._work.write(self._store.close)

    async def _hold(self) -> None:
        self._dialogue.begin()
        terms = self._terms
        self._store = await self._work.write(Store.open, self._collection, terms.session, self._tools.now_ns())
        self._scanning = self._work.read(self._scan, None)
        await self._greet()
        await self._open()
        # From here on the other side may ask for what it is shown.
        comparison = Comparison(self._dialogue, self._tasks, self._work, self._rows, self._collection.ignore, self._partner)
        movement = self._movement = Movement(
            self._dialogue, self._tasks, self._collection, self._store, self._tools, comparison.offered, self._dialogue.zstd, self._tally
        )
        scope = self._first_scope()
        if scope.send:
            self._showing = comparison
            self._show_more([])
        scanned, self._scanning = await self._scanning, None
        where = f"the folder of {self._rows.name} on {self._collection.device}"
        guard = safety.guard_emptied(scanned.found, scanned.known, allowed=self._allow_deletes, root=where)
        if guard is not None:
            raise guard
        await self._record(scanned)
        number, retry = 1, frozenset[bytes]()
        while await self._round(number, comparison, movement, scope, retry):
            number += 1
            retry = frozenset(self._tally.take_again() | movement.supplier.take_changed())
            await self._record(await self._work.read(self._scan, retry))
            scope = Scope(scope.send, comparison.own_seq, False)
        await self._commit(comparison)

    def _first_scope(self) -> Scope:
        scope = marks.scope(self._terms.sync_type, self._terms.side, self._common)
        if self._common is not None and self._sync_type not in marks.COMPARES_ALL:
            # A direction that stands at 0 shows all its rows, but those that came from this partner it has: it is the same journal still.
            return Scope(scope.send, scope.after, False)
        return scope

    def _scan(self, only: Set[bytes] | None) -> ScanResult:
        """In a reader's thread."""
        return scan(
            self._collection.gate,
            self._rows,
            self._collection.ignore,
            now_ns=self._tools.now_ns(),
            device=self._collection.device,
            only=only,
            cancelled=lambda: self._dialogue.error is not None,
            early=self._show if only is None else None,
        )

    def _show(self, changes: list[Row]) -> None:
        """Changes while the scan goes on, which the other side may look at meanwhile. In a thread of the scan."""
        self._write_scan(ScanResult(changes, [], [], 0, 0))
        self._work.back(self._show_more, [row.item for row in changes])

    def _show_more(self, items: list[Item]) -> None:
        self._found += items
        if self._showing is not None and self._found and self._dialogue.error is None:
            found, self._found = self._found, []
            self._showing.show(found)

    async def _record(self, scanned: ScanResult) -> None:
        self._dialogue.check()
        await self._work.write(self._write_scan, scanned)
        self._blocked.update(scanned.skipped)

    def _write_scan(self, scanned: ScanResult) -> None:
        """Durable before any of it is shown: a counter that the other side has seen must never be used again."""
        self._rows.record(scanned)
        if scanned.changes:
            self._collection.journal.durable()

    # --- hello and open --------------------------------------------------------------------------------------------------------------

    async def _greet(self) -> None:
        terms = self._terms
        client = terms.side is Side.CLIENT
        hello = messages.Hello(messages.PROTOCOL, messages.FEATURES, terms.session, self._rows.name, terms.token if client else None)
        if client:
            self._dialogue.say(hello)
        heard: messages.Hello = await self._dialogue.hear(messages.Hello)
        if heard.protocol != messages.PROTOCOL:
            raise SessionError("The two devices run versions of twsync that do not fit; bring both up to date.", "protocol-version")
        if (heard.session, heard.collection) != (terms.session, self._rows.name):
            raise ProtocolError("a hello for another session")
        if not client:
            self._dialogue.say(hello)
        self._dialogue.zstd = "zstd" in heard.features

    async def _open(self) -> None:
        terms = self._terms
        self._mine, live = await self._work.read(lambda: (self._rows.anchors.load(terms.partner), self._rows.live_count()))
        proposal = self._tools.random(messages.ANCHOR_BYTES)
        tokens = tuple(self._mine.tokens())
        self._dialogue.say(messages.Open(self._rows.replica, tokens, terms.sync_type, terms.policy, proposal, live, terms.allow_deletes))
        heard: messages.Open = await self._dialogue.hear(messages.Open)
        if heard.sync_type is not terms.sync_type:
            raise ProtocolError("another sync type than the INVITE agreed on")
        if heard.replica == self._rows.replica:
            raise SessionError(
                "Both devices have the same journal: the state folder of one was copied to the other. On one of them remove the "
                "collection and add it again; nothing is deleted then.",
                "same-journal",
            )
        self._partner = heard.replica
        self._token = proposal
        if terms.side is Side.SERVER:
            self._token = heard.next
            self._policy = heard.policy
            self._allow_deletes = terms.allow_deletes or (terms.heed_caller and heard.allow_deletes)
        self._common = marks.agree(self._mine, heard.replica, heard.anchors)
        self._sync_type = marks.effective(terms.sync_type, self._common)

    # --- a round ---------------------------------------------------------------------------------------------------------------------

    async def _round(self, number: int, comparison: Comparison, movement: Movement, scope: Scope, retry: Set[bytes]) -> bool:
        """One round; whether there is another."""
        self._enter("compare")
        everything = number > 1 and self._terms.sync_type in _REFRESH
        compared = await comparison.round(scope, retry, self._blocked, everything)
        for key in retry:
            # What neither side can name any more will not come again by itself.
            if key not in compared.mine and key not in compared.theirs:
                self._tally.skip(key, CHANGING)
        plan, digest, needs = await self._work.read(self._decide, compared)
        self._dialogue.check()
        self._dialogue.say(messages.Plan(digest, needs.deletes))
        heard: messages.Plan = await self._dialogue.hear(messages.Plan)
        if heard.digest != digest:
            raise SessionError(
                "The two devices came to different decisions, so nothing was changed; bring both to the same version of twsync.",
                "plan-mismatch",
            )
        self._tally.planned(plan, IGNORED)
        self._tally.again.update(needs.stale)
        self._confirmed.update({item.key: item for item in plan.confirmations(self._terms.side)})
        self._enter("transfer")
        await movement.round(needs)
        settled = self._tally.settle(plan, needs)
        if settled:
            await self._work.write(self._remember_conflicts, settled)
        return await self._end_round(number, plan, movement)

    def _decide(self, compared: Compared) -> tuple[Plan, bytes, Needs]:
        """The plan, its digest and what it means here, unless a guard is against it. In a reader's thread."""
        terms, rows = self._terms, self._rows
        plan = compared.plan(terms.side, rows.replica, self._partner, self._sync_type, self._policy)
        needs = work_out(
            plan, terms.side, self._collection.gate, rows, compared.mine, compared.theirs, self._partner, self._collection.ignore
        )
        # What earlier rounds removed counts too: else a session could remove a little in each.
        gone = self._tally.deleted
        guard = safety.guard_deletes(
            gone + needs.deletes, gone + rows.live_count(), allowed=self._allow_deletes, where=self._collection.device, begun=gone > 0
        )
        if guard is not None:
            raise guard
        assert self._store is not None
        self._store.staging.check_room(needs.total)
        return plan, plan.digest(), needs

    def _remember_conflicts(self, settled: list[tuple[Operation, bytes]]) -> None:
        """In a writer's thread."""
        side, now_ns = self._terms.side, self._tools.now_ns()
        for operation, copy in settled:
            winner = operation.loser.other if operation.loser else Side.CLIENT if operation.resolution is Resolution.OURS else Side.SERVER
            self._rows.conflicts.add(
                self._rows.name,
                operation.key,
                copy,
                str(operation.resolution),
                winner is not side,
                self._terms.session,
                self._terms.partner,
                now_ns,
            )

    async def _end_round(self, number: int, plan: Plan, movement: Movement) -> bool:
        last = number == MAX_ROUNDS
        side, tally = self._terms.side, self._tally
        # The copies that this side made are news for the other. (What it was asked for and could not give, the other side counts.)
        copies = plan.copies(side) if marks.moves(self._terms.sync_type, side) else 0
        retry = len(tally.again) + copies
        self._unsent_copies = last and copies > 0
        if last:
            tally.give_up()
        self._dialogue.say(messages.RoundEnd(retry, tally.held))
        heard: messages.RoundEnd = await self._dialogue.hear(messages.RoundEnd)
        if movement.supplier.busy:
            raise ProtocolError("round-end before every answer came")
        tally.own_held = tally.own_held or heard.held
        again = not last and (retry > 0 or heard.retry > 0)
        self._dialogue.round_over(again)
        return again

    # --- commit ----------------------------------------------------------------------------------------------------------------------

    async def _commit(self, comparison: Comparison) -> None:
        self._enter("commit")
        # A collection has one session at a time: what its journal was told since the last items-end, this session told it, and the other
        # side has it too. Only copies that no round was left for have not been seen over there.
        own_seq = comparison.own_seq if self._unsent_copies else await self._work.read(lambda: self._rows.seq)
        prepared = marks.after_session(
            self._mine,
            self._common,
            partner=self._partner,
            token=self._token,
            sync_type=self._terms.sync_type,
            side=self._terms.side,
            own_seq=own_seq,
            partner_seq=comparison.peer_seq,
            own_held=self._tally.own_held,
            partner_held=self._tally.held,
        )
        await self._work.write(self._prepare, prepared)
        self._dialogue.check()
        skipped = {**self._blocked, **self._tally.skipped}
        for message in skipped_messages(list(skipped.items())[:MAX_SKIPPED_PER_SESSION], MAX_SKIPPED_PER_MESSAGE):
            self._dialogue.say(message)
            await self._dialogue.drained()
        self._dialogue.say(messages.Commit(self._token, self._counters()))
        room = MAX_SKIPPED_BYTES_PER_SESSION
        while not isinstance(heard := await self._dialogue.hear(messages.Skipped, messages.Commit), messages.Commit):
            self._peer_skipped.update(heard.items)
            room -= sum(len(key) for key, _reason in heard.items)
            if room < 0:
                raise ProtocolError("skipped items of too many bytes")
            if len(self._peer_skipped) > MAX_SKIPPED_PER_SESSION:
                raise ProtocolError("too many skipped items")
        if heard.token != self._token:
            raise ProtocolError("a commit of another session")
        self._peer_counters = heard.received
        await self._work.write(self._conclude, marks.promoted(prepared, heard.token))

    def _conclude(self, concluded: Anchors) -> None:
        """The other side has done all it was to do. In a writer's thread."""
        self._rows.anchors.save(self._terms.partner, concluded)
        # What the other side lost and set aside in a one-way session: from now on this side's row follows both.
        rows = self._rows.get_many(key for key in self._confirmed if key not in self._peer_skipped and key not in self._tally.skipped)
        self._rows.take(
            [
                Row(item, rows[key].stat)
                for key, item in self._confirmed.items()
                if key in rows and same_content(rows[key].item, item) and same_metadata(rows[key].item, item)
            ],
            self._partner,
        )

    def _prepare(self, prepared: Anchors) -> None:
        """Everything durable, then the next mark. In a writer's thread."""
        assert self._store is not None
        self._store.applier.finish()
        self._rows.anchors.save(self._terms.partner, prepared)

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
            self._sync_type,
            self._tally,
            {**self._peer_skipped, **self._blocked},
            (self._peer_counters, self._channel.wire_sent),
            (self._counters(), self._channel.wire_received),
            self._tools.clock.seconds() - self._started,
            error,
        )
