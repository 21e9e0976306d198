"""Memory for bulk that is used again: fresh memory costs more time than all that is done with its content."""

from __future__ import annotations

from collections import deque
from mmap import mmap

from twsync.limits import KIB, MAX_BULK
from twsync.peerwire.frames import Payload

#: Below this size memory comes from the interpreter's heap, which is used again anyway.
SMALL = 64 * KIB


class Buffers:
    """A frame decoder's `Memory`, and that of who reads what is sent. For any thread.

    :param size: bytes of each.
    :param most: how many are kept while nobody uses them.
    """

    def __init__(self, size: int = MAX_BULK, most: int = 16) -> None:
        self._size = size
        self._free: deque[mmap] = deque(maxlen=most)

    def take(self, size: int = MAX_BULK) -> memoryview:
        """So many bytes of any content."""
        if not SMALL <= size <= self._size:
            return memoryview(bytearray(size))
        try:
            found = self._free.pop()
        except IndexError:
            # Not from the heap, where the holes that it leaves would never be given back.
            found = mmap(-1, self._size)
        return memoryview(found)[:size]

    def give(self, view: Payload) -> None:
        """What `take` gave is not used any more, by anybody. Other memory is let go of."""
        whole = view.obj if isinstance(view, memoryview) else None
        if isinstance(whole, mmap) and len(whole) == self._size:
            self._free.append(whole)

    def close(self) -> None:
        """Keep none any more: what is at rest is freed now, what is in use when it is done with."""
        self._free = deque(maxlen=0)
