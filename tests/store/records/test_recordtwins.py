"""Rows of one UID are numbered in one line."""

from __future__ import annotations

from twsync.reconcile.model import Item, Kind
from twsync.reconcile.versions import Order, Version
from twsync.store.recordtwins import in_line
from twsync.store.rows import Row

OWN = 7


def row(key: bytes, *version: tuple[int, int], live: bool = True) -> Row:
    kind = Kind.FILE if live else Kind.DELETED
    return Row(Item(key, kind, key if live else b"", 0, 0, 0o600, Version(version), b"", "host"))


def lined(changed: list[Row], *known: Row) -> dict[bytes, Version]:
    found = in_line(changed, lambda _: "u", lambda _: {"u": {one.key: one for one in known}}, OWN)
    return {one.key: one.item.version for one in found}


def test_a_row_alone_stays_as_it_is() -> None:
    (one,) = in_line([row(b"a", (OWN, 1))], lambda _: "u", lambda _: {}, OWN)
    assert one == row(b"a", (OWN, 1))
    (one,) = in_line([row(b"a", (OWN, 5))], lambda _: "", lambda _: {"": {b"b": row(b"b", (OWN, 9))}}, OWN)
    assert one.item.version == Version(((OWN, 5),))
    assert lined([row(b"a", (OWN, 2))], row(b"a", (OWN, 1))) == {b"a": Version(((OWN, 2),))}


def test_a_renamed_one_follows_its_deletion() -> None:
    found = lined([row(b"b", (OWN, 1)), row(b"a", (3, 4), (OWN, 2), live=False)], row(b"a", (3, 4), (OWN, 1)))
    assert found == {b"a": Version(((3, 4), (OWN, 3))), b"b": Version(((3, 4), (OWN, 4)))}
    # Also if the deletion was seen before.
    assert lined([row(b"b", (OWN, 1))], row(b"a", (3, 4), (OWN, 2), live=False)) == {b"b": Version(((3, 4), (OWN, 3)))}


def test_a_copy_of_what_is_deleted_follows_too() -> None:
    found = lined([row(b"a", (OWN, 2), live=False)], row(b"a", (OWN, 1)), row(b"b", (5, 1)))
    assert found[b"b"].order(found[b"a"]) is Order.NEWER
    assert found[b"b"].counter(5) == 1


def test_no_number_is_used_twice() -> None:
    found = lined([row(b"a", (OWN, 1)), row(b"b", (OWN, 1)), row(b"c", (OWN, 3))], row(b"c", (OWN, 2)), row(b"d", (OWN, 6), live=False))
    numbers = [version.counter(OWN) for version in found.values()]
    assert sorted(numbers) == [7, 8, 9]
