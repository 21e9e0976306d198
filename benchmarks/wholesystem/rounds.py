"""Alternating runs: in each round every tool takes every state of the source, and the first tool of one round is the last of another."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Any

from wholesystem.bare_tool import bare_tool
from wholesystem.cases import SERIES, SMALL, Case, Sizes
from wholesystem.inputs import MIB
from wholesystem.machine import facts, load
from wholesystem.place import Place, place
from wholesystem.rdiff_tool import rdiff_tool
from wholesystem.rsync_ssl_tool import rsync_ssl_tool
from wholesystem.rsync_tool import rsync_tool
from wholesystem.sameness import require_same
from wholesystem.tool import Missing, Run, Tool
from wholesystem.twsync_tool import twsync_tool

#: Bytes of a small file, on average, with room for the block it takes.
SMALL_FILE = 8192
#: Copies of a tree that exist at once: the original, the source, one at each tool's destination, what rdiff makes, and what is written
#: to have memory at hand.
COPIES = 12
#: ``record(case, tool, run)``
Record = Callable[[str, str, Run], None]
MAKERS = {"twsync": twsync_tool, "rsync": rsync_tool, "rsync-ssl": rsync_ssl_tool, "rdiff": rdiff_tool, "bare": bare_tool}


def one_round(
    series: Sequence[Case],
    only: set[str],
    tools: Sequence[Tool],
    at: Place,
    sizes: Sizes,
    number: int,
    record: Record,
    *,
    apart: bool = False,
) -> None:
    """All states of one series, by all tools; the states before a wanted one are synchronised too, but not recorded.

    :param apart: each tool gets a source of its own: a folder is a collection of one twsync, and of no other.
    """
    last = max(place for place, case in enumerate(series) if case.name in only)
    taking = [tool for tool in tools if not (tool.one_file and series is SMALL)]
    order = taking[number % len(taking) :] + taking[: number % len(taking)] if taking else []
    sources = {tool.name: at.path / (f"source-{tool.name}" if apart else "source") for tool in order}
    for source in set(sources.values()):
        source.mkdir()
    destinations = {tool.name: tool.begin(sources[tool.name], number) for tool in order}
    for case in series[: last + 1]:
        for source in set(sources.values()):
            case.prepare(source, at.path / "original", sizes)
        for tool in order:
            at.ready(sizes.files * SMALL_FILE if series is SMALL else sizes.mib * MIB)
            run = tool.sync()
            require_same(sources[tool.name], destinations[tool.name], tool.name)
            if case.name in only:
                record(case.name, tool.name, run)
    for tool in order:
        tool.end()
    for source in set(sources.values()):
        shutil.rmtree(source)


def measure(
    sizes: Sizes,
    rounds: int,
    only: Iterable[str],
    wanted_tools: Iterable[str] = tuple(MAKERS),
    every: Iterable[Sequence[Case]] = tuple(SERIES.values()),
    quiet: bool = False,
) -> dict[str, Any]:
    """Start the tools, run the rounds, end the tools.

    :param only: names of cases.
    :param every: the series that hold them.
    :returns: raw runs and facts, for JSON.
    """
    names = set(only)
    cases: dict[str, dict[str, list[dict[str, Any]]]] = {}
    before = load()

    def record(case: str, tool: str, run: Run) -> None:
        cases.setdefault(case, {}).setdefault(tool, []).append(run.document())
        if not quiet:
            print(f"{case:10} {tool:9} {run.seconds:8.3f} s", file=sys.stderr, flush=True)

    with ExitStack() as stack:
        at = stack.enter_context(place(COPIES * max(sizes.mib * MIB, sizes.files * SMALL_FILE)))
        made = [stack.enter_context(MAKERS[name](at.path / name)) for name in wanted_tools]
        tools = [tool for tool in made if not isinstance(tool, Missing)]
        for number in range(rounds):
            for series in every:
                if names & {case.name for case in series}:
                    one_round(series, names, tools, at, sizes, number, record)
    return {
        "mib": sizes.mib,
        "files": sizes.files,
        "rounds": rounds,
        "command": " ".join(["python", *sys.argv]),
        "cases": cases,
        "missing": {tool.name: tool.advice for tool in made if isinstance(tool, Missing)},
        "place": {"filesystem": at.filesystem, "note": at.note},
        "machine": facts(),
        "load": {"before": before, "after": load(), "cpus": os.cpu_count()},
    }
