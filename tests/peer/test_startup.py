"""`twistd syncpeer` that cannot start: one sentence, exit code 1, no traceback; and one that can, without any server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import pytest

TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "--nodaemon", "--pidfile=", "syncpeer", "--config"]


@pytest.fixture
def host(tmp_path):
    """A settings file made by `twsync init`."""
    line = [sys.executable, "-m", "twsync", "init", tmp_path / "a", "--server", "sips:alice@127.0.0.1:1", "--device", "laptop"]
    subprocess.run(line, check=True, capture_output=True, timeout=60, env={**os.environ, "TWSYNC_PASSWORD": "x"})
    return tmp_path / "a" / "syncpeer.toml"


def start(config):
    return subprocess.run([*TWISTD, config], capture_output=True, text=True, timeout=60, check=False)


def failed(done, said):
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert said in done.stderr, done


def test_missing_settings(tmp_path):
    failed(start(tmp_path / "none.toml"), "twsync init")


def test_missing_key(host):
    (host.parent / "device" / "key.pem").unlink()
    failed(start(host), "key")


def test_data_port_in_use(host):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        listen = f"tcp:{other.getsockname()[1]}:interface=127.0.0.1"
        host.write_text(host.read_text().replace('"tcp:0"', f'"{listen}"'))
        failed(start(host), "[data] listen")


def test_starts_without_a_server_answers_and_stops(host):
    process = subprocess.Popen([*TWISTD, host], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        until = time.monotonic() + 30
        while not (host.parent / "state" / "api.sock").exists():
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.02)
        failed(start(host), "in use")
        done = subprocess.run(
            [sys.executable, "-m", "twsync", "status", "--config", host], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0
        assert "not connected" in done.stdout
    finally:
        process.terminate()
        out, _ = process.communicate(timeout=30)
    assert process.returncode in (0, -15)  # twistd ends by the signal that stopped it
    assert "is down" in out
    assert "Traceback" not in out
    assert not (host.parent / "state" / "api.sock").exists()
