"""The story that ``twsync demo`` tells: register, synchronise, change both sides, synchronise again, a conflict, and equal trees."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import signal
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from twsync.demo import chapters, trees
from twsync.demo.commands import StageError, undivided
from twsync.demo.stage import Host, Server, start_all

#: Left out of the standard library's folder: installed packages, compiled leftovers, and the static library of embedders.
_NOT_LIBRARY = frozenset(
    {"site-packages", "dist-packages", "__pycache__", *(path.name for path in Path(sysconfig.get_path("stdlib")).glob("config-*"))}
)
#: Both hosts hold the tree, staging holds a file for a moment: what the scratch place needs, as a multiple of the folder's size.
_ROOM = 2.5


def main(folder: Path | None, keep: Path | None) -> int:
    """Tell the story and return the exit code.

    :param folder: what to synchronise; it is copied and never touched. None: the Python standard library.
    :param keep: where the server's and the hosts' folders stay; None: a scratch place that is removed at the end.
    """
    console = Console()
    began = time.monotonic()
    with _ended_by_signals():
        try:
            source = (folder or Path(sysconfig.get_path("stdlib"))).absolute()
            if keep is not None and source in (keep.absolute(), *keep.absolute().parents):
                raise StageError(f"{keep} lies inside {source}, which stays as it is; name another folder for --keep")
            with _place(keep) as place:
                if folder is not None:
                    _check_room(source, place)
                _tell(console, source, folder is None, place)
        except (StageError, OSError, shutil.Error) as error:
            console.print()
            Console(stderr=True).print(f"twsync demo: {error}", markup=False, highlight=False, soft_wrap=True)
            return 1
    console.print()
    console.print(f"[green]Done[/] in {time.monotonic() - began:.0f} s.", highlight=False, end=" ")
    console.print(f"Kept: {keep}" if keep else "Nothing was left behind.", markup=False, highlight=False, soft_wrap=True)
    return 0


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the story as Ctrl-C does, so that the daemons are ended and the scratch place is removed."""

    def leave(number: int, _frame: object) -> NoReturn:
        sys.exit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _place(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        if any(keep.iterdir()):
            raise StageError(f"{keep} is not empty; name a new folder for --keep")
        yield keep.absolute()
        return
    place = None
    try:
        with undivided():
            place = Path(tempfile.mkdtemp(prefix="twsync-demo-"))
        yield place
    finally:
        if place is not None:
            trees.remove(place)


def _check_room(source: Path, place: Path) -> None:
    needed = int(trees.extent(source).size * _ROOM)
    free = shutil.disk_usage(place).free
    if needed > free:
        need, have = chapters.amount(needed), chapters.amount(free)
        raise StageError(f"two copies of {source} need {need}, but {place} has {have} left; name a smaller folder")


def _tell(console: Console, source: Path, library: bool, place: Path) -> None:
    console.print("[bold]twsync[/]: a control server and two hosts, three processes on this machine", highlight=False)
    what = "the Python standard library" if library else str(source)
    trees.copy(source, place / "laptop-files", _NOT_LIBRARY if library else frozenset({".twsync"}))
    (place / "desktop-files").mkdir()
    size = trees.extent(place / "laptop-files")
    console.print(f"folder: {what}, {size.files:,} files, {chapters.amount(size.size)}", markup=False, highlight=False, soft_wrap=True)

    password = secrets.token_urlsafe(16)
    server = Server.create(place / "server")
    server.add_user("alice", password)
    laptop = Host.create(place / "laptop", server, "alice", password, "laptop")
    desktop = Host.create(place / "desktop", server, "alice", password, "desktop")
    scene = chapters.Scene(console, server, laptop, desktop, place / "laptop-files", place / "desktop-files")
    laptop.add_collection(chapters.COLLECTION, scene.here)
    desktop.add_collection(chapters.COLLECTION, scene.there)
    with server, laptop, desktop:
        try:
            start_all(scene.daemons)
            chapters.registered(scene)
            chapters.first_sync(scene)
            chapters.changes(scene)
            chapters.conflict(scene)
            chapters.equal(scene)
        except StageError:
            for daemon in scene.daemons:
                scene.plain(f"\n--- end of the log of {daemon.kind} in {daemon.folder.name}\n{daemon.tail()}")
            raise
