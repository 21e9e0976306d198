"""Whole sessions between two stores, over a data channel in memory."""

from __future__ import annotations

import os
import random
import shutil

import pytest
from blake3 import blake3

from twsync import delta
from twsync.limits import MAX_BULK, READ_AHEAD
from twsync.peer import largefile
from twsync.peer.comparing import Comparison
from twsync.peerwire import messages
from twsync.peerwire.frames import FrameType
from twsync.reconcile.model import Policy, SyncType
from twsync.session.result import State
from twsync.store import scan

ONE_WAY = [SyncType.ONE_WAY_FROM_CLIENT, SyncType.ONE_WAY_FROM_SERVER]


def good(results):
    assert [result.error for result in results] == [None, None]
    return results


@pytest.fixture
def pair(world):
    """Two hosts in step, with a few items."""
    one, two = world.host("laptop"), world.host("desktop")
    for name in ("a.txt", "b.txt", "sub/c.txt", "sub/deep/d.txt"):
        one.write(name, "first " + name)
    (one.folder / "link").symlink_to("a.txt")
    good(world.sync(one, two))
    assert one.tree() == two.tree()
    return one, two


def test_first_session_brings_both_together(world):
    one, two = world.host("laptop"), world.host("desktop")
    one.write("a.txt", "from one")
    one.write("empty", "")
    one.write("sub/deep/b.txt", "deep")
    (one.folder / "void").mkdir()
    two.write("c.txt", "from two")
    (two.folder / "link").symlink_to("nowhere")
    one_result, two_result = good(world.sync(one, two))
    assert one.tree() == two.tree()
    assert len(one.tree()) == 8
    assert (one_result.type, one_result.effective_type) == ("two-way", "slow")
    assert one_result.state is State.DONE
    assert (one_result.sent.added, one_result.received.added) == (6, 2)
    assert (two_result.sent.added, two_result.received.added) == (2, 6)
    assert one_result.sent.literal_bytes == two_result.received.literal_bytes == len("from one" + "deep")
    assert one_result.sent.wire_bytes == two_result.received.wire_bytes > 0


@pytest.mark.parametrize("sync_type", list(SyncType))
def test_rows_shown_while_the_scan_goes_on_come_to_the_same(world, pair, sync_type, monkeypatch):
    shown = []
    genuine = Comparison.show
    monkeypatch.setattr(Comparison, "show", lambda self, rows: (shown.extend(rows), genuine(self, rows)))

    def session(many):
        monkeypatch.setattr(scan, "MANY", many)
        one, two = world.host(f"laptop {many}"), world.host(f"desktop {many}")
        for number in range(12):
            one.write(f"sub{number % 3}/{number}.txt", f"content {number}")
            two.write(f"sub{number % 4}/{number}.txt", f"content {number}")
        good(world.sync(one, two))
        for host, text in ((one, "one"), (two, "two")):
            for number in range(4):
                host.write(f"sub{number}/{text} {number}.txt", text)
            host.write("sub0/0.txt", text, mtime=10**18)
        (one.folder / "sub1" / "1.txt").unlink()
        results = good(world.sync(one, two, sync_type))
        counts = [(result.sent.added, result.sent.changed, result.sent.deleted, result.sent.literal_bytes) for result in results]
        return [{path: data for path, data in host.tree().items() if "conflict" not in path} for host in (one, two)], counts

    plain = session(10**6)
    assert not shown
    assert session(1) == plain
    assert len(shown) > 24


def test_nothing_changed_costs_next_to_nothing(world, pair):
    one, two = pair
    result, _ = good(world.sync(two, one))
    assert result.effective_type == "two-way"
    assert result.sent.wire_bytes < 1000
    assert result.sent.added == result.received.added == result.sent.changed == 0


