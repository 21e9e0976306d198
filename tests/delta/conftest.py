"""Both implementations side by side, and the contract that each must keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from twsync.delta.interface import Backend


@pytest.fixture(scope="session")
def core(missing: Callable[[str], None]) -> Callable[[str], Backend]:
    """``core("pure")`` gives the reference, ``core("native")`` the C core with its best kernel, ``core("native:avx2")`` with that one."""

    def load(name: str) -> Backend:
        if name == "pure":
            from twsync.delta import _pure

            return _pure
        try:
            from twsync.delta._native import Native
        except ImportError as error:
            missing(f"the C core is not built here ({error}); TWSYNC_NATIVE=yes builds it")
            raise
        try:
            return Native(name.partition(":")[2] or None)
        except LookupError as error:
            if name == "native:portable":
                raise
            pytest.skip(f"{error.args[0]}")  # no package to install would bring it: not `missing`

    return load
