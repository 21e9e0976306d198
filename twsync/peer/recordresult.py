"""What a session of records came to, as ``twsync sync --json`` tells it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from twsync.errors import SessionError, TwsyncError
from twsync.peer.recordroles import turned_resolution, turned_type
from twsync.peer.sessions import Work
from twsync.session.datatypes import SyncProtocol
from twsync.session.result import Conflict, Error, SessionResult, Skipped, State, Traffic, shown
from twsync.store.recordhost import RecordDatastores
from twsync.store.syncmldatastore import RecordDatastore
from twsync.store.syncmlsession import Counts
from twsync.syncml.clientresult import Result, StoreResult

#: What a server says of a session whose client went away before the end.
_CUT = SessionError("The other device ended the session before its end; the next one goes on where this one was.", "connection-lost")


def result_of(
    work: Work,
    datastores: RecordDatastores | None,
    outcome: Result | None,
    skipped: Sequence[Skipped],
    error: TwsyncError | None,
    sent_bytes: int,
    received_bytes: int,
    *,
    turned: bool,
) -> SessionResult:
    """The result of a session with one collection.

    :param outcome: of the client; None on the server's side, and if the session broke.
    :param skipped: what the other side says that it left alone.
    :param error: what broke it.
    :param turned: whether the caller was SyncML's server: the result is said in terms of the caller.
    """
    store = _last(datastores)
    failure = (store.error if store is not None else None) or error or failure_of(outcome)
    if failure is None and (store is None or not store.committed):
        failure = _CUT
    result = SessionResult(
        session=work.session, collection=work.collection.name, device=work.partner, protocol=str(SyncProtocol.SYNCML), type=work.sync_type,
        state=State.DONE, error=None if failure is None else Error(code=failure.code, message=failure.message),
    )  # fmt: skip
    result.sent.wire_bytes, result.received.wire_bytes = sent_bytes, received_bytes
    if store is not None:
        fill(result, store, _told(outcome), skipped)
    if turned:
        if store is not None and store.sync_type is not None:
            result.effective_type = str(turned_type(store.sync_type))
        result.conflicts = [replace(each, resolution=turned_resolution(each.resolution)) for each in result.conflicts]
    if failure is not None:
        result.state = State.FAILED
    return result


def skips_of(datastores: RecordDatastores, outcome: Result | None) -> list[Skipped]:
    """What this side left alone.

    :param outcome: as for `result_of`.
    """
    store, told = _last(datastores), _told(outcome)
    found = {skip.item: skip.reason for skip in (told.skipped if told is not None else ())}
    found |= {shown(key): reason for key, reason in (store.report.skipped if store is not None else ())}
    return [Skipped(item=item, reason=reason) for item, reason in sorted(found.items())]


def _last(datastores: RecordDatastores | None) -> RecordDatastore | None:
    """The datastore of a session with one collection. (A client opens it again once it knows what the server is.)"""
    return datastores.opened[-1] if datastores is not None and datastores.opened else None


def _told(outcome: Result | None) -> StoreResult | None:
    return outcome.stores[0] if outcome is not None and outcome.stores else None


def fill(result: SessionResult, store: RecordDatastore, told: StoreResult | None, theirs: Sequence[Skipped] = ()) -> None:
    """What the store says of itself, and, of what the other side decided, what a client session was told.

    :param theirs: what the other side left alone.
    """
    report = store.report
    result.effective_type = None if store.sync_type is None else str(store.sync_type)
    result.sent = _traffic(report.sent, result.sent.wire_bytes)
    result.received = _traffic(report.received, result.received.wire_bytes)
    conflicts = {
        shown(kept.key): Conflict(item=shown(kept.key), resolution=kept.resolution, copy=_copy(kept.copy)) for kept in report.conflicts
    }
    skipped = {skip.item: skip.reason for skip in theirs} | {shown(key): reason for key, reason in report.skipped}
    if told is not None:
        for conflict in told.conflicts:
            conflicts.setdefault(conflict.item, Conflict(item=conflict.item, resolution=conflict.resolution))
        for skip in told.skipped:
            skipped.setdefault(skip.item, skip.reason)
    result.conflicts = list(conflicts.values())
    result.skipped = [Skipped(item=item, reason=reason) for item, reason in sorted(skipped.items())]
    if result.skipped and result.state is State.DONE:
        result.state = State.PARTIAL


def failure_of(outcome: Result | None) -> TwsyncError | None:
    """What a client's outcome says of the one datastore."""
    if outcome is None:
        return None
    errors = [outcome.error, *(store.error for store in outcome.stores)]
    return next((SessionError(error.message, error.code) for error in errors if error is not None), None)


def _copy(key: bytes) -> str | None:
    return shown(key) if key else None


def _traffic(counts: Counts, wire_bytes: int) -> Traffic:
    return Traffic(added=counts.added, changed=counts.changed, deleted=counts.deleted, literal_bytes=counts.bytes, wire_bytes=wire_bytes)
