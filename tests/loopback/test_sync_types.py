"""Each sync type between two real hosts, and three hosts in a ring."""

from __future__ import annotations

import pytest

# What each side has done since the hosts were in step, and what stands on either after a session of that type. The caller is the client.
# Before: same.txt, edit.txt ("old") and gone.txt everywhere. The client edits edit.txt, deletes gone.txt, adds client.txt;
# the server adds server.txt and deletes same.txt.
OLD = {"same.txt": "same", "edit.txt": "old", "gone.txt": "gone", "keep.txt": "keep"}
CLIENT = {"edit.txt": "new", "gone.txt": None, "client.txt": "from the client"}
SERVER = {"server.txt": "from the server", "same.txt": None}

CLIENT_HAS = {"same.txt": "same", "edit.txt": "new", "client.txt": "from the client", "keep.txt": "keep"}
SERVER_HAS = {"edit.txt": "old", "gone.txt": "gone", "server.txt": "from the server", "keep.txt": "keep"}
BOTH = {"edit.txt": "new", "client.txt": "from the client", "server.txt": "from the server", "keep.txt": "keep"}

AFTER = {
    "two-way": (BOTH, BOTH),
    # A slow sync deletes nothing: what one side still has comes back on the other.
    "slow": (BOTH | {"same.txt": "same", "gone.txt": "gone"},) * 2,
    "one-way-from-client": (CLIENT_HAS, BOTH),
    "refresh-from-client": (CLIENT_HAS, CLIENT_HAS),
    "one-way-from-server": (BOTH, SERVER_HAS),
    "refresh-from-server": (SERVER_HAS, SERVER_HAS),
}


@pytest.mark.parametrize("kind", AFTER)
def test_sync_type(kind, world, laptop, desktop, write, texts, same):
    """After a session each side holds what its sync type says, and a second session of that type has nothing left to do."""
    name, (here, there) = world.share(laptop, desktop)
    write(here, OLD)
    first = laptop.sync(name, "desktop").expect(0).document
    assert first["state"] == "done" and first["protocol"] == "rsync"
    assert first["device"] == "alice/desktop" and first["collection"] == name and first["error"] is None
    assert first["sent"]["added"] == len(OLD)
    assert texts(there) == OLD
    same(here, there)

    write(here, CLIENT)
    write(there, SERVER)
    result = laptop.sync(name, "desktop", "--type", kind).expect(0).document
    assert result["type"] == kind and result["conflicts"] == [] and result["skipped"] == []
    client, server = AFTER[kind]
    assert texts(here) == client
    assert texts(there) == server

    again = laptop.sync(name, "desktop", "--type", kind).expect(0).document
    for side in ("sent", "received"):
        assert [again[side][count] for count in ("added", "changed", "deleted", "literal_bytes")] == [0, 0, 0, 0]


def test_delta_moves_only_the_change(world, laptop, desktop, same):
    """A line inserted in the middle of a large file costs a few blocks, not the file."""
    name, (here, there) = world.share(laptop, desktop, kind="pictures")
    lines = [f"line {number} of a long text\n".encode() for number in range(100_000)]
    (here / "long.txt").write_bytes(b"".join(lines))
    laptop.sync(name, "desktop").expect(0)
    lines.insert(50_000, b"one line more\n")
    (here / "long.txt").write_bytes(b"".join(lines))
    sent = laptop.sync(name, "desktop").expect(0).document["sent"]
    assert sent["changed"] == 1
    assert sent["literal_bytes"] < 20_000
    assert sent["matched_bytes"] > 2_000_000
    assert sent["wire_bytes"] < 100_000
    same(here, there)


def test_three_hosts_in_a_ring(world, laptop, desktop, write, texts, same):
    """News goes round a ring of three hosts and comes back without a conflict; a delete stays deleted."""
    (tablet,) = world.start("tablet")
    name, (one, two, three) = world.share(laptop, desktop, tablet)
    ring = [(laptop, "desktop"), (desktop, "tablet"), (tablet, "laptop")]
    write(one, {"a.txt": "a", "b.txt": "b"})
    write(two, {"c.txt": "c"})
    write(three, {"d.txt": "d"})

    def go_round():
        results = [host.sync(name, device).expect(0).document for host, device in ring]
        assert [result["conflicts"] for result in results] == [[], [], []]

    go_round()
    go_round()
    same(one, two, three)
    assert texts(one) == {"a.txt": "a", "b.txt": "b", "c.txt": "c", "d.txt": "d"}

    write(one, {"a.txt": "edited on the laptop"})
    write(two, {"b.txt": None, "c.txt": "edited on the desktop"})
    go_round()
    go_round()
    same(one, two, three)
    assert texts(three) == {"a.txt": "edited on the laptop", "c.txt": "edited on the desktop", "d.txt": "d"}


def test_status_history_and_trace(world, laptop, desktop, write, eventually):
    """What a session did can be looked up afterwards, with its messages and the numbers of their steps."""
    name, (here, _) = world.share(laptop, desktop)
    write(here, {"a.txt": "a"})
    result = laptop.sync(name, "desktop").expect(0).document

    status = laptop.twsync("status", "--json").expect(0).document
    assert status["device"] == "alice/laptop" and status["server"]["connected"]
    (collection,) = [each for each in status["collections"] if each["name"] == name]
    assert collection["items"] == 1 and collection["path"] == str(here) and collection["type"] == "files"
    (partner,) = collection["partners"]
    assert partner["device"] == "alice/desktop" and partner["last_sync"] and partner["state"] == "done"

    history = laptop.twsync("history", "--json").expect(0).document
    assert result["session"] in [each["session"] for each in history]

    def trace():
        return laptop.twsync("session", result["session"], "--trace").expect(0).stdout

    eventually(lambda: "(BYE)" in trace())
    drawn = trace()
    for word in ("INVITE", "100 Trying", "200 OK (INVITE)", "ACK", "DATA", "BYE"):
        assert word in drawn
    for step in (1, 2, 3, 4, 11, 12, 16, 17, 19, 20, 23):
        assert f" {step}   |" in drawn


def test_devices(world, laptop, desktop):
    """Both devices are seen online, with the fingerprints that they showed when they were made."""
    rows = {row["device"]: row for row in laptop.twsync("devices", "--json").expect(0).document}
    for host in (laptop, desktop):
        row = rows[host.name]
        assert row["online"] and row["fingerprint"] == host.fingerprint and row["address"].startswith("127.0.0.1:")
