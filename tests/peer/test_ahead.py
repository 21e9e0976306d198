"""Content ahead of the plan: what is fetched while the other side still hashes, and that nothing is decided by it."""

from __future__ import annotations

import random
from itertools import count
from threading import Event

import pytest
from blake3 import blake3

from twsync import delta, limits
from twsync.peer import announcing, largereceive, prefetch
from twsync.peer.largereceive import LargeFiles
from twsync.peer.movement import Movement
from twsync.peer.prefetch import Prefetch
from twsync.peer.receive import Getter
from twsync.peerwire import messages as m
from twsync.peerwire.frames import FrameType
from twsync.reconcile.model import Policy, SyncType
from twsync.store import hashing
from twsync.store.source import Source
from twsync.store.staging import Staging

LARGE = 300_000


def big(seed, size=LARGE):
    return random.Random(seed).randbytes(size)


def edited(content, at=100_000):
    return content[:at] + b"edited" + content[at + 6 :]


@pytest.fixture(autouse=True)
def low(monkeypatch):
    """Files are large from 100,000 bytes on."""
    monkeypatch.setattr(limits, "AHEAD_FILE", 100_000)
    monkeypatch.setattr(announcing, "AHEAD_FILE", 100_000)
    monkeypatch.setattr(prefetch, "AHEAD_FILE", 100_000)


@pytest.fixture
def late(monkeypatch):
    """No large file has a content id before one that was announced has come as a whole. :ivar last: called before the scan goes on."""

    class Late:
        last = staticmethod(lambda: None)
        arrived = Event()

    came, genuine = Prefetch.came, hashing.hash_descriptor

    def told(self, fetch, staged):
        came(self, fetch, staged)
        Late.arrived.set()

    def hashed(fd, size, cancelled=hashing.never, reading=None):
        result = genuine(fd, size, cancelled)
        if reading is not None:
            assert Late.arrived.wait(15)
            last, Late.last = Late.last, lambda: None
            last()
        return result

    monkeypatch.setattr(Prefetch, "came", told)
    monkeypatch.setattr(hashing, "hash_descriptor", hashed)
    return Late


def good(results):
    assert [result.error for result in results] == [None, None]
    return results


def said(world, kind, of=None):
    """Messages of a kind that one side, or any, has said in the last session."""
    frames = [frame for index, channel in enumerate(world.channels) if of in (None, index) for frame in channel.sent_frames]
    return [message for frame in frames if frame.kind is FrameType.CONTROL and isinstance(message := m.decode(frame.payload), kind)]


def staged(host):
    return [path.name for path in (host.folder / ".twsync" / "staging").iterdir()]


@pytest.fixture
def pair(world):
    """Two hosts in step, with one large file."""
    one, two = world.host("laptop"), world.host("desktop")
    one.write("large", big(1))
    good(world.sync(one, two))
    return one, two


@pytest.mark.parametrize("back", [False, True])
def test_a_new_file_comes_while_it_is_hashed(world, late, back):
    one, two = world.host("laptop"), world.host("desktop")
    (two if back else one).write("sub/large", big(1))
    late.last = lambda: (one if back else two).tree() == {} or pytest.fail("placed before the plan")
    results = good(world.sync(one, two))
    assert one.tree() == two.tree() == {"sub": None, "sub/large": big(1)}
    assert len(said(world, m.Fetch, 0 if back else 1)) == 1
    assert said(world, m.Want) == []
    assert staged(one) == staged(two) == []
    sent = results[1 if back else 0].sent
    assert (sent.added, sent.literal_bytes, sent.matched_bytes) == (2, LARGE, 0)


def test_an_edited_file_comes_as_a_delta(world, pair, late):
    one, two = pair
    one.write("large", edited(big(1)))
    result, _ = good(world.sync(one, two))
    assert two.tree() == {"large": edited(big(1))}
    assert [fetch.mode for fetch in said(world, m.Fetch)] == ["delta"]
    assert said(world, m.Want) == []
    assert staged(two) == []
    assert result.sent.literal_bytes < 10_000 and result.sent.literal_bytes + result.sent.matched_bytes == LARGE


