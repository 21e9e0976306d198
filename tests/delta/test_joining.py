"""A file put together from an old one and from what comes."""

from __future__ import annotations

from threading import Lock

import pytest
from blake3 import blake3

from twsync.delta import _joining, threads
from twsync.delta._joining import HALVED, MOST_PIECES, PORTION, Joining
from twsync.delta.threads import Threads
from twsync.errors import FormatError

OLD = blake3(b"old").digest(2 * PORTION + 1077)


def read_old(buffer, place):
    """Some of the old file at a place."""
    part = OLD[place : place + min(len(buffer), 2 * PORTION + 77 - place if place < 2 * PORTION + 77 else 1000)]
    buffer[: len(part)] = part
    return len(part)


class Note:
    """A new file that remembers what it was given, and what was proved of it, until the disk is full."""

    def __init__(self, room=1 << 30):
        self.data = bytearray()
        self.proved = bytearray()
        self.room = room
        self.turn = Lock()

    def prove(self, data, pieces):
        assert self.turn.acquire(blocking=False), "one after the other"
        assert len(data) == sum(piece[1] if isinstance(piece, tuple) else len(piece) for piece in pieces)
        self.proved += data
        self.turn.release()

    def write(self, data):
        if len(self.data) + len(data) > self.room:
            raise OSError("full")
        self.data += data
        return len(data)


@pytest.fixture
def beside():
    with Threads(2) as executor:
        yield executor


def into(note, executor):
    return Joining(read_old, note, executor, note.prove)


def test_ranges_and_bytes_come_in_order(beside):
    content, note = OLD, Note()
    join = into(note, beside)
    expected = b""
    for offset, length in ((0, len(content)), (PORTION - 3, 10), (len(content) - 5, 5), (1, 2 * PORTION)):
        join.copy(offset, length)
        for more in (b"between", content[:HALVED]):
            join.write(memoryview(more))
            expected += (content[offset : offset + length] if more == b"between" else b"") + more
    join.copy(7, 1)
    join.end()
    assert bytes(note.data) == bytes(note.proved) == expected + content[7:8]


def test_old_file_that_became_shorter_is_an_error_of_the_stream(beside):
    note = Note()
    join = into(note, beside)
    join.copy(0, PORTION)
    join.copy(len(OLD) - 10, 11)
    join.write(memoryview(b"behind it"))
    with pytest.raises(FormatError):
        join.end()
    assert bytes(note.data) == OLD[:PORTION]


def test_portions_behind_one_that_cannot_be_read_stay_in_turn(beside):
    note = Note()
    join = into(note, beside)
    with pytest.raises(FormatError):
        for _ in range(9):
            join.copy(0, PORTION)
            join.copy(len(OLD), 1)
            join.copy(0, PORTION - 1)
        join.end()
    assert bytes(note.data) == OLD[:PORTION]


def test_full_disk_is_told_and_nothing_is_written_behind_it(beside):
    for length in (100, len(OLD), 9 * PORTION):
        note = Note(room=length - 1)
        join = into(note, beside)
        with pytest.raises(OSError):
            for offset in range(0, length, PORTION):
                join.copy(0, min(PORTION, length - offset))
            join.end()
        assert len(note.data) == (length - 1) // PORTION * PORTION
    with pytest.raises(OSError):
        into(Note(room=HALVED - 1), beside).write(memoryview(bytes(HALVED)))


def test_bytes_that_came_may_be_changed_afterwards(beside):
    note = Note()
    join = into(note, beside)
    for length in (5, HALVED - 1, HALVED):
        came = bytearray(b"a" * length)
        join.write(memoryview(came))
        came[:] = bytes(length)
    join.end()
    assert bytes(note.data) == b"a" * (5 + HALVED - 1 + HALVED)


def test_single_bytes_do_not_gather(beside):
    """However the stream cuts the file up, what is noted of it is bounded."""
    note, begun = Note(), []
    join = Joining(read_old, note, beside, lambda data, _pieces: begun.append(len(data)))
    for _ in range(MOST_PIECES):
        join.write(memoryview(b"x"))
        join.copy(7, 1)
    join.end()
    assert begun == [MOST_PIECES, MOST_PIECES]
    assert bytes(note.data) == (b"x" + OLD[7:8]) * MOST_PIECES


def test_many_small_pieces_fill_whole_portions(beside):
    content, note, expected = OLD, Note(), bytearray()
    join = into(note, beside)
    for number in range(PORTION // 1000):
        offset, length = number * 997 % (len(OLD) - 3000), 1 + number % 3000
        join.copy(offset, length)
        expected += content[offset : offset + length]
        join.write(memoryview(content[number : number + 700]))
        expected += content[number : number + 700]
    join.end()
    assert bytes(note.data) == bytes(note.proved) == expected


def test_no_memory_for_a_portion_keeps_none_behind_it_waiting(beside, monkeypatch):
    class Patience:
        """A lock that is not waited for without end."""

        def __init__(self):
            self._lock = Lock()
            self.release = self._lock.release

        def acquire(self):
            assert self._lock.acquire(timeout=5), "nobody hands it on"

        __enter__ = acquire

        def __exit__(self, *_error):
            self.release()

    sizes = iter([-1])
    monkeypatch.setattr(threads, "allocate_lock", Patience)
    monkeypatch.setattr(_joining, "bytearray", lambda size: bytearray(next(sizes, size)), raising=False)
    note = Note()
    join = into(note, beside)
    for _ in range(3):
        join.copy(0, PORTION)
    with pytest.raises(ValueError, match="negative"):
        join.end()
    assert not note.data
