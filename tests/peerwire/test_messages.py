"""Every way a message can be invalid."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twsync.errors import PathError, ProtocolError
from twsync.limits import MAX_BUNDLE_FILES, MAX_COMPONENT, MAX_DEPTH, MAX_ITEMS_PER_MESSAGE, MAX_KEY, SMALL_FILE
from twsync.peerwire import messages as m
from twsync.peerwire import rows
from twsync.reconcile.model import Item, Kind, Policy, SyncType
from twsync.reconcile.versions import Version
from twsync.store.paths import validate_key

C = bytes(32)
V = Version(((5, 1),))
FILE = Item(b"a/b.txt", Kind.FILE, C, 3, 10, 0o644, V, b"", "laptop")
ROW = rows.row(FILE)

GOOD = [
    m.Hello(1, ("zstd",), "call@host", "photos", bytes(32)),
    m.Hello(1, (), "call@host", "photos"),
    m.Open(2**64 - 1, (bytes(16),), SyncType.SLOW, Policy.OURS, bytes(16), 3, True),
    m.Items((ROW,)),
    m.ItemsEnd(7, False, 1),
    m.Counterparts((ROW,), ((b"x", "ignored"),), False),
    m.Plan(bytes(32), 4),
    m.Ahead(b"a", SMALL_FILE + 1, b""),
    m.Ahead(b"a/b", 2**63 - 1, C),
    m.Fetch(3, b"a", "delta"),
    m.Stop(3),
    m.Want(bundles=((1, ((b"a", C),)),), files=((2, b"b", C, "whole", 10),)),
    m.Bundle(1, (("ok", 5), ("changed", 0))),
    m.File(2, "unreadable", 0),
    m.FileEnd(2, "ok"),
    m.RoundEnd(1, True),
    m.Skipped(((b"a", "special-file"),)),
    m.Commit(bytes(16), m.Counters(1, 2, 3, 4, 5)),
    m.Error("too-many-deletes", "No."),
]


@pytest.mark.parametrize("message", GOOD, ids=lambda message: message.kind)
def test_messages_survive_the_wire(message):
    assert m.decode(m.encode(message)) == message


def test_kind_is_the_tag():
    for message in GOOD:
        assert msgspec.msgpack.decode(m.encode(message))["type"] == message.kind


def wire(**fields):
    return msgspec.msgpack.encode(fields)


BAD = {
    "empty": b"",
    "no map": msgspec.msgpack.encode([1]),
    "no type": wire(a=1),
    "unknown type": wire(type="exec", command="rm"),
    "unknown field": wire(type="round-end", retry=0, held=False, more=1),
    "missing field": wire(type="round-end", retry=0),
    "wrong type of field": wire(type="round-end", retry="0", held=False),
    "negative count": wire(type="round-end", retry=-1, held=False),
    "bytes behind": m.encode(GOOD[0]) + b"x",
    "deep nesting": b"\x91" * 100_000,
    "token too short": wire(type="hello", protocol=1, features=[], session="s", collection="c", token=bytes(31)),
    "empty session": wire(type="hello", protocol=1, features=[], session="", collection="c"),
    "too many features": wire(type="hello", protocol=1, features=["x"] * 17, session="s", collection="c"),
    "announced small file": wire(type="ahead", key=b"a", size=SMALL_FILE, content=b""),
    "announced file larger than any": wire(type="ahead", key=b"a", size=2**63, content=b""),
    "announced half a content id": wire(type="ahead", key=b"a", size=SMALL_FILE + 1, content=bytes(16)),
    "announced path upwards": wire(type="ahead", key=b"../a", size=SMALL_FILE + 1, content=b""),
    "fetched path upwards": wire(type="fetch", transfer=1, key=b"../a", mode="whole"),
    "fetched in twsync's folder": wire(type="fetch", transfer=1, key=b".twsync/root", mode="whole"),
    "fetched in another way": wire(type="fetch", transfer=1, key=b"a", mode="part"),
    "stop of transfer 0": wire(type="stop", transfer=0),
    "three anchors": wire(
        type="open", replica=1, anchors=[bytes(16)] * 3, sync="slow", policy="ours", next=bytes(16), live=0, allow_deletes=False
    ),
    "replica 0": wire(type="open", replica=0, anchors=[], sync="slow", policy="ours", next=bytes(16), live=0, allow_deletes=False),
    "unknown sync type": wire(type="open", replica=1, anchors=[], sync="all", policy="ours", next=bytes(16), live=0, allow_deletes=False),
    "unknown policy": wire(type="open", replica=1, anchors=[], sync="slow", policy="mine", next=bytes(16), live=0, allow_deletes=False),
    "no rows": wire(type="items", items=[]),
    "refused key": wire(type="counterparts", items=[], refused=[[b"../x", "ignored"]], final=True),
    "reason that is no word": wire(type="counterparts", items=[], refused=[[b"x", "not a word!"]], final=True),
    "short digest": wire(type="plan", digest=bytes(31), deletes=0),
    "want of nothing": wire(type="want", bundles=[], files=[]),
    "empty bundle": wire(type="want", bundles=[[1, []]], files=[]),
    "large bundle": wire(type="want", bundles=[[1, [[b"a", C]] * (MAX_BUNDLE_FILES + 1)]], files=[]),
    "transfer 0": wire(type="want", bundles=[[0, [[b"a", C]]]], files=[]),
    "content id too long": wire(type="want", bundles=[[1, [[b"a", C + b"x"]]]], files=[]),
    "unknown mode": wire(type="want", bundles=[], files=[[1, b"a", C, "zip", 0]]),
    "delta from an offset": wire(type="want", bundles=[], files=[[1, b"a", C, "delta", 5]]),
    "unknown status": wire(type="file", transfer=1, status="maybe", size=0),
    "size beyond files": wire(type="file", transfer=1, status="ok", size=2**63),
    "unknown status in a bundle": wire(type="bundle", transfer=1, files=[["ok", 1], ["maybe", 0]]),
    "large file in a bundle": wire(type="bundle", transfer=1, files=[["ok", SMALL_FILE + 1]]),
    "size of what does not come": wire(type="bundle", transfer=1, files=[["changed", 1]]),
    "skipped outside": wire(type="skipped", items=[[b"/etc/passwd", "x"]]),
    "error without code": wire(type="error", code="", message="m"),
}


@pytest.mark.parametrize("payload", BAD.values(), ids=BAD.keys())
def test_invalid_messages_are_refused(payload):
    with pytest.raises(ProtocolError):
        m.decode(payload)


def test_too_many_rows_in_one_message():
    with pytest.raises(ProtocolError):
        m.decode(m.encode(m.Items((rows.row(Item(b"a", Kind.DELETED, b"", 0, 0, 0, V)),) * (MAX_ITEMS_PER_MESSAGE + 1))))


def test_own_message_that_does_not_fit_a_frame_is_a_mistake():
    with pytest.raises(ValueError):
        m.encode(m.Items((rows.row(Item(b"a" * 2000, Kind.DELETED, b"", 0, 0, 0, V)),) * 1000))


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_garbage_is_a_message_or_a_protocol_error(data):
    with contextlib.suppress(ProtocolError):
        m.decode(data)


# --- rows -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "item",
    [
        FILE,
        Item(b"d", Kind.DIRECTORY, b"", 0, -5, 0o755, V, b"", "laptop"),
        Item(b"l", Kind.SYMLINK, C, 0, 5, 0, V, b"../anywhere", "laptop"),
        Item(b"gone", Kind.DELETED, b"", 0, 5, 0, Version(((1, 2), (2**64 - 1, 9)))),
        Item(b"\xff\xfe name", Kind.FILE, C, 0, 5, 0, V, b"", "Gerät"),
    ],
)
def test_items_survive_the_wire(item):
    (row,) = m.decode(m.encode(m.Items((rows.row(item),)))).items
    assert rows.item(row) == item
    assert rows.items([ROW, row, row, ROW]) == [FILE, item, item, FILE]


def changed(**fields):
    return msgspec.structs.replace(ROW, **fields)


BAD_ROWS = {
    "file without content id": changed(content=b""),
    "short content id": changed(content=bytes(31)),
    "directory with content": changed(kind=2, size=0),
    "directory with size": changed(kind=2, content=b""),
    "link without target": changed(kind=3, size=0, mode=0),
    "file with target": changed(target=b"x"),
    "NUL in a target": changed(kind=3, size=0, mode=0, target=b"a\0b"),
    "mode of a tombstone": changed(kind=0, content=b"", size=0),
    "replica twice": changed(version=((5, 1), (5, 2))),
    "versions out of order": changed(version=((6, 1), (5, 2))),
    "counter 0": changed(version=((5, 0),)),
    "negative counter": changed(version=((5, -1),)),
    "replica too large": changed(version=((2**64, 1),)),
    "device with a line break": changed(device="a\nb"),
    "device too long": changed(device="ü" * 33),
}


@pytest.mark.parametrize("row", BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_impossible_rows_are_refused(row):
    with pytest.raises(ProtocolError):
        rows.item(row)
    # Nor are they let through behind one like them, whose version and device were looked at.
    with pytest.raises(ProtocolError):
        rows.items([ROW, ROW, row])


@pytest.mark.parametrize(
    "row",
    [
        changed(mode=0o1000),
        changed(kind=4),
        changed(size=-1),
        changed(mtime_ns=2**63),
        changed(version=()),
        changed(version=((5, 1),) * 257),
        changed(key=b""),
    ],
)
def test_rows_out_of_range_are_no_messages(row):
    with pytest.raises(ProtocolError):
        m.decode(m.encode(m.Items((row,))))


BAD_KEYS = [
    b"",
    b"/",
    b"/a",
    b"a/",
    b"a//b",
    b".",
    b"..",
    b"../a",
    b"a/..",
    b"a/../b",
    b"a/./b",
    b"a\0b",
    b".twsync",
    b".twsync/staging/x",
    b"x" * (MAX_COMPONENT + 1),
    b"a/" * MAX_DEPTH + b"a",
    b"a" * 200 + b"/" + b"b" * MAX_KEY,
]


@pytest.mark.parametrize("key", BAD_KEYS, ids=lambda key: repr(key[:20]))
def test_keys_that_are_no_paths_are_refused(key):
    with pytest.raises(ProtocolError):
        rows.check_key(key)


@pytest.mark.parametrize(
    "key",
    [
        b"a",
        b"...",
        b"..a",
        b"a..",
        b".hidden/x",
        b"a/.twsync",
        b".twsyncx",
        b"\xff",
        b"a\nb",
        b"-rf",
        b"x" * MAX_COMPONENT,
        b"a/" * (MAX_DEPTH - 1) + b"a",
    ],
)
def test_odd_keys_are_taken(key):
    rows.check_key(key)


@given(st.lists(st.sampled_from([b"a", b".", b"..", b"", b"\0", b".twsync", b"x" * 255, b"x" * 256, b"\n"]), max_size=6).map(b"/".join))
@settings(max_examples=300, deadline=None)
def test_keys_are_judged_as_the_path_gate_judges_them(key):
    def judged(check, error):
        try:
            check(key)
        except error:
            return False
        return True

    assert judged(rows.check_key, ProtocolError) == judged(validate_key, PathError)
