"""What is said on a data channel before it carries HTTP (docs/protocol/peer.md, "Hello"; docs/protocol/syncml.md, "Between hosts")."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from twsync.errors import ProtocolError, SessionError, TwsyncError
from twsync.peerwire import messages
from twsync.peerwire.frames import Frame, FrameType
from twsync.reconcile.model import Side
from twsync.session.result import sentence
from twsync.transport.datachannel import DataChannel

#: The feature by which a client says that many deletions are meant.
ALLOW_DELETES = "allow-deletes"


def no_hello(partner: str) -> SessionError:
    """What ends a session whose other side took the connection and says nothing.

    :param partner: ``user/device``.
    """
    return SessionError(f"{partner} took the connection but does not begin the session; look into its log, then try again.", "timeout")


class Greeting:
    """Receiver of a channel until one side takes HTTP, and of the channel's end afterwards."""

    def __init__(self, channel: DataChannel) -> None:
        self._channel = channel
        self._hello: messages.Hello | None = channel.hello
        self._switched = False
        self._waiting: list[Deferred[None]] = []
        self.error: TwsyncError | None = None
        "Why the channel is over."
        self.allow_deletes = False
        "Whether the other side has said so."

    async def exchange(self, side: Side, session: str, collection: str, token: bytes | None, *, allow_deletes: bool = False) -> None:
        """Say hello and hear it: the client speaks first.

        :param token: the client's, from the answer to its INVITE.
        :param allow_deletes: the client's word that many deletions are meant.
        :raises SessionError: the other side refuses, is another version, or is gone.
        :raises ProtocolError: it says something else.
        """
        features = (*messages.FEATURES, ALLOW_DELETES) if allow_deletes else messages.FEATURES
        own = messages.Hello(messages.PROTOCOL, features, session, collection, token if side is Side.CLIENT else None)
        self._channel.receive(self)
        self._channel.resume()
        if side is Side.CLIENT:
            self._channel.send(own)
        while self._hello is None:
            await self._next()
        heard = self._hello
        if heard.protocol != messages.PROTOCOL:
            raise SessionError("The two devices run versions of twsync that do not fit; bring both up to date.", "protocol-version")
        if (heard.session, heard.collection) != (session, collection):
            raise ProtocolError("a hello for another session")
        self.allow_deletes = ALLOW_DELETES in heard.features
        if side is Side.SERVER:
            self._channel.send(own)

    def switch(self) -> None:
        """This side takes HTTP from now on; call `serve` in the same turn, for the other side may speak at once."""
        self._channel.send(messages.Switch())

    async def switched(self) -> None:
        """Wait until the other side takes HTTP.

        :raises SessionError: it is gone.
        """
        while not self._switched:
            await self._next()

    async def over(self) -> None:
        """Wait for the end of the channel."""
        while self.error is None:
            await self._turn()

    async def _next(self) -> None:
        if self.error is not None:
            raise self.error
        await self._turn()

    async def _turn(self) -> None:
        """Something happens."""
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        await waiting

    def frame_received(self, frame: Frame) -> None:
        """From the channel."""
        if frame.kind is not FrameType.CONTROL:
            raise ProtocolError("something else than hello and switch")
        message = messages.decode(frame.payload)
        if isinstance(message, messages.Error):
            raise SessionError(sentence(message.message) or "The other device ended the session.", message.code)
        if isinstance(message, messages.Hello) and self._hello is None:
            self._hello = message
        elif isinstance(message, messages.Switch) and self._hello is not None and not self._switched:
            self._switched = True
        else:
            raise ProtocolError("something else than hello and switch")
        self._wake()

    def channel_lost(self, error: TwsyncError) -> None:
        """From the channel."""
        self.error = error
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)
