"""The parts of the exchange that have rules of their own: belts between threads, compression, the basis of a delta."""

from __future__ import annotations

import contextlib
import itertools
import os
import traceback

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from twsync.errors import ProtocolError, StoreError
from twsync.limits import MAX_BULK, MAX_FRAME, MAX_LITERAL
from twsync.peer.basis import Basis
from twsync.peer.gathering import item_messages
from twsync.peer.largeread import LONG_LITERAL, full_frames
from twsync.peer.pace import Pace, unpack
from twsync.peer.streams import Draw, Feed
from twsync.peerwire import messages
from twsync.peerwire.frames import FrameType
from twsync.reconcile.model import Item, Kind
from twsync.reconcile.versions import Version
from twsync.transport.buffers import Buffers


def finished(world, deferred):
    """The Deferred's result or error, when it is there."""
    outcome = []
    deferred.addBoth(outcome.append)
    world.loop.run_until(lambda: outcome)
    return outcome[0]


# --- threads ----------------------------------------------------------------------------------------------------------------------------


def test_errors_leave_their_frames_in_the_thread(world):
    """Frames that hang on an error keep memoryviews in cycles, which CPython does not survive."""

    def job():
        view = memoryview(bytes(10))
        try:
            raise OSError(28, "No space left on device")
        except OSError as error:
            raise StoreError("The disk is full.", "disk-full") from error
        finally:
            assert len(view) == 10

    failure = finished(world, world.workshop.write(job))
    assert isinstance(failure.value, StoreError)
    assert isinstance(failure.value.__cause__, OSError)
    names = {frame.name for error in (failure.value, failure.value.__cause__) for frame in traceback.extract_tb(error.__traceback__)}
    assert "job" not in names


def test_an_error_that_is_its_own_cause_leaves_the_thread(world):
    def job():
        error = StoreError("over", "over")
        raise error from error

    assert finished(world, world.workshop.write(job)).value.code == "over"


def test_feed_hands_on_in_order_and_says_what_was_taken(world):
    taken = []
    feed = Feed(taken.append)
    for number in range(5):
        feed.put(f"chunk {number}", number)
    feed.end()
    feed.end(StoreError("too late"))
    assert finished(world, world.workshop.stream(list, feed)) == [f"chunk {number}" for number in range(5)]
    assert taken == [0, 1, 2, 3, 4]


def test_feed_ends_with_an_error(world):
    feed = Feed(lambda _size: None)
    feed.put("chunk", 1)
    feed.end(StoreError("over", "over"))
    assert finished(world, world.workshop.stream(list, feed)).value.code == "over"


def test_draw_hands_on_in_order_and_ends(world):
    async def everything(draw):
        found = []
        while (element := await draw.next()) is not None:
            found.append(element)
        return found

    from twisted.internet.defer import Deferred

    draw = Draw(world.workshop, iter(range(100)))
    assert finished(world, Deferred.fromCoroutine(everything(draw))) == list(range(100))

    def broken():
        yield 1
        raise StoreError("over", "over")

    draw = Draw(world.workshop, broken())
    assert finished(world, Deferred.fromCoroutine(everything(draw))).value.code == "over"


def test_who_hears_of_an_error_can_wait_for_the_thread(world):
    async def first(draw):
        try:
            return await draw.next()
        finally:
            draw.stop()
            await draw.finished

    def broken():
        raise StoreError("over", "over")
        yield 1

    from twisted.internet.defer import Deferred

    assert finished(world, Deferred.fromCoroutine(first(Draw(world.workshop, broken())))).value.code == "over"


def test_draw_gives_what_is_there(world):
    async def everything(draw):
        found = []
        while some := await draw.some(3):
            found.append(some)
        return found

    from twisted.internet.defer import Deferred

    draw = Draw(world.workshop, iter(range(10)), ahead=5)
    groups = finished(world, Deferred.fromCoroutine(everything(draw)))
    assert [element for group in groups for element in group] == list(range(10))
    assert {len(group) for group in groups} <= {1, 2, 3}

    def broken():
        yield 1
        raise StoreError("over", "over")

    draw = Draw(world.workshop, broken())
    assert finished(world, Deferred.fromCoroutine(everything(draw))).value.code == "over"


def test_stopped_draw_closes_its_source(world):
    closed = []

    def endless():
        try:
            while True:
                yield b"x"
        finally:
            closed.append(True)

    draw = Draw(world.workshop, endless(), ahead=2)
    draw.stop()
    finished(world, draw.finished)
    assert closed == [True]


# --- compression --------------------------------------------------------------------------------------------------------------------------


def slow_pace(allowed=True):
    clock = Clock()
    pace = Pace(clock.seconds, allowed)
    for _ in range(3):
        clock.advance(1)
        pace.sent(1_000_000, 0.9)
    return clock, pace


