"""The contract, kept by each implementation and each kernel alone, and by both ways to cross implementations."""

from __future__ import annotations

from delta_contract import DeltaContract


class TestNative(DeltaContract):
    MAKE = APPLY = "native"


class TestPortableKernel(DeltaContract):
    MAKE, APPLY = "native:portable", "native"


class TestAvx2Kernel(DeltaContract):
    MAKE, APPLY = "native:avx2", "native"


class TestAvx512Kernel(DeltaContract):
    MAKE, APPLY = "native:avx512", "native"


class TestPure(DeltaContract):
    MAKE = APPLY = "pure"


class TestNativeMakesPureApplies(DeltaContract):
    MAKE, APPLY = "native", "pure"


class TestPureMakesNativeApplies(DeltaContract):
    MAKE, APPLY = "pure", "native"
