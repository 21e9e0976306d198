"""Decision tables: two rows of one key, the type and the policy, and what is to happen; then whole trees.

Replica 1 is the client's journal, 2 the server's, 3 some third host's. A row is (what, version, mtime); what is None for a tombstone,
"/" for a directory, "@…" for a link, else a file's content. ``C`` and ``S`` are the sides.
"""

from __future__ import annotations

from typing import Any

import pytest

from twsync import limits
from twsync.reconcile.model import Item, Policy, Side, SyncType
from twsync.reconcile.operation import Action, Reason
from twsync.reconcile.plan import DIRECTORY_NOT_EMPTY, NAME_TOO_LONG, NO_DIRECTORY, VERSION_TOO_LONG, plan
from twsync.reconcile.policy import twin
from twsync.reconcile.versions import Version

C, S = Side.CLIENT, Side.SERVER
MARK1, MARK2 = twin(1), twin(2)
COPY_OF_CLIENT = b"k (conflict 1970-01-01 c)"
COPY_OF_SERVER = b"k (conflict 1970-01-01 s)"
Row = tuple[str | None, dict[int, int], int] | None
Expected = tuple[Action, tuple[Side, ...], str | None, dict[int, int], bytes | None] | None

# description, client's row, server's row, expected: action, sides, result, version, copy
TWO_WAY: list[tuple[str, Row, Row, Expected]] = [
    ("new at the client", ("x", {1: 1}, 5), None, (Action.TAKE, (S,), "x", {1: 1}, None)),
    ("new at the server", None, ("x", {2: 1}, 5), (Action.TAKE, (C,), "x", {2: 1}, None)),
    ("a tombstone of what the other never had", (None, {1: 2}, 5), None, (Action.DELETE, (S,), None, {1: 2}, None)),
    ("the same on both", ("x", {1: 1}, 5), ("x", {1: 1}, 5), None),
    ("both gone, the same", (None, {1: 2}, 5), (None, {1: 2}, 5), None),
    ("newer at the client", ("y", {1: 2}, 5), ("x", {1: 1}, 9), (Action.TAKE, (S,), "y", {1: 2}, None)),
    ("newer at the server", ("x", {1: 1}, 9), ("y", {1: 1, 2: 1}, 5), (Action.TAKE, (C,), "y", {1: 1, 2: 1}, None)),
    ("only its time, earlier but newer", ("x", {1: 2}, 1), ("x", {1: 1}, 9), (Action.MERGE, (S,), "x", {1: 2}, None)),
    ("only its version", ("x", {1: 2}, 5), ("x", {1: 1}, 5), (Action.MERGE, (S,), "x", {1: 2}, None)),
    ("deleted at the client", (None, {1: 2}, 5), ("x", {1: 1}, 5), (Action.DELETE, (S,), None, {1: 2}, None)),
    ("deleted at the server", ("x", {1: 1}, 5), (None, {1: 1, 2: 1}, 5), (Action.DELETE, (C,), None, {1: 1, 2: 1}, None)),
    ("made again after a delete", ("x", {1: 3}, 5), (None, {1: 2}, 5), (Action.TAKE, (S,), "x", {1: 3}, None)),
    ("a file became a directory", ("/", {1: 2}, 5), ("x", {1: 1}, 5), (Action.TAKE, (S,), "/", {1: 2}, None)),
    ("a directory became a file", ("x", {1: 2}, 5), ("/", {1: 1}, 5), (Action.TAKE, (S,), "x", {1: 2}, None)),
    ("the same change on both", ("x", {1: 1}, 5), ("x", {2: 1}, 5), (Action.MERGE, (C, S), "x", {1: 1, 2: 1}, None)),
    ("the same content, another time", ("x", {1: 1}, 5), ("x", {2: 1}, 7), (Action.MERGE, (C, S), "x", {1: 1, 2: 1}, None)),
    ("directories never conflict", ("/", {1: 1}, 5), ("/", {2: 1}, 7), (Action.MERGE, (C, S), "/", {1: 1, 2: 1}, None)),
    ("deleted on both", (None, {1: 1}, 5), (None, {2: 1}, 7), (Action.MERGE, (C, S), None, {1: 1, 2: 1}, None)),
    ("edit beats delete", ("x", {1: 1}, 1), (None, {2: 1}, 7), (Action.TAKE, (C, S), "x", {1: 1, 2: 1}, None)),
    ("delete loses to edit", (None, {1: 1}, 7), ("x", {2: 1}, 1), (Action.TAKE, (C, S), "x", {1: 1, 2: 1}, None)),
    ("the later wins", ("x", {1: 1}, 7), ("y", {2: 1}, 5), (Action.KEEP_BOTH, (S,), "x", {1: 1, 2: 1}, COPY_OF_SERVER)),
    ("the later wins, here the server's", ("x", {1: 1}, 5), ("y", {2: 1}, 7), (Action.KEEP_BOTH, (C,), "y", {1: 1, 2: 1}, COPY_OF_CLIENT)),
    ("link against file", ("@x", {1: 1}, 7), ("y", {2: 1}, 5), (Action.KEEP_BOTH, (S,), "@x", {1: 1, 2: 1}, COPY_OF_SERVER)),
    ("directory beats a later file", ("/", {1: 1}, 1), ("y", {2: 1}, 9), (Action.KEEP_BOTH, (S,), "/", {1: 1, 2: 1}, COPY_OF_SERVER)),
    ("directory beats a later link", ("@y", {1: 1}, 9), ("/", {2: 1}, 1), (Action.KEEP_BOTH, (C,), "/", {1: 1, 2: 1}, COPY_OF_CLIENT)),
    ("one vector, two contents", ("x", {3: 1}, 5), ("y", {3: 1}, 7), (Action.KEEP_BOTH, (C,), "y", {3: 1}, COPY_OF_CLIENT)),
    ("one vector, live and gone", ("x", {3: 1}, 5), (None, {3: 1}, 7), (Action.TAKE, (S,), "x", {3: 1}, None)),
    ("one vector, two times", ("x", {3: 1}, 5), ("x", {3: 1}, 7), (Action.MERGE, (C,), "x", {3: 1}, None)),
]

