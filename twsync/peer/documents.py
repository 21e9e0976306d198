"""What the host's journal says, as the JSON documents of the command line and the local interface.

All are made of the settings and the journal alone, so that they are the same with the daemon running or stopped; what only a running
daemon knows comes in as an argument.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterable
from typing import Any

from twsync.errors import StoreError
from twsync.peer.settings import CollectionSettings, Settings
from twsync.session.datatypes import SyncProtocol
from twsync.session.result import Error, SessionResult, State, shown
from twsync.store.conflicts import Conflict
from twsync.store.emptying import Emptied
from twsync.store.journal import Journal
from twsync.store.sessions import SessionRecord
from twsync.store.trash import Discarded
from twsync.store.trust import Trusted

#: Sessions looked through for a collection's partners; older ones say nothing new.
_RECENT = 1000


def when(ns: int) -> str | None:
    """Nanoseconds since the epoch as RFC 3339 in UTC; None for 0, which means never."""
    if not ns:
        return None
    return datetime.datetime.fromtimestamp(ns // 1_000_000_000, datetime.UTC).isoformat().replace("+00:00", "Z")


def status(
    settings: Settings, journal: Journal | None, connected: bool, server: dict[str, Any], running: Iterable[dict[str, Any]]
) -> dict[str, Any]:
    """``twsync status --json``.

    :param server: more about the connection to the server, beside its URI.
    :param running: documents of the sessions under way.
    """
    return {
        "device": settings.full_name,
        "server": {"uri": settings.server.uri, "connected": connected, **server},
        "collections": [collection(found, journal) for found in settings.collections],
        "sessions": list(running),
    }


def collection(settings: CollectionSettings, journal: Journal | None) -> dict[str, Any]:
    """One collection with its number of items and its partners."""
    items, partners = 0, []
    if journal is not None:
        try:
            items = journal.collection(settings.name).live_count()
        except StoreError as error:
            if error.code != "not-found":
                raise
        partners = _partners(journal.sessions.list(_RECENT, collection=settings.name))
    return {
        "name": settings.name, "type": settings.type, "path": str(settings.path), "policy": str(settings.policy),
        "items": items, "partners": partners,
    }  # fmt: skip


def _partners(records: Iterable[SessionRecord]) -> list[dict[str, Any]]:
    """For each device: the state of the newest session, and when the newest that came through ended. Records come newest first."""
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        partner = found.setdefault(record.device, {"device": record.device, "last_sync": None, "state": record.state})
        if partner["last_sync"] is None and record.state in ("done", "partial"):
            partner["last_sync"] = when(record.ended_ns)
    return [found[name] for name in sorted(found)]


def session(record: SessionRecord) -> dict[str, Any]:
    """One session of the history: the result as ``twsync sync --json`` prints it, with its role and times."""
    result: dict[str, Any] = json.loads(record.result) if record.result else {}
    if not result and record.state == "failed":
        # Marked so when the daemon was started after a kill or a power loss.
        error = Error(code="interrupted", message="The daemon was killed meanwhile; the next session goes on where this one was.")
        cut = SessionResult(
            session=record.session, collection=record.collection, device=record.device, protocol=str(SyncProtocol.RSYNC), type="",
            state=State.FAILED, error=error,
        )  # fmt: skip
        result = json.loads(cut.to_json())
    return {
        **result, "session": record.session, "collection": record.collection, "device": record.device, "role": record.role,
        "state": record.state, "started": when(record.started_ns), "ended": when(record.ended_ns),
    }  # fmt: skip


def history(records: Iterable[SessionRecord]) -> list[dict[str, Any]]:
    """Sessions, newest first."""
    return [session(record) for record in records]


def conflicts(found: Iterable[Conflict]) -> list[dict[str, Any]]:
    """Kept conflicts, newest first."""
    return [
        {
            "number": conflict.number, "collection": conflict.collection, "item": shown(conflict.key), "copy": shown(conflict.copy) or None,
            "resolution": conflict.resolution, "lost": "ours" if conflict.own_lost else "theirs", "device": conflict.device,
            "session": conflict.session, "seen": when(conflict.seen_ns), "resolved": when(conflict.resolved_ns),
        }
        for conflict in found
    ]  # fmt: skip


def trusted(known: Trusted | None) -> dict[str, Any]:
    """The key that a device is known by, since when, and the other one that it, or somebody, has shown since and that was refused."""
    return {
        "trusted_fingerprint": known.fingerprint if known else None, "trusted_since": when(known.since_ns) if known else None,
        "refused_fingerprint": (known.offered or None) if known else None, "refused": when(known.offered_ns) if known else None,
    }  # fmt: skip


def trash(name: str, found: Iterable[Discarded]) -> list[dict[str, Any]]:
    """What stands in a collection's trash, newest session first."""
    return [
        {
            "collection": name, "item": shown(thing.key), "session": thing.session, "kind": thing.kind.name.lower(), "size": thing.size,
            "discarded": when(thing.discarded_ns),
        }
        for thing in found
    ]  # fmt: skip


def emptied(name: str, done: Emptied) -> dict[str, Any]:
    """What emptying a collection's trash came to; what is kept with its session's folder and the reason."""
    kept = [{"session": shown(os.fsencode(each.session)), "item": shown(each.key) or None, "reason": each.reason} for each in done.kept]
    return {"collection": name, "files": done.files, "bytes": done.size, "complete": done.complete, "kept": kept}
