"""The sessions that run, for administrators: who with whom, on what, how far, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from twsync import limits
from twsync.control.offers import Offer
from twsync.control.records import Records
from twsync.store.control_values import SessionRow


class Sessions:
    """Open sessions by Call-ID; each change goes to the database.

    :param wall: seconds since the epoch.
    """

    def __init__(self, records: Records, wall: Callable[[], float]) -> None:
        self._records = records
        self._wall = wall
        self._open: dict[str, SessionRow] = {}
        self._unsaved: set[str] = set()
        self.begun = 0
        "How many there have been."

    def __len__(self) -> int:
        return len(self._open)

    def open(self, call_id: str) -> SessionRow | None:
        """The open session of this Call-ID."""
        return self._open.get(call_id)

    def begin(self, call_id: str, caller: str, callee: str, offer: Offer) -> bool:
        """A call for a session is passed on.

        :returns: False if the Call-ID is taken by an open session, or too long to be written down with every message.
        """
        if call_id in self._open or len(call_id) > limits.MAX_SESSION_CALL_ID:
            return False
        self.begun += 1
        self._put(SessionRow(call_id, caller, callee, offer.collection, offer.sync_type, "calling", started=self._wall()))
        return True

    def _of(self, call_id: str, caller: str) -> SessionRow | None:
        """An open session; of this caller, as a Call-ID is the caller's choice, and others may choose the same."""
        row = self._open.get(call_id)
        return row if row is not None and row.caller == caller else None

    def running(self, call_id: str, caller: str) -> None:
        """The callee has accepted."""
        row = self._of(call_id, caller)
        if row is not None and row.state == "calling":
            self._put(replace(row, state="running"))

    def progressed(self, call_id: str, caller: str, document: bytes) -> None:
        """A side says how far it is. Written with the next `flush`, as it comes often."""
        row = self._of(call_id, caller)
        if row is None or len(document) > limits.MAX_PROGRESS:
            return
        try:
            text = json.dumps(json.loads(document))
        except (ValueError, RecursionError):
            return  # it is passed on all the same; the other side judges it
        self._open[call_id] = replace(row, progress=text)
        self._unsaved.add(call_id)

    def end(self, call_id: str, caller: str, state: str, reason: str = "") -> None:
        """It has ended: done, failed, lost or stored."""
        row = self._of(call_id, caller)
        if row is not None:
            del self._open[call_id]
            self._unsaved.discard(call_id)
            row = replace(row, state=state, reason=reason, ended=self._wall())
            self._records.note(lambda transaction: transaction.save_session(row))

    def flush(self) -> None:
        """Write what `progressed` has gathered."""
        unsaved, self._unsaved = [self._open[call_id] for call_id in self._unsaved], set()
        if unsaved:
            self._records.note(lambda transaction: transaction.save_sessions(unsaved))

    def _put(self, row: SessionRow) -> None:
        self._open[row.call_id] = row
        self._unsaved.discard(row.call_id)
        self._records.note(lambda transaction: transaction.save_session(row))
