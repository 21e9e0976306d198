"""The contract, kept by each implementation alone and by both ways to cross them."""

from __future__ import annotations

from delta_contract import DeltaContract


class TestNative(DeltaContract):
    MAKE = APPLY = "native"


class TestPure(DeltaContract):
    MAKE = APPLY = "pure"


class TestNativeMakesPureApplies(DeltaContract):
    MAKE, APPLY = "native", "pure"


class TestPureMakesNativeApplies(DeltaContract):
    MAKE, APPLY = "pure", "native"
