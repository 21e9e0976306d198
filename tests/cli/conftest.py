"""Hosts made by `twsync init`, and the command line run in this process, through the same funnel as the real one."""

from __future__ import annotations

import io
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from twsync.cli.funnel import run
from twsync.cli.main import twsync as command
from twsync.store.journal import Journal

FINGERPRINT = "sha256:" + "ab" * 32


@dataclass
class Said:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def twsync(monkeypatch, capfdbinary):
    """Run a command line in this process."""
    monkeypatch.delenv("TWSYNC_CONFIG", raising=False)
    monkeypatch.delenv("TWSYNC_DEBUG", raising=False)

    def call(*arguments, stdin="", password="secret", config=None):
        words = [*map(os.fspath, arguments), *(["--config", str(config)] if config else [])]
        with monkeypatch.context() as changed:
            changed.setattr(sys, "stdin", io.StringIO(stdin))
            if password is not None:
                changed.setenv("TWSYNC_PASSWORD", password)
            else:
                changed.delenv("TWSYNC_PASSWORD", raising=False)
            capfdbinary.readouterr()
            code = run(command, words, "twsync")
        out, err = capfdbinary.readouterr()
        said = Said(int(code), out.decode(), err.decode())
        assert "Traceback" not in said.err
        return said

    return call


@pytest.fixture
def host(twsync, tmp_path) -> Path:
    """The settings file of a new host, with a folder `files` beside it."""
    folder = tmp_path / "host"
    said = twsync("init", folder, "--server", "sips:alice@127.0.0.1:1", "--device", "laptop", "--server-fingerprint", FINGERPRINT)
    assert said.code == 0, said.err
    (tmp_path / "files").mkdir()
    return folder / "syncpeer.toml"


@pytest.fixture
def journal(host):
    """The host's journal, open for writing."""
    opened = Journal.open(host.parent / "state" / "journal.db")
    yield opened
    opened.close()
