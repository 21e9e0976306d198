"""The delta core: native kernels and pure, by size, block length and hit rate; and its command beside rdiff, in small.

``pytest benchmarks/test_delta_core.py`` runs all with pytest-benchmark; ``--benchmark-json`` keeps the numbers. ``python
benchmarks/delta_core.py`` is the comparison with rdiff that counts.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import delta_core
import pytest
from delta_core import MIB, edited

if TYPE_CHECKING:
    from twsync.delta.interface import Backend

CORES = ("native:portable", "native:avx2", "native:avx512", "pure")


def core(name: str) -> Backend:
    """An implementation by its name; skips, and says so, where the CPU has not the kernel."""
    from twsync.delta.backend import BackendError, choose

    try:
        return choose(name)
    except BackendError as error:
        pytest.skip(error.message)


def speed(benchmark: Any, work: Callable[[], object], size: int) -> None:
    """Run under pytest-benchmark; the speed goes into its JSON. With ``--benchmark-disable`` it runs once, and there is none."""
    benchmark.pedantic(work, rounds=5, warmup_rounds=1)
    if not benchmark.disabled:
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


def test_beside_rdiff(tmp_path: Path) -> None:
    """The comparison in small, to see that it works; the wanted ratios are for 1 GiB and a machine with nothing else to do."""
    result = delta_core.compare(16, 2)
    delta_core.write(result, tmp_path)
    assert set(result["cases"]) == set(delta_core.WANTED)
    assert json.loads((tmp_path / "delta-core.json").read_text()) == result
    print("\n" + delta_core.markdown(result))


def test_without_rdiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said, and the core is measured all the same."""
    monkeypatch.setattr(delta_core.shutil, "which", lambda name: None)
    result = delta_core.compare(1, 1)
    assert "apt install rdiff" in delta_core.markdown(result)
    assert all(case["runs"]["twsync"] for case in result["cases"].values())
