"""twsync as a tool: a real syncctl and two real syncpeers, each a process of its own, on loopback."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from twsync.demo.stage import Daemon, Host, Server, start_all
from wholesystem.memory import forget_peak, peak_mib
from wholesystem.processor import processor_seconds
from wholesystem.tool import Run

PASSWORD = "correct horse battery staple"
#: Seconds that one sync may take.
TIMEOUT = 1800.0


class TwsyncTool:
    """Alice's laptop calls her desktop; each round has a collection of its own, so that nothing is left of the round before."""

    name = "twsync"
    one_file = False

    def __init__(self, folder: Path, server: Server, laptop: Host, desktop: Host) -> None:
        self._folder = folder
        self._laptop, self._desktop = laptop, desktop
        self._daemons: dict[str, Daemon] = {"syncctl": server, "syncpeer, caller": laptop, "syncpeer, callee": desktop}
        self._collection = ""
        self._destination = folder

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of the daemons."""
        return {name: daemon.pid for name, daemon in self._daemons.items() if daemon.pid is not None}

    def begin(self, source: Path, number: int) -> Path:
        """Share a new collection."""
        self._collection = f"bench-{number}"
        self._destination = self._folder / self._collection
        self._destination.mkdir()
        self._laptop.add_collection(self._collection, source)
        self._desktop.add_collection(self._collection, self._destination)
        return self._destination

    def sync(self) -> Run:
        """``twsync sync --json``, with both sides' memory watched."""
        for pid in self.pids.values():
            forget_peak(pid)
        before = {name: processor_seconds(pid) for name, pid in self.pids.items()}
        began = time.perf_counter()
        document = self._laptop.sync(self._collection, "desktop", timeout=TIMEOUT).expect(0).document
        wall = time.perf_counter() - began
        cpu = {name: round(processor_seconds(pid) - before[name], 4) for name, pid in self.pids.items()}
        return Run(
            seconds=document["seconds"],
            wire_bytes=document["sent"]["wire_bytes"] + document["received"]["wire_bytes"],
            cpu=round(sum(cpu.values()), 4),
            peaks={name: peak_mib(pid) for name, pid in self.pids.items()},
            details={"command_seconds": round(wall, 3), "cpu": cpu, "literal_bytes": document["sent"]["literal_bytes"]},
        )

    def end(self) -> None:
        """Stop sharing, and remove the destination."""
        for host in (self._laptop, self._desktop):
            host.twsync("collection", "remove", self._collection).expect(0)
        shutil.rmtree(self._destination)


@contextmanager
def twsync_tool(folder: Path) -> Iterator[TwsyncTool]:
    """The daemons, running and registered; each is ended by its process id when the block is left."""
    folder.mkdir()
    with ExitStack() as stack:
        server = stack.enter_context(Server.create(folder / "server"))
        server.add_user("alice", PASSWORD)
        server.start()
        server.wait_ready()
        made = (Host.create(folder / device, server, "alice", PASSWORD, device) for device in ("laptop", "desktop"))
        laptop, desktop = (stack.enter_context(host) for host in made)
        start_all((laptop, desktop))
        yield TwsyncTool(folder, server, laptop, desktop)
