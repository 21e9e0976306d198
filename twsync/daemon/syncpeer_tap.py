"""``twistd syncpeer``: a host."""

from __future__ import annotations

import os
import random
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import platformdirs
from twisted.application.service import IService
from twisted.python import usage

from twsync.daemon import logs, memory
from twsync.daemon.startup import clearly, local_zone, own_pid_file
from twsync.peer.service import PeerService
from twsync.peer.settings import Settings, load

_PROGRAM = "syncpeer"
#: Seconds after which a thread that runs Python gives way to one that waits for it. With the 5 ms that are usual, each return from a batch
#: in C, and each turn of the reactor beside a busy thread, waits for that long.
_TURN = 0.0002


class Options(usage.Options):
    """Command line of ``twistd syncpeer``."""

    synopsis = "[--config FILE]"
    longdesc = (
        "A host of twsync: registers at the control server, and keeps its collections the same as those of other hosts. "
        "Make its settings with 'twsync init DIR --server sips:USER@HOST:PORT --device NAME'. "
        "Example: twistd -n syncpeer --config ~/sync/syncpeer.toml"
    )
    optParameters = [["config", "c", None, "The settings file (default: $TWSYNC_CONFIG, then the user's config folder)."]]  # noqa: RUF012, N815

    def postOptions(self) -> None:
        """Read the settings before twistd goes into the background, so that a mistake in them is told at once."""
        usual = Path(platformdirs.user_config_dir("twsync")) / "syncpeer.toml"
        named = Path(self["config"] or os.environ.get("TWSYNC_CONFIG") or usual)
        with clearly(_PROGRAM):
            settings = load(named)
            settings.password()
        self.settings: Settings = settings
        parent: Any = self.parent
        if parent is not None:
            own_pid_file(parent, named)
            logs.take_over(parent, settings.log_level, settings.log_json)


class _ClearService(PeerService):
    """Says why it cannot start in one sentence."""

    def startService(self) -> None:
        with clearly(_PROGRAM):
            super().startService()
        sys.setswitchinterval(_TURN)
        memory.settle()


def makeService(options: Options) -> IService:
    """The service, for twistd."""
    from twisted.internet import reactor

    with clearly(_PROGRAM):
        service: Any = _ClearService(
            options.settings, reactor, time.time, secrets.token_bytes, random.SystemRandom().random,
            zone=local_zone(), give_back=memory.give_back,
        )  # fmt: skip
    found: IService = service
    return found
