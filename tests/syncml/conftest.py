"""SyncML sessions: the store in memory (tests/contracts/memory_store.py) is importable as ``memory_store``."""

from __future__ import annotations

import sys
from pathlib import Path

CONTRACTS = str(Path(__file__).parent.parent / "contracts")

if CONTRACTS not in sys.path:
    sys.path.append(CONTRACTS)
