"""The delta core: native kernels and pure, by size, block length and hit rate; and its command beside rdiff, in the same run.

``pytest benchmarks/test_delta_core.py`` runs all with pytest-benchmark; ``--benchmark-json`` keeps the numbers. ``python
benchmarks/test_delta_core.py [--mib 1024] [--rounds 5] [--json FILE]`` runs only the comparison with rdiff, one after the other in turn,
and prints a table of ratios of medians: wall time, and processor time, which other load on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from twsync.delta.interface import Backend

MIB = 1024 * 1024
#: What is wanted (docs/performance.md), as multiples of rdiff's speed.
WANTED = {"signature": 6.0, "delta, 200 edits": 6.0, "delta, unmatched": 12.0, "patch": 1.0}
CORES = ("native:portable", "native:avx2", "native:avx512", "pure")


def core(name: str) -> Backend:
    """An implementation by its name; skips, and says so, where the CPU has not the kernel."""
    from twsync.delta.backend import BackendError, choose

    try:
        return choose(name)
    except BackendError as error:
        pytest.skip(error.message)


def edited(old: bytes, edits: int, choice: random.Random) -> bytes:
    """`old` with overwrites of 4 KiB, and inserts and deletes of up to 1,000 bytes, at random places."""
    parts, at = [], 0
    for place in sorted(choice.randrange(len(old)) for _ in range(edits)):
        place = max(place, at)
        parts.append(old[at:place])
        kind = choice.randrange(3)
        fresh = (4096, choice.randrange(1, 1001), 0)[kind]
        parts.append(choice.randbytes(fresh))
        at = min(len(old), place + (4096, 0, choice.randrange(1, 1001))[kind])
    return b"".join((*parts, old[at:]))


def speed(benchmark: Any, work: Callable[[], object], size: int) -> None:
    """Run under pytest-benchmark; the speed goes into its JSON."""
    benchmark.pedantic(work, rounds=5, warmup_rounds=1)
    benchmark.extra_info["MB/s"] = round(size / benchmark.stats.stats.median / 1e6, 1)


@pytest.mark.parametrize("block_length", [704, 16 * 1024, 1024 * 1024])
@pytest.mark.parametrize("name", ["native", "pure"])
def test_signature(benchmark: Any, name: str, block_length: int) -> None:
    size = 4 * MIB if name == "pure" else 64 * MIB
    old, backend = random.Random(1).randbytes(size), core(name)
    speed(benchmark, lambda: b"".join(backend.signature_chunks(io.BytesIO(old), block_length)), size)


@pytest.mark.parametrize("hits", [0, 50, 99, 100])
@pytest.mark.parametrize("name", CORES)
def test_delta_by_hit_rate(benchmark: Any, name: str, hits: int) -> None:
    """`hits` of 100 blocks of the new file are in the old one, at random."""
    size, block_length = (2 * MIB if name == "pure" else 16 * MIB), 4096
    choice, backend = random.Random(2), core(name)
    old = choice.randbytes(size)
    places = range(0, size, block_length)
    new = b"".join(old[at : at + block_length] if choice.randrange(100) < hits else choice.randbytes(block_length) for at in places)
    signature = b"".join(backend.signature_chunks(old, block_length))
    speed(benchmark, lambda: sum(map(len, backend.delta(signature, io.BytesIO(new)))), size)


@pytest.mark.parametrize("blocks", [1000, 32_768, 1_000_000])
@pytest.mark.parametrize("name", CORES)
def test_delta_by_blocks(benchmark: Any, name: str, blocks: int) -> None:
    """Unmatched data against signatures of many blocks: the filter leaves the caches one by one."""
    if name == "pure" and blocks > 100_000:
        pytest.skip("the reference takes seconds to read such a table")
    backend = core(name)
    size = MIB if name == "pure" else 8 * MIB
    choice = random.Random(3)
    signature = b"".join(backend.signature_chunks(choice.randbytes(blocks * 64), 64))
    new = choice.randbytes(size)
    speed(benchmark, lambda: sum(map(len, backend.delta(signature, io.BytesIO(new)))), size)


@pytest.mark.parametrize("name", ["native", "pure"])
def test_patch(benchmark: Any, name: str) -> None:
    size, backend = 32 * MIB, core(name)
    choice = random.Random(4)
    old = choice.randbytes(size)
    ops = list(core("native").delta(b"".join(core("native").signature_chunks(old)), edited(old, 100, choice)))
    speed(benchmark, lambda: backend.patch(io.BytesIO(old), ops, io.BytesIO()), size)


def test_beside_rdiff() -> None:
    """The comparison in small, to see that it works; the wanted ratios are for 1 GiB and a machine with nothing else to do."""
    if shutil.which("rdiff") is None:
        pytest.skip("there is no rdiff here; on Debian and Ubuntu: apt install rdiff")
    print("\n" + table(compare(64, 3)))


def measured(command: list[str], out: Path) -> dict[str, float]:
    """Wall and processor seconds of one command, whose output file is removed before."""
    out.unlink(missing_ok=True)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"wall": wall, "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def compare(mib: int, rounds: int) -> dict[str, Any]:
    """Run rdiff and the command in turn on an old file of `mib` MiB; the raw runs and the ratios of their medians."""
    base = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=base) as made:
        at = Path(made)
        choice = random.Random(5)
        old = b"".join(choice.randbytes(MIB) for _ in range(mib))
        (at / "old").write_bytes(old)
        (at / "edited").write_bytes(edited(old, 200, choice))
        (at / "unlike").write_bytes(b"".join(choice.randbytes(MIB) for _ in range(max(1, mib // 4))))
        del old
        ours = [sys.executable, "-m", "twsync.delta"]
        one, two = str(at / "one"), str(at / "two")
        for command in (["rdiff", "signature"], [*ours, "signature"]):
            subprocess.run([*command, str(at / "old"), str(at / f"{command[-1]}-{len(command)}")], check=True)
        theirs_sig, our_sig = str(at / "signature-2"), str(at / "signature-4")
        subprocess.run(["rdiff", "delta", theirs_sig, str(at / "edited"), str(at / "theirs")], check=True)
        subprocess.run([*ours, "delta", our_sig, str(at / "edited"), str(at / "ours")], check=True)
        old_file, new_file, unlike = str(at / "old"), str(at / "edited"), str(at / "unlike")
        work = {
            "signature": (["signature", old_file], ["signature", old_file]),
            "delta, 200 edits": (["delta", theirs_sig, new_file], ["delta", our_sig, new_file]),
            "delta, unmatched": (["delta", theirs_sig, unlike], ["delta", our_sig, unlike]),
            "patch": (["patch", old_file, str(at / "theirs")], ["patch", old_file, str(at / "ours")]),
        }
        result: dict[str, Any] = {"mib": mib, "cpus": os.cpu_count(), "cases": {}}
        for name, (theirs, own) in work.items():
            runs: dict[str, list[dict[str, float]]] = {"rdiff": [], "twsync": []}
            for _ in range(rounds):
                runs["rdiff"].append(measured(["rdiff", *theirs, one], at / "one"))
                (at / "one").unlink()
                runs["twsync"].append(measured([*ours, *own, two], at / "two"))
                (at / "two").unlink()
            median = {who: {kind: statistics.median(run[kind] for run in runs[who]) for kind in ("wall", "cpu")} for who in runs}
            ratio = {kind: round(median["rdiff"][kind] / median["twsync"][kind], 2) for kind in ("wall", "cpu")}
            result["cases"][name] = {"runs": runs, "median": median, "ratio": ratio, "wanted": WANTED[name]}
        return result


def table(result: dict[str, Any]) -> str:
    """The ratios as Markdown."""
    lines = ["| work | rdiff s | twsync s | wall | processor | wanted |", "|---|---|---|---|---|---|"]
    for name, case in result["cases"].items():
        rdiff, own = case["median"]["rdiff"]["wall"], case["median"]["twsync"]["wall"]
        ratio = case["ratio"]
        lines.append(f"| {name} | {rdiff:.2f} | {own:.2f} | {ratio['wall']:.1f} × | {ratio['cpu']:.1f} × | {case['wanted']:.0f} × |")
    return "\n".join(lines)


def main() -> int:
    """The comparison with rdiff from the command line."""
    parser = argparse.ArgumentParser(description="The delta core beside rdiff")
    parser.add_argument("--mib", type=int, default=1024, help="size of the old file (default: 1024)")
    parser.add_argument("--rounds", type=int, default=5, help="alternating runs of each (default: 5)")
    parser.add_argument("--json", type=Path, help="a file for the raw runs and ratios")
    options = parser.parse_args()
    if shutil.which("rdiff") is None:
        print("there is no rdiff here; on Debian and Ubuntu: apt install rdiff", file=sys.stderr)
        return 1
    result = compare(options.mib, options.rounds)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    print(table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
