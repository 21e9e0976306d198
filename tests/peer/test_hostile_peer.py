"""A peer that was let in and does not run twsync: it says what it likes, in the order of the protocol, and echoes the other's decisions."""

from __future__ import annotations

import pytest
import xxhash
from blake3 import blake3
from msgspec.structs import replace
from twisted.internet.defer import Deferred

from twsync import delta, limits
from twsync.delta.format import SIGNATURE_HEADER
from twsync.limits import MIB
from twsync.peer import announcing, commit, prefetch
from twsync.peer.dialogue import Dialogue
from twsync.peerwire import messages as m
from twsync.peerwire import rows
from twsync.peerwire.frames import Frame, FrameType
from twsync.reconcile.model import Item, Kind, Policy, SyncType
from twsync.reconcile.versions import Version

EVIL = 0x6666


def file(key, content=b"evil", counter=1, **more):
    """A file's row as the hostile peer's journal would have it."""
    fields = {"version": Version(((EVIL, counter),)), "content": blake3(content).digest(), "size": len(content)} | more
    return Item(key, Kind.FILE, fields.pop("content"), fields.pop("size"), 10**18, 0o644, fields.pop("version"), b"", "evil")


def deleted(item, counter=2):
    """The tombstone that follows a row."""
    version = item.version.joined(Version(((EVIL, counter),)))
    return Item(item.key, Kind.DELETED, b"", 0, 0, 0, version, b"", "evil")


class Puppet:
    """The hostile peer: the client of a session that `victim` serves."""

    def __init__(self, world, victim, sync_type=SyncType.TWO_WAY, contents=(), **terms):
        self.world, self.victim = world, victim
        self.heard = []
        self.lost = None
        self.contents = {blake3(content).digest(): content for content in contents}
        world.start_half(self, victim, sync_type, **terms)
        self.channel.receive(self)
        self.say(m.Hello(m.PROTOCOL, m.FEATURES, world.session_name, "photos", b"t" * m.TOKEN_BYTES))
        self.say(m.Open(EVIL, (), sync_type, Policy.KEEP_BOTH, b"n" * m.ANCHOR_BYTES, 0, True))

    def frame_received(self, frame):
        if frame.kind is FrameType.CONTROL:
            message = m.decode(frame.payload)
            self.heard.append(message)
            if isinstance(message, m.Want):
                self.answer(message)

    def answer(self, want):
        for transfer, entries in want.bundles:
            found = [self.contents[content] for _key, content in entries]
            self.say(m.Bundle(transfer, tuple(("ok", len(content)) for content in found)))
            self.channel.send_frame(Frame(FrameType.DATA, b"".join(found), transfer))

    def channel_lost(self, error):
        self.lost = error

    def say(self, *messages):
        for message in messages:
            self.channel.send(message)

    def hear(self, kind, count=1):
        """Wait for the victim to say it; None if it ended the session instead."""

        def found():
            return [message for message in self.heard if isinstance(message, kind)]

        self.world.loop.run_until(lambda: len(found()) >= count or self.lost is not None)
        return found()[count - 1] if len(found()) >= count else None

    def items(self, *items):
        """The rows of a round."""
        self.say(*([m.Items(tuple(rows.row(item) for item in items))] if items else []), m.ItemsEnd(1, True, len(items)))

    def counterparts(self, *items):
        self.say(m.Counterparts(tuple(rows.row(item) for item in items), (), True))

    def agree(self, number=1, retry=0):
        """Echo the victim's plan, let it do its work, and end the round."""
        plan = self.hear(m.Plan, number)
        if plan is not None:
            self.say(m.Plan(plan.digest, 0), m.RoundEnd(retry, False))
            self.hear(m.RoundEnd, number)

    def finish(self):
        """Commit; the victim's result."""
        if self.lost is None:
            self.say(m.Commit(b"n" * m.ANCHOR_BYTES, m.Counters()))
        return self.end()

    def end(self):
        self.world.loop.run_until(lambda: self.result is not None)
        if hasattr(self.result, "raiseException"):
            self.result.raiseException()
        return self.result


@pytest.fixture
def puppet(world):
    """`puppet(victim, ...)`: a session of a hostile client with a host."""

    def make(victim, *args, **kwargs):
        return Puppet(world, victim, *args, **kwargs)

    return make


