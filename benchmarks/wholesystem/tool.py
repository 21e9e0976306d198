"""What is measured: something that makes a destination equal to a source, and says how long it took."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Run:
    """One measured run.

    :ivar seconds: what counts: `seconds` of ``twsync sync --json``, the wall time of others.
    :ivar wire_bytes: both directions together; none if the tool uses no wire.
    :ivar cpu: processor seconds of all processes at both ends.
    :ivar peaks: peak memory of each daemon in MiB.
    :ivar details: more, as the tool has it.
    """

    seconds: float
    wire_bytes: int | None = None
    cpu: float | None = None
    peaks: dict[str, float | None] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The run for JSON."""
        return asdict(self)


class Tool(Protocol):
    """A tool; :meth:`begin` gives it an empty destination, :meth:`sync` is measured, :meth:`end` clears up."""

    name: str
    #: Whether it takes one file at a time, so that trees are not for it.
    one_file: bool

    def begin(self, source: Path, number: int) -> Path:
        """Prepare an empty destination for `source`, and return it."""

    def sync(self) -> Run:
        """Make the destination equal to the source."""

    def end(self) -> None:
        """Remove the destination."""


class IntoFolders:
    """A tool whose destinations are folders below one of its own, a new one for each round.

    :param folder: the own one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = self._source = self._destination = folder

    def begin(self, source: Path, number: int) -> Path:
        """An empty folder."""
        self._source, self._destination = source, self._folder / str(number)
        self._destination.mkdir()
        return self._destination

    def end(self) -> None:
        """Remove the destination."""
        shutil.rmtree(self._destination)


@dataclass(frozen=True)
class Missing:
    """A tool that is not on this machine.

    :ivar name: the tool.
    :ivar advice: what to do about it.
    """

    name: str
    advice: str
