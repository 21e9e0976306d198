"""Records beside SyncEvolution, in small: that it runs, and says what it did."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import syncml

from twsync.demo.stage import Daemon


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(syncml.sys, "argv", ["syncml.py", *words])
    return syncml.main()


def test_records_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = ["--contacts", "10", "--many", "20", "--changes", "2"]
    assert run(monkeypatch, *sizes, "--rounds", "1", "--out", str(tmp_path)) == 0
    result, table = json.loads((tmp_path / "syncml.json").read_text()), (tmp_path / "syncml.md").read_text()
    assert len(result["twsync"]) == len(result["many_runs"]) == 1
    assert len(result["syncevolution"]) == (not result["missing"])
    assert f"`python syncml.py {' '.join(sizes)}" in table
    alone = syncml.markdown({**result, "syncevolution": [], "missing": "there is no syncevolution"})
    assert "SyncEvolution was not measured: there is no syncevolution." in alone


@pytest.mark.parametrize("words", [["--rounds", "0"], ["--contacts", "0"], ["--changes", "0"], ["--many", "19"], ["--many", "-1"]])
def test_nothing_to_measure_is_said_at_once(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, *words)


def test_daemons_end_if_one_does_not_come_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pids = []

    def start_one(daemons: list[Daemon]) -> None:
        daemons[0].start()
        pids.append(daemons[0].pid)
        raise ZeroDivisionError

    monkeypatch.setattr(syncml, "start_all", start_one)
    with pytest.raises(ZeroDivisionError), syncml.two_hosts(tmp_path, 1):
        pass
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
