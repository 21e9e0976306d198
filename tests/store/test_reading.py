"""One file read by two threads: whoever hashes, it is every byte once and in order."""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from blake3 import blake3

from twsync.store import hashing, reading
from twsync.store.hashing import hash_descriptor, never
from twsync.store.reading import Reading

CONTENT = random.Random(1).randbytes(3_000_000)
PIECE = 250_000


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(CONTENT)
    fd = os.open(path, os.O_RDONLY)
    yield fd
    os.close(fd)


def begun(fd):
    one = Reading()
    one.begin(os.fstat(fd))
    assert one.join(os.fstat(fd))
    return one


def show(one, order=None):
    """Read all of it, in pieces; then leave."""
    pieces = range(0, len(CONTENT), PIECE) if order is None else order
    for place in pieces:
        one.passed(place, memoryview(CONTENT)[place : place + PIECE])
    one.leave()


@pytest.mark.parametrize("place", [0, 1, PIECE, PIECE + 1, len(CONTENT) - 1])
def test_the_reader_hashes_from_where_the_scan_was(file, place, monkeypatch):
    monkeypatch.setattr(reading, "READ_FOR_BOTH_SECONDS", 20.0)
    one, hasher = begun(file), blake3(CONTENT[:place])
    with ThreadPoolExecutor(1) as beside:
        lent = beside.submit(one.lend, hasher, place, never)
        while one._hasher is None:
            assert not lent.done()
        show(one)
        assert lent.result() == len(CONTENT)
    assert hasher.digest() == blake3(CONTENT).digest()


def test_two_threads_of_the_reader_hash_in_order(file, monkeypatch):
    monkeypatch.setattr(reading, "READ_FOR_BOTH_SECONDS", 20.0)
    one, hasher = begun(file), blake3()
    places = list(range(0, len(CONTENT), PIECE))
    with ThreadPoolExecutor(3) as beside:
        lent = beside.submit(one.lend, hasher, 0, never)
        while one._hasher is None:
            assert not lent.done()
        # The second piece of each pair is there first.
        for first, second in zip(places[::2], places[1::2], strict=True):
            later = beside.submit(one.passed, second, memoryview(CONTENT)[second : second + PIECE])
            beside.submit(one.passed, first, memoryview(CONTENT)[first : first + PIECE]).result()
            later.result()
        one.leave()
        assert lent.result() == len(CONTENT)
    assert hasher.digest() == blake3(CONTENT).digest()


def test_reading_behind_the_end_waits_for_nothing(file, monkeypatch):
    monkeypatch.setattr(reading, "READ_FOR_BOTH_SECONDS", 5.0)
    one, hasher = begun(file), blake3()
    with ThreadPoolExecutor(1) as beside:
        lent = beside.submit(one.lend, hasher, 0, never)
        while one._hasher is None:
            assert not lent.done()
        # Two threads read, so one may be there before the other has shown the last bytes.
        one.passed(len(CONTENT) + PIECE, memoryview(b""))
        assert not lent.done()
        show(one)
        assert lent.result() == len(CONTENT)
    assert hasher.digest() == blake3(CONTENT).digest()


def test_who_reads_too_slowly_is_not_waited_for(file, monkeypatch):
    monkeypatch.setattr(reading, "READ_FOR_BOTH_SECONDS", 0.001)
    one, hasher = begun(file), blake3()
    assert one.lend(hasher, 0, never) == 0
    # Not a second time before the scan is a good piece further.
    monkeypatch.setattr(reading, "READ_FOR_BOTH_SECONDS", 1000.0)
    assert one.lend(hasher, reading.HASH_ALONE - 1, never) == reading.HASH_ALONE - 1


def test_who_is_expected_is_waited_for_once(file, monkeypatch):
    monkeypatch.setattr(reading, "HASH_RATE", len(CONTENT) / 20.0)
    monkeypatch.setattr(reading, "READ_FOR_BOTH_SECONDS", 20.0)
    one, hasher = Reading(), blake3()
    one.begin(os.fstat(file))
    one.expect(len(CONTENT))
    with ThreadPoolExecutor(1) as beside:
        lent = beside.submit(one.lend, hasher, 0, never)
        assert one.join(os.fstat(file))
        while one._hasher is None:
            assert not lent.done()
        show(one)
        assert lent.result() == len(CONTENT)
    assert hasher.digest() == blake3(CONTENT).digest()
    # Nobody is expected any more, so there is nothing to wait for.
    assert one.lend(hasher, len(CONTENT), never) == len(CONTENT)


def test_who_is_expected_and_does_not_come_is_not_waited_for_long(file, monkeypatch):
    monkeypatch.setattr(reading, "HASH_RATE", len(CONTENT) / 0.001)
    one = Reading()
    one.begin(os.fstat(file))
    one.expect(len(CONTENT))
    assert one.lend(blake3(), 0, never) == 0


def test_a_gap_is_not_waited_for_and_not_hashed(file, monkeypatch):
    """The piece before was lost (its thread failed): the scan takes the hasher back, and who waits goes on."""
    monkeypatch.setattr(reading, "READ_FOR_BOTH_SECONDS", 0.001)
    one, hasher = begun(file), blake3()
    with ThreadPoolExecutor(1) as beside:
        lent = beside.submit(one.lend, hasher, 0, never)
        one.passed(PIECE, memoryview(CONTENT)[PIECE : 2 * PIECE])
        assert lent.result() == 0
    assert hasher.digest() == blake3().digest()


def test_who_is_further_than_the_scan_gets_no_hasher(file):
    one = begun(file)
    one.passed(0, memoryview(CONTENT)[:PIECE])
    assert one.lend(blake3(), PIECE - 1, never) == PIECE - 1


def test_only_the_file_that_is_hashed_can_be_joined_and_by_one(file, tmp_path):
    one = Reading()
    assert not one.join(os.fstat(file))
    one.begin(os.fstat(file))
    other = tmp_path / "other"
    other.write_bytes(CONTENT)
    assert not one.join(other.stat())
    assert one.join(os.fstat(file))
    assert not one.join(os.fstat(file))
    one.leave()
    assert one.join(os.fstat(file))


@pytest.mark.parametrize("size", [0, 1, PIECE, len(CONTENT)])
@pytest.mark.parametrize("reader", ["none", "whole", "half"])
def test_the_content_id_is_the_same_however_it_was_read(tmp_path, size, reader, monkeypatch):
    monkeypatch.setattr(hashing.limits, "HASH_AHEAD", 100_000)
    path = tmp_path / "file"
    path.write_bytes(CONTENT[:size])
    fd = os.open(path, os.O_RDONLY)
    one = Reading()
    one.begin(os.fstat(fd))

    def read():
        for place in range(0, size if reader == "whole" else size // 2, 40_000):
            one.passed(place, memoryview(CONTENT)[place : min(place + 40_000, size)])
        one.leave()

    with ThreadPoolExecutor(1) as beside:
        if reader != "none":
            assert one.join(os.fstat(fd))
            beside.submit(read)
        found = hash_descriptor(fd, size, never, one)
    os.close(fd)
    assert found == (blake3(CONTENT[:size]).digest(), size)
