"""A small HTTP proxy between a SyncML client and its server, which keeps what passes and loses replies when told to."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Exchange:
    """A request with its reply."""

    path: str
    content_type: str
    request: bytes
    status: int
    reply: bytes


class Between:
    """Passes requests on to the port of a server on loopback.

    :ivar exchanges: all that passed, lost ones too.
    :ivar lose: told the number of each exchange, from 0, before its reply goes on; True: the reply is lost, and the connection closed.
    :ivar repeat: every request is sent twice, and the second reply goes on: as if the client had not got the first.
    """

    def __init__(self, port: int) -> None:
        self.exchanges: list[Exchange] = []
        self.lose: Callable[[int], bool] = lambda number: False
        self.repeat = False
        self._target = port
        between = self

        class Handler(BaseHTTPRequestHandler):
            """One connection of a client."""

            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                """Pass it on."""
                between.pass_on(self)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def pass_on(self, handler: BaseHTTPRequestHandler) -> None:
        """Ask the server, and answer or lose the reply."""
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        if self.repeat:
            self._ask(handler, body)
        number, kind, exchange = self._ask(handler, body)
        if self.lose(number):
            handler.close_connection = True
            return
        handler.send_response(exchange.status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(exchange.reply)))
        handler.end_headers()
        handler.wfile.write(exchange.reply)

    def _ask(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, str, Exchange]:
        connection = http.client.HTTPConnection(LOOPBACK, self._target, timeout=60)
        content_type = handler.headers.get("Content-Type", "")
        # The server names its own address by the Host that the client has used: the proxy stays in between.
        connection.request("POST", handler.path, body, {"Content-Type": content_type, "Host": handler.headers["Host"]})
        answer = connection.getresponse()
        reply = answer.read()
        connection.close()
        made = Exchange(handler.path, content_type, body, answer.status, reply)
        with self._lock:
            self.exchanges.append(made)
            return len(self.exchanges) - 1, answer.headers.get("Content-Type", ""), made

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
