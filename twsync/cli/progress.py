"""Progress of a running session on a terminal: phase, items, bytes, rate and time left. Quiet in a pipe."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from twsync.cli.table import printable


class Bar:
    """A progress bar on stderr, if that is a terminal; nothing otherwise.

    :param wanted: False for commands whose output a program reads.
    """

    def __init__(self, wanted: bool) -> None:
        self._progress: Any = None
        if wanted and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

            self._progress = Progress(
                TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[items]}"), DownloadColumn(binary_units=True),
                TransferSpeedColumn(), TimeRemainingColumn(), console=Console(stderr=True), transient=True,
            )  # fmt: skip

    def __enter__(self) -> Bar:
        if self._progress is not None:
            self._progress.start()
            self._task = self._progress.add_task("calling", total=None, items="")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._progress is not None:
            self._progress.stop()

    def heard(self, event: dict[str, Any]) -> None:
        """Show one event of the daemon; what it lacks stays as it was."""
        if self._progress is None:
            return
        total, items = event.get("items_total"), event.get("items", 0)
        self._progress.update(
            self._task, description=printable(str(event.get("phase", ""))), completed=event.get("bytes", 0),
            total=event.get("bytes_total") or None, items=f"{items}/{total} items" if total else f"{items} items" if items else "",
        )  # fmt: skip