def code(result):
    return None if result.error is None else result.error.code


def row_of(host, key):
    return host.rows.get(key).item


# --- what a counterpart may say ----------------------------------------------------------------------------------------------------------


def test_the_puppet_can_hold_an_honest_session(world, puppet):
    victim = world.host("victim")
    victim.write("mine", "1")
    peer = puppet(victim, contents=[b"evil"])
    peer.items(file(b"x"))
    peer.counterparts()
    peer.agree()
    result = peer.finish()
    assert result.error is None
    assert victim.tree() == {"mine": b"1", "x": b"evil"}


def test_counterpart_of_nothing_that_was_sent_is_refused(world, puppet):
    """Else it would be placed without being compared with what stands here."""
    victim = world.host("victim", patterns=("hooks/",))
    victim.write("hooks/run", "mine")
    victim.write("a", "1")
    peer = puppet(victim, contents=[b"evil"])
    peer.items()
    peer.hear(m.ItemsEnd)
    peer.counterparts(replace(file(b"hooks"), kind=Kind.DIRECTORY, content=b"", size=0), file(b"hooks/run"))
    peer.agree()
    assert code(peer.finish()) == "protocol-error"
    assert victim.tree() == {"hooks": None, "hooks/run": b"mine", "a": b"1"}


def test_ignored_row_below_a_directory_that_would_go_is_not_placed(world, puppet):
    """What lives below a directory that went comes as counterparts, and may be what is ignored here."""
    victim = world.host("victim", patterns=("*.tmp",))
    folder = replace(file(b"d"), kind=Kind.DIRECTORY, content=b"", size=0, mode=0o755)
    victim.write("d", "a file here")
    peer = puppet(victim, contents=[b"evil"])
    peer.items()
    peer.hear(m.ItemsEnd)
    peer.counterparts(folder, file(b"d/x.tmp"), file(b"d/y"))
    peer.agree()
    result = peer.finish()
    assert "d/x.tmp" not in victim.tree()
    if result.error is None:
        assert victim.tree()["d/y"] == b"evil"


@pytest.mark.parametrize("where", ["items", "counterparts"])
def test_nobody_else_raises_the_own_counter(world, puppet, where):
    """A journal that took it could not count its own changes any more."""
    victim = world.host("victim")
    victim.write("a", "1")
    mine = victim.rows.replica
    raised = file(b"a", version=Version(tuple(sorted(((mine, 2**63 - 1), (EVIL, 1))))))
    peer = puppet(victim, contents=[b"evil"])
    peer.items(*([raised] if where == "items" else []))
    peer.hear(m.ItemsEnd)
    peer.counterparts(*([raised] if where == "counterparts" else []))
    peer.agree()
    assert code(peer.finish()) == "journal-behind"
    assert victim.tree() == {"a": b"1"}


# --- versions that nobody could send on --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["entries", "counter"])
def test_a_poisoned_version_does_not_end_the_sessions_of_honest_peers(world, puppet, kind):
    victim, friend = world.host("victim"), world.host("friend")
    twin = victim.rows.replica ^ (2**64 - 1)
    pairs = [(1000 + n, 1) for n in range(256)] if kind == "entries" else [(EVIL, 1), (twin, 2**63 - 1)]
    victim.write("good", "1")
    peer = puppet(victim, contents=[b"evil"])
    peer.items(file(b"x", version=Version.of(pairs)))
    peer.counterparts()
    peer.agree()
    peer.finish()
    for _ in range(2):
        if (victim.folder / "x").exists():
            victim.write("x", "edited by its owner")
        friend.write("x", "something else")
        first, second = world.sync(victim, friend)
        assert (code(first), code(second)) == (None, None)
    assert friend.tree()["good"] == b"1"


# --- guards ------------------------------------------------------------------------------------------------------------------------------


def first_round_of_many(world, puppet, count):
    """A victim with `count` files and its peer, after a first round in which nothing happens and another one is asked for."""
    victim = world.host("victim")
    for number in range(count):
        victim.write(f"f{number:03}", str(number))
    before = victim.tree()
    peer = puppet(victim)
    peer.items()
    peer.hear(m.ItemsEnd)
    peer.counterparts()
    peer.agree(1, retry=1)
    assert victim.tree() == before
    return victim, peer