def test_two_files_each_way_and_many_of_them(world):
    one, two = world.host("laptop"), world.host("desktop")
    for number in range(20):
        one.write(f"one{number % 3}/{number}", big(number, LARGE + number))
        two.write(f"two{number % 3}/{number}", big(100 + number, LARGE + 100 + number))
    good(world.sync(one, two))
    assert one.tree() == two.tree() and len(one.tree()) == 46
    for number in range(20):
        one.write(f"one{number % 3}/{number}", edited(big(number, LARGE + number)))
        two.write(f"two{number % 3}/{number}", edited(big(100 + number, LARGE + 100 + number), 200_000))
    good(world.sync(one, two))
    assert one.tree() == two.tree()
    assert len({message.key for message in said(world, m.Ahead, 0)}) == 20
    assert staged(one) == staged(two) == []


def test_what_changes_while_it_is_hashed_is_asked_for_again(world, late):
    one, two = world.host("laptop"), world.host("desktop")
    one.write("large", big(1))
    late.last = lambda: one.write("large", big(2))
    good(world.sync(one, two))
    assert one.tree() == two.tree() == {"large": big(2)}
    assert len(said(world, m.Fetch)) == 1 and len(said(world, m.Want)) == 1
    assert staged(two) == []


def test_another_content_that_was_complete_before_the_plan_could_claim_it_leaves_nothing(world, pair, monkeypatch):
    """The plan comes between the last byte and the word of it: it is too late to say what content it should have been."""
    one, two = pair
    received, settled = Event(), Event()
    take_in, settle, genuine = largereceive.take_in, Prefetch.settle, hashing.hash_descriptor

    def taken(*arguments):
        result = take_in(*arguments)
        received.set()
        assert settled.wait(15)
        return result

    def settling(self, needs):
        result = settle(self, needs)
        settled.set()
        return result

    def hashed(fd, size, cancelled=hashing.never, reading=None):
        assert reading is None or received.wait(15)
        return genuine(fd, size, cancelled)

    monkeypatch.setattr(largereceive, "take_in", taken)
    monkeypatch.setattr(Prefetch, "settle", settling)
    monkeypatch.setattr(hashing, "hash_descriptor", hashed)
    # By the sums the old file is the new one already, so the delta makes the old one once more.
    signatures = two.folder / ".twsync" / "signatures"
    signatures.mkdir()
    (signatures / blake3(big(1)).hexdigest()).write_bytes(delta.signature(edited(big(1)), seed=1))
    one.write("large", edited(big(1)))
    good(world.sync(one, two))
    assert len(said(world, m.Fetch)) == 1
    assert two.tree() == {"large": edited(big(1))}
    assert staged(two) == []


@pytest.mark.parametrize("sync_type", list(SyncType))
def test_only_what_the_sync_type_lets_flow_is_announced(world, pair, sync_type):
    client, server = pair
    client.write("client", big(2, LARGE + 1))
    server.write("server", big(3, LARGE + 2))
    before = [client.tree(), server.tree()]
    good(world.sync(client, server, sync_type))
    sends = ["refresh-from-server", "one-way-from-server"], ["refresh-from-client", "one-way-from-client"]
    for side, name in enumerate((b"client", b"server")):
        flows = sync_type.value not in sends[side]
        assert [message.key for message in said(world, m.Ahead, side)] == ([name] if flows else [])
        assert {message.key for message in said(world, m.Fetch, 1 - side)} <= ({name} if flows else set())
        if not flows and sync_type.value.startswith("one-way"):
            assert [client, server][1 - side].tree() == before[1 - side]
    assert staged(client) == staged(server) == []


@pytest.mark.parametrize("policy", list(Policy))
def test_what_both_sides_changed_is_not_fetched(world, pair, policy):
    one, two = pair
    one.write("large", edited(big(1)), 10**9)
    two.write("large", edited(big(1), 50_000), 10**9 + 1)
    good(world.sync(one, two, policy=policy))
    assert len(said(world, m.Ahead)) == 2
    assert said(world, m.Fetch) == []
    assert one.tree() == two.tree()


def test_what_stands_on_both_sides_is_not_fetched(world):
    one, two = world.host("laptop"), world.host("desktop")
    for host in (one, two):
        host.write("large", big(1))
    good(world.sync(one, two))
    assert len(said(world, m.Ahead)) == 2
    assert said(world, m.Fetch) == said(world, m.Want) == []


@pytest.mark.parametrize("copy", [False, True])
def test_a_new_name_of_a_file_is_not_transferred(world, pair, copy):
    one, two = pair
    if copy:
        one.write("copy", big(1))
    else:
        (one.folder / "large").rename(one.folder / "renamed")
    result, _ = good(world.sync(one, two))
    assert one.tree() == two.tree()
    assert said(world, m.Ahead) == []
    assert result.sent.literal_bytes == 0


