"""Twisted factories for SIP connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol

from twsync.transport.sipflow import Flow


class ListeningFactory(Factory):
    """Builds flows for connections that come in.

    :param admit: gives a flow for a connection from an address, or None.
    """

    noisy = False

    def __init__(self, admit: Callable[[str], Flow | None]) -> None:
        self._admit = admit

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """A flow, or what ends the connection."""
        # None would do for TCP, but Twisted's TLS wrapper trips over it and leaves the connection standing.
        return self._admit(getattr(addr, "host", "") or "") or _Refused()


class _Refused(Protocol):
    """Ends a connection at once, before a TLS handshake costs anything."""

    transport: Any

    def connectionMade(self) -> None:
        """End it."""
        self.transport.abortConnection()


class ConnectingFactory(Factory):
    """Hands out the one flow of one attempt."""

    noisy = False

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    def buildProtocol(self, addr: IAddress | None) -> Flow:
        """The flow."""
        return self._flow
