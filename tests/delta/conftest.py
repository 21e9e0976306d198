"""Both implementations side by side, and the contract that each must keep."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

CONTRACTS = str(Path(__file__).parent.parent / "contracts")
if CONTRACTS not in sys.path:
    sys.path.append(CONTRACTS)
pytest.register_assert_rewrite("delta_contract")


@pytest.fixture(scope="session")
def core(missing: Callable[[str], None]) -> Callable[[str], ModuleType]:
    """``core("native")`` and ``core("pure")`` give the two modules."""

    def load(name: str) -> ModuleType:
        try:
            return importlib.import_module(f"twsync.delta._{name}")
        except ImportError as error:
            missing(f"the C core is not built here ({error}); TWSYNC_NATIVE=yes builds it")
            raise

    return load
