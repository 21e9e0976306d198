"""Builds twsync: the Python packages, the twistd plugin, and what is in C: the delta core and the batches of small files.

The rest of the metadata stands in pyproject.toml. The packages are listed by hand because automatic discovery gives up on a tree with
``csrc/``, ``etc/`` and ``twisted/`` beside the product; ``tests/test_packaging.py`` compares the list with the folders.

``TWSYNC_NATIVE`` says what becomes of the C core:

* ``auto`` (the default): it is built if a compiler is there, otherwise the pure-Python core does the work;
* ``yes``: a failed build fails the install. Continuous integration uses it, so that a broken build is seen;
* ``no``: it is not built.
"""

from __future__ import annotations

import os
import sys

from setuptools import setup
from setuptools.command.build_ext import build_ext

PACKAGES = [
    "twisted.plugins",
    "twsync",
    "twsync.cli",
    "twsync.control",
    "twsync.daemon",
    "twsync.delta",
    "twsync.demo",
    "twsync.peer",
    "twsync.peerwire",
    "twsync.reconcile",
    "twsync.records",
    "twsync.session",
    "twsync.sip",
    "twsync.store",
    "twsync.syncml",
    "twsync.transport",
    "twsync.wbxml",
]

PACKAGE_DATA = {
    "twsync": ["py.typed"],
    "twsync.session": ["*.rng"],
    "twsync.store": ["schema/*.sql"],
}

NATIVE = os.environ.get("TWSYNC_NATIVE", "auto")
if NATIVE not in {"auto", "yes", "no"}:
    raise SystemExit(f"TWSYNC_NATIVE is {NATIVE!r}; write auto, yes or no")

CFFI_MODULES = ["csrc/build_delta.py:ffibuilder"]
if sys.platform == "linux":
    # The batches of small files are made of Linux's system calls.
    CFFI_MODULES.append("csrc/build_delta.py:filesbuilder")


class BuildCore(build_ext):
    """The usual C build, but one that may fail when the C core was not demanded."""

    def finalize_options(self) -> None:
        """Marks the extension as optional unless ``TWSYNC_NATIVE=yes``."""
        super().finalize_options()
        for extension in self.extensions:
            extension.optional = NATIVE == "auto"


if NATIVE == "no":
    setup(packages=PACKAGES, package_data=PACKAGE_DATA)
else:
    setup(
        packages=PACKAGES,
        package_data=PACKAGE_DATA,
        cffi_modules=CFFI_MODULES,
        cmdclass={"build_ext": BuildCore},
        # The module keeps to CPython's stable interface, so one wheel serves every version from 3.11 on.
        options={"bdist_wheel": {"py_limited_api": "cp311"}},
    )
