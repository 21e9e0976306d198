"""What sessions need of this host, in one place; made by the service."""

from __future__ import annotations

import datetime
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from twsync.peer.acquaintance import Acquaintance
from twsync.peer.agent import Agent
from twsync.peer.calls import Call
from twsync.peer.sessions import Exchange, Progress, Running, Sessions
from twsync.peer.settings import CollectionSettings, Settings
from twsync.peer.tracing import Tracer
from twsync.reconcile.model import Side
from twsync.session.description import Description, to_xml
from twsync.transport.connector import Connected
from twsync.transport.interfaces import Clock
from twsync.transport.keys import Device
from twsync.transport.listener import Listener

if TYPE_CHECKING:
    from twsync.peer.looking import Look

#: Seconds between two INFO of one session.
INFO_PAUSE = 1.0


class Connect(Protocol):
    """:func:`twsync.transport.connector.connect` with this host's reactor and key."""

    def __call__(self, candidates: Sequence[tuple[str, int]], fingerprint: str) -> Awaitable[Connected]:
        """Connect to the first candidate that leads to the device with that fingerprint."""


class BeginLook(Protocol):
    """:meth:`twsync.peer.synchronising.Synchroniser.look`, or nothing where the data part looks by itself."""

    def __call__(self, collection: CollectionSettings, session: str, role: Side, sync_type: str) -> Look | None:
        """Begin; whoever asked closes it."""


@dataclass(eq=False)
class Host:
    """The parts of this host that a session uses."""

    settings: Settings
    "As they are now: replaced by `reload`."
    device: Device
    agent: Agent
    sessions: Sessions
    acquaintance: Acquaintance
    tracer: Tracer
    listener: Listener
    connect: Connect
    exchange: Exchange
    candidates: Callable[[], list[tuple[str, int]]]
    "Addresses of the data port for the other device, the best first."
    clock: Clock
    now: Callable[[], float]
    "Seconds since the epoch."
    token: Callable[[int], bytes]
    uniform: Callable[[], float]
    port: int = 0
    "The data port."
    look: BeginLook | None = None
    "Begins to look at a collection's disk while the session is agreed on."

    def begin_look(self, collection: CollectionSettings, session: str, role: Side, sync_type: str) -> Look | None:
        """Begin to look at the disk, where that can be done before the connection stands; close it in the end."""
        return None if self.look is None else self.look(collection, session, role, sync_type)

    def moment(self) -> datetime.datetime:
        """Now, in whole seconds of UTC, as session descriptions have it."""
        return datetime.datetime.fromtimestamp(int(self.now()), datetime.UTC)

    def signed(self, description: Description) -> bytes:
        """A session description with this device's signature."""
        return to_xml(description, self.device.certificate, self.device.sign)

    def progress_of(self, running: Running, call: Call, report: Progress) -> Progress:
        """Takes in how far the session is: for ``twsync status``, for who waits, and once a second for the other side and the server."""
        last = self.clock.seconds() - INFO_PAUSE

        def progress(event: dict[str, Any]) -> None:
            nonlocal last
            running.progress = event
            report(event)
            if self.clock.seconds() - last >= INFO_PAUSE:
                last = self.clock.seconds()
                self.agent.calls.inform(call, json.dumps(event).encode())

        return progress
