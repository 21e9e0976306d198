"""Content that is already on this host: a rename or a copy on the other side costs no transfer."""

from __future__ import annotations

import os

from twsync.errors import PathError
from twsync.store.journal import CollectionJournal
from twsync.store.partial import Staged
from twsync.store.paths import Gate
from twsync.store.staging import Staging


def copy_content(gate: Gate, journal: CollectionJournal, staging: Staging, content: bytes, size: int) -> Staged | None:
    """A staged file of this content: left by an earlier session, or copied from another key of the collection and proved.

    Call it before the deletes of the session are applied: the old name of a renamed file is one of them.

    :returns: None if the content is not here.
    :raises StoreError: `disk-full`, `read-only`, `permission-denied` (in staging).
    """
    staged = staging.adopt(content, size)
    if staged is not None:
        return staged
    for row in journal.find_content(content):
        try:
            source = gate.open_read(row.key)
        except (OSError, PathError):
            continue
        try:
            # A file of another size is not worth the copy; everything else is for the proof to say.
            if os.fstat(source).st_size == size:
                staged = staging.copy(source, content)
        finally:
            os.close(source)
        if staged is not None:
            return staged
    return None
