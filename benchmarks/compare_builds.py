"""Whether a change made twsync slower: two builds in turn, the ratio of each case, and how sure it is.

``python benchmarks/compare_builds.py OLD NEW [--mib 64] [--files 2000] [--pairs 24] [--only new,edits] [--json FILE]``

OLD and NEW are each a git revision, a source tree with its core built, or the interpreter of a virtual environment. What is compared is
processor time, of all daemons together: other work on the machine takes wall time from one run and not from the next, but hardly changes
how much work a run is. Both builds are up at the same time and take each state of equal sources one directly after the other, old first in
one pair and new first in the next, so that what does change (caches, clock rate) changes for both; and only ratios within pairs count. All
daemons start anew a few times, since one process may be luckier with its memory than another. The code that measures is this tree's for
both. Ends with 1 if a case became slower, for sure and by more than the tolerance.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from wholesystem.builds import Build, BuildError, build
from wholesystem.buildtool import build_tool
from wholesystem.cases import CASES, SERIES, Sizes
from wholesystem.ending import end_in_order
from wholesystem.inputs import MIB
from wholesystem.machine import facts, load
from wholesystem.names import names_of
from wholesystem.place import place
from wholesystem.rounds import COPIES, SMALL_FILE, one_round
from wholesystem.summary import ENOUGH, Ratio, paired_ratio, spread
from wholesystem.tool import Run

#: Times that all daemons are started.
STARTS = 4
SIDES = ("old", "new")


def note(ratio: Ratio, tolerance: float) -> str:
    """What a ratio of times, new to old, allows to be said."""
    if not ratio.enough:
        return f"too few pairs to say (at least {ENOUGH})"
    if not ratio.differs:
        return f"no difference seen; one of less than {max(ratio.high - 1, 1 - ratio.low):.0%} could be there"
    if ratio.ratio < 1:
        return "faster" if ratio.ratio < 1 - tolerance else f"faster, by no more than {tolerance:.0%}"
    return "slower" if slower(ratio, tolerance) else f"slower, but within the tolerance of {tolerance:.0%}"


def slower(ratio: Ratio, tolerance: float) -> bool:
    """Whether the new build is slower for sure, and by more than the tolerance."""
    return ratio.differs and ratio.ratio > 1 + tolerance


def table(runs: dict[str, dict[str, list[dict[str, Any]]]], tolerance: float) -> str:
    """The ratios as Markdown."""
    lines = ["| case | old, processor s | new | new in old's | 99 % interval | pairs | wall | |", "|---|---|---|---|---|---|---|---|"]
    for case, each in runs.items():
        ratio, wall = (compared(each, kind) for kind in ("cpu", "seconds"))
        old, new = (spread([run["cpu"] for run in each[side]]).median for side in SIDES)
        interval = f"{ratio.low:.3f}–{ratio.high:.3f}"
        cells = [case, f"{old:.3f}", f"{new:.3f}", f"{ratio.ratio:.3f} ×", interval, f"{ratio.pairs}", f"{wall.ratio:.2f} ×"]
        lines.append("| " + " | ".join([*cells, note(ratio, tolerance)]) + " |")
    return "\n".join(lines)


def compared(runs: dict[str, list[dict[str, Any]]], kind: str) -> Ratio:
    """New to old, by processor time (`cpu`) or wall time (`seconds`)."""
    return paired_ratio([run[kind] for run in runs["new"]], [run[kind] for run in runs["old"]])


def compare(builds: dict[str, Build], options: argparse.Namespace) -> dict[str, Any]:
    """All pairs: the raw runs of both builds, by case."""
    sizes, names = Sizes(options.mib, options.files), set(options.only)
    runs: dict[str, dict[str, list[dict[str, Any]]]] = {case: {side: [] for side in SIDES} for case in options.only}

    def record(case: str, side: str, run: Run) -> None:
        runs[case][side].append(run.document())

    before, starts, cores = load(), min(STARTS, options.pairs), {}
    with place(COPIES * max(sizes.mib * MIB, sizes.files * SMALL_FILE)) as at:
        for start in range(starts):
            with ExitStack() as stack:
                sides = [
                    stack.enter_context(build_tool(side, builds[side], at.path / f"{side}-{start}", at.path / f"{side}-compiled"))
                    for side in SIDES
                ]
                cores = {side.name: side.core for side in sides}
                for number in range(start, options.pairs, starts):
                    for series in SERIES.values():
                        if names & {case.name for case in series}:
                            one_round(series, names, sides, at, sizes, number // starts, record, apart=True)
            print(f"{start + 1} of {starts} parts", file=sys.stderr, flush=True)
    known = {side: builds[side].name for side in SIDES}
    return {**known, "mib": options.mib, "files": options.files, "machine": facts(), "load": [before, load()], "cores": cores, "runs": runs}


def main() -> int:
    """Compare, print the table, tell by the exit code."""
    parser = argparse.ArgumentParser(description="Two builds of twsync in turn")
    parser.add_argument("old", help="a git revision, a source tree, or an interpreter")
    parser.add_argument("new", help="the same")
    parser.add_argument("--mib", type=int, default=64, help="size of the large file (default: %(default)s)")
    parser.add_argument("--files", type=int, default=2000, help="number of small files (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=24, help="pairs of runs (default: %(default)s)")
    parser.add_argument("--only", type=names_of(CASES), default=tuple(CASES), help=f"cases, with commas between: {', '.join(CASES)}")
    parser.add_argument("--tolerance", type=float, default=0.05, help="slower by this share is still well (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="a file for the raw runs")
    options = parser.parse_args()
    if min(options.mib, options.files, options.pairs) < 1:
        parser.error("--mib, --files and --pairs are at least 1")
    end_in_order()
    try:
        with tempfile.TemporaryDirectory(prefix="twsync-builds-") as made:
            result = compare({side: build(getattr(options, side), Path(made) / side) for side in SIDES}, options)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    print(table(result["runs"], options.tolerance))
    print(f"Cores: {', '.join(f'{side} {core}' for side, core in result['cores'].items())}.")
    print(f"Load averages before {result['load'][0]}, after {result['load'][1]}.")
    return 1 if any(slower(compared(runs, "cpu"), options.tolerance) for runs in result["runs"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
