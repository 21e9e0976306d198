"""Real processes on loopback: a control server and hosts, run by the public commands.

Whatever happens, no process outlives its owner: every daemon is ended by its own process id, when a ``with`` block is left. The tests in
``tests/loopback`` stand on this module too.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from twsync.demo.commands import LOOPBACK, Outcome, Run, StageError, environment, fingerprint_in, free_ports, run, undivided

#: Seconds that a daemon gets to listen or to register, on a busy machine.
START_TIMEOUT = 30.0
#: Seconds that a daemon gets to end by itself before it is killed.
STOP_TIMEOUT = 10.0
#: Lines of a daemon's log that a failure shows.
TAIL_LINES = 20

_TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]


class Daemon:
    """One ``twistd -n NAME --config FILE``, started and ended by its process id.

    :param kind: ``syncctl`` or ``syncpeer``.
    :param folder: the daemon's own folder; its log goes there too.
    """

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.folder = folder
        self.config = folder / f"{kind}.toml"
        self.log = folder / "daemon.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, or none if it is not running."""
        return self._process.pid if self.alive and self._process else None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process; :meth:`wait_ready` of the kinds below tells when it is of use."""
        if self.alive:
            return
        with self.log.open("ab") as log, undivided():
            self._process = subprocess.Popen(
                [*_TWISTD, "--nodaemon", "--pidfile=", self.kind, "--config", str(self.config)],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(),
            )

    def stop(self) -> None:
        """End the process as an administrator would, by SIGTERM; by SIGKILL if it does not listen."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End the process at once, by SIGKILL: nothing is put in order."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def tail(self) -> str:
        """The last lines of the log."""
        try:
            return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-TAIL_LINES:])
        except OSError:
            return "(no log)"

    def require_alive(self) -> None:
        """Raise :class:`StageError` if the process has ended."""
        if not self.alive:
            raise StageError(f"twistd {self.kind} in {self.folder} has ended; the end of its log:\n{self.tail()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


class Server(Daemon):
    """A control server with a settings folder of its own.

    :param run: runs the commands.
    """

    def __init__(self, folder: Path, port: int, fingerprint: str, run: Run = run) -> None:
        super().__init__("syncctl", folder)
        self._run = run
        self.port = port
        self.fingerprint = fingerprint

    @classmethod
    def create(cls, folder: Path, realm: str = "example.org", run: Run = run) -> Server:
        """``twsync ctl init`` on free ports."""
        sip, web = free_ports(2)
        done = run("ctl", "init", folder, "--realm", realm, "--host", LOOPBACK, "--sip-port", str(sip), "--web-port", str(web)).expect(0)
        return cls(folder, sip, fingerprint_in(done.stdout), run)

    def ctl(self, *arguments: str, password: str | None = None) -> Outcome:
        """``twsync ctl ARGUMENTS`` with this server's settings."""
        return self._run("ctl", *arguments, "--config", self.config, password=password)

    def add_user(self, name: str, password: str, *, admin: bool = False) -> None:
        """``twsync ctl user add``."""
        self.ctl("user", "add", name, *(["--admin"] if admin else []), password=password).expect(0)

    def wait_ready(self) -> None:
        """Wait until the SIP port takes connections.

        :raises StageError: the daemon ended, or does not listen in time.
        """
        until = time.monotonic() + START_TIMEOUT
        while time.monotonic() < until:
            self.require_alive()
            try:
                socket.create_connection((LOOPBACK, self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise StageError(f"syncctl does not listen on port {self.port}; the end of its log:\n{self.tail()}")


class Host(Daemon):
    """A host with a settings folder of its own.

    :param run: runs the commands.
    """

    def __init__(self, folder: Path, user: str, device: str, fingerprint: str, run: Run = run) -> None:
        super().__init__("syncpeer", folder)
        self._run = run
        self.user = user
        self.device = device
        self.fingerprint = fingerprint

    @classmethod
    def create(cls, folder: Path, server: Server, user: str, password: str, device: str, run: Run = run, *, syncml_port: int = 0) -> Host:
        """``twsync init`` for `user`'s `device` at `server`."""
        where = f"sips:{user}@{LOOPBACK}:{server.port}"
        options = ["--device", device, "--server-fingerprint", server.fingerprint, "--data-port", "0", "--syncml-port", str(syncml_port)]
        done = run("init", folder, "--server", where, *options, password=password).expect(0)
        return cls(folder, user, device, fingerprint_in(done.stdout), run)

    @property
    def name(self) -> str:
        """The full name, ``user/device``."""
        return f"{self.user}/{self.device}"

    def twsync(self, *arguments: str | os.PathLike[str], password: str | None = None, timeout: float = 60.0) -> Outcome:
        """``twsync ARGUMENTS`` with this host's settings."""
        return self._run(*arguments, "--config", self.config, password=password, timeout=timeout)

    def add_collection(self, name: str, path: Path, kind: str = "files", *options: str) -> None:
        """``twsync collection add``."""
        self.twsync("collection", "add", name, path, "--type", kind, *options).expect(0)

    def sync(self, collection: str, device: str, *options: str, timeout: float = 300.0) -> Outcome:
        """``twsync sync … --json``; its document is in :attr:`Outcome.document`."""
        return self.twsync("sync", collection, device, "--json", *options, timeout=timeout)

    def connected(self) -> bool:
        """Whether the daemon says that it is registered."""
        status = self.twsync("status", "--json")
        return status.code == 0 and bool(status.document["server"]["connected"])

    def wait_ready(self) -> None:
        """Wait until the host is registered.

        :raises StageError: the daemon ended, or does not register in time.
        """
        until = time.monotonic() + START_TIMEOUT
        while time.monotonic() < until:
            self.require_alive()
            if self.connected():
                return
            time.sleep(0.1)
        raise StageError(f"{self.name} does not register; the end of its log:\n{self.tail()}")


def start_all(daemons: Iterable[Server | Host]) -> None:
    """Start daemons side by side, a server before its hosts, and wait until all are of use."""
    started = list(daemons)
    for daemon in started:
        daemon.start()
        if isinstance(daemon, Server):
            daemon.wait_ready()
    for daemon in started:
        daemon.wait_ready()
