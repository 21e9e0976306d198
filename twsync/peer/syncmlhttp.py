"""SyncML's HTTP binding, the server's side: POST a message, get a message (docs/protocol/syncml.md, "HTTP").

Whatever SyncML has an answer for is a 200 with a SyncML body. HTTP's own errors are for what is no SyncML at all.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from twsync.limits import HTTP_IDLE, MAX_SYNCML_DOCUMENT

_log = Logger()

#: What GET shows to a person who has put the address into a browser.
PAGE = (
    b"<!DOCTYPE html><html><head><title>twsync</title></head><body><p>This is a SyncML server. Give this address to a SyncML client; "
    b"its collections are the names of the databases.</p></body></html>\n"
)
#: Said before a body has come: the client need not send it.
_TOO_LONG = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer a POST with."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


#: Answers one message: the address that the client has used, without a token; the token of its path (or nothing); body; Content-Type;
#: the address that it comes from (or nothing); whether the client has gone away meanwhile, for any thread to ask.
Answers = Callable[[str, str, bytes, str | None, str, Callable[[], bool]], Deferred[Answer]]

#: What a Host header may say for it to stand in an address that we name.
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")


#: What stands before the path where a request names the whole address.
_ABSOLUTE = re.compile(rb"\Ahttps?://[^/]*", re.IGNORECASE)


class SyncmlResource(Resource):
    """``/syncml``, and below it one address for each session (its RespURI)."""

    def __init__(self, answers: Answers, token: str = "") -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._answers = answers
        self._token = token

    def getChild(self, path: bytes, request: Request) -> IResource:
        """The address of a session; anything deeper does not exist."""
        if self._token or not path.isascii():
            return cast(IResource, self if not path else notFound())
        return cast(IResource, SyncmlResource(self._answers, path.decode("ascii")))

    def render(self, request: Any) -> Any:  # noqa: ANN401 - twisted.web's requests are not typed
        """By method."""
        if request.method not in (b"GET", b"HEAD", b"POST"):
            request.setHeader("Allow", "GET, HEAD, POST")
            return _write(request, Answer(405, b"POST a SyncML message.\n"))
        return super().render(request)  # type: ignore[no-untyped-call]

    def render_GET(self, request: Any) -> bytes:  # noqa: ANN401
        """For people."""
        request.setHeader("Content-Type", "text/html; charset=utf-8")
        return PAGE

    def render_POST(self, request: Any) -> Any:  # noqa: ANN401 - NOT_DONE_YET is a number
        """A message."""
        if getattr(request, "too_long", False):
            return _write(request, Answer(413, b"This message is too long.\n"))
        gone = threading.Event()

        def answered(answer: Answer) -> None:
            if not gone.is_set():
                request.write(_write(request, answer))
                request.finish()

        def failed(failure: Failure) -> None:
            _log.failure("A SyncML message could not be answered.", failure=failure)
            answered(Answer(500, b"The server failed; its log has more.\n"))

        request.notifyFinish().addErrback(lambda _: gone.set())
        body = request.content.read() if request.content is not None else b""
        origin = str(getattr(request.getClientAddress(), "host", ""))
        answer = self._answers(_address(request), self._token, body, request.getHeader("content-type"), origin, gone.is_set)
        answer.addCallbacks(answered, failed)
        return NOT_DONE_YET


class Door(Request):
    """A request whose body has a limit; one beyond it is read, but not kept."""

    too_long = False
    whole = False
    "Whether all of it has come."
    _size = 0

    def gotLength(self, length: int | None) -> None:
        """The headers are read; a body that says that it is too long is not waited for."""
        if length is not None and length > MAX_SYNCML_DOCUMENT:
            self.too_long = True
            cast(Any, self.channel).transport.write(_TOO_LONG)
            cast(Any, self.channel).loseConnection()
            length = 0
        super().gotLength(length)  # type: ignore[no-untyped-call]

    def process(self) -> None:
        """All of it has come. Who speaks to a proxy names the whole address (RFC 9112, 3.2.2)."""
        self.whole = True
        self.path: bytes = _ABSOLUTE.sub(b"", self.path) or b"/"
        super().process()  # type: ignore[no-untyped-call]

    def handleContentChunk(self, data: bytes) -> None:
        """A piece of the body."""
        self._size += len(data)
        if self._size > MAX_SYNCML_DOCUMENT:
            self.too_long = True
        if self.too_long:
            # Who goes on sending after that is not read to the end.
            if self._size > 2 * MAX_SYNCML_DOCUMENT:
                cast(Any, self.channel).loseConnection()
        else:
            super().handleContentChunk(data)  # type: ignore[no-untyped-call]


def site(answers: Answers) -> Site:
    """A site with ``/syncml`` and nothing else."""
    root: Any = cast(Any, Resource)()
    root.putChild(b"syncml", SyncmlResource(answers))
    made: Any = cast(Any, Site)(root, requestFactory=Door, timeout=HTTP_IDLE)
    # HTTP/1.1 only, and a protocol that shows its requests.
    made.protocol = HTTPChannel
    made.displayTracebacks = False
    # Addresses hold session tokens: no access log.
    made.log = lambda request: None
    return cast(Site, made)


def _address(request: Any) -> str:  # noqa: ANN401
    """The address of ``/syncml`` as the client knows it; a proxy in front may say that it took HTTPS. Empty if the client does not say."""
    host = request.getHeader("host") or ""
    secure = request.isSecure() or request.getHeader("x-forwarded-proto") == "https"
    return f"{'https' if secure else 'http'}://{host}/syncml" if _HOST.fullmatch(host) else ""


def _write(request: Any, answer: Answer) -> bytes:  # noqa: ANN401
    request.setResponseCode(answer.status)
    request.setHeader("Content-Type", answer.content_type)
    request.setHeader("Content-Length", str(len(answer.body)))
    request.setHeader("Cache-Control", "no-store")
    if answer.status == 413:
        request.setHeader("Connection", "close")
    return answer.body
