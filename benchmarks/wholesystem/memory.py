"""The peak memory of a process, as the kernel counts it: VmHWM, the most physical memory that it ever held."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path


def forget_peak(pid: int) -> None:
    """Start the count again from what the process holds now; where the kernel does not offer that, the count goes on."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_mib(pid: int) -> float | None:
    """The peak in MiB, or none where the kernel does not tell."""
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return None
    return round(int(found[1]) / 1024, 1) if found else None
