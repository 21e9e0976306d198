"""Ending in order: a terminated benchmark still leaves its ``with`` blocks, which end every process by its id."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import NoReturn


def leave(number: int, frame: FrameType | None) -> NoReturn:
    """Leave by an exception, as Ctrl-C does."""
    sys.exit(128 + number)


def end_in_order() -> None:
    """From now on SIGTERM and SIGHUP leave the program as Ctrl-C does."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
