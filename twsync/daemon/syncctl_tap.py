"""``twistd syncctl``: the control server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.application.service import IService
from twisted.python import usage

from twsync.control.service import ControlService
from twsync.control.settings import Settings, load
from twsync.daemon import logs
from twsync.daemon.startup import clearly, own_pid_file

_PROGRAM = "syncctl"


class Options(usage.Options):
    """Command line of ``twistd syncctl``."""

    synopsis = "[--config FILE]"
    longdesc = (
        "The control server of twsync: knows users and devices, who is online and who may sync with whom, and introduces devices "
        "to each other by SIP. Make its settings with 'twsync ctl init DIR --realm example.org'. "
        "Example: twistd -n syncctl --config /etc/twsync/syncctl.toml"
    )
    optParameters = [["config", "c", None, "The settings file (default: $TWSYNC_CONFIG, then syncctl.toml in the current folder)."]]  # noqa: RUF012, N815

    def postOptions(self) -> None:
        """Read the settings before twistd goes into the background, so that a mistake in them is told at once."""
        named = self["config"] or os.environ.get("TWSYNC_CONFIG") or "syncctl.toml"
        with clearly(_PROGRAM):
            settings = load(Path(named))
        self.settings: Settings = settings
        parent: Any = self.parent
        if parent is not None:
            own_pid_file(parent, Path(named))
            logs.take_over(parent, settings.log.level, settings.log.json)


class _ClearService(ControlService):
    """Says why it cannot start in one sentence."""

    def privilegedStartService(self) -> None:
        with clearly(_PROGRAM):
            super().privilegedStartService()

    def startService(self) -> None:
        with clearly(_PROGRAM):
            super().startService()


def makeService(options: Options) -> IService:
    """The service, for twistd."""
    from twisted.internet import reactor

    service: Any = _ClearService(options.settings, reactor)
    found: IService = service
    return found
