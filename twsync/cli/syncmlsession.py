"""``twsync syncml sync``, ``pull`` and ``push``: sessions with a stock SyncML server, this host being the client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from twsync.cli import syncmlnotify
from twsync.cli.daemon import Daemon
from twsync.cli.funnel import Exit, say
from twsync.cli.options import config_option, json_option, load_settings, print_json
from twsync.cli.outcome import counts, details
from twsync.cli.progress import Bar
from twsync.cli.secret import read_password
from twsync.cli.table import printable
from twsync.errors import UserError
from twsync.reconcile.model import SyncType
from twsync.session.result import SessionResult

#: Those of all three commands; the type is each one's own.
_OPTIONS = (
    click.argument("url"),
    click.argument("collections", nargs=-1, required=True, metavar="COLLECTION[=DATABASE]..."),
    click.option("--user", default="", help="The account there; its password: $TWSYNC_PASSWORD, a terminal, or stdin."),
    click.option("--xml", is_flag=True, help="Send XML, not WBXML."),
    click.option("--version", type=click.Choice(["1.2", "1.1", "1.0"]), default="1.2", show_default=True, help="Of SyncML, to begin with."),
    click.option("--exactly", is_flag=True, help="Try no other version and encoding, even if the server asks for it."),
    click.option("--no-slow", is_flag=True, help="Stop if everything would have to be compared."),
    click.option(
        "--notified",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Do what this package of the server asks for, as far as it is about COLLECTION; it never makes a session a refresh.",
    ),
    click.option("--allow-deletes", is_flag=True, help="Go on even if many items would be deleted."),
    config_option,
    json_option,
)


def _command(name: str, summary: str, usual: SyncType) -> click.Command:
    """One of the three."""
    choice = click.Choice([each.value for each in SyncType])
    command: Any = click.option("--type", "sync_type", type=choice, default=usual.value, show_default=True, help="This host is the client.")
    command = command(lambda **values: _run(**values))
    for option in reversed(_OPTIONS):
        command = option(command)
    text = f"""{summary}

    COLLECTION is a collection of records of this host; DATABASE its name at the server, if it is another one. The daemon must run.

    \b
    Example:
      twsync syncml {name} https://sync.example.org/syncml contacts=card --user alice
    """
    made: click.Command = click.command(name, help=text)(command)
    return made


def _run(
    url: str, collections: tuple[str, ...], user: str, sync_type: str, xml: bool, version: str, exactly: bool, no_slow: bool,
    notified: Path | None, allow_deletes: bool, as_json: bool,
) -> int:  # fmt: skip
    settings = load_settings()
    pairs = [_pair(each) for each in collections]
    for own, _ in pairs:
        if not settings.collection(own).records:
            raise UserError(f"{own} holds files; SyncML is for collections of records.", code="no-records")
    if not url.startswith(("http://", "https://")):
        raise UserError(f"{url} is no address of a SyncML server; it begins with http:// or https://.", code="bad-url")
    arguments: dict[str, Any] = {
        "url": url, "collections": pairs, "user": user, "sync_type": sync_type, "protocol": version,
        "password": read_password(f"Password of {user} at {url}") if user else "",
        "encoding": "application/vnd.syncml+" + ("xml" if xml else "wbxml"), "fixed": exactly, "allow_slow": not no_slow,
        "allow_deletes": allow_deletes,
    }  # fmt: skip
    if notified is not None:
        arguments["session_id"], arguments["notified"] = syncmlnotify.read(notified)
    with Daemon(settings) as daemon, Bar(not as_json) as bar:
        results = daemon.call("syncml", arguments, bar.heard)
    if as_json:
        print_json(results[0] if len(results) == 1 else results)
    for result in results:
        if not as_json:
            _tell(result)
        if result.get("error"):
            say(f"{result['collection']}: {result['error']['message']}")
    codes = [msgspec.convert(result, SessionResult).exit_code() for result in results]
    return Exit.FAILED if Exit.FAILED in codes else max(codes, default=Exit.FAILED)


def _pair(word: str) -> tuple[str, str]:
    """``contacts=card`` as own name and the server's."""
    own, equals, theirs = word.partition("=")
    if not own or (equals and not theirs):
        raise UserError(f"{word!r} is not COLLECTION or COLLECTION=DATABASE.", code="bad-collection")
    return own, theirs or own


def _tell(result: dict[str, Any]) -> None:
    click.echo(f"{result['collection']}: {result['state']} in {result['seconds']:.1f} s ({result['effective_type'] or result['type']})")
    click.echo(f"    sent: {counts(result['sent'])}")
    click.echo(f"received: {counts(result['received'])}")
    for line in details({**result, "error": None}):
        click.echo(printable(line))


COMMANDS = (
    _command("sync", "Synchronise with a SyncML server, both ways.", SyncType.TWO_WAY),
    _command("pull", "Take the changes of a SyncML server.", SyncType.ONE_WAY_FROM_SERVER),
    _command("push", "Give a SyncML server the changes of this host.", SyncType.ONE_WAY_FROM_CLIENT),
)
