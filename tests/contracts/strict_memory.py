"""Memory that is used again, so that using it too early, or giving it back twice, cannot go unseen."""

from __future__ import annotations

from mmap import mmap

from twsync.transport.buffers import Buffers

#: What stands in memory that was given back.
OVERWRITTEN = 0xDB


def overwrite_what_is_given_back(monkeypatch):
    """From now on memory is overwritten when it is given back to any `Buffers`, and giving it back twice is a mistake."""
    give = Buffers.give

    def strict_give(self, view):
        whole = view.obj if isinstance(view, memoryview) else None
        if isinstance(whole, mmap):
            assert not any(free is whole for free in self._free), "memory was given back twice"
        if isinstance(view, memoryview) and not view.readonly:
            view[:] = bytes([OVERWRITTEN]) * len(view)
        give(self, view)

    monkeypatch.setattr(Buffers, "give", strict_give)