def test_the_delete_guard_counts_a_whole_session(world, puppet):
    """Not each of its rounds."""
    victim, peer = first_round_of_many(world, puppet, 100)
    known = [row_of(victim, b"f%03d" % number) for number in range(100)]
    for number in (2, 3, 4):
        some = known[(number - 2) * 25 : (number - 1) * 25]
        peer.items(*(deleted(item) for item in some))
        peer.hear(m.ItemsEnd, number)
        peer.counterparts()
        peer.agree(number, retry=1)
    result = peer.finish()
    assert code(result) == "too-many-deletes"
    assert len(victim.tree()) >= 75


def test_what_was_moved_counts_when_it_goes_after_all(world, puppet):
    """A rename in one round, and deletes of the new names in the next, are deletes."""
    victim, peer = first_round_of_many(world, puppet, 60)
    moved = [file(b"g%03d" % number, str(number).encode()) for number in range(60)]
    peer.items(*(deleted(row_of(victim, b"f%03d" % number)) for number in range(60)), *moved)
    peer.hear(m.ItemsEnd, 2)
    peer.counterparts()
    peer.agree(2, retry=1)
    assert sorted(victim.tree()) == [f"g{number:03}" for number in range(60)]
    peer.items(*(deleted(item) for item in moved))
    peer.hear(m.ItemsEnd, 3)
    peer.counterparts()
    peer.agree(3)
    result = peer.finish()
    assert code(result) == "too-many-deletes"
    assert "60 of the 60 items" in result.error.message
    assert "no more was changed" in result.error.message
    assert len(victim.tree()) == 60


@pytest.mark.parametrize("why", ["something in the way", "another size"])
def test_a_move_whose_content_does_not_come_is_a_delete(world, puppet, why):
    """What comes is counted as it really came, before anything is removed."""
    victim, peer = first_round_of_many(world, puppet, 60)
    before = victim.tree()
    known = [row_of(victim, b"f%03d" % number) for number in range(60)]
    moved = [replace(file(b"g%03d" % number), content=item.content, size=item.size) for number, item in enumerate(known)]
    if why == "another size":
        moved = [replace(item, size=item.size + 1) for item in moved]
    else:
        # The journal does not know it: nothing is put there.
        for item in moved:
            victim.write(item.key.decode(), "in the way")
    peer.items(*(deleted(item) for item in known), *moved)
    peer.hear(m.ItemsEnd, 2)
    peer.counterparts()
    peer.agree(2, retry=1)
    result = peer.end()
    assert code(result) == "too-many-deletes"
    assert before.items() <= victim.tree().items()


# --- what is heard is told to people -----------------------------------------------------------------------------------------------------


def test_words_of_the_other_side_come_as_one_printable_sentence(world, puppet):
    victim = world.host("victim")
    peer = puppet(victim)
    peer.say(m.Error("too-bad", "Nice\x1b[2J\x1b]0;try\x07\r\nTraceback:\n\u202e all your base"))
    result = peer.end()
    assert code(result) == "too-bad"
    assert result.error.message.isprintable()
    assert "\u202e" not in result.error.message


# --- how much ----------------------------------------------------------------------------------------------------------------------------


def test_rows_are_bounded_by_their_bytes_too(world, puppet, monkeypatch):
    """Long keys and versions of many entries take a hundred times what the number of rows says."""
    import twsync.peer.gathering as gathering

    monkeypatch.setattr(gathering, "MAX_ROW_BYTES_PER_ROUND", 100_000)
    victim = world.host("victim")
    peer = puppet(victim)
    deep = b"/".join([b"k" * 250] * 40)
    peer.items(*(file(b"%d/" % number + deep) for number in range(20)))
    assert code(peer.end()) == "protocol-error"


def test_skipped_keys_are_bounded_by_their_bytes_too(world, puppet, monkeypatch):
    monkeypatch.setattr(commit, "MAX_SKIPPED_BYTES_PER_SESSION", 100_000)
    victim = world.host("victim")
    peer = puppet(victim)
    peer.items()
    peer.counterparts()
    peer.agree()
    deep = b"/".join([b"k" * 250] * 40)
    peer.say(m.Skipped(tuple((b"%d/" % number + deep, "damaged") for number in range(20))))
    assert code(peer.finish()) == "protocol-error"


