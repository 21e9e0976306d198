"""Sessions that meet trouble: files that change, content that comes out wrong, connections that break, peers that lie."""

from __future__ import annotations

import os
import random

import pytest
import zstandard

from twsync.errors import StoreError
from twsync.limits import IDLE_TIMEOUT, MAX_BULK
from twsync.peerwire import messages as m
from twsync.peerwire import rows
from twsync.peerwire.frames import Frame, FrameType, encode, head
from twsync.reconcile.model import Item, Kind, Policy, SyncType
from twsync.reconcile.versions import Version
from twsync.session.result import State
from twsync.store.apply import Applier
from twsync.store.staging import Staging


def good(results):
    assert [result.error for result in results] == [None, None]
    return results


def codes(results):
    return [None if result.error is None else result.error.code for result in results]


def big(seed, size=3_000_000):
    return random.Random(seed).randbytes(size)


def at_frame(kind, act, message=None, times=1):
    """A spoil function: at the first frame of a kind (and message), `act(data)`, which returns what is sent."""
    left = [times]

    def spoil(number, frame, data):
        if left[0] and frame.kind is kind and (message is None or isinstance(m.decode(frame.payload), message)):
            left[0] -= 1
            return act(data)
        return data

    return spoil


def doing(call):
    """For `at_frame`: do something, send the frame as it is."""

    def act(data):
        call()
        return data

    return act


# --- files that change while they are sent --------------------------------------------------------------------------------------------


def test_file_changed_before_it_is_asked_for_comes_in_the_next_round(world):
    one, two = world.host("laptop"), world.host("desktop")
    one.write("small", "before")
    one.write("large", big(1, 200_000))
    other = big(2, 210_000)

    def change():
        one.write("small", "after all")
        one.write("large", other)

    result, _ = good(world.sync(one, two, spoil_server=at_frame(FrameType.CONTROL, doing(change), m.Want)))
    assert two.tree() == one.tree() == {"small": b"after all", "large": other}
    assert result.state is State.DONE


def test_file_changed_while_it_is_read_comes_in_the_next_round(world):
    one, two = world.host("laptop"), world.host("desktop")
    one.write("large", big(3, 8_000_000))
    other = big(4, 300_000)
    spoil = at_frame(FrameType.DATA, doing(lambda: one.write("large", other)))
    good(world.sync(one, two, spoil_client=spoil))
    assert two.tree() == one.tree() == {"large": other}


def test_file_that_never_stops_changing_is_skipped_and_comes_another_day(world):
    one, two = world.host("laptop"), world.host("desktop")
    one.write("busy", "0")
    one.write("quiet", "q")
    count = iter(range(1, 100))
    spoil = at_frame(FrameType.CONTROL, doing(lambda: one.write("busy", f"busy {next(count)}")), m.Want, times=99)
    for result in good(world.sync(one, two, spoil_server=spoil)):
        assert result.state is State.PARTIAL
        assert [(skip.item, skip.reason) for skip in result.skipped] == [("busy", "changing")]
    assert two.tree() == {"quiet": b"q"}
    good(world.sync(one, two))
    assert two.tree() == one.tree()


def test_target_changed_while_its_content_comes_is_a_conflict(world):
    one, two = world.host("laptop"), world.host("desktop")
    one.write("a", "1")
    good(world.sync(one, two))
    one.write("a", "one's", mtime=1_790_000_000)
    spoil = at_frame(FrameType.CONTROL, doing(lambda: two.write("a", "two's", mtime=1_780_000_000)), m.Want)
    result, _ = good(world.sync(one, two, spoil_server=spoil))
    assert one.tree() == two.tree()
    assert sorted(one.tree().values()) == [b"one's", b"two's"]
    assert len(result.conflicts) == 1


def test_file_deleted_before_it_is_asked_for(world):
    one, two = world.host("laptop"), world.host("desktop")
    path = one.write("a", "1")
    one.write("b", "2")
    good(world.sync(one, two, spoil_server=at_frame(FrameType.CONTROL, doing(path.unlink), m.Want)))
    assert one.tree() == two.tree() == {"b": b"2"}


@pytest.mark.parametrize("sync_type", [SyncType.REFRESH_FROM_CLIENT, SyncType.ONE_WAY_FROM_CLIENT, SyncType.SLOW])
def test_another_round_of_other_types(world, sync_type):
    one, two = world.host("laptop"), world.host("desktop")
    one.write("a", "1")
    one.write("kept", "same on both")
    two.write("kept", "same on both")
    spoil = at_frame(FrameType.CONTROL, doing(lambda: one.write("a", "22")), m.Want)
    good(world.sync(one, two, sync_type, spoil_server=spoil))
    assert two.tree() == {"a": b"22", "kept": b"same on both"}
    assert one.tree() == two.tree()


