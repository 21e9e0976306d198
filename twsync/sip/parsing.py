"""One SIP message out of its head and body, checked.

What RFC 3261 section 8.1.1 makes mandatory must be there, once and well-formed, before anything else sees a message; the RFC 4475
torture messages are the tests of it. What leaves the end of a message in doubt raises, everything else that is wrong is `Malformed`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import sipmessage
from sipmessage.message import COMPACT_FORMS

from twsync import limits
from twsync.errors import FormatError
from twsync.sip import grammar
from twsync.sip.message import Headers, Message, Request, Response, response_to
from twsync.sip.values import URI, Address, Via

_REQUEST_LINE = re.compile(r"(?P<method>[^ \t]+)[ \t].*[ \t](?P<version>SIP/[0-9]+\.[0-9]+)[ \t]*", re.IGNORECASE)
_STATUS_LINE = re.compile(r"(?P<version>SIP/[0-9]+\.[0-9]+)[ \t].*", re.IGNORECASE)
_STATUS = re.compile(r"SIP/2\.0 (?P<code>[1-6][0-9][0-9])(?: (?P<phrase>.*))?", re.IGNORECASE)
_CALL_ID = re.compile(r"[!-~]+")

#: Headers that may come once; two of them let two readers see two different messages.
_SINGLE = ("From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Type", "Expires", "Event", "Subscription-State", "Min-Expires", "Date")
_NEEDED = ("Via", "From", "To", "Call-ID", "CSeq")
_LONG_NAMES = {name.lower(): name for name in (*COMPACT_FORMS.values(), *_SINGLE, "Route", "Record-Route", "Path")}


@dataclass(frozen=True)
class Malformed:
    """A message that was framed well and is malformed; the stream goes on behind it."""

    reason: str
    "One sentence, without anything from the message."
    status: int
    "What to answer a request with: 400 or 505."
    method: str
    "The method as it was sent; empty for a response."
    headers: Headers
    "All headers that could be told apart, unfolded, under their long names."

    @property
    def is_request(self) -> bool:
        """Whether it was meant as a request."""
        return bool(self.method)

    def answer(self) -> Response | None:
        """The answer to send back; None for a response, an ACK, or if a header that an answer needs is missing or not repeatable."""
        if not self.is_request or self.method == "ACK":
            return None
        request = Request(self.method, URI(scheme="sip", host="invalid"))
        for name in _NEEDED:
            values = self.headers.getlist(name)
            if not values or any(grammar.has_control(value) for value in values):
                return None
            request.headers.setlist(name, list(values) if name == "Via" else values[:1])
        return response_to(request, self.status)


@dataclass(frozen=True)
class Head:
    """Start line and header lines, unfolded, nothing judged yet but where the body ends."""

    start_line: str
    fields: tuple[tuple[str, str], ...]
    content_length: int
    fault: str
    "Why a line could not be read; empty if all could."


def is_start_line(line: bytes) -> bool:
    """Whether a line is a start line of some version of SIP, well-formed or not."""
    text = line.decode("utf-8", "surrogateescape")
    return _REQUEST_LINE.fullmatch(text) is not None or _STATUS_LINE.fullmatch(text) is not None


def read_head(data: bytes, most_headers: int, longest_line: int) -> Head:
    """Split a head (without the empty line at its end) into lines, and find Content-Length.

    :raises FormatError: if lines are too long or too many, end in something else than CRLF, or Content-Length is missing, repeated or
        no number.
    """
    if data.count(b"\r\n") != data.count(b"\r") or data.count(b"\r") != data.count(b"\n"):
        # Some readers take such a line break for one; then they and we would not see the same headers.
        raise FormatError("A header line has a line break inside.")
    text = data.decode("utf-8", "surrogateescape")
    start_line, *lines = text.split("\r\n")
    unfolded: list[list[str]] = []
    for line in lines:
        if not line.startswith((" ", "\t")):
            unfolded.append([line])
        elif unfolded:
            unfolded[-1].append(line.strip(" \t"))
        else:
            raise FormatError("The start line is folded.")
    if len(unfolded) > most_headers:
        raise FormatError("There are too many headers.")
    fields: list[tuple[str, str]] = []
    lengths: list[str] = []
    fault = ""
    for parts in unfolded:
        line = " ".join(parts)
        if len(line) > longest_line:
            raise FormatError("A header line is too long.")
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t")
        if not colon or not grammar.is_token(name):
            fault = "A header line has no proper name."
            continue
        # sipmessage finds headers whatever their case; one spelling keeps what is forwarded tidy.
        name = COMPACT_FORMS.get(name.lower()) or _LONG_NAMES.get(name.lower(), name)
        value = value.strip(" \t")
        if name == "Content-Length":
            lengths.append(value)
        else:
            fields.append((name, value))
    if len(lengths) != 1:
        raise FormatError("There must be one Content-Length.")
    return Head(start_line, tuple(fields), grammar.number(lengths[0], limits.MAX_SIP_SECONDS), fault)


def build_message(head: Head, body: bytes) -> Message | Malformed:
    """The message of a head and its body, or what is wrong with it."""
    headers = Headers()
    for name, value in head.fields:
        headers.add(name, value)
    request_line = None if head.start_line[:4].upper() == "SIP/" else _REQUEST_LINE.fullmatch(head.start_line)
    method = request_line["method"] if request_line else ""

    def malformed(reason: str, status: int = 400) -> Malformed:
        return Malformed(reason, status, method, headers)

    if head.fault:
        return malformed(head.fault)
    if grammar.has_control(head.start_line) or any(grammar.has_control(value) for _, value in head.fields):
        return malformed("A header holds a control character, or is not UTF-8.")
    if request_line and request_line["version"].upper() != "SIP/2.0":
        return malformed("This version of SIP is not supported.", 505)
    try:
        message = _request(head.start_line, body) if request_line else _response(head.start_line, body)
        message.headers = headers
        _check(message)
    except FormatError as error:
        return malformed(error.message)
    return message


def _request(line: str, body: bytes) -> Message:
    parts = line.split(" ")
    if len(parts) != 3 or not grammar.is_token(parts[0]):
        raise FormatError("The request line is malformed.")
    uri = URI.parse(parts[1])
    if uri.headers:
        raise FormatError("A Request-URI must not have headers.")
    return Request(parts[0], uri, body)


def _response(line: str, body: bytes) -> Message:
    match = _STATUS.fullmatch(line)
    if match is None:
        raise FormatError("The status line is malformed.")
    return Response(int(match["code"]), match["phrase"] or "", body)


def _check(message: Message) -> None:
    """Read every header that others rely on.

    :raises FormatError: if one is missing, repeated or malformed.
    """
    for name in _SINGLE:
        if len(message.headers.getlist(name)) > 1:
            raise FormatError(f"There is more than one {name} header.")
    for name in _NEEDED:
        if not message.headers.getlist(name):
            raise FormatError(f"There is no {name} header.")
    for value in message.headers.getlist("Via"):
        Via.parse_list(value)
    Address.parse(message.headers["From"])
    Address.parse(message.headers["To"])
    if _CALL_ID.fullmatch(message.headers["Call-ID"]) is None:
        raise FormatError("Call-ID is malformed.")
    cseq = message.cseq
    if isinstance(message, Request) and cseq.method != message.method:
        raise FormatError("CSeq names another method than the request line.")
    _check_addresses(message)
    for name, largest in (("Max-Forwards", 255), ("Expires", limits.MAX_SIP_SECONDS), ("Min-Expires", limits.MAX_SIP_SECONDS)):
        if (text := message.headers.get(name)) is not None:
            grammar.number(text, largest)


def _check_addresses(message: sipmessage.Message) -> None:
    for name in ("Contact", "Route", "Record-Route", "Path"):
        values = message.headers.getlist(name)
        if name == "Contact" and values == ["*"]:
            continue
        if sum(len(Address.parse_list(value)) for value in values) > limits.MAX_CONTACTS:
            raise FormatError(f"There are too many values of {name}.")
