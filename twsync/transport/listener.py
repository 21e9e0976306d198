"""Takes data connections: only from a device that an invitation named, with the token of that invitation, once.

Who has not identified himself gets very little: one small frame, ten seconds, and a place among at most 64. All refusals look the same
from outside.
"""

from __future__ import annotations

import hmac
from collections import Counter
from dataclasses import dataclass
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from twsync.errors import ConfigError, ProtocolError, SessionError, TwsyncError
from twsync.limits import HELLO_TIMEOUT, MAX_FRAME, MAX_HELLO_FRAME, MAX_UNIDENTIFIED, TOKEN_LIFETIME
from twsync.peerwire import messages
from twsync.peerwire.frames import Frame, FrameType
from twsync.transport.datachannel import DataChannel
from twsync.transport.interfaces import Clock, Delayed
from twsync.transport.straighttls import StraightTlsFactory
from twsync.transport.tls import Device, data_server, same_fingerprint
from twsync.transport.widetls import WideTls


@dataclass(eq=False, slots=True)
class _Expected:
    """One open invitation."""

    token: bytes
    fingerprint: str
    taken: Deferred[DataChannel]
    timeout: Delayed | None = None


class Listener:
    """The data port of a device.

    :param clock: the reactor; for listening it must be one, for everything else its sense of time is enough.
    :param device: the key to prove.
    """

    _log = Logger()

    def __init__(self, clock: Clock, device: Device) -> None:
        self._clock = clock
        self._expected: list[_Expected] = []
        # With the addresses they come from, in the order of their coming.
        self._unidentified: dict[DataChannel, str] = {}
        self._port: IListeningPort | None = None
        self._tls = StraightTlsFactory(data_server(device, self._awaits), _Hall(self), clock)
        #: What to listen with.
        self.factory: Factory[Any] = _Door(self)

    async def listen(self, description: str) -> int:
        """Listen on a Twisted endpoint string, plain TCP, such as ``tcp:0`` or ``tcp:5070:interface=192.0.2.7``; TLS is added here.

        :returns: the port.
        :raises ConfigError: the description is wrong or the address cannot be listened on.
        """
        try:
            endpoint = serverFromString(cast(Any, self._clock), description)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise ConfigError(f"[data] listen = {description!r} is no endpoint; write for example 'tcp:0'. ({error})") from error
        try:
            port: Any = await cast(Any, endpoint).listen(self.factory)
        except Exception as error:  # CannotListenError, a name that does not resolve ...: whatever it is, this is the sentence for it
            raise ConfigError(f"[data] listen = {description!r} does not work: {str(error).rstrip('.')}.") from error
        self._port = port
        return int(getattr(port.getHost(), "port", 0))

    async def close(self) -> None:
        """Stop listening; fail what is still expected, drop who has not identified himself."""
        port, self._port = self._port, None
        if port is not None:
            await cast(Any, port).stopListening()
        for expected in list(self._expected):
            self._give_up(expected, SessionError("This host stopped taking data connections.", "closed"))
        for channel in list(self._unidentified):
            channel.abort()

    def expect(self, token: bytes, fingerprint: str, lifetime: float = TOKEN_LIFETIME) -> Deferred[DataChannel]:
        """Wait for the one connection that shows `token` and proves `fingerprint`.

        The channel comes with its `hello` set and paused: attach a receiver, answer the hello, and `resume` it. Cancel the Deferred to
        void the token.

        :param lifetime: seconds after which the token is void; the Deferred then fails with `SessionError` ``no-data-connection``.
        """
        expected = _Expected(token, fingerprint.lower(), Deferred(lambda _gone: self._forget(expected)))
        expected.timeout = self._clock.callLater(
            lifetime,
            self._give_up,
            expected,
            SessionError("The other device did not open the data connection in time; is the data port reachable?", "no-data-connection"),
        )
        self._expected.append(expected)
        return expected.taken

    @property
    def crowded(self) -> bool:
        """Whether as many connections as may wait unidentified do."""
        return len(self._unidentified) >= MAX_UNIDENTIFIED

    # --- a connection comes ----------------------------------------------------------------------------------------------------------

    def _make_room(self) -> bool:
        """Send away a connection that has not finished TLS, so that idle ones cannot keep the port shut; whether there was one.

        It is the oldest from the address that has most of them: who fills the hall pushes out himself.
        """
        strangers = [(channel, host) for channel, host in self._unidentified.items() if not channel.fingerprint]
        if not strangers:
            return False
        ((crowd, _),) = Counter(host for _, host in strangers).most_common(1)
        next(channel for channel, host in strangers if host == crowd).abort()
        return True

    def _visitor(self, host: str) -> DataChannel:
        channel = DataChannel(self._clock, MAX_HELLO_FRAME)
        self._unidentified[channel] = host
        deadline = self._clock.callLater(HELLO_TIMEOUT, channel.abort)
        channel.receive(_Visitor(self, channel, deadline))
        return channel

    def _awaits(self, fingerprint: str) -> bool:
        """For the TLS handshake: whether any invitation names this device."""
        return any(same_fingerprint(fingerprint, expected.fingerprint) for expected in self._expected)

    def _identified(self, channel: DataChannel, hello: messages.Hello) -> None:
        """A hello came: hand the channel to who waits for it, or refuse."""
        found: _Expected | None = None
        token = hello.token or b""
        for expected in self._expected:  # all of them, so that the time tells nothing
            right_token = hmac.compare_digest(token, expected.token)
            if right_token & same_fingerprint(channel.fingerprint, expected.fingerprint):
                found = expected
        if found is None:
            # A right token with a wrong key does not void the token: its thief must not be able to lock out its owner.
            self._log.warn("data connection refused: no session waits for {fingerprint}", fingerprint=channel.fingerprint)
            raise SessionError("No session waits for this connection; start the session again.", "refused")
        self._forget(found)
        channel.hello = hello
        channel.set_limit(MAX_FRAME)
        channel.pause()
        channel.receive(_Nobody())
        found.taken.callback(channel)

    def _give_up(self, expected: _Expected, error: TwsyncError) -> None:
        self._forget(expected)
        expected.taken.errback(error)

    def _forget(self, expected: _Expected) -> None:
        if expected in self._expected:
            self._expected.remove(expected)
        if expected.timeout is not None and expected.timeout.active():
            expected.timeout.cancel()


