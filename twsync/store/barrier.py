"""Durability for a batch: a few files one by one, many by one flush of the file system."""

from __future__ import annotations

import os

from twsync import limits
from twsync.store.paths import Gate
from twsync.store.syscalls import sync_file_system


def flush_all(gate: Gate) -> None:
    """Flush the file system that the collection's root is on."""
    fd = gate.open_directory()
    try:
        sync_file_system(fd)
    finally:
        os.close(fd)


def flush_directories(gate: Gate, own: set[bytes], others: set[bytes]) -> None:
    """Make the entries of folders durable.

    :param own: keys of folders below ``.twsync``.
    :param others: keys of folders of the collection. One that is gone needs no flush.
    """
    if len(own) + len(others) > limits.MAX_SINGLE_FLUSHES:
        flush_all(gate)
        return
    for tree, keys in ((gate.private, own), (gate, others)):
        for key in keys:
            try:
                fd = tree.open_directory(key)
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                continue
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
