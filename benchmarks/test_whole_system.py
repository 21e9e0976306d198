"""The whole-system cases in small: that they run, compare every byte, say what is missing, and leave no process behind.

``TWSYNC_BENCH_MIB``, ``TWSYNC_BENCH_FILES`` and ``TWSYNC_BENCH_ROUNDS`` make them larger; ``python benchmarks/whole_system.py`` is the
comparison that counts.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import compare_builds
import pytest
from whole_system import write
from wholesystem import bare_tool, rdiff_tool, rsync_ssl_tool, rsync_tool
from wholesystem.builds import REPOSITORY, Build, BuildError
from wholesystem.buildtool import build_tool
from wholesystem.cases import CASES, Sizes
from wholesystem.inputs import MIB, change_files, edited_file, random_file, small_files
from wholesystem.names import names_of
from wholesystem.place import Place, place
from wholesystem.report import markdown
from wholesystem.rounds import measure
from wholesystem.sameness import require_same
from wholesystem.summary import Ratio, outside, paired_ratio
from wholesystem.tool import Missing
from wholesystem.twsync_tool import twsync_tool

from twsync.delta import BACKEND
from twsync.transport.openssl import openssl


def size(name: str, usual: int) -> int:
    return int(os.environ.get(f"TWSYNC_BENCH_{name}", usual))


def test_beside_rsync_and_rdiff(tmp_path: Path) -> None:
    result = measure(Sizes(size("MIB", 8), size("FILES", 300)), size("ROUNDS", 1), CASES, quiet=True)
    write(result, tmp_path)
    table = (tmp_path / "whole-system.md").read_text()
    print("\n" + table)
    assert set(result["cases"]) == set(CASES)
    assert json.loads((tmp_path / "whole-system.json").read_text()) == result
    assert ("bare" in result["cases"]["edits"]) == (openssl is not None)
    for name in ("rsync", "rsync-ssl", "rdiff"):
        assert any(name in tools for tools in result["cases"].values()) or f"no {name} here" in table
    if "rsync" not in result["missing"]:
        ET.parse(tmp_path / "whole-system.svg")


def test_missing_tools_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (rsync_tool, rsync_ssl_tool, rdiff_tool):
        monkeypatch.setattr(module.shutil, "which", lambda name: None)
    monkeypatch.setattr(bare_tool, "openssl", None)
    result = measure(Sizes(1, 20), 1, ["new", "first"], ["rsync", "rsync-ssl", "rdiff", "bare"], quiet=True)
    assert set(result["missing"]) == {"rsync", "rsync-ssl", "rdiff", "bare"}
    assert "apt install rsync" in markdown(result)
    assert bare_tool.MISSING.advice in markdown(result)


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


def test_neither_end_of_bare_waits_for_one_that_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "source").mkdir()
    random_file(tmp_path / "source" / "large", MIB, 1)
    with bare_tool.bare_tool(tmp_path / "bare") as tool:
        if isinstance(tool, Missing):
            pytest.skip(tool.advice)
        tool.begin(tmp_path / "source", 0)
        made = tmp_path / "bare" / "made"
        made.touch()  # a receiver writes no file that is there, and ends
        with pytest.raises(RuntimeError, match="ended"):
            tool.sync()
        made.unlink()
        monkeypatch.setattr(bare_tool, "give", lambda *_: sys.exit(143))
        with pytest.raises(SystemExit):
            tool.sync()
        assert made.exists(), "the receiver was at work"


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
    assert not paired_ratio([2.0] * 7, [1.0] * 7).differs, "seven pairs prove nothing"
    assert paired_ratio([2.0] * 8, [1.0] * 8) == Ratio(2.0, 2.0, 2.0, 8)


def test_interval_is_wilcoxons() -> None:
    """The critical values of tables of the signed-rank test, both sides together 1 %."""
    assert [outside(pairs) for pairs in (7, 8, 9, 10, 12, 16, 20, 25)] == [None, 0, 1, 3, 7, 19, 37, 68]


def disturbed(choice: random.Random, true: float) -> Ratio:
    """24 pairs on a busy machine: each run varies by a tenth, one in eight takes up to half as long again."""

    def run(seconds: float) -> float:
        return seconds * choice.lognormvariate(0, 0.06) * (1 + choice.random() / 2 if choice.random() < 1 / 8 else 1)

    return paired_ratio([run(true) for _ in range(24)], [run(1.0) for _ in range(24)])


def test_equal_builds_are_equal_and_slower_ones_are_found() -> None:
    choice = random.Random(2)
    assert sum(compare_builds.slower(disturbed(choice, 1.0), 0.05) for _ in range(200)) <= 1
    assert sum(compare_builds.slower(disturbed(choice, 1.10), 0.05) for _ in range(200)) >= 140
    assert sum(compare_builds.slower(disturbed(choice, 1.20), 0.05) for _ in range(200)) >= 198


def test_two_builds_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    tree, result = str(REPOSITORY), tmp_path / "runs.json"
    words = [tree, tree, "--mib", "1", "--files", "20", "--pairs", "1", "--only", "new,unchanged", "--json", str(result)]
    monkeypatch.setattr(compare_builds.sys, "argv", ["compare_builds.py", *words])
    monkeypatch.setattr(compare_builds, "STARTS", 1)
    assert compare_builds.main() == 0
    said = capsys.readouterr().out
    assert "too few pairs" in said
    assert f"Cores: old {BACKEND}, new {BACKEND}." in said
    runs = json.loads(result.read_text())["runs"]
    assert {case: {side: len(each) for side, each in sides.items()} for case, sides in runs.items()} == {
        case: {"old": 1, "new": 1} for case in ("new", "unchanged")
    }
    assert all(run["cpu"] > 0 for sides in runs.values() for each in sides.values() for run in each)


def test_build_that_cannot_start_is_said(tmp_path: Path) -> None:
    broken = Build("broken", str(shutil.which("false")), None)
    with pytest.raises(BuildError, match="broken could not be measured"), build_tool("old", broken, tmp_path / "old", tmp_path):
        pass


def test_changed_files_have_other_sizes(tmp_path: Path) -> None:
    """Of 94 files one would have got another content of the same size, which rsync does not look at within a second."""
    small_files(tmp_path, 94, 4)
    before = {path: path.stat().st_size for path in tmp_path.rglob("file-*")}
    change_files(tmp_path, 94, 94, 5)
    assert [path for path, size in before.items() if path.stat().st_size == size] == []


def test_name_given_twice_counts_once() -> None:
    assert names_of(CASES)("new, edits,new") == ("new", "edits")


def test_memory_at_hand_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    monkeypatch.setattr(Path, "unlink", lambda path: (written.append(path.stat().st_size), os.unlink(path)))  # noqa: PTH108 - the real one
    Place(tmp_path, "tmpfs", "").ready(4 * MIB)
    Place(tmp_path, "ext4", "not in memory").ready(4 * MIB)
    assert written == [10 * MIB]
    assert not list(tmp_path.iterdir())


def test_place_outside_memory_is_said() -> None:
    with place(2**60) as made:
        assert "temporary files" in made.note
        assert made.path.is_dir()
    assert not made.path.exists()
