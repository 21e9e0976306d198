"""A change that is ready to be made, and the two ways in which it may come to nothing."""

from __future__ import annotations

import msgspec

from twsync.reconcile.model import Item
from twsync.store.changes import Change


class ChangedError(Exception):
    """The disk is not what the journal knows."""


class SkippedError(Exception):
    """This item cannot be done; the argument is the reason."""


class Task(msgspec.Struct, eq=False, gc=False):
    """A change with everything prepared."""

    change: Change
    staged: bytes = b""
    "Name in staging of what is put into place."
    beside: bytes = b""
    "Key below ``.twsync`` that the old content goes to; empty if there is none, or if it is displaced."
    displaced: Item | None = None
    "The row that the old content goes on under."


def same_thing(item: Item, other: Item | None) -> bool:
    """Whether a change between two rows is one of times, mode and version alone."""
    return other is not None and (item.kind, item.content, item.target) == (other.kind, other.content, other.target)
