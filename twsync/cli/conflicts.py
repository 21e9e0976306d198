"""``twsync conflicts``: what was kept twice, and which to keep."""

from __future__ import annotations

import os
import time

import click

from twsync.cli.daemon import running
from twsync.cli.journal import reading, writing
from twsync.cli.options import config_option, json_option, load_settings, print_json
from twsync.cli.table import columns
from twsync.errors import UserError
from twsync.peer import documents, mending


class _Conflicts(click.Group):
    """A group whose own argument is a collection's name: what is no subcommand is one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read a first word that is no subcommand as the collection's name."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            ctx.meta["twsync.collection"] = args.pop(0)
        return super().parse_args(ctx, args)


@click.group(cls=_Conflicts, invoke_without_command=True, subcommand_metavar="[COLLECTION | resolve ITEM]")
@click.option("--all", "everything", is_flag=True, help="Show those already resolved too.")
@config_option
@json_option
@click.pass_context
def conflicts(ctx: click.Context, everything: bool, as_json: bool) -> None:
    """List the conflicts that were kept: of all collections, or of COLLECTION.

    \b
    Example:
      twsync conflicts
      twsync conflicts photos --json
      twsync conflicts resolve 3 --keep ours
    """
    if ctx.invoked_subcommand is not None:
        return
    settings = load_settings()
    name = ctx.meta.get("twsync.collection")
    if name is not None:
        settings.collection(name)
    with reading(settings) as journal:
        found = []
        if journal is not None:
            kept = journal.conflicts.list(name, open_only=False) if everything else mending.open_conflicts(journal, name)
            found = documents.conflicts(kept)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            str(one["number"]), one["collection"], one["item"], one["copy"] or "", one["resolution"], one["lost"], one["device"],
            one["seen"] or "",
        )
        for one in found
    ]  # fmt: skip
    head = ("NUMBER", "COLLECTION", "ITEM", "COPY", "RESOLUTION", "COPY IS", "DEVICE", "SEEN")
    click.echo(columns(head, rows) if rows else "No conflicts.")


@conflicts.command()
@click.argument("item")
@click.option("--keep", type=click.Choice(mending.KEEP), required=True, help="This host's content, the other host's, or both as they are.")
@config_option
@json_option
def resolve(item: str, keep: str, as_json: bool) -> None:
    """Resolve one conflict: ITEM is its number, or the name of the item or of its copy.

    What is not kept goes to the trash; the next session takes the decision to the other hosts.

    \b
    Example:
      twsync conflicts resolve 3 --keep ours
      twsync conflicts resolve "notes/a.txt" --keep both
    """
    settings = load_settings()
    with reading(settings) as journal:
        if journal is None:
            raise UserError(f"There is no open conflict {item!r}; `twsync conflicts` lists them.", code="not-found")
        number = mending.find_conflict(journal, item, os.fsencode(item)).number
    daemon = running(settings)
    if daemon is not None:
        with daemon:
            document = daemon.call("resolve", {"number": number, "keep": keep})
    else:
        with writing(settings, "conflicts resolve") as journal:
            document = mending.resolve(settings, journal, number, keep, time.time_ns())
    if as_json:
        print_json(document)
    else:
        more = "both stay where they are" if keep == "both" else "the next session takes it to the other hosts"
        click.echo(f"{document['item']}: kept {document['resolution']}; {more}")
