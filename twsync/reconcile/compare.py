"""Two rows side by side: are they the same, what would it take to turn one into the other, and must the other side see mine?

`counterparts` and `with_ancestors` say which rows must travel so that both sides can compute one plan; the rule that they keep is written
down in :mod:`twsync.reconcile.plan`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Container, Iterable, Iterator, Mapping

from twsync.reconcile.model import DELETED, DIRECTORY, FILE, SYMLINK, Item
from twsync.reconcile.versions import Order


class Work(enum.StrEnum):
    """What a side has to do so that its row becomes the result."""

    NOTHING = "nothing"
    "The row is that already."
    RECORD = "record"
    "Only the journal's row changes (its version, or a tombstone of something that never stood here)."
    METADATA = "metadata"
    "Mode or modification time are set, and the row."
    CONTENT = "content"
    "A file's content is got and placed; whatever stood there goes to the trash."
    DIRECTORY = "directory"
    "A directory is made; whatever stood there goes to the trash."
    LINK = "link"
    "A link is made; whatever stood there goes to the trash."
    REMOVE = "remove"
    "What stands there goes to the trash; a directory is removed if it is empty."


class Change(enum.StrEnum):
    """How a side's user sees an item change; the words of the session report."""

    ADDED = "added"
    CHANGED = "changed"
    DELETED = "deleted"


def same_content(one: Item, other: Item) -> bool:
    """Whether the same thing stands at both keys, whatever its metadata: kind and content id. Two tombstones are the same thing."""
    return one.kind is other.kind and one.content == other.content


def same_metadata(one: Item, other: Item) -> bool:
    """Whether mode and modification time agree; tombstones have none, links have no mode."""
    if one.kind is DELETED:
        return True
    return one.mtime_ns == other.mtime_ns and one.mode == other.mode


def same_row(one: Item, other: Item) -> bool:
    """Whether nothing would change if one row took the place of the other (the name of the maker does not count)."""
    return one.version == other.version and same_content(one, other) and same_metadata(one, other)


def work(own: Item | None, result: Item) -> Work:
    """What the side that holds `own` (None: no row) has to do to hold `result`."""
    if own is None or own.kind is DELETED:
        if result.kind is not DELETED:
            return _PLACE[result.kind]
        return Work.NOTHING if own is not None and own.version == result.version else Work.RECORD
    if not result.live:
        return Work.REMOVE
    if not same_content(own, result):
        return _PLACE[result.kind]
    if not same_metadata(own, result):
        return Work.METADATA
    return Work.NOTHING if own.version == result.version else Work.RECORD


_PLACE = {FILE: Work.CONTENT, DIRECTORY: Work.DIRECTORY, SYMLINK: Work.LINK}


def change(own: Item | None, result: Item) -> Change | None:
    """The report's word for `own` becoming `result`; None for what a user does not see (versions, a directory's time)."""
    before = own is not None and own.live
    if not before:
        return Change.ADDED if result.live else None
    assert own is not None
    if not result.live:
        return Change.DELETED
    if not same_content(own, result):
        return Change.CHANGED
    if result.kind is DIRECTORY:
        return None if own.mode == result.mode else Change.CHANGED
    return None if same_metadata(own, result) else Change.CHANGED


def ancestors(key: bytes) -> Iterator[bytes]:
    """The directories above `key`, nearest first; the root itself has no key."""
    end = key.rfind(b"/")
    while end > 0:
        key = key[:end]
        yield key
        end = key.rfind(b"/")


def with_ancestors(rows: Iterable[Item], lookup: Callable[[bytes], Item | None]) -> Iterator[Item]:
    """`rows`, and once each the own rows of the directories above the live ones, for a session's `items`.

    A directory is yielded before the first row below it that comes after it; `lookup` gives the own journal's row.
    """
    sent: set[bytes] = set()
    for row in rows:
        if row.live:
            missing: list[Item] = []
            for above in ancestors(row.key):
                if above in sent:
                    break
                sent.add(above)
                found = lookup(above)
                if found is not None:
                    missing.append(found)
            yield from reversed(missing)
        if row.key not in sent:
            sent.add(row.key)
            yield row


def counterpart_needed(own: Item, received: Item) -> bool:
    """Whether the other side must see `own` because it sent `received`: `own` is neither the same nor older, or a directory would go."""
    if own.kind is DIRECTORY and received.kind is not DIRECTORY:
        return True
    if same_row(own, received):
        return False
    return own.version.order(received.version) is not Order.OLDER


def counterparts(
    received: Mapping[bytes, Item],
    sent: Container[bytes],
    lookup: Callable[[bytes], Item | None],
    below: Callable[[bytes], Iterable[Item]],
    refused: Container[bytes] = (),
) -> Iterator[Item]:
    """The own rows to send in answer to the other side's `items`, each once.

    :param received: the other side's rows.
    :param sent: keys of the own rows that were sent as `items` already.
    :param lookup: the own journal's row of a key.
    :param below: the own journal's rows below a directory (all keys that start with ``key + b"/"``), in any order.
    :param refused: keys that this side refuses: what lives there stays, and the other side must know.
    """
    done: set[bytes] = set()
    for key, row in received.items():
        own = lookup(key)
        if own is None:
            continue
        if key not in sent and key not in done and (counterpart_needed(own, row) or (own.live and key in refused)):
            done.add(key)
            yield own
        if own.kind is DIRECTORY and row.kind is not DIRECTORY:
            # What lives below would keep the directory alive, and its keys may be in neither side's items (one-way types).
            for inner in below(key):
                if inner.live and inner.key not in sent and inner.key not in done and inner.key not in received:
                    done.add(inner.key)
                    yield inner
