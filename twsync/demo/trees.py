"""Folders as values: what stands in a tree, and how two trees differ.

Trees are walked by directory descriptors and names are bytes, so that any name and any depth that a host may have can be compared.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: twsync's own folder inside a collection: marker, staging and trash differ between hosts.
OWN = b".twsync"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Entry:
    """What stands at one name: everything of it that two hosts keep the same."""

    kind: str
    mode: int = 0
    mtime_ns: int = 0
    size: int = 0
    content: bytes = b""
    "SHA-256 of a file's bytes; a link's target."


@dataclass(frozen=True)
class Extent:
    """How much a tree holds."""

    files: int
    size: int


def snapshot(root: Path) -> dict[bytes, Entry]:
    """Everything below `root` by its relative name, less twsync's own folder."""
    return {name: _entry(last, descriptor) for name, last, descriptor in _names(root)}


def extent(root: Path) -> Extent:
    """How many files stand below `root`, and how many bytes they hold."""
    found = [os.lstat(last, dir_fd=descriptor) for _, last, descriptor in _names(root)]
    sizes = [status.st_size for status in found if stat.S_ISREG(status.st_mode)]
    return Extent(len(sizes), sum(sizes))


def differences(one: dict[bytes, Entry], other: dict[bytes, Entry]) -> list[str]:
    """One sentence for each name at which two snapshots differ."""
    found = []
    for name in sorted(one.keys() | other.keys()):
        left, right = one.get(name), other.get(name)
        if left != right:
            found.append(f"{os.fsdecode(name)!r}: {left} against {right}")
    return found


def copy(source: Path, target: Path, without: frozenset[str] = frozenset()) -> None:
    """Copy the files, folders and links below `source`; special files, unreadable ones and names in `without` are left out."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        return {name for name in names if name in without or not _copyable(Path(folder, name))}

    shutil.copytree(source, target, symlinks=True, ignore=left_out)


def remove(root: Path) -> None:
    """Remove a tree, read-only folders and all."""
    for folder, _, _, descriptor in os.fwalk(root):
        if folder and stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o700 != 0o700:
            os.fchmod(descriptor, 0o700)
    shutil.rmtree(root)


def _copyable(path: Path) -> bool:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return True
    wanted = os.R_OK | os.X_OK if stat.S_ISDIR(mode) else os.R_OK
    return (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and os.access(path, wanted)


def _names(root: Path) -> Iterator[tuple[bytes, bytes, int]]:
    """Relative name, last component, and the open folder it stands in."""
    top = os.fsencode(root)
    for folder, folders, files, descriptor in os.fwalk(top):
        inside = folder[len(top) :].lstrip(b"/")
        if not inside and OWN in folders:
            folders.remove(OWN)
        for last in [*folders, *files]:
            yield (inside + b"/" + last if inside else last), last, descriptor


def _entry(name: bytes, folder: int) -> Entry:
    status = os.lstat(name, dir_fd=folder)
    mode = stat.S_IMODE(status.st_mode) & 0o777
    if stat.S_ISREG(status.st_mode):
        return Entry("file", mode, status.st_mtime_ns, status.st_size, _digest(name, folder))
    if stat.S_ISDIR(status.st_mode):
        return Entry("directory", mode)
    if stat.S_ISLNK(status.st_mode):
        return Entry("symlink", content=os.readlink(name, dir_fd=folder))
    return Entry("special")


def _digest(name: bytes, folder: int) -> bytes:
    digest = hashlib.sha256()
    with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder), "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()
