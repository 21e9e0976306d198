"""The files that are synchronised: random, but the same in every run."""

from __future__ import annotations

import random
from pathlib import Path
from typing import BinaryIO

MIB = 1024 * 1024
#: What one overwrite covers, in bytes.
OVERWRITE = 4096
#: The longest insert or delete, in bytes.
LONGEST = 1000
FOLDERS = 100
SMALLEST_FILE, LARGEST_FILE = 200, 8000


def random_file(path: Path, size: int, seed: int) -> None:
    """Write `size` random bytes."""
    choice = random.Random(seed)
    with path.open("wb") as out:
        for at in range(0, size, MIB):
            out.write(choice.randbytes(min(MIB, size - at)))


def edited_file(old: Path, new: Path, edits: int, seed: int) -> None:
    """Write `new`: `old` with overwrites of 4 KiB, and inserts and deletes of up to 1,000 bytes, at random places."""
    choice = random.Random(seed)
    size, at = old.stat().st_size, 0
    with old.open("rb") as source, new.open("wb") as out:
        for place in sorted(choice.randrange(size) for _ in range(edits)):
            if place < at:
                continue  # inside what the edit before took
            copy(source, out, place - at)
            length = choice.randint(1, LONGEST)
            written, skipped = choice.choice(((OVERWRITE, OVERWRITE), (length, 0), (0, length)))
            out.write(choice.randbytes(written))
            at = min(size, place + skipped)
            source.seek(at)
        copy(source, out, size - at)


def overwritten_file(old: Path, new: Path, percent: float, seed: int) -> None:
    """Write `new`: `old` with `percent` of its 64 KiB pieces replaced by random bytes, at random places."""
    choice = random.Random(seed)
    with old.open("rb") as source, new.open("wb") as out:
        while piece := source.read(64 * 1024):
            out.write(choice.randbytes(len(piece)) if choice.random() * 100 < percent else piece)


def copy(source: BinaryIO, out: BinaryIO, length: int) -> None:
    """Copy `length` bytes from where `source` is to where `out` is."""
    while length > 0 and (piece := source.read(min(MIB, length))):
        out.write(piece)
        length -= len(piece)


def small_files(root: Path, files: int, seed: int) -> None:
    """Fill `root` with `files` files of 0.2 to 8 KB in 100 folders."""
    choice = random.Random(seed)
    for folder in range(min(FOLDERS, files)):
        (root / f"folder-{folder:03}").mkdir(parents=True)
    for number in range(files):
        (root / f"folder-{number % FOLDERS:03}" / f"file-{number:06}").write_bytes(
            choice.randbytes(choice.randint(SMALLEST_FILE, LARGEST_FILE))
        )


def change_files(root: Path, files: int, changed: int, seed: int) -> None:
    """Give `changed` of the `files` files that :func:`small_files` made other contents and sizes."""
    choice = random.Random(seed)
    for number in choice.sample(range(files), min(files, changed)):
        path = root / f"folder-{number % FOLDERS:03}" / f"file-{number:06}"
        size = before = path.stat().st_size
        while size == before:  # rsync takes what has the same size, and time in whole seconds, for the same
            size = choice.randint(SMALLEST_FILE, LARGEST_FILE)
        path.write_bytes(choice.randbytes(size))
