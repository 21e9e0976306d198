"""Disks that refuse: full, or mounted read-only. The session says so, the hosts live on, and the next one makes up for it."""

from __future__ import annotations

import os
import subprocess

import pytest


@pytest.fixture
def small_disk(root_user, missing, world, laptop, desktop):
    """A collection whose folder on the desktop is a file system of 8 MiB; gives the name, both folders and a way to remount."""
    name, (here,) = world.share(laptop)
    there = world.place / f"{name}-small"
    there.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "twsync-test", there], capture_output=True, text=True, check=False)
    if mounted.returncode:
        missing(f"a file system cannot be mounted here: {mounted.stderr.strip()}")

    def remount(options):
        subprocess.run(["mount", "-o", f"remount,{options}", there], check=True)

    try:
        desktop.add_collection(name, there)
        yield name, here, there, remount
    finally:
        desktop.twsync("collection", "remove", name)
        subprocess.run(["umount", "--lazy", there], check=True)


def said(outcome):
    """All that a session said about itself."""
    assert "Traceback" not in outcome.stderr
    return (outcome.stdout + outcome.stderr).lower()


def test_a_full_disk(small_disk, laptop, desktop, write, same):
    """What does not fit is named; what stands there is whole; with room again the rest follows."""
    name, here, there, remount = small_disk
    write(here, {"fits.bin": os.urandom(1 << 20)})
    laptop.sync(name, "desktop").expect(0)
    write(here, {"fits.bin": os.urandom(1 << 20), "too-large.bin": os.urandom(12 << 20)})
    outcome = laptop.sync(name, "desktop").expect(1, 3)
    assert "full" in said(outcome) or "space" in said(outcome)
    assert not (there / "too-large.bin").exists()
    desktop.require_alive()
    remount("size=64m")
    laptop.sync(name, "desktop").expect(0)
    same(here, there)


def test_a_read_only_folder(small_disk, laptop, desktop, write, same):
    """Nothing can be written there, and the session says so."""
    name, here, there, remount = small_disk
    write(here, {"a.txt": "a"})
    laptop.sync(name, "desktop").expect(0)
    write(here, {"a.txt": "b", "new.txt": "new"})
    remount("ro")
    outcome = laptop.sync(name, "desktop").expect(1, 3)
    assert "read-only" in said(outcome)
    assert (there / "a.txt").read_text() == "a"
    desktop.require_alive()
    remount("rw")
    laptop.sync(name, "desktop").expect(0)
    same(here, there)
