"""The ``twsync`` command: the overview and the entry point."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import click

from twsync import __version__
from twsync.cli.funnel import Invocation, run
from twsync.cli.lazy import Entry, LazyGroup

_SETUP, _SYNC, _LOOK, _MEND, _SERVER = "Set up a host", "Synchronise", "Look", "Mend", "Server and demonstration"

COMMANDS = {
    "init": Entry(_SETUP, "twsync.cli.init:init", "Make the folder of a new device: settings, key, password."),
    "collection": Entry(_SETUP, "twsync.cli.collection:collection", "Add, list and remove the folders to keep the same."),
    "doctor": Entry(_SETUP, "twsync.cli.doctor:doctor", "Check everything and say what to do."),
    "syncml": Entry(_SETUP, "twsync.cli.syncml:syncml", "Phones and other SyncML clients; sessions with SyncML servers."),
    "devices": Entry(_SYNC, "twsync.cli.devices:devices", "Show who is online."),
    "sync": Entry(_SYNC, "twsync.cli.sync:sync", "Synchronise a collection with a device."),
    "alert": Entry(_SYNC, "twsync.cli.sync:alert", "Ask a device to start a session."),
    "status": Entry(_LOOK, "twsync.cli.status:status", "Show the server, the collections and running sessions."),
    "history": Entry(_LOOK, "twsync.cli.status:history", "Show the sessions of the past."),
    "session": Entry(_LOOK, "twsync.cli.status:session", "Show one session, with its messages."),
    "conflicts": Entry(_MEND, "twsync.cli.conflicts:conflicts", "List and resolve the conflicts that were kept."),
    "trash": Entry(_MEND, "twsync.cli.trash:trash", "List, restore or delete for good what sessions replaced or deleted."),
    "restore": Entry(_MEND, "twsync.cli.restore:restore", "Bring records back to what they were before a session."),
    "trust": Entry(_MEND, "twsync.cli.devices:trust", "Accept the changed key of a device."),
    "ctl": Entry(_SERVER, "twsync.cli.ctl:ctl", "Set up and look after a control server."),
    "demo": Entry(_SERVER, "twsync.cli.demonstration:demo", "Show a whole session on this machine."),
}


def _config(ctx: click.Context, _param: click.Parameter, value: Path | None) -> None:
    if value is not None:
        ctx.ensure_object(Invocation).config = value


twsync = LazyGroup(
    "twsync",
    COMMANDS,
    help="""Keep folders the same on several hosts.

    A control server introduces the hosts to each other; the data goes straight between them.

    \b
    Example:
      twsync init ~/sync --server sips:alice@sync.example.org:5061 --device laptop
      export TWSYNC_CONFIG=~/sync/syncpeer.toml
      twsync collection add photos ~/Pictures --type pictures
      twistd -n syncpeer --config ~/sync/syncpeer.toml &
      twsync sync photos desktop

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but conflicts were kept or items skipped, 4 device offline (request stored).
    """,
    params=[
        click.Option(
            ["--config"], type=click.Path(path_type=Path), metavar="FILE", expose_value=False, callback=_config,
            help="The host's settings file (default: $TWSYNC_CONFIG, then the user's config folder).",
        ),
    ],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)  # fmt: skip
twsync = click.version_option(__version__, prog_name="twsync")(twsync)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the process with its exit code."""
    code = run(twsync, arguments, "twsync")
    with suppress(OSError):  # whoever read it has gone
        sys.stdout.flush()
        sys.stderr.flush()
    # Taking every module apart, as `sys.exit` does, is a tenth of the time of a short command.
    os._exit(code)
