"""Matching records without a map: by UID, then content, then key properties, each own one once."""

from __future__ import annotations

import pytest

from twsync.reconcile.recordmatch import Likeness, Matcher


def record(key: bytes, uid: str = "", digest: bytes = b"", *keys: str) -> Likeness:
    return Likeness(key, uid, digest or key, frozenset(keys))


OWN = (
    record(b"a", "1", b"A", "ann", "tel:1"),
    record(b"b", "2", b"B", "bob", "tel:2"),
    record(b"c", "", b"C", "ann", "tel:1", "mail:a"),
    record(b"d", "2", b"D"),
    record(b"e", "", b"A"),
)


@pytest.mark.parametrize(
    ("uid", "digest", "keys", "found"),
    [
        ("1", b"?", (), b"a"),
        ("1", b"B", (), b"a"),
        ("2", b"D", (), b"d"),
        ("2", b"?", (), b"b"),
        ("9", b"C", (), b"c"),
        ("", b"A", (), b"e"),
        ("1", b"A", (), b"a"),
        ("", b"?", ("tel:1",), b"a"),
        ("", b"?", ("tel:1", "mail:a"), b"c"),
        ("9", b"?", ("tel:1",), b"c"),
        ("9", b"?", ("tel:2",), None),
        ("", b"?", (), None),
        ("", b"?", ("nobody",), None),
    ],
)
def test_the_order_of_what_decides(uid, digest, keys, found) -> None:
    assert Matcher(OWN).find(uid, digest, keys) == found


def test_each_own_record_pairs_once() -> None:
    matcher = Matcher(OWN)
    assert matcher.find("", b"A") == b"e"
    matcher.pair(b"e")
    assert b"e" not in matcher
    assert matcher.find("", b"A") == b"a"
    matcher.pair(b"a")
    matcher.pair(b"a")
    assert matcher.find("", b"A") is None
    assert matcher.find("1", b"A", ("ann",)) == b"c"
