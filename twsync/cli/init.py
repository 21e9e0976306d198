"""``twsync init``: the folder of a new device."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from twsync.cli.secret import read_password
from twsync.errors import ConfigError, UserError
from twsync.peer import settings
from twsync.peer.address import ServerAddress, device_name, own_address, parse_server
from twsync.store.wholefile import write_whole
from twsync.transport import tls

_TEMPLATE = """\
# Settings of this twsync host. Every setting with its default is explained in etc/syncpeer.toml of the distribution
# and in docs/hosts.md. Paths are relative to this file.

[device]
# The name under which your other devices know this one.
name = {name}
# The control server, and who you are there; the password stands in the file `password` beside this one.
server = {server}
user = {user}
# The SHA-256 fingerprint of the server's certificate. Without it the certificate must be good for the host name
# by the authorities that this machine trusts.
{fingerprint}

[data]
# Where other devices connect to: a Twisted endpoint string. Port 0: any free one.
listen = {listen}
# Addresses (ADDRESS or ADDRESS:PORT) to name to other devices first, if this host is behind a port forwarding.
advertise = {advertise}

[syncml]
# Where SyncML clients such as phones connect to, at the path /syncml: a Twisted endpoint string, tcp:PORT for HTTP or
# ssl:PORT:privateKey=FILE:certKey=FILE for HTTPS. Empty: none are served. `twsync syncml account add` makes their accounts.
listen = {syncml}

[log]
# debug, info, warn, error or critical
level = "info"

# One [[collection]] for each folder; `twsync collection add` writes them.
"""


def _fingerprint(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    algorithm, _, digits = value.strip().partition(":")
    digits = digits.replace(":", "").lower()
    if algorithm.lower() != "sha256" or not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise click.BadParameter("write sha256: and 64 hexadecimal digits, as `twsync ctl init` prints them")
    return f"sha256:{digits}"


def _checked(ctx: click.Context, param: click.Parameter, value: str) -> str:
    try:
        parse_server(value) if param.name == "server" else device_name(value)
    except ConfigError as error:
        raise click.BadParameter(error.message) from None
    return value


def _addresses(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            own_address(value, 1)
        except ConfigError as error:
            raise click.BadParameter(error.message) from None
    return values


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--server", required=True, metavar="sips:USER@HOST:PORT", callback=_checked, help="The control server and the user there.")
@click.option("--device", required=True, metavar="NAME", callback=_checked, help="The name of this device, such as laptop.")
@click.option("--server-fingerprint", metavar="sha256:HEX", callback=_fingerprint, help="The certificate that the server must have.")
@click.option("--data-port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Port for other devices; 0: any free one.")
@click.option("--advertise", multiple=True, metavar="ADDRESS[:PORT]", callback=_addresses, help="Address to name to other devices first.")
@click.option("--syncml-port", type=click.IntRange(0, 65535), default=0, help="Port for SyncML clients such as phones; 0: none are served.")
def init(
    folder: Path, server: str, device: str, server_fingerprint: str | None, data_port: int, advertise: tuple[str, ...], syncml_port: int
) -> None:
    """Make DIR with the settings, the key and the password of a new device, and print the device's fingerprint.

    The password is asked for on a terminal, else read from $TWSYNC_PASSWORD or the first line of stdin.

    \b
    Example:
      twsync init ~/sync --server sips:alice@sync.example.org:5061 --device laptop --server-fingerprint sha256:HEX
    """
    file = folder / "syncpeer.toml"
    address = parse_server(server)
    if file.exists():
        _new_key(file, f"{address.user}/{device}")
        return
    password = read_password(f"Password of {address.user} at {address.host}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "state").mkdir(mode=0o700, exist_ok=True)
    (folder / "state").chmod(0o700)
    # An interrupted run leaves a key without settings: the key is as good as new, and is kept.
    key = folder / "device"
    identity = tls.load_device(key) if (key / "cert.pem").exists() else tls.create_device(key, f"{address.user}/{device}")
    write_whole(folder / "password", password.encode() + b"\n", 0o600)
    write_whole(file, _text(address, device, server_fingerprint, data_port, advertise, syncml_port).encode(), 0o600)
    settings.load(file)
    click.echo(f"{address.user}/{device} {identity.fingerprint}")
    click.echo(f"Add a folder with: twsync collection add NAME PATH --type files --config {file}", err=True)
    click.echo(f"Then start with:   twistd -n syncpeer --config {file}", err=True)


def _new_key(file: Path, name: str) -> None:
    """Make the key of a device whose settings are there, if it is gone.

    :raises UserError: it is not, or the settings are those of another device.
    """
    found = settings.load(file)
    folder = found.device_folder
    if found.full_name != name or (folder / "cert.pem").exists() or (folder / "key.pem").exists():
        raise UserError(f"{file} is there already and is not overwritten; choose another folder, or move it away.", code="exists")
    identity = tls.create_device(folder, name)
    click.echo(f"{name} {identity.fingerprint}")
    click.echo(
        f"{file} is left as it is; its device has a new key now, because the old one was gone. With the old key's backup, put that back.",
        err=True,
    )
    click.echo(f"Else the server's administrator says:  twsync ctl device remove {name}", err=True)
    click.echo(f"and each device that has met this one: twsync trust {name}", err=True)


def _text(address: ServerAddress, device: str, fingerprint: str | None, port: int, advertise: tuple[str, ...], syncml: int) -> str:
    def quoted(value: object) -> str:
        return json.dumps(value, ensure_ascii=False)

    line = f"server_fingerprint = {quoted(fingerprint)}" if fingerprint else '# server_fingerprint = "sha256:HEX"'
    return _TEMPLATE.format(
        name=quoted(device), server=quoted(address.uri), user=quoted(address.user), fingerprint=line,
        listen=quoted(f"tcp:{port}"), advertise=quoted(list(advertise)), syncml=quoted(f"tcp:{syncml}" if syncml else ""),
    )  # fmt: skip
