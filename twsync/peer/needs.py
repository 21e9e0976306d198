"""From a plan to what this host has to do: rows to write, content to get, things to remove."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from twsync.reconcile.compare import Work, work
from twsync.reconcile.model import DELETED, DIRECTORY, FILE, Item, Side
from twsync.reconcile.operation import Operation, Plan
from twsync.store.changes import Change, ordered
from twsync.store.ignore import Ignore
from twsync.store.journal import CollectionJournal
from twsync.store.paths import Gate
from twsync.store.rows import Row


class Need(msgspec.Struct, eq=False, gc=False):
    """A content that this side lacks, and the changes that wait for it."""

    content: bytes
    "Its content id; empty if it is fetched ahead of the plan."
    size: int
    changes: list[Change]
    "The first one's key is asked by; all get the same content."
    whole: bool = False
    "Whether no delta is asked for: one did not come out right, or there is no room for it."
    tries: int = 0
    "How often what came was not this content."
    ahead: bool = False
    "Whether it is asked for ahead of the plan."

    @property
    def key(self) -> bytes:
        """The key to ask by."""
        return self.changes[0].item.key

    @property
    def basis(self) -> Row | None:
        """The row of an older file here that a delta could start from."""
        for change in self.changes:
            if change.expected is not None and change.expected.item.kind is FILE:
                return change.expected
        return None


@dataclass(slots=True)
class Needs:
    """What one round's plan means for this side."""

    first: list[Change] = field(default_factory=list)
    "Needs no content; made before any content arrives, in this order."
    contents: list[Need] = field(default_factory=list)
    "By the first key of each."
    last: list[Change] = field(default_factory=list)
    "Removals, and links in place of directories; made when all else is done, in this order."
    stale: list[bytes] = field(default_factory=list)
    "Keys whose row is not the one the plan was made with: for the next round."
    copies: dict[bytes, bytes] = field(default_factory=dict)
    "Of conflicts that this side loses: key → key of the copy."

    @property
    def total(self) -> int:
        """Bytes of content to get."""
        return sum([need.size for need in self.contents])

    @property
    def removed(self) -> list[Item]:
        """Items that are removed here, as they stand; what has a successor under its own key is none of them."""
        return [
            change.expected.item
            for change in self.last
            if not change.item.live and change.expected is not None and change.expected.item.live
        ]

    @property
    def coming(self) -> Iterator[Item]:
        """What will stand where nothing stands now."""
        for changes in (self.first, *(need.changes for need in self.contents)):
            for change in changes:
                if change.item.live and (change.expected is None or not change.expected.item.live):
                    yield change.item


def last_of_all(change: Change) -> bool:
    """Whether a change has to wait until the round's removals are done: it removes, or puts something in place of a directory."""
    kind, expected = change.item.kind, change.expected
    return kind is DELETED or (kind is not DIRECTORY and expected is not None and expected.item.kind is DIRECTORY)


def work_out(
    plan: Plan,
    side: Side,
    gate: Gate,
    journal: CollectionJournal,
    mine: Mapping[bytes, Item],
    theirs: Mapping[bytes, Item],
    partner: int,
    ignore: Ignore,
) -> Needs:
    """What `side` has to do. In a reader's thread.

    :param mine: the own rows that the plan was made with.
    :param theirs: the other side's.
    :param partner: the other side's replica.
    :param ignore: what is left out here. It can be in the plan if it lives below a directory that was to go: then it was never asked about.
    """
    operations = list(plan.of(side))
    if not ignore.trivial:
        operations = [each for each in operations if not ignore.matches(each.key, each.result.kind is DIRECTORY)]
    rows = journal.get_many([operation.key for operation in operations])
    needs = Needs()
    by_content: dict[bytes, Need] = {}
    planned: dict[bytes, Item] = {}
    changes: list[Change] = []
    nothing, content = Work.NOTHING, Work.CONTENT
    for operation in operations:
        key, result = operation.key, operation.result
        row = rows.get(key)
        shown = mine.get(key)
        if shown is not None and (row is None or row.item != shown):
            needs.stale.append(key)
            continue
        # (What is new here needs no look at two rows.)
        kind = content if row is None and result.kind is FILE else work(None if row is None else row.item, result)
        if kind is nothing:
            continue
        displaced = None
        if operation.loser is side and operation.lost is not None:
            displaced = _displace(plan, operation, gate, journal, planned, needs)
        # A row that the other side holds need not be sent back to it; one that it is only about to write must be, in case it does not.
        across = theirs.get(key)
        held = across is result or (across is not None and across.version == result.version)
        change = Change(result, row, None, displaced, partner if held else 0)
        if kind is not content:
            changes.append(change)
            continue
        need = by_content.get(result.content)
        if need is None:
            need = by_content[result.content] = Need(result.content, result.size, [change])
            needs.contents.append(need)
        else:
            need.changes.append(change)
    for change in ordered(changes):
        (needs.last if last_of_all(change) else needs.first).append(change)
    return needs


def _displace(
    plan: Plan, operation: Operation, gate: Gate, journal: CollectionJournal, planned: dict[bytes, Item], needs: Needs
) -> Item | None:
    """The row under which this side's losing content goes on; None if the same content stands under that name already.

    :param planned: the copies that were named before this one.
    """

    def own(key: bytes) -> Item | None:
        if key in planned:
            return planned[key]
        row = journal.get(key)
        return None if row is None else row.item

    copy = plan.set_aside(operation, own, _taken(gate, journal))
    planned[copy.item.key] = copy.item
    needs.copies[operation.key] = copy.item.key
    if not copy.present:
        return copy.item
    there = journal.get(copy.item.key)
    if there is not None and there.item.version != copy.item.version:
        needs.first.append(Change(copy.item, there))
    return None


def _taken(gate: Gate, journal: CollectionJournal) -> Callable[[bytes], bool]:
    """Whether something stands at a key that the journal does not know as live."""

    def taken(key: bytes) -> bool:
        row = journal.get(key)
        return (row is None or not row.item.live) and gate.lstat(key) is not None

    return taken
