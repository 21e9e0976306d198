"""HTTP for SyncML messages: one POST, one answer, over a data channel between two hosts or to a URL.

What is a message and what is not is no matter here; what is limited is how much may come, and how long it may take.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

from OpenSSL.SSL import Error as TlsError
from service_identity import VerificationError
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import optionsForClientTLS
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http import HTTPChannel, PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from twisted.web.server import Site
from zope.interface import implementer  # type: ignore[import-untyped]

from twsync import __version__
from twsync.errors import SessionError, TwsyncError
from twsync.limits import HTTP_CONNECT_TIMEOUT, HTTP_TIMEOUT, MAX_HTTP_ANSWER, MAX_HTTP_HEAD, MAX_HTTP_INTERIM
from twsync.transport.datachannel import DataChannel
from twsync.transport.interfaces import Clock, Delayed

#: The address of a SyncML server on a data channel; the host name in it leads nowhere else.
CHANNEL_URL = "http://peer.invalid/syncml"

_HEAD_END = re.compile(rb"\n\r?\n")
#: What to do about what OpenSSL says.
_TLS_REASONS = {
    "wrong version number": "it is no port for https",
    "certificate verify failed": (
        "its certificate is not of an authority that this host trusts. Add that to those of the system, or start the daemon with the name "
        "of its file in SSL_CERT_FILE"
    ),
}
_INTERIM = re.compile(rb"\s*HTTP/[0-9.]+ 1[0-9][0-9]")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response."""

    status: int
    content_type: str
    body: bytes


#: POST a body of a type to a URL.
Post = Callable[[str, str, bytes], Awaitable[Answer]]


def post_with(agent: Agent, clock: Clock, limit: int, patience: float = HTTP_TIMEOUT, *, name: str = "") -> Post:
    """A function that posts by `agent`.

    :param limit: bytes of an answer's body.
    :param patience: seconds from the request to the end of the answer.
    :param name: what errors call the server, which is reached by one connection that cannot be opened again; empty: by its URL.
    """

    async def post(url: str, content_type: str, body: bytes) -> Answer:
        """:raises SessionError: ``unreachable``, ``timeout``, ``too-large``, ``connection-lost``."""
        headers = Headers(
            {
                "Content-Type": [content_type],
                "Accept": [content_type],
                "User-Agent": [f"twsync/{__version__}"],
                "Cache-Control": ["no-store"],
            }
        )
        asked: Deferred[Any] = agent.request(b"POST", url.encode("ascii"), headers, cast(Any, _Whole(body)))
        late = False

        def expired() -> None:
            nonlocal late
            late = True
            asked.cancel()

        timer = clock.callLater(patience, expired)
        body_read: Deferred[bytes] | None = None
        try:
            response = await asked
            asked = body_read = _body(response, limit)
            content = await body_read
        except TwsyncError:
            raise
        except Exception as error:  # whatever a connection can fail with: refused, no such name, TLS, cut off
            if late:
                raise SessionError(f"{name or url} did not answer within {patience:.0f} seconds; try again later.", "timeout") from None
            cause = _cause(error)
            if isinstance(cause, CancelledError):
                raise cause from None
            if name:
                raise SessionError(f"The connection to {name} was lost; start the session again.", "connection-lost") from None
            raise SessionError(f"{url} cannot be reached: {_reason(cause)}.", "unreachable") from None
        finally:
            if timer.active():
                timer.cancel()
        found: list[str] = response.headers.getRawHeaders("Content-Type", [""])
        return Answer(response.code, found[0], content)

    return post


def web_agent(reactor: Any) -> Agent:  # noqa: ANN401 - a reactor has no type that a checker understands
    """An agent for URLs, https by the platform's authorities."""
    return cast(Any, Agent).usingEndpointFactory(reactor, _OnNetwork(reactor), _pool(reactor))  # type: ignore[no-any-return]


def channel_agent(reactor: Any, channel: DataChannel) -> Agent:  # noqa: ANN401
    """An agent that reaches one server, the one at the other end of a data channel, whatever the URL says.

    The channel carries HTTP from the first request on, and no frames from now on. HTTP/1.1 keeps it open; once it is closed, the agent is
    of no use any more.
    """
    channel.hush()
    return cast(Any, Agent).usingEndpointFactory(reactor, _OnChannel(channel), _pool(reactor))  # type: ignore[no-any-return]