def test_rows_of_a_session_are_not_sent_back_in_the_next(world):
    """Neither those that only one side had before the first session, nor those that both sides joined."""
    one, two = world.host("laptop"), world.host("desktop")
    for number in range(50):
        one.write(f"{number}.txt", f"content {number}")
        if number % 2:
            two.write(f"{number}.txt", f"content {number}")
    good(world.sync(one, two))
    for first, second in ((one, two), (two, one)):
        result, _ = good(world.sync(first, second))
        assert result.sent.wire_bytes + result.received.wire_bytes < 2000


def test_an_edit_after_a_one_way_conflict_is_no_second_conflict(world, pair):
    client, server = pair
    client.write("a.txt", "client's")
    server.write("a.txt", "server's")
    result, _ = good(world.sync(client, server, SyncType.ONE_WAY_FROM_CLIENT))
    assert len(result.conflicts) == 1
    client.write("a.txt", "client's second")
    result, _ = good(world.sync(client, server, SyncType.ONE_WAY_FROM_CLIENT))
    assert result.conflicts == []
    assert server.tree()["a.txt"] == b"client's second"
    good(world.sync(client, server))
    assert client.tree() == server.tree()
    assert sum(content == b"server's" for content in client.tree().values()) == 1


def test_a_conflict_copy_does_not_meet_what_the_same_session_brings(world, pair):
    """The name that the copy would get first is new on the other side too."""
    one, two = pair
    one.write("a.txt", "older", mtime=1_700_000_000)
    two.write("a.txt", "newer", mtime=1_700_000_100)
    name = "a (conflict 2023-11-14 laptop).txt"
    two.write(name, "something else")
    result, _ = good(world.sync(one, two))
    assert one.tree() == two.tree()
    assert one.tree()["a.txt"] == b"newer"
    assert one.tree()[name] == b"something else"
    assert one.tree()[result.conflicts[0].copy] == b"older"


def test_changes_both_ways(world, pair):
    one, two = pair
    one.write("a.txt", "second a")
    one.write("new/e.txt", "e")
    two.write("sub/c.txt", "second c")
    (two.folder / "b.txt").unlink()
    (two.folder / "a.txt").chmod(0o600)
    (two.folder / "a.txt").chmod(0o644)
    result, _ = good(world.sync(one, two))
    assert one.tree() == two.tree()
    assert one.tree()["a.txt"] == b"second a"
    assert one.tree()["sub/c.txt"] == b"second c"
    assert "b.txt" not in one.tree()
    assert (result.received.changed, result.received.deleted, result.sent.added, result.sent.changed) == (1, 1, 2, 1)


def test_times_and_modes_travel(world, pair):
    one, two = pair
    os.utime(one.write("a.txt", "x"), (1_000_000, 1_000_000))
    (one.folder / "b.txt").chmod(0o640)
    os.utime(one.folder / "sub", (2_000_000, 2_000_000))
    good(world.sync(one, two))
    assert (two.folder / "a.txt").stat().st_mtime == 1_000_000
    assert (two.folder / "b.txt").stat().st_mode & 0o777 == 0o640
    assert (two.folder / "sub").stat().st_mtime == 2_000_000


def test_file_and_folder_change_places(world, pair):
    one, two = pair
    (one.folder / "a.txt").unlink()
    one.write("a.txt/inside.txt", "now a folder")
    for name in ("sub/deep/d.txt", "sub/c.txt"):
        (one.folder / name).unlink()
    (one.folder / "sub/deep").rmdir()
    (one.folder / "sub").rmdir()
    one.write("sub", "now a file")
    good(world.sync(one, two))
    assert two.tree() == one.tree()
    assert two.tree()["sub"] == b"now a file"


