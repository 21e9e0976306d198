"""The log of a daemon, after ``[log]`` of its settings: from which level on, and as text or as JSON lines.

twistd's own options stay in force: ``--logfile`` and ``--nodaemon`` say where the log goes, and who gives ``--logger`` or ``--syslog`` gets
exactly that.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, MutableMapping
from typing import IO, Any, cast

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    eventAsText,
    textFileLogObserver,
)
from twisted.python.logfile import LogFile


def take_over(options: MutableMapping[str, Any], level: str, as_json: bool) -> None:
    """Make twistd log as the settings say.

    :param options: twistd's own, the parent of the daemon's.
    :param level: debug, info, warn, error or critical.
    :param as_json: one JSON document a line.
    """
    if options.get("logger") or options.get("syslog"):
        return
    # twistd takes the name of a function without arguments, and looks it up before it calls it.
    _chosen[:] = [lambda: observer(_stream(options), level, as_json)]
    options["logger"] = f"{__name__}.configured"


_chosen: list[Callable[[], ILogObserver]] = []


def configured() -> ILogObserver:
    """The observer that `take_over` asked for; twistd calls this."""
    return _chosen[-1]()


def observer(stream: IO[str], level: str, as_json: bool) -> ILogObserver:
    """What writes events of `level` and above to `stream`."""
    write: Any = FileLogObserver(stream, _json_line) if as_json else textFileLogObserver(stream)
    predicate: Any = LogLevelFilterPredicate(defaultLogLevel=LogLevel.levelWithName(level))
    wanted: Any = FilteringLogObserver(write, [predicate])
    return cast(ILogObserver, wanted)


def _json_line(event: dict[str, Any]) -> str:
    """Events hold objects of all kinds; their text is what a reader of JSON lines can use."""
    level = event.get("log_level")
    line = {
        "time": event.get("log_time"),
        "level": level.name if level is not None else "info",
        "from": event.get("log_namespace", ""),
        "text": eventAsText(event, includeTimestamp=False, includeSystem=False),
    }
    return json.dumps(line, ensure_ascii=False) + "\n"


def _stream(options: MutableMapping[str, Any]) -> IO[str]:
    name = options.get("logfile") or ""
    if options.get("nodaemon") and name in ("", "-"):
        return sys.stdout
    if name == "-":
        sys.exit("A daemon in the background has no terminal to log to: give --logfile FILE, or --nodaemon.")
    file: IO[str] = LogFile.fromFullPath(name or "twistd.log")
    return file
