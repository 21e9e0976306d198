"""A file put together from what comes and from ranges of its basis, reading and writing at the same time. In a streamer's thread."""

from __future__ import annotations

from concurrent.futures import Executor, Future

from twsync.errors import FormatError
from twsync.limits import KIB, MIB
from twsync.peer.basis import Basis
from twsync.store.staging import Partial

#: Bytes of the basis that are read at once. Portions of 512 KiB stay in a second-level cache, but handing over four times as many costs
#: a tenth of the receiver's processor time.
PORTION = 2 * MIB
#: Bytes that came and are worth to be hashed and written side by side.
HALVED = 128 * KIB


class Joining:
    """What a patch writes to. The new file's content id proves it, so ranges are copied without a look at their bytes.

    Reading and hashing take about as long as writing: here one range is read and hashed while the one before is written.

    :param executor: writes.
    """

    def __init__(self, basis: Basis, partial: Partial, executor: Executor) -> None:
        self._basis = basis
        self._partial = partial
        self._executor = executor
        self._buffers = [memoryview(bytearray(PORTION)) for _ in range(2)]
        self._writing: Future[int] | None = None

    def write(self, data: memoryview, /) -> int:
        """Bytes that came; written when it returns."""
        self.end()
        if len(data) < HALVED:
            return self._partial.write(data)
        self._writing = self._executor.submit(self._partial.put, data)
        try:
            self._partial.prove(data)
        finally:
            self.end()
        return len(data)

    def copy(self, offset: int, length: int) -> None:
        """A range of the basis; the last of it may still be under way afterwards.

        :raises FormatError: the basis ends before it.
        """
        while length:
            part = self._buffers[0][:length]
            self._buffers.reverse()  # the other one is still being written
            got = 0
            while got < len(part):
                count = self._basis.readinto_at(part[got:], offset + got)
                if not count:
                    raise FormatError("delta: the old file is shorter than the one it was made for")
                got += count
            self._partial.prove(part)
            self.end()
            self._writing = self._executor.submit(self._partial.put, part)
            offset += got
            length -= got

    def end(self) -> None:
        """Return when all is written; raises what the writing raised."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()
