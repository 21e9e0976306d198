"""A file put together from a basis and from what comes."""

from __future__ import annotations

import os
from threading import Lock

import pytest
from blake3 import blake3

from twsync.delta.threads import Threads
from twsync.errors import FormatError, StoreError
from twsync.peer import joining
from twsync.peer.basis import Basis, Received
from twsync.peer.joining import MOST_PIECES, PORTION, THREADS, Joining


class Note:
    """A staged file that remembers, until the disk is full."""

    def __init__(self, room=1 << 30):
        self.data = bytearray()
        self.proved = bytearray()
        self.room = room
        self.turn = Lock()

    def write(self, data):
        self.prove(data)
        return self.put(data)

    def prove(self, data):
        assert self.turn.acquire(blocking=False), "one after the other"
        self.proved += data
        self.turn.release()

    def put(self, data):
        if len(self.data) + len(data) > self.room:
            raise StoreError("full", "disk-full")
        self.data += data
        return len(data)


@pytest.fixture
def beside():
    with Threads(THREADS) as executor:
        yield executor


@pytest.fixture
def basis(tmp_path):
    parts = []
    for number, size in enumerate((2 * PORTION + 77, 1000)):
        path = tmp_path / f"part{number}"
        path.write_bytes(blake3(b"%d" % number).digest(size))
        parts.append((Received(os.open(path, os.O_RDONLY)), size))
    made = Basis(parts)
    yield made
    made.close()


def whole(basis):
    basis.seek(0)
    content = b""
    while data := basis.read():
        content += data
    return content


def test_ranges_and_bytes_come_in_order(basis, beside):
    content, note = whole(basis), Note()
    join = Joining(basis, note, beside)
    expected = b""
    for offset, length in ((0, len(content)), (PORTION - 3, 10), (len(content) - 5, 5), (1, 2 * PORTION)):
        join.copy(offset, length)
        for more in (b"between", content[: joining.HALVED]):
            assert join.write(memoryview(more)) == len(more)
            expected += (content[offset : offset + length] if more == b"between" else b"") + more
    join.copy(7, 1)
    join.end()
    assert bytes(note.data) == bytes(note.proved) == expected + content[7:8]


def test_basis_that_became_shorter_is_an_error_of_the_stream(basis, beside):
    note = Note()
    join = Joining(basis, note, beside)
    join.copy(0, PORTION)
    join.copy(basis.size - 10, 11)
    join.write(memoryview(b"behind it"))
    with pytest.raises(FormatError):
        join.end()
    assert bytes(note.data) == whole(basis)[:PORTION]


def test_portions_behind_one_that_cannot_be_read_stay_in_turn(basis, beside):
    note = Note()
    join = Joining(basis, note, beside)
    with pytest.raises(FormatError):
        for _ in range(9):
            join.copy(0, PORTION)
            join.copy(basis.size, 1)
            join.copy(0, PORTION - 1)
        join.end()
    assert bytes(note.data) == whole(basis)[:PORTION]


def test_full_disk_is_told_and_nothing_is_written_behind_it(basis, beside):
    for length in (100, basis.size, 9 * PORTION):
        note = Note(room=length - 1)
        join = Joining(basis, note, beside)
        with pytest.raises(StoreError):
            for offset in range(0, length, PORTION):
                join.copy(0, min(PORTION, length - offset))
            join.end()
        assert len(note.data) == (length - 1) // PORTION * PORTION
    with pytest.raises(StoreError):
        Joining(basis, Note(room=joining.HALVED - 1), beside).write(memoryview(bytes(joining.HALVED)))


def test_bytes_that_came_may_be_changed_afterwards(basis, beside):
    note = Note()
    join = Joining(basis, note, beside)
    for length in (5, joining.HALVED - 1, joining.HALVED):
        came = bytearray(b"a" * length)
        join.write(memoryview(came))
        came[:] = bytes(length)
    join.end()
    assert bytes(note.data) == b"a" * (5 + joining.HALVED - 1 + joining.HALVED)


def test_single_bytes_do_not_gather(basis, beside):
    """However the stream cuts the file up, what is noted of it is bounded."""
    note, begun = Note(), []
    join = Joining(basis, note, beside)
    prove, note.prove = note.prove, lambda data: (begun.append(len(data)), prove(data))
    for _ in range(MOST_PIECES):
        join.write(memoryview(b"x"))
        join.copy(7, 1)
    join.end()
    assert begun == [MOST_PIECES, MOST_PIECES]
    assert bytes(note.data) == (b"x" + whole(basis)[7:8]) * MOST_PIECES


def test_many_small_pieces_fill_whole_portions(basis, beside):
    content, note, expected = whole(basis), Note(), bytearray()
    join = Joining(basis, note, beside)
    for number in range(PORTION // 1000):
        offset, length = number * 997 % (basis.size - 3000), 1 + number % 3000
        join.copy(offset, length)
        expected += content[offset : offset + length]
        join.write(memoryview(content[number : number + 700]))
        expected += content[number : number + 700]
    join.end()
    assert bytes(note.data) == bytes(note.proved) == expected


def test_no_memory_for_a_portion_keeps_none_behind_it_waiting(basis, beside, monkeypatch):
    class Patience:
        """A lock that is not waited for without end."""

        def __init__(self):
            self._lock = Lock()
            self.release = self._lock.release

        def acquire(self):
            assert self._lock.acquire(timeout=5), "nobody hands it on"

    sizes = iter([-1])
    monkeypatch.setattr(joining, "Lock", Patience)
    monkeypatch.setattr(joining, "bytearray", lambda size: bytearray(next(sizes, size)), raising=False)
    note = Note()
    join = Joining(basis, note, beside)
    for _ in range(3):
        join.copy(0, PORTION)
    with pytest.raises(ValueError, match="negative"):
        join.end()
    assert not note.data
