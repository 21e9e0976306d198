"""A click group that imports a command only when it is called, so that ``twsync --help`` answers at once."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import click


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is found and what the overview says of it."""

    section: str
    target: str
    "``module:attribute`` of a click command."
    summary: str


class LazyGroup(click.Group):
    """A group of commands known by name, section and summary before they are imported."""

    def __init__(self, name: str, entries: dict[str, Entry], **settings: Any) -> None:  # noqa: ANN401 - click's
        super().__init__(name, **settings)
        self.entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the overview."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; None if there is none of this name."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command), entry.target
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The overview by sections, made without importing anything."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, entry in self.entries.items():
            sections.setdefault(entry.section, []).append((name, entry.summary))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)