# --- ways out of the collection ----------------------------------------------------------------------------------------------------------


def link(key, target):
    """A link's row."""
    return Item(key, Kind.SYMLINK, blake3(target).digest(), 0, 10**18, 0, Version(((EVIL, 1),)), target, "evil")


@pytest.mark.parametrize("sync_type", [SyncType.TWO_WAY, SyncType.ONE_WAY_FROM_CLIENT, SyncType.REFRESH_FROM_CLIENT])
@pytest.mark.parametrize("first", ["link", "folder", "nothing"])
def test_nothing_is_written_through_a_link(world, puppet, tmp_path, sync_type, first):
    """A link and a file below it in one session, and a folder that becomes a link while its content comes."""
    outside = tmp_path / "outside"
    outside.mkdir()
    victim = world.host("victim")
    victim.write("a", "1")
    peer = puppet(victim, sync_type, contents=[b"evil"])
    given = [link(b"d", bytes(outside)), file(b"d/passwd"), file(b"e/passwd")]
    if first == "folder":
        given = [replace(file(b"d"), kind=Kind.DIRECTORY, content=b"", size=0, mode=0o755), file(b"d/passwd")]
    elif first == "nothing":
        given = [file(b"d/passwd")]
    peer.items(*given)
    peer.hear(m.ItemsEnd)
    peer.counterparts()
    plan = peer.hear(m.Plan)
    if first != "link":
        (victim.folder / "d").symlink_to(outside)
    peer.say(m.Plan(plan.digest, 0), m.RoundEnd(1, False))
    peer.hear(m.RoundEnd)
    # Another round: the victim says what it holds now, and is told again.
    peer.items(*given)
    peer.hear(m.ItemsEnd, 2)
    peer.counterparts()
    peer.agree(2)
    if peer.lost is None:
        peer.finish()
    peer.end()
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("mtime", [-(2**63), -1, 2**63 - 1])
@pytest.mark.parametrize("replica", [1, 2**63, 2**64 - 1])
def test_extreme_numbers_are_kept_or_refused(world, puppet, mtime, replica):
    victim, friend = world.host("victim"), world.host("friend")
    victim.write("a", "1")
    peer = puppet(victim, contents=[b"evil"])
    odd = file(b"x", version=Version(((replica, 2**62),)))
    peer.items(replace(odd, mtime_ns=mtime))
    peer.hear(m.ItemsEnd)
    peer.counterparts()
    peer.agree()
    assert peer.finish().error is None
    for _ in range(2):
        first, second = world.sync(victim, friend)
        assert (code(first), code(second)) == (None, None)
        assert friend.tree() == victim.tree()


# --- wants -------------------------------------------------------------------------------------------------------------------------------


def wanting(peer):
    """Up to where contents may be asked for; the victim's rows by key."""
    peer.items()
    peer.hear(m.ItemsEnd)
    peer.counterparts()
    peer.say(m.Plan(peer.hear(m.Plan).digest, 0))
    return {row.key: row for message in peer.heard if isinstance(message, m.Items) for row in message.items}


