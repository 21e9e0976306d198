"""Which rows this side sends in a round, and what it answers to those it receives. Work for a reader's thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TypeVar

from twsync.errors import ProtocolError, SessionError
from twsync.limits import MAX_ITEMS_PER_MESSAGE, MAX_ITEMS_PER_SESSION, MAX_REFUSED_PER_MESSAGE, MAX_ROW_BYTES_PER_ROUND, MESSAGE_BYTES
from twsync.peerwire import messages, rows
from twsync.reconcile.anchors import Scope
from twsync.reconcile.compare import ancestors, counterparts, with_ancestors
from twsync.reconcile.model import Item, Kind
from twsync.reconcile.versions import Version
from twsync.store.ignore import Ignore
from twsync.store.journal import CollectionJournal
from twsync.store.rows import Row

#: The reason of a key that this host leaves out on purpose: nobody waits for it to be taken one day.
IGNORED = "ignored"
#: Bytes that a row costs beside its key, target and version.
_ROW_OVERHEAD = 96
#: Bytes in memory that an entry of a version costs.
_ENTRY_BYTES = 128
T = TypeVar("T")


def changed_rows(journal: CollectionJournal, ignore: Ignore, scope: Scope, upto: int, partner: int, also: Iterable[bytes]) -> list[Item]:
    """The rows for this side's `items`.

    :param scope: which rows.
    :param upto: sequence number after which rows are left to the next session.
    :param partner: the other side's replica; its own rows are not sent back.
    :param also: keys whose rows are sent whatever they are (they go through another round).
    :raises SessionError: there are more rows than a session may have.
    """
    found = journal.changes(scope.after, upto, 0 if scope.full else partner) if scope.send else []
    if also:
        there = {item.key for item in found}
        found += [row.item for row in journal.get_many(key for key in also if key not in there).values()]
    if not scope.full:
        cache: dict[bytes, Item | None] = {item.key: item for item in found}

        def lookup(key: bytes) -> Item | None:
            if key not in cache:
                row = journal.get(key)
                cache[key] = None if row is None else row.item
            return cache[key]

        found = list(with_ancestors(found, lookup))
    if not ignore.trivial:
        found = [item for item in found if not ignore.matches(item.key, item.kind is Kind.DIRECTORY)]
    if len(found) > MAX_ITEMS_PER_SESSION:
        raise SessionError(
            f"The collection has more than {MAX_ITEMS_PER_SESSION} changed items; split it into several collections.", "too-many-items"
        )
    return found


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered to the other side's rows."""

    items: list[Item]
    refused: list[tuple[bytes, str]]


def answer(
    journal: CollectionJournal,
    ignore: Ignore,
    received: Mapping[bytes, Item],
    sent: Set[bytes],
    blocked: Mapping[bytes, str],
    everything: bool,
) -> Answer:
    """Own rows of keys that the other side sent, where they matter, and the keys that are not taken.

    :param received: the other side's rows.
    :param sent: keys of the own rows sent in this round.
    :param blocked: keys that the scan could not take, with reasons.
    :param everything: answer with every own row (a further round of a refresh, where the absence of a row would be a statement).
    :raises SessionError: the other side knows changes of this journal that this journal does not.
    """
    own = own_changes_known(journal, received)

    def lookup(key: bytes) -> Item | None:
        row = own.get(key)
        return None if row is None else row.item

    def below(key: bytes) -> Iterable[Item]:
        return [row.item for row in journal.under(key)]

    refused: dict[bytes, str] = {}
    if not ignore.trivial:
        refused = {key: IGNORED for key, item in received.items() if ignore.matches(key, item.kind is Kind.DIRECTORY)}
    if blocked:
        for key in received:
            for one in (key, *ancestors(key)):
                if one in blocked:
                    refused[one] = blocked[one]
    if everything:
        items = [row.item for key, row in own.items() if key not in sent]
        items += counterparts(received, sent | own.keys(), lookup, below, refused)
    else:
        items = list(counterparts(received, sent, lookup, below, refused))
    if not ignore.trivial:
        items = [item for item in items if item.key not in refused and not ignore.matches(item.key, item.kind is Kind.DIRECTORY)]
    return Answer(items, sorted(refused.items()))