# --- content that comes out wrong -------------------------------------------------------------------------------------------------------


def flip(data):
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("size", [1000, 200_000])
def test_wrong_content_is_asked_for_once_more(world, size):
    one, two = world.host("laptop"), world.host("desktop")
    one.write("a", big(5, size))
    result, _ = good(world.sync(one, two, spoil_client=at_frame(FrameType.DATA, flip)))
    assert one.tree() == two.tree()
    assert result.state is State.DONE


@pytest.mark.parametrize("size", [1000, 200_000])
def test_content_that_stays_wrong_is_skipped_and_comes_another_day(world, size):
    one, two = world.host("laptop"), world.host("desktop")
    one.write("a", big(6, size))
    for result in good(world.sync(one, two, spoil_client=at_frame(FrameType.DATA, flip, times=99))):
        assert [(skip.item, skip.reason) for skip in result.skipped] == [("a", "damaged")]
    assert two.tree() == {}
    good(world.sync(one, two))
    assert one.tree() == two.tree()


def test_spoilt_delta_is_followed_by_the_whole_file(world):
    one, two = world.host("laptop"), world.host("desktop")
    content = big(7)
    one.write("a", content)
    good(world.sync(one, two))
    one.write("a", b"changed" + content)
    result, _ = good(world.sync(one, two, spoil_client=at_frame(FrameType.DATA, flip)))
    assert one.tree() == two.tree()
    assert result.sent.literal_bytes >= len(content)


# --- connections that break ---------------------------------------------------------------------------------------------------------------


def test_large_file_goes_on_where_it_was(world):
    one, two = world.host("laptop"), world.host("desktop")
    content = big(8, 10_000_000)
    one.write("large", content)
    assert codes(world.sync(one, two, spoil_client=cut_at(6))) == ["connection-lost"] * 2
    assert two.tree() == {}
    result, _ = good(world.sync(one, two))
    assert two.tree() == one.tree()
    assert result.sent.literal_bytes <= len(content) - 4 * MAX_BULK
    assert result.sent.literal_bytes + result.sent.matched_bytes == len(content)


def no_more_than(monkeypatch, host, size):
    """The disk takes so many bytes in staging."""
    folder = host.folder / ".twsync" / "staging"
    monkeypatch.setattr(Staging, "room", lambda self: size - sum(path.stat().st_size for path in folder.iterdir()))


def cut_at(count):
    """A spoil function: the connection breaks at this frame of data."""
    frames = [0]

    def cut(number, frame, data):
        frames[0] += frame.kind is FrameType.DATA
        return None if frames[0] == count else data

    return cut


@pytest.mark.parametrize("ahead", [False, True])
def test_what_came_before_the_connection_broke_needs_no_room_again(world, monkeypatch, ahead):
    one, two = world.host("laptop"), world.host("desktop")
    one.write("large", big(8, 10_000_000))
    monkeypatch.setattr(m, "FEATURES", ("zstd", "ahead") if ahead else ("zstd",))
    assert codes(world.sync(one, two, spoil_client=cut_at(6))) == ["connection-lost"] * 2
    no_more_than(monkeypatch, two, 9_999_999)
    assert codes(world.sync(one, two)) == ["disk-full"] * 2
    no_more_than(monkeypatch, two, 10_000_000)
    good(world.sync(one, two))
    assert two.tree() == one.tree()


@pytest.mark.parametrize("roomy", [False, True])
def test_a_delta_that_broke_off_goes_on_whole_where_there_is_no_room_for_another(world, monkeypatch, roomy):
    """With room it is made anew, with what came of it as a basis."""
    one, two = world.host("laptop"), world.host("desktop")
    old, new = big(9, 2_000_000), big(10, 8_000_000)
    one.write("large", old)
    good(world.sync(one, two))
    one.write("large", new)
    assert codes(world.sync(one, two, spoil_client=cut_at(6))) == ["connection-lost"] * 2
    no_more_than(monkeypatch, two, len(new) - 1)
    assert codes(world.sync(one, two)) == ["disk-full"] * 2
    no_more_than(monkeypatch, two, (1 + roomy) * len(new))
    good(world.sync(one, two))
    assert two.tree() == one.tree()
    said = [m.decode(frame.payload) for frame in world.channels[1].sent_frames if frame.kind is FrameType.CONTROL]
    ((mode, offset),) = [file[3:] for want in said if isinstance(want, m.Want) for file in want.files]
    assert (mode, offset > 0) == (("delta", False) if roomy else ("whole", True))


