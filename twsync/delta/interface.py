"""What the delta functions take and give.

The native core imports it for type checkers only: `typing` would cost 10 ms, a third of the time in which the command starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from twsync.delta.format import DeltaStats, PatchStats

if TYPE_CHECKING:
    from typing_extensions import Buffer

#: Bytes in memory: bytes, bytearray, memoryview, mmap, array …
BytesLike: TypeAlias = "Buffer"

_Given = TypeVar("_Given")
_Given_co = TypeVar("_Given_co", covariant=True)


class Call(Protocol[_Given_co]):
    """A call under way on an executor: as much of a `concurrent.futures.Future` as is used here."""

    def result(self) -> _Given_co:
        """Wait for its end; what it gives or raises."""

    def exception(self) -> BaseException | None:
        """Wait for its end; what it has raised."""

    def cancel(self) -> bool:
        """Whether it has not begun, and never will."""


class Executor(Protocol):
    """Threads that make calls: as much of a `concurrent.futures.Executor` as is used here."""

    def submit(self, function: Callable[..., _Given], /, *arguments: object) -> Call[_Given]:
        """Let one of the threads make a call."""


class Readable(Protocol):
    """A binary file or stream; `readinto` is used where it exists."""

    def read(self, size: int = ..., /) -> bytes | None:
        """At most `size` bytes, none at the end."""


class Seekable(Readable, Protocol):
    """A binary file that can be read at any place."""

    def seek(self, offset: int, whence: int = ..., /) -> int:
        """Go to a place."""


class Positional(Readable, Protocol):
    """A binary file that several threads can read at once, none of which moves the place where it stands."""

    def tell(self) -> int:
        """The place where it stands."""

    def readinto_at(self, buffer: memoryview, place: int, /) -> int:
        """Fill some or all of `buffer` with the bytes at a place; return how many, 0 only at the end."""


class Writable(Protocol):
    """A binary file that takes bytes."""

    def write(self, data: memoryview, /) -> int | None:
        """Take some or all of `data`; return how many, None for all."""


class Signing(Protocol):
    """The signature of a file that is made while its bytes come."""

    def update(self, data: memoryview, /) -> None:
        """The next bytes, any number of them.

        :raises UserError: there are more blocks than a signature may have.
        """

    def finish(self) -> bytes:
        """The signature stream; nothing can be added any more."""


class Backend(Protocol):
    """What `_native` and `_pure` both offer; see `twsync.delta` for the words."""

    @property
    def NAME(self) -> str:
        """``native`` or ``pure``."""

    @property
    def KERNEL(self) -> str:
        """Which version of its inner loop it uses."""

    def signature_chunks(
        self,
        old: BytesLike | Readable,
        block_length: int | None = None,
        seed: int = 0,
        *,
        strong_length: int | None = None,
        executor: Executor | None = None,
    ) -> Iterator[bytes]:
        """See `twsync.delta.signature_chunks`."""

    def signing(self, block_length: int, strong_length: int, seed: int) -> Signing:
        """See `twsync.delta.signing`; the lengths are good ones."""

    def delta(
        self, sig: BytesLike, new: BytesLike | Readable, *, stats: DeltaStats | None = None, executor: Executor | None = None
    ) -> Iterator[bytes]:
        """See `twsync.delta.delta`."""

    def patch(
        self,
        old: BytesLike | Seekable,
        ops: Iterable[BytesLike],
        out: Writable,
        *,
        max_output: int | None = None,
        executor: Executor | None = None,
        prove: Callable[[memoryview], object] | None = None,
    ) -> PatchStats:
        """See `twsync.delta.patch`."""
