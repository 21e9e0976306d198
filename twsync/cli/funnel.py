"""The one place where errors become an exit code and one sentence on stderr.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done with conflicts kept or items skipped, 4 device offline (request stored);
130 after an interrupt, as shells have it. A command returns its code, or raises; it never prints a traceback. With ``--json`` an
error is also one JSON document on stdout: ``{"error": {"code": ..., "message": ...}}``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import click

from twsync.errors import TwsyncError


class Exit(IntEnum):
    """What the caller's shell sees."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    PARTIAL = 3
    OFFLINE = 4
    INTERRUPTED = 130


@dataclass
class Invocation:
    """What the options in front of and behind a command said, for everything below."""

    config: Path | None = None
    json: bool = False


def run(command: click.Command, arguments: Sequence[str] | None, program: str) -> int:
    """Run `command` and return the exit code; whatever goes wrong has been said on stderr by then."""
    invocation = Invocation()
    try:
        outcome = command.main(args=arguments, prog_name=program, standalone_mode=False, obj=invocation)
        sys.stdout.flush()
        return outcome if isinstance(outcome, int) and not isinstance(outcome, bool) else Exit.DONE
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return Exit.USAGE
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else program
        return _say(invocation, "usage", f"{_sentence(error.format_message())} See `{where} --help`.", Exit.USAGE)
    except click.ClickException as error:
        return _say(invocation, "failed", error.format_message(), Exit.FAILED)
    except (KeyboardInterrupt, click.Abort):
        return Exit.INTERRUPTED
    except TwsyncError as error:
        return _say(invocation, error.code, error.message, Exit.FAILED)
    except BrokenPipeError:
        _silence()
        return Exit.FAILED
    except OSError as error:
        what = f"{os.fsdecode(error.filename)}: {error.strerror}" if error.filename else str(error)
        return _say(invocation, "os-error", f"{what}; check the path and its permissions", Exit.FAILED)
    except Exception as error:
        if os.environ.get("TWSYNC_DEBUG"):
            raise
        text = f"This is a defect of twsync ({type(error).__name__}: {error}); run again with TWSYNC_DEBUG=1 and report what it prints"
        return _say(invocation, "defect", text, Exit.FAILED)


def say(message: str) -> None:
    """One sentence on stderr."""
    click.echo(f"twsync: {_sentence(message)}", err=True)


def _say(invocation: Invocation, code: str, message: str, status: Exit) -> int:
    try:
        say(message)
        if invocation.json:
            click.echo(json.dumps({"error": {"code": code, "message": message}}, ensure_ascii=False))
    except BrokenPipeError:
        _silence()
    return status


def _sentence(text: str) -> str:
    """`text` on one line, without control characters (it may quote what another host sent), ended by a full stop."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if line.endswith((".", "!", "?", "`")) else f"{line}."


def _silence() -> None:
    """Let Python's own flush at exit write to nowhere: the reader of the pipe has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
