"""Where the files of a run are: in memory if they fit there, and the result says where they were."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MEMORY = Path("/dev/shm")
#: Bytes written at once.
PIECE = 1024 * 1024


@dataclass(frozen=True)
class Place:
    """A folder for one run.

    :ivar path: the folder.
    :ivar filesystem: its type, as the kernel names it.
    :ivar note: why it is not in memory; empty if it is.
    """

    path: Path
    filesystem: str
    note: str

    def ready(self, size: int) -> None:
        """See to it that a program that writes `size` bytes here finds memory for them at hand.

        A virtual machine may give free memory back to its host, and have to wait for it when it wants it again: 2.4 s for a GiB where
        this was found out. Upon which of the tools that falls is chance, and none of them can help it. So more than is wanted is written
        and deleted: of what was freed last, some goes to the host within seconds.
        """
        if self.note:
            return
        scratch, piece = self.path / "scratch", bytes(PIECE)
        with scratch.open("wb", buffering=0) as out:
            for _ in range(0, size * 5 // 2, PIECE):
                out.write(piece)
        scratch.unlink()


def filesystem(path: Path) -> str:
    """The type of the file system that holds `path`, or ``unknown`` where the kernel does not say."""
    best, kind = "", "unknown"
    try:
        mounts = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return kind
    for line in mounts:
        _, point, found, *_ = line.split()
        inside = path.resolve().is_relative_to(point)
        if inside and len(point) >= len(best):
            best, kind = point, found
    return kind


def not_in_memory(needed: int) -> str:
    """Why `needed` bytes do not go to memory; empty if they do."""
    if not MEMORY.is_dir() or not os.access(MEMORY, os.W_OK):
        return f"{MEMORY} is missing here, so the files were in the folder for temporary files"
    free = shutil.disk_usage(MEMORY).free
    if free < needed:
        return f"{MEMORY} has {free >> 20} MiB free of the {needed >> 20} MiB needed, so the files were in the folder for temporary files"
    return ""


@contextmanager
def place(needed: int) -> Iterator[Place]:
    """A folder for one run, removed afterwards.

    :param needed: bytes of all that is in it at once.
    """
    note = not_in_memory(needed)
    with tempfile.TemporaryDirectory(prefix="twsync-bench-", dir=None if note else MEMORY) as made:
        path = Path(made)
        yield Place(path, filesystem(path), note)
