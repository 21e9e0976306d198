"""``twsync syncml``: accounts for stock SyncML clients of this host, and sessions with stock SyncML servers."""

from __future__ import annotations

import time
from typing import Any

import click
import msgspec

from twsync.cli.daemon import Daemon, running
from twsync.cli.funnel import say
from twsync.cli.journal import reading, writing
from twsync.cli.options import config_option, json_option, load_settings, print_json
from twsync.cli.secret import read_password
from twsync.cli.syncmlnotify import notify
from twsync.cli.syncmlsession import COMMANDS
from twsync.cli.table import columns
from twsync.peer import accounts
from twsync.peer.accounts import AccountChange

_collections = click.option(
    "--collection", "collections", multiple=True, metavar="NAME",
    help="Let it reach this collection; may be repeated (default: all collections of records, later ones too).",
)  # fmt: skip
_clear = click.option("--clear", is_flag=True, help="Keep the password itself, for clients that sign in by md5 of SyncML 1.0.")


@click.group()
def syncml() -> None:
    """Phones and other SyncML clients of this host, and this host as a client of a SyncML server.

    \b
    Example:
      twsync syncml account add phone
      twsync syncml sync https://sync.example.org/syncml contacts=card --user alice
    """


@syncml.group()
def account() -> None:
    """Accounts of SyncML clients. They are this host's own: the control server does not know them.

    \b
    Example:
      twsync syncml account add phone --collection contacts
      twsync syncml account list
    """


@account.command()
@click.argument("name")
@_collections
@_clear
@config_option
def add(name: str, collections: tuple[str, ...], clear: bool) -> None:
    """Add an account NAME. Its password is asked for on a terminal, else read from $TWSYNC_PASSWORD or the first line of stdin.

    The client gets the address http://HOST:PORT/syncml ([syncml] in the settings), this name and password, and the names of the collections
    as those of its databases.

    \b
    Example:
      twsync syncml account add phone --collection contacts --collection calendar
    """
    settings = load_settings()
    for each in collections:
        settings.collection(each)
    password = read_password(f"Password of {name}")
    _change("add", name, password=password, collections=list(collections) or None, clear=clear)
    reach = ", ".join(collections) if collections else "all collections of records"
    click.echo(f"{name} may reach {reach}")
    if not settings.syncml:
        say(f"This host does not serve SyncML clients yet; set `listen` in [syncml] of {settings.file}, then restart it.")


@account.command()
@click.argument("name")
@_clear
@config_option
def passwd(name: str, clear: bool) -> None:
    """Change the password of the account NAME.

    \b
    Example:
      twsync syncml account passwd phone
    """
    _change("passwd", name, password=read_password(f"New password of {name}"), clear=clear)
    click.echo(f"{name} has a new password")


@account.command()
@click.argument("name")
@_collections
@config_option
def grant(name: str, collections: tuple[str, ...]) -> None:
    """Say anew which collections the account NAME may reach.

    \b
    Example:
      twsync syncml account grant phone --collection contacts
    """
    _change("grant", name, collections=list(collections) or None)
    click.echo(f"{name} may reach {', '.join(collections) if collections else 'all collections of records'}")


@account.command("allow-deletes")
@click.argument("name")
@config_option
def allow_deletes(name: str) -> None:
    """Let devices of the account NAME delete as much as they like, for an hour. The daemon must run.

    Else a session does not carry out what would take more than 20 % of a collection (and more than 25 items), and does not begin if all
    files of the folder are gone.

    \b
    Example:
      twsync syncml account allow-deletes phone
    """
    with Daemon(load_settings()) as daemon:
        daemon.call("allow-deletes", {"account": name})
    click.echo(f"{name} may delete as much as it likes for an hour")


@account.command()
@click.argument("name")
@config_option
def remove(name: str) -> None:
    """Remove the account NAME. What its devices have synchronised stays.

    \b
    Example:
      twsync syncml account remove phone
    """
    _change("remove", name)
    click.echo(f"{name} is removed")


@account.command("list")
@config_option
@json_option
def list_(as_json: bool) -> None:
    """List the accounts.

    \b
    Example:
      twsync syncml account list
    """
    with reading(load_settings()) as journal:
        found = [] if journal is None else accounts.listed(journal)
    if as_json:
        print_json(found)
        return
    rows = [(one["name"], "all" if one["collections"] is None else " ".join(one["collections"]), one["added"]) for one in found]
    click.echo(columns(("NAME", "COLLECTIONS", "ADDED"), rows) if rows else "No accounts.")


def _change(action: str, name: str, **values: Any) -> None:  # noqa: ANN401 - the arguments of the daemon's call
    """By the daemon, or without it."""
    settings = load_settings()
    daemon = running(settings)
    if daemon is not None:
        with daemon:
            daemon.call("account", {"action": action, "name": name, **values})
        return
    with writing(settings, f"syncml account {action}") as journal:
        accounts.change(settings, journal, msgspec.convert({"action": action, "name": name, **values}, AccountChange), time.time_ns())


for _command in (*COMMANDS, notify):
    syncml.add_command(_command)
