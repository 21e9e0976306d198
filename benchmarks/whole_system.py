"""The whole system beside rsync and rdiff: real daemons on loopback, alternating runs, one table, the raw runs and a picture.

``python benchmarks/whole_system.py [--mib 1024] [--files 20000] [--rounds 5] [--only new,edits] [--tools twsync,rsync] [--out FOLDER]``
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from wholesystem.barchart import Bar, bar_chart
from wholesystem.cases import CASES, FULL_FILES, FULL_MIB, Sizes
from wholesystem.ending import end_in_order
from wholesystem.names import names_of
from wholesystem.report import markdown, ratio
from wholesystem.rounds import MAKERS, measure

RESULTS = Path(__file__).parent / "results"


def write(result: dict[str, Any], folder: Path) -> None:
    """``whole-system.md``, ``.json`` and ``.svg`` in `folder`; no picture where there is no rsync to compare with."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "whole-system.json").write_text(json.dumps(result, indent=1) + "\n")
    (folder / "whole-system.md").write_text(markdown(result))
    sizes = Sizes(result["mib"], result["files"])
    found = {name: ratio(result, name) for name in CASES}
    bars = [Bar(CASES[name].heading(sizes), value, CASES[name].wanted) for name, value in found.items() if value is not None]
    if bars:
        machine = result["machine"]
        note = f"Medians of {result['rounds']} alternating rounds; {machine['cpu']}, {machine['cpus']} CPUs; {machine['rsync']}."
        (folder / "whole-system.svg").write_text(bar_chart("twsync's speed as a multiple of rsync's", note, bars))


def main() -> int:
    """Measure, write the results and print the table."""
    parser = argparse.ArgumentParser(description="twsync beside rsync and rdiff, on loopback")
    parser.add_argument("--mib", type=int, default=FULL_MIB, help="size of the large file (default: %(default)s)")
    parser.add_argument("--files", type=int, default=FULL_FILES, help="number of small files (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds (default: %(default)s)")
    parser.add_argument("--only", type=names_of(CASES), default=tuple(CASES), help=f"cases, with commas between: {', '.join(CASES)}")
    parser.add_argument("--tools", type=names_of(MAKERS), default=tuple(MAKERS), help=f"tools, with commas between: {', '.join(MAKERS)}")
    parser.add_argument("--out", type=Path, default=RESULTS, help="a folder for the results (default: benchmarks/results)")
    options = parser.parse_args()
    if min(options.mib, options.files, options.rounds) < 1:
        parser.error("--mib, --files and --rounds are at least 1")
    end_in_order()
    result = measure(Sizes(options.mib, options.files), options.rounds, options.only, options.tools)
    write(result, options.out)
    print(markdown(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
