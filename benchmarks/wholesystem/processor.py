"""Processor time of a process, which other load on the machine disturbs less than wall time."""

from __future__ import annotations

import os
import time
from pathlib import Path

#: Seconds that a daemon gets to see that the child which served us has ended.
PATIENCE = 1.0
_TICK = os.sysconf("SC_CLK_TCK")


def processor_seconds(pid: int) -> float:
    """User and system time of a process, finely, and of its children that have ended, in ticks; 0 where the kernel does not tell."""
    try:
        # CLOCK_PROCESS_CPUTIME_ID of another process, for which Python has no name (Linux, include/linux/posix-timers.h).
        own = time.clock_gettime(~pid << 3 | 2)
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return own + sum(map(int, fields[13:15])) / _TICK


def wait_childless(pid: int) -> None:
    """Wait until a process has no children, since their time counts only when they have ended."""
    until = time.monotonic() + PATIENCE
    children = Path(f"/proc/{pid}/task/{pid}/children")
    while time.monotonic() < until and children.exists() and children.read_text():
        time.sleep(0.01)
