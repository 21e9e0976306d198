"""``twsync collection``: the folders that this host keeps the same. Edits ``syncpeer.toml`` and keeps its comments."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import tomlkit
from tomlkit.items import AoT

from twsync.cli.daemon import running
from twsync.cli.journal import writing
from twsync.cli.options import config_option, json_option, load_settings, print_json
from twsync.cli.table import columns
from twsync.errors import ConfigError, UserError
from twsync.peer import settings as peer_settings
from twsync.peer.files import settings_lock
from twsync.peer.settings import FILE_TYPES, RECORD_TYPES, Settings, check_apart, check_collection
from twsync.store.paths import Gate
from twsync.store.wholefile import write_whole


@click.group()
def collection() -> None:
    """Add, list and remove the folders that this host keeps the same.

    \b
    Example:
      twsync collection add photos ~/Pictures --type pictures
      twsync collection list
    """


@collection.command()
@click.argument("name")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--type",
    "kind",
    type=click.Choice([*FILE_TYPES, *RECORD_TYPES]),
    default="files",
    show_default=True,
    help="What the items are: files of any kind, or records, one a file (vCard, iCalendar, text, vMessage).",
)
@click.option(
    "--policy", default="", help="Who wins a conflict: keep-both (files), merge or duplicate (records), ours (the caller) or theirs."
)
@click.option("--live", is_flag=True, help="Follow changes as they happen; not in this version.")
@click.option("--ignore", multiple=True, metavar="PATTERN", help="Leave out what matches, as in .gitignore.")
@click.option("--device", "devices", multiple=True, metavar="DEVICE", help="Only this device may sync it, such as desktop or bob/laptop.")
@config_option
def add(name: str, path: Path, kind: str, policy: str, live: bool, ignore: tuple[str, ...], devices: tuple[str, ...]) -> None:
    """Add the folder PATH under the name NAME; it has the same name on every host. A running daemon takes it up at once.

    \b
    Example:
      twsync collection add photos ~/Pictures --type pictures --ignore '*.tmp' --device desktop
    """
    settings = load_settings()
    # Where a link leads to now: the daemon does not follow links, and one that is turned later must not bring in another folder.
    where = Path(os.path.realpath(path.expanduser()))
    try:
        new = check_collection(name, str(where), kind, policy, live, list(ignore), list(devices), settings.folder)
    except ConfigError as error:
        raise UserError(error.message, code=error.code) from None
    if not where.is_dir():
        what = "is not a folder" if where.exists() else "does not exist"
        raise UserError(f"{where} {what}; make the folder first, or check the path.", code="no-folder")
    with settings_lock(settings.folder):
        settings = load_settings()
        check_apart((*settings.collections, new))
        for private in (settings.state, settings.device_folder):
            if where in (private.resolve(), *private.resolve().parents):
                what = f"{where} holds this host's own settings and key ({settings.folder}); choose another folder."
                raise UserError(what, code="own-folder")
        Gate.open(where, known=False).close()
        document = tomlkit.parse(settings.file.read_text("utf-8"))
        table = tomlkit.table()
        table.update({"name": name, "path": str(where), "type": kind, "policy": str(new.policy)})
        if ignore:
            table.add("ignore", list(ignore))
        if devices:
            table.add("devices", list(devices))
        _collections(document).append(table)
        _save(settings, document)
    daemon = running(settings)
    if daemon is not None:
        with daemon:
            daemon.call("reload")
    click.echo(f"{name}: {where}")


@collection.command("list")
@config_option
@json_option
def list_(as_json: bool) -> None:
    """List the collections of this host.

    \b
    Example:
      twsync collection list
    """
    found: list[dict[str, Any]] = [
        {
            "name": one.name, "path": str(one.path), "type": one.type, "policy": str(one.policy), "live": False,
            "ignore": list(one.ignore), "devices": list(one.devices),
        }
        for one in load_settings().collections
    ]  # fmt: skip
    if as_json:
        print_json(found)
        return
    rows = [(one["name"], one["type"], one["policy"], one["path"], " ".join(one["ignore"]), " ".join(one["devices"])) for one in found]
    click.echo(columns(("NAME", "TYPE", "POLICY", "PATH", "IGNORE", "DEVICES"), rows) if rows else "No collections.")


@collection.command()
@click.argument("name")
@config_option
def remove(name: str) -> None:
    """Stop keeping the collection NAME the same. Its folder stays as it is, on this host and on the others.

    This host forgets what it knew of the collection: added again, it is compared as a whole, and nothing is deleted.

    \b
    Example:
      twsync collection remove photos
    """
    settings = load_settings()
    settings.collection(name)
    with settings_lock(settings.folder):
        settings = load_settings()
        document = tomlkit.parse(settings.file.read_text("utf-8"))
        tables = _collections(document)
        for index in reversed([index for index, table in enumerate(tables) if table.get("name") == name]):
            del tables[index]
        if not tables:
            del document["collection"]
        _save(settings, document)
    daemon = running(settings)
    if daemon is not None:
        with daemon:
            daemon.call("forget", {"collection": name})
    else:
        with writing(settings, "collection remove") as journal:
            journal.forget(name)
    click.echo(f"{name} is no longer kept the same; its folder stays as it is")


def _collections(document: tomlkit.TOMLDocument) -> Any:  # noqa: ANN401 - tomlkit's items have no narrower common type
    if "collection" not in document:
        document.add("collection", tomlkit.aot())
    tables = document["collection"]
    if not isinstance(tables, AoT):
        raise UserError("The collections stand in one array in the settings file; write them as [[collection]] tables, then try again.")
    return tables


def _save(settings: Settings, document: tomlkit.TOMLDocument) -> None:
    text = tomlkit.dumps(document)
    peer_settings.parse(text, settings.file)
    write_whole(settings.file, text.encode(), settings.file.stat().st_mode & 0o777)