def test_a_file_of_the_size_of_one_over_there_is_not_fetched(world, pair):
    """It may be that one, which the other side has never seen."""
    one, two = pair
    two.write("there", big(2, LARGE + 7))
    one.write("here", big(2, LARGE + 7))
    good(world.sync(one, two))
    assert len(said(world, m.Ahead)) == 2
    assert said(world, m.Fetch) == []
    assert said(world, m.Want) == []
    assert one.tree() == two.tree()


def test_files_of_one_size_that_are_edited_in_place_are_fetched(world, late):
    one, two = world.host("laptop"), world.host("desktop")
    late.arrived.set()
    for number in range(3):
        one.write(f"{number}", big(number))
    good(world.sync(one, two))
    late.arrived.clear()
    for number in range(3):
        one.write(f"{number}", edited(big(number)))
    good(world.sync(one, two))
    assert one.tree() == two.tree()
    assert len(said(world, m.Ahead)) == 3
    assert said(world, m.Fetch)
    # And one that takes the place of another of its size moves, as far as anybody can tell.
    (one.folder / "0").unlink()
    (one.folder / "1").rename(one.folder / "0")
    result, _ = good(world.sync(one, two))
    assert one.tree() == two.tree()
    assert result.sent.literal_bytes < LARGE // 2


def test_two_new_files_of_one_content_come_once(world):
    one, two = world.host("laptop"), world.host("desktop")
    one.write("a", big(1))
    one.write("b", big(1))
    result, _ = good(world.sync(one, two))
    assert len(said(world, m.Fetch)) <= 1
    assert one.tree() == two.tree()
    assert result.sent.literal_bytes == LARGE
    assert staged(two) == []


def test_what_is_ignored_is_neither_announced_nor_fetched(world):
    one, two = world.host("laptop", ["*.own"]), world.host("desktop", ["*.other"])
    one.write("large.own", big(1))
    one.write("large.other", big(2, LARGE + 1))
    good(world.sync(one, two))
    assert [message.key for message in said(world, m.Ahead)] == [b"large.other"]
    assert said(world, m.Fetch) == []
    assert two.tree() == {}


def test_a_file_that_was_only_touched_is_fetched_in_vain(world, pair, late):
    one, two = pair
    one.write("large", big(1), 10**9)
    good(world.sync(one, two))
    assert len(said(world, m.Fetch)) == 1
    assert two.tree() == {"large": big(1)} and (two.folder / "large").stat().st_mtime == 10**9
    assert staged(two) == []


@pytest.mark.parametrize("mode", ["whole", "delta"])
@pytest.mark.parametrize("early", [False, True])
def test_what_the_plan_has_no_use_for_is_stopped(world, pair, mode, early, monkeypatch):
    """Its fetch is ended while it is under way, or still waits for its signature."""
    one, two = pair
    size = 9_000_000
    content = big(1) + big(2, size) if mode == "delta" else big(3, size)
    one.write("large" if mode == "delta" else "new", content)
    begun = Event()
    fetches, stopped = [], []
    fetch, stop, settle, genuine = LargeFiles.fetch, LargeFiles.stop, Prefetch.settle, hashing.hash_descriptor

    def fetched(self, need):
        fetches.append(fetch(self, need))
        return fetches[-1]

    def hashed(fd, size, cancelled=hashing.never, reading=None):
        assert reading is None or begun.wait(15)
        return genuine(fd, size, cancelled)

    def spoil(number, frame, data):
        if frame.kind is (FrameType.SIGNATURE if early and mode == "delta" else FrameType.DATA):
            begun.set()
        return data

    monkeypatch.setattr(LargeFiles, "fetch", fetched)
    monkeypatch.setattr(LargeFiles, "stop", lambda self, each: (stopped.append(each), stop(self, each)))
    monkeypatch.setattr(Prefetch, "settle", lambda self, needs: ([], settle(self, [])[1] + list(needs)))
    monkeypatch.setattr(hashing, "hash_descriptor", hashed)
    good(world.sync(one, two, rate=2 * 10**6, spoil_client=spoil, spoil_server=spoil))
    assert one.tree() == two.tree()
    assert stopped == fetches and len(fetches) == 1
    assert len(said(world, m.Stop)) == len(said(world, m.Want)) == 1
    assert [end.status for end in said(world, m.FileEnd)] in (["changed", "ok"], ["ok"])
    assert staged(two) == []


