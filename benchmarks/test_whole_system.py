"""The whole-system cases in small: that they run, compare every byte, say what is missing, and leave no process behind.

``TWSYNC_BENCH_MIB``, ``TWSYNC_BENCH_FILES`` and ``TWSYNC_BENCH_ROUNDS`` make them larger; ``python benchmarks/whole_system.py`` is the
comparison that counts.
"""

from __future__ import annotations

import json
import os
import random
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from whole_system import write
from wholesystem import rdiff_tool, rsync_tool
from wholesystem.cases import CASES, Sizes
from wholesystem.inputs import MIB, edited_file, random_file
from wholesystem.place import place
from wholesystem.report import markdown
from wholesystem.rounds import measure
from wholesystem.sameness import require_same
from wholesystem.summary import paired_ratio
from wholesystem.tool import Missing
from wholesystem.twsync_tool import twsync_tool


def size(name: str, usual: int) -> int:
    return int(os.environ.get(f"TWSYNC_BENCH_{name}", usual))


def test_beside_rsync_and_rdiff(tmp_path: Path) -> None:
    result = measure(Sizes(size("MIB", 8), size("FILES", 300)), size("ROUNDS", 1), CASES, quiet=True)
    write(result, tmp_path)
    table = (tmp_path / "whole-system.md").read_text()
    print("\n" + table)
    assert set(result["cases"]) == set(CASES)
    assert json.loads((tmp_path / "whole-system.json").read_text()) == result
    for name in ("rsync", "rdiff"):
        assert any(name in tools for tools in result["cases"].values()) or f"no {name} here" in table
    if "rsync" not in result["missing"]:
        ET.parse(tmp_path / "whole-system.svg")


def test_missing_tools_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (rsync_tool, rdiff_tool):
        monkeypatch.setattr(module.shutil, "which", lambda name: None)
    result = measure(Sizes(1, 20), 1, ["new", "first"], ["rsync", "rdiff"], quiet=True)
    assert set(result["missing"]) == {"rsync", "rdiff"}
    assert "apt install rsync" in markdown(result)


def test_daemons_end_whatever_happens(tmp_path: Path) -> None:
    pids = []
    with pytest.raises(ZeroDivisionError), twsync_tool(tmp_path / "twsync") as tool, rsync_tool.rsync_tool(tmp_path / "rsync") as other:
        pids = list(tool.pids.values())
        assert len(pids) == 3
        assert isinstance(other, Missing | rsync_tool.RsyncTool)
        raise ZeroDivisionError
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_edits_are_what_they_claim(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    random_file(old, 2 * MIB, 1)
    edited_file(old, new, 20, 2)
    assert old.read_bytes() != new.read_bytes()
    assert abs(old.stat().st_size - new.stat().st_size) <= 20 * 1000
    with pytest.raises(RuntimeError, match="differs"):
        require_same(old.parent, tmp_path.parent / "nothing", "a tool")


def test_ratios_need_pairs_that_agree() -> None:
    choice = random.Random(1)
    old = [1 + choice.random() for _ in range(12)]
    assert paired_ratio([each * 1.3 for each in old], old).differs
    assert not paired_ratio(old[::-1], old).differs
    assert paired_ratio([2.0], [1.0]).high == float("inf")
    assert not paired_ratio([2.0, 2.0], [1.0, 1.0]).differs, "two pairs prove nothing"


def test_place_outside_memory_is_said() -> None:
    with place(2**60) as made:
        assert "temporary files" in made.note
        assert made.path.is_dir()
    assert not made.path.exists()
