"""What the machine is, and how busy: numbers without it mean nothing."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from pathlib import Path

from twsync import __version__
from twsync.delta import BACKEND


def first_match(path: str, pattern: str) -> str:
    """The first group of `pattern` in a file of the kernel's, or ``unknown``."""
    try:
        found = re.search(pattern, Path(path).read_text(), re.MULTILINE)
    except OSError:
        return "unknown"
    return found[1] if found else "unknown"


def memory_gib() -> str:
    """Physical memory."""
    kib = first_match("/proc/meminfo", r"^MemTotal:\s+(\d+)")
    return f"{int(kib) / 1024**2:.0f}" if kib.isdigit() else kib


def version(program: str) -> str:
    """The first line that ``PROGRAM --version`` writes."""
    try:
        said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "missing"
    return " ".join(said.split())


def load() -> list[float]:
    """The load averages of 1, 5 and 15 minutes."""
    return [round(each, 2) for each in os.getloadavg()]


def facts() -> dict[str, str]:
    """What a reader needs to know about machine and programs."""
    return {
        "cpu": first_match("/proc/cpuinfo", r"^model name\s*: (.*)$"),
        "cpus": str(os.cpu_count()),
        "memory": f"{memory_gib()} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "twsync": f"{__version__}, {BACKEND} core",
        "rsync": version("rsync"),
        "rdiff": version("rdiff"),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def said_of(machine: dict[str, str]) -> list[str]:
    """The facts in two lines."""
    return [
        f"{machine['cpu']}, {machine['cpus']} CPUs, {machine['memory']}; {machine['system']}; {machine['python']}; {machine['time'][:10]}.",
        f"twsync {machine['twsync']}; {machine['rsync']}; {machine['rdiff']}.",
    ]
