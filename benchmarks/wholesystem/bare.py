"""What a large file costs whatever program is around it: one process sends it and another receives it, and nothing else.

Each has one thread, that takes a portion of the file through all that twsync promises, in turn, while it is near its core: here read, hash,
encrypt and send; there receive and decrypt, hash, sum the blocks, write; where there is an old file, search and patch. The code of
each of these is twsync's. There is no daemon, introduction, journal or plan, and no thread to hand anything to. What this
takes a program with the same promises can beat only by doing one of these duties faster, or more of them at once, or not at all.
"""

from __future__ import annotations

import io
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from mmap import mmap
from pathlib import Path
from typing import Any

from blake3 import blake3
from OpenSSL import SSL

from twsync import delta
from twsync.limits import MAX_BULK
from twsync.peerwire.frames import Room
from twsync.transport.openssl import OpenSSL
from twsync.transport.straight import Result, Straight

#: Bytes that go through all duties in turn: they stay in a second-level cache.
PORTION = 256 * 1024
#: The duties, in the order of the table.
DUTIES = ("read", "BLAKE3", "search, patch", "TLS, TCP", "block sums", "write")
#: Bytes of what says how long a portion is; the end is one of no bytes.
_HEAD = 4


class Stopwatch:
    """Processor time of this thread, by duty."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(DUTIES, 0.0)
        self._duty, self._since = "", 0.0

    def turn(self, duty: str) -> str:
        """From now on it is this duty; returns the one that it was before, empty for none."""
        now, before = time.thread_time(), self._duty
        if before:
            self.seconds[before] += now - self._since
        self._duty, self._since = duty, now
        return before


class Source(io.RawIOBase):
    """A file that is read, and hashed if it is new."""

    def __init__(self, path: Path, watch: Stopwatch, hasher: Any = None) -> None:
        super().__init__()
        self._file = path.open("rb", buffering=0)
        self._watch, self._hasher = watch, hasher

    def readinto(self, buffer: memoryview) -> int:
        """The next bytes."""
        before = self._watch.turn("read")
        count = self._file.readinto(buffer) or 0
        if self._hasher is not None:
            self._watch.turn("BLAKE3")
            self._hasher.update(buffer[:count])
        self._watch.turn(before)
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go elsewhere."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Where it is."""
        return self._file.tell()

    def close(self) -> None:
        """Close."""
        self._file.close()
        super().close()


class Destination:
    """The new file: proved, summed for the next delta, written, and durable when it is closed."""

    def __init__(self, path: Path, size: int, watch: Stopwatch) -> None:
        self._file = path.open("xb", buffering=0)
        self._watch = watch
        self._signing = delta.signing(size)
        self._hasher = blake3()

    def prove(self, data: memoryview) -> None:
        """What comes next, and will be written."""
        before = self._watch.turn("BLAKE3")
        self._hasher.update(data)
        self._watch.turn("block sums")
        self._signing.update(data)
        self._watch.turn(before)

    def write(self, data: memoryview) -> int:
        """It is there."""
        before = self._watch.turn("write")
        count = self._file.write(data)
        self._watch.turn(before)
        return count

    def close(self) -> tuple[bytes, bytes]:
        """Flush it to the disk; returns its content id and its signature."""
        before = self._watch.turn("write")
        os.fsync(self._file.fileno())
        self._file.close()
        self._watch.turn("block sums")
        signature = self._signing.finish()
        self._watch.turn(before)
        return self._hasher.digest(), signature


