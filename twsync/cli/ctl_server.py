"""Which control server a `twsync ctl` command is about, and the way to its database."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from twsync.cli.funnel import Invocation
from twsync.control.settings import Settings, load
from twsync.store.control import ControlDatabase
from twsync.store.control_rows import Transaction

#: Seconds that a command waits for a running server, which looks once a second, and between two looks.
PATIENCE = 5.0
POLL = 0.05

config_option = click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", expose_value=False,
    callback=lambda ctx, _param, value: setattr(ctx.ensure_object(Invocation), "config", value) if value is not None else None,
    help="The server's settings file (default: $TWSYNC_CONFIG, then syncctl.toml in the current folder).",
)  # fmt: skip


def server_settings() -> Settings:
    """The checked settings of the server that is meant.

    :raises ConfigError: they are missing or wrong.
    """
    invocation = click.get_current_context().find_object(Invocation)
    named = invocation.config if invocation is not None else None
    return load(named or Path(os.environ.get("TWSYNC_CONFIG") or "syncctl.toml"))


@contextmanager
def opened() -> Iterator[tuple[Settings, Transaction]]:
    """Its settings, and a transaction of its database that is committed at the end.

    What was changed is in force when this ends: a running server has taken it up.
    """
    settings = server_settings()
    database = ControlDatabase.open(settings.database, settings.realm)
    try:
        with database.transaction() as transaction:
            before = transaction.changes()
            yield settings, transaction
            after = transaction.changes()
        if after != before:
            _wait(database, after)
    finally:
        database.close()


def _wait(database: ControlDatabase, changes: int) -> None:
    """Until a running server has taken up `changes`, or no longer looks as if it would."""
    until = time.monotonic() + PATIENCE
    while True:
        with database.transaction() as transaction:
            taken_up = transaction.taken_up()
        if taken_up is None or taken_up >= changes:
            return
        if time.monotonic() >= until:
            click.echo(
                f"Written, but the server has not taken it up within {PATIENCE:.0f} s; a stopped one does at its start, else see its log.",
                err=True,
            )
            return
        time.sleep(POLL)
