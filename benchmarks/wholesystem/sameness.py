"""Whether a destination holds what the source holds; a fast tool that loses bytes is not fast."""

from __future__ import annotations

import filecmp
from pathlib import Path

#: twsync's own folder at the top of a collection.
OWN = ".twsync"


def contents(root: Path) -> dict[Path, Path]:
    """The files below `root`, less twsync's own, by their names from there."""
    names = {path.relative_to(root): path for path in root.rglob("*") if path.is_file()}
    return {name: path for name, path in names.items() if name.parts[0] != OWN}


def require_same(source: Path, destination: Path, tool: str) -> None:
    """Compare every byte.

    :raises RuntimeError: a file is missing, too many, or other than it should be.
    """
    wanted, found = contents(source), contents(destination)
    wrong = sorted(wanted.keys() ^ found.keys()) or [name for name in wanted if not filecmp.cmp(wanted[name], found[name], shallow=False)]
    filecmp.clear_cache()
    if wrong:
        raise RuntimeError(f"{tool} ended without an error, but {wrong[0]} differs from the source ({len(wrong)} files)")
