"""The daemon's local interface: JSON lines on a unix socket that only the daemon's user can open.

One request is one line, ``{"call": NAME, "arguments": {...}}``; its answer is any number of lines ``{"event": {...}}`` and then
either ``{"result": ...}`` or ``{"error": {"code": ..., "message": ...}}``. Requests of one connection are answered one after the
other. A client that goes away does not stop what it asked for.
"""

from __future__ import annotations

import os
import typing
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from twsync import limits
from twsync.errors import StoreError, TwsyncError, UserError
from twsync.peer.localsocket import reachable

#: Bytes of one request's line: a few names and options.
MAX_REQUEST = 64 * limits.KIB
#: Clients at once: terminals of one user.
MAX_CLIENTS = 64


class UnixReactor(typing.Protocol):
    """What is needed of a reactor here (mypy cannot read zope interfaces)."""

    def listenUNIX(self, address: str, factory: ServerFactory, *, mode: int) -> Any:  # noqa: ANN401 - an IListeningPort
        """Listen on a unix socket."""


#: Tells the client something while its call is under way.
Report = Callable[[dict[str, Any]], None]
#: Answers a call by name and arguments.
Dispatch = Callable[[str, dict[str, Any], Report], Awaitable[Any]]

_log = Logger()


class Call(msgspec.Struct, forbid_unknown_fields=True):
    """One request."""

    call: str
    arguments: dict[str, Any] = {}


def failure_document(failure: Failure) -> dict[str, str]:
    """What the client is told of a call that failed: our own errors as they are, others by a general sentence (the log has more)."""
    error = failure.value
    if isinstance(error, TwsyncError):
        return {"code": error.code, "message": error.message}
    _log.failure("A local call failed.", failure=failure)
    return {"code": "defect", "message": f"The daemon failed to answer ({type(error).__name__}); its log has the details."}


class LocalProtocol(Protocol):
    """One client's connection: lines in, lines out."""

    transport: Any  # mypy cannot read zope interfaces

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self._buffer = b""
        self._busy = False
        self.gone = False

    def dataReceived(self, data: bytes) -> None:
        """Take bytes; a request longer than the limit ends the connection."""
        self._buffer += data
        if len(self._buffer) > MAX_REQUEST:
            self._answer({"error": {"code": "too-long", "message": "The request is too long."}})
            self.lose()
            return
        self._next()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """The client has gone; what it asked for goes on unheard."""
        self.gone = True

    def _next(self) -> None:
        if self._busy or self.gone:
            return
        line, newline, rest = self._buffer.partition(b"\n")
        if not newline:
            return
        self._buffer = rest
        try:
            call = msgspec.json.decode(line, type=Call)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._answer({"error": {"code": "bad-request", "message": "The request is not a call in JSON."}})
            self.lose()
            return
        self._busy = True
        Deferred.fromCoroutine(self._run(call)).addBoth(self._done)

    async def _run(self, call: Call) -> object:
        return await self._dispatch(call.call, call.arguments, lambda event: self._answer({"event": event}))

    def _done(self, outcome: object) -> None:
        if isinstance(outcome, Failure):
            self._answer({"error": failure_document(outcome)})
        else:
            self._answer({"result": outcome})
        self._busy = False
        self._next()

    def _answer(self, document: dict[str, Any]) -> None:
        if not self.gone and self.transport is not None:
            self.transport.write(msgspec.json.encode(document) + b"\n")

    def lose(self) -> None:
        """Close the connection."""
        self.gone = True
        if self.transport is not None:
            self.transport.loseConnection()


class LocalFactory(ServerFactory):
    """Makes a protocol for each client, up to a number."""

    noisy = False

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self._clients: set[LocalProtocol] = set()

    def buildProtocol(self, addr: object) -> LocalProtocol | None:
        """One more client, or None if there are too many."""
        self._clients = {client for client in self._clients if not client.gone}
        if len(self._clients) >= MAX_CLIENTS:
            return None
        protocol = LocalProtocol(self._dispatch)
        protocol.factory = self
        self._clients.add(protocol)
        return protocol

    def hang_up(self) -> None:
        """Close every connection."""
        for client in self._clients:
            client.lose()


class LocalInterface:
    """The listening side, open between :meth:`start` and :meth:`stop`."""

    def __init__(self, reactor: UnixReactor, socket: Path, dispatch: Dispatch) -> None:
        self._reactor = reactor
        self._socket = socket
        self._factory = LocalFactory(dispatch)
        self._open = ExitStack()
        self._port: Any = None

    def start(self) -> None:
        """Listen. A socket left by a killed daemon is replaced: the caller holds the daemon's lock.

        :raises UserError: something that is no socket stands there.
        :raises StoreError: the socket cannot be made.
        """
        try:
            if self._socket.is_socket():
                self._socket.unlink()
            elif self._socket.exists():
                raise UserError(f"{self._socket} is not a socket; move it away, or name another file under [api] socket.")
            # The folder stays open while the port does: Twisted removes the socket by the path it was given.
            path = self._open.enter_context(reachable(self._socket))
            previous = os.umask(0o177)
            try:
                self._port = self._reactor.listenUNIX(path, self._factory, mode=0o600)
            finally:
                os.umask(previous)
        except (OSError, CannotListenError) as error:
            self._open.close()
            # Of what failed below, but not with the path that Twisted was given.
            cause = error.socketError if isinstance(error, CannotListenError) else error
            why = getattr(cause, "strerror", None) or cause
            what = f"The local interface cannot be opened at {self._socket} ({why}); check that its folder is there and writable"
            raise StoreError(f"{what}, or name another file under [api] socket.") from None

    async def stop(self) -> None:
        """Take no more clients, let go of the present ones and remove the socket."""
        port, self._port = self._port, None
        if port is not None:
            stopped = port.stopListening()
            if stopped is not None:
                await stopped
        self._factory.hang_up()
        self._open.close()