# Where slow differs from two-way; all else is the same (checked below).
SLOW: list[tuple[str, Row, Row, Expected]] = [
    ("a delete at the client is taken back", (None, {1: 2}, 5), ("x", {1: 1}, 5), (Action.TAKE, (C, S), "x", {1: 2, MARK2: 1}, None)),
    (
        "a delete at the server is taken back",
        ("x", {1: 1}, 5),
        (None, {1: 1, 2: 1}, 5),
        (Action.TAKE, (C, S), "x", {1: 1, 2: 1, MARK1: 1}, None),
    ),
    ("of a directory too", ("/", {1: 1}, 5), (None, {1: 1, 2: 1}, 5), (Action.TAKE, (C, S), "/", {1: 1, 2: 1, MARK1: 1}, None)),
]

OURS: list[tuple[str, Row, Row, Expected]] = [
    ("the client's holds", ("x", {1: 1}, 1), ("y", {2: 1}, 9), (Action.TAKE, (C, S), "x", {1: 1, 2: 1, MARK1: 1}, None)),
    ("also if it is the later anyway", ("x", {1: 1}, 9), ("y", {2: 1}, 1), (Action.TAKE, (C, S), "x", {1: 1, 2: 1, MARK1: 1}, None)),
    ("a newer one is no conflict", ("x", {1: 1}, 9), ("y", {1: 1, 2: 1}, 1), (Action.TAKE, (C,), "y", {1: 1, 2: 1}, None)),
    ("an edit beats a delete all the same", (None, {1: 1}, 9), ("y", {2: 1}, 1), (Action.TAKE, (C, S), "y", {1: 1, 2: 1}, None)),
    ("a directory too, with a copy", ("x", {1: 1}, 9), ("/", {2: 1}, 1), (Action.KEEP_BOTH, (C,), "/", {1: 1, 2: 1}, COPY_OF_CLIENT)),
]

