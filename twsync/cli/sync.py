"""``twsync sync`` and ``alert``: sessions, started here or on the other device."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from twsync.cli.daemon import Daemon
from twsync.cli.funnel import Exit, say
from twsync.cli.options import config_option, json_option, load_settings, print_json
from twsync.cli.outcome import counts, details
from twsync.cli.progress import Bar
from twsync.cli.table import printable
from twsync.errors import UserError
from twsync.reconcile.model import SyncType
from twsync.session.result import SessionResult

#: Seconds that a call may take until the session stands, with a busy or absent partner.
DEFAULT_TIMEOUT = 60.0

_type_option = click.option(
    "--type", "sync_type", type=click.Choice([each.value for each in SyncType]), default=SyncType.TWO_WAY.value, show_default=True,
    help="The caller is the client.",
)  # fmt: skip


@click.command()
@click.argument("collection")
@click.argument("device")
@_type_option
@click.option("--allow-deletes", is_flag=True, help="Go on even if many items would be deleted.")
@click.option("--no-wait", is_flag=True, help="Start the session and return at once.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=DEFAULT_TIMEOUT,
    show_default=True,
    metavar="S",
    help="Seconds to keep trying while DEVICE is busy or does not answer.",
)
@config_option
@json_option
def sync(collection: str, device: str, sync_type: str, allow_deletes: bool, no_wait: bool, timeout: float, as_json: bool) -> int:
    """Synchronise COLLECTION with DEVICE and wait until it is done.

    DEVICE is a device of this user, such as desktop, or of another one, such as bob/desktop. If it is offline, the request is stored at the
    server and carried out when it is online (exit code 4).

    \b
    Example:
      twsync sync photos desktop
      twsync sync photos bob/desktop --type one-way-from-client --json
    """
    settings = load_settings()
    settings.collection(collection)
    partner = settings.full_device(device)
    if partner == settings.full_name:
        raise UserError(f"{partner} is this device; name another one, `twsync devices` lists them.", code="own-device")
    arguments: dict[str, Any] = {
        "collection": collection, "device": partner, "type": sync_type, "allow_deletes": allow_deletes, "timeout": timeout,
        "wait": not no_wait,
    }  # fmt: skip
    with Daemon(settings) as daemon, Bar(not as_json and not no_wait) as bar:
        result = daemon.call("sync", arguments, bar.heard)
    if as_json:
        print_json(result)
    elif no_wait:
        click.echo(f"Session {result['session']} is under way; `twsync history` tells how it ends.")
    else:
        _tell(result)
    if result.get("error"):
        say(str(result["error"]["message"]))
    return Exit.DONE if result["state"] == "running" else msgspec.convert(result, SessionResult).exit_code()


def _tell(result: dict[str, Any]) -> None:
    if result["state"] in ("done", "partial"):
        click.echo(f"{result['collection']} with {printable(result['device'])}: {result['state']} in {result['seconds']:.1f} s")
        click.echo(f"    sent: {counts(result['sent'])}")
        click.echo(f"received: {counts(result['received'])}")
    for line in details({**result, "error": None}):
        click.echo(line)


@click.command()
@click.argument("collection")
@click.argument("device")
@_type_option
@config_option
@json_option
def alert(collection: str, device: str, sync_type: str, as_json: bool) -> int:
    """Ask DEVICE to start a session of COLLECTION with this host; DEVICE is the client of it.

    If DEVICE is offline, the request is stored at the server and carried out when it is online (exit code 4).

    \b
    Example:
      twsync alert photos desktop --type one-way-from-client
    """
    settings = load_settings()
    settings.collection(collection)
    partner = settings.full_device(device)
    if partner == settings.full_name:
        raise UserError(f"{partner} is this device; name another one, `twsync devices` lists them.", code="own-device")
    with Daemon(settings) as daemon:
        result = daemon.call("alert", {"collection": collection, "device": partner, "type": sync_type})
    if result["state"] == "queued":
        say(str(result["message"]))
    elif not as_json:
        click.echo(f"{printable(partner)} starts the session")
    if as_json:
        print_json(result)
    return Exit.OFFLINE if result["state"] == "queued" else Exit.DONE
