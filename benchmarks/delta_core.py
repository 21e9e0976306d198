"""The delta core's command beside rdiff, in turn, on a file in memory; and the speed of the reference in Python.

``python benchmarks/delta_core.py [--mib 1024] [--rounds 5] [--out FOLDER]`` writes ``delta-core.md`` (the table of ratios) and ``.json``
(every run). Both are whole programs, started anew for each run, as users start them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from wholesystem.ending import end_in_order
from wholesystem.machine import facts, load
from wholesystem.place import place

MIB = 1024 * 1024
RESULTS = Path(__file__).parent / "results"
#: What is wanted (docs/performance.md): multiples of rdiff's speed at 1 GiB.
WANTED = {"signature": 6.0, "delta, 200 edits": 6.0, "delta, unmatched": 12.0, "patch": 1.0}
#: What is wanted of the reference in Python with unmatched data, in MB/s, and how much of it it gets.
PURE_WANTED, PURE_MIB = 8.0, 8
#: Quarters of the old file's length that the output of a case has, if that is much.
WRITTEN = {"delta, unmatched": 1, "patch": 4}
MISSING = "there is no rdiff here; on Debian and Ubuntu: apt install rdiff"


def edited(old: bytes, edits: int, choice: random.Random) -> bytes:
    """`old` with overwrites of 4 KiB, and inserts and deletes of up to 1,000 bytes, at random places."""
    parts, at = [], 0
    for wanted in sorted(choice.randrange(len(old)) for _ in range(edits)):
        start = max(wanted, at)
        parts.append(old[at:start])
        kind = choice.randrange(3)
        fresh = (4096, choice.randrange(1, 1001), 0)[kind]
        parts.append(choice.randbytes(fresh))
        at = min(len(old), start + (4096, 0, choice.randrange(1, 1001))[kind])
    return b"".join((*parts, old[at:]))


def measured(command: list[str], out: Path, environment: dict[str, str]) -> dict[str, float]:
    """Wall and processor seconds of one command, whose output file is removed before and afterwards."""
    out.unlink(missing_ok=True)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([*command, str(out)], check=True, env=environment, cwd=out.parent)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    out.unlink()
    return {"wall": round(wall, 4), "cpu": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 4)}


def pure_speed(signature: bytes, rounds: int) -> dict[str, Any]:
    """The reference in Python, searching data that match nothing of what the signature describes; with the time for its table."""
    from twsync.delta.backend import choose

    pure, new = choose("pure"), random.Random(7).randbytes(PURE_MIB * MIB)
    runs = []
    for _ in range(rounds):
        began = time.process_time()
        for _ in pure.delta(signature, new):
            pass
        runs.append(round(len(new) / 1e6 / (time.process_time() - began), 2))
    return {"runs": runs, "median": statistics.median(runs), "wanted": PURE_WANTED}


def compare(mib: int, rounds: int) -> dict[str, Any]:
    """Run rdiff and the command in turn on an old file of `mib` MiB; the raw runs, their medians and the ratios of these."""
    before = load()
    with place(8 * mib * MIB) as made:
        at = made.path
        choice = random.Random(5)
        old = b"".join(choice.randbytes(MIB) for _ in range(mib))
        (at / "old").write_bytes(old)
        (at / "edited").write_bytes(edited(old, 200, choice))
        (at / "unlike").write_bytes(b"".join(choice.randbytes(MIB) for _ in range(max(1, mib // 4))))
        del old
        # As an installed program finds its modules: compiled.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPATH"] = os.pathsep.join(
            path for path in (str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH")) if path
        )
        environment["PYTHONPYCACHEPREFIX"] = str(at / "compiled")
        tools = {"twsync": [sys.executable, "-m", "twsync.delta"]}
        if shutil.which("rdiff") is not None:
            tools["rdiff"] = ["rdiff"]
        work: dict[str, dict[str, list[str]]] = {name: {} for name in WANTED}
        for tool, command in tools.items():
            signature, delta = str(at / f"{tool}.signature"), str(at / f"{tool}.delta")
            for words in (["signature", str(at / "old"), signature], ["delta", signature, str(at / "edited"), delta]):
                subprocess.run([*command, *words], check=True, env=environment, cwd=at)
            work["signature"][tool] = [*command, "signature", str(at / "old")]
            work["delta, 200 edits"][tool] = [*command, "delta", signature, str(at / "edited")]
            work["delta, unmatched"][tool] = [*command, "delta", signature, str(at / "unlike")]
            work["patch"][tool] = [*command, "patch", str(at / "old"), delta]
        signature_of_old = (at / "twsync.signature").read_bytes()
        sizes = {tool: {kind: (at / f"{tool}.{kind}").stat().st_size for kind in ("signature", "delta")} for tool in tools}
        cases: dict[str, Any] = {}
        for name, commands in work.items():
            runs: dict[str, list[dict[str, float]]] = {tool: [] for tool in tools}
            for number in range(rounds):
                for tool in sorted(tools, reverse=bool(number % 2)):
                    made.ready(WRITTEN.get(name, 0) * mib * MIB // 4)
                    runs[tool].append(measured(commands[tool], at / "out", environment))
            median = {tool: {kind: statistics.median(run[kind] for run in runs[tool]) for kind in ("wall", "cpu")} for tool in tools}
            ratio = (
                {kind: round(median["rdiff"][kind] / median["twsync"][kind], 2) for kind in ("wall", "cpu")} if "rdiff" in tools else None
            )
            cases[name] = {"runs": runs, "median": median, "ratio": ratio, "wanted": WANTED[name]}
    known = {"mib": mib, "rounds": rounds, "command": " ".join(["python", *sys.argv]), "machine": facts(), "load": [before, load()]}
    filesystem = {"filesystem": made.filesystem, "note": made.note}
    return {
        **known,
        "place": filesystem,
        "missing": {} if "rdiff" in tools else {"rdiff": MISSING},
        "sizes": sizes,
        "cases": cases,
        "pure": pure_speed(signature_of_old, rounds),
    }


def markdown(result: dict[str, Any]) -> str:
    """The table, and what is to be known about it."""
    lines = ["| work | rdiff s | twsync s | speed, wall | speed, processor time | wanted |", "|---|---|---|---|---|---|"]
    for name, case in result["cases"].items():
        median, ratio = case["median"], case["ratio"]
        rdiff = f"{median['rdiff']['wall']:.2f}" if "rdiff" in median else "no rdiff here"
        speeds = [f"{ratio[kind]:.1f} ×" for kind in ("wall", "cpu")] if ratio else ["–", "–"]
        lines.append(f"| {name} | {rdiff} | {median['twsync']['wall']:.2f} | " + " | ".join(speeds) + f" | {case['wanted']:.0f} × |")
    pure, machine, (before, after) = result["pure"], result["machine"], result["load"]
    lines.append(f"| reference in Python, unmatched | – | {pure['median']:.1f} MB/s | – | – | {pure['wanted']:.0f} MB/s |")
    sizes = ", ".join(f"{tool} {each['signature']:,} and {each['delta']:,} bytes" for tool, each in result["sizes"].items())
    where = f"files on {result['place']['filesystem']}{': ' + result['place']['note'] if result['place']['note'] else ''}"
    said = [
        *(f"**{advice}.**" for advice in result["missing"].values()),
        f"An old file of {result['mib']:,} MiB, medians of {result['rounds']} alternating runs of the whole programs, {where}.",
        f"Signature, and delta of the 200 edits: {sizes}.",
        f"Machine: {machine['cpu']}, {machine['cpus']} CPUs, {machine['memory']}; {machine['system']}; {machine['python']};",
        f"twsync {machine['twsync']}; {machine['rdiff']}. Load averages before {before}, after {after}.",
        f"`{result['command']}`, {machine['time']}",
    ]
    return "\n".join([*lines, "", *said, ""])


def write(result: dict[str, Any], folder: Path) -> None:
    """``delta-core.md`` and ``.json`` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "delta-core.json").write_text(json.dumps(result, indent=1) + "\n")
    (folder / "delta-core.md").write_text(markdown(result))


def main() -> int:
    """Measure, write the results and print the table."""
    parser = argparse.ArgumentParser(description="The delta core beside rdiff")
    parser.add_argument("--mib", type=int, default=1024, help="size of the old file (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="alternating runs of each (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="a folder for the results (default: benchmarks/results)")
    options = parser.parse_args()
    if min(options.mib, options.rounds) < 1:
        parser.error("--mib and --rounds are at least 1")
    end_in_order()
    result = compare(options.mib, options.rounds)
    write(result, options.out)
    print(markdown(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
