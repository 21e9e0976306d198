"""The cases and what is wanted of each: how the source comes to be, one state after another."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wholesystem.inputs import MIB, change_files, edited_file, random_file, small_files

EDITS = 200
CHANGED = 100
#: What the targets are for.
FULL_MIB, FULL_FILES = 1024, 20_000


@dataclass(frozen=True)
class Sizes:
    """How large a run is.

    :ivar mib: the large file, in MiB.
    :ivar files: the number of small files.
    """

    mib: int
    files: int


@dataclass(frozen=True)
class Case:
    """One state of a source, to be synchronised from the state before.

    :ivar name: short, for ``--only``.
    :ivar title: what it is, with ``{mib}``, ``{quarter}`` and ``{files}`` for the sizes.
    :ivar wanted: at least this many times rsync's speed.
    :ivar prepare: ``prepare(source, original, sizes)`` makes the state.
    """

    name: str
    title: str
    wanted: float
    prepare: Callable[[Path, Path, Sizes], None]

    def heading(self, sizes: Sizes) -> str:
        """The title with the sizes of this run."""
        return self.title.format(mib=f"{sizes.mib:,}", quarter=f"{max(1, sizes.mib // 4):,}", files=f"{sizes.files:,}")


def put_new(source: Path, original: Path, sizes: Sizes) -> None:
    """The large file, which the destination has not."""
    if not original.exists():
        random_file(original, sizes.mib * MIB, 1)
    shutil.copyfile(original, source / "large")


def put_edited(source: Path, original: Path, sizes: Sizes) -> None:
    """The large file with edits."""
    edited_file(original, original.with_suffix(".edited"), EDITS, 2)
    original.with_suffix(".edited").replace(source / "large")


def put_unlike(source: Path, original: Path, sizes: Sizes) -> None:
    """In the place of the large file, another that shares nothing with it."""
    random_file(original.with_suffix(".unlike"), max(1, sizes.mib // 4) * MIB, 3)
    original.with_suffix(".unlike").replace(source / "large")


def put_small(source: Path, original: Path, sizes: Sizes) -> None:
    """Many small files."""
    small_files(source, sizes.files, 4)


def put_nothing(source: Path, original: Path, sizes: Sizes) -> None:
    """Nothing: the source stays as it is."""


def put_changed(source: Path, original: Path, sizes: Sizes) -> None:
    """Some of the small files, changed."""
    change_files(source, sizes.files, CHANGED, 5)


#: A series shares a source and its destinations: a state is synchronised over the one before, as it would be in life.
LARGE = (
    Case("new", "new file of {mib} MiB", 1.0, put_new),
    Case("edits", "{mib} MiB with 200 edits", 3.0, put_edited),
    Case("unmatched", "{quarter} MiB that match nothing of {mib} MiB", 6.0, put_unlike),
)
SMALL = (
    Case("first", "{files} small files, first sync", 0.5, put_small),
    Case("unchanged", "{files} small files, nothing changed", 1.0, put_nothing),
    Case("changed", "{files} small files, 100 changed", 1.0, put_changed),
)
SERIES = {"large": LARGE, "small": SMALL}
CASES = {case.name: case for series in SERIES.values() for case in series}
#: Peak memory of each daemon in all cases, in MiB, at most.
PEAK_WANTED = 150