# --- sync types -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sync_type", list(SyncType))
def test_sync_types(world, pair, sync_type):
    """What each type does with a change, an addition and a deletion on each side."""
    client, server = pair
    client.write("a.txt", "client's")
    client.write("client.txt", "new")
    (client.folder / "sub/c.txt").unlink()
    server.write("b.txt", "server's")
    server.write("server.txt", "new")
    (server.folder / "sub/deep/d.txt").unlink()
    before_client, before_server = client.tree(), server.tree()
    good(world.sync(client, server, sync_type))
    after_client, after_server = client.tree(), server.tree()
    first = {name: f"first {name}".encode() for name in ("b.txt", "sub/c.txt", "sub/deep/d.txt")}
    if sync_type is SyncType.TWO_WAY:
        assert after_client == after_server
        assert not {"sub/c.txt", "sub/deep/d.txt"} & after_client.keys()
        assert after_client["a.txt"] == b"client's" and after_client["b.txt"] == b"server's"
    elif sync_type is SyncType.SLOW:
        assert after_client == after_server
        assert after_client["sub/c.txt"] == first["sub/c.txt"] and after_client["sub/deep/d.txt"] == first["sub/deep/d.txt"]
    elif sync_type is SyncType.REFRESH_FROM_CLIENT:
        assert after_client == after_server == before_client
    elif sync_type is SyncType.REFRESH_FROM_SERVER:
        assert after_client == after_server == before_server
    elif sync_type is SyncType.ONE_WAY_FROM_CLIENT:
        assert after_client == before_client
        assert after_server["a.txt"] == b"client's" and "sub/c.txt" not in after_server
        assert after_server["b.txt"] == b"server's" and "server.txt" in after_server and "sub/deep/d.txt" not in after_server
    else:
        assert after_server == before_server
        assert after_client["b.txt"] == b"server's" and "sub/deep/d.txt" not in after_client
        assert after_client["a.txt"] == b"client's" and "client.txt" in after_client and "sub/c.txt" not in after_client


@pytest.mark.parametrize("sync_type", ONE_WAY)
def test_what_a_one_way_session_left_comes_with_the_next_two_way(world, pair, sync_type):
    client, server = pair
    client.write("client.txt", "new")
    server.write("server.txt", "new")
    good(world.sync(client, server, sync_type))
    assert client.tree() != server.tree()
    good(world.sync(client, server))
    assert client.tree() == server.tree()
    assert {"client.txt", "server.txt"} <= client.tree().keys()


# --- conflicts --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", list(Policy))
def test_conflicts(world, pair, policy):
    client, server = pair
    client.write("a.txt", "client's", mtime=1_790_000_000)
    server.write("a.txt", "server's", mtime=1_780_000_000)
    results = good(world.sync(client, server, SyncType.TWO_WAY, policy))
    assert client.tree() == server.tree()
    assert client.tree()["a.txt"] == (b"server's" if policy is Policy.THEIRS else b"client's")
    copies = [name for name in client.tree() if "conflict" in name]
    if policy is Policy.KEEP_BOTH:
        assert [client.tree()[name] for name in copies] == [b"server's"]
        assert "desktop" in copies[0]
    else:
        assert copies == []
    for result in results:
        (conflict,) = result.conflicts
        assert (conflict.item, conflict.copy) == ("a.txt", copies[0] if copies else None)
        assert conflict.resolution == ("kept-both" if policy is Policy.KEEP_BOTH else policy)
    assert results[0].exit_code() == (3 if copies else 0)
    loser = client if policy is Policy.THEIRS else server
    for host in (client, server):
        (kept,) = host.journal.conflicts.list(open_only=False)
        assert (kept.key, kept.copy, kept.own_lost) == (b"a.txt", copies[0].encode() if copies else b"", host is loser)
    good(world.sync(server, client))
    assert client.tree() == server.tree()
    assert len(client.tree()) == (7 + len(copies))


def test_same_edit_on_both_sides_is_no_conflict(world, pair):
    one, two = pair
    one.write("a.txt", "same", mtime=1_790_000_000)
    two.write("a.txt", "same", mtime=1_780_000_000)
    result, _ = good(world.sync(one, two))
    assert result.conflicts == []
    assert one.tree() == two.tree() and result.sent.literal_bytes == 0
    assert (two.folder / "a.txt").stat().st_mtime == 1_790_000_000


