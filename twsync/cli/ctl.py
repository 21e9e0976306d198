"""``twsync ctl``: set up and look after a control server.

Everything here works on the database, whether the server runs or not; a running one has taken a change up when the
command ends.
"""

from __future__ import annotations

import contextlib
import datetime
import secrets
import time
from pathlib import Path

import click

from twsync.cli.ctl_devices import device
from twsync.cli.ctl_server import config_option, opened, server_settings
from twsync.cli.ctl_sessions import session
from twsync.cli.ctl_users import user
from twsync.cli.funnel import Exit
from twsync.control.initialise import initialise
from twsync.control.names import checked, split_device
from twsync.reconcile.model import SyncType
from twsync.store.control import ControlDatabase, located
from twsync.store.control_values import StoredRequest


@click.group()
def ctl() -> None:
    """Set up and look after a control server.

    \b
    Example:
      twsync ctl init /etc/twsync --realm example.org --host sync.example.org
      twsync ctl user add alice --config /etc/twsync/syncctl.toml
      twistd -n syncctl --config /etc/twsync/syncctl.toml
    """


@ctl.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--realm", required=True, help="The domain that users belong to, such as example.org.")
@click.option("--host", default=None, metavar="NAME_OR_IP", help="What devices reach the server by (default: this machine's name).")
@click.option("--sip-port", default=5061, show_default=True, type=click.IntRange(1, 65535), help="The port of SIP over TLS.")
@click.option("--web-port", default=8443, show_default=True, type=click.IntRange(1, 65535), help="The port of the web pages.")
def init(directory: Path, realm: str, host: str | None, sip_port: int, web_port: int) -> None:
    """Make the folder of a new server: settings, certificate, database.

    Prints the line that enrols a device; USER and NAME in it are for you to fill in.

    \b
    Example:
      twsync ctl init /etc/twsync --realm example.org --host sync.example.org
    """
    made = initialise(directory, realm, host, sip_port, web_port, datetime.datetime.now(datetime.UTC))
    click.echo(f"Made {made.settings}.", err=True)
    click.echo(f"Next: twsync ctl user add NAME --config {made.settings}; twistd -n syncctl --config {made.settings}", err=True)
    click.echo("Then, on each device:", err=True)
    click.echo(made.enrolment)


@ctl.command()
@click.argument("target", metavar="USER/DEVICE")
@click.argument("collection")
@click.argument("partner", metavar="PARTNER/DEVICE")
@click.option("--type", "sync_type", type=click.Choice([kind.value for kind in SyncType]), default="two-way", show_default=True)
@config_option
def alert(target: str, collection: str, partner: str, sync_type: str) -> int:
    """Ask a device to open a session with another one, being the client.

    The request is stored, and delivered at once if the device is online, else when it registers.

    \b
    Example:
      twsync ctl alert alice/laptop photos alice/desktop
    """
    owner, name = split_device(target)
    split_device(partner)
    checked(collection, "collection")
    with opened() as (_, transaction):
        transaction.device(owner, name)
        transaction.device(*split_device(partner))
        now = time.time()
        request = StoredRequest(secrets.token_hex(16), partner, owner, name, collection, sync_type, now)
        transaction.add_request(request, announce=True)
        online = any((binding.user, binding.device) == (owner, name) for binding in transaction.bindings(now))
    if online:
        click.echo(f"{target} is asked to sync {collection} with {partner}.", err=True)
        return Exit.DONE
    click.echo(f"{target} is offline; the request is stored.", err=True)
    return Exit.OFFLINE


@ctl.command("copy-database")
@click.argument("url")
@config_option
def copy_database(url: str) -> None:
    """Copy all that the server keeps into an empty database: to PostgreSQL, or back to SQLite.

    Stop the server first: what it writes meanwhile is left behind. Then put the URL into the settings, and start it again.

    \b
    Example:
      twsync ctl copy-database postgresql://twsync@/twsync --config /etc/twsync/syncctl.toml
    """
    settings = server_settings()
    with (
        contextlib.closing(ControlDatabase.open(settings.database, settings.realm)) as old,
        contextlib.closing(ControlDatabase.ready(located(url, Path.cwd()), settings.realm)) as new,
    ):
        count = old.copy_to(new)
        click.echo(f"Copied {count} rows from {old.name} to {new.name}; put its URL into the settings, then start the server.", err=True)


for group in (user, device, session):
    ctl.add_command(group)
