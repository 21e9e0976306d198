"""Puts measured results into the documents: the picture of the README, and the tables and plots of docs/performance.md.

``python benchmarks/publish.py [--results FOLDER]`` takes what ``delta_core.py``, ``whole_system.py``, ``syncml.py`` and ``growth.py`` have
written (`make bench` runs all), writes ``docs/benchmarks.svg`` and ``docs/growth-*.svg``, and replaces in docs/performance.md what stands
between ``<!-- measured: NAME -->`` and ``<!-- end -->``. What was not measured stays as it is, and that is
said. `make bench-publish` measures and publishes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import delta_core
import syncml
from wholesystem.besidechart import Panel, Row, beside_chart
from wholesystem.cases import CASES, Sizes
from wholesystem.linechart import line_chart
from wholesystem.machine import said_of
from wholesystem.report import TOOLS, markdown, seconds
from wholesystem.summary import spread

HERE = Path(__file__).parent
PERFORMANCE = HERE.parent / "docs" / "performance.md"
#: Files of results, and places in docs/performance.md.
GROWTH = ("growth-size", "growth-files", "growth-blocks", "growth-share")
RESULTS = ("delta-core", "whole-system", "syncml", *GROWTH)
PICTURE = HERE.parent / "docs" / "benchmarks.svg"


def system_panel(result: dict[str, Any]) -> Panel:
    """The whole system: twsync beside rsync, and rdiff where it can take part."""
    sizes = Sizes(result["mib"], result["files"])
    rows = []
    for name, case in CASES.items():
        found = {tool: spread(values).median for tool in TOOLS if (values := seconds(result, name, tool))}
        if found:
            rows.append(Row(case.heading(sizes), found, "rsync"))
    return Panel("Two hosts in step: twsync with TLS, verified, durable; rsync without TLS, rsync-ssl with; rdiff without a wire", rows)


def core_panel(result: dict[str, Any]) -> Panel:
    """The delta core beside rdiff."""
    rows = [Row(name, {tool: each["wall"] for tool, each in case["median"].items()}, "rdiff") for name, case in result["cases"].items()]
    return Panel(f"The delta core alone, an old file of {result['mib']:,} MiB: python -m twsync.delta beside rdiff", rows)


def picture(system: dict[str, Any] | None, core: dict[str, Any] | None) -> str:
    """One picture of all that was measured."""
    panels = [*([system_panel(system)] if system else []), *([core_panel(core)] if core else [])]
    known = system or core
    assert known is not None
    missing = sorted({advice for result in (system, core) if result for advice in result["missing"].values()})
    notes = ["Seconds, medians of alternating runs; shorter is better. In each row the longest bar has the whole width.", *missing]
    return beside_chart("twsync beside rsync and rdiff", [*notes, *said_of(known["machine"])], panels)


def growth_table(result: dict[str, Any]) -> str:
    """The points of one question."""
    lines: dict[str, list[list[float]]] = result["lines"]
    across = [point[0] for point in next(iter(lines.values()))]
    rows = [f"| {result['title']}, {result['across']} | " + " | ".join(f"{x:,g}" for x in across) + " |", "|---" * (len(across) + 1) + "|"]
    rows += [f"| {name} | " + " | ".join(f"{y:.3g}" for _, y in line) + " |" for name, line in lines.items()]
    load = result["load"]
    return "\n".join([*rows, "", f"In {result['up']}; load averages before {load[0]}, after {load[1]}; {result['machine']['time']}."])


def plot(result: dict[str, Any]) -> str:
    """The same as a picture."""
    lines = {name: [(x, y) for x, y in line] for name, line in result["lines"].items()}
    return line_chart(result["title"], result["across"], result["up"], lines)


def replaced(text: str, name: str, table: str) -> str:
    """The document with a new table between the marks of `name`.

    :raises ValueError: it has no such marks.
    """
    start, end = f"<!-- measured: {name} -->", "<!-- end -->"
    before, mark, rest = text.partition(start)
    _old, closing, after = rest.partition(end)
    if not mark or not closing:
        raise ValueError(f"{PERFORMANCE} has no {start} … {end}")
    return f"{before}{start}\n\n{table.strip()}\n\n{end}{after}"


def body(report: str) -> str:
    """A report without its heading."""
    return report.partition("\n\n")[2] if report.startswith("# ") else report


#: What makes the tables of the results that are no growth.
TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "delta-core": delta_core.markdown,
    "whole-system": lambda result: body(markdown(result)),
    "syncml": syncml.markdown,
}


def main() -> int:
    """Publish what there is."""
    parser = argparse.ArgumentParser(description="Put measured results into the documents")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="where they are (default: benchmarks/results)")
    options = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    for name in RESULTS:
        path = options.results / f"{name}.json"
        if path.exists():
            found[name] = json.loads(path.read_text())
        else:
            print(f"{path} is not there: {name} stays as it was", file=sys.stderr)
    text = PERFORMANCE.read_text("utf-8")
    for name, result in found.items():
        text = replaced(text, name, TABLES.get(name, growth_table)(result))
        if name in GROWTH:
            (PERFORMANCE.parent / f"{name}.svg").write_text(plot(result), "utf-8")
    PERFORMANCE.write_text(text, "utf-8")
    if "whole-system" in found and "delta-core" in found:
        PICTURE.write_text(picture(found["whole-system"], found["delta-core"]), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
