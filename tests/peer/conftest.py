"""Two ends of a session in one process: an in-memory data channel, real stores, real threads, a reactor of a few lines."""

from __future__ import annotations

import itertools
import os
import queue
import time
from dataclasses import dataclass, field

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from twsync.errors import SessionError
from twsync.peer import exchange
from twsync.peer.streams import Workshop
from twsync.peerwire import messages
from twsync.peerwire.frames import Decoder, Frame, FrameType, encode
from twsync.reconcile.model import Policy, Side, SyncType
from twsync.store.ignore import Ignore
from twsync.store.journal import Journal
from twsync.store.paths import Gate


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


class MemoryChannel:
    """One end of a data channel in memory; frames go through the real encoder and decoder.

    :ivar spoil: called with each frame about to be sent (its number and bytes); returns the bytes to send, None for cutting the
        connection instead.
    """

    def __init__(self, loop, spoil=None, rate=None):
        self.loop = loop
        self.rate = rate
        self.other = None
        self.hello = None
        self.spoil = spoil
        self.sent_frames = []
        self.numbers = itertools.count()
        self.wire_sent = self.wire_received = 0
        self._decoder = Decoder()
        self._receiver = None
        self._paused = False
        self._inbox = []
        self._ended = None
        self._told = False

    def receive(self, receiver):
        self._receiver = receiver
        self._later(self._deliver)

    def send(self, message):
        self.send_frame(Frame(FrameType.CONTROL, messages.encode(message)))

    def send_bulk(self, kind, transfer, payload):
        self.send_frame(Frame(kind, bytes(payload), transfer))

    def send_frame(self, frame):
        if self._ended is not None:
            return
        data = encode(frame)
        self.sent_frames.append(frame)
        if self.spoil is not None:
            data = self.spoil(next(self.numbers), frame, data)
            if data is None:
                self.cut()
                return
        self.wire_sent += len(data)
        self.other._arrive(data)

    def drained(self):
        if self._ended is not None:
            return fail(self._ended)
        if self.rate is None:
            return succeed(None)
        # A slow wire: what was sent last takes its time.
        waiting = Deferred()
        self.loop.callLater(len(self.sent_frames[-1].payload) / self.rate, waiting.callback, None)
        return waiting

    def pause(self):
        self._paused = True

    def resume(self):
        self._paused = False
        self._later(self._deliver)

    def close(self, error=None):
        if self._ended is not None:
            return
        if error is not None:
            self.send(messages.Error(error.code, error.message[:500]))
        if self._ended is None:
            self._end(error or SessionError("The connection was closed.", "closed"))
            self.other._arrive(None)

    def cut(self):
        """The connection breaks; what is under way still arrives."""
        self._end(SessionError("The connection to the other device was lost.", "connection-lost"))
        self.other._arrive(None)

    def _arrive(self, data):
        self._inbox.append(data)
        self._later(self._deliver)

    def _deliver(self):
        while self._inbox and not self._paused and self._receiver is not None and self._ended is None:
            data = self._inbox.pop(0)
            if data is None:
                self._end(SessionError("The connection to the other device was lost.", "connection-lost"))
                return
            self.wire_received += len(data)
            try:
                for frame in self._decoder.feed(data):
                    self._receiver.frame_received(frame)
            except Exception as error:
                self.close(error)
        self._tell()

    def _end(self, error):
        if self._ended is None:
            self._ended = error
            self._later(self._tell)

    def _tell(self):
        if self._ended is not None and self._receiver is not None and not self._told:
            self._told = True
            self._receiver.channel_lost(self._ended)

    def _later(self, call):
        self.loop.callFromThread(call)


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
            self.gate = Gate.open(self.folder, known=self.rows.known)
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
        one, two = MemoryChannel(self.loop, spoil_client, rate), MemoryChannel(self.loop, spoil_server, rate)
        one.other, two.other = two, one
        self.channels = one, two
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
        puppet.channel, theirs = MemoryChannel(self.loop), MemoryChannel(self.loop)
        puppet.channel.other, theirs.other = theirs, puppet.channel
        puppet.theirs, puppet.result = theirs, None
        terms = self.terms(Side.SERVER, server, sync_type, **server_more)
        work = Deferred.fromCoroutine(exchange.run(_Hello(theirs), server.collection(), terms, self.tools()))
        work.addBoth(lambda result: setattr(puppet, "result", result))

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
