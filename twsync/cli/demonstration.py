"""``twsync demo``."""

from __future__ import annotations

import importlib
from pathlib import Path

import click


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--keep", type=click.Path(path_type=Path), metavar="DIR", help="Keep the server's and the hosts' folders in DIR.")
def demo(folder: Path | None, keep: Path | None) -> int:
    """Run a server and two hosts on this machine, synchronise FOLDER (or samples) between them and show every message.

    \b
    Example:
      twsync demo
      twsync demo ~/Pictures --keep /tmp/demo
    """
    # By name: the demonstration stands on this floor too, and drives this very command line.
    outcome: int = importlib.import_module("twsync.demo").main(folder, keep)
    return outcome
