"""A file put together from a basis and from what comes."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from blake3 import blake3

from twsync.errors import FormatError, StoreError
from twsync.peer import joining
from twsync.peer.basis import Basis, Received
from twsync.peer.joining import PORTION, Joining


class Note:
    """A staged file that remembers, until the disk is full."""

    def __init__(self, room=1 << 30):
        self.data = bytearray()
        self.proved = bytearray()
        self.room = room

    def write(self, data):
        self.prove(data)
        return self.put(data)

    def prove(self, data):
        self.proved += data

    def put(self, data):
        if len(self.data) + len(data) > self.room:
            raise StoreError("full", "disk-full")
        self.data += data
        return len(data)


@pytest.fixture
def beside():
    with ThreadPoolExecutor(1) as executor:
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
    join = Joining(basis, Note(), beside)
    with pytest.raises(FormatError):
        join.copy(basis.size - 10, 11)


def test_full_disk_is_told_where_it_is_noticed(basis, beside):
    join = Joining(basis, Note(room=10), beside)
    join.copy(0, 100)
    with pytest.raises(StoreError):
        join.write(memoryview(b"more"))
    with pytest.raises(StoreError):
        Joining(basis, Note(room=joining.HALVED - 1), beside).write(memoryview(bytes(joining.HALVED)))
    join = Joining(basis, Note(room=joining.PORTION), beside)
    with pytest.raises(StoreError):
        join.copy(0, basis.size)
        join.end()
