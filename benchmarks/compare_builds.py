"""Whether a change made twsync slower: two builds in turn, the ratio of each case, and how sure it is.

``python benchmarks/compare_builds.py OLD NEW [--mib 256] [--files 5000] [--pairs 8] [--only new,edits] [--json FILE]``

OLD and NEW are each a git revision, a source tree with its core built, or the interpreter of a virtual environment. Absolute times say
little on a machine that does other things too, so each pair of runs is made at once, old first in one and new first in the next, and
only the ratios within pairs count. The code that measures is this tree's for both. Ends with 1 if a case became slower, for sure and by
more than the tolerance.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from wholesystem.builds import Build, BuildError, build
from wholesystem.cases import CASES
from wholesystem.ending import end_in_order
from wholesystem.names import names_of
from wholesystem.summary import ENOUGH, Ratio, paired_ratio

MEASURE = Path(__file__).parent / "whole_system.py"


def run_once(which: Build, options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """One round of a build: seconds by case. Its daemons are the measuring program's, which is told to end if this one is."""
    sizes = ["--mib", str(options.mib), "--files", str(options.files), "--rounds", "1"]
    command = [which.python, str(MEASURE), *sizes, "--only", ",".join(options.only), "--tools", "twsync", "--out", str(folder)]
    process = subprocess.Popen(command, env=which.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        _, errors = process.communicate()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    if process.returncode:
        raise BuildError(f"{which.name} could not be measured: {(errors.strip().splitlines() or ['no reason given'])[-1]}")
    result = json.loads((folder / "whole-system.json").read_text())
    return {case: tools["twsync"][0]["seconds"] for case, tools in result["cases"].items()}


def note(ratio: Ratio, tolerance: float) -> str:
    """What a ratio of times, new to old, allows to be said."""
    if not ratio.enough:
        return f"too few pairs to say (at least {ENOUGH})"
    if not ratio.differs:
        return f"no difference seen; one of less than {max(ratio.high - 1, 1 - ratio.low):.0%} could be there"
    if ratio.ratio < 1:
        return "faster"
    return "slower" if slower(ratio, tolerance) else f"slower, but within the tolerance of {tolerance:.0%}"


def slower(ratio: Ratio, tolerance: float) -> bool:
    """Whether the new build is slower for sure, and by more than the tolerance."""
    return ratio.differs and ratio.ratio > 1 + tolerance


def table(ratios: dict[str, Ratio], tolerance: float) -> str:
    """The ratios as Markdown."""
    lines = ["| case | new's time in old's | 99 % interval | pairs | |", "|---|---|---|---|---|"]
    for case, ratio in ratios.items():
        interval = f"{ratio.low:.2f}–{ratio.high:.2f}"
        lines.append(f"| {case} | {ratio.ratio:.2f} × | {interval} | {ratio.pairs} | {note(ratio, tolerance)} |")
    return "\n".join(lines)


def compare(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """All pairs: the raw seconds of both builds, by case."""
    builds = {"old": build(options.old, scratch / "old"), "new": build(options.new, scratch / "new")}
    runs: dict[str, dict[str, list[float]]] = {case: {"old": [], "new": []} for case in options.only}
    for pair in range(options.pairs):
        for which in ("old", "new") if pair % 2 == 0 else ("new", "old"):
            for case, seconds in run_once(builds[which], options, scratch / "result").items():
                runs[case][which].append(seconds)
        print(f"pair {pair + 1} of {options.pairs}", file=sys.stderr, flush=True)
    return {"old": options.old, "new": options.new, "mib": options.mib, "files": options.files, "runs": runs}


def main() -> int:
    """Compare, print the table, tell by the exit code."""
    parser = argparse.ArgumentParser(description="Two builds of twsync in turn")
    parser.add_argument("old", help="a git revision, a source tree, or an interpreter")
    parser.add_argument("new", help="the same")
    parser.add_argument("--mib", type=int, default=256, help="size of the large file (default: %(default)s)")
    parser.add_argument("--files", type=int, default=5000, help="number of small files (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=8, help="pairs of runs (default: %(default)s)")
    parser.add_argument("--only", type=names_of(CASES), default=tuple(CASES), help=f"cases, with commas between: {', '.join(CASES)}")
    parser.add_argument("--tolerance", type=float, default=0.05, help="slower by this share is still well (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="a file for the raw runs")
    options = parser.parse_args()
    end_in_order()
    try:
        with tempfile.TemporaryDirectory(prefix="twsync-builds-") as made:
            result = compare(options, Path(made))
    except BuildError as error:
        print(error, file=sys.stderr)
        return 2
    ratios = {case: paired_ratio(each["new"], each["old"]) for case, each in result["runs"].items()}
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    print(table(ratios, options.tolerance))
    return 1 if any(slower(ratio, options.tolerance) for ratio in ratios.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
