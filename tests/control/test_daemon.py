"""``twistd syncctl`` as a process: what it says when it starts, and when it cannot."""

from __future__ import annotations

import datetime
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from twsync.control.initialise import initialise

pytestmark = pytest.mark.loopback


@pytest.fixture
def folder(tmp_path):
    """A server on a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    initialise(tmp_path / "s", "example.org", "127.0.0.1", port, 8443, datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    config = tmp_path / "s" / "syncctl.toml"
    config.write_text(config.read_text().replace('tls/cert.pem"]', 'tls/cert.pem:interface=127.0.0.1"]'))
    return tmp_path / "s"


def start(folder):
    twistd = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "--nodaemon", "--pidfile="]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*twistd, "syncctl", "--config", str(folder / "syncctl.toml")], env=environment, **pipes)


def test_start_and_stop(folder):
    """The log names the realm and where it listens, and that there are no pages; it ends by a signal with nothing left open."""
    process = start(folder)
    try:
        lines = []
        until = time.monotonic() + 20
        for line in process.stdout:
            lines.append(line)
            if line.endswith("ready\n") or time.monotonic() > until:
                break
        text = "".join(lines)
        assert "realm example.org" in text and re.search(r"SIP over TLS at 127\.0\.0\.1:\d+", text)
        assert "serves no pages yet" in text
    finally:
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=20)
    assert "Traceback" not in text + rest + errors
    assert not list(folder.glob("*-wal")), "the database was closed"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "syncctl.toml").write_text("[server"), "is not TOML"),
        (lambda folder: (folder / "syncctl.toml").unlink(), "twsync ctl init"),
        (lambda folder: (folder / "tls" / "key.pem").unlink(), "cannot be used"),
        (lambda folder: (folder / "syncctl.db").write_bytes(b"x" * 4096), "is damaged"),
        (lambda folder: (folder / "syncctl.db").unlink(), "There is no database"),
    ],
    ids=["settings", "no settings", "key", "database", "no database"],
)
def test_what_keeps_it_from_starting(folder, damage, words):
    """One sentence on stderr, exit code 1, no traceback."""
    damage(folder)
    process = start(folder)
    out, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert words in errors and errors.count("\n") == 1 and errors.startswith("syncctl: ")
    assert "Traceback" not in out


def test_port_in_use(folder):
    """Says which."""
    port = int(re.search(r"ssl:(\d+)", (folder / "syncctl.toml").read_text())[1])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        _, errors = (process := start(folder)).communicate(timeout=20)
    assert process.returncode == 1 and "Address already in use" in errors and errors.count("\n") == 1
