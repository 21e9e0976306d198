"""Cutting a stream into frames."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twsync.errors import ProtocolError
from twsync.limits import MAX_BULK, MAX_FRAME, MAX_HELLO_FRAME
from twsync.peerwire.frames import LONG, RUN, Decoder, Frame, FrameType, Fresh, encode, head

PLAIN = [FrameType.PING, FrameType.PONG]
BULK = [FrameType.DATA, FrameType.DATA_ZSTD, FrameType.SIGNATURE]

frames = st.one_of(
    st.builds(Frame, st.sampled_from(PLAIN), st.just(b"")),
    st.builds(Frame, st.just(FrameType.CONTROL), st.binary(max_size=300)),
    st.builds(Frame, st.sampled_from(BULK), st.binary(max_size=300), st.integers(0, 2**32 - 1)),
)


def plain(found):
    return [Frame(frame.kind, bytes(frame.payload), frame.transfer) for frame in found]


@given(st.lists(frames, max_size=8), st.lists(st.integers(1, 200), max_size=30))
@settings(max_examples=80, deadline=None)
def test_stream_may_be_cut_anywhere(sent, cuts):
    stream = b"".join(encode(frame) for frame in sent)
    decoder, received, at = Decoder(), [], 0
    for cut in cuts:
        received += plain(decoder.feed(stream[at : at + cut]))
        at += cut
    received += plain(decoder.feed(stream[at:]))
    assert received == sent


def test_byte_by_byte():
    sent = [Frame(FrameType.DATA, b"x" * 700, 7), Frame(FrameType.PING, b""), Frame(FrameType.CONTROL, b"\x80")]
    decoder, received = Decoder(), []
    for byte in b"".join(map(encode, sent)):
        received += plain(decoder.feed(bytes([byte])))
    assert received == sent


def test_crumbs_of_a_large_frame_are_gathered():
    """Received in single bytes a frame must not cost more than it holds."""
    stream = encode(Frame(FrameType.DATA, b"y" * 5000, 1))
    decoder = Decoder()
    for byte in stream[:-1]:
        assert decoder.feed(bytes([byte])) == []
    assert plain(decoder.feed(stream[-1:])) == [Frame(FrameType.DATA, b"y" * 5000, 1)]


def test_layout_to_the_byte():
    assert encode(Frame(FrameType.CONTROL, b"\x81")) == b"\x00\x00\x00\x02\x01\x81"
    assert encode(Frame(FrameType.DATA, b"abc", 0x01020304)) == b"\x00\x00\x00\x08\x02\x01\x02\x03\x04abc"
    assert encode(Frame(FrameType.PING, b"")) == b"\x00\x00\x00\x01\x05"


def test_largest_bulk_frame_is_taken():
    data = bytes(MAX_BULK)
    (frame,) = Decoder().feed(encode(Frame(FrameType.DATA, data, 1)))
    assert len(frame.payload) == MAX_BULK


@pytest.mark.parametrize(
    "wrong",
    [
        struct.pack(">I", 0),
        struct.pack(">I", MAX_FRAME + 1),
        struct.pack(">I", 0xFFFFFFFF),
        struct.pack(">IB", 1, 0x00),
        struct.pack(">IB", 1, 0x07),
        struct.pack(">IB", 100, 0xFF),
        struct.pack(">IB", 1, FrameType.DATA),
        struct.pack(">IBI", 4, FrameType.SIGNATURE, 1)[:8],
        struct.pack(">IB", 2, FrameType.PING) + b"x",
        struct.pack(">IBI", MAX_BULK + 6, FrameType.DATA, 1) + bytes(MAX_BULK + 1),
        b"GET / HTTP/1.1\r\n",
    ],
)
def test_what_is_no_frame_is_refused(wrong):
    with pytest.raises(ProtocolError):
        Decoder().feed(wrong)


def test_unknown_type_is_refused_before_its_payload_came():
    with pytest.raises(ProtocolError):
        Decoder().feed(struct.pack(">IB", 1000, 0x42))


def test_limit_before_identification():
    decoder = Decoder(MAX_HELLO_FRAME)
    with pytest.raises(ProtocolError):
        decoder.feed(struct.pack(">I", MAX_HELLO_FRAME + 1))
    decoder = Decoder(MAX_HELLO_FRAME)
    decoder.limit = MAX_FRAME
    assert decoder.feed(struct.pack(">I", MAX_HELLO_FRAME + 1)) == []


@given(st.binary(max_size=2000))
@settings(max_examples=200, deadline=None)
def test_garbage_is_frames_or_a_protocol_error(data):
    decoder = Decoder()
    try:
        for start in range(0, len(data), 7):
            for frame in decoder.feed(data[start : start + 7]):
                assert len(frame.payload) <= len(data)
    except ProtocolError:
        pass


def test_own_frames_that_are_too_large_are_a_mistake():
    with pytest.raises(ValueError):
        head(FrameType.DATA, MAX_BULK + 1, 1)
    with pytest.raises(ValueError):
        head(FrameType.CONTROL, MAX_FRAME)


def test_payload_lands_where_the_decoder_says():
    decoder, stream, found = Decoder(), encode(Frame(FrameType.DATA, b"z" * 100_000, 3)), []
    while stream:
        room = decoder.room()
        count = min(len(room), len(stream), 7777)
        room[:count], stream = stream[:count], stream[count:]
        found.append(decoder.took(count))
    assert found[-1] == [Frame(FrameType.DATA, b"z" * 100_000, 3)]
    assert not any(found[:-1])


_LONG_FRAMES = st.builds(
    lambda size, transfer, count: [
        Frame(FrameType.DATA, bytes([transfer, number % 256]) * (size // 2), transfer) for number in range(count)
    ],
    st.sampled_from([100, LONG - 2, LONG, LONG + 4096]),
    st.integers(1, 2),
    st.integers(1, 2 * RUN),
)
_OTHER_FRAMES = st.one_of(
    st.just([Frame(FrameType.PING, b"")]),
    st.just([Frame(FrameType.SIGNATURE, b"", 1)]),
    st.binary(max_size=12).map(lambda data: [Frame(FrameType.CONTROL, data)]),
)


@given(st.lists(st.one_of(_LONG_FRAMES, _OTHER_FRAMES), max_size=8), st.lists(st.sampled_from([1, 3, 7, 9, 20_000, 300_000]), min_size=1))
@settings(max_examples=60, deadline=None)
def test_frames_that_were_foreseen_and_others(groups, strokes):
    frames = [frame for group in groups for frame in group]
    stream, at, received = b"".join(map(encode, frames)), 0, []
    decoder, allowed = Decoder(), itertools.cycle(strokes)
    while at < len(stream):
        left = next(allowed)
        count = 0
        for room in decoder.rooms():  # as the C core fills them
            part = min(len(room.into), left - count, len(stream) - at)
            room.into[:part] = stream[at : at + part]
            at, count = at + part, count + part
            if part < len(room.into) or (room.like and room.into != room.like):
                break
        received += decoder.took(count)
    assert received == frames


class Counting(Fresh):
    """Counts what is in use."""

    out = 0

    def take(self, size):
        self.out += 1
        return super().take(size)

    def give(self, view):
        self.out -= 1


def test_memory_for_frames_that_do_not_come_is_given_back():
    memory = Counting()
    decoder = Decoder(memory=memory)
    data = encode(Frame(FrameType.DATA, bytes(LONG), 1))
    assert decoder.feed(data[:1000]) == []
    assert len(decoder.rooms()) == memory.out == 1  # nobody knows yet
    (first,) = decoder.feed(data[1000:] + data[:1000])
    assert len(decoder.rooms()) == 2 * RUN
    first.release()
    assert memory.out == RUN + 1
    (second, _end) = decoder.feed(data[1000:] + encode(Frame(FrameType.CONTROL, b"end")))
    second.release()
    assert memory.out == 1  # of the last, which is not released
