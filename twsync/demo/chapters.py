"""The chapters of the demonstration, each a few public commands and what they show."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from twsync.demo import trees
from twsync.demo.commands import Outcome, StageError
from twsync.demo.stage import Host, Server
from twsync.session.trace import TraceLine, render

#: The collection's name.
COLLECTION = "demo"
#: The 200 to the BYE.
_LAST_STEP = 23
#: Seconds that news gets to travel through the server.
_ENOUGH = 15.0
#: The folder that the story adds to the copy, so that it works in an empty one too.
_OWN_FOLDER = "twsync demo"


@dataclass
class Scene:
    """Who and what the story is about."""

    console: Console
    server: Server
    laptop: Host
    desktop: Host
    here: Path
    "The laptop's copy of the folder."
    there: Path
    "The desktop's."

    @property
    def daemons(self) -> tuple[Server, Host, Host]:
        """All three processes."""
        return self.server, self.laptop, self.desktop

    def chapter(self, title: str) -> None:
        """A heading."""
        self.console.print()
        self.console.rule(f"[bold]{escape(title)}", align="left", style="dim")

    def say(self, text: str) -> None:
        """A sentence of the story; markup is allowed."""
        self.console.print(text, highlight=False, soft_wrap=True)

    def plain(self, text: str) -> None:
        """What a program printed, as it stands."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)


def registered(scene: Scene) -> None:
    """Who is there, once both hosts are."""
    scene.chapter("1. Both hosts register at the control server")
    rows = _wait_for_both_online(scene)
    table = Table(box=None, pad_edge=False)
    for head in ("device", "online", "address", "key"):
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(row["device"], "yes" if row["online"] else "no", str(row["address"]), f"{row['fingerprint'][:23]}…")
    scene.console.print(table)


def _wait_for_both_online(scene: Scene) -> list[dict[str, Any]]:
    """The device list as the laptop sees it, once the notification about the desktop has come."""
    until = time.monotonic() + _ENOUGH
    while True:
        rows: list[dict[str, Any]] = scene.laptop.twsync("devices", "--json").expect(0).document
        if {row["device"] for row in rows if row["online"]} >= {scene.laptop.name, scene.desktop.name}:
            return rows
        if time.monotonic() > until:
            raise StageError(f"the laptop does not see both devices online, only {rows}")
        time.sleep(0.2)


def first_sync(scene: Scene) -> None:
    """Everything goes over; the messages of the session."""
    scene.chapter("2. The laptop calls the desktop and sends everything")
    size = trees.extent(scene.here).size
    result = _sync(scene, 0, 3).document
    _sums(scene, result, size)
    _require_equal(scene, result)
    scene.say("\nThe messages of this session; the numbers are the steps of the paper's figure 4:")
    scene.plain(_ladder(scene, result["session"]))


def _ladder(scene: Scene, session: str) -> str:
    """The messages that the server saw, and the data that it did not see: of that only the hosts know."""
    until = time.monotonic() + _ENOUGH
    while True:
        seen = scene.server.ctl("session", "show", session, "--json").expect(0).document["trace"]
        # The hosts are done with each other before the server has written their last words down.
        if any(line["step"] == _LAST_STEP for line in seen) or time.monotonic() > until:
            break
        time.sleep(0.2)
    felt = scene.laptop.twsync("session", session, "--trace", "--json").expect(0).document["trace"]
    lines = msgspec.convert([*seen, *(line for line in felt if line["start"] == "DATA")], list[TraceLine])
    lines.sort(key=lambda line: line.at)
    return render(lines, (scene.laptop.name, "syncctl", scene.desktop.name)).rstrip()


def changes(scene: Scene) -> None:
    """What both sides changed goes over, and nothing else."""
    scene.chapter("3. Both sides change; only the changes travel")
    edited = _insert_in_middle(_largest(scene.here), b"# one line more, in the middle\n")
    length = amount(edited.stat().st_size)
    scene.plain(f"laptop: a line inserted in the middle of {edited.relative_to(scene.here)} ({length}), its largest file")
    own = scene.there / _OWN_FOLDER
    own.mkdir()
    (own / "letter.txt").write_text("Dear laptop,\n\nhere all is well.\n")
    (own / "story.txt").write_text("Once upon a time\n")
    scene.plain(f"desktop: two new files in {_OWN_FOLDER}/")
    gone = _smallest(scene.there, other_than=own)
    if gone is not None:
        gone.unlink()
        scene.plain(f"desktop: {gone.relative_to(scene.there)} deleted")
    size = trees.extent(scene.here).size
    result = _sync(scene, 0, 3).document
    _sums(scene, result, size)
    _require_equal(scene, result)


