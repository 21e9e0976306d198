"""SIGKILL in the middle of a transfer: no path is ever half written, and the next session goes on where this one stopped.

A large file is fetched while its sender still hashes it, so this is also the middle of a scan, and before any plan.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time

import pytest

from twsync.demo.commands import environment

#: Large enough that the transfer takes about a second on loopback; the kill comes when a part of it has arrived.
SIZE = 192 * 1024 * 1024
#: No two large files have the same size: they might be the same one under two names, and would not be fetched ahead.
MORE = itertools.count(1)


def arrived(root):
    """Bytes that wait in a collection's staging folder."""
    total = 0
    for path in (root / ".twsync" / "staging").rglob("*"):
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:
            continue
    return total


def start_and_wait(host, name, root):
    """Start a session and return its process once a part of the large file has arrived below `root`."""
    command = [sys.executable, "-m", "twsync", "sync", name, "desktop", "--json", "--config", str(host.config)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True)
    until = time.monotonic() + 30
    while arrived(root) < SIZE // 8:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "nothing arrives"
        time.sleep(0.002)
    return process


@pytest.fixture(scope="module")
def shared(world, laptop, desktop):
    """One collection for all kills."""
    return world.share(laptop, desktop)


@pytest.fixture
def large(shared, laptop, desktop, write):
    """A large file on the laptop that is new to the desktop, beside an old one that changes."""
    name, (here, there) = shared
    write(here, {"old.txt": "old"})
    laptop.sync(name, "desktop").expect(0)
    for path in here.glob("large*"):
        path.unlink()
    with (here / f"large-{time.monotonic_ns()}.bin").open("wb") as file:
        for _ in range(SIZE // (1 << 24)):
            file.write(os.urandom(1 << 24))
        file.write(bytes(next(MORE)))
    write(here, {"old.txt": "new"})
    return name, here, there


def unharmed(here, there):
    """Every path holds old or new content: no half of the large file under its name."""
    assert (there / "old.txt").read_text() in {"old", "new"}
    assert all(path.stat().st_size == (here / path.name).stat().st_size for path in there.glob("large*") if (here / path.name).exists())


@pytest.mark.parametrize("victim", ["caller", "callee"])
def test_a_host_is_killed(victim, large, laptop, desktop, same, eventually):
    """The other side says so in one sentence; after a restart the rest of the file follows, not all of it."""
    name, here, there = large
    session = start_and_wait(laptop, name, there)
    (laptop if victim == "caller" else desktop).kill()
    out, said = session.communicate(timeout=60)
    assert session.returncode == 1, (out, said)
    assert "Traceback" not in said and said.count("\n") == 1, said
    unharmed(here, there)
    result = again(laptop, desktop, name, eventually)
    same(here, there)
    assert result["sent"]["literal_bytes"] < SIZE * 15 // 16
    assert arrived(there) == arrived(here) == 0


def test_what_came_of_a_file_that_changed_before_it_could_go_on_is_let_go(large, laptop, desktop, same, eventually):
    name, here, there = large
    session = start_and_wait(laptop, name, there)
    laptop.kill()
    session.communicate(timeout=60)
    left = {path.name for path in (there / ".twsync" / "staging").iterdir()}
    (path,) = here.glob("large*")
    with path.open("r+b") as file:
        file.write(b"changed")
        file.truncate(SIZE + next(MORE))
    again(laptop, desktop, name, eventually)
    same(here, there)
    assert left and arrived(there) == 0


def again(laptop, desktop, name, eventually):
    """Both hosts up, and a session; what it came to."""
    for host in (laptop, desktop):
        host.start()
    for host in (laptop, desktop):
        host.wait_ready()
    eventually(lambda: laptop.connected() and desktop.connected())
    return laptop.sync(name, "desktop").expect(0).document


@pytest.mark.parametrize("victim", ["caller", "callee"])
def test_a_host_is_killed_while_an_edited_file_is_put_together(victim, large, laptop, desktop, same, eventually):
    name, here, there = large
    laptop.sync(name, "desktop").expect(0)
    (path,) = here.glob("large*")
    with path.open("r+b") as file:
        for place in range(0, SIZE, SIZE // 8):
            file.seek(place)
            file.write(os.urandom(4096))
        file.truncate(SIZE)
    before = (there / path.name).read_bytes()
    session = start_and_wait(laptop, name, there)
    (laptop if victim == "caller" else desktop).kill()
    out, said = session.communicate(timeout=60)
    assert session.returncode == 1, (out, said)
    assert (there / path.name).read_bytes() == before
    result = again(laptop, desktop, name, eventually)
    same(here, there)
    assert result["sent"]["literal_bytes"] < 1 << 20
    assert arrived(there) == arrived(here) == 0


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_the_server_ends(end, large, world, laptop, desktop, same, eventually):
    """The data goes from host to host: a session under way does not need the server."""
    name, here, there = large
    session = start_and_wait(laptop, name, there)
    getattr(world.server, end)()
    out, said = session.communicate(timeout=60)
    assert session.returncode == 0, (out, said)
    same(here, there)
    world.server.start()
    world.server.wait_ready()
    eventually(lambda: laptop.connected() and desktop.connected(), seconds=30)
    laptop.sync(name, "desktop").expect(0)
