"""SIP requests and responses: `sipmessage`'s classes with typed headers that read through `twsync.sip.values`.

Build and read all messages by these classes. Header texts are in `headers` (a proxy copies those and does not write them anew);
typed properties (`via`, `contact`, `from_address`, `cseq` …) parse on each use and raise FormatError, a ValueError. Messages out of
`twsync.sip.framing` were checked there, so for them Via, From, To, Call-ID, CSeq, Contact, Route, Record-Route, Max-Forwards and
Expires cannot fail.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable
from typing import TypeAlias, overload

import sipmessage
from sipmessage import CSeq, Headers, MediaType

from twsync import limits
from twsync.errors import FormatError
from twsync.sip import grammar
from twsync.sip.reasons import REASONS
from twsync.sip.values import URI, Address, Parameters, Via

__all__ = [
    "REASONS",
    "URI",
    "Address",
    "CSeq",
    "Headers",
    "MediaType",
    "Message",
    "Parameters",
    "Request",
    "Response",
    "Via",
    "adopt",
    "escape_reason",
    "pop_via",
    "push_via",
    "response_to",
]


class _TypedHeaders(sipmessage.Message):
    """The typed headers of both kinds of message, through our own grammar."""

    def _get_address_list(self, key: str) -> list[sipmessage.Address]:
        return [address for value in self.headers.getlist(key) for address in Address.parse_list(value)]

    def _get_optional_int(self, key: str) -> int | None:
        value = self.headers.get(key)
        return None if value is None else grammar.number(value.strip(), limits.MAX_SIP_SECONDS)

    def _get_token_list(self, key: str) -> list[str]:
        # Tokens hold neither quotes nor brackets; what does is an unknown one, not a reason to fail.
        return [token.strip() for value in self.headers.getlist(key) for token in value.split(",") if token.strip()]

    def _single(self, key: str) -> str:
        values = self.headers.getlist(key)
        if len(values) != 1:
            raise FormatError(f"There must be one {key} header.")
        return values[0]

    @property
    def from_address(self) -> Address:
        """The From header.

        :raises FormatError: if it is absent or malformed.
        """
        return Address.parse(self._single("From"))

    @from_address.setter
    def from_address(self, value: sipmessage.Address) -> None:
        self.headers.set("From", str(value))

    @property
    def to_address(self) -> Address:
        """The To header.

        :raises FormatError: if it is absent or malformed.
        """
        return Address.parse(self._single("To"))

    @to_address.setter
    def to_address(self, value: sipmessage.Address) -> None:
        self.headers.set("To", str(value))

    @property
    def via(self) -> list[sipmessage.Via]:
        """The Via values, topmost first.

        :raises FormatError: if one is malformed.
        """
        return [via for value in self.headers.getlist("Via") for via in Via.parse_list(value)]

    @via.setter
    def via(self, value: list[sipmessage.Via]) -> None:
        self.headers.setlist("Via", [str(via) for via in value])

    @property
    def top_via(self) -> Via:
        """The topmost Via.

        :raises FormatError: if there is none or it is malformed.
        """
        for value in self.headers.getlist("Via")[:1]:
            return Via.parse_list(value)[0]
        raise FormatError("There must be a Via header.")

    @property
    def call_id(self) -> str:
        """The Call-ID.

        :raises FormatError: if it is absent.
        """
        return self._single("Call-ID")

    @call_id.setter
    def call_id(self, value: str) -> None:
        self.headers.set("Call-ID", value)

    @property
    def cseq(self) -> CSeq:
        """The CSeq.

        :raises FormatError: if it is absent, malformed or its number exceeds 2^31-1.
        """
        sequence, _, method = self._single("CSeq").strip().replace("\t", " ").partition(" ")
        if not grammar.is_token(method.strip()):
            raise FormatError("CSeq names no method.")
        return CSeq(sequence=grammar.number(sequence, limits.MAX_CSEQ), method=method.strip())

    @cseq.setter
    def cseq(self, value: CSeq) -> None:
        self.headers.set("CSeq", str(value))

    @property
    def from_tag(self) -> str:
        """The tag of From; empty if absent."""
        return self.from_address.tag or ""

    @property
    def to_tag(self) -> str:
        """The tag of To; empty if absent."""
        return self.to_address.tag or ""

    @property
    def contacts_wildcard(self) -> bool:
        """Whether Contact is ``*``; the `contact` property raises then."""
        return [value.strip() for value in self.headers.getlist("Contact")] == ["*"]

    @property
    def media_type(self) -> str:
        """The Content-Type without parameters, in lower case; empty if absent."""
        return (self.headers.get("Content-Type") or "").partition(";")[0].strip().lower()

    @property
    def event_package(self) -> str:
        """The Event header without parameters; empty if absent."""
        return (self.headers.get("Event") or "").partition(";")[0].strip()


class Request(_TypedHeaders, sipmessage.Request):
    """A SIP request."""

    uri: sipmessage.URI


class Response(_TypedHeaders, sipmessage.Response):
    """A SIP response."""


Message: TypeAlias = Request | Response


@overload
def adopt(message: sipmessage.Request) -> Request: ...
@overload
def adopt(message: sipmessage.Response) -> Response: ...
def adopt(message: sipmessage.Request | sipmessage.Response) -> Message:
    """A copy in this module's classes, whose headers can be changed without changing the original's."""
    twin: Message = (
        Request(message.method, message.uri, message.body)
        if isinstance(message, sipmessage.Request)
        else Response(message.code, message.phrase, message.body)
    )
    for name in message.headers.keys():  # noqa: SIM118 - no mapping
        twin.headers.setlist(name, list(message.headers.getlist(name)))
    return twin


def push_via(message: sipmessage.Message, via: sipmessage.Via) -> None:
    """Put a Via on top."""
    message.headers.setlist("Via", [str(via), *message.headers.getlist("Via")])


def pop_via(message: sipmessage.Message) -> Via | None:
    """Take the topmost Via off; None if there was none.

    :raises FormatError: if the first Via header is malformed.
    """
    values = list(message.headers.getlist("Via"))
    if not values:
        return None
    first = grammar.split_list(values[0])
    rest = [", ".join(first[1:]), *values[1:]] if len(first) > 1 else values[1:]
    if rest:
        message.headers.setlist("Via", rest)
    else:
        message.headers.remove("Via")
    return Via.parse(first[0])


def response_to(
    request: sipmessage.Request,
    code: int,
    phrase: str | None = None,
    *,
    tag: str = "",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> Response:
    """A response by RFC 3261 section 8.2.6: Via, From, To, Call-ID and CSeq are the request's.

    :param phrase: the reason; None takes the standard one.
    :param tag: is added to To if there is none yet; needed for all but 100.
    :param headers: more headers.
    Record-Route is copied where the response can make a dialog (section 12.1.1).
    """
    response = Response(code, REASONS.get(code, "Unknown") if phrase is None else phrase, body)
    for name in ("Via", "From", "To", "Call-ID", "CSeq"):
        values = request.headers.getlist(name)
        if values:
            response.headers.setlist(name, list(values))
    if code == 100 and (stamp := request.headers.get("Timestamp")) is not None:
        response.headers.set("Timestamp", stamp)
    if tag and code != 100 and (to := Address.parse(response.headers["To"])).tag is None:
        response.headers.set("To", str(to.with_tag(tag)))
    if 100 < code < 300 and request.method in ("INVITE", "SUBSCRIBE", "REFER", "NOTIFY") and request.headers.getlist("Record-Route"):
        response.headers.setlist("Record-Route", list(request.headers.getlist("Record-Route")))
    for name, value in headers:
        response.headers.add(name, value)
    return response


def escape_reason(text: str) -> str:
    """`text` fit for a reason phrase or Warning: no line breaks, printable.

    A text that came from outside must not be able to end a header line.
    """
    return "".join(character if character.isprintable() else urllib.parse.quote(character, errors="surrogateescape") for character in text)