def test_what_was_complete_when_a_session_broke_off_needs_no_room_again(world, monkeypatch):
    one, two = world.host("laptop"), world.host("desktop")
    one.write("large", big(8))

    def failing(self, changes):
        raise StoreError("It does not work.", "store-failed")

    with monkeypatch.context() as patched:
        patched.setattr(Applier, "begin", failing)
        assert codes(world.sync(one, two)) == ["store-failed"] * 2
    assert [".part" in path.name for path in (two.folder / ".twsync" / "staging").iterdir()] == [False]
    no_more_than(monkeypatch, two, len(big(8)))
    good(world.sync(one, two))
    assert two.tree() == one.tree()


def test_delta_goes_on_where_it_was(world):
    """What came of a delta is a basis of the next one, together with the old file."""
    one, two = world.host("laptop"), world.host("desktop")
    old, new = big(9, 2_000_000), big(10, 8_000_000)
    one.write("large", old)
    good(world.sync(one, two))
    one.write("large", new + old)
    assert codes(world.sync(one, two, spoil_client=cut_at(6))) == ["connection-lost"] * 2
    assert two.tree() == {"large": old}
    result, _ = good(world.sync(one, two))
    assert two.tree() == {"large": new + old}
    assert result.sent.literal_bytes < len(new) - 1_000_000


def prepared(world, number):
    """Two hosts with everything at once: additions, changes, deletes, renames, conflicts, folders and files that change places."""
    one, two = world.host(f"laptop{number}"), world.host(f"desktop{number}")
    large = big(11, 400_000)
    for name in ("keep", "gone", "clash", "moved", "edit", "folder/x", "folder/y"):
        one.write(name, "first " + name)
    one.write("large", large)
    good(world.sync(one, two))
    one.write("edit", "second", mtime=1_700_000_000)
    one.write("clash", "one's", mtime=1_790_000_000)
    two.write("clash", "two's", mtime=1_780_000_000)
    (one.folder / "gone").unlink()
    (one.folder / "moved").rename(one.folder / "renamed")
    two.write("large", large[:200_000] + b"inserted" + large[200_000:])
    two.write("new/deep/file", "new")
    (one.folder / "folder/x").unlink()
    (one.folder / "folder/y").unlink()
    (one.folder / "folder").rmdir()
    one.write("folder", "a file now")
    (two.folder / "link").symlink_to("keep")
    one.write("large2", big(12, 300_000))
    return one, two


def check(one, two, result):
    tree = one.tree()
    assert tree == two.tree()
    copies = [name for name in tree if "conflict" in name]
    assert len(copies) == 1
    assert tree["clash"] == b"one's" and tree[copies[0]] == b"two's"
    assert tree["edit"] == b"second" and tree["folder"] == b"a file now" and tree["new/deep/file"] == b"new"
    assert tree["renamed"] == b"first moved" and tree["link"] == "->keep"
    assert not {"gone", "moved", "folder/x"} & tree.keys()
    assert len(tree["large"]) == 400_008


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_connection_that_breaks_at_any_frame_loses_nothing(world, side):
    """Dropped at frame k, then held again: both are equal, nothing is lost, no false conflict."""
    one, two = prepared(world, 0)
    good(world.sync(one, two))
    check(one, two, None)
    frames = len(world.channels[0 if side == "client" else 1].sent_frames)
    assert frames > 15
    for k in range(1, frames + 1):
        one, two = prepared(world, f"-{k}")
        broken = world.sync(one, two, **{f"spoil_{side}": lambda number, frame, data, k=k: None if number == k else data})
        if k < frames - 1:
            assert "connection-lost" in codes(broken)
        if k % 3 == 0:
            for host in (one, two):
                host.reopen(world.path)
        results = good(world.sync(*((one, two) if k % 2 else (two, one))))
        check(one, two, results[0])
        again, _ = good(world.sync(one, two))
        check(one, two, again)
        assert again.conflicts == [] and again.sent.literal_bytes == again.received.literal_bytes == 0


# --- peers that lie -----------------------------------------------------------------------------------------------------------------------


def raw(payload):
    return head(FrameType.CONTROL, len(payload)) + payload


def message(of):
    return raw(m.encode(of))


