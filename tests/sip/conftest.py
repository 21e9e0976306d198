"""Messages that several tests build on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from twsync.sip.framing import Event, Framer
from twsync.sip.message import Message, Request, Response


def wire(text: str, body: bytes = b"", length: bool = True) -> bytes:
    """A message as it goes over the wire: lines of `text`, Content-Length added."""
    lines = text.strip("\n").split("\n")
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body


def events(data: bytes) -> list[Event]:
    """What a framer makes of one piece of data."""
    return Framer().feed(data)


@pytest.fixture
def to_wire() -> Callable[..., bytes]:
    """`wire`."""
    return wire


@pytest.fixture
def read() -> Callable[..., Message]:
    """Parses text into the one message it holds."""

    def read_one(text: str, body: bytes = b"") -> Message:
        found = events(wire(text, body))
        assert len(found) == 1
        assert isinstance(found[0], Request | Response), found[0]
        return found[0]

    return read_one


INVITE = """
INVITE sips:bob@example.org;gr=desk SIP/2.0
Via: SIP/2.0/TLS 192.0.2.7:40112;rport;branch=z9hG4bKabc
Max-Forwards: 70
Record-Route: <sips:p2.example.org;lr>, <sips:p1.example.org;lr>
From: "Alice" <sips:alice@example.org>;tag=a1
To: <sips:bob@example.org>
Call-ID: call-1
CSeq: 7 INVITE
Contact: <sips:alice@192.0.2.7:40112;transport=tls;ob>;+sip.instance="<urn:uuid:0>"
"""


@pytest.fixture
def invite(read: Callable[..., Message]) -> Request:
    """An INVITE that came over two proxies."""
    message = read(INVITE)
    assert isinstance(message, Request)
    return message
