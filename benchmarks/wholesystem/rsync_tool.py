"""rsync as a tool: its daemon on loopback, without encryption, and its client pushing to it."""

from __future__ import annotations

import os
import re
import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from twsync.demo.commands import LOOPBACK, free_ports, undivided
from wholesystem.processor import processor_seconds, wait_childless
from wholesystem.sameness import OWN
from wholesystem.tool import IntoFolders, Missing, Run

MISSING = Missing("rsync", "there is no rsync here; on Debian and Ubuntu: apt install rsync")
#: Seconds for the daemon to listen, and to end.
PATIENCE = 10.0
_BYTES = re.compile(rb"^Total bytes (?:sent|received): (\d+)", re.MULTILINE)


class RsyncTool(IntoFolders):
    """``rsync -a --no-whole-file`` to a daemon; a folder of its module for each round."""

    name = "rsync"
    one_file = False
    #: The client, and the settings that it takes from its environment.
    program = "rsync"

    def __init__(self, folder: Path, port: int, pids: Sequence[int], environment: Mapping[str, str] | None = None) -> None:
        super().__init__(folder)
        self._port, self._pids = port, pids
        self._environment = {**os.environ, "LC_ALL": "C", **(environment or {})}

    def sync(self) -> Run:
        """Push once."""
        to = f"rsync://{LOOPBACK}:{self._port}/bench/{self._destination.name}/"
        options = ["-a", "--no-whole-file", "--stats", "--no-human-readable", f"--exclude=/{OWN}/"]
        before = self._cpu()
        began = time.perf_counter()
        done = subprocess.run([self.program, *options, f"{self._source}/", to], check=True, capture_output=True, env=self._environment)
        wall = time.perf_counter() - began
        for pid in self._pids:
            wait_childless(pid)
        return Run(round(wall, 4), sum(map(int, _BYTES.findall(done.stdout))), round(self._cpu() - before, 4))

    def _cpu(self) -> float:
        """Processor seconds so far, of the daemons and of this program's children that have ended."""
        own = resource.getrusage(resource.RUSAGE_CHILDREN)
        return sum(map(processor_seconds, self._pids)) + own.ru_utime + own.ru_stime


def settings(folder: Path, port: int) -> str:
    """``rsyncd.conf`` for one writable module."""
    # A daemon that runs as root becomes `nobody` unless it is told otherwise.
    owner = ["uid = 0", "gid = 0"] if os.geteuid() == 0 else []
    plain = ["use chroot = no", "reverse lookup = no", f"address = {LOOPBACK}", f"port = {port}", f"log file = {folder}.log"]
    return "\n".join([*plain, "[bench]", f"path = {folder}", "read only = no", *owner, ""])


@contextmanager
def listening(command: Sequence[str | Path], port: int) -> Iterator[int]:
    """A daemon that takes connections at `port`; gives its process id, by which it is ended when the block is left.

    :raises RuntimeError: it ended, or does not listen in time.
    """
    with undivided():
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + PATIENCE
        while not answers(port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{command[0]} does not listen on port {port}")
            time.sleep(0.02)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(port: int) -> bool:
    """Whether something takes connections at `port`."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def rsync_daemon(folder: Path) -> Iterator[tuple[int, int]]:
    """rsync's daemon with `folder` as its module; gives its port and its process id."""
    folder.mkdir()
    config = folder.with_suffix(".conf")
    (port,) = free_ports(1)
    config.write_text(settings(folder, port))
    with listening(["rsync", "--daemon", "--no-detach", f"--config={config}", f"--port={port}"], port) as pid:
        yield port, pid


@contextmanager
def rsync_tool(folder: Path) -> Iterator[RsyncTool | Missing]:
    """rsync with its daemon running."""
    if shutil.which("rsync") is None:
        yield MISSING
        return
    with rsync_daemon(folder) as (port, pid):
        yield RsyncTool(folder, port, [pid])
