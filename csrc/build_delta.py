"""Builds what is in C, by cffi in API mode: the delta core, ``twsync.delta._core``, and, on Linux, the batches of small files,
``twsync.store._files``.

setup.py uses ``ffibuilder`` and ``filesbuilder``; ``python csrc/build_delta.py`` builds the modules into the tree, for work on it. No
system library is needed. TWSYNC_NATIVE=auto|yes|no is read by setup.py: whether a failed build fails the install is decided there.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from cffi import FFI


class Module(NamedTuple):
    """One extension module.

    :ivar apis: the headers that cffi is given too.
    :ivar includes: what cffi's own source includes.
    :ivar headers: those that only the others include.
    """

    name: str
    apis: tuple[str, ...]
    includes: tuple[str, ...]
    sources: tuple[str, ...]
    headers: tuple[str, ...]


KERNELS = ("scan.c", "scan_avx2.c", "scan_avx512.c", "sums_avx512.c")
CORE = Module(
    "twsync.delta._core",
    ("delta_api.h", "bulk_api.h"),
    ("delta.h", "bulk_api.h"),
    ("weaksum.c", "xxh64.c", "blocktable.c", *KERNELS, "signature.c", "search.c", "patch.c", "bulk.c"),
    ("weaksum.h", "xxh64.h", "blocktable.h", "kernel.h"),
)
FILES = Module(
    "twsync.store._files",
    ("files_api.h",),
    ("files.h",),
    ("blake3_many.c", "blake3_avx2.c", "blake3_avx512.c", "smallfiles.c", "listing.c"),
    ("blake3_many.h", "blake3_lanes.h"),
)
MODULES = (CORE, FILES) if sys.platform == "linux" else (CORE,)


def builder(module: Module, folder: str) -> FFI:
    """The cffi builder of a module, with the C sources taken from `folder`: relative for setuptools, absolute to build elsewhere."""
    ffi = FFI()
    here = Path(__file__).resolve().parent if "__file__" in globals() else Path(folder)
    for api in module.apis:
        ffi.cdef((here / api).read_text(encoding="utf-8"))
    ffi.set_source(
        module.name,
        "".join(f'#include "{header}"\n' for header in module.includes),
        sources=[f"{folder}/{name}" for name in module.sources],
        include_dirs=[folder],
        depends=[f"{folder}/{name}" for name in (*module.apis, *module.includes, *module.headers, "build_delta.py")],
        extra_compile_args=[] if sys.platform == "win32" else ["-O3", "-std=c11"],
    )
    return ffi


ffibuilder = builder(CORE, "csrc")
filesbuilder = builder(FILES, "csrc")


def build_in_place(module: Module) -> Path:
    """Compile, then put the module beside the package's Python files by one rename, so that running programs keep the old one."""
    here = Path(__file__).resolve().parent
    package, _, name = module.name.rpartition(".")
    with tempfile.TemporaryDirectory() as made:
        built = Path(builder(module, str(here)).compile(tmpdir=made))
        # cffi's modules keep to the stable interface; under this name an installed build replaces it instead of standing beside it.
        target = here.parent.joinpath(*package.split(".")) / (name + (".pyd" if sys.platform == "win32" else ".abi3.so"))
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.copy2(built, beside)
        return beside.rename(target)


if __name__ == "__main__":
    for each in MODULES:
        print(build_in_place(each))
