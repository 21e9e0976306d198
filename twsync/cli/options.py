"""Options that many commands share, and what they lead to: the settings, and JSON output."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from twsync.cli.funnel import Invocation
from twsync.peer import settings
from twsync.peer.settings import Settings

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _keep_config(ctx: click.Context, _param: click.Parameter, value: Path | None) -> None:
    if value is not None:
        ctx.ensure_object(Invocation).config = value


def _keep_json(ctx: click.Context, _param: click.Parameter, value: bool) -> bool:
    if value:
        ctx.ensure_object(Invocation).json = True
    return value


def config_option(command: _Command) -> _Command:
    """``--config FILE`` behind the command; read by :func:`load_settings`."""
    return click.option(
        "--config", type=click.Path(path_type=Path), metavar="FILE", expose_value=False, callback=_keep_config,
        help="The host's settings file (default: $TWSYNC_CONFIG, then the user's config folder).",
    )(command)  # fmt: skip


def json_option(command: _Command) -> _Command:
    """``--json``, given to the command as ``as_json``."""
    return click.option(
        "--json", "as_json", is_flag=True, is_eager=True, callback=_keep_json, help="Print one JSON document and nothing else on stdout."
    )(command)


def config_path() -> Path:
    """The settings file that the options, $TWSYNC_CONFIG or the platform name."""
    context = click.get_current_context(silent=True)
    invocation = context.find_object(Invocation) if context else None
    if invocation is not None and invocation.config is not None:
        return invocation.config
    if named := os.environ.get("TWSYNC_CONFIG"):
        return Path(named)
    # Here, for it takes a while, and most commands are told the file.
    import platformdirs

    return Path(platformdirs.user_config_dir("twsync")) / "syncpeer.toml"


def load_settings() -> Settings:
    """The checked settings of this host.

    :raises ConfigError: they are missing or wrong.
    """
    return settings.load(config_path())


def print_json(document: object) -> None:
    """One JSON document on stdout. Names of files that are not UTF-8 come out with their bytes replaced."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=2).encode("utf-8", "replace"))
