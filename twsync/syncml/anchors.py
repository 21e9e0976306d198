"""What a server answers to the Alert of a datastore: the anchors decide (fact sheet sections 4 and 9)."""

from __future__ import annotations

import datetime

import msgspec

from twsync.reconcile.model import SyncType
from twsync.syncml.codes import ALERTS, BY_SERVER, FULL, SYNC_TYPES, AlertCode, StatusCode
from twsync.syncml.datastore import Anchors
from twsync.syncml.document import Protocol


class Decision(msgspec.Struct, frozen=True):
    """How the session of a datastore goes on."""

    status: StatusCode
    "Of the client's Alert: 200; 508 or 509: `alert` is another one than was asked for; 406."
    sync_type: SyncType | None = None
    "The effective type; None: the datastore is not synchronised."
    resumed: bool = False
    asked: SyncType | None = None
    "The type that the client asked for, in the session that it goes on with if it resumes one."

    @property
    def alert(self) -> AlertCode | None:
        """The code of the server's own Alert."""
        return ALERTS[self.sync_type] if self.sync_type is not None else None


def decide(code: int, last: str | None, stored: Anchors, protocol: Protocol, interrupted: SyncType | None = None) -> Decision:
    """The answer to an Alert that starts (or resumes) the synchronisation of a datastore.

    :param code: of the client's Alert. 206 to 210 are taken for the type they ask a client to start: some clients send them back.
    :param last: the Last of the client's anchor.
    :param stored: those of the last finished session. No `remote`, or another than `last`: everything has to be compared.
    :param interrupted: the type that the client asked for in the session that it has not finished; None: nobody knows.
    """
    if code == AlertCode.RESUME:
        if protocol is not Protocol.V1_2:
            return Decision(StatusCode.NOT_SUPPORTED)
        # What was carried out and mapped is known item by item, so a resumed session is one of the same type with fewer changes left.
        # One that compares or replaces everything begins anew. Symbian leaves Last out when it resumes: then there is nothing to
        # compare, and a slow sync heals.
        asked = interrupted or SyncType.TWO_WAY
        if FULL[asked] is asked:
            return Decision(StatusCode.CANNOT_RESUME, asked, asked=asked)
        if in_step(last, stored):
            return Decision(StatusCode.CANNOT_RESUME, asked, resumed=True, asked=asked)
        return Decision(StatusCode.REFRESH_REQUIRED, FULL[asked], asked=asked)
    wanted = SYNC_TYPES.get(code) or BY_SERVER.get(code)
    if wanted is None:
        return Decision(StatusCode.NOT_SUPPORTED)
    if FULL[wanted] is wanted or in_step(last, stored):
        return Decision(StatusCode.OK, wanted, asked=wanted)
    return Decision(StatusCode.REFRESH_REQUIRED, FULL[wanted], asked=wanted)


def in_step(last: str | None, stored: Anchors) -> bool:
    """Whether what the other side calls its last session is the last one that ended here."""
    return last is not None and last != "" and stored.remote == last


def own_anchor(now: float, last: str | None) -> str:
    """A Next anchor: the time in UTC, as stock servers write it; never the same as the last one.

    >>> own_anchor(0.0, None), own_anchor(0.0, "19700101T000000Z")
    ('19700101T000000Z', '19700101T000001Z')
    """
    for seconds in (now, now + 1):
        anchor = datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        if anchor != last:
            break
    return anchor
