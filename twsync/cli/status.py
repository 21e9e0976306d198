"""``twsync status``, ``history`` and ``session``: what stands and what was."""

from __future__ import annotations

import json
from typing import Any

import click
import msgspec

from twsync.cli.daemon import running
from twsync.cli.journal import reading
from twsync.cli.options import config_option, json_option, load_settings, print_json
from twsync.cli.outcome import counts, details
from twsync.cli.table import columns, printable
from twsync.errors import UserError
from twsync.peer import documents
from twsync.session.trace import TraceLine, render


@click.command()
@config_option
@json_option
def status(as_json: bool) -> None:
    """Show the connection to the server, the collections with their partners, and running sessions.

    Works with the daemon stopped too; then nothing is connected.

    \b
    Example:
      twsync status
      twsync status --json
    """
    settings = load_settings()
    daemon = running(settings)
    if daemon is not None:
        with daemon:
            document = daemon.call("status")
    else:
        with reading(settings) as journal:
            document = documents.status(settings, journal, False, {"state": "stopped", "message": "The daemon is not running."}, [])
    if as_json:
        print_json(document)
        return
    server = document["server"]
    why = server.get("message")
    state = f"not connected: {why or server.get('state') or 'unknown'}"
    if server["connected"]:
        state = f"connected, but {why}" if why else "connected"
    if server.get("retry_in"):
        state += f"; next try in {server['retry_in']:.0f} s"
    click.echo(f"{document['device']} at {server['uri']}: {printable(state)}")
    rows = []
    for found in document["collections"]:
        partners = found["partners"] or [{"device": "", "state": "", "last_sync": None}]
        for index, partner in enumerate(partners):
            head = (found["name"], found["type"], str(found["items"]), found["path"]) if index == 0 else ("", "", "", "")
            rows.append((*head, partner["device"], partner["state"], partner["last_sync"] or ""))
    if rows:
        click.echo(columns(("COLLECTION", "TYPE", "ITEMS", "PATH", "PARTNER", "STATE", "LAST SYNC"), rows))
    else:
        click.echo("No collections; add one with: twsync collection add NAME PATH --type files")
    for session in document["sessions"]:
        what = f"{session['collection']} with {printable(session['device'])} ({session['type']})"
        click.echo(f"running: {what}, session {session['session']}")


@click.command()
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Sessions to show, newest first.")
@click.option("--collection", metavar="NAME", help="Only sessions of this collection.")
@config_option
@json_option
def history(limit: int, collection: str | None, as_json: bool) -> None:
    """Show the sessions of the past, newest first.

    \b
    Example:
      twsync history --collection photos
    """
    with reading(load_settings()) as journal:
        found = documents.history(journal.sessions.list(limit, collection)) if journal is not None else []
    if as_json:
        print_json(found)
        return
    rows = [
        (one["started"] or "", one["collection"], one["device"], one.get("type", ""), one["state"], _summary(one), one["session"])
        for one in found
    ]
    click.echo(columns(("STARTED", "COLLECTION", "DEVICE", "TYPE", "STATE", "RESULT", "SESSION"), rows) if rows else "No sessions yet.")


@click.command()
@click.argument("session_id", metavar="SESSION")
@click.option("--trace", "with_trace", is_flag=True, help="Draw every message as a ladder.")
@config_option
@json_option
def session(session_id: str, with_trace: bool, as_json: bool) -> None:
    """Show one session; SESSION is its id or the beginning of it, as `twsync history` prints it.

    \b
    Example:
      twsync session 3f6a --trace
    """
    settings = load_settings()
    with reading(settings) as journal:
        record = None
        if journal is not None:
            record = journal.sessions.get(session_id)
            if record is None:
                starting = [one for one in journal.sessions.list(100_000) if one.session.startswith(session_id)]
                if len(starting) > 1:
                    raise UserError(f"{len(starting)} sessions begin with {session_id!r}; give more of the id.", code="ambiguous")
                record = starting[0] if starting else None
        if record is None or journal is None:
            raise UserError(f"There is no session {session_id!r}; `twsync history` lists them.", code="not-found")
        document = documents.session(record)
        trace = journal.sessions.trace(record.session) if with_trace else []
    if as_json:
        print_json({**document, "trace": [json.loads(line) for line in trace]} if with_trace else document)
        return
    for name in ("session", "collection", "device", "role", "protocol", "type", "state", "started", "ended", "seconds"):
        if document.get(name) not in (None, ""):
            click.echo(f"{name:>12}: {printable(str(document[name]))}")
    for way in ("sent", "received"):
        if way in document:
            click.echo(f"{way:>12}: {counts(document[way])}")
    for line in details(document):
        click.echo(line)
    if with_trace:
        own, other = settings.full_name, printable(record.device)
        names = (own, "server", other) if record.role == "client" else (other, "server", own)
        lines = [msgspec.json.decode(line, type=TraceLine) for line in trace]
        click.echo(render(lines, names).rstrip() if lines else "No messages were kept of this session.")


def _summary(one: dict[str, Any]) -> str:
    if one.get("error"):
        return str(one["error"]["code"])
    if "sent" not in one:
        return ""
    ways = (("+", "added"), ("~", "changed"), ("-", "deleted"))
    texts = ["".join(f"{sign}{one[way][name]} " for sign, name in ways).strip() for way in ("sent", "received")]
    return f"sent {texts[0]}, received {texts[1]}"