def test_edit_beats_delete(world, pair):
    one, two = pair
    (one.folder / "a.txt").unlink()
    two.write("a.txt", "edited")
    good(world.sync(one, two))
    assert one.tree() == two.tree()
    assert one.tree()["a.txt"] == b"edited"


def test_three_hosts_in_a_ring_see_no_false_conflict(world, pair):
    one, two = pair
    three = world.host("phone")
    good(world.sync(two, three))
    good(world.sync(three, one))
    one.write("a.txt", "second")
    for a, b in ((one, two), (two, three), (three, one), (one, two)):
        result, _ = good(world.sync(a, b))
        assert result.conflicts == []
    three.write("a.txt", "third")
    for a, b in ((three, one), (one, two), (two, three)):
        result, _ = good(world.sync(a, b))
        assert result.conflicts == []
    assert one.tree() == two.tree() == three.tree()
    assert one.tree()["a.txt"] == b"third"


def test_lost_journal_makes_a_slow_session_that_deletes_nothing(world, pair):
    one, two = pair
    (two.folder / "b.txt").unlink()
    two.journal.forget("photos")
    result, _ = good(world.sync(one, two))
    assert result.effective_type == "slow"
    assert one.tree() == two.tree()
    assert "b.txt" in one.tree()
    assert result.conflicts == []


# --- guards -----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def many(world):
    one, two = world.host("laptop"), world.host("desktop")
    for number in range(60):
        one.write(f"f{number:02}", str(number))
    good(world.sync(one, two))
    for number in range(30):
        (one.folder / f"f{number:02}").unlink()
    return one, two


@pytest.mark.parametrize("caller", [0, 1])
def test_too_many_deletes_stop_before_anything_is_touched(world, many, caller):
    one, two = many
    one.write("g", "new")
    before = two.tree()
    results = world.sync(*((one, two) if caller == 0 else (two, one)))
    assert [result.error.code for result in results] == ["too-many-deletes"] * 2
    assert results[0].error.message == results[1].error.message
    assert "desktop" in results[0].error.message
    assert two.tree() == before
    assert results[0].exit_code() == 1


def test_deletes_can_be_allowed(world, many):
    one, two = many
    results = world.sync(one, two, client_more={"allow_deletes": True})
    assert [result.error.code for result in results] == ["too-many-deletes"] * 2, "the callee does not heed every caller"
    good(world.sync(one, two, client_more={"allow_deletes": True}, server_more={"heed_caller": True}))
    assert one.tree() == two.tree()
    assert len(two.tree()) == 30


@pytest.mark.parametrize("caller", [0, 1])
def test_a_renamed_folder_is_no_mass_delete(world, caller):
    """Nothing is counted of it, on either side, in this or a later round."""
    one, two = world.host("laptop"), world.host("desktop")
    for number in range(60):
        one.write(f"photos/{number // 30}/f{number:02}", str(number % 50))
    one.write("photos/none", "")
    (one.folder / "photos" / "link").symlink_to("none")
    good(world.sync(one, two))
    (one.folder / "photos").rename(one.folder / "Photos")
    # A conflict, so that there is another round, in which something goes.
    one.write("note", "one")
    two.write("note", "two")
    good(world.sync(*((one, two) if caller == 0 else (two, one))))
    frames = [frame for channel in world.channels for frame in channel.sent_frames if frame.kind is FrameType.CONTROL]
    plans = [said for said in map(messages.decode, (frame.payload for frame in frames)) if isinstance(said, messages.Plan)]
    assert [plan.deletes for plan in plans] == [0] * 4
    assert one.tree() == two.tree()
    assert len(two.tree()) == 67


