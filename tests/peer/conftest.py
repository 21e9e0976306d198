"""Two ends of a session in one process: a data channel in memory, real stores, real threads, a reactor of a few lines.

The channel and its strictness about memory are in tests/contracts/.
"""

from __future__ import annotations

import itertools
import os
import queue
import time
from dataclasses import dataclass, field

import pytest
from memory_channel import MemoryChannel
from strict_memory import overwrite_what_is_given_back
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from twsync.peer import exchange
from twsync.peer.streams import Workshop
from twsync.peerwire import messages
from twsync.reconcile.model import Policy, Side, SyncType
from twsync.store.ignore import Ignore
from twsync.store.journal import Journal
from twsync.store.owner import open_gate


@pytest.fixture(autouse=True)
def strict_memory(monkeypatch):
    """Memory that is used too early shows."""
    overwrite_what_is_given_back(monkeypatch)


class Loop(Clock):
    """Runs what threads send back, and a clock that goes as fast as the wall's."""

    def __init__(self):
        super().__init__()
        self._calls = queue.SimpleQueue()

    def callFromThread(self, call, *args, **kwargs):
        self._calls.put((call, args, kwargs))

    def run_until(self, done, timeout=20.0):
        last = time.monotonic()
        deadline = last + timeout
        while not done():
            now = time.monotonic()
            if now > deadline:
                raise AssertionError("the session hangs")
            try:
                call, args, kwargs = self._calls.get(timeout=0.01)
            except queue.Empty:
                # Nothing happens: whatever waits for time waits for the next call.
                self.advance(max(now - last, 0.1))
            else:
                call(*args, **kwargs)
                self.advance(now - last)
            last = now


@dataclass
class Host:
    """A device with one collection."""

    name: str
    folder: object
    journal: object
    gate: object = None
    ignore: Ignore = field(default_factory=Ignore)

    @classmethod
    def create(cls, tmp_path, name, patterns=()):
        folder = tmp_path / name / "files"
        folder.mkdir(parents=True)
        return cls(name, folder, Journal.open(tmp_path / name / "journal.db"), None, Ignore(patterns))

    @property
    def rows(self):
        return self.journal.collection("photos")

    def collection(self):
        if self.gate is None:
            self.gate = open_gate(self.folder, self.rows)
        return exchange.Collection(self.gate, self.journal, self.rows, self.ignore, self.name)

    def tree(self):
        """What stands in the folder, without twsync's own."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            name = str(path.relative_to(self.folder))
            if not name.startswith(".twsync"):
                found[name] = "->" + str(path.readlink()) if path.is_symlink() else None if path.is_dir() else path.read_bytes()
        return found

    def write(self, name, content, mtime=None):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        if mtime is not None:
            os.utime(path, (mtime, mtime))
        return path

    def reopen(self, tmp_path):
        """As after a crash of the process."""
        self.gate.close()
        self.gate = None
        self.journal.close()
        self.journal = Journal.open(tmp_path / self.name / "journal.db")

    def close(self):
        if self.gate is not None:
            self.gate.close()
        self.journal.close()


class World:
    """Hosts and their sessions."""

    def __init__(self, tmp_path):
        self.path = tmp_path
        self.loop = Loop()
        self.workshop = Workshop(self.loop, threads=2, streams=8)
        self.workshop.start()
        self.hosts = []
        self.sessions = itertools.count(1)
        self.randoms = itertools.count(1)

    def host(self, name, patterns=()):
        host = Host.create(self.path, name, patterns)
        self.hosts.append(host)
        return host

    def tools(self):
        return exchange.Tools(self.workshop, self.loop, time.time_ns, lambda size: next(self.randoms).to_bytes(size, "big"))

    def terms(self, side, partner, sync_type=SyncType.TWO_WAY, policy=Policy.KEEP_BOTH, **more):
        token = b"t" * messages.TOKEN_BYTES if side is Side.CLIENT else b""
        return exchange.Terms(f"session-{self.number}@test", side, f"alice/{partner.name}", sync_type, policy, token, **more)

    def start(
        self,
        client,
        server,
        sync_type=SyncType.TWO_WAY,
        policy=Policy.KEEP_BOTH,
        *,
        spoil_client=None,
        spoil_server=None,
        client_more=None,
        server_more=None,
        progress=None,
        rate=None,
    ):
        """Both sides' Deferreds and channels."""
        self.number = next(self.sessions)
        self.channels = one, two = MemoryChannel.pair(self.loop, (spoil_client, rate), (spoil_server, rate))
        self.results = [None, None]

        def begin(index, channel, host, terms):
            work = Deferred.fromCoroutine(exchange.run(channel, host.collection(), terms, self.tools(), progress))

            def ended(result):
                self.results[index] = result

            work.addBoth(ended)
            return work

        server_terms = self.terms(Side.SERVER, client, sync_type, policy, **(server_more or {}))
        client_terms = self.terms(Side.CLIENT, server, sync_type, policy, **(client_more or {}))
        return (
            begin(1, _Hello(two), server, server_terms),
            begin(0, one, client, client_terms),
        )

    def start_half(self, puppet, server, sync_type=SyncType.TWO_WAY, **server_more):
        """A session of `server` with a client that is no twsync: `puppet` gets its end as `channel`, and in the end the `result`."""
        self.number = next(self.sessions)
        self.session_name = f"session-{self.number}@test"
        puppet.channel, theirs = MemoryChannel.pair(self.loop)
        puppet.theirs, puppet.result = theirs, None
        terms = self.terms(Side.SERVER, server, sync_type, **server_more)
        work = Deferred.fromCoroutine(exchange.run(_Hello(theirs), server.collection(), terms, self.tools()))
        work.addBoth(lambda result: setattr(puppet, "result", result))

    def start_lone(self, client):
        """A session of `client` whose other side takes the connection and no more; its end of the channel and a list for the result."""
        self.number = next(self.sessions)
        channel, other = MemoryChannel(self.loop), MemoryChannel(self.loop)
        channel.other, other.other = other, channel
        results = []
        terms = self.terms(Side.CLIENT, self.host("silent"))
        Deferred.fromCoroutine(exchange.run(channel, client.collection(), terms, self.tools())).addBoth(results.append)
        return channel, results

    def sync(self, client, server, *args, **kwargs):
        """A whole session; the two results."""
        self.start(client, server, *args, **kwargs)
        self.loop.run_until(lambda: None not in self.results)
        for result in self.results:
            if hasattr(result, "raiseException"):
                result.raiseException()
        return self.results

    def close(self):
        for host in self.hosts:
            host.close()
        self.workshop.stop()


class _Hello:
    """The server's channel as a listener gives it: the hello is taken already."""

    def __init__(self, channel):
        self._channel = channel

    def __getattr__(self, name):
        return getattr(self._channel, name)

    @property
    def hello(self):
        return None


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.close()
