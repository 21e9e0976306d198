"""What a session of records came to, as ``twsync sync --json`` tells it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from twsync.errors import SessionError, TwsyncError
from twsync.peer.recordroles import turned_resolution, turned_type
from twsync.peer.sessions import Work
from twsync.session.datatypes import SyncProtocol
from twsync.session.result import Conflict, Error, SessionResult, Skipped, State, Traffic, shown
from twsync.store.syncmldatastore import RecordDatastore, RecordDatastores
from twsync.store.syncmlsession import Counts
from twsync.syncml.clientresult import Result, StoreResult

#: What a server says of a session whose client went away before the end.
_CUT = SessionError("The other device ended the session before its end; the next one goes on where this one was.", "connection-lost")


def result_of(
    work: Work,
    datastores: RecordDatastores | None,
    outcome: Result | None,
    error: TwsyncError | None,
    sent_bytes: int,
    received_bytes: int,
    *,
    turned: bool,
) -> SessionResult:
    """The result of a session with one collection.

    :param outcome: of the client; None on the server's side, and if the session broke.
    :param error: what broke it.
    :param turned: whether the caller was SyncML's server: the result is said in terms of the caller.
    """
    # (A client opens it again once it knows what the server is.)
    store = datastores.opened[-1] if datastores is not None and datastores.opened else None
    failure = (store.error if store is not None else None) or error or failure_of(outcome)
    if failure is None and (store is None or not store.committed):
        failure = _CUT
    result = SessionResult(
        session=work.session, collection=work.collection.name, device=work.partner, protocol=str(SyncProtocol.SYNCML), type=work.sync_type,
        state=State.DONE, error=None if failure is None else Error(code=failure.code, message=failure.message),
    )  # fmt: skip
    result.sent.wire_bytes, result.received.wire_bytes = sent_bytes, received_bytes
    if store is not None:
        fill(result, store, outcome.stores[0] if outcome is not None and outcome.stores else None)
    if turned:
        if store is not None and store.sync_type is not None:
            result.effective_type = str(turned_type(store.sync_type))
        result.conflicts = [replace(each, resolution=turned_resolution(each.resolution)) for each in result.conflicts]
    if failure is not None:
        result.state = State.FAILED
    return result


def fill(result: SessionResult, store: RecordDatastore, told: StoreResult | None) -> None:
    """What the store says of itself, and, of what the other side decided, what a client session was told."""
    report = store.report
    result.effective_type = None if store.sync_type is None else str(store.sync_type)
    result.sent = _traffic(report.sent, result.sent.wire_bytes)
    result.received = _traffic(report.received, result.received.wire_bytes)
    conflicts = {
        shown(kept.key): Conflict(item=shown(kept.key), resolution=kept.resolution, copy=_copy(kept.copy)) for kept in report.conflicts
    }
    skipped = {shown(key): reason for key, reason in report.skipped}
    if told is not None:
        for conflict in told.conflicts:
            conflicts.setdefault(conflict.item, Conflict(item=conflict.item, resolution=conflict.resolution))
        for skip in told.skipped:
            skipped.setdefault(skip.item, skip.reason)
        result.sent.literal_bytes, result.received.literal_bytes = told.sent.bytes, told.received.bytes
    result.conflicts = list(conflicts.values())
    result.skipped = [Skipped(item=item, reason=reason) for item, reason in sorted(skipped.items())]
    if result.skipped and result.state is State.DONE:
        result.state = State.PARTIAL


def failure_of(outcome: Result | None) -> TwsyncError | None:
    """What a client's outcome says of the one datastore."""
    if outcome is None:
        return None
    errors: Sequence[object] = [outcome.error, *(store.error for store in outcome.stores)]
    return next((SessionError(error.message, error.code) for error in errors if error is not None), None)  # type: ignore[attr-defined]


def _copy(key: bytes) -> str | None:
    return shown(key) if key else None


def _traffic(counts: Counts, wire_bytes: int) -> Traffic:
    return Traffic(added=counts.added, changed=counts.changed, deleted=counts.deleted, wire_bytes=wire_bytes)
