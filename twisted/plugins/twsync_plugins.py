"""The two daemons as twistd sees them: ``twistd syncctl`` and ``twistd syncpeer``.

No ``__init__.py`` may stand beside this file or above it: one in ``twisted/`` breaks Twisted, one in ``twisted/plugins/`` hides this
plugin.
"""

from __future__ import annotations

from twisted.application.service import ServiceMaker

syncctl = ServiceMaker(
    "twsync control server",
    "twsync.daemon.syncctl_tap",
    "A SIP registrar and proxy that introduces hosts to each other.",
    "syncctl",
)

syncpeer = ServiceMaker(
    "twsync host",
    "twsync.daemon.syncpeer_tap",
    "A host that keeps its collections the same as those of other hosts.",
    "syncpeer",
)
