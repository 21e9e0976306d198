"""``twsync trash``: what sessions replaced or deleted, and how to get it back."""

from __future__ import annotations

import os
import re
import time
from typing import Any

import click

from twsync.cli.daemon import running
from twsync.cli.funnel import Exit, say
from twsync.cli.journal import writing
from twsync.cli.options import config_option, json_option, load_settings, print_json
from twsync.cli.table import amount, columns, printable
from twsync.errors import StoreError, TwsyncError
from twsync.peer import documents, mending
from twsync.peer.settings import Settings
from twsync.store.trash import Trash

#: Seconds of the units of an age.
_UNITS = {"h": 3600, "d": 86_400, "w": 7 * 86_400}


class _Age(click.ParamType[int]):
    """An age as people write it, in seconds."""

    name = "age"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """``30d`` as 2,592,000."""
        found = re.fullmatch(r"([1-9][0-9]{0,4})([hdw])", value)
        if found is None:
            self.fail(f"{value!r} is no age; write hours, days or weeks, as 12h, 30d or 8w.", param, ctx)
        return int(found[1]) * _UNITS[found[2]]


@click.group()
def trash() -> None:
    """List and restore what sessions replaced or deleted, or delete it for good.

    \b
    Example:
      twsync trash list
      twsync trash restore photos a.jpg
      twsync trash empty --older-than 30d
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


@trash.command()
@click.argument("collection", required=False)
@click.option("--older-than", "age", type=_Age(), metavar="AGE", help="What sessions put there longer ago: 12h, 30d, 8w.")
@click.option("--all", "everything", is_flag=True, help="All that is there.")
@config_option
@json_option
def empty(collection: str | None, age: int | None, everything: bool, as_json: bool) -> int:
    """Delete what is in the trash of all collections, or of COLLECTION, for good.

    The age is that of the session that replaced or deleted it. With `trash_days` in a collection's settings the daemon does it by itself.

    \b
    Example:
      twsync trash empty --older-than 30d
      twsync trash empty photos --all
    """
    if (age is None) is not everything:
        raise click.UsageError("Say which: --older-than AGE (such as 30d), or --all.")
    settings = load_settings()
    before = None if age is None else time.time_ns() - age * 10**9
    done: list[dict[str, Any]] = []
    for name in [collection] if collection is not None else [each.name for each in settings.collections]:
        try:
            done.append(_emptied(settings, name, before))
        except TwsyncError as error:
            if collection is not None:
                raise
            say(f"{name}: {error.message}")
            done.append({"collection": name, "error": {"code": error.code, "message": error.message}})
    if as_json:
        print_json(done)
    for one in done:
        if not as_json and "error" not in one:
            click.echo(f"{one['collection']}: {one['files']} files deleted, {amount(one['bytes'])} freed")
            for kept in one["kept"]:
                click.echo(printable(f"kept: {kept['item'] or 'all'} of {kept['session']} ({kept['reason']})"))
    if any("error" in one for one in done):
        return Exit.FAILED
    return Exit.PARTIAL if any(one["kept"] for one in done) else Exit.DONE


def _emptied(settings: Settings, name: str, before: int | None) -> dict[str, Any]:
    """Of one collection, by the daemon if it runs."""
    daemon = running(settings)
    if daemon is None:
        with writing(settings, "trash empty") as journal:
            document = documents.emptied(name, mending.empty_trash(settings, journal, name, before, bool))
    else:
        files = size = 0
        with daemon:
            document = {"complete": False}
            while not document["complete"]:
                # A large trash takes several calls; what is kept is told by each anew.
                document = daemon.call("empty", {"collection": name, "before": before})
                files, size = files + document["files"], size + document["bytes"]
        document |= {"files": files, "bytes": size}
    del document["complete"]
    return document