def test_a_rename_does_not_hide_deletes(world, many):
    """Those beside it are counted as ever."""
    one, two = many
    for number in range(30, 50):
        (one.folder / f"f{number:02}").rename(one.folder / f"g{number:02}")
    results = world.sync(one, two)
    assert [result.error.code for result in results] == ["too-many-deletes"] * 2
    assert "delete 30 of the 60 items on desktop; nothing was changed" in results[0].error.message


def test_emptied_root_stops(world, pair):
    one, two = pair
    for path in sorted(one.folder.rglob("*"), reverse=True):
        if ".twsync" not in str(path):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    before = two.tree()
    for a, b in ((one, two), (two, one)):
        results = world.sync(a, b)
        assert [result.error.code for result in results] == ["emptied"] * 2
    assert two.tree() == before


def test_missing_root_stops(world, pair):
    one, two = pair
    one.folder.rename(one.folder.with_name("moved"))
    before = two.tree()
    results = world.sync(two, one)
    assert [result.error.code for result in results] == ["root-missing"] * 2
    assert two.tree() == before


# --- content ----------------------------------------------------------------------------------------------------------------------------


def big(seed, size=3_000_000):
    return random.Random(seed).randbytes(size)


def test_large_files_whole_and_by_delta(world):
    one, two = world.host("laptop"), world.host("desktop")
    content = big(1)
    one.write("large", content)
    result, _ = good(world.sync(one, two))
    assert result.sent.literal_bytes == len(content)
    changed = content[:1_000_000] + b"inserted" + content[1_000_000:]
    two.write("large", changed)
    result, _ = good(world.sync(one, two))
    assert one.tree()["large"] == changed
    assert result.received.literal_bytes < 20_000
    assert result.received.matched_bytes + result.received.literal_bytes == len(changed)


@pytest.fixture
def signing(monkeypatch):
    """Signatures are kept of all large files, whatever the core; what is returned is asked whether one was made of an old file."""
    made = []
    original = delta.signature_chunks

    def noticed(*args, **options):
        made.append(args[0])
        return original(*args, **options)

    monkeypatch.setattr(delta, "BACKEND", "native")
    monkeypatch.setattr(largefile, "SIGNED_FILE", 1)
    monkeypatch.setattr(delta, "signature_chunks", noticed)
    return made


def kept_signatures(host):
    return sorted((host.folder / ".twsync" / "signatures").iterdir())


@pytest.fixture
def received(world, signing):
    """Two hosts, a large file that came from the first to the second, and its kept signature."""
    one, two = world.host("laptop"), world.host("desktop")
    content = big(1)
    one.write("large", content)
    good(world.sync(one, two))
    (path,) = kept_signatures(two)
    return one, two, content, path


def test_signatures_are_made_while_files_come(world, signing):
    """Of whole files and of deltas; those of what is not there any more are forgotten."""
    one, two = world.host("laptop"), world.host("desktop")
    content = big(1)
    one.write("large", content)
    good(world.sync(one, two))
    for number in range(3):
        content = content[: number * 700_000] + b"inserted" + content[number * 700_000 :]
        one.write("large", content)
        result, _ = good(world.sync(one, two))
        assert two.tree()["large"] == content
        assert result.sent.literal_bytes < 20_000
        assert len(kept_signatures(two)) == 2  # the old one is swept by the next session
    assert signing == []
    assert not (one.folder / ".twsync" / "signatures").exists()
    good(world.sync(one, two))
    assert [path.name for path in kept_signatures(two)] == [blake3(content).hexdigest()]
    # The other way nothing was kept: it is made of the file.
    two.write("large", content + b"appended")
    good(world.sync(one, two))
    assert one.tree() == two.tree()
    assert len(signing) == 1


