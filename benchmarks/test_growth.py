"""How cost grows, in small: that each question is answered, plotted and kept."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import growth
import pytest
from wholesystem import questions


@pytest.mark.parametrize("name", growth.QUESTIONS)
def test_each_question_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for sizes, small in {"SIZES_MIB": (1,), "FILES": (20,), "BLOCKS": (1000,), "SHARES": (5,), "SHARE_MIB": 1, "UNMATCHED_MIB": 1}.items():
        monkeypatch.setattr(questions, sizes, small)
    # That twsync can be measured is seen in test_whole_system; without its daemons this takes a second.
    monkeypatch.setattr(questions, "TOOLS", ("rsync" if shutil.which("rsync") else "twsync",))
    monkeypatch.setattr(growth.sys, "argv", ["growth.py", "--only", name, "--rounds", "1", "--out", str(tmp_path)])
    assert growth.main() == 0
    ET.parse(tmp_path / f"growth-{name}.svg")
    lines = json.loads((tmp_path / f"growth-{name}.json").read_text())["lines"]
    assert lines
    assert all(seconds > 0 for points in lines.values() for _, seconds in points)
