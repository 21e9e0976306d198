"""``twsync devices`` and ``trust``: the other hosts and their keys."""

from __future__ import annotations

import time

import click

from twsync.cli.daemon import Daemon, running
from twsync.cli.journal import writing
from twsync.cli.options import config_option, json_option, load_settings, print_json
from twsync.cli.table import columns, printable
from twsync.peer import mending


@click.command()
@config_option
@json_option
def devices(as_json: bool) -> None:
    """Show the devices of this user, and of users who share with this one: who is online, where, and whether its key is trusted.

    The fingerprint is that of the key which the server announces. Where another key was refused, it is shown below, with the trusted one.

    \b
    Example:
      twsync devices
      twsync devices --json
    """
    with Daemon(load_settings()) as daemon:
        found = daemon.call("devices")
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one["device"], "online" if one["online"] else "offline", one["address"] or "", one["last_seen"] or "",
            "yes" if one["trusted"] else "changed" if one["met"] else "not met", one["fingerprint"] or "", one["agent"] or "",
        )
        for one in found
    ]  # fmt: skip
    head = ("DEVICE", "STATE", "ADDRESS", "LAST SEEN", "TRUSTED", "FINGERPRINT", "AGENT")
    click.echo(columns(head, rows) if rows else "No other devices yet.")
    for one in found:
        if one.get("refused_fingerprint"):  # (a daemon from before an upgrade does not say)
            trusted = f"trusted is {one['trusted_fingerprint']} since {one['trusted_since']}"
            click.echo(printable(f"{one['device']}: refused {one['refused_fingerprint']}, last at {one['refused']}; {trusted}"))


@click.command()
@click.argument("device")
@config_option
@json_option
def trust(device: str, as_json: bool) -> None:
    """Accept the key of DEVICE that was seen last: the one refused last, else the one that the server announces.

    Compare the fingerprint with what `twsync init` printed on that device before you go on.

    \b
    Example:
      twsync trust desktop
      twsync trust bob/desktop
    """
    settings = load_settings()
    name = settings.full_device(device)
    daemon = running(settings)
    if daemon is not None:
        with daemon:
            document = daemon.call("trust", {"device": name})
    else:
        with writing(settings, "trust") as journal:
            document = mending.trust(journal, name, None, time.time_ns())
    if as_json:
        print_json(document)
    else:
        what = "now trusted" if document["changed"] else "trusted already"
        click.echo(f"{document['device']} {document['fingerprint']} {what}")
