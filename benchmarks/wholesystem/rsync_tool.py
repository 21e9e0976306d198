"""rsync as a tool: its daemon on loopback, without encryption, and its client pushing to it."""

from __future__ import annotations

import os
import re
import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twsync.demo.commands import LOOPBACK, free_ports, undivided
from wholesystem.processor import processor_seconds, wait_childless
from wholesystem.sameness import OWN
from wholesystem.tool import Missing, Run

MISSING = Missing("rsync", "there is no rsync here; on Debian and Ubuntu: apt install rsync")
#: Seconds for the daemon to listen, and to end.
PATIENCE = 10.0
_BYTES = re.compile(rb"^Total bytes (?:sent|received): (\d+)", re.MULTILINE)


class RsyncTool:
    """``rsync -a --no-whole-file`` to a daemon; a folder of its module for each round."""

    name = "rsync"
    one_file = False

    def __init__(self, folder: Path, port: int, pid: int) -> None:
        self._folder, self._port, self._pid = folder, port, pid
        self._source = self._destination = folder

    def begin(self, source: Path, number: int) -> Path:
        """An empty folder in the module."""
        self._source, self._destination = source, self._folder / str(number)
        self._destination.mkdir()
        return self._destination

    def sync(self) -> Run:
        """Push once."""
        to = f"rsync://{LOOPBACK}:{self._port}/bench/{self._destination.name}/"
        options = ["-a", "--no-whole-file", "--stats", "--no-human-readable", f"--exclude=/{OWN}/"]
        before = self._cpu()
        began = time.perf_counter()
        done = subprocess.run(
            ["rsync", *options, f"{self._source}/", to], check=True, stdout=subprocess.PIPE, env={**os.environ, "LC_ALL": "C"}
        )
        wall = time.perf_counter() - began
        wait_childless(self._pid)
        return Run(round(wall, 4), sum(map(int, _BYTES.findall(done.stdout))), round(self._cpu() - before, 4))

    def _cpu(self) -> float:
        """Processor seconds so far, of the daemon and of this program's children that have ended."""
        own = resource.getrusage(resource.RUSAGE_CHILDREN)
        return processor_seconds(self._pid) + own.ru_utime + own.ru_stime

    def end(self) -> None:
        """Remove the destination."""
        shutil.rmtree(self._destination)


def settings(folder: Path, port: int) -> str:
    """``rsyncd.conf`` for one writable module."""
    # A daemon that runs as root becomes `nobody` unless it is told otherwise.
    owner = ["uid = 0", "gid = 0"] if os.geteuid() == 0 else []
    plain = ["use chroot = no", "reverse lookup = no", f"address = {LOOPBACK}", f"port = {port}", f"log file = {folder}.log"]
    return "\n".join([*plain, "[bench]", f"path = {folder}", "read only = no", *owner, ""])


def wait_listening(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until the daemon takes connections.

    :raises RuntimeError: it ended, or does not in time.
    """
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"rsync's daemon does not listen on port {port}")


@contextmanager
def rsync_tool(folder: Path) -> Iterator[RsyncTool | Missing]:
    """rsync with its daemon running, which is ended by its process id when the block is left."""
    if shutil.which("rsync") is None:
        yield MISSING
        return
    folder.mkdir()
    config = folder.with_suffix(".conf")
    (port,) = free_ports(1)
    config.write_text(settings(folder, port))
    process = None
    try:
        with undivided():
            process = subprocess.Popen(
                ["rsync", "--daemon", "--no-detach", f"--config={config}", f"--port={port}"],
                stdin=subprocess.DEVNULL,
            )
        wait_listening(process, port)
        yield RsyncTool(folder, port, process.pid)
    finally:
        if process is not None:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