def test_kept_signature_of_another_file_costs_a_transfer(world, received):
    """One that is in order, but not of this content: the delta fails, the file comes whole, and the signature is not used again."""
    one, two, content, path = received
    path.write_bytes(delta.signature(content[:-1] + b"x", seed=1))
    one.write("large", content[:-1] + b"x more")
    result, _ = good(world.sync(one, two))
    assert one.tree() == two.tree()
    assert result.sent.literal_bytes >= len(content)
    assert not path.exists()


def test_damaged_kept_signature_is_made_anew(world, received, signing):
    one, two, content, path = received
    path.write_bytes(path.read_bytes()[:-1])
    one.write("large", content + b"more")
    result, _ = good(world.sync(one, two))
    assert one.tree() == two.tree()
    assert result.sent.literal_bytes < 20_000
    assert len(signing) == 1


def test_renames_and_copies_are_not_sent(world):
    one, two = world.host("laptop"), world.host("desktop")
    one.write("large", big(2, 300_000))
    one.write("small", "small content")
    good(world.sync(one, two))
    (one.folder / "large").rename(one.folder / "moved")
    (one.folder / "small").rename(one.folder / "other")
    one.write("copy", "small content")
    result, _ = good(world.sync(one, two))
    assert one.tree() == two.tree()
    assert result.sent.literal_bytes == 0
    assert result.sent.matched_bytes > 300_000


def test_the_same_content_is_sent_once(world):
    one, two = world.host("laptop"), world.host("desktop")
    for number in range(5):
        one.write(f"large{number}", big(3, 200_000))
        one.write(f"small{number}", "twin")
    result, _ = good(world.sync(one, two))
    assert one.tree() == two.tree()
    assert result.sent.literal_bytes == 200_004
    assert result.sent.added == 10


def test_many_small_files_go_in_few_frames(world):
    one, two = world.host("laptop"), world.host("desktop")
    for number in range(600):
        one.write(f"d{number % 7}/f{number}", str(number) * 50)
    good(world.sync(one, two))
    assert one.tree() == two.tree()
    assert len(world.channels[0].sent_frames) < 40
    assert len(world.channels[1].sent_frames) < 30


def test_slow_wire_compresses_what_shrinks(world):
    one, two = world.host("laptop"), world.host("desktop")
    text = b"".join(b"line %d of a log that is much the same as any other\n" % number for number in range(400_000))
    one.write("log", text)
    result, _ = good(world.sync(one, two, rate=4_000_000))
    assert two.tree()["log"] == text
    assert result.sent.literal_bytes == len(text)
    assert result.sent.wire_bytes < len(text) * 0.6


@pytest.mark.parametrize("rate", [None, 4_000_000])
def test_frames_go_together_only_where_the_wire_takes_them_at_once(world, rate):
    """What else is said would wait behind them."""
    one, two = world.host("laptop"), world.host("desktop")
    one.write("large", content := blake3(b"large").digest(12 * MAX_BULK))
    world.start(one, two, rate=rate)
    channel, groups, before = world.channels[0], [], 0
    drained = channel.drained

    def asked():
        nonlocal before
        groups.append(sum(frame.kind is not FrameType.CONTROL for frame in channel.sent_frames[before:]))
        before = len(channel.sent_frames)
        return drained()

    channel.drained = asked
    world.loop.run_until(lambda: None not in world.results)
    good(world.results)
    assert two.tree()["large"] == content
    sizes = [size for size in groups if size]
    assert sum(sizes) == 12
    assert max(sizes) <= READ_AHEAD
    if rate is not None:
        assert set(sizes[1:]) == {1}


def test_names_that_are_not_text(world):
    one, two = world.host("laptop"), world.host("desktop")
    (one.folder / os.fsdecode(b"\xff\xfe\n")).write_bytes(b"odd")
    good(world.sync(one, two))
    assert one.tree() == two.tree()


# --- left out ---------------------------------------------------------------------------------------------------------------------------


