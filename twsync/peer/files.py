"""The host's own folder, locked while one process changes its settings."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def settings_lock(folder: Path) -> Iterator[None]:
    """Held while one command changes the settings in `folder`; another one waits.

    :raises OSError: the folder is missing.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
