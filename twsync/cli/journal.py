"""The host's journal for commands: read at any time; written only under the lock, when no daemon holds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from twsync.errors import StoreError
from twsync.peer.settings import Settings
from twsync.store.journal import Journal
from twsync.store.lock import StateLock


@contextmanager
def reading(settings: Settings) -> Iterator[Journal | None]:
    """The journal, read-only, or None if there is none yet: a host that was never started.

    :raises StoreError: it is damaged, or of a later version.
    """
    try:
        journal = Journal.open(settings.state / "journal.db", read_only=True)
    except StoreError as error:
        if error.code != "journal-missing":
            raise
        yield None
        return
    try:
        yield journal
    finally:
        journal.close()


@contextmanager
def writing(settings: Settings, command: str) -> Iterator[Journal]:
    """The journal for changes, while no daemon runs.

    :param command: told to whoever finds the lock taken meanwhile.
    :raises StoreError: someone else has the lock, or the journal cannot be used.
    """
    settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with StateLock.acquire(settings.state / "lock", f"twsync {command}"):
        journal = Journal.open(settings.state / "journal.db")
        try:
            yield journal
        finally:
            journal.close()