def serve(channel: DataChannel, site: Site, clock: Clock) -> None:
    """Let a data channel carry HTTP from now on, as its server."""
    # As Site.buildProtocol does, but for the look at ALPN, which names the protocol that the connection began with.
    protocol: Any = cast(Any, HTTPChannel)()
    protocol.factory = protocol.site = site
    protocol.requestFactory = site.requestFactory
    protocol.timeOut = site.timeOut
    protocol.callLater = clock.callLater
    channel.become(protocol)


def _pool(reactor: Any) -> HTTPConnectionPool:  # noqa: ANN401
    pool: Any = cast(Any, HTTPConnectionPool)(reactor, persistent=True)
    pool.maxPersistentPerHost = 1
    pool.retryAutomatically = False
    return cast(HTTPConnectionPool, pool)


@implementer(IHandshakeListener)
class _Meter(ProtocolWrapper):
    """Cuts off a server that answers without end: the body has a limit of its own, head and framing have none in twisted.web.

    Nor have interim answers (1xx), each of which is a line of the log, too; nor has the TLS handshake, which a port that does not speak
    TLS may leave without an answer.
    """

    _shaking: Delayed | None = None
    _late = False
    _came = 0
    _interim = 0
    _head: bytearray | None = None
    "What came of an unfinished head; None: it is finished."

    def connectionMade(self) -> None:
        """The TCP connection stands; the handshake, if there is one, has what is left of the time for both."""
        factory = cast(Any, self.factory)
        if factory.deadline is not None:
            self._shaking = factory.clock.callLater(max(0.0, factory.deadline - factory.clock.seconds()), self._expire)
        super().connectionMade()  # type: ignore[no-untyped-call]

    def handshakeCompleted(self) -> None:
        """TLS stands."""
        self._stop()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end; of a handshake that took too long, too."""
        self._stop()
        if self._late:
            late = TimeoutError(f"no TLS handshake within {HTTP_CONNECT_TIMEOUT:.0f} seconds; see whether it is a port for https")
            reason = Failure(late)
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def _expire(self) -> None:
        self._late = True
        cast(Any, self).abortConnection()

    def _stop(self) -> None:
        if self._shaking is not None and self._shaking.active():
            self._shaking.cancel()

    def dataReceived(self, data: bytes) -> None:
        """A piece of an answer."""
        self._came += len(data)
        if self._head is not None:
            self._look(self._head, data)
        if self._came > (MAX_HTTP_ANSWER if self._head is None else MAX_HTTP_HEAD) or self._interim > MAX_HTTP_INTERIM:
            cast(Any, self).abortConnection()
        else:
            super().dataReceived(data)  # type: ignore[no-untyped-call]

    def _look(self, head: bytearray, data: bytes) -> None:
        """Find the end of the head."""
        begin = max(0, len(head) - 2)
        head += data
        while (end := _HEAD_END.search(head, begin)) is not None and self._interim <= MAX_HTTP_INTERIM:
            if not _INTERIM.match(head):
                self._head = None
                return
            self._interim += 1
            del head[: end.end()]
            begin = 0

    def write(self, data: bytes) -> None:
        """A piece of a request: the next answer begins."""
        self._came, self._interim, self._head = 0, 0, bytearray()
        super().write(data)  # type: ignore[no-untyped-call]

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """As `write`."""
        self.write(b"".join(data))


class _Measured:
    """An endpoint whose protocols stand behind a `_Meter`.

    :param clock: TLS on the endpoint has to stand within `HTTP_CONNECT_TIMEOUT` by it; None: there is no handshake.
    """

    def __init__(self, endpoint: Any, clock: Clock | None = None) -> None:  # noqa: ANN401 - a client endpoint
        self._endpoint = endpoint
        self._clock = clock

    def connect(self, factory: Factory[Any]) -> Deferred[Any]:
        """The factory's protocol, connected."""
        measuring: Any = cast(Any, WrappingFactory)(factory)
        measuring.protocol, measuring.noisy = _Meter, False
        measuring.clock = self._clock
        measuring.deadline = None if self._clock is None else self._clock.seconds() + HTTP_CONNECT_TIMEOUT
        connected: Deferred[Any] = self._endpoint.connect(measuring)
        return connected.addCallback(lambda meter: meter.wrappedProtocol)


