"""Every kind of thing that may stand in a folder."""

from __future__ import annotations

import os
import socket

import pytest

DEEP = 40


@pytest.fixture
def variety():
    """``variety(root)`` fills a root; what cannot be sent is in its folder ``special``."""

    def fill(root):
        every = bytes(set(range(1, 256)) - {ord("/")})
        names = [every[start : start + 100] for start in range(0, len(every), 100)]
        names += [b"x" * 255, "é".encode() * 127, b"\xff\xfe", b" lead and trail ", b"-rf", b"a\nb", b"CON", b"..."]
        names += ["e\u0301".encode(), "\u00e9".encode()]
        (root / "names").mkdir()
        for number, name in enumerate(names):
            (root / "names" / os.fsdecode(name)).write_text(str(number))

        # Deeper than PATH_MAX: only reached step by step.
        descriptor = os.open(root, os.O_DIRECTORY)
        for level in range(DEEP):
            name = f"{level:03}-" + "d" * 196
            os.mkdir(name, dir_fd=descriptor)
            deeper = os.open(name, os.O_DIRECTORY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = deeper
        with open(os.open("bottom.txt", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=descriptor), "w") as file:
            file.write("deep down")
        os.close(descriptor)

        links = root / "links"
        links.mkdir()
        targets = {"dangling": "nowhere", "absolute": "/etc/hostname", "up": "../names", "self": "self", "bytes": "\udcff"}
        for name, target in targets.items():
            (links / name).symlink_to(target)

        modes = root / "modes"
        modes.mkdir()
        for mode in (0o400, 0o444, 0o600, 0o644, 0o755, 0o777, 0o000 if os.geteuid() == 0 else 0o500):
            (modes / f"{mode:03o}").write_text(f"{mode}")
            (modes / f"{mode:03o}").chmod(mode)
        (modes / "folder").mkdir(mode=0o700)
        (modes / "folder" / "inside").touch()

        times = root / "times"
        times.mkdir()
        stamps = {"epoch": 0, "before": -86_400 * 10**9 + 1, "fine": 1_234_567_890_123_456_789, "future": 4_000_000_000 * 10**9}
        for name, stamp in stamps.items():
            (times / name).touch()
            os.utime(times / name, ns=(stamp, stamp))

        sizes = root / "sizes"
        sizes.mkdir()
        for size in (0, 1, 65_535, 65_536, 65_537, 1 << 20, (1 << 20) + 1):
            (sizes / str(size)).write_bytes(os.urandom(size))
        with (sizes / "sparse").open("wb") as file:
            file.seek(32 << 20)
            file.write(b"end")
        (root / "empty folder").mkdir()
        os.link(sizes / "65537", sizes / "hard link")

        special = root / "special"
        special.mkdir()
        os.mkfifo(special / "fifo")
        with socket.socket(socket.AF_UNIX) as made:
            here = os.open(special, os.O_DIRECTORY)
            made.bind(f"/proc/self/fd/{here}/socket")
            os.close(here)
        return {"special/fifo", "special/socket"}

    return fill


def test_variety(world, laptop, desktop, variety, same):
    """Any name, depth, link, mode, time and size comes over as it is; what is neither file, folder nor link is named and left."""
    name, (here, there) = world.share(laptop, desktop)
    special = variety(here)
    result = laptop.sync(name, "desktop").expect(3).document
    assert {(row["item"], row["reason"]) for row in result["skipped"]} == {(item, "special-file") for item in special}
    assert result["state"] == "done"
    same(here, there)
    assert (there / "special").is_dir() and not any((there / "special").iterdir())

    again = laptop.sync(name, "desktop").expect(3).document
    assert [again["sent"][count] for count in ("added", "changed", "deleted")] == [0, 0, 0]


def test_one_kind_becomes_another(world, laptop, desktop, write, same):
    """A file becomes a folder, a folder a link, a link a file."""
    name, (here, there) = world.share(laptop, desktop)
    write(here, {"file": "file", "folder/inside.txt": "inside", "stays.txt": "stays"})
    (here / "link").symlink_to("file")
    laptop.sync(name, "desktop").expect(0)
    same(here, there)
    (here / "file").unlink()
    (here / "link").unlink()
    (here / "folder" / "inside.txt").unlink()
    (here / "folder").rmdir()
    write(here, {"file/now a folder.txt": "x", "link": "now a file"})
    (here / "folder").symlink_to("stays.txt")
    laptop.sync(name, "desktop").expect(0)
    same(here, there)


def test_names_that_are_ignored(world, laptop, desktop, write, texts):
    """What an ignore pattern names stays where it is."""
    name, (here, there) = world.share(laptop, desktop, options=("--ignore", "*.tmp", "--ignore", "cache/"))
    write(here, {"a.txt": "a", "b.tmp": "b", "cache/c.txt": "c"})
    laptop.sync(name, "desktop").expect(0)
    assert texts(there) == {"a.txt": "a"}