def test_ignored_items_stay_where_they_are(world):
    one, two = world.host("laptop"), world.host("desktop", patterns=["*.tmp"])
    one.write("a.tmp", "not wanted over there")
    one.write("a.txt", "wanted")
    two.write("b.tmp", "stays here")
    results = good(world.sync(one, two))
    assert set(one.tree()) == {"a.tmp", "a.txt"}
    assert set(two.tree()) == {"b.tmp", "a.txt"}
    assert results[0].state is State.DONE
    (one.folder / "a.tmp").unlink()
    good(world.sync(one, two))
    assert set(two.tree()) == {"b.tmp", "a.txt"}


def test_special_files_are_skipped_and_said(world):
    one, two = world.host("laptop"), world.host("desktop")
    os.mkfifo(one.folder / "pipe")
    one.write("a.txt", "a")
    two.write("pipe", "a file over there")
    for result in good(world.sync(one, two)):
        assert result.state is State.PARTIAL
        assert [(skip.item, skip.reason) for skip in result.skipped] == [("pipe", "special-file")]
        assert result.exit_code() == 3
    assert two.tree()["a.txt"] == b"a"
    (one.folder / "pipe").unlink()
    good(world.sync(one, two))
    assert (one.folder / "pipe").read_bytes() == b"a file over there", "what was left behind comes with a later session"


# --- progress and cancelling ------------------------------------------------------------------------------------------------------------


def test_progress(world):
    one, two = world.host("laptop"), world.host("desktop")
    one.write("large", big(4, 2_000_000))
    seen = []
    good(world.sync(one, two, progress=seen.append))
    assert list(dict.fromkeys(progress.phase for progress in seen)) == ["scan", "compare", "transfer", "commit"]
    last = [progress for progress in seen if progress.wanted_bytes][-1]
    assert last.received_bytes == last.wanted_bytes == 2_000_000
    assert last.received_files == last.wanted_files == 1


@pytest.mark.parametrize("side", [0, 1])
def test_cancelled_session_ends_in_good_order_on_both_sides(world, side):
    one, two = world.host("laptop"), world.host("desktop")
    one.write("large", big(5, 5_000_000))
    works = []

    def spoil(number, frame, data):
        if frame.kind == 2 and not works[side].called:
            world.loop.callFromThread(works[side].cancel)
        return data

    works += reversed(world.start(one, two, spoil_client=spoil))
    world.loop.run_until(lambda: None not in world.results)
    assert [result.error.code for result in world.results] == ["cancelled"] * 2
    assert "large" not in two.tree()
    good(world.sync(one, two))
    assert one.tree() == two.tree()


# --- journals that do not fit -------------------------------------------------------------------------------------------------------------


def test_copied_journal_is_noticed(world, pair):
    one, two = pair
    one.journal.close()
    two.journal.close()
    # With its folder: another one's folder is refused before anybody is asked.
    for what in ("journal.db", "files/.twsync/collection"):
        shutil.copy(world.path / "laptop" / what, world.path / "desktop" / what)
    for host in (one, two):
        host.reopen(world.path)
    results = world.sync(one, two)
    assert [result.error.code for result in results] == ["same-journal"] * 2


def test_restored_journal_is_noticed(world, pair):
    """Its counters would be used a second time, for other content."""
    one, two = pair
    one.journal.close()
    shutil.copy(world.path / "laptop/journal.db", world.path / "old.db")
    one.reopen(world.path)
    for content in ("second", "third"):
        one.write("a.txt", content)
        good(world.sync(one, two))
    one.journal.close()
    for path in (world.path / "laptop").glob("journal.db*"):
        path.unlink()
    shutil.copy(world.path / "old.db", world.path / "laptop/journal.db")
    one.reopen(world.path)
    one.write("a.txt", "fourth")
    results = world.sync(one, two)
    assert [result.error.code for result in results] == ["journal-behind"] * 2
    assert (one.tree()["a.txt"], two.tree()["a.txt"]) == (b"fourth", b"third")