class _Hall(Factory[Any]):
    """Where a connection waits inside TLS until it has said who it is."""

    noisy = False

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def buildProtocol(self, addr: object) -> Any:  # noqa: ANN401 - a DataChannel
        """A visitor's channel."""
        return self._listener._visitor(str(getattr(addr, "host", "")))


class _Door(Factory[Any]):
    """Lets in no more than there is room for in the hall."""

    noisy = False

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def buildProtocol(self, addr: object) -> WideTls | None:
        """A protocol, or None: the connection is closed at once."""
        if self._listener.crowded and not self._listener._make_room():
            Listener._log.warn("data connection from {address} closed: too many have not identified themselves", address=addr)
            return None
        return cast(WideTls, self._listener._tls.buildProtocol(cast(Any, addr)))


class _Visitor:
    """Receiver of a connection that has not said who it is."""

    def __init__(self, listener: Listener, channel: DataChannel, deadline: Delayed) -> None:
        self._listener = listener
        self._channel = channel
        self._deadline = deadline

    def frame_received(self, frame: Frame) -> None:
        """The hello; anything else is refused."""
        self._gone()
        if frame.kind is not FrameType.CONTROL:
            raise ProtocolError("something else than hello")
        hello = messages.decode(frame.payload)
        if not isinstance(hello, messages.Hello):
            raise ProtocolError("something else than hello")
        self._listener._identified(self._channel, hello)

    def channel_lost(self, error: TwsyncError) -> None:
        """It left, or was sent away."""
        self._gone()

    def _gone(self) -> None:
        self._listener._unidentified.pop(self._channel, None)
        if self._deadline.active():
            self._deadline.cancel()


class _Nobody:
    """Receiver between the hello and the session: nothing may come before the hello was answered."""

    def frame_received(self, frame: Frame) -> None:
        """Too early."""
        raise ProtocolError("a frame before hello was answered")

    def channel_lost(self, error: TwsyncError) -> None:
        """The session finds out when it attaches itself."""
