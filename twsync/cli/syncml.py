"""``twsync syncml``: a name reserved for SyncML, which is not in this version."""

from __future__ import annotations

from typing import NoReturn

import click

from twsync.cli.options import config_option
from twsync.errors import UserError


@click.group()
def syncml() -> None:
    """Accounts for stock SyncML clients of this host (not in this version).

    \b
    Example:
      twsync syncml account add phone
    """


@syncml.group()
def account() -> None:
    """Accounts of SyncML clients (not in this version).

    \b
    Example:
      twsync syncml account add phone
    """


@account.command()
@click.argument("name")
@config_option
def add(name: str) -> NoReturn:
    """Add an account NAME for a SyncML client (not in this version: refused).

    \b
    Example:
      twsync syncml account add phone
    """
    raise UserError("SyncML is not in this version; synchronise collections of type files, pictures or music.", code="not-supported")
