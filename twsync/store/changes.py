"""Prepared changes: what `apply` puts on the disk and into the journal."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from operator import attrgetter

import msgspec

from twsync.reconcile.model import DELETED, DIRECTORY, Item
from twsync.store.partial import Staged
from twsync.store.rows import Row

_KEY = attrgetter("item.key")


class Change(msgspec.Struct, frozen=True, gc=False):
    """One key gets a new row.

    What is done to the disk follows from `item` and `expected`: an equal kind and content is a change of times, mode or version
    alone; a tombstone removes; anything else is put into place.
    """

    item: Item
    "The new row, as the plan decided it."
    expected: Row | None
    "The journal's row now; None if it has none. The disk must still look so, else the outcome is `changed`."
    staged: Staged | None = None
    "The content, for a file whose content changes."
    displaced: Item | None = None
    "Keep-both: the row under which the content now standing here goes on (its conflict name), instead of to the trash."
    partner: int = 0
    "Replica that the row is taken from; 0 if the own counter was raised for it, so that it is sent to everybody."

    @property
    def key(self) -> bytes:
        """The key that changes."""
        return self.item.key


class Status(enum.StrEnum):
    """What came of a change."""

    DONE = "done"
    CHANGED = "changed"
    "The disk is not what the journal knows; goes through the next round."
    SKIPPED = "skipped"


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """The result of one change."""

    key: bytes
    status: Status
    reason: str = ""
    "For `skipped`: not-empty, permission-denied, name-taken, name-too-long, bad-name, busy."


def ordered(changes: Iterable[Change]) -> list[Change]:
    """The order in which changes can be made, over any number of batches: what is made goes top down, then deletes bottom up, then
    files and links in place of directories."""
    makes, removes, replaces = [], [], []
    for change in changes:
        kind, expected = change.item.kind, change.expected
        if kind is DELETED:
            removes.append(change)
        elif expected is not None and expected.item.kind is DIRECTORY and kind is not DIRECTORY:
            replaces.append(change)
        else:
            makes.append(change)
    return [
        *sorted(makes, key=_KEY),
        *sorted(removes, key=_KEY, reverse=True),
        *sorted(replaces, key=_KEY, reverse=True),
    ]