class Line:
    """One end of a data connection, by twsync's straight way; who uses it waits.

    :param connection: its TLS, before the handshake.
    """

    def __init__(self, functions: OpenSSL, connection: SSL.Connection, wire: socket.socket, watch: Stopwatch) -> None:
        _shake_hands(connection, wire)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire.setblocking(False)
        self._wire, self._watch = wire, watch
        self._straight = Straight(functions, connection, wire.fileno(), Unwatched(), *[_ignore] * 3)

    def send(self, *pieces: bytes | memoryview) -> None:
        """All of it, together."""
        rest = [memoryview(piece) for piece in pieces]

        def step() -> Result:
            result, count = self._straight.send(rest)
            while rest and count >= len(rest[0]):
                count -= len(rest.pop(0))
            if rest:
                rest[0] = rest[0][count:]
            return result

        self._work(step, lambda: select.select([], [self._wire], []))

    def receive(self, into: memoryview) -> memoryview:
        """As many bytes."""
        rest = into

        def step() -> Result:
            nonlocal rest
            result, count = self._straight.receive([Room(rest)], MAX_BULK)
            rest = rest[count:]
            return result

        self._work(step, lambda: select.select([self._wire], [], []))
        return into

    def _work(self, step: Callable[[], Result], wait: Callable[[], object]) -> None:
        before = self._watch.turn("TLS, TCP")
        while (result := step()) is not Result.DONE:
            if result is Result.AGAIN:
                wait()
            elif result is not Result.ENOUGH:
                raise RuntimeError(f"the connection ended: {result.name}")
        self._watch.turn(before)

    def close(self) -> None:
        """Give up what it holds of the connection."""
        self._straight.close()

    def send_portion(self, data: bytes | memoryview) -> None:
        """A portion, for `portions` at the other end."""
        self.send(len(data).to_bytes(_HEAD, "big"), data)

    def portions(self) -> Iterator[memoryview]:
        """What the other end sends; each is good until the next is asked for."""
        buffer = memoryview(mmap(-1, MAX_BULK))
        while count := int.from_bytes(self.receive(buffer[:_HEAD]), "big"):
            yield self.receive(buffer[:count])


class Unwatched:
    """In place of a reactor: who uses the connection asks it himself."""

    def addReader(self, reader: object) -> None:
        """Nothing."""

    def addWriter(self, writer: object) -> None:
        """Nothing."""

    def removeReader(self, reader: object) -> None:
        """Nothing."""

    def removeWriter(self, writer: object) -> None:
        """Nothing."""


def _ignore(*_: object) -> None:
    pass


def _shake_hands(connection: SSL.Connection, wire: socket.socket) -> None:
    while True:
        try:
            connection.do_handshake()
            done = True
        except SSL.WantReadError:
            done = False
        with suppress(SSL.WantReadError):
            wire.sendall(connection.bio_read(MAX_BULK))
        if done:
            return
        came = wire.recv(MAX_BULK)
        if not came:
            raise RuntimeError("the connection ended in its handshake")
        connection.bio_write(came)


def give(line: Line, new: Path, signature: bytes | None, watch: Stopwatch) -> None:
    """Send a file, whole or as a delta.

    :raises RuntimeError: the other end made another one of it.
    """
    hasher = blake3()
    with Source(new, watch, hasher) as source:
        if signature is None:
            buffer = memoryview(mmap(-1, PORTION))
            while count := source.readinto(buffer):
                line.send_portion(buffer[:count])
        else:
            watch.turn("search, patch")
            for chunk in delta.delta(signature, source):
                line.send_portion(chunk)
    watch.turn("")
    line.send_portion(b"")
    if bytes(line.receive(memoryview(bytearray(32)))) != hasher.digest():
        raise RuntimeError("the file that came is another")


def take(line: Line, made: Path, size: int, old: Path | None, watch: Stopwatch) -> bytes:
    """Receive a file, whole or as a delta.

    :returns: its signature.
    """
    destination = Destination(made, size, watch)
    if old is None:
        for portion in line.portions():
            destination.prove(portion)
            destination.write(portion)
    else:
        with Source(old, watch) as basis:
            watch.turn("search, patch")
            delta.patch(basis, line.portions(), destination, prove=destination.prove)
        watch.turn("")
    content, signature = destination.close()
    line.send(content)
    return signature
