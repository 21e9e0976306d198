"""What the delta functions read: bytes in memory or a binary file, in windows that the caller owns."""

from __future__ import annotations

import io

TYPE_CHECKING = False  # so to type checkers it is true; see interface.py
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeGuard, TypeVar

    from twsync.delta.interface import BytesLike, Positional, Readable, Writable

    File = TypeVar("File", bound=Readable)


def opened(source: BytesLike | File) -> memoryview | File:
    """A flat view of `source` if it is bytes in memory, itself if it is a file.

    :raises TypeError: it is neither bytes-like nor has a `read` method.
    """
    given: Any = source
    try:
        return memoryview(given).cast("B")
    except TypeError:
        if hasattr(given, "read"):
            file: File = given
            return file
        raise TypeError(f"bytes or a binary file is needed, not {type(source).__name__}") from None


def size_of(source: BytesLike | Readable) -> int | None:
    """Bytes that are left of `source`; None if it is a stream that cannot seek."""
    file: Any = opened(source)
    if isinstance(file, memoryview):
        return len(file)
    try:
        here: int = file.tell()
        end: int = file.seek(0, io.SEEK_END)
        file.seek(here)
    except (AttributeError, OSError):  # io.UnsupportedOperation is an OSError
        return None
    return max(0, end - here)


def is_positional(source: object) -> TypeGuard[Positional]:
    """Whether a file can be read at any place, by several threads at once."""
    return hasattr(source, "readinto_at")


def filler(source: Readable) -> Callable[[memoryview], int]:
    """A function that fills a buffer from `source` as far as it can, and returns how many bytes it got: fewer only at the end."""
    readinto: Callable[[memoryview], int | None] | None = getattr(source, "readinto", None)

    def fill(buffer: memoryview) -> int:
        got = 0
        while got < len(buffer):
            if readinto is not None:
                count = readinto(buffer[got:])
            else:
                data = source.read(len(buffer) - got)
                count = None if data is None else len(data)
                if data:
                    buffer[got : got + len(data)] = data
            if count is None:
                raise BlockingIOError("a file in non-blocking mode cannot be read here")
            if not count:
                break
            got += count
        return got

    return fill


def write_all(out: Writable, data: memoryview) -> None:
    """Write all of `data`, also to an unbuffered file that takes it in parts."""
    while data:
        count = out.write(data)
        if count is None or count >= len(data):
            return
        data = data[count:]


def fill_at(read: Callable[[memoryview, int], int], buffer: memoryview, place: int) -> int:
    """Fill a buffer with the bytes at a place of a file as far as it goes; returns how many there were."""
    got = 0
    while got < len(buffer):
        count = read(buffer[got:], place + got)
        if not count:
            break
        got += count
    return got
