"""Memory that is used again."""

from __future__ import annotations

from twsync.limits import MAX_BULK
from twsync.peerwire.frames import Decoder, Frame, FrameType, encode
from twsync.transport.buffers import Buffers


def test_released_memory_is_used_again_and_other_memory_is_not():
    buffers = Buffers(size=MAX_BULK, most=1)
    first, second = buffers.take(), buffers.take(100_000)
    assert (len(first), len(second)) == (MAX_BULK, 100_000)
    whole = first.obj
    buffers.give(first)
    buffers.give(b"something else")
    buffers.give(memoryview(bytearray(MAX_BULK)))
    assert buffers.take(70_000).obj is whole
    assert buffers.take(70_000).obj is not whole
    buffers.close()
    buffers.give(second)
    assert buffers.take().obj is not second.obj


def test_frame_that_is_not_released_keeps_its_memory():
    decoder = Decoder(memory=Buffers())
    one, two = (decoder.feed(encode(Frame(FrameType.DATA, letter * 100_000, 1)))[0] for letter in (b"a", b"b"))
    assert bytes(one.payload) == b"a" * 100_000
    one.release()
    (three,) = decoder.feed(encode(Frame(FrameType.DATA, b"c" * 100_000, 1)))
    assert three.payload.obj is one.payload.obj
    assert bytes(two.payload) == b"b" * 100_000
