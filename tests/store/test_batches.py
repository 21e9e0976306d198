"""Many files in one call: the same as one by one."""

from __future__ import annotations

import errno
import os
import random
import stat
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from twsync import limits
from twsync.store.batches import CHANGED, OTHER, Batches

pytestmark = pytest.mark.usefixtures("in_c")

LENGTHS = [0, 1, 63, 64, 65, 1023, 1024, 1025, 2048, 2049, 3072, 3073, 5000, 17 * 1024, 31 * 1024 + 5, 65535, 65536]


@pytest.fixture(scope="module", params=["portable", "avx2", "avx512"])
def many(request: pytest.FixtureRequest, in_c: Batches) -> Batches:
    try:
        return Batches(request.param)
    except LookupError as error:
        if request.param == "portable":
            raise
        pytest.skip(f"{error.args[0]}")  # the CPU has it or not: not `missing`


@pytest.fixture
def folder(tmp_path: Path):
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def stage(many: Batches, fd: int, contents: list[bytes], names: list[bytes] | None = None, wrong: int = -1) -> list[int]:
    sums = [blake3(content if number != wrong else b"?").digest() for number, content in enumerate(contents)]
    named = names or [b"%d" % number for number in range(len(contents))]
    return many.stage(
        fd, named, b"".join(contents), [len(one) for one in contents], sums, [0o640] * len(sums), [-1_500_000_001] * len(sums)
    )


def test_unknown_kernel() -> None:
    with pytest.raises(LookupError):
        Batches("mmx")


@settings(max_examples=60, deadline=None)
@given(lengths=st.lists(st.one_of(st.integers(0, 3000), st.sampled_from(LENGTHS)), max_size=40), seed=st.integers(0, 99))
def test_every_kernel_hashes_like_blake3(many: Batches, lengths: list[int], seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    choice = random.Random(seed)
    contents = [choice.randbytes(length) for length in lengths]
    path = tmp_path_factory.mktemp("staged")
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert stage(many, fd, contents) == [0] * len(contents)
    finally:
        os.close(fd)
    assert [(path / str(number)).read_bytes() for number in range(len(contents))] == contents


def test_staged_files_have_content_mode_and_time(many: Batches, folder: int, tmp_path: Path) -> None:
    (tmp_path / "2").write_bytes(b"here")
    (tmp_path / "4").symlink_to("elsewhere")
    assert stage(many, folder, [b"zero", b"", b"two", b"three", b"four", b"five"], wrong=3) == [
        0,
        0,
        errno.EEXIST,
        CHANGED,
        errno.EEXIST,
        0,
    ]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if not path.is_symlink()} == {
        "0": b"zero", "1": b"", "2": b"here", "5": b"five",
    }  # fmt: skip
    found = (tmp_path / "5").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns) == (0o640, -1_500_000_001)


def test_a_listing_is_that_of_the_directory(many: Batches, folder: int, tmp_path: Path) -> None:
    names = {os.fsencode(f"{number:05}" + "n" * (number % 200)) for number in range(5000)} | {b"\xff\n", b"folder", b"link", b"fifo"}
    for name in names - {b"folder", b"link", b"fifo"}:
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=folder))
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "fifo").chmod(0o4711)
    listed = list(many.known(b"", b"", b"", b"").differing(folder, b""))
    assert len(listed) == len(names)
    for name, found in listed:
        names.remove(name)
        there = os.stat(name, dir_fd=folder, follow_symlinks=False)
        kept = stat.S_IFMT(there.st_mode) | there.st_mode & 0o777
        assert found == (there.st_size, there.st_mtime_ns, there.st_ctime_ns, there.st_ino, kept, 0)
    assert list(many.known(b"", b"", b"", b"").differing(folder, b"")) == []


def test_what_cannot_be_listed(many: Batches, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    try:
        with pytest.raises(NotADirectoryError):
            list(many.known(b"", b"", b"", b"").differing(fd, b""))
    finally:
        os.close(fd)


def test_contents_of_small_files(many: Batches, folder: int, tmp_path: Path) -> None:
    choice = random.Random(1)
    made = {b"%d" % length: choice.randbytes(length) for length in LENGTHS}
    for name, content in made.items():
        (tmp_path / os.fsdecode(name)).write_bytes(content)
    (tmp_path / "large").write_bytes(bytes(limits.SMALL_FILE + 1))
    (tmp_path / "link").symlink_to("1")
    os.mkfifo(tmp_path / "fifo")
    odd = {b"large": OTHER, b"link": errno.ELOOP, b"fifo": OTHER, b"gone": errno.ENOENT}
    names = [*made, *odd] * 3
    for name, (content, found) in zip(names, many.contents(folder, names), strict=True):
        if name in odd:
            assert found[5] == odd[name]
        else:
            assert content == blake3(made[name]).digest()
            there = (tmp_path / os.fsdecode(name)).stat()
            assert (found[0], found[1], found[3], found[5]) == (there.st_size, there.st_mtime_ns, there.st_ino, 0)


def test_reading_gives_what_is_as_it_should_be(many: Batches, folder: int, tmp_path: Path) -> None:
    contents = {b"a": b"first", b"b": b"second", b"c": b"", b"d": bytes(60_000)}
    for name, content in contents.items():
        (tmp_path / os.fsdecode(name)).write_bytes(content)
    sums = [blake3(content).digest() for content in contents.values()]
    sizes = [len(content) for content in contents.values()]
    room = memoryview(bytearray(sum(sizes) + 1))

    def read() -> tuple[bytes, list[int]]:
        size, errors = many.read([folder] * 4, list(contents), sizes, sums, room)
        return bytes(room[:size]), errors

    assert read() == (b"firstsecond" + bytes(60_000), [0, 0, 0, 0])
    (tmp_path / "a").write_bytes(b"FIRST")
    (tmp_path / "c").write_bytes(b"longer")
    assert read() == (b"second" + bytes(60_000), [CHANGED, 0, OTHER, 0])
    (tmp_path / "b").unlink()
    (tmp_path / "d").write_bytes(b"shorter")
    assert read() == (b"", [CHANGED, errno.ENOENT, OTHER, CHANGED])
    room = room[:-1]
    with pytest.raises(ValueError, match="no room"):
        read()


def test_placing_never_overwrites(many: Batches, tmp_path: Path) -> None:
    for name in ("from", "to", "other"):
        (tmp_path / name).mkdir()
    for name in ("1", "2", "3", "4"):
        (tmp_path / "from" / name).write_bytes(name.encode())
    (tmp_path / "to" / "taken").write_bytes(b"here")
    (tmp_path / "to" / "link").symlink_to("../other/new")
    fds = [os.open(tmp_path / name, os.O_PATH) for name in ("from", "to", "other")]
    try:
        source, to, other = fds
        placed = list(
            many.place(source, [b"1", b"2", b"3", b"4", b"gone"], [to, to, to, other, to], [b"new", b"taken", b"link", b"new", b"x"])
        )
    finally:
        for fd in fds:
            os.close(fd)
    assert [found[5] for found in placed] == [0, errno.EEXIST, errno.EEXIST, 0, errno.ENOENT]
    there = (tmp_path / "to" / "new").stat()
    assert placed[0][:5] == (there.st_size, there.st_mtime_ns, there.st_ctime_ns, there.st_ino, there.st_mode)
    assert (tmp_path / "other" / "new").read_bytes() == b"4"
    assert (tmp_path / "to" / "taken").read_bytes() == b"here"
    assert sorted(path.name for path in (tmp_path / "from").iterdir()) == ["2", "3"]
