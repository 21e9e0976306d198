"""Builds the delta core, ``twsync.delta._core``, by cffi in API mode.

setup.py uses ``ffibuilder``; ``python csrc/build_delta.py`` builds the module into the tree, for work on it. No system library is needed.
TWSYNC_NATIVE=auto|yes|no is read by setup.py: whether a failed build fails the install is decided there.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from cffi import FFI

KERNELS = ("scan.c", "scan_avx2.c", "scan_avx512.c", "sums_avx512.c")
SOURCES = ("weaksum.c", "xxh64.c", "blocktable.c", *KERNELS, "signature.c", "search.c", "patch.c", "bulk.c")
HEADERS = ("delta_api.h", "delta.h", "weaksum.h", "xxh64.h", "blocktable.h", "kernel.h", "bulk_api.h")


def builder(folder: str) -> FFI:
    """The cffi builder, with the C sources taken from `folder`: relative for setuptools, absolute to build elsewhere."""
    ffi = FFI()
    here = Path(__file__).resolve().parent if "__file__" in globals() else Path(folder)
    for header in ("delta_api.h", "bulk_api.h"):
        ffi.cdef((here / header).read_text(encoding="utf-8"))
    ffi.set_source(
        "twsync.delta._core",
        '#include "delta.h"\n#include "bulk_api.h"\n',
        sources=[f"{folder}/{name}" for name in SOURCES],
        include_dirs=[folder],
        depends=[f"{folder}/{name}" for name in (*HEADERS, "build_delta.py")],
        extra_compile_args=[] if sys.platform == "win32" else ["-O3", "-std=c11"],
    )
    return ffi


ffibuilder = builder("csrc")


def build_in_place() -> Path:
    """Compile, then put the module beside the package's Python files by one rename, so that running programs keep the old one."""
    here = Path(__file__).resolve().parent
    with tempfile.TemporaryDirectory() as made:
        built = Path(builder(str(here)).compile(tmpdir=made))
        # cffi's modules keep to the stable interface; under this name an installed build replaces it instead of standing beside it.
        target = here.parent / "twsync" / "delta" / ("_core.pyd" if sys.platform == "win32" else "_core.abi3.so")
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.copy2(built, beside)
        return beside.rename(target)


if __name__ == "__main__":
    print(build_in_place())
