"""Cutting a byte stream into SIP messages (RFC 3261 section 18.3) and CRLF keepalives (RFC 5626 section 4.4.1).

On a stream Content-Length alone says where a message ends; so it must be there, once, and be plain digits. What leaves that end in
doubt ends the connection: a second opinion about where a message begins is how requests get smuggled past a proxy. What does not is
given out as `Malformed`, so that it can be answered 400, and the stream goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import sipmessage

from twsync import limits
from twsync.errors import FormatError
from twsync.sip import grammar
from twsync.sip.message import Message
from twsync.sip.parsing import Head, Malformed, build_message, is_start_line, read_head

__all__ = ["Event", "Framer", "FramingLimits", "Malformed", "Ping", "Pong", "serialize"]

_CRLF = b"\r\n"
_END = b"\r\n\r\n"
#: Bytes of a Via with a long host, and of Content-Length and the empty line.
_ROOM_FOR_VIA = 384


@dataclass(frozen=True, slots=True)
class FramingLimits:
    """How large things may get; see `twsync.limits` for the reasons."""

    message: int = limits.MAX_SIP_MESSAGE
    "Bytes of a message with its body."
    head: int = limits.MAX_SIP_HEAD
    "Bytes of start line and headers, with all line ends."
    headers: int = limits.MAX_SIP_HEADERS
    "Header lines after unfolding."
    line: int = limits.MAX_SIP_LINE
    "Characters of one line after unfolding; bytes of the start line."


@dataclass(frozen=True, slots=True)
class Ping:
    """A double CRLF between messages; to be answered by one CRLF."""


@dataclass(frozen=True, slots=True)
class Pong:
    """A single CRLF between messages: the answer to a ping."""


Event: TypeAlias = Message | Ping | Pong | Malformed


class Framer:
    """Takes a stream's bytes as they come, gives its messages out.

    What comes out depends on the bytes alone, not on how they were cut.

    :param initiator: whether this side opened the connection. That side alone pings, so to it each CRLF between messages is a `Pong`;
        to the other each pair of them is a `Ping`, and a single one before a message is passed over (RFC 3261 section 7.5).
    """

    def __init__(self, limits: FramingLimits | None = None, *, initiator: bool = False) -> None:
        self._limits = limits or FramingLimits()
        self._initiator = initiator
        self._buffer = bytearray()
        self._searched = 0
        self._started = False
        self._head: Head | None = None
        self._blank_lines = 0
        self.error: FormatError | None = None
        "Why the stream cannot go on; None while it can."

    @property
    def unfinished(self) -> bool:
        """Whether a part of something is waiting for its rest."""
        return bool(self._buffer) or self._head is not None

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes in; what they complete comes out.

        :raises FormatError: if the stream cannot go on. What was complete before the fault is given out first: then `error` is set,
            and the next call raises it.
        """
        events: list[Event] = []
        if self.error is None:
            self._buffer += data
            try:
                while self._advance(events):
                    pass
            except FormatError as error:
                self.error = error
                self._buffer.clear()
                self._head = None
        if self.error is not None and not events:
            raise self.error
        return events

    def _advance(self, events: list[Event]) -> bool:
        """One step; whether there may be another without more bytes."""
        if self._head is not None:
            return self._body(self._head, events)
        if not self._buffer:
            return False
        if self._started:
            return self._rest_of_head()
        return self._blank_line(events) if self._buffer[0] in _CRLF else self._start()

    def _blank_line(self, events: list[Event]) -> bool:
        if self._buffer == b"\r":
            return False
        if self._buffer[:2] != _CRLF:
            raise FormatError("A message must begin with a start line.")
        del self._buffer[:2]
        self._blank_lines += 1
        if self._initiator:
            events.append(Pong())
        elif self._blank_lines % 2 == 0:
            events.append(Ping())
        return True

    def _start(self) -> bool:
        # Judged as soon as it is there: what is no SIP at all shall not be waited for.
        if not grammar.is_token(chr(self._buffer[0])):
            raise FormatError("A message must begin with a start line.")
        end = self._buffer.find(_CRLF, max(0, self._searched - 1))
        # Without a line end the last byte may be the first of it.
        if (end if end >= 0 else len(self._buffer) - 1) > self._limits.line:
            raise FormatError("A start line is too long.")
        if end < 0:
            self._searched = len(self._buffer)
            return False
        if not is_start_line(bytes(self._buffer[:end])):
            raise FormatError("A message must begin with a start line.")
        self._started = True
        self._searched = end
        return True

    def _rest_of_head(self) -> bool:
        end = self._buffer.find(_END, max(0, self._searched - 3))
        size = end + len(_END) if end >= 0 else len(self._buffer)
        if size > self._limits.head:
            raise FormatError("The headers of a message are too large.")
        if end < 0:
            self._searched = len(self._buffer)
            return False
        self._head = read_head(bytes(self._buffer[:end]), self._limits.headers, self._limits.line)
        del self._buffer[:size]
        if size + self._head.content_length > self._limits.message:
            raise FormatError("A message is too large.")
        return True

    def _body(self, head: Head, events: list[Event]) -> bool:
        if len(self._buffer) < head.content_length:
            return False
        body = bytes(self._buffer[: head.content_length])
        del self._buffer[: head.content_length]
        self._head, self._started, self._searched, self._blank_lines = None, False, 0, 0
        events.append(build_message(head, body))
        return True


def fits(message: sipmessage.Request | sipmessage.Response, limits: FramingLimits | None = None) -> bool:
    """Whether a message stays within the limits when one more Via is put on top: so whoever has the same limits will read it."""
    bounds = limits or FramingLimits()
    lengths = [len(message.method) + len(str(message.uri)) + 10] if isinstance(message, sipmessage.Request) else [len(message.phrase) + 12]
    for name in message.headers.keys():  # noqa: SIM118 - no mapping
        lengths += [len(name) + 2 + len(value.encode("utf-8", "surrogateescape")) for value in message.headers.getlist(name)]
    head = sum(lengths) + 2 * len(lengths) + _ROOM_FOR_VIA
    return (
        max(lengths) <= bounds.line
        and len(lengths) + 1 <= bounds.headers  # without the start line, and with Via and Content-Length
        and head <= bounds.head
        and head + len(message.body) <= bounds.message
    )


def serialize(message: sipmessage.Request | sipmessage.Response) -> bytes:
    """The bytes of a message; Content-Length is that of the body, whatever the headers say.

    :raises FormatError: if a line break or NUL stands in the start line or a header, or a header's name is no token: nothing that is
        passed on may add a line.
    """
    if isinstance(message, sipmessage.Request):
        lines = [f"{message.method} {message.uri} SIP/2.0"]
    else:
        lines = [f"SIP/2.0 {message.code} {message.phrase}"]
    for name in message.headers.keys():  # noqa: SIM118 - no mapping
        if not grammar.is_token(name):
            raise FormatError("A header's name is not a token.")
        if name.lower() not in ("content-length", "l"):
            lines += [f"{name}: {value}" for value in message.headers.getlist(name)]
    lines.append(f"Content-Length: {len(message.body)}")
    if any("\r" in line or "\n" in line or ("\0" in line and grammar.has_control(line)) for line in lines):
        raise FormatError("A line break or NUL cannot stand in a header.")
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + message.body
