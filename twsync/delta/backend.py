"""Which of the two implementations is used, by the environment variable TWSYNC_DELTA.

`auto` (also when unset) takes the C core if it was built, else pure Python. `native` and `pure` are demands: one that cannot be met is an
error, never quietly the other. Both modules can be imported side by side, whatever is chosen here.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from typing import Protocol

from twsync.delta.format import DeltaStats, PatchStats
from twsync.delta.source import BytesLike, Readable, Seekable, Writable
from twsync.errors import ConfigError


class BackendError(ConfigError, ImportError):
    """The implementation that TWSYNC_DELTA demands cannot be had."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.name = "twsync.delta"  # `python -m twsync.delta` then reports it in one line


class Backend(Protocol):
    """What `_native` and `_pure` both offer; see `twsync.delta` for the words."""

    NAME: str

    def signature_chunks(self, old: BytesLike | Readable, block_length: int | None = None, seed: int = 0) -> Iterator[bytes]:
        """See `twsync.delta.signature_chunks`."""

    def delta(self, sig: BytesLike, new: BytesLike | Readable, *, stats: DeltaStats | None = None) -> Iterator[bytes]:
        """See `twsync.delta.delta`."""

    def patch(
        self, old: BytesLike | Seekable, ops: Iterable[BytesLike], out: Writable, *, max_output: int | None = None
    ) -> PatchStats:
        """See `twsync.delta.patch`."""


def choose(wish: str) -> Backend:
    """The implementation for a value of TWSYNC_DELTA.

    :raises BackendError: the value is unknown, or `native` is demanded and was not built.
    """
    if wish not in ("auto", "native", "pure"):
        raise BackendError(f"TWSYNC_DELTA is {wish!r}; set it to auto, native or pure")
    if wish != "pure":
        try:
            return importlib.import_module("twsync.delta._native")
        except ImportError as error:
            if wish == "native":
                raise BackendError(
                    f"TWSYNC_DELTA=native, but the C core cannot be loaded ({error}); install a C compiler and build with TWSYNC_NATIVE=yes"
                ) from error
    return importlib.import_module("twsync.delta._pure")
