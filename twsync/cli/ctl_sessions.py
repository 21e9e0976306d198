"""``twsync ctl session``: what is and was going on, message by message."""

from __future__ import annotations

import click
import msgspec

from twsync.cli.ctl_server import config_option, opened
from twsync.cli.options import json_option, print_json
from twsync.cli.table import columns, printable
from twsync.control.registrations import rfc3339
from twsync.session.trace import TraceLine, render
from twsync.store.control_values import SessionRow


@click.group()
def session() -> None:
    """List sessions and show their messages.

    \b
    Example:
      twsync ctl session list --all
    """


def _session_document(row: SessionRow) -> dict[str, object]:
    return {
        "session": row.call_id,
        "caller": row.caller,
        "callee": row.callee,
        "collection": row.collection,
        "type": row.sync_type,
        "state": row.state,
        "progress": msgspec.json.decode(row.progress) if row.progress else None,
        "reason": row.reason or None,
        "started": rfc3339(row.started),
        "ended": None if row.ended is None else rfc3339(row.ended),
    }


@session.command("list")
@click.option("--all", "ended_too", is_flag=True, help="Also those that have ended.")
@json_option
@config_option
def session_list(ended_too: bool, as_json: bool) -> None:
    """List the sessions that run, or all that are remembered.

    \b
    Example:
      twsync ctl session list --all --json
    """
    with opened() as (_, transaction):
        found = transaction.sessions(running_only=not ended_too)
    if as_json:
        print_json([_session_document(row) for row in found])
        return
    rows = [(r.call_id, rfc3339(r.started), r.caller, r.callee, r.collection, r.sync_type, r.state) for r in found]
    none = "No session is remembered." if ended_too else "No session is running; --all shows those of the past."
    click.echo(columns(("SESSION", "STARTED", "CALLER", "CALLEE", "COLLECTION", "TYPE", "STATE"), rows) if rows else none)


@session.command("show")
@click.argument("call_id", metavar="SESSION")
@json_option
@config_option
def session_show(call_id: str, as_json: bool) -> None:
    """Show one session with its messages, step by step. The beginning of its name is enough.

    \b
    Example:
      twsync ctl session show 4f1c
    """
    with opened() as (_, transaction):
        row = transaction.session(call_id)
        lines = [msgspec.json.decode(line.line, type=TraceLine) for line in transaction.trace(row.call_id)]
    document = _session_document(row)
    if as_json:
        print_json(document | {"trace": [msgspec.to_builtins(line) for line in lines]})
        return
    for key, value in document.items():
        click.echo(f"{key + ':':12}{printable('-' if value is None else str(value))}")
    click.echo()
    click.echo(render(lines, (row.caller, "server", row.callee)), nl=False)