def lying_signature(block_length, length):
    """A signature stream that says so of a file that nobody has."""
    data = SIGNATURE_HEADER.pack(b"\x89twsig2\n", block_length, 8, 1) + bytes(12) * min(-(-length // block_length), 1000)
    data += b"\0end" + length.to_bytes(8, "big") + min(-(-length // block_length), 1000).to_bytes(4, "big")
    return data + xxhash.xxh64(data, seed=0).digest()


@pytest.mark.parametrize(("block_length", "length"), [(1, 1000), (511, 511_000), (2**24, 1000 * 2**24)])
def test_signatures_that_cost_much_are_refused(world, puppet, block_length, length):
    """Short blocks make a delta larger than the file; a claim of terabytes allows for hours of search."""
    victim = world.host("victim")
    victim.write("large", bytes(100_000))
    peer = puppet(victim)
    large = wanting(peer)[b"large"]
    peer.say(m.Want(files=((1, b"large", large.content, "delta", 0),)))
    peer.channel.send_frame(Frame(FrameType.SIGNATURE, lying_signature(block_length, length), 1))
    peer.channel.send_frame(Frame(FrameType.SIGNATURE, b"", 1))
    assert code(peer.end()) == "protocol-error"


def test_a_spoilt_signature_is_said_to_be_one(world, puppet):
    victim = world.host("victim")
    victim.write("large", bytes(100_000))
    peer = puppet(victim)
    large = wanting(peer)[b"large"]
    peer.say(m.Want(files=((1, b"large", large.content, "delta", 0),)))
    signature = bytearray(lying_signature(1024, 100_000))
    signature[50] ^= 1
    peer.channel.send_frame(Frame(FrameType.SIGNATURE, bytes(signature), 1))
    peer.channel.send_frame(Frame(FrameType.SIGNATURE, b"", 1))
    assert code(peer.end()) == "protocol-error"


def test_answers_do_not_pile_up_for_who_does_not_read(world, puppet):
    """Not even those without content, however many are asked for."""
    victim = world.host("victim")
    victim.write("empty", "")
    peer = puppet(victim)
    empty = wanting(peer)[b"empty"]
    waiting = []
    peer.theirs.drained = lambda: waiting.append(Deferred()) or waiting[-1]
    for transfer in range(1, 50):
        peer.say(m.Want(bundles=((transfer, ((b"empty", empty.content),) * 256),)))
    world.loop.run_until(lambda: peer.lost is not None)
    for each in waiting:
        each.callback(None)
    result = peer.end()
    assert code(result) == "protocol-error"
    assert sum(isinstance(message, m.Bundle) for message in peer.heard) <= 2


def test_few_bytes_wait_for_a_busy_session(world):
    """Rows of many versions take thirty times their bytes in memory."""
    held, released = [], []

    class Silent:
        hello = None
        receive = staticmethod(lambda receiver: None)
        pause = staticmethod(lambda: held.append(1))
        resume = staticmethod(lambda: released.append(1))

    dialogue = Dialogue(Silent())
    dialogue.begin()
    del released[:]
    row = rows.row(file(b"x", version=Version(tuple((number, 1) for number in range(1, 257)))))
    for message in (m.Hello(1, (), "s", "c", b"t" * 32), m.Open(EVIL, (), SyncType.SLOW, Policy.OURS, b"n" * 16, 0, False)):
        dialogue.frame_received(Frame(FrameType.CONTROL, m.encode(message)))
    frame = Frame(FrameType.CONTROL, m.encode(m.Items((row,) * 500)))
    sent = 0
    while not held:
        dialogue.frame_received(frame)
        sent += len(frame.payload)
    assert sent < 10 * MIB

    async def listen():
        while not released:
            await dialogue.hear(m.Message)

    Deferred.fromCoroutine(listen())
    assert released


# --- ahead of the plan -------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def low(monkeypatch):
    """Files are large from 100,000 bytes on."""
    for module in (limits, announcing, prefetch):
        monkeypatch.setattr(module, "AHEAD_FILE", 100_000)


def staged(host):
    return [path.name for path in (host.folder / ".twsync" / "staging").iterdir()]


@pytest.mark.parametrize("key", [b"never", b"large", b"small", b"link", b"large.own"])
def test_only_announced_files_can_be_fetched_and_once(world, puppet, low, tmp_path, key):
    """`large` was announced: it is given once, and not after it became a link."""
    victim = world.host("victim", patterns=("*.own",))
    for name in ("large", "large.own"):
        victim.write(name, bytes(200_000))
    victim.write("small", bytes(1000))
    (victim.folder / "link").symlink_to("large")
    peer = puppet(victim)
    assert peer.hear(m.Ahead).key == b"large"
    if key == b"large":
        peer.say(m.Fetch(1, b"large", "whole"))
        assert peer.hear(m.FileEnd).status == "ok"
    peer.say(m.Fetch(2, key, "whole"))
    assert code(peer.end()) == "protocol-error"


def test_what_became_a_link_is_not_fetched_through_it(world, puppet, low, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(200_000))
    victim = world.host("victim")
    path = victim.write("large", bytes(200_000))
    peer = puppet(victim)
    peer.hear(m.Ahead)
    path.unlink()
    path.symlink_to(secret)
    peer.say(m.Fetch(1, b"large", "whole"))
    assert peer.hear(m.File).status == "changed"
    peer.channel.cut()
    peer.end()


def test_no_fetch_after_the_plan(world, puppet, low):
    victim = world.host("victim")
    victim.write("large", bytes(200_000))
    peer = puppet(victim)
    peer.items()
    peer.counterparts()
    plan = peer.hear(m.Plan)
    peer.say(m.Plan(plan.digest, 0), m.Fetch(1, b"large", "whole"))
    assert code(peer.end()) == "protocol-error"


def test_announcements_are_bounded(world, puppet, low, monkeypatch):
    monkeypatch.setattr(prefetch, "MAX_AHEAD", 20)
    victim = world.host("victim")
    peer = puppet(victim)
    peer.say(*(m.Ahead(b"%d" % number, 100_000 + number, b"") for number in range(21)))
    assert code(peer.end()) == "protocol-error"
    assert len([message for message in peer.heard if isinstance(message, m.Fetch)]) <= 2
    assert staged(victim) == []


def test_what_was_announced_in_vain_or_too_large_for_the_disk_leaves_nothing(world, puppet, low):
    victim = world.host("victim")
    peer = puppet(victim)
    peer.say(m.Ahead(b"huge", 2**62, b""), m.Ahead(b"large", 200_000, b""))
    fetch = peer.hear(m.Fetch)
    assert fetch.key == b"large"
    peer.say(m.File(fetch.transfer, "ok", 200_000))
    peer.channel.send_frame(Frame(FrameType.DATA, bytes(100_000), fetch.transfer))
    peer.items()
    peer.counterparts()
    plan = peer.hear(m.Plan)
    peer.say(m.Plan(plan.digest, 0))
    # It is not in the plan: stopped, but its end is waited for.
    assert peer.hear(m.Stop).transfer == fetch.transfer
    assert not any(isinstance(message, m.RoundEnd) for message in peer.heard)
    peer.channel.send_frame(Frame(FrameType.DATA, bytes(100_000), fetch.transfer))
    peer.say(m.FileEnd(fetch.transfer, "ok"), m.RoundEnd(0, False))
    peer.hear(m.RoundEnd)
    assert peer.finish().error is None
    assert victim.tree() == {}
    assert staged(victim) == []


@pytest.mark.parametrize("lie", ["size", "longer"])
def test_a_fetched_file_is_no_larger_than_announced(world, puppet, low, lie):
    victim = world.host("victim")
    peer = puppet(victim)
    peer.say(m.Ahead(b"large", 200_000, b""))
    fetch = peer.hear(m.Fetch)
    peer.say(m.File(fetch.transfer, "ok", 200_001 if lie == "size" else 200_000))
    if lie == "longer":
        peer.channel.send_frame(Frame(FrameType.DATA, bytes(200_001), fetch.transfer))
    assert code(peer.end()) == "protocol-error"
    assert victim.tree() == {}


def test_content_that_is_not_the_row_s_is_asked_for_again(world, puppet, low):
    """Whatever was sent ahead of the plan, only what proves to be the row's content is placed."""
    true, false = b"t" * 200_000, b"f" * 200_000
    victim = world.host("victim")
    peer = puppet(victim)
    peer.say(m.Ahead(b"large", 200_000, b""))
    fetch = peer.hear(m.Fetch)
    peer.say(m.File(fetch.transfer, "ok", 200_000))
    peer.channel.send_frame(Frame(FrameType.DATA, false, fetch.transfer))
    peer.say(m.FileEnd(fetch.transfer, "ok"))
    peer.items(file(b"large", true))
    peer.counterparts()
    plan = peer.hear(m.Plan)
    peer.say(m.Plan(plan.digest, 0))
    ((transfer, key, content, mode, offset),) = peer.hear(m.Want).files
    assert (key, content, mode, offset) == (b"large", blake3(true).digest(), "whole", 0)
    peer.say(m.File(transfer, "ok", 200_000))
    peer.channel.send_frame(Frame(FrameType.DATA, true, transfer))
    peer.say(m.FileEnd(transfer, "ok"), m.RoundEnd(0, False))
    peer.hear(m.RoundEnd)
    assert peer.finish().error is None
    assert victim.tree() == {"large": true}
    assert staged(victim) == []


def test_stop_is_for_what_was_fetched(world, puppet, low):
    victim = world.host("victim")
    victim.write("large", bytes(70_000))
    peer = puppet(victim)
    row = peer.hear(m.Items).items[0]
    peer.items()
    peer.counterparts()
    plan = peer.hear(m.Plan)
    peer.say(m.Plan(plan.digest, 0), m.Stop(7), m.Want(files=((1, b"large", row.content, "delta", 0),)), m.Stop(1))
    assert code(peer.end()) == "protocol-error"


def test_what_came_ahead_and_the_plan_does_not_want_is_deleted(world, puppet):
    """A row below a file: there is no folder for it."""
    victim = world.host("victim")
    peer = puppet(victim, contents=[b"evil", b"homeless"])
    peer.items(file(b"d"), file(b"d/x", b"homeless"))
    assert [key for _transfer, entries in peer.hear(m.Want).bundles for key, _content in entries] == [b"d", b"d/x"]
    peer.counterparts()
    peer.agree()
    assert peer.finish().error is None
    assert victim.tree() == {"d": b"evil"}
    assert staged(victim) == []


def test_a_large_file_is_not_to_be_asked_for_by_want_before_the_plan(world, puppet):
    victim = world.host("victim")
    victim.write("large", bytes(100_000))
    peer = puppet(victim)
    peer.items()
    row = peer.hear(m.Items).items[0]
    peer.say(m.Want(files=((1, row.key, row.content, "whole", 0),)))
    assert peer.end().error.code == "protocol-error"


# --- kept signatures ---------------------------------------------------------------------------------------------------------------------


class Sender(Puppet):
    """It has been sent the signature before, so it has had all the time to make deltas for it. Answers each `want` of a large file.

    :ivar signature: what it is sent; `asked`: the modes of its answers.
    """

    def __init__(self, *arguments, **terms):
        self.signature, self.asked, self.answers = b"", [], []
        super().__init__(*arguments, **terms)

    def frame_received(self, frame):
        if frame.kind is FrameType.SIGNATURE:
            self.signature += frame.payload
            if not frame.payload:
                self.send(self.answers.pop(0)(self.signature))
        super().frame_received(frame)

    def answer(self, want):
        for transfer, _key, _content, mode, _offset in want.files:
            self.transfer = transfer
            self.asked.append(mode)
            if mode == "whole":
                self.send(self.answers.pop(0)(b""))

    def send(self, stream):
        self.say(m.File(self.transfer, "ok", 200_000))
        self.channel.send_frame(Frame(FrameType.DATA, stream, self.transfer))
        self.say(m.FileEnd(self.transfer, "ok"))


OLD, NEW, FORGED = (bytes([number]) * 150_000 + bytes(50_000) for number in b"onf")


def spoilt(signature):
    """A delta whose end does not fit."""
    return b"".join(delta.delta(signature, NEW))[:-1] + b"x"


def of_another(signature):
    """A delta of this signature, right in itself, of other content."""
    return b"".join(delta.delta(signature, FORGED))


def of_another_file(signature):
    """Copies only, of a file of this size that the victim does not have."""
    return b"".join(delta.delta(delta.signature(NEW, seed=1), NEW))


@pytest.mark.parametrize("lie", [spoilt, of_another, of_another_file])
@pytest.mark.parametrize("whole", [NEW, FORGED], ids=["then the truth", "then a lie"])
def test_a_delta_made_for_a_kept_signature_proves_nothing(world, lie, whole):
    """The right content comes of it, or none; and what was kept of the old file is not asked a second time."""
    victim = world.host("victim")
    victim.write("large", OLD)
    kept = victim.folder / ".twsync" / "signatures" / blake3(OLD).hexdigest()
    good = world.sync(victim, world.host("other"))
    assert [result.error for result in good] == [None, None]
    kept.parent.mkdir()
    kept.write_bytes(delta.signature(OLD, seed=1))
    peer = Sender(world, victim)
    peer.answers = [lie, lambda _signature: whole]
    (row,) = peer.hear(m.Items).items
    peer.items(file(b"large", NEW, version=rows.item(row).version.joined(Version(((EVIL, 1),)))))
    peer.counterparts()
    peer.agree()
    assert peer.finish().error is None
    assert peer.asked == ["delta", "whole"]
    assert delta.signature(OLD, seed=1) == peer.signature
    assert victim.tree() == {"large": NEW if whole is NEW else OLD}
    assert staged(victim) == [] and not kept.exists()
