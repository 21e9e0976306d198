"""How cost grows with the size of a file, the number of files, the number of blocks and the share of changed data: a plot for each.

``python benchmarks/growth.py [--only size,files,blocks,share] [--rounds 3] [--out FOLDER]`` writes ``growth-NAME.svg`` and ``.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from wholesystem.ending import end_in_order
from wholesystem.linechart import line_chart
from wholesystem.machine import facts, load
from wholesystem.names import names_of
from wholesystem.questions import QUESTIONS

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Measure, plot, and print the points."""
    parser = argparse.ArgumentParser(description="How the cost of a sync grows")
    parser.add_argument("--only", type=names_of(QUESTIONS), default=tuple(QUESTIONS), help=f"of {', '.join(QUESTIONS)}")
    parser.add_argument("--rounds", type=int, default=3, help="alternating runs of each point (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="a folder for the results (default: benchmarks/results)")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds is at least 1")
    end_in_order()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        before = load()
        answer = QUESTIONS[name](options.rounds)
        known = {
            "title": answer.title,
            "across": answer.across,
            "up": answer.up,
            "rounds": options.rounds,
            "machine": facts(),
            "load": [before, load()],
            "lines": answer.lines,
        }
        (options.out / f"growth-{name}.json").write_text(json.dumps({**known, "raw": answer.raw}, indent=1) + "\n")
        (options.out / f"growth-{name}.svg").write_text(line_chart(answer.title, answer.across, answer.up, answer.lines))
        print(f"{answer.title} ({answer.up}); load {before[0]} before, {load()[0]} after")
        for line, points in answer.lines.items():
            print(f"  {line}: " + ", ".join(f"{x:g} → {y:.3g}" for x, y in points))
    return 0


if __name__ == "__main__":
    sys.exit(main())
