"""What a client session comes to, for each datastore; the document of ``twsync sync --json`` is filled from it."""

from __future__ import annotations

import msgspec

from twsync.errors import TwsyncError
from twsync.limits import MAX_SKIPPED_PER_SESSION, MAX_STATUS_TEXT
from twsync.reconcile.model import SyncType
from twsync.syncml.chunking import octets
from twsync.syncml.codes import StatusCode, succeeded
from twsync.syncml.datastore import Action, Record
from twsync.syncml.document import Encoding, Protocol

#: Statuses that settle a conflict, in the words of the result.
RESOLUTIONS: dict[int, str] = {
    StatusCode.CONFLICT_MERGED: "merged",
    StatusCode.CONFLICT_CLIENT_WINS: "ours",
    StatusCode.CONFLICT_DUPLICATED: "duplicate",
    StatusCode.CONFLICT_SERVER_WINS: "theirs",
}
#: Statuses of a change that was not carried out, in the words of the result. It is tried again in the next session.
REASONS: dict[int, str] = {
    StatusCode.NOT_EXECUTED: "not-wanted",
    StatusCode.WRONG_CREDENTIALS: "auth-failed",
    StatusCode.FORBIDDEN: "not-allowed",
    StatusCode.NOT_FOUND: "not-found",
    StatusCode.NOT_SUPPORTED: "not-supported",
    StatusCode.MISSING_CREDENTIALS: "auth-failed",
    StatusCode.CONFLICT: "conflict",
    StatusCode.GONE: "not-found",
    StatusCode.TOO_LARGE: "too-large",
    StatusCode.UNSUPPORTED_TYPE: "type-not-supported",
    StatusCode.OBJECT_TOO_LARGE: "too-large",
    StatusCode.RETRY_LATER: "busy",
    StatusCode.DEVICE_FULL: "device-full",
    StatusCode.SIZE_MISMATCH: "size-mismatch",
    StatusCode.PERMISSION_DENIED: "not-allowed",
}
#: Reason of what was sent and never answered.
NO_ANSWER = "no-answer"


class Error(msgspec.Struct, frozen=True):
    """Why a session or a datastore failed."""

    code: str
    "Stable, for programs: ``auth-failed``, ``not-found``, ``slow-sync-refused`` ..."
    message: str
    "One sentence for a person that says what to do next."

    @classmethod
    def of(cls, error: TwsyncError) -> Error:
        """That of a store or of a codec."""
        return cls(error.code, error.message)


class Counts(msgspec.Struct, frozen=True):
    """One direction: items, as the receiving side's user sees them."""

    added: int = 0
    changed: int = 0
    deleted: int = 0
    bytes: int = 0
    "Of content that travelled and was taken."


class Conflict(msgspec.Struct, frozen=True):
    """An item that was changed on both sides."""

    item: str
    resolution: str
    "``merged`` (207), ``ours`` (208: the client's), ``duplicate`` (209), ``theirs`` (419: the server's)."
    text: str = ""
    "What the side that settled it says."


class Skipped(msgspec.Struct, frozen=True):
    """An item that was left alone, and is tried again in the next session."""

    item: str
    reason: str
    text: str = ""


class StoreResult(msgspec.Struct, frozen=True, kw_only=True):
    """One datastore."""

    name: str
    uri: str
    asked: SyncType
    effective: SyncType | None = None
    "What it really had; None: it never began."
    done: bool = False
    "Whether both sides are in step (but for `skipped`), and the anchors were moved."
    sent: Counts = Counts()
    received: Counts = Counts()
    conflicts: tuple[Conflict, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    error: Error | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a session."""

    stores: tuple[StoreResult, ...]
    protocol: Protocol
    encoding: Encoding
    "Those that were used at last: a server that made us fall back does so again the next time."
    suspended: bool = False
    "Ask for a resume in the next session."
    error: Error | None = None
    "Why the whole session failed; None if it went to its end, even if a datastore failed."
    retry_after: float = 0.0
    "Seconds to wait before another try, if the server is busy."
    messages: tuple[str, ...] = ()
    "What the server wants to be shown (Alert 100)."


class Request(msgspec.Struct, frozen=True):
    """What to POST."""

    url: str
    body: bytes
    content_type: str
    delay: float = 0.0
    "Seconds to wait before it is sent: the server is busy."


class Tally:
    """The counts of one datastore as they grow."""

    def __init__(self) -> None:
        self._sent = [0, 0, 0, 0]
        self._received = [0, 0, 0, 0]
        self._conflicts: list[Conflict] = []
        self._skipped: list[Skipped] = []

    def sent(self, item: str, action: Action, record: Record | None, status: int, *, slow: bool, text: str = "") -> None:
        """The server answered an own change."""
        self._happened(self._sent, item, action, record, status, slow, text)

    def received(self, item: str, action: Action, record: Record | None, status: int, *, slow: bool, text: str = "") -> None:
        """A change of the server had this outcome."""
        self._happened(self._received, item, action, record, status, slow, text)

    def skip(self, item: str, reason: str, text: str = "") -> None:
        """An item was left alone."""
        if len(self._skipped) < MAX_SKIPPED_PER_SESSION:
            self._skipped.append(Skipped(item, reason, text))

    def counts(self) -> tuple[Counts, Counts, tuple[Conflict, ...], tuple[Skipped, ...]]:
        """Sent, received, conflicts, skipped."""
        return Counts(*self._sent), Counts(*self._received), tuple(self._conflicts), tuple(self._skipped)

    def _happened(self, counts: list[int], item: str, action: Action, record: Record | None, status: int, slow: bool, text: str) -> None:
        # Kept for each item until the end of the session: not as much as the other side can say.
        text = text[:MAX_STATUS_TEXT]
        if not succeeded(status) or status == StatusCode.NOT_EXECUTED:
            self.skip(item, REASONS.get(status, "failed"), text)
            return
        if status in RESOLUTIONS and action is not Action.DELETE and len(self._conflicts) < MAX_SKIPPED_PER_SESSION:
            self._conflicts.append(Conflict(item, RESOLUTIONS[status], text))
        raised = column(action, status, slow)
        if raised is not None:
            counts[raised] += 1
        counts[3] += octets(record.data) if record is not None else 0


def column(action: Action, status: int, slow: bool) -> int | None:
    """Which count a successful change raises: 0 added, 1 changed, 2 deleted; None: the item was as it is before."""
    if status in (StatusCode.ALREADY_EXISTS, StatusCode.CONFLICT_SERVER_WINS, StatusCode.NOT_DELETED):
        return None
    if action is Action.DELETE:
        return 2
    if status in (StatusCode.ADDED, StatusCode.CONFLICT_DUPLICATED):
        return 0
    if status == StatusCode.CONFLICT_MERGED:
        return 1
    if action is Action.REPLACE:
        return 1
    # In a full session 200 says of an Add that the item was there already.
    return None if slow else 0
