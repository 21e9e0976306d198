"""How a daemon that cannot start says so: one sentence, exit code 1, no traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from twsync.errors import TwsyncError


class StartFailed(SystemExit, Exception):  # noqa: N818 - named as it reads in twistd's log
    """The daemon cannot start.

    twistd reports an `Exception` of its background process to the one in the foreground and removes the pid file; Python prints a
    `SystemExit` as it is and ends with code 1. Being both gives both.
    """


@contextmanager
def clearly(program: str) -> Iterator[None]:
    """Turn twsync's errors and the operating system's into `StartFailed`."""
    try:
        yield
    except TwsyncError as error:
        raise _failed(f"{program}: {error.message}") from None
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise _failed(f"{program}: {what}") from None


def local_zone(environment: Mapping[str, str] = os.environ, link: Path = Path("/etc/localtime")) -> str:
    """IANA name of this machine's time zone: $TZ, else where /etc/localtime leads to, else UTC."""
    named = environment.get("TZ", "").lstrip(":")
    if not named:
        named = str(link.resolve()).partition("/zoneinfo/")[2]
    try:
        return ZoneInfo(named).key
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return "UTC"


def own_pid_file(parent: MutableMapping[str, Any], settings: Path) -> None:
    """Let every daemon have a pid file of its own, instead of the `twistd.pid` of the current folder that all twistd programs share.

    In the foreground there is none: whoever started it knows it. A ``--pidfile`` of the user's stays.

    :param parent: twistd's options.
    :param settings: the settings file; the pid file stands beside it, with the ending ``.pid``.
    """
    if parent.get("pidfile") == "twistd.pid":  # `twist` has no such option
        parent["pidfile"] = "" if parent["nodaemon"] else str(settings.absolute().with_suffix(".pid"))


def _failed(sentence: str) -> StartFailed:
    # Once twistd logs, what Python prints at the end goes into the log; whoever waits at the terminal shall read it too.
    if sys.stderr is not sys.__stderr__ and sys.__stderr__ is not None:
        print(sentence, file=sys.__stderr__)
    return StartFailed(sentence)
