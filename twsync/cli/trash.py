"""``twsync trash``: what sessions replaced or deleted, and how to get it back."""

from __future__ import annotations

import os
from typing import Any

import click

from twsync.cli.daemon import running
from twsync.cli.journal import writing
from twsync.cli.options import config_option, json_option, load_settings, print_json
from twsync.cli.table import amount, columns
from twsync.errors import StoreError
from twsync.peer import documents, mending
from twsync.store.trash import Trash


@click.group()
def trash() -> None:
    """List and restore what sessions replaced or deleted.

    \b
    Example:
      twsync trash list
      twsync trash restore photos a.jpg
    """


@trash.command("list")
@click.argument("collection", required=False)
@click.option("--session", metavar="SESSION", help="Only what this session discarded.")
@config_option
@json_option
def list_(collection: str | None, session: str | None, as_json: bool) -> None:
    """List what is in the trash of all collections, or of COLLECTION.

    \b
    Example:
      twsync trash list photos
    """
    settings = load_settings()
    found: list[dict[str, Any]] = []
    for one in [settings.collection(collection)] if collection is not None else settings.collections:
        try:
            with mending.gate_of(settings, one.name) as gate:
                found += documents.trash(one.name, Trash(gate).list(session))
        except StoreError as error:
            if collection is not None:
                raise
            click.echo(f"twsync: {one.name}: {error.message}", err=True)
    if as_json:
        print_json(found)
        return
    rows = [(one["collection"], one["item"], one["kind"], amount(one["size"]), one["discarded"] or "", one["session"]) for one in found]
    click.echo(columns(("COLLECTION", "ITEM", "KIND", "SIZE", "DISCARDED", "SESSION"), rows) if rows else "The trash is empty.")


@trash.command()
@click.argument("collection")
@click.argument("item")
@click.option("--session", metavar="SESSION", help="The one this session discarded (default: the newest).")
@click.option("--to", metavar="NAME", help="Put it there, a path inside the collection (default: where it was).")
@config_option
@json_option
def restore(collection: str, item: str, session: str | None, to: str | None, as_json: bool) -> None:
    """Put ITEM of COLLECTION back; if something stands there now, it goes beside it as `name (restored).ext`.

    The next session takes it to the other hosts.

    \b
    Example:
      twsync trash restore photos 2026/a.jpg
    """
    settings = load_settings()
    with mending.gate_of(settings, collection) as gate:
        thing = mending.find_discarded(Trash(gate).list(session), item, os.fsencode(item), session)
    daemon = running(settings)
    if daemon is not None:
        with daemon:
            # Names are bytes, JSON is not: hexadecimal carries any.
            where = None if to is None else os.fsencode(to).hex()
            arguments = {"collection": collection, "session": thing.session, "item": thing.key.hex(), "to": where}
            document = daemon.call("restore", arguments)
    else:
        with writing(settings, "trash restore"):
            document = mending.restore(settings, collection, thing.session, thing.key, None if to is None else os.fsencode(to))
    if as_json:
        print_json(document)
    else:
        click.echo(f"{document['item']} is back as {document['restored']}; the next session takes it to the other hosts")
