"""Rows of one UID are numbered in one line."""

from __future__ import annotations

from twsync.reconcile.model import Item, Kind
from twsync.reconcile.versions import Order, Version
from twsync.store.recordtwins import in_line
from twsync.store.rows import Row

OWN = 7


def test_the_rows_of_many_uids_are_found_together(pair, tools) -> None:
    """Live ones, and those that had the UID when they were deleted, where that is known: it is where a session deleted them."""
    client, server = pair
    names = [f"n{number}" for number in range(150)]
    for name in names:
        client.write(f"{name}.vcf", tools.card(name))
    client.write("twin.vcf", tools.card("Another", uid="n3"))
    tools.sync(client, server)
    client.delete("n5.vcf")
    client.delete("n70.vcf")
    client.write("renamed.vcf", tools.card("n70"))
    tools.sync(client, server)
    rows = server.rows
    found = rows.rows_of([*names, "none", ""])
    assert set(found) == set(names)
    live = {uid: {key: row.item.live for key, row in some.items()} for uid, some in found.items()}
    odd = {"n3": {b"n3.vcf": True, b"twin.vcf": True}, "n5": {b"n5.vcf": False}, "n70": {b"n70.vcf": False, b"renamed.vcf": True}}
    assert live == {name: {f"{name}.vcf".encode(): True} for name in names} | odd
    assert all(rows.rows_of([uid]) == {uid: found[uid]} for uid in ("n1", *odd))
    assert all(row == rows.get(key) for some in found.values() for key, row in some.items())
    assert [rows.texts.knows(uid) for uid in ("n5", "none", "")] == [True, False, False]
    assert "n5" not in client.rows.rows_of(names)


def test_nothing_is_known_of_any_uid_until_a_text_is_kept(make_box, tools) -> None:
    box, other = make_box("laptop"), make_box("desktop")
    texts = box.rows.texts
    assert not texts.knows("a")
    box.write("a.vcf", tools.card("a"))
    tools.sync(box, other)
    assert texts.knows("a") and not texts.knows("b")


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
