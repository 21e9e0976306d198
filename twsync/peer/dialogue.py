"""A session's side of the data channel: frames into messages, each in its turn, to whoever waits for it.

Messages of the main line (hello to plan, round-end, commit) are queued for :meth:`Dialogue.hear`; those that move content go to the two
ends of the transfers at once, since neither direction may wait for the other. The first error from anywhere ends the dialogue: everything
that waits fails with it, and the other side is told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from twsync.errors import ProtocolError, SessionError, TwsyncError
from twsync.limits import MAX_HEARD, MAX_HEARD_BYTES
from twsync.peerwire import messages
from twsync.peerwire.frames import Frame, FrameType, Payload
from twsync.peerwire.session import Conversation
from twsync.session.result import sentence

_BULK_WORDS = {FrameType.DATA: "data", FrameType.DATA_ZSTD: "data", FrameType.SIGNATURE: "signature"}


class Channel(Protocol):
    """What a session needs of a data channel; `transport.datachannel.DataChannel` is one."""

    hello: messages.Hello | None
    "The client's hello, on the server's side."

    @property
    def wire_sent(self) -> int:
        """Bytes sent so far."""

    @property
    def wire_received(self) -> int:
        """Bytes received so far."""

    def receive(self, receiver: Dialogue) -> None:
        """Hand frames over from now on."""

    def send(self, message: messages.AnyMessage) -> None:
        """Send a control message."""

    def send_bulk(self, kind: FrameType, transfer: int, payload: Payload) -> None:
        """Send a bulk frame."""

    def drained(self) -> Deferred[None]:
        """Fires when more can be sent."""

    def pause(self) -> None:
        """Hand over no frames for now."""

    def resume(self) -> None:
        """Go on."""

    def close(self, error: TwsyncError | None = None) -> None:
        """Close, telling the other side why."""


class Transfers(Protocol):
    """One end of the transfers."""

    def message_received(self, message: messages.AnyMessage) -> None:
        """A message for this end."""

    def bulk_received(self, frame: Frame) -> None:
        """A bulk frame for this end."""

    def stopped(self, error: TwsyncError) -> None:
        """The dialogue is over; let go of everything."""


class Dialogue:
    """Receiver of a channel, for one session.

    :param channel: paused or not begun; it is read from :meth:`begin` on.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._order = Conversation()
        # With the bytes each of them came in.
        self._heard: deque[tuple[messages.AnyMessage, int]] = deque()
        self._heard_bytes = 0
        self._hearing: Deferred[None] | None = None
        #: Whether it was the other side that ended it.
        self.told_by_peer = False
        self._closing = False
        self._holds: set[str] = set()
        self._over: list[Callable[[TwsyncError], None]] = []
        #: Whether compressed data may come, and content ahead of the plan.
        self.zstd = False
        self.ahead = False
        #: Why the dialogue is over; None while it is not.
        self.error: TwsyncError | None = None
        #: Who answers the other side's wants, and who takes its answers; set before anything is asked for.
        self.supplier: Transfers | None = None
        self.getter: Transfers | None = None

    def begin(self) -> None:
        """Listen. A hello that the channel already took counts as heard."""
        if self._channel.hello is not None:
            self._order.peer.says("hello")
            self._heard.append((self._channel.hello, 0))
        self._channel.receive(self)
        self._channel.resume()

    # --- saying ----------------------------------------------------------------------------------------------------------------------

    def say(self, message: messages.AnyMessage) -> None:
        """Send a message.

        :raises ProtocolError: not our turn; a mistake of ours.
        """
        if self.error is not None:
            raise self.error
        self._order.own.says(_word(message))
        self._channel.send(message)

    def say_bulk(self, kind: FrameType, transfer: int, payload: Payload) -> None:
        """Send a bulk frame; await :meth:`drained` after a few of them, and before their memory is used for something else."""
        if self.error is not None:
            raise self.error
        self._order.own.says(_BULK_WORDS[kind])
        self._channel.send_bulk(kind, transfer, payload)

    def drained(self) -> Deferred[None]:
        """Fires when more can be sent without piling up; bulk leaves now at the latest."""
        return self._channel.drained()

    def round_over(self, again: bool) -> None:
        """Both sides have said `round-end`."""
        self._order.round_over(again)

    def hold(self, reason: str) -> None:
        """Take no more frames until every reason that was given is released."""
        self._holds.add(reason)
        self._channel.pause()

    def release(self, reason: str) -> None:
        """This reason is gone."""
        self._holds.discard(reason)
        if not self._holds:
            self._channel.resume()

    # --- hearing ---------------------------------------------------------------------------------------------------------------------

    async def hear(self, *kinds: type[messages.Message]) -> Any:  # noqa: ANN401 - one of `kinds`, which a type cannot say
        """The next message of the main line.

        :raises ProtocolError: it is none of `kinds`.
        :raises TwsyncError: the dialogue is over.
        """
        while not self._heard:
            if self.error is not None:
                raise self.error
            self._hearing = Deferred()
            await self._hearing
        message, size = self._heard.popleft()
        self._heard_bytes -= size
        if "messages" in self._holds and len(self._heard) <= MAX_HEARD // 2 and self._heard_bytes <= MAX_HEARD_BYTES // 2:
            self.release("messages")
        if not isinstance(message, kinds):
            raise ProtocolError(f"{message.kind} where {' or '.join(kind.kind for kind in kinds)} was due")
        return message

    def frame_received(self, frame: Frame) -> None:
        """From the channel."""
        if self.error is not None or self._closing:
            return
        if frame.kind is not FrameType.CONTROL:
            self._bulk(frame)
            return
        message = messages.decode(frame.payload)
        if isinstance(message, messages.Error):
            self.told_by_peer = True
            self.fail(SessionError(sentence(message.message) or "The other device ended the session.", message.code))
            return
        self._order.peer.says(_word(message))
        if isinstance(message, messages.Want | messages.Fetch | messages.Stop):
            _ready(self.supplier).message_received(message)
        elif isinstance(message, messages.Bundle | messages.File | messages.FileEnd):
            _ready(self.getter).message_received(message)
        else:
            self._heard.append((message, len(frame.payload)))
            self._heard_bytes += len(frame.payload)
            if len(self._heard) >= MAX_HEARD or self._heard_bytes >= MAX_HEARD_BYTES:
                # Whoever is to hear them is busy; the other side may wait as well.
                self.hold("messages")
            self._wake()

    def _bulk(self, frame: Frame) -> None:
        self._order.peer.says(_BULK_WORDS[frame.kind])
        if frame.kind is FrameType.SIGNATURE:
            _ready(self.supplier).bulk_received(frame)
            return
        if frame.kind is FrameType.DATA_ZSTD and not self.zstd:
            raise ProtocolError("compressed data that was not agreed on")
        _ready(self.getter).bulk_received(frame)

    # --- the end ---------------------------------------------------------------------------------------------------------------------

    def when_over(self, call: Callable[[TwsyncError], None]) -> None:
        """Call when the dialogue fails; at once if it has."""
        if self.error is not None:
            call(self.error)
        else:
            self._over.append(call)

    def check(self) -> None:
        """Raise the error that ended the dialogue, if there is one."""
        if self.error is not None:
            raise self.error

    def finish(self) -> None:
        """All is said: close in good order. What comes afterwards is not looked at."""
        self._closing = True
        self._channel.close()

    def fail(self, error: TwsyncError) -> None:
        """End the dialogue; the other side is told, unless it was it who said so. Only the first error counts."""
        if self.error is not None or self._closing:
            return
        self.error = error
        self._channel.close(None if self.told_by_peer else error)
        over, self._over = self._over, []
        for call in over:
            call(error)
        self._wake()

    def channel_lost(self, error: TwsyncError) -> None:
        """From the channel."""
        self.fail(error)

    def _wake(self) -> None:
        hearing, self._hearing = self._hearing, None
        if hearing is not None:
            hearing.callback(None)


def _ready(end: Transfers | None) -> Transfers:
    """An end of the transfers; nobody who keeps to the protocol can need it before it is there, since it needs our rows first."""
    if end is None:
        raise ProtocolError("a transfer before there were any rows")
    return end


def _word(message: messages.AnyMessage) -> str:
    """What the order table calls a message."""
    if isinstance(message, messages.Counterparts) and message.final:
        return "counterparts-final"
    if isinstance(message, messages.Want) and not message.files:
        return "want-bundles"
    return message.kind
