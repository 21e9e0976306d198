"""Which implementation does the work: C or Python.

TWSYNC_DELTA=auto (the default) takes the C core where it was built; `native` and `pure` demand one. `native:KERNEL` also demands one
version of its inner loop: `portable`, `avx2` or `avx512`; otherwise the best that the CPU can run is taken. What is demanded and missing
is an error, never quietly another. All write the same bytes, and all can be imported side by side, whatever is chosen here.
"""

from __future__ import annotations

from twsync.errors import ConfigError

TYPE_CHECKING = False  # so to type checkers it is true; see interface.py
if TYPE_CHECKING:
    from twsync.delta.interface import Backend


class BackendError(ConfigError, ImportError):
    """The implementation that TWSYNC_DELTA demands cannot be had."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.name = "twsync.delta"  # `python -m twsync.delta` then reports it in one line


def choose(wish: str) -> Backend:
    """The implementation for a value of TWSYNC_DELTA.

    :raises BackendError: the value is unknown, or `native` is demanded and was not built, or a kernel that this CPU or build has not.
    """
    name, _, kernel = wish.partition(":")
    if name not in ("auto", "native", "pure") or (name != "native" and name != wish):
        raise BackendError(f"TWSYNC_DELTA is {wish!r}; set it to auto, native or pure (or native:portable, native:avx2, native:avx512)")
    if name != "pure":
        try:
            from twsync.delta import _native
        except ImportError as error:
            if name == "native":
                raise BackendError(
                    f"TWSYNC_DELTA={wish}, but the C core cannot be loaded ({error}); install a C compiler and build with TWSYNC_NATIVE=yes"
                ) from error
        else:
            try:
                return _native.Native(kernel if wish != name else None)
            except LookupError as error:
                raise BackendError(f"TWSYNC_DELTA={wish}, but {error.args[0]}; native takes the best that there is") from None
    from twsync.delta import _pure

    return _pure
