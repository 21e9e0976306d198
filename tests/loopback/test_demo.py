"""``twsync demo``: the story goes through, touches nothing of the user's, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from twsync.demo import trees
from twsync.demo.commands import environment


@pytest.fixture
def start(tmp_path):
    """``start(*arguments)`` starts the demonstration with a temporary folder of its own."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    started = []

    def run(*arguments):
        command = [sys.executable, "-m", "twsync", "demo", *map(str, arguments)]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment({"TMPDIR": str(scratch)}),
            start_new_session=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


def daemons_of(process):
    """The processes that the demonstration runs now."""
    return psutil.Process(process.pid).children(recursive=True)


@pytest.fixture
def folder(tmp_path):
    """A folder of a user."""
    made = tmp_path / "folder"
    (made / "sub").mkdir(parents=True)
    for number in range(10):
        (made / "sub" / f"{number}.bin").write_bytes(os.urandom(10_000 * number))
    (made / "sub" / "9.bin").chmod(0o444)
    (made / "link").symlink_to("sub/1.bin")
    os.mkfifo(made / "fifo")
    return made


def test_a_folder(start, folder, tmp_path):
    """Everything is told in plain text, the folder is as it was, and nothing is left."""
    before = trees.snapshot(folder)
    process = start(folder)
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, (out, errors)
    assert errors == ""
    assert "\x1b" not in out
    for step in range(1, 5):
        assert f" {step}   |" in out
    for step in (11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23):
        assert f" {step}   |" in out
    for word in ("INVITE", "DATA", "conflict: ", "story (conflict ", "No difference.", "Nothing was left behind."):
        assert word in out
    assert trees.snapshot(folder) == before
    assert list((tmp_path / "scratch").iterdir()) == []


def test_keep(start, folder, tmp_path):
    """With --keep the folders stay; a place that is not empty, or inside the folder, is refused."""
    kept = tmp_path / "kept"
    process = start(folder, "--keep", kept)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert {path.name for path in kept.iterdir()} == {"server", "laptop", "desktop", "laptop-files", "desktop-files"}
    for place in (kept, folder / "inside"):
        process = start(folder, "--keep", place)
        out, errors = process.communicate(timeout=60)
        assert process.returncode == 1
        assert errors.startswith("twsync demo: ") and errors.count("\n") == 1, (out, errors)
    assert not (folder / "inside").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(number, start, tmp_path):
    """Ctrl-C and SIGTERM end the daemons too, and remove the scratch place."""
    process = start()
    until = time.monotonic() + 60
    while len(daemons := daemons_of(process)) < 3:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else 143)
    assert "Traceback" not in errors
    assert not [daemon for daemon in daemons if daemon.is_running() and daemon.status() != psutil.STATUS_ZOMBIE]
    assert list((tmp_path / "scratch").iterdir()) == []
