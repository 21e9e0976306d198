"""``twsync ctl device``: which devices there are, and which may come in."""

from __future__ import annotations

import time

import click

from twsync.cli.ctl_server import config_option, opened
from twsync.cli.options import json_option, print_json
from twsync.cli.table import columns, printable
from twsync.control.names import checked, split_device
from twsync.control.registrations import rfc3339
from twsync.store.control_values import BindingRow, Device


@click.group()
def device() -> None:
    """List, rename, remove and block devices.

    \b
    Example:
      twsync ctl device block alice/phone
    """


def _document(known: Device, bindings: list[BindingRow]) -> dict[str, object]:
    online = [binding for binding in bindings if (binding.user, binding.device) == (known.user, known.name)]
    return {
        "device": known.full_name,
        "online": bool(online),
        "blocked": known.blocked,
        "fingerprint": known.fingerprint,
        "instance": known.instance,
        "address": known.observed,
        "claimed_address": known.claimed,
        "agent": known.agent,
        "first_seen": rfc3339(known.first_seen),
        "last_seen": rfc3339(time.time() if online else known.last_seen),
    }


def _passing(binding: BindingRow) -> dict[str, object]:
    """A stock user agent that is not remembered: it is there now, and that is all that is known."""
    return {
        "device": f"{binding.user}/{binding.device}",
        "online": True,
        "blocked": False,
        "fingerprint": None,
        "instance": binding.instance,
        "address": binding.contact[:255],
        "claimed_address": binding.contact[:255],
        "agent": "",
        "first_seen": None,
        "last_seen": rfc3339(time.time()),
    }


def _state(document: dict[str, object]) -> str:
    return "blocked" if document["blocked"] else "online" if document["online"] else "offline"


@device.command("list")
@click.argument("name", metavar="[USER]", required=False)
@json_option
@config_option
def device_list(name: str | None, as_json: bool) -> None:
    """List the devices, of all users or of one.

    \b
    Example:
      twsync ctl device list alice --json
    """
    with opened() as (_, transaction):
        if name is not None:
            transaction.user(name)
        bindings = transaction.bindings(time.time())
        devices = transaction.devices(name)
    documents = [_document(known, bindings) for known in devices]
    listed = {(known.user, known.name) for known in devices}
    documents += [
        _passing(binding) for binding in bindings if (binding.user, binding.device) not in listed and name in (None, binding.user)
    ]
    documents.sort(key=lambda document: str(document["device"]))
    if as_json:
        print_json(documents)
        return
    rows = [(str(d["device"]), _state(d), str(d["address"]), str(d["last_seen"]), str(d["fingerprint"] or "-")) for d in documents]
    click.echo(columns(("DEVICE", "STATE", "ADDRESS", "LAST SEEN", "FINGERPRINT"), rows) if rows else "No device has registered yet.")


@device.command("show")
@click.argument("name", metavar="USER/DEVICE")
@json_option
@config_option
def device_show(name: str, as_json: bool) -> None:
    """Show one device, and what is stored for it.

    \b
    Example:
      twsync ctl device show alice/laptop
    """
    with opened() as (_, transaction):
        document = _document(transaction.device(*split_device(name)), transaction.bindings(time.time()))
        stored = [request for request in transaction.requests() if f"{request.user}/{request.device}" == name]
    document["requests"] = [
        {"partner": r.partner, "collection": r.collection, "type": r.sync_type, "created": rfc3339(r.created)} for r in stored
    ]
    if as_json:
        print_json(document)
        return
    for key, value in document.items():
        if key != "requests":
            click.echo(f"{key.replace('_', ' ') + ':':18}{printable('-' if value is None else str(value))}")
    for request in stored:
        click.echo(f"stored request:   {request.sync_type} of {request.collection} with {request.partner}, {rfc3339(request.created)}")


@device.command("rename")
@click.argument("name", metavar="USER/DEVICE")
@click.argument("new", metavar="NEW")
@config_option
def device_rename(name: str, new: str) -> None:
    """Give a device another name. Write the new name into the device's own settings too, else it is refused.

    \b
    Example:
      twsync ctl device rename alice/laptop oldlaptop
    """
    owner, old = split_device(name)
    new = new.removeprefix(f"{owner}/")
    with opened() as (_, transaction):
        transaction.rename_device(owner, old, checked(new, "device"))


@device.command("remove")
@click.argument("name", metavar="USER/DEVICE")
@config_option
def device_remove(name: str) -> None:
    """Forget a device and its key: the next one to register under this name is taken for it. To keep one out, block it.

    \b
    Example:
      twsync ctl device remove alice/laptop
    """
    with opened() as (_, transaction):
        transaction.remove_device(*split_device(name))


@device.command("block")
@click.argument("name", metavar="USER/DEVICE")
@config_option
def device_block(name: str) -> None:
    """Block a device: it is signed out and cannot register until it is unblocked.

    \b
    Example:
      twsync ctl device block alice/phone
    """
    with opened() as (_, transaction):
        transaction.block_device(*split_device(name), True)


@device.command("unblock")
@click.argument("name", metavar="USER/DEVICE")
@config_option
def device_unblock(name: str) -> None:
    """Let a blocked device in again.

    \b
    Example:
      twsync ctl device unblock alice/phone
    """
    with opened() as (_, transaction):
        transaction.block_device(*split_device(name), False)
