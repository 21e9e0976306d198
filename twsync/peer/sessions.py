"""Sessions of this host: one per collection at a time, each recorded in the journal from its first step to its result."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from twsync.errors import StoreError, TwsyncError
from twsync.peer import documents
from twsync.peer.settings import CollectionSettings
from twsync.peer.tracing import Tracer
from twsync.peer.waiting import within
from twsync.reconcile.model import Side
from twsync.session.datatypes import SyncProtocol
from twsync.session.result import Error, SessionResult, State
from twsync.session.trace import Party
from twsync.store.journal import Journal
from twsync.transport.datachannel import DataChannel
from twsync.transport.interfaces import Clock

if TYPE_CHECKING:
    from twsync.peer.looking import Look

#: Sessions that the history keeps.
KEPT_SESSIONS = 10_000
#: Seconds that sessions get to end when the daemon stops.
STOP_TIMEOUT = 10.0
#: Seconds that their BYE and its answer get then.
LAST_WORDS_TIMEOUT = 3.0
#: Code and sentence of a session that the end of the daemon ended.
INTERRUPTED = ("interrupted", "The daemon stopped; the next session goes on where this one was.")

_log = Logger()


@dataclass(frozen=True, slots=True)
class Work:
    """What both devices have agreed to do."""

    session: str
    collection: CollectionSettings
    partner: str
    "``user/device``."
    role: Side
    sync_type: str
    policy: str
    allow_deletes: bool
    token: bytes | None
    "What the client shows on the data connection; None on the server's side, where it was checked."
    look: Look | None = None
    "The look at the own disk, if it has begun."


#: Told how far a session is; keys as in the local interface's events.
Progress = Callable[[dict[str, Any]], None]


class Exchange(Protocol):
    """The data part of a session: docs/protocol/peer.md over a connection that stands."""

    def __call__(self, channel: DataChannel, work: Work, progress: Progress) -> Awaitable[SessionResult]:
        """Run it to its end. A failure is a result, or a TwsyncError."""


@dataclass(eq=False)
class Running:
    """A session under way."""

    session: str
    collection: str
    partner: str
    role: Side
    sync_type: str
    started_ns: int
    protocol: SyncProtocol = SyncProtocol.RSYNC
    progress: dict[str, Any] = field(default_factory=dict)
    task: Deferred[Any] | None = None
    "Cancelling it ends the session."

    def describe(self) -> dict[str, Any]:
        """For ``twsync status --json``."""
        return {
            "session": self.session, "collection": self.collection, "device": self.partner, "role": str(self.role), "type": self.sync_type,
            "state": "running", "started": documents.when(self.started_ns), **self.progress,
        }  # fmt: skip


class Sessions:
    """Who uses which collection now, and what the journal is told of it."""

    def __init__(self, journal: Journal, tracer: Tracer, now_ns: Callable[[], int]) -> None:
        self._journal = journal
        self._tracer = tracer
        self._now_ns = now_ns
        self._holders: dict[str, Running | None] = {}
        self._waiting: list[tuple[str, Deferred[None]]] = []
        self._recorded: dict[str, Running] = {}
        self._open: dict[str, Running] = {}
        # Results that the journal had no room for when they came; as many as it would keep.
        self._owed: deque[tuple[str, str, str, int]] = deque(maxlen=KEPT_SESSIONS)
        self._emptied: Deferred[None] | None = None
        self._emptying: dict[str, Running] = {}
        self._ended = False
        self.stopping = False
        #: Whether somebody else than a session between hosts uses a collection.
        self.also_busy: Callable[[str], bool] = lambda collection: False

    # --- one at a time ---

    def busy(self, collection: str) -> bool:
        """Whether a session, or a repair, uses the collection now."""
        return collection in self._holders or self.also_busy(collection)

    def take(self, collection: str, running: Running | None = None) -> bool:
        """Use the collection from now on, if nobody does."""
        if collection in self._holders or self.stopping:
            return False
        self._holders[collection] = running
        return True

    def release(self, collection: str) -> None:
        """Use it no longer; who waits for it is told."""
        self._holders.pop(collection, None)
        waiting = [free for name, free in self._waiting if name == collection]
        self._waiting = [(name, free) for name, free in self._waiting if name != collection]
        for free in waiting:
            free.callback(None)

    def free(self, collection: str) -> Deferred[None]:
        """Fires when nobody uses the collection; somebody else may be quicker then."""
        free: Deferred[None] = Deferred(lambda gone: self._waiting.remove((collection, gone)))
        if collection in self._holders:
            self._waiting.append((collection, free))
        else:
            free.callback(None)
        return free

    @property
    def running(self) -> list[Running]:
        """The sessions under way, the oldest first."""
        return sorted(self._recorded.values(), key=lambda each: each.started_ns)

    # --- the record ---

    def begin(self, running: Running) -> None:
        """The journal knows of it from now on.

        :raises StoreError: the journal cannot be written (`disk-full`, ...); then there is no such session.
        """
        running.started_ns = self._now_ns()
        self._journal.sessions.begin(running.session, running.collection, running.partner, str(running.role), running.started_ns)
        self._recorded[running.session] = self._open[running.session] = running
        self._tracer.open(running.session, Party.CALLER if running.role is Side.CLIENT else Party.CALLEE)
        _log.info(
            "Session {session}: {collection} with {partner}, as {role}, {sync_type}.",
            session=running.session, collection=running.collection, partner=running.partner, role=str(running.role),
            sync_type=running.sync_type,
        )  # fmt: skip

    def finish(self, running: Running, result: SessionResult) -> SessionResult:
        """The journal gets the result, at once or when it can be written again, and the session is over but for its last messages."""
        now = self._now_ns()
        result.seconds = round((now - running.started_ns) / 1e9, 3)
        if self.stopping and result.error is not None and result.error.code == "cancelled":
            result.error = Error(code=INTERRUPTED[0], message=INTERRUPTED[1])
        self._recorded.pop(running.session, None)
        self._owed.append((running.session, str(result.state), result.to_json().decode(), now))
        self._settle()
        why = f": {result.error.message}" if result.error is not None else ""
        _log.info(
            "Session {session}: {state} after {seconds:.1f} s{why}",
            session=running.session, state=str(result.state), seconds=result.seconds, why=why,
        )  # fmt: skip
        self._one_less()
        return result

    def _settle(self) -> None:
        try:
            while self._owed:
                self._journal.sessions.finish(*self._owed[0])
                self._owed.popleft()
            self._journal.sessions.prune(KEPT_SESSIONS)
        except StoreError as error:
            # What was done is done, and both ends have yet to be told.
            _log.error("The results of {count} sessions cannot be kept now: {error}", count=len(self._owed), error=error.message)

    def over(self, running: Running) -> None:
        """No message of it will come any more."""
        self._open.pop(running.session, None)
        self._tracer.close(running.session)
        self._ended = True
        self._one_less()

    def come_to_rest(self) -> bool:
        """Whether sessions have ended since this was asked, and none is under way now."""
        if self._open or not self._ended:
            return False
        self._ended = False
        return True

    def under_way(self) -> bool:
        """Whether a session is, or the daemon stops. From any thread."""
        return bool(self._open) or self.stopping

    async def stop(self, clock: Clock) -> None:
        """End all sessions in good order, last messages included, and take no new ones."""
        self.stopping = True
        for running in self.running:
            if running.task is not None:
                running.task.cancel()
        for left, seconds in ((self._recorded, STOP_TIMEOUT), (self._open, LAST_WORDS_TIMEOUT)):
            if left:
                self._emptied = Deferred()
                self._emptying = left
                try:
                    await within(self._emptied, seconds, clock)
                except TimeoutError:
                    _log.warn("{count} sessions did not end in time.", count=len(left))
            for running in self.running:
                self.finish(running, failed(running, *INTERRUPTED))

    def _one_less(self) -> None:
        if self._emptied is not None and not self._emptying and not self._emptied.called:
            self._emptied.callback(None)


def blank(running: Running, state: State, code: str = "", message: str = "") -> SessionResult:
    """A result without any traffic."""
    return SessionResult(
        session=running.session, collection=running.collection, device=running.partner, protocol=str(running.protocol),
        type=running.sync_type, state=state, error=Error(code=code, message=message) if code else None,
    )  # fmt: skip


def failed(running: Running, code: str, message: str) -> SessionResult:
    """The result of a session that came to nothing."""
    return blank(running, State.FAILED, code, message)


def failure_of(running: Running, error: BaseException) -> SessionResult:
    """The result of a session that an error ended."""
    if isinstance(error, TwsyncError):
        return failed(running, error.code, error.message)
    return failed(running, "defect", f"The session failed for a reason of twsync's own ({type(error).__name__}); the daemon's log has it.")