@implementer(IAgentEndpointFactory)
class _OnNetwork:
    """Endpoints for URLs."""

    def __init__(self, reactor: Any) -> None:  # noqa: ANN401
        self._reactor = reactor

    def endpointForURI(self, uri: Any) -> _Measured:  # noqa: ANN401 - twisted.web's URI
        """That of the host in it."""
        endpoint: Any = cast(Any, HostnameEndpoint)(self._reactor, uri.host, uri.port, HTTP_CONNECT_TIMEOUT)
        if uri.scheme == b"https":
            endpoint = wrapClientTLS(optionsForClientTLS(uri.host.decode("ascii")), endpoint, self._reactor)
            return _Measured(endpoint, self._reactor)
        return _Measured(endpoint)


@implementer(IAgentEndpointFactory)
class _OnChannel:
    """Every endpoint is the channel; it can be used once."""

    def __init__(self, channel: DataChannel) -> None:
        self._channel = channel
        self._used = False

    def endpointForURI(self, uri: object) -> _Measured:
        """This."""
        return _Measured(self)

    def connect(self, factory: Factory[Any]) -> Deferred[Any]:
        """The protocol on the channel."""
        if self._used:
            return fail(SessionError("The connection to the other device was lost; start the session again.", "connection-lost"))
        self._used = True
        protocol: Any = factory.buildProtocol(None)
        try:
            self._channel.become(protocol)
        except TwsyncError:
            return fail(Failure())
        return succeed(protocol)


@implementer(IBodyProducer)
class _Whole:
    """A request's body, in memory already and so written at once."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: Any) -> Deferred[None]:  # noqa: ANN401 - a consumer of zope's kind
        """Write it."""
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """It is written."""

    def resumeProducing(self) -> None:
        """It is written."""

    def stopProducing(self) -> None:
        """It is written."""


class _Body(Protocol):
    """Takes a response's body, up to a limit."""

    def __init__(self, limit: int, done: Deferred[bytes]) -> None:
        self._limit = limit
        self._done = done
        self._pieces: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:
        """A piece."""
        self._size += len(data)
        if self._size > self._limit:
            self._finish(SessionError(f"The answer is longer than {self._limit} bytes; it was refused.", "too-large"))
            cast(Any, self.transport).abortConnection()
        else:
            self._pieces.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end, the right one or another."""
        if reason.check(ResponseDone, PotentialDataLoss):
            self._finish(None)
        else:
            self._finish(SessionError("The connection broke off in the middle of an answer; try again.", "connection-lost"))

    def _finish(self, error: TwsyncError | None) -> None:
        if not self._done.called:
            if error is None:
                self._done.callback(b"".join(self._pieces))
            else:
                self._done.errback(error)


def _body(response: Any, limit: int) -> Deferred[bytes]:  # noqa: ANN401 - twisted.web's response
    def abandoned(_: Deferred[bytes]) -> None:
        transport = getattr(receiver, "transport", None)
        if transport is not None:
            transport.abortConnection()

    done: Deferred[bytes] = Deferred(abandoned)
    receiver = _Body(limit, done)
    response.deliverBody(receiver)
    return done


def _cause(error: BaseException) -> BaseException:
    """What Twisted has wrapped in lists."""
    inner = getattr(error, "reasons", None)
    return _cause(inner[0].value) if inner else error


def _reason(error: BaseException) -> str:
    """One line without its full stop."""
    if isinstance(error, VerificationError):
        return "its certificate is for another host name"
    if isinstance(error, TlsError):
        # [(library, function, reason), ...]: a list that may be empty, or none at all.
        said = ", ".join(each[-1] for each in error.args[0]) if error.args else ""
        return f"TLS failed ({said or 'without a reason'}); {_TLS_REASONS.get(said, 'look at its settings')}"
    lines = str(error).strip().rstrip(".").splitlines()
    return lines[0] if lines else type(error).__name__