# The client sends.
ONE_WAY: list[tuple[str, Row, Row, Expected]] = [
    ("new at the sender", ("x", {1: 1}, 5), None, (Action.TAKE, (S,), "x", {1: 1}, None)),
    ("deleted at the sender", (None, {1: 2}, 5), ("x", {1: 1}, 5), (Action.DELETE, (S,), None, {1: 2}, None)),
    ("only the receiver has it", None, ("x", {2: 1}, 5), None),
    ("only the receiver changed it", ("x", {1: 1}, 5), ("y", {1: 1, 2: 1}, 5), None),
    ("only the receiver deleted it", ("x", {1: 1}, 5), (None, {1: 1, 2: 1}, 5), None),
    ("newer at the sender", ("y", {1: 2}, 5), ("x", {1: 1}, 9), (Action.TAKE, (S,), "y", {1: 2}, None)),
    ("the sender wins, being later", ("x", {1: 1}, 9), ("y", {2: 1}, 5), (Action.KEEP_BOTH, (S,), "x", {1: 1, 2: 1}, COPY_OF_SERVER)),
    (
        "the sender wins, being earlier",
        ("x", {1: 1}, 1),
        ("y", {2: 1}, 5),
        (Action.KEEP_BOTH, (S,), "x", {1: 1, 2: 1, MARK1: 1}, COPY_OF_SERVER),
    ),
    ("the edit of the receiver lives", (None, {1: 1}, 5), ("y", {2: 1}, 5), None),
    ("the sender's edit beats a delete", ("x", {1: 1}, 5), (None, {2: 1}, 5), (Action.TAKE, (C, S), "x", {1: 1, 2: 1}, None)),
    ("the same change on both", ("x", {1: 1}, 5), ("x", {2: 1}, 5), (Action.MERGE, (C, S), "x", {1: 1, 2: 1}, None)),
    ("the sender's time holds", ("x", {1: 1}, 5), ("x", {2: 1}, 9), (Action.MERGE, (C, S), "x", {1: 1, 2: 1, MARK1: 1}, None)),
    ("a file over an empty directory", ("x", {1: 1}, 5), ("/", {2: 1}, 9), (Action.TAKE, (C, S), "x", {1: 1, 2: 1, MARK1: 1}, None)),
    ("a directory over a file", ("/", {1: 1}, 5), ("x", {2: 1}, 9), (Action.KEEP_BOTH, (S,), "/", {1: 1, 2: 1}, COPY_OF_SERVER)),
    ("both gone", (None, {1: 1}, 5), (None, {2: 1}, 9), (Action.MERGE, (C, S), None, {1: 1, 2: 1}, None)),
]

REFRESH: list[tuple[str, Row, Row, Expected]] = [
    ("missing at the receiver", ("x", {1: 1}, 5), None, (Action.TAKE, (S,), "x", {1: 1}, None)),
    ("missing at the sender", None, ("x", {2: 1}, 5), (Action.DELETE, (S,), None, {2: 1, MARK1: 1}, None)),
    ("a tombstone that only the receiver has", None, (None, {2: 1}, 5), None),
    (
        "deleted at the sender, edited at the receiver",
        (None, {1: 1}, 5),
        ("x", {2: 1}, 9),
        (Action.DELETE, (C, S), None, {1: 1, 2: 1, MARK1: 1}, None),
    ),
    ("deleted at the receiver", ("x", {1: 1}, 5), (None, {1: 1, 2: 1}, 5), (Action.TAKE, (C, S), "x", {1: 1, 2: 1, MARK1: 1}, None)),
    ("newer at the receiver", ("x", {1: 1}, 5), ("y", {1: 1, 2: 1}, 5), (Action.TAKE, (C, S), "x", {1: 1, 2: 1, MARK1: 1}, None)),
    ("newer at the sender", ("y", {1: 2}, 5), ("x", {1: 1}, 9), (Action.TAKE, (S,), "y", {1: 2}, None)),
    ("no conflict copies", ("x", {1: 1}, 1), ("y", {2: 1}, 9), (Action.TAKE, (C, S), "x", {1: 1, 2: 1, MARK1: 1}, None)),
    ("the same, the receiver's version ahead", ("x", {1: 1}, 5), ("x", {1: 1, 2: 1}, 5), (Action.MERGE, (C,), "x", {1: 1, 2: 1}, None)),
    ("the same, another time", ("x", {1: 1}, 5), ("x", {1: 1, 2: 1}, 9), (Action.MERGE, (C, S), "x", {1: 1, 2: 1, MARK1: 1}, None)),
    ("a file for a directory", ("x", {1: 1}, 5), ("/", {2: 1}, 9), (Action.TAKE, (C, S), "x", {1: 1, 2: 1, MARK1: 1}, None)),
]


