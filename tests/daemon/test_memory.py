"""What is free goes back to the system, where the C library knows how."""

from __future__ import annotations

import ctypes
import resource

import pytest

from twsync.daemon import memory
from twsync.limits import MIB


def resident() -> int:
    """Bytes of this process that are in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_free_memory_is_given_back() -> None:
    if not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("this C library keeps what is free")
    kept = []
    freed = []
    for _ in range(2_000):  # the ones between keep the heap from shrinking by itself
        freed.append(bytearray(20_000))
        kept.append(bytearray(600))
    before = resident()
    freed.clear()
    memory.give_back()
    assert resident() < before - 20 * MIB
    assert len(kept) == 2_000
