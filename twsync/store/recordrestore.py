"""Taking a session back: a collection becomes what it was before it.

What is brought back is a local change with a raised version: it travels to the other hosts, and can be taken back itself. Replaced content
goes to the trash.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twsync import limits
from twsync.errors import StoreError, UserError
from twsync.reconcile.model import Item, Kind
from twsync.reconcile.versions import Version
from twsync.store.apply import Applier
from twsync.store.changes import Change, Status
from twsync.store.journal import Journal
from twsync.store.recordfolder import RecordFolder
from twsync.store.recordhistory import sessions
from twsync.store.recordhost import RecordHost
from twsync.store.recordjournal import Batch
from twsync.store.rows import Row
from twsync.store.staging import Staging
from twsync.store.syncmlsession import in_order

#: Mode of a record that comes back and had no row: people's data.
_MODE = 0o600


@dataclass(frozen=True, slots=True)
class Restored:
    """What `restore` did in one collection."""

    collection: str
    session: str
    "The id under which it can be taken back itself."
    added: int
    changed: int
    deleted: int
    skipped: list[tuple[bytes, str]]
    "Keys that were left alone, with a reason."


def restorable(journal: Journal, session: str) -> list[str]:
    """Names of the collections that can be brought back to what they were before a session."""
    return sessions(journal.database, session)


def restore(host: RecordHost, session: str, *, step: Callable[[str], None] | None = None) -> list[Restored]:
    """Bring the collections that a session changed back to what they were before it.

    Local edits that no session has seen yet are part of what is replaced, and of what the restoring can be taken back to.

    :raises UserError: `not-found`: the session changed no records here, or is too old.
    :raises StoreError: `busy`; a folder or the disk cannot be used.
    """
    names = restorable(host.journal, session)
    if not names:
        raise UserError(
            f"The session {session} changed no records here, or is too old to be taken back "
            f"(the last {limits.RECORD_SESSIONS} sessions of {int(limits.RECORD_HISTORY // 86400)} days can be); see: twsync history.",
            "not-found",
        )
    done = []
    for name in names:
        release = host.claim(name)
        try:
            folder = host.folder(name)
            try:
                done.append(_restore(folder, session, host.now_ns(), step))
            finally:
                folder.gate.close()
        finally:
            release()
    return done


def _restore(folder: RecordFolder, session: str, now_ns: int, step: Callable[[str], None] | None) -> Restored:
    journal = folder.journal
    own = f"restore-{now_ns}-{session}"
    folder.gate.check()
    staging = in_order(folder.gate, journal)
    try:
        skipped = folder.learn(folder.look(now_ns))
        seq = journal.history.before(session)
        if seq is None:
            raise UserError(f"The session {session} is too old to be taken back.", "not-found")
        then = journal.history.at(seq)
        rows = journal.get_many(then)
        wanted = [(key, content) for key, content in then.items() if content != _content(rows.get(key))]
        applier = Applier(folder.gate, journal, staging, own, now_ns=now_ns, step=step)
        added = changed = deleted = 0
        try:
            for start in range(0, len(wanted), limits.RESTORE_BATCH):
                changes = []
                for key, content in wanted[start : start + limits.RESTORE_BATCH]:
                    change = _change(folder, staging, key, content, rows.get(key), now_ns)
                    if change is None:
                        skipped.append((key, "not-kept"))
                    else:
                        changes.append(change)
                with journal.batch(Batch(own, now_ns)):
                    for outcome in applier.apply(changes):
                        if outcome.status is not Status.DONE:
                            skipped.append((outcome.key, outcome.reason or str(outcome.status)))
                        elif not then[outcome.key]:
                            deleted += 1
                        elif _content(rows.get(outcome.key)):
                            changed += 1
                        else:
                            added += 1
        finally:
            applier.finish()
        journal.database.flush()
        return Restored(journal.name, own, added, changed, deleted, skipped)
    finally:
        staging.close()


def _content(row: Row | None) -> bytes:
    return row.item.content if row is not None and row.item.live else b""


def _change(folder: RecordFolder, staging: Staging, key: bytes, content: bytes, row: Row | None, now_ns: int) -> Change | None:
    """What brings one key back; None: its text is not kept any more."""
    version = (row.item.version if row is not None else Version()).raised(folder.journal.replica)
    if not content:
        return Change(Item(key, Kind.DELETED, b"", 0, now_ns, 0, version, b"", folder.device), row)
    text = folder.journal.texts.get(content)
    if text is None:
        return None
    mode = row.item.mode if row is not None and row.item.live else _MODE
    staged = staging.put(content, text.data, mode=mode, mtime_ns=now_ns)
    if staged is None:
        raise StoreError(f"The journal's text of {key.decode()} is damaged.", "journal-damaged")
    return Change(Item(key, Kind.FILE, content, len(text.data), now_ns, mode, version, b"", folder.device), row, staged)
