"""Where the daemon's local interface is found; what its two ends share. Imports nothing of Twisted, so that commands start quickly.

A unix socket's path may have 107 bytes, and folders may lie deeper: both sides name the socket by way of an open descriptor of its folder
(``/proc/self/fd/N/api.sock``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twsync import limits

#: Bytes of one answer's line: a status of some hundred collections, a page of history.
MAX_ANSWER = 64 * limits.MIB


@contextmanager
def reachable(socket: Path) -> Iterator[str]:
    """A path of `socket` that is short enough for a unix socket, good while the context lasts.

    :raises OSError: the folder is missing.
    """
    folder = os.open(socket.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{socket.name}"
    finally:
        os.close(folder)
