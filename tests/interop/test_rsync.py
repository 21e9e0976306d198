"""rsync and rdiff as judges: is the copy equal, and is a delta about as small as theirs?"""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from twsync.demo.commands import environment
from twsync.demo.stage import Host, Server, start_all


@pytest.fixture
def pair(tmp_path):
    """Two running hosts with one collection, and the folders."""
    server = Server.create(tmp_path / "server")
    server.add_user("alice", "secret")
    hosts = [Host.create(tmp_path / name, server, "alice", "secret", name) for name in ("laptop", "desktop")]
    roots = [tmp_path / f"{name}-files" for name in ("laptop", "desktop")]
    for host, root in zip(hosts, roots, strict=True):
        root.mkdir()
        host.add_collection("files", root)
    with server, hosts[0], hosts[1]:
        start_all([server, *hosts])
        yield hosts[0], roots


def test_rsync_finds_nothing_to_do(program, pair, tmp_path):
    """After a session rsync, comparing every byte, mode and time, would change nothing."""
    rsync = program("rsync", "rsync")
    laptop, (here, there) = pair
    dice = random.Random(5)
    for number in range(200):
        path = here / f"folder {number % 7}" / f"{number}.bin"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(dice.randbytes(dice.randrange(200_000)))
        path.chmod(dice.choice([0o600, 0o644, 0o755]))
    (here / "link").symlink_to("folder 1/1.bin")
    laptop.sync("files", "desktop").expect(0)
    command = [rsync, "--archive", "--checksum", "--delete", "--dry-run", "--itemize-changes", "--omit-dir-times", "--exclude=/.twsync"]
    done = subprocess.run([*command, f"{here}/", f"{there}/"], capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_rdiff_and_the_core_agree(program, tmp_path):
    """Both bring the old file to the new one; for equal block lengths neither delta is much larger than the other."""
    rdiff = program("rdiff", "rdiff")
    dice = random.Random(7)
    old = bytearray(dice.randbytes(3_000_000))
    (tmp_path / "old").write_bytes(old)
    for _ in range(20):
        place = dice.randrange(len(old))
        old[place : place + dice.randrange(500)] = dice.randbytes(dice.randrange(500))
    (tmp_path / "new").write_bytes(old)

    def run(*command):
        subprocess.run(command, cwd=tmp_path, check=True, env=environment())

    run(rdiff, "--block-size=2048", "signature", "old", "their.sig")
    run(rdiff, "delta", "their.sig", "new", "their.delta")
    run(rdiff, "patch", "old", "their.delta", "their.new")
    ours = (sys.executable, "-m", "twsync.delta")
    run(*ours, "signature", "old", "our.sig", "--block-length", "2048")
    run(*ours, "delta", "our.sig", "new", "our.delta")
    run(*ours, "patch", "old", "our.delta", "our.new")
    assert (tmp_path / "our.new").read_bytes() == (tmp_path / "their.new").read_bytes() == bytes(old)
    assert (tmp_path / "our.delta").stat().st_size < 1.1 * (tmp_path / "their.delta").stat().st_size
