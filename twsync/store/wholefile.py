"""A small file written whole or not at all: settings, keys."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_whole(path: Path, content: bytes, mode: int) -> None:
    """Write beside, make durable, rename: whoever looks sees the old file or the new one, never with wider permissions than `mode`.

    A symlink at `path` is followed, so that settings kept elsewhere stay there.

    :raises OSError: the folder is missing or not writable.
    """
    path = path.resolve()
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        beside.rename(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
