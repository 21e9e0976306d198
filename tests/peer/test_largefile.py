"""A large file as it comes in: what becomes of it when the delta and its basis do not fit."""

from __future__ import annotations

import os

import pytest
from blake3 import blake3

from twsync import delta
from twsync.limits import MAX_BULK
from twsync.peer.basis import Basis, Received
from twsync.peer.largefile import Opening, take_in
from twsync.peer.needs import Need
from twsync.peer.streams import Feed
from twsync.peerwire.frames import Frame, FrameType
from twsync.store.paths import Gate
from twsync.store.staging import Staging

OLD = blake3(b"old").digest(MAX_BULK)
NEW = OLD[:1000] + b"edited" + OLD[1000:]


class Once(Feed):
    """A feed that has only one end: who asks again behind it would wait for good."""

    ended = False

    def __iter__(self):
        assert not self.ended
        yield from super().__iter__()
        self.ended = True


class Signatures:
    """Those that are kept."""

    def __init__(self):
        self.forgotten = []

    def forget(self, content):
        self.forgotten.append(content)


@pytest.fixture
def staging(tmp_path):
    folder = tmp_path / "collection"
    folder.mkdir()
    gate = Gate.open(folder, known=False)
    staging = Staging(gate)
    yield staging
    staging.close()
    gate.close()


@pytest.fixture
def take(staging, tmp_path):
    """Take in `NEW` from a delta stream in frames of so many bytes; how it ended, and which signatures and bytes were done with."""
    old = tmp_path / "old"
    old.write_bytes(OLD)
    need = Need(blake3(NEW).digest(), len(NEW), [])

    def taken_in(stream, size, left=MAX_BULK):
        os.truncate(old, left)
        opening = Opening(staging.create(need.content), Basis([(Received(os.open(old, os.O_RDONLY)), len(OLD))]), older=b"older")
        done, signatures, feed = [], Signatures(), Once(lambda size: done.append(size))
        for at in range(0, len(stream), size):
            payload = stream[at : at + size]
            feed.put(Frame(FrameType.DATA, payload), len(payload))
        feed.end()
        try:
            return take_in(need, opening, feed, signatures)[0], signatures.forgotten, sum(done)
        finally:
            opening.close()

    return taken_in


@pytest.fixture(scope="module")
def stream():
    signature = b"".join(delta.signature_chunks(OLD, delta.block_length_for(len(OLD)), 0))
    return b"".join(delta.delta(signature, NEW))


def test_delta_makes_the_file(take, stream, staging):
    staged, forgotten, done = take(stream, 7)
    assert (staged.content, staged.size) == (blake3(NEW).digest(), len(NEW))
    assert not forgotten
    assert done == len(stream)


@pytest.mark.parametrize("size", [7, MAX_BULK])
def test_delta_that_does_not_fit_is_read_to_its_end_and_not_beyond(take, stream, size):
    """Also where that shows only when all of it was read: a stream that is not whole, a basis that has become shorter."""
    altered = bytes([stream[0] ^ 1]) + stream[1:]
    for spoilt, left in ((altered, len(OLD)), (stream[:-1], len(OLD)), (stream, len(OLD) - 1), (b"", len(OLD))):
        assert take(spoilt, size, left) == (None, [b"older"], len(spoilt))