def same_in_slow() -> list[tuple[str, Row, Row, Expected]]:
    changed = {(str(client), str(server)) for _, client, server, _ in SLOW}
    return [row for row in TWO_WAY if (str(row[1]), str(row[2])) not in changed]


CASES = [
    *((SyncType.TWO_WAY, Policy.KEEP_BOTH, *row) for row in TWO_WAY),
    *((SyncType.SLOW, Policy.KEEP_BOTH, *row) for row in same_in_slow()),
    *((SyncType.SLOW, Policy.KEEP_BOTH, *row) for row in SLOW),
    *((SyncType.TWO_WAY, Policy.OURS, *row) for row in OURS),
    *((SyncType.ONE_WAY_FROM_CLIENT, Policy.KEEP_BOTH, *row) for row in ONE_WAY),
    *((SyncType.REFRESH_FROM_CLIENT, policy, *row) for row in REFRESH for policy in (Policy.KEEP_BOTH, Policy.THEIRS)),
]


@pytest.mark.parametrize(("sync_type", "policy", "what", "client", "server", "expected"), CASES, ids=lambda value: str(value)[:60])
def test_one_key(world: Any, sync_type: SyncType, policy: Policy, what: str, client: Row, server: Row, expected: Expected) -> None:
    """The table's row, from both sides and mirrored (`decide` computes the plan three times and compares)."""
    mine = {b"k": world.item("k", *client, device="c")} if client else {}
    theirs = {b"k": world.item("k", *server, device="s")} if server else {}
    decided = world.decide(mine, theirs, (1, 2), sync_type, policy)
    assert not decided.skipped
    if expected is None:
        assert not decided.operations
        return
    (operation,) = decided.operations
    action, sides, result, version, copy = expected
    assert (operation.action, operation.sides) == (action, sides)
    assert operation.result.version == Version.of(version.items())
    wanted = world.item("k", result)
    assert (operation.result.kind, operation.result.content) == (wanted.kind, wanted.content)
    assert (operation.copy and operation.copy.key) == copy
    if result and result[0] not in "/@":
        assert operation.source is not None


def test_one_way_without_copies(world: Any) -> None:
    """With `ours` or `theirs` the sender of a one-way session wins just the same, and nothing is kept beside it."""
    for policy in (Policy.OURS, Policy.THEIRS):
        decided = world.decide(
            {b"k": world.item("k", "x", {1: 1}, 9)}, {b"k": world.item("k", "y", {2: 1}, 1)}, (1, 2), SyncType.ONE_WAY_FROM_CLIENT, policy
        )
        (operation,) = decided.operations
        assert (operation.action, operation.copy, operation.resolution) == (Action.TAKE, None, "ours")
        assert operation.result.version == Version.of([(1, 1), (2, 1), (MARK1, 1)])


def test_metadata_of_the_later_and_then_the_more_private(world: Any) -> None:
    """Concurrent rows of the same thing: the later time's metadata holds; at the same time the smaller mode."""
    early, late = world.item("k", "x", {1: 1}, 1, mode=0o600), world.item("k", "x", {2: 1}, 2, mode=0o644)
    (operation,) = world.decide({b"k": early}, {b"k": late}, (1, 2), SyncType.TWO_WAY).operations
    assert (operation.result.mode, operation.result.mtime_ns) == (0o644, late.mtime_ns)
    closed, opened = world.item("k", "/", {1: 1}, 2, mode=0o700), world.item("k", "/", {2: 1}, 2, mode=0o755)
    (operation,) = world.decide({b"k": closed}, {b"k": opened}, (1, 2), SyncType.TWO_WAY).operations
    assert operation.result.mode == 0o700


# --- whole trees ----------------------------------------------------------------------------------------------------------------------


def rows(world: Any, table: dict[str, tuple[Any, ...]], device: str = "laptop") -> dict[bytes, Item]:
    return {key.encode(): world.item(key, *row, device=device) for key, row in table.items()}


