"""Which control server a `twsync ctl` command is about, and the way to its database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from twsync.cli.funnel import Invocation
from twsync.control.settings import Settings, load
from twsync.store.control import ControlDatabase
from twsync.store.control_rows import Transaction

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
    """Its settings, and a transaction of its database that is committed at the end."""
    settings = server_settings()
    database = ControlDatabase.open(settings.database, settings.realm)
    try:
        with database.transaction() as transaction:
            yield settings, transaction
    finally:
        database.close()
