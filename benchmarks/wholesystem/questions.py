"""How cost grows: one function for each question, which gives the lines of a plot and the raw runs."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twsync.delta.backend import choose
from wholesystem.cases import LARGE, Case, Sizes, put_new
from wholesystem.inputs import MIB, overwritten_file
from wholesystem.rounds import measure

SIZES_MIB = (16, 64, 256, 1024)
FILES = (500, 2000, 8000, 20_000)
BLOCKS = (1000, 8000, 64_000, 512_000)
SHARES = (1, 5, 25, 100)
SHARE_MIB = 128
TOOLS = ("twsync", "rsync")
BLOCK_LENGTH = 64
UNMATCHED_MIB = 64


@dataclass(frozen=True)
class Answer:
    """A plot and what it is made of."""

    title: str
    across: str
    up: str
    lines: dict[str, list[tuple[float, float]]]
    raw: Any


def add_points(lines: dict[str, list[tuple[float, float]]], at: float, result: dict[str, Any], names: dict[str, str]) -> None:
    """Put the medians of a result on the lines, at one place across."""
    for case, label in names.items():
        for tool, runs in result["cases"][case].items():
            name = f"{tool}{', ' if label else ''}{label}"
            lines.setdefault(name, []).append((at, statistics.median(run["seconds"] for run in runs)))


def by_size(rounds: int) -> Answer:
    """The size of one file."""
    lines: dict[str, list[tuple[float, float]]] = {}
    raw = [measure(Sizes(mib, 1), rounds, ("new", "edits"), TOOLS, [LARGE], quiet=True) for mib in SIZES_MIB]
    for mib, result in zip(SIZES_MIB, raw, strict=True):
        add_points(lines, mib, result, {"new": "new", "edits": "200 edits"})
    return Answer("Cost by size of a file", "MiB", "seconds", lines, raw)


def by_files(rounds: int) -> Answer:
    """The number of small files."""
    lines: dict[str, list[tuple[float, float]]] = {}
    raw = [measure(Sizes(1, files), rounds, ("first", "unchanged"), TOOLS, quiet=True) for files in FILES]
    for files, result in zip(FILES, raw, strict=True):
        add_points(lines, files, result, {"first": "first", "unchanged": "unchanged"})
    return Answer("Cost by number of small files", "files", "seconds", lines, raw)


def share_case(percent: int) -> Case:
    """A share of the pieces of the large file, overwritten."""

    def put(source: Path, original: Path, sizes: Sizes) -> None:
        # rsync takes what has the same size, and time in whole seconds, for the same.
        time.sleep(1.0)
        made = original.with_suffix(".overwritten")
        overwritten_file(source / "large", made, percent, percent)
        made.replace(source / "large")

    return Case(f"{percent}", f"{percent} % of {{mib}} MiB", 0, put)


def by_share(rounds: int) -> Answer:
    """The share of changed data in one file."""
    lines: dict[str, list[tuple[float, float]]] = {}
    series: Sequence[Case] = (Case("new", "new", 0, put_new), *map(share_case, SHARES))
    raw = measure(Sizes(SHARE_MIB, 1), rounds, [f"{share}" for share in SHARES], TOOLS, [series], quiet=True)
    for share in SHARES:
        add_points(lines, share, raw, {f"{share}": ""})
    return Answer(f"Cost by share of changed data, {SHARE_MIB} MiB", "% of 64 KiB pieces overwritten", "seconds", lines, raw)


def by_blocks(rounds: int) -> Answer:
    """The number of blocks that unmatched data is searched in: the delta core alone, in this process."""
    core, raw = choose("native"), {}
    choice = random.Random(6)
    new = choice.randbytes(UNMATCHED_MIB * MIB)
    for blocks in BLOCKS:
        signature = b"".join(core.signature_chunks(choice.randbytes(blocks * BLOCK_LENGTH), BLOCK_LENGTH))
        runs = []
        for _ in range(rounds):
            began = time.perf_counter()
            for _ in core.delta(signature, new):
                pass
            runs.append(time.perf_counter() - began)
        raw[blocks] = runs
    line = [(float(blocks), len(new) / 1e6 / statistics.median(runs)) for blocks, runs in raw.items()]
    return Answer("Speed of the search by number of blocks", "blocks in the signature", "MB/s, unmatched data", {"native core": line}, raw)


QUESTIONS = {"size": by_size, "files": by_files, "blocks": by_blocks, "share": by_share}