def test_a_new_child_keeps_its_directory(world: Any) -> None:
    """The client removed a directory, the server made something in it meanwhile: the directory and the new thing live, the rest goes."""
    client = rows(world, {"d": (None, {1: 2}), "d/old": (None, {1: 2})})
    server = rows(world, {"d": ("/", {1: 1}), "d/old": ("o", {1: 1}), "d/new": ("n", {2: 1})})
    decided = world.decide(client, server, (1, 2), SyncType.TWO_WAY)
    found = {operation.key: operation for operation in decided.operations}
    assert found[b"d"].result.kind == 2
    assert (found[b"d"].reason, found[b"d"].sides) == (Reason.NEEDED, (C, S))
    assert found[b"d"].result.version == Version.of([(1, 2), (MARK2, 1)])
    assert (found[b"d/old"].action, found[b"d/new"].sides) == (Action.DELETE, (C,))


def test_a_file_loses_to_a_directory_that_is_needed(world: Any) -> None:
    """The client put a file in place of a directory; the server edited something in there: the directory stays, the file gets a copy."""
    client = rows(world, {"d": ("file", {1: 2}, 9), "d/x": (None, {1: 2})}, "c")
    server = rows(world, {"d": ("/", {1: 1}), "d/x": ("edited", {1: 1, 2: 1})})
    for policy in Policy:
        found = {operation.key: operation for operation in world.decide(client, server, (1, 2), SyncType.TWO_WAY, policy).operations}
        kept = found[b"d"]
        assert (kept.action, kept.sides, kept.loser, kept.result.kind) == (Action.KEEP_BOTH, (C,), C, 2)
        assert kept.copy is not None and kept.copy.key == b"d (conflict 1970-01-01 c)"
        assert found[b"d/x"].sides == (C, S)


def test_one_way_cannot_replace_a_directory_that_the_receiver_needs(world: Any) -> None:
    """The sender's file waits; the receiver keeps its directory with its own new thing in it."""
    client = rows(world, {"d": ("file", {1: 2})})
    server = rows(world, {"d": ("/", {1: 1}), "d/new": ("n", {2: 1})})
    decided = world.decide(client, server, (1, 2), SyncType.ONE_WAY_FROM_CLIENT)
    assert not decided.operations
    assert [(skip.key, skip.reason) for skip in decided.skipped] == [(b"d", DIRECTORY_NOT_EMPTY)]
    client[b"d"] = world.item("d", None, {1: 2})
    decided = world.decide(client, server, (1, 2), SyncType.ONE_WAY_FROM_CLIENT)
    assert not decided.operations
    assert decided.held()
    assert not decided.held({DIRECTORY_NOT_EMPTY})


def test_one_way_makes_the_directories_that_the_sender_needs(world: Any) -> None:
    """The receiver replaced the directory by a file: it comes back for the sender's new thing, the file gets a copy."""
    client = rows(world, {"d": ("/", {1: 1}), "d/new": ("n", {1: 1})})
    server = rows(world, {"d": ("file", {1: 1, 2: 1})}, "s")
    found = {operation.key: operation for operation in world.decide(client, server, (1, 2), SyncType.ONE_WAY_FROM_CLIENT).operations}
    assert found[b"d"].copy.key == b"d (conflict 1970-01-01 s)"
    assert found[b"d/new"].sides == (S,)


def refusing(world: Any, client: dict[bytes, Item], server: dict[bytes, Item], refused: dict[bytes, str]) -> Any:
    return plan(client, server, client_replica=1, server_replica=2, sync_type=SyncType.TWO_WAY, refused_server=refused)


def test_what_a_side_refuses_is_skipped_with_all_below(world: Any) -> None:
    """A refused directory refuses everything in it; what the refusing side sends itself goes on."""
    client = rows(world, {"d": ("/", {1: 1}), "d/x": ("x", {1: 1}), "d/y/z": ("z", {1: 1}), "e": ("e", {1: 1})})
    server = rows(world, {"s": ("s", {2: 1})})
    decided = refusing(world, client, server, {b"d": "special-file"})
    assert [operation.key for operation in decided.operations] == [b"e", b"s"]
    assert [(skip.key, skip.side, skip.reason) for skip in decided.skipped] == [
        (key, S, "special-file") for key in (b"d", b"d/x", b"d/y/z")
    ]