def test_only_a_slow_wire_makes_compressing_worth_it():
    clock, pace = slow_pace()
    text = b"all work and no play " * 40_000
    kind, packed = pace.pack(text)
    assert kind is FrameType.DATA_ZSTD and len(packed) < len(text) / 10
    assert unpack(kind, packed) == text
    # The disk, not the wire, is what took the time.
    clock.advance(1)
    pace.sent(1_000_000, 0.0)
    assert pace.pack(text) == (FrameType.DATA, text)
    # A fast wire that is full.
    clock.advance(1)
    pace.sent(200_000_000, 0.9)
    assert pace.pack(text) == (FrameType.DATA, text)


def test_what_does_not_shrink_or_is_not_agreed_on_stays_as_it_is():
    _, pace = slow_pace()
    noise = os.urandom(MAX_BULK)
    assert pace.pack(noise) == (FrameType.DATA, noise)
    assert pace.pack(b"aaa") == (FrameType.DATA, b"aaa")
    _, pace = slow_pace(allowed=False)
    assert pace.pack(b"a" * 10_000)[0] is FrameType.DATA


@given(st.binary(min_size=512, max_size=3000).map(lambda data: data * 40))
@settings(max_examples=30, deadline=None)
def test_packed_content_comes_out_the_same(data):
    _, pace = slow_pace()
    assert unpack(*pace.pack(data)) == data


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"not zstd",
        zstandard.compress(bytes(MAX_BULK + 1)),
        zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1000)),
        zstandard.compress(bytes(1000))[:-3],
        zstandard.compress(bytes(1000)) + b"more",
    ],
    ids=["empty", "garbage", "too large", "size unknown", "truncated", "trailing bytes"],
)
def test_compressed_frames_that_lie_are_refused(payload):
    with pytest.raises(ProtocolError):
        unpack(FrameType.DATA_ZSTD, payload)


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_compressed_garbage_is_refused(data):
    with contextlib.suppress(ProtocolError):
        unpack(FrameType.DATA_ZSTD, zstandard.compress(b"x" * 50)[:6] + data)


# --- the basis ----------------------------------------------------------------------------------------------------------------------------


class Memory:
    """A part that gives less at once than it could."""

    def __init__(self, content):
        self.content = content

    def readinto_at(self, buffer, place):
        data = self.content[place : place + min(len(buffer), 7)]
        buffer[: len(data)] = data
        return len(data)

    def close(self):
        self.content = b""


@given(st.lists(st.binary(max_size=20), max_size=4), st.lists(st.tuples(st.integers(0, 80), st.integers(1, 30)), max_size=6))
@settings(max_examples=100, deadline=None)
def test_basis_reads_like_the_parts_in_a_row(parts, reads):
    whole = b"".join(parts)
    basis = Basis([(Memory(part), len(part)) for part in parts])
    assert basis.size == len(whole)
    for offset, size in reads:
        basis.seek(offset)
        found = b""
        while len(found) < size and (data := basis.read(size - len(found))):
            found += data
        assert found == whole[offset : offset + size]
        basis.seek(offset)
        buffer = memoryview(bytearray(size))
        filled = 0
        while filled < size and (count := basis.readinto(buffer[filled:])):
            filled += count
        assert bytes(buffer[:filled]) == found
    assert basis.seek(0, os.SEEK_END) == len(whole)


# --- what a delta travels in --------------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.one_of(st.integers(1, 100), st.sampled_from([LONG_LITERAL - 1, LONG_LITERAL, MAX_LITERAL, 2 * MAX_LITERAL])), max_size=20)
)
@settings(max_examples=40, deadline=None)
def test_long_literals_fill_frames_and_nothing_else_waits(sizes):
    chunks = [bytes([number]) * size for number, size in enumerate(sizes)]
    taken = []

    def coming():
        for number, chunk in enumerate(chunks):
            taken.append(number)
            yield chunk

    frames = []
    for payload in full_frames(coming(), Buffers()):
        frames.append(bytes(payload))
        behind = sum(len(chunk) for chunk in chunks[: len(taken)]) - sum(map(len, frames))
        assert behind <= len(chunks[taken[-1]])
    assert b"".join(frames) == b"".join(chunks)
    assert all(0 < len(frame) <= MAX_BULK for frame in frames)
    # Two neighbours that both hold long pieces would not have fitted one frame.
    for one, two in itertools.pairwise(frames):
        assert min(len(one), len(two)) < LONG_LITERAL or len(one) + 2 * MAX_LITERAL > MAX_BULK


@pytest.mark.parametrize(("length", "count"), [(20, 3), (600, 5), (16_000, 68)])
def test_rows_are_sent_in_messages_that_fit_a_frame(length, count):
    items = [Item(b"%04d" % number + b"x" * (length - 4), Kind.DELETED, b"", 0, 0, 0, Version(((1, 1),))) for number in range(2_100)]
    sent = list(item_messages(items))
    assert [row.key for message in sent for row in message.items] == [item.key for item in items]
    assert all(len(messages.encode(message)) < MAX_FRAME for message in sent)
    assert len(sent) == count
