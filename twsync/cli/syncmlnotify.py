"""``twsync syncml notify``: the package by which a SyncML server asks a device for a session; and reading one."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

import click

from twsync.cli.options import config_option, load_settings
from twsync.errors import FormatError, UserError
from twsync.reconcile.model import SyncType
from twsync.syncml import codec, notification
from twsync.syncml.clientsetup import alerts_in
from twsync.syncml.codes import BY_SERVER
from twsync.syncml.document import Alert, Encoding, Header, Item, Location, Message, Meta, Protocol

#: WSP codes of media types in a 1.2 notification, and the media types that a 1.1 alert names, by the type of the collection.
_CONTENT = {
    "contacts": (0x07, "text/x-vcard"), "calendar": (0x06, "text/x-vcalendar"), "tasks": (0x06, "text/x-vcalendar"),
    "notes": (0x03, "text/plain"), "sms": (0x00, "text/x-vmsg"),
}  # fmt: skip
_CODES = {sync_type: code for code, sync_type in BY_SERVER.items()}


@click.command()
@click.argument("collections", nargs=-1, required=True, metavar="COLLECTION...")
@click.option(
    "--type", "sync_type", type=click.Choice([each.value for each in _CODES]), default=SyncType.TWO_WAY.value, show_default=True,
    help="The kind of session to ask for; the device is the client.",
)  # fmt: skip
@click.option("--version", type=click.Choice(["1.2", "1.1"]), default="1.2", show_default=True, help="Of SyncML.")
@click.option("--device", "device", default="/", help="The device's id, for version 1.1 (default: any).")
@click.option("--server-id", help="By which the device finds its account of this host (default: USER/DEVICE of this host).")
@click.option("--nonce", default="", help="The nonce that the device was set up with.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it there (default: stdout).")
@config_option
def notify(
    collections: tuple[str, ...], sync_type: str, version: str, device: str, server_id: str | None, nonce: str, output: Path | None
) -> None:
    """Write the package that asks a phone to synchronise COLLECTION with this host.

    It is for the bearer that reaches the phone: a WAP push by an SMS gateway, or OBEX. $TWSYNC_PASSWORD is the server's password that the
    phone was set up with, if it has one. (Other twsync hosts are asked by `twsync alert`.)

    \b
    Example:
      twsync syncml notify contacts calendar --output package.bin
    """
    settings = load_settings()
    found = [settings.collection(name) for name in collections]
    for each in found:
        if not each.records:
            raise UserError(f"{each.name} holds files; SyncML is for collections of records.", code="no-records")
    code, server = _CODES[SyncType(sync_type)], server_id or settings.full_name
    session = 1 + secrets.randbelow(0xFFFF)
    try:
        if version == "1.2":
            entries = tuple(notification.Alerted(code, each.name, _CONTENT[each.type][0]) for each in found)
            wanted = notification.Notification(server, session, entries)
            package = notification.build(wanted, os.environ.get("TWSYNC_PASSWORD", ""), nonce.encode())
        else:
            alerts = [(each.name, _CONTENT[each.type][1]) for each in found]
            package = codec.encode(_message(code, session, device, server, alerts), Encoding.WBXML)
    except FormatError as error:
        raise UserError(f"The package cannot be made: {error.message.rstrip('.')}.") from None
    if output is not None:
        output.write_bytes(package)
    else:
        sys.stdout.buffer.write(package)


def read(path: Path) -> tuple[int, list[tuple[str, int]]]:
    """The session id and the (server's datastore, alert code) pairs of a package, of either version.

    :raises UserError: it is none.
    """
    data = path.read_bytes()
    try:
        told = notification.parse(data).notification
        return told.session, [(entry.uri, entry.code) for entry in told.datastores]
    except FormatError:
        pass
    try:
        message = codec.decode(data).message
        return int(message.header.session_id), alerts_in(message)
    except (FormatError, ValueError):
        raise UserError(f"{path} is no notification of a SyncML server.", code="bad-notification") from None


def _message(code: int, session: int, device: str, server: str, alerts: list[tuple[str, str]]) -> Message:
    """The 1.1 style alert."""
    header = Header(Protocol.V1_1, str(session), "1", Location(device), Location(server))
    commands = [
        Alert(str(number), str(code), (Item(source=Location(name), meta=Meta(type=media)),))
        for number, (name, media) in enumerate(alerts, 1)
    ]
    return Message(header, tuple(commands), final=True)