def test_what_stays_by_refusal_keeps_its_directory(world: Any) -> None:
    """The server does not remove one file: its directory stays, on both sides."""
    client = rows(world, {"d": (None, {1: 2}), "d/x": (None, {1: 2})})
    server = rows(world, {"d": ("/", {1: 1}), "d/x": ("x", {1: 1})})
    decided = refusing(world, client, server, {b"d/x": "busy"})
    (operation,) = decided.operations
    assert (operation.key, operation.reason, operation.result.kind) == (b"d", Reason.NEEDED, 2)
    assert [skip.key for skip in decided.skipped] == [b"d/x"]


def test_nothing_is_placed_where_no_directory_stands(world: Any) -> None:
    """Rows that no honest journal has: a live child of a file, of a tombstone."""
    client = rows(world, {"f": ("file", {1: 1}), "f/x": ("x", {1: 1}), "g": (None, {1: 1}), "g/x/y": ("x", {1: 1})})
    decided = world.decide(client, {}, (1, 2), SyncType.TWO_WAY)
    assert [operation.key for operation in decided.operations] == [b"f", b"g"]
    assert [(skip.key, skip.reason) for skip in decided.skipped] == [(b"f/x", NO_DIRECTORY), (b"g/x/y", NO_DIRECTORY)]


