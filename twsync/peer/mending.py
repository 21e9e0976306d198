"""What a person may change in the journal and the folders beside sessions: conflicts, trash, trust.

Each is done under the daemon's lock: by the daemon itself when it runs, by the command when it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from twsync import records
from twsync.errors import FormatError, StoreError, UserError
from twsync.peer.settings import Settings
from twsync.records import Family
from twsync.session.result import shown
from twsync.store import resolution
from twsync.store.conflicts import Conflict
from twsync.store.emptying import Emptied, empty
from twsync.store.journal import Journal
from twsync.store.owner import check_owner
from twsync.store.paths import Gate
from twsync.store.recordhost import RecordCollection, RecordHost
from twsync.store.recordrestore import restore as restore_session
from twsync.store.trash import Discarded, Trash

#: What a person may keep of a conflict.
KEEP = ("ours", "theirs", "both")


@contextmanager
def gate_of(settings: Settings, name: str) -> Iterator[Gate]:
    """The gate of a collection that has its marker.

    :raises UserError: there is no such collection here.
    :raises StoreError: its root or marker is missing.
    """
    gate = Gate.open(settings.collection(name).path, known=True)
    try:
        yield gate
    finally:
        gate.close()


def open_conflicts(journal: Journal, collection: str | None = None) -> list[Conflict]:
    """The conflicts that a person can still decide here, newest first: those whose copy still lies beside. One that was decided on another
    host has lost it by a session.
    """
    return [conflict for conflict in journal.conflicts.list(collection) if _copy_stands(journal, conflict)]


def record_collections(settings: Settings) -> dict[str, RecordCollection]:
    """The collections of records of the settings, by name."""
    return {each.name: RecordCollection(each.name, each.path, Family(each.type)) for each in settings.collections if each.records}


def undo(records: RecordHost, session: str) -> list[dict[str, Any]]:
    """Bring the record collections that a session changed back to what they were before it.

    :raises UserError: the session changed no records here, or is too old.
    :raises StoreError: a collection is in use, or its folder cannot be used.
    """
    return [
        {
            "collection": done.collection, "session": done.session, "added": done.added, "changed": done.changed, "deleted": done.deleted,
            "skipped": [{"item": shown(key), "reason": reason} for key, reason in done.skipped],
        }
        for done in restore_session(records, session)
    ]  # fmt: skip


def _copy_stands(journal: Journal, conflict: Conflict) -> bool:
    try:
        row = journal.collection(conflict.collection).get(conflict.copy)
    except StoreError:  # the collection was removed
        return False
    return row is not None and row.item.live


def find_conflict(journal: Journal, item: str, key: bytes) -> Conflict:
    """The one open conflict that `item` means: its number, or the name of the item or of its copy.

    :param key: the bytes of `item`, as the shell gave them.
    :raises UserError: none or several.
    """
    if item.isdecimal() and (found := journal.conflicts.get(int(item))) is not None:
        return found
    matching = [c for c in open_conflicts(journal) if key in (c.key, c.copy) or item in (shown(c.key), shown(c.copy))]
    if not matching:
        raise UserError(f"There is no open conflict {item!r}; `twsync conflicts` lists them.", code="not-found")
    if len(matching) > 1:
        numbers = ", ".join(str(c.number) for c in matching)
        raise UserError(f"Several open conflicts are called {item!r}; give one of the numbers {numbers}.", code="ambiguous")
    return matching[0]


def resolve(settings: Settings, journal: Journal, number: int, keep: str, now_ns: int) -> dict[str, Any]:
    """Keep one side of a conflict, or both; what is not kept goes to the trash.

    :raises TwsyncError: there is no such conflict, it is decided already, or the files cannot be moved.
    """
    conflict = journal.conflicts.get(number)
    if conflict is None:
        raise UserError(f"There is no conflict {number}; `twsync conflicts` lists them.", code="not-found")
    collection = settings.collection(conflict.collection)
    returned = partial(_named_again, Family(collection.type)) if collection.records else None
    with gate_of(settings, conflict.collection) as gate:
        check_owner(gate, journal.collection(conflict.collection, create=False))
        resolution.resolve(gate, journal.conflicts, conflict, keep, now_ns, returned)
    return {"number": number, "collection": conflict.collection, "item": shown(conflict.key), "resolution": keep}


def _named_again(family: Family, was: bytes, copy: bytes) -> bytes:
    """The copy of a record with the UID that the record has: it is that item again."""
    try:
        uid, text = records.uid(family, was.decode()), copy.decode()
        return records.with_uid(family, text, uid).encode() if uid and records.uid(family, text) else copy
    except (FormatError, UnicodeDecodeError):
        # One of them was edited into something else: then the copy holds as it is.
        return copy


def find_discarded(found: list[Discarded], item: str, key: bytes, session: str | None) -> Discarded:
    """The newest thing in the trash that `item` means.

    :raises UserError: there is none.
    """
    for thing in found:
        if (thing.key == key or shown(thing.key) == item) and session in (None, thing.session):
            return thing
    raise UserError(f"There is nothing called {item!r} in the trash; `twsync trash list` shows what there is.", code="not-found")


def restore(settings: Settings, name: str, session: str, key: bytes, to: bytes | None) -> dict[str, Any]:
    """Put something from the trash back; the next session sends it on.

    :raises TwsyncError: it is not there, or its place cannot be used.
    """
    with gate_of(settings, name) as gate:
        used = Trash(gate).restore(session, key, to)
    return {"collection": name, "item": shown(key), "restored": shown(used)}


def empty_trash(settings: Settings, journal: Journal, name: str, before_ns: int | None, stop: Callable[[], bool]) -> Emptied:
    """Delete for good what sessions made before a time put into a collection's trash, or everything in it. Nobody may use those folders.

    :param before_ns: nanoseconds since the epoch; None: everything.
    :param stop: asked often; True ends it.
    :raises TwsyncError: there is no such collection, its folder is another's, or the disk refuses.
    """
    with gate_of(settings, name) as gate:
        used: set[str] = set()
        if name in journal.collections():
            rows = journal.collection(name)
            check_owner(gate, rows)
            # A batch that was cut short: the old content may have left its place, and the next session puts it back.
            beside = [intent.beside.split(b"/") for intent in rows.intents.pending() if intent.displaced is None and intent.beside]
            used = {parts[1].decode() for parts in beside}
        return empty(gate, before_ns, used, stop)


def trust(journal: Journal, device: str, announced: str | None, now_ns: int) -> dict[str, Any]:
    """Accept the key of `device` seen last: the one refused last, else the one that presence announces.

    :param announced: the fingerprint that the server announces for the device now, if known.
    :raises UserError: no key of it was seen.
    """
    known = journal.trust.get(device)
    offered = known.offered if known is not None else ""
    if not offered and announced is None and known is None:
        what = f"No key of {device} was seen yet; look with `twsync devices`, or sync with it, which trusts the first key."
        raise UserError(what, code="not-found")
    fingerprint = offered or announced or (known.fingerprint if known is not None else "")
    trusted = journal.trust.accept(device, now_ns, fingerprint)
    changed = known is None or known.fingerprint != trusted.fingerprint
    return {"device": device, "fingerprint": trusted.fingerprint, "changed": changed}