def edited(**changes):
    """Change fields of the message in a frame."""

    def act(data):
        import msgspec

        return message(msgspec.structs.replace(m.decode(data[5:]), **changes))

    return act


KEY_ROW = Item(b"x", Kind.FILE, bytes(32), 5, 1, 0o644, Version(((77, 1),)), b"", "evil")


def with_row(**changes):
    """Send a row of a lying peer among the items."""

    def act(data):
        import msgspec

        row = rows.row(msgspec.structs.replace(KEY_ROW, **changes))
        return message(m.Items((row,)))

    return act


CONTROL, DATA = FrameType.CONTROL, FrameType.DATA
LIES = {
    "garbage": (CONTROL, lambda data: b"\xff" * 50, m.Items),
    "a message that is none": (CONTROL, lambda data: raw(b"\xc1"), m.Items),
    "another protocol": (CONTROL, lambda data: edited(collection="other")(data), m.Hello),
    "hello twice": (CONTROL, lambda data: data + data, m.Hello),
    "open before hello": (CONTROL, lambda data: message(m.RoundEnd(0, False)), m.Hello),
    "another sync type": (CONTROL, edited(sync_type=SyncType.REFRESH_FROM_CLIENT), m.Open),
    "key with ..": (CONTROL, with_row(key=b"../../etc/passwd"), m.Items),
    "absolute key": (CONTROL, with_row(key=b"/etc/passwd"), m.Items),
    "key in .twsync": (CONTROL, with_row(key=b".twsync/staging/x"), m.Items),
    "row with a bad version": (CONTROL, with_row(version=Version(((77, 0),))), m.Items),
    "row with a bad content id": (CONTROL, with_row(content=b"x"), m.Items),
    "the same key twice": (CONTROL, lambda data: data + data, m.Items),
    "more rows than said": (CONTROL, edited(count=999), m.ItemsEnd),
    "plan before counterparts": (CONTROL, lambda data: message(m.Plan(bytes(32), 0)), m.Counterparts),
    "refused ..": (CONTROL, lambda data: raw(m.encode(m.Counterparts((), ((b"../x", "ignored"),), True))), m.Counterparts),
    "another plan": (CONTROL, edited(digest=bytes(32)), m.Plan),
    "want before plan": (CONTROL, lambda data: message(m.Want(files=((1, b"a", bytes(32), "whole", 0),))), m.Items),
    "want of nothing known": (CONTROL, lambda data: data + message(m.Want(files=((1, b"never", bytes(32), "whole", 0),))), m.Plan),
    "want of another content": (CONTROL, lambda data: data + message(m.Want(files=((1, b"b", bytes(32), "whole", 0),))), m.Plan),
    "signature of nothing": (CONTROL, lambda data: data + encode(Frame(FrameType.SIGNATURE, b"x", 9)), m.Plan),
    "answer to nothing": (CONTROL, lambda data: data + message(m.File(99, "ok", 5)), m.Plan),
    "data of nothing": (CONTROL, lambda data: data + encode(Frame(DATA, b"x", 99)), m.Plan),
    "bundle answered twice": (CONTROL, lambda data: data + data, m.Bundle),
    "bundle with another number of files": (CONTROL, edited(files=(("ok", 1),) * 7), m.Bundle),
    "bundle with another size": (CONTROL, lambda data: message(m.Bundle(m.decode(data[5:]).transfer, (("ok", 3),))), m.Bundle),
    "file of another size": (CONTROL, edited(size=7), m.File),
    "file begun twice": (CONTROL, lambda data: data + data, m.File),
    "file ended twice": (CONTROL, lambda data: data + data, m.FileEnd),
    "more data than the file has": (DATA, lambda data: data + encode(Frame(DATA, bytes(300_000), 2)) * 2, None),
    "compressed bomb": (DATA, lambda data: encode(Frame(FrameType.DATA_ZSTD, zstandard.compress(bytes(50_000_000)), 1)), None),
    "compressed garbage": (DATA, lambda data: encode(Frame(FrameType.DATA_ZSTD, b"\x28\xb5\x2f\xfdgarbage", 1)), None),
    "round-end twice": (CONTROL, lambda data: data + data, m.RoundEnd),
    "want after round-end": (CONTROL, lambda data: data + message(m.Want(files=((9, b"a", bytes(32), "whole", 0),))), m.RoundEnd),
    "commit of another token": (CONTROL, edited(token=b"x" * 16), m.Commit),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
@pytest.mark.parametrize("liar", ["client", "server"])
def test_a_peer_that_breaks_the_rules_ends_the_session(world, liar, lie):
    kind, act, which = lie
    one, two = world.host("laptop"), world.host("desktop")
    hosts = {"client": one, "server": two}
    mine, other = hosts[liar], hosts["server" if liar == "client" else "client"]
    mine.write("a", "from the liar")
    mine.write("large", big(13, 200_000))
    other.write("b", "honest")
    before = other.tree()
    results = world.sync(one, two, spoil_client=at_frame(kind, act, which) if liar == "client" else None,
                         spoil_server=at_frame(kind, act, which) if liar == "server" else None)  # fmt: skip
    honest = results[1 if liar == "client" else 0]
    assert honest.state is State.FAILED
    assert honest.error.code in ("protocol-error", "plan-mismatch")
    assert honest.error.message.endswith((".", "!"))
    assert before.items() <= other.tree().items(), "nothing of the honest side is touched"
    assert not list(other.folder.parent.parent.glob("passwd"))
    good(world.sync(one, two))
    assert one.tree() == two.tree()


def test_sender_of_the_wrong_replica_is_told(world, monkeypatch):
    monkeypatch.setattr(m, "FEATURES", ("zstd",))  # else the content of the row may be asked for first, which its sender never offered
    one, two = world.host("laptop"), world.host("desktop")
    one.write("a", "1")
    replica = two.rows.replica
    assert (
        codes(world.sync(one, two, spoil_client=at_frame(FrameType.CONTROL, with_row(version=Version(((replica, 9),))), m.Items)))
        == ["journal-behind"] * 2
    )


def test_a_full_disk_is_said_with_the_name_of_its_host(world):
    one, two = world.host("laptop"), world.host("desktop")
    one.write("a", "1")
    full = message(m.Error("disk-full", "The disk of /srv is full: make room there, then sync again."))

    def spoil(number, frame, data):
        return full if frame.kind is FrameType.CONTROL and isinstance(m.decode(frame.payload), m.Want) else data

    told = world.sync(one, two, spoil_server=spoil)[0].error
    assert (told.code, told.message) == ("disk-full", "alice/desktop: The disk of /srv is full: make room there, then sync again.")


def test_too_much_asked_for_at_once(world):
    one, two = world.host("laptop"), world.host("desktop")
    for number in range(3):
        two.write(f"large{number}", big(number, 100_000 + number))
    wanted = []

    def spoil(number, frame, data):
        if frame.kind is FrameType.CONTROL and isinstance(want := m.decode(frame.payload), m.Want):
            wanted.append(want.files[0])
            if len(wanted) == 2:
                third = (77, *wanted[0][1:])
                return data + message(m.Want(files=(third,)))
        return data

    results = world.sync(one, two, spoil_client=spoil)
    assert codes(results)[1] == "protocol-error"
    assert results[1].error.message


def test_policy_is_the_callers(world):
    one, two = world.host("laptop"), world.host("desktop")
    one.write("a", "1")
    good(world.sync(one, two))
    one.write("a", "one's")
    two.write("a", "two's")
    good(world.sync(one, two, SyncType.TWO_WAY, Policy.OURS, server_more={}))
    assert one.tree() == two.tree() == {"a": b"one's"}


def test_no_descriptor_or_thread_is_left_behind(world):
    one, two = world.host("laptop"), world.host("desktop")
    one.write("large", big(14, 5_000_000))
    good(world.sync(one, two))

    def count():
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    before = count()
    for number in range(5):
        one.write(f"large{number}", big(20 + number, 3_000_000))
        world.sync(one, two, spoil_client=lambda n, frame, data: None if frame.kind is FrameType.DATA else data)
    assert count() <= before + 4


# --- silence -----------------------------------------------------------------------------------------------------------------------------


def test_a_partner_that_never_says_hello_is_given_up(world):
    """It may be alive and say that it is, as a listener does whose session was never begun."""
    _, results = world.start_lone(world.host("one"))
    world.loop.advance(IDLE_TIMEOUT - 1)
    assert results == []
    world.loop.advance(1)
    world.loop.run_until(lambda: results)
    assert (results[0].state, results[0].error.code) == (State.FAILED, "timeout")
    assert "alice/silent took the connection but does not begin" in results[0].error.message


def test_hello_waits_for_no_disk(world):
    """The other side gives it a time, and no thread has had its turn yet."""
    channel, results = world.start_lone(world.host("one"))
    assert [m.decode(frame.payload).kind for frame in channel.sent_frames] == ["hello"]
    channel.cut()
    world.loop.run_until(lambda: results)