def conflict(scene: Scene) -> None:
    """One file, changed on both sides: both texts are kept."""
    scene.chapter("4. Both sides change the same file")
    ending = {scene.here: "Once upon a time there was a laptop.\n", scene.there: "Once upon a time there was a desktop.\n"}
    for root, text in ending.items():
        (root / _OWN_FOLDER / "story.txt").write_text(text)
    result = _sync(scene, 3).document
    for conflict in result["conflicts"]:
        scene.plain(f"conflict: {conflict['item']}: {conflict['resolution']}, the other text is in {conflict['copy']}")
    kept = {path.read_text() for path in (scene.there / _OWN_FOLDER).glob("story*.txt")}
    if kept != set(ending.values()):
        raise StageError(f"after the conflict the desktop holds {sorted(kept)}, not both texts")
    scene.say("\n`twsync conflicts` on the laptop:")
    scene.plain(scene.laptop.twsync("conflicts").expect(0, 3).stdout.rstrip())


def equal(scene: Scene) -> None:
    """Both trees hold the same."""
    scene.chapter("5. Both folders are the same")
    one = trees.snapshot(scene.here)
    different = trees.differences(one, trees.snapshot(scene.there))
    if different:
        raise StageError("the two folders differ:\n" + "\n".join(different[:10]))
    scene.say(f"{len(one):,} names compared: kind, bytes, permissions, times, link targets. No difference.")


def _sync(scene: Scene, *codes: int) -> Outcome:
    return scene.laptop.sync(COLLECTION, scene.desktop.device).expect(*codes)


def _sums(scene: Scene, result: dict[str, Any], size: int) -> None:
    """What a session moved, against the folder's size."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for head in ("added", "changed", "deleted", "new bytes", "matched", "on the wire", "of folder"):
        table.add_column(head, justify="right", no_wrap=True)
    for side in ("sent", "received"):
        row = result[side]
        counts = [f"{row[name]:,}" for name in ("added", "changed", "deleted")]
        share = f"{100 * row['wire_bytes'] / size:.2f} %" if size else "-"
        table.add_row(side, *counts, amount(row["literal_bytes"]), amount(row["matched_bytes"]), amount(row["wire_bytes"]), share)
    scene.console.print(table)
    scene.say(f"state {result['state']}, {result['seconds']:.1f} s")
    for skipped in result["skipped"][:5]:
        scene.plain(f"skipped: {skipped['item']}: {skipped['reason']}")


def _require_equal(scene: Scene, result: dict[str, Any]) -> None:
    """A session that skipped nothing must leave both trees equal."""
    if not result["skipped"] and (different := trees.differences(trees.snapshot(scene.here), trees.snapshot(scene.there))):
        raise StageError("after the session the two folders differ:\n" + "\n".join(different[:10]))


def _files(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        if ".twsync" not in Path(folder).relative_to(root).parts:
            yield from (path for name in names if (path := Path(folder, name)).is_file() and not path.is_symlink())


def _largest(root: Path) -> Path:
    found = max(_files(root), key=lambda path: path.stat().st_size, default=None)
    if found is None:
        found = root / "first.txt"
        found.write_text("The folder was empty.\n")
    return found


def _smallest(root: Path, other_than: Path) -> Path | None:
    found = sorted(path for path in _files(root) if other_than not in path.parents)
    return min(found, key=lambda path: path.stat().st_size) if len(found) > 1 else None


def _insert_in_middle(path: Path, line: bytes) -> Path:
    old = path.read_bytes()
    middle = len(old) // 2
    path.chmod(path.stat().st_mode | 0o200)
    path.write_bytes(old[:middle] + line + old[middle:])
    return path


def amount(count: int) -> str:
    """Bytes as people read them."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