def own_changes_known(journal: CollectionJournal, received: Mapping[bytes, Item]) -> dict[bytes, Row]:
    """The own rows of received keys, each of which knows all the changes that this journal is said to have made.

    :raises SessionError: the other side knows changes of this journal that this journal does not.
    """
    own, replica = journal.get_many(received), journal.replica
    # Rows that follow each other mostly share a version.
    version: Version | None = None
    counter = 0
    for key, item in received.items():
        if item.version is not version:
            version = item.version
            counter = version.counter(replica)
        if counter and ((row := own.get(key)) is None or counter > row.item.version.counter(replica)):
            raise SessionError(
                "The other device has changes of this one that this one's journal does not know: the journal is an older copy. "
                f"Remove the collection {journal.name} here and add it again; nothing is deleted then.",
                "journal-behind",
            )
    return own


def answers(key: bytes, sent: Mapping[bytes, Item]) -> bool:
    """Whether a counterpart of this key answers a row that was sent: it is that row's, or below it and it is no directory."""
    return key in sent or any(above in sent and sent[above].kind is not Kind.DIRECTORY for above in ancestors(key))


class Inventory:
    """The other side's rows of one round, checked as they come.

    :param limit: rows that may still come in this session.
    """

    def __init__(self, limit: int) -> None:
        self.rows: dict[bytes, Item] = {}
        self.refused: dict[bytes, str] = {}
        self._limit = limit
        self._room = MAX_ROW_BYTES_PER_ROUND

    def add(self, received: Sequence[rows.Row]) -> list[Item]:
        """More rows; returns them, checked.

        :raises ProtocolError: a row that is none, a key twice, too many.
        """
        before = len(self.rows)
        items = rows.items(received)
        self.rows.update([(item.key, item) for item in items])
        if len(self.rows) != before + len(items):
            raise ProtocolError("a key sent twice")
        self._take(sum([_ROW_OVERHEAD + len(item.key) + len(item.target) + _ENTRY_BYTES * len(item.version.entries) for item in items]))
        if len(self.rows) > self._limit:
            raise ProtocolError("too many rows")
        return items

    def refuse(self, refused: Sequence[tuple[bytes, str]]) -> None:
        """Keys that the other side does not take."""
        self.refused.update(refused)
        self._take(sum(_ROW_OVERHEAD + len(key) for key, _reason in refused))
        if len(self.refused) > MAX_ITEMS_PER_SESSION:
            raise ProtocolError("too many refused keys")

    def _take(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            raise ProtocolError("rows of too many bytes")


def item_messages(items: Sequence[Item]) -> Iterator[messages.Items]:
    """The `items` messages of these rows."""
    for some in _portions(items):
        yield messages.Items(some)


def counterpart_messages(reply: Answer) -> Iterator[messages.Counterparts]:
    """The `counterparts` messages of an answer, the last one final."""
    for portion in _portions(reply.items):
        yield messages.Counterparts(portion, (), False)
    for some_refused in _cut(reply.refused, lambda pair: len(pair[0]) + 64, MAX_REFUSED_PER_MESSAGE):
        yield messages.Counterparts((), tuple(some_refused), False)
    yield messages.Counterparts((), (), True)


def skipped_messages(skipped: Iterable[tuple[bytes, str]], most: int) -> Iterator[messages.Skipped]:
    """The `skipped` messages of these items."""
    for some in _cut(skipped, lambda pair: len(pair[0]) + 64, most):
        yield messages.Skipped(tuple(some))


def _row_bytes(items: Iterable[Item]) -> int:
    return sum([_ROW_OVERHEAD + len(item.key) + len(item.target) + 20 * len(item.version.entries) for item in items])


def _portions(items: Sequence[Item]) -> Iterator[tuple[rows.Row, ...]]:
    """Rows as they fit a message."""
    for start in range(0, len(items), MAX_ITEMS_PER_MESSAGE):
        some = items[start : start + MAX_ITEMS_PER_MESSAGE]
        # Most often they all fit.
        fitting = (some,) if _row_bytes(some) <= MESSAGE_BYTES else _cut(some, lambda item: _row_bytes((item,)), len(some))
        for portion in fitting:
            yield tuple([rows.row(item) for item in portion])


def _cut(elements: Iterable[T], size: Callable[[T], int], most: int) -> Iterator[list[T]]:
    """Lists of at most `most` elements and about MESSAGE_BYTES bytes."""
    some: list[T] = []
    total = 0
    for element in elements:
        cost = size(element)
        if some and (len(some) == most or total + cost > MESSAGE_BYTES):
            yield some
            some, total = [], 0
        some.append(element)
        total += cost
    if some:
        yield some