def test_it_is_not_done_with_a_partner_that_does_not_know_it(world, monkeypatch):
    monkeypatch.setattr(m, "FEATURES", ("zstd",))
    one, two = world.host("laptop"), world.host("desktop")
    one.write("large", big(1))
    good(world.sync(one, two))
    assert said(world, m.Ahead) == said(world, m.Fetch) == []
    assert one.tree() == two.tree()


@pytest.mark.parametrize(("spare", "fetched"), [(0, 1), (-1, 0)])
def test_room_on_the_disk(world, late, spare, fetched, monkeypatch):
    """What came ahead of the plan is not counted twice; and without room nothing comes."""
    one, two = world.host("laptop"), world.host("desktop")
    one.write("large", big(1))
    folder = two.folder / ".twsync" / "staging"

    def room(self):
        return LARGE + spare - sum(path.stat().st_size for path in folder.iterdir())

    monkeypatch.setattr(Staging, "room", room)
    if not fetched:
        late.arrived.set()
    results = world.sync(one, two)
    assert len(said(world, m.Fetch)) == fetched
    assert [result.error and result.error.code for result in results] == [None if fetched else "disk-full"] * 2
    assert staged(two) == []


def test_what_comes_while_something_else_is_deleted_is_counted(world, monkeypatch):
    one, two = world.host("laptop"), world.host("desktop")
    one.write("large", big(1))
    genuine, waited, deleting = Getter._drop_useless, [], Event()

    async def slowly(self):
        deleting.set()
        for fetch in self.prefetch.under_way:
            waited.append(fetch)
            await fetch.over
        await genuine(self)

    def held_up(self, buffer, genuine=Source.readinto):
        """The end of what is sent is not read before that."""
        count = genuine(self, buffer)
        assert count or deleting.wait(15)
        return count

    monkeypatch.setattr(Getter, "_drop_useless", slowly)
    monkeypatch.setattr(Source, "readinto", held_up)
    good(world.sync(one, two))
    assert waited
    assert one.tree() == two.tree()


def test_what_comes_while_the_room_is_looked_at_is_not_missing_in_it(world, monkeypatch):
    """A thousand bytes between any two looks: the file just fits, however far it is."""
    one, two = world.host("laptop"), world.host("desktop")
    monkeypatch.setattr(m, "FEATURES", ("zstd",))
    one.write("large", big(1))
    come = count(0, 1000)
    monkeypatch.setattr(Staging, "room", lambda self: LARGE - next(come))
    monkeypatch.setattr(Movement, "bytes_ahead", property(lambda self: next(come)))
    good(world.sync(one, two))
    assert one.tree() == two.tree()


@pytest.mark.parametrize("edit", [False, True])
def test_a_connection_that_breaks_meanwhile(world, pair, edit):
    one, two = pair
    content = edited(big(1)) + big(7, 3_000_000) if edit else big(2, 3_000_001)
    one.write("large" if edit else "new", content)
    frames = [0]

    def cut(number, frame, data):
        frames[0] += frame.kind is FrameType.DATA
        return None if frames[0] == 2 else data

    results = world.sync(one, two, spoil_client=cut)
    assert [result.error.code for result in results] == ["connection-lost"] * 2
    assert two.tree() == {"large": big(1)}
    good(world.sync(one, two))
    assert one.tree() == two.tree()
    assert staged(two) == []


def test_the_rest_of_a_file_that_was_replaced_by_one_of_its_size_is_not_believed(world, monkeypatch):
    """What came before its content id was known is tried for the same key and size; here it is wrong."""
    one, two = world.host("laptop"), world.host("desktop")
    one.write("new", big(2, 3_000_000))
    frames, broken, genuine = [0], Event(), hashing.hash_descriptor

    def cut(number, frame, data):
        frames[0] += frame.kind is FrameType.DATA
        if frames[0] < 2:
            return data
        broken.set()
        return None

    def hashed(fd, size, cancelled=hashing.never, reading=None):
        assert reading is None or broken.wait(15)
        return genuine(fd, size, cancelled)

    with monkeypatch.context() as patch:
        patch.setattr(hashing, "hash_descriptor", hashed)
        world.sync(one, two, spoil_client=cut)
    assert len(staged(two)) == 1
    one.write("new", big(3, 3_000_000))
    good(world.sync(one, two))
    assert one.tree() == two.tree() == {"new": big(3, 3_000_000)}
    assert said(world, m.Fetch) == [] and len(said(world, m.Want)) == 2
    assert staged(two) == []
