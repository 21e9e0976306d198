"""``twsync restore``: records as they were before a session."""

from __future__ import annotations

import time
from typing import Any

import click

from twsync.cli.daemon import running
from twsync.cli.funnel import Exit
from twsync.cli.journal import writing
from twsync.cli.options import config_option, json_option, load_settings, print_json
from twsync.cli.table import printable
from twsync.peer import mending
from twsync.peer.settings import Settings
from twsync.store.recordhost import RecordHost


@click.command()
@click.argument("session")
@config_option
@json_option
def restore(session: str, as_json: bool) -> int:
    """Bring the record collections that SESSION changed on this host back to what they were before it.

    What later sessions brought, and what was edited here since, goes, too (into the trash). That is a change like any other: the next
    sessions take it to the other hosts, and it can be taken back itself, by the session that is named. `twsync history` lists the
    sessions. (Files that a session replaced: `twsync trash`.)

    \b
    Example:
      twsync restore 3f1c9a7be2d04e5c8f6a1b2c3d4e5f60
    """
    settings = load_settings()
    daemon = running(settings)
    found: list[dict[str, Any]]
    if daemon is not None:
        with daemon:
            found = daemon.call("undo", {"session": session})
    else:
        found = _alone(settings, session)
    if as_json:
        print_json(found)
    for one in found:
        if not as_json:
            counts = f"{one['added']} back, {one['changed']} changed back, {one['deleted']} removed"
            click.echo(f"{one['collection']}: {counts}; this can be taken back as {one['session']}")
            for skipped in one["skipped"]:
                click.echo(printable(f"skipped: {skipped['item']} ({skipped['reason']})"))
    return Exit.PARTIAL if any(one["skipped"] for one in found) else Exit.DONE


def _alone(settings: Settings, session: str) -> list[dict[str, Any]]:
    """Without a daemon."""
    with writing(settings, "restore") as journal:
        return mending.undo(RecordHost(journal, lambda: mending.record_collections(settings), settings.device, time.time_ns), session)
