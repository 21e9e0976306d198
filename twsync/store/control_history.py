"""The questions and changes that one transaction of the control database can make: what is stored for devices, and what was held."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from twsync.errors import UserError
from twsync.store import control_schema as schema
from twsync.store.control_values import SessionRow, StoredRequest, TraceRow


class History:
    """The half of a `Transaction` that is about requests and sessions, and the counter of changes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def changes(self) -> int:
        """The counter that every change for a running daemon raises."""
        return int(self._connection.execute(select(schema.state.c.changes)).scalar_one())

    def taken_up(self) -> int | None:
        """`changes` as the running daemon last took them up; None while none runs."""
        found: int | None = self._connection.execute(select(schema.state.c.taken_up)).scalar_one()
        return found

    def take_up(self, changes: int | None) -> None:
        """A daemon has taken up everything until `changes`, or, with None, ends."""
        self._connection.execute(update(schema.state).values(taken_up=changes))

    def _changed(self) -> None:
        self._connection.execute(update(schema.state).values(changes=schema.state.c.changes + 1))

    # --- stored requests -----------------------------------------------------------------------------------------------------------

    def requests(self) -> list[StoredRequest]:
        """All, the oldest first."""
        table = schema.requests
        rows = self._connection.execute(select(table).order_by(table.c.created, table.c.id))
        return [StoredRequest(row.id, row.partner, row.user, row.device, row.collection, row.sync_type, row.created) for row in rows]

    def add_request(self, request: StoredRequest, announce: bool = False) -> None:
        """Store one, unless the same one is stored already.

        :param announce: whether a running daemon has to be told; the daemon itself need not.
        """
        table = schema.requests
        same = select(table.c.id).where(
            table.c.partner == request.partner,
            table.c.user == request.user,
            table.c.device == request.device,
            table.c.collection == request.collection,
            table.c.sync_type == request.sync_type,
        )
        user = select(schema.users.c.name).where(schema.users.c.name == request.user)
        if self._connection.execute(same).first() is None and self._connection.execute(user).first() is not None:
            self._connection.execute(
                insert(table).values(
                    id=request.id,
                    partner=request.partner,
                    user=request.user,
                    device=request.device,
                    collection=request.collection,
                    sync_type=request.sync_type,
                    created=request.created,
                )
            )
        if announce:
            self._changed()

    def remove_requests(self, ids: Iterable[str]) -> None:
        """Forget those."""
        for each in ids:
            self._connection.execute(delete(schema.requests).where(schema.requests.c.id == each))

    # --- sessions and their ladders ------------------------------------------------------------------------------------------------

    def sessions(self, running_only: bool = False, limit: int = 1000) -> list[SessionRow]:
        """The latest sessions, the newest first."""
        table = schema.sessions
        query = select(table).order_by(table.c.started.desc()).limit(limit)
        if running_only:
            query = query.where(table.c.ended.is_(None))
        return [_session(row) for row in self._connection.execute(query)]

    def session(self, call_id: str) -> SessionRow:
        """One session, by its Call-ID or the only one whose Call-ID starts so.

        :raises UserError: there is none, or more than one.
        """
        table = schema.sessions
        row = self._connection.execute(select(table).where(table.c.call_id == call_id)).one_or_none()
        if row is not None:
            return _session(row)
        found = self._connection.execute(select(table).where(table.c.call_id.startswith(call_id, autoescape=True)).limit(2)).all()
        if not found:
            raise UserError(f"There is no session {call_id}; see 'twsync ctl session list --all'.", "no-session")
        if len(found) > 1:
            raise UserError(f"More than one session begins with {call_id}; give more of it.", "no-session")
        return _session(found[0])

    def save_session(self, session: SessionRow) -> None:
        """Add or replace one. The session of another caller is left alone: a Call-ID is the caller's choice."""
        values = {
            "callee": session.callee,
            "collection": session.collection,
            "sync_type": session.sync_type,
            "state": session.state,
            "progress": session.progress,
            "reason": session.reason,
            "started": session.started,
            "ended": session.ended,
        }
        table = schema.sessions
        same = update(table).where(table.c.call_id == session.call_id, table.c.caller == session.caller)
        if self._connection.execute(same.values(values)).rowcount:
            return
        if self._connection.execute(select(table.c.call_id).where(table.c.call_id == session.call_id)).first() is None:
            self._connection.execute(insert(table).values(values | {"call_id": session.call_id, "caller": session.caller}))

    def save_sessions(self, sessions: Iterable[SessionRow]) -> None:
        """Add or replace several."""
        for session in sessions:
            self.save_session(session)

    def end_open_sessions(self, now: float, reason: str) -> None:
        """End whatever an earlier life of the daemon left open."""
        table = schema.sessions
        self._connection.execute(update(table).where(table.c.ended.is_(None)).values(state="lost", reason=reason, ended=now))

    def add_trace(self, rows: Iterable[TraceRow]) -> None:
        """Add lines to ladders."""
        values: list[dict[str, Any]] = [{"call_id": row.call_id, "at": row.at, "line": row.line} for row in rows]
        if values:
            self._connection.execute(insert(schema.trace), values)

    def trace(self, call_id: str) -> list[TraceRow]:
        """The ladder of one session, in order."""
        table = schema.trace
        rows = self._connection.execute(select(table).where(table.c.call_id == call_id).order_by(table.c.at, table.c.id))
        return [TraceRow(row.call_id, row.at, row.line) for row in rows]

    def prune(self, sessions_before: float, requests_before: float, most_sessions: int) -> None:
        """Forget ended sessions, ladders and stored requests that are older, and the oldest of too many sessions."""
        table = schema.sessions
        surplus = select(table.c.call_id).where(table.c.ended.is_not(None)).order_by(table.c.ended.desc()).offset(most_sessions)
        found = [row.call_id for row in self._connection.execute(surplus)]
        for start in range(0, len(found), 500):
            some = found[start : start + 500]
            self._connection.execute(delete(schema.trace).where(schema.trace.c.call_id.in_(some)))
            self._connection.execute(delete(table).where(table.c.call_id.in_(some)))
        self._connection.execute(delete(schema.trace).where(schema.trace.c.at < sessions_before))
        self._connection.execute(delete(schema.sessions).where(schema.sessions.c.ended < sessions_before))
        self._connection.execute(delete(schema.requests).where(schema.requests.c.created < requests_before))


def _session(row: Row[Any]) -> SessionRow:
    return SessionRow(
        row.call_id,
        row.caller,
        row.callee,
        row.collection,
        row.sync_type,
        row.state,
        row.progress,
        row.reason,
        row.started,
        row.ended,
    )
