"""A file in portions for the C core, read, and worked upon, on an executor while earlier portions are in use.

A file that can be read at any place (`readinto_at`) is read by two calls at a time, each of which also sums or searches its portion; any
other file by one call at a time. Portions come in order, each at a fixed place of its buffer.
"""

from __future__ import annotations

from collections import deque

from twsync.delta.source import fill_at, filler, is_positional

TYPE_CHECKING = False  # so to type checkers it is true; see interface.py
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from twsync.delta.interface import Call, Executor, Readable


class Portion:
    """A buffer and what a call has put into it.

    :param room: bytes before the place where the file's bytes go.
    :param size: bytes of the file that have place.
    """

    __slots__ = ("buffer", "got", "notes", "place", "room", "size")

    def __init__(self, room: int, size: int) -> None:
        self.buffer = memoryview(bytearray(room + size))
        self.room = room
        self.size = size
        #: Bytes of the file that were got: fewer than there is place for only at its end.
        self.got = 0
        #: Where in the file they are.
        self.place = 0
        #: Whatever else a call found out.
        self.notes: Any = None

    @property
    def data(self) -> memoryview:
        """The bytes that were got."""
        return self.buffer[self.room : self.room + self.got]


class Ahead:
    """The portions of a file.

    :param room: bytes before the file's bytes in each buffer.
    :param size: bytes of a portion.
    :param work: is called with each portion that was got and the `wish` given to `next`, in a thread of the executor. Only for files with
        `readinto_at`, and with an executor.
    """

    def __init__(
        self, source: Readable, room: int, size: int, executor: Executor | None, work: Callable[[Portion, bool], None] | None = None
    ) -> None:
        self._executor = executor
        self._at: Callable[[memoryview, int], int] | None = None
        self._place = self._most = 0
        if executor is not None:
            self._most = 1
            if is_positional(source):
                self._at, self._place, self._most = source.readinto_at, source.tell(), 2
        self._fill = filler(source)
        self._work = work
        self._size = size
        self._spare = [Portion(room, size) for _ in range(self._most + 1)]
        self._under_way: deque[tuple[Portion, Call[None]]] = deque()
        self._used: Portion | None = None
        for _ in range(self._most):
            self._submit(False)

    def next(self, left: int = 0, wish: bool = False) -> Portion:
        """The next portion; the one before is used up, except for `left` bytes at its end, which go before the new ones.

        :param wish: what `work` is to be told about the portion that is begun now, the third from here.
        """
        used = self._used
        if self._most:
            portion, future = self._under_way.popleft()
            future.result()
        else:
            portion = self._spare[0]
        if used is not None:
            end = used.room + used.got
            portion.buffer[portion.room - left : portion.room] = used.buffer[end - left : end]
        if not self._most:
            portion.got = self._fill(portion.buffer[portion.room :])
        else:
            if used is not None:
                self._spare.append(used)
            if portion.got == self._size:
                self._submit(wish)
        self._used = portion
        return portion

    def leave(self) -> None:
        """Wait for calls under way whose results nobody wants: the file is the caller's again afterwards."""
        while self._under_way:
            _portion, future = self._under_way.popleft()
            if not future.cancel():
                future.exception()

    def _submit(self, wish: bool) -> None:
        assert self._executor is not None
        portion = self._spare.pop()
        portion.place = self._place
        self._under_way.append((portion, self._executor.submit(self._get, portion, wish)))
        self._place += self._size

    def _get(self, portion: Portion, wish: bool) -> None:
        target = portion.buffer[portion.room :]
        portion.notes = None
        if self._at is None:
            portion.got = self._fill(target)
            return
        portion.got = fill_at(self._at, target, portion.place)
        if self._work is not None:
            self._work(portion, wish)