def test_a_conflict_without_room_for_a_name_is_skipped(world: Any) -> None:
    """A key at the limit: nothing is overwritten, both sides keep what they have."""
    key = (b"d" * 200 + b"/") * (limits.MAX_KEY // 201) + b"k"
    key = b"dd/" * ((limits.MAX_KEY - len(key)) // 3) + key
    assert limits.MAX_KEY - 3 < len(key) <= limits.MAX_KEY
    decided = world.decide({key: world.item(key, "x", {1: 1}, 5)}, {key: world.item(key, "y", {2: 1}, 7)}, (1, 2), SyncType.TWO_WAY)
    assert not decided.operations
    assert [skip.reason for skip in decided.skipped] == [NAME_TOO_LONG]


def test_a_version_that_could_not_travel_is_skipped(world: Any) -> None:
    """The joined vector would have more entries than a row may have."""
    many = {1000 + number: 1 for number in range(limits.MAX_GIVEN_ENTRIES)}
    decided = world.decide({b"k": world.item("k", "x", many, 5)}, {b"k": world.item("k", "x", {2: 1}, 5)}, (1, 2), SyncType.TWO_WAY)
    assert not decided.operations
    assert [skip.reason for skip in decided.skipped] == [VERSION_TOO_LONG]


def test_copies_of_one_plan_do_not_collide(world: Any) -> None:
    """An item and its own older conflict copy lose on the same day: the second copy gets a number. A known key is not taken either."""
    names = ["k.txt", "k (conflict 1970-01-01 s).txt"]
    client = {name.encode(): world.item(name, f"client {name}", {1: 1}, 9, "c") for name in names}
    server = {name.encode(): world.item(name, f"server {name}", {2: 1}, 5, "s") for name in names}
    decided = world.decide(client, server, (1, 2), SyncType.TWO_WAY)
    assert sorted(operation.copy.key for operation in decided.operations) == [
        b"k (conflict 1970-01-01 s) 2.txt",
        b"k (conflict 1970-01-01 s) 3.txt",
    ]
    assert decided.copies(S) == 2
    assert decided.copies(C) == 0


def test_no_second_copy_of_the_same_content(world: Any) -> None:
    """The losing content stands under the conflict name already: that row is named, and nothing is made beside it."""
    lost = world.item("k", "y", {2: 1}, 5, "s")
    there = world.item(COPY_OF_SERVER, "y", {3: 1}, 5, "s")
    decided = world.decide({b"k": world.item("k", "x", {1: 1}, 9)}, {b"k": lost, there.key: there}, (1, 2), SyncType.TWO_WAY)
    conflict = next(operation for operation in decided.operations if operation.key == b"k")
    assert conflict.copy.key == there.key
    assert decided.set_aside(conflict, {there.key: there}.get, lambda key: False).present


def test_set_aside_heeds_disk_journal_and_plan(world: Any) -> None:
    """The losing side skips a name that its disk has, that its journal has with other content, or that the plan fills or empties."""
    client, server = {b"k": world.item("k", "x", {1: 1}, 9)}, {b"k": world.item("k", "y", {2: 1}, 5, "s")}
    decided = world.decide(client, server, (1, 2), SyncType.TWO_WAY)
    (conflict,) = decided.operations
    first, second, third = COPY_OF_SERVER, COPY_OF_SERVER + b" 2", COPY_OF_SERVER + b" 3"
    other = world.item(second, "other", {3: 1})
    assert decided.set_aside(conflict, lambda key: None, lambda key: False).item == conflict.copy
    assert decided.set_aside(conflict, {second: other}.get, lambda key: key == first).item.key == third
    # The plan removes what stands at the first name: it stands there until the end.
    client[first], server[first] = world.item(first, None, {3: 2}), world.item(first, "other", {3: 1})
    decided = world.decide(client, server, (1, 2), SyncType.TWO_WAY)
    conflict = next(operation for operation in decided.operations if operation.loser)
    assert decided.set_aside(conflict, server.get, lambda key: False).item.key == second


def test_the_digest_tells_plans_apart(world: Any) -> None:
    """Any difference that matters is in the digest."""
    base = {b"k": world.item("k", "x", {1: 1}, 5)}
    seen = {
        world.decide(rows_, {}, (1, 2), SyncType.TWO_WAY).digest()
        for rows_ in (
            {},
            base,
            {b"k": world.item("k", "y", {1: 1}, 5)},
            {b"k": world.item("k", "x", {1: 2}, 5)},
            {b"k": world.item("k", "x", {1: 1}, 6)},
            {b"l": world.item("l", "x", {1: 1}, 5)},
            base | {b"l": world.item("l", "x", {1: 1}, 5)},
        )
    }
    assert len(seen) == 7
    refused = refusing(world, base, {}, {b"k": "busy"}).digest()
    assert refused not in seen
    assert refused != refusing(world, base, {}, {b"k": "special-file"}).digest()


def test_only_rows_that_the_other_side_has_count_as_taken(world: Any) -> None:
    """A joined or marked row is no news from the partner alone: it is noted as a change of one's own."""
    (newer,) = world.decide({b"k": world.item("k", "x", {1: 1}, 9)}, {}, (1, 2), SyncType.TWO_WAY).operations
    assert newer.taken(S)
    assert not newer.taken(C)
    (merged,) = world.decide(
        {b"k": world.item("k", "x", {1: 1}, 9)}, {b"k": world.item("k", "x", {2: 1}, 9)}, (1, 2), SyncType.TWO_WAY
    ).operations
    assert not merged.taken(C)
    assert not merged.taken(S)


def test_settled_rows_are_no_news(world: Any) -> None:
    """What a plan gave to both sides need not travel in the next round; what only the loser of a conflict has must."""
    client = {b"j": world.item("j", "x", {1: 1}, 9), b"k": world.item("k", "x", {1: 1}, 9)}
    server = {b"j": world.item("j", "x", {2: 1}, 9), b"k": world.item("k", "y", {2: 1}, 5)}
    decided = world.decide(client, server, (1, 2), SyncType.TWO_WAY)
    merged, conflict = decided.operations
    assert decided.settled(merged.result)
    assert not decided.settled(conflict.result)
    assert not decided.settled(client[b"j"])
    assert not decided.settled(world.item("other", "x"))


def test_confirmations_are_for_the_sender_of_a_one_way_session(world: Any) -> None:
    """It learns the joined version of what the receiver kept beside; nobody else does so."""
    client, server = {b"k": world.item("k", "x", {1: 1}, 9)}, {b"k": world.item("k", "y", {2: 1}, 5)}
    decided = world.decide(client, server, (1, 2), SyncType.ONE_WAY_FROM_CLIENT)
    assert list(decided.confirmations(C)) == [decided.operations[0].result]
    assert not list(decided.confirmations(S))
    decided = world.decide(client, server, (1, 2), SyncType.TWO_WAY)
    assert not list(decided.confirmations(C))
