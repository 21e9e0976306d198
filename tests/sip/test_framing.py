"""Cutting a stream into messages: whole, byte by byte, and every way it can be wrong."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twsync.errors import FormatError
from twsync.sip.framing import Event, Framer, FramingLimits, Malformed, Ping, Pong, serialize
from twsync.sip.message import URI, Request, Response, adopt

HEAD = (
    b"OPTIONS sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.1;branch=z9hG4bKx\r\nFrom: <sip:a@example.org>;tag=1\r\n"
    b"To: <sip:bob@example.org>\r\nCall-ID: c1\r\nCSeq: 1 OPTIONS\r\n"
)


def message(body: bytes = b"", extra: bytes = b"", length: bytes | None = None) -> bytes:
    return HEAD + extra + b"Content-Length: " + (str(len(body)).encode() if length is None else length) + b"\r\n\r\n" + body


def shape(event: Event) -> object:
    """What of an event can be compared."""
    if isinstance(event, Request | Response):
        return serialize(event)
    return (event.reason, event.status, event.method) if isinstance(event, Malformed) else event


def feed_in_pieces(data: bytes, cuts: list[int], *, initiator: bool = False) -> tuple[list[object], bool]:
    """All events of a stream that is cut at `cuts`, and whether it broke."""
    framer = Framer(initiator=initiator)
    found: list[object] = []
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        try:
            found += [shape(event) for event in framer.feed(data[start:end])]
        except FormatError:
            break
    return found, framer.error is not None


def test_one_chunk_may_hold_several_messages_and_pings() -> None:
    found = Framer().feed(message(b"one") + b"\r\n\r\n" + message(b"two\r\n\r\n") + message())
    assert [type(event) for event in found] == [Request, Ping, Request, Request]
    assert [event.body for event in found if isinstance(event, Request)] == [b"one", b"two\r\n\r\n", b""]


def test_every_cut_gives_the_same_events() -> None:
    data = b"\r\n" + message(b"one") + b"\r\n\r\n" + message(b"", b"Subject: a\r\n b\r\n")
    whole = feed_in_pieces(data, [])
    assert whole[1] is False
    for cut in range(len(data)):
        assert feed_in_pieces(data, [cut]) == whole
    assert feed_in_pieces(data, list(range(len(data)))) == whole


def test_the_side_that_accepted_hears_pings_and_the_other_pongs() -> None:
    assert Framer().feed(b"\r\n\r\n\r\n\r\n") == [Ping(), Ping()]
    assert Framer(initiator=True).feed(b"\r\n") == [Pong()]
    accepting = Framer()
    assert accepting.feed(b"\r\n\r") == []
    assert accepting.unfinished
    assert accepting.feed(b"\n") == [Ping()]
    assert not accepting.unfinished


def test_a_single_blank_line_before_a_message_is_no_half_of_a_ping() -> None:
    framer = Framer()
    framer.feed(b"\r\n" + message())
    assert framer.feed(b"\r\n") == []
    assert framer.feed(b"\r\n") == [Ping()]


def test_folded_headers_and_compact_forms_are_undone() -> None:
    data = HEAD.replace(b"Call-ID:", b"i :") + b"k: path,\r\n\toutbound\r\n  , gruu\r\nL: 0\r\n\r\n"
    (found,) = Framer().feed(data)
    assert isinstance(found, Request)
    assert found.call_id == "c1"
    assert found.supported == ["path", "outbound", "gruu"]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(HEAD + b"\r\n", id="no Content-Length"),
        pytest.param(message(length=b"+5"), id="signed length"),
        pytest.param(message(length=b"-1"), id="negative length"),
        pytest.param(message(length=b"5 5"), id="two numbers"),
        pytest.param(message(length=b"0x5"), id="hexadecimal"),
        pytest.param(message(length=b""), id="empty length"),
        pytest.param(message(length="\u0665".encode()), id="another script's digit"),
        pytest.param(message(length=b"9" * 30), id="overflow"),
        pytest.param(message(length=b"0, 0"), id="list of lengths"),
        pytest.param(message(extra=b"Content-Length: 0\r\n"), id="same length twice"),
        pytest.param(message(extra=b"l: 5\r\n"), id="two lengths, one compact"),
        pytest.param(message(extra=b"X: a\nContent-Length: 5\r\n"), id="bare LF"),
        pytest.param(message(extra=b"X: a\rb\r\n"), id="bare CR"),
        pytest.param(message().replace(b"SIP/2.0\r\n", b"SIP/2.0\r\n Content-Length: 5\r\n", 1), id="folded start line"),
        pytest.param(b"\rX", id="CR alone between messages"),
        pytest.param(b"\n", id="LF alone between messages"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", id="HTTP"),
        pytest.param(b"\x16\x03\x01\x02\x00", id="TLS to a plain port"),
        pytest.param(b"hello world\r\n", id="no SIP"),
    ],
)
def test_what_leaves_the_end_of_a_message_in_doubt_ends_the_stream(data: bytes) -> None:
    framer = Framer()
    with pytest.raises(FormatError):
        framer.feed(data)
    with pytest.raises(FormatError):
        framer.feed(message())
    assert framer.error is not None


def test_what_was_complete_before_a_fault_is_given_out_first() -> None:
    framer = Framer()
    found = framer.feed(message() + b"garbage\r\n")
    assert len(found) == 1
    assert framer.error is not None
    with pytest.raises(FormatError):
        framer.feed(b"")


@pytest.mark.parametrize(
    ("limits", "data"),
    [
        pytest.param(FramingLimits(message=300), message(b"x" * 200), id="message"),
        pytest.param(FramingLimits(head=180), message(), id="head"),
        pytest.param(FramingLimits(head=100), HEAD, id="unfinished head"),
        pytest.param(FramingLimits(headers=5), message(), id="headers"),
        pytest.param(FramingLimits(line=60), message(extra=b"X: " + b"a" * 60 + b"\r\n"), id="line"),
        pytest.param(FramingLimits(line=60), message(extra=b"X: " + b"a\r\n " * 60 + b"\r\n"), id="folded line"),
        pytest.param(FramingLimits(line=20), b"OPTIONS sip:" + b"a" * 20, id="unfinished start line"),
    ],
)
def test_limits_end_the_stream_however_it_is_cut(limits: FramingLimits, data: bytes) -> None:
    with pytest.raises(FormatError):
        Framer(limits).feed(data)
    framer = Framer(limits)
    with pytest.raises(FormatError):
        for position in range(len(data)):
            framer.feed(data[position : position + 1])


def test_a_message_right_at_the_limits_passes() -> None:
    data = message(b"x" * 40)
    head = data.index(b"\r\n\r\n") + 4
    limits = FramingLimits(message=len(data), head=head, headers=6, line=len("Via: SIP/2.0/TLS 192.0.2.1;branch=z9hG4bKx"))
    framer = Framer(limits)
    found = [event for position in range(len(data)) for event in framer.feed(data[position : position + 1])]
    assert [type(event) for event in found] == [Request]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ((b"SIP/2.0\r\n", b"SIP/3.0\r\n"), 505),
        ((b"Via: SIP/2.0/TLS", b"Via: SIP/2.0"), 400),
        ((b"CSeq: 1 OPTIONS", b"CSeq: 1 INVITE"), 400),
        ((b"CSeq: 1", b"CSeq: 2147483648"), 400),
        ((b"sip:bob@example.org SIP", b"<sip:bob@example.org> SIP"), 400),
        ((b"Call-ID: c1", b"Call-ID: c 1"), 400),
        ((b"Call-ID: c1", b"Call-ID: c1\r\nno colon here"), 400),
        ((b"Call-ID: c1", b"Call-ID: c1\r\nSubject: \xff\xfe"), 400),
        ((b"Call-ID: c1", b"Call-ID: c1\r\nSubject: a\x00b"), 400),
        ((b"Call-ID: c1", b"Call-ID: c1\r\nCall-ID: c1"), 400),
        ((b"Call-ID: c1", b"Call-ID: c1\r\nMax-Forwards: 256"), 400),
        ((b"Call-ID: c1", b"Call-ID: c1\r\nExpires: soon"), 400),
        ((b"Call-ID: c1", b"Call-ID: c1\r\nRoute: sip:p1,,sip:p2"), 400),
        ((b"Call-ID: c1", b"Call-ID: c1\r\nContact: *, <sip:a@b>"), 400),
        ((b"Call-ID: c1", b"Call-ID: c1\r\nContact: " + b",".join([b"<sip:a@b>"] * 129)), 400),
        ((b";tag=1", b";tag=1;self=2;TAG=3"), 400),
    ],
)
def test_other_faults_are_told_and_the_stream_goes_on(change: tuple[bytes, bytes], status: int) -> None:
    framer = Framer()
    found = framer.feed(message(b"body").replace(*change) + message())
    assert [type(event) for event in found] == [Malformed, Request]
    fault = found[0]
    assert isinstance(fault, Malformed)
    assert (fault.status, fault.is_request) == (status, True)
    answer = fault.answer()
    assert answer is not None
    assert answer.code == status
    assert answer.headers["CSeq"] == fault.headers["CSeq"]
    assert answer.headers.getlist("Via") == fault.headers.getlist("Via")
    serialize(answer)


def test_a_fault_cannot_be_answered_without_the_headers_an_answer_needs() -> None:
    (fault,) = Framer().feed(message().replace(b"From:", b"Form:"))
    assert isinstance(fault, Malformed)
    assert fault.answer() is None


def test_a_malformed_ack_or_response_is_not_answered() -> None:
    (ack,) = Framer().feed(message().replace(b"OPTIONS sip", b"ACK sip"))
    (response,) = Framer().feed(message().replace(b"OPTIONS sip:bob@example.org SIP/2.0", b"SIP/2.0 999 x"))
    for fault in (ack, response):
        assert isinstance(fault, Malformed)
        assert fault.answer() is None


def test_a_parameter_named_self_is_a_parameter() -> None:
    (found,) = Framer().feed(message().replace(b";tag=1", b";tag=1;self=2"))
    assert isinstance(found, Request)
    assert found.from_address.parameters["self"] == "2"


def test_serialize_writes_the_true_length_and_nothing_that_adds_a_line() -> None:
    request = Request("MESSAGE", URI.parse("sips:bob@example.org"), b"hello")
    request.headers.set("l", "99")
    request.headers.set("Subject", "äöü")
    assert serialize(request) == "MESSAGE sips:bob@example.org SIP/2.0\r\nSubject: äöü\r\nContent-Length: 5\r\n\r\nhello".encode()
    for value in ("a\r\nEvil: 1", "a\nb", "a\0b"):
        request.headers.set("Subject", value)
        with pytest.raises(FormatError):
            serialize(request)
    with pytest.raises(FormatError):
        serialize(Response(200, "OK\r\nEvil: 1"))
    bad = Response(200, "OK")
    bad.headers.set("E vil", "1")
    with pytest.raises(FormatError):
        serialize(bad)


PIECES = [
    b"\r\n",
    b"\r",
    b"\n",
    b" ",
    b":",
    b";",
    b",",
    b'"',
    b"<",
    b">",
    b"\\",
    b"\x00",
    b"\xff",
    b"SIP/2.0",
    b"INVITE ",
    b"sip:a@b",
    b"Via: ",
    b"Content-Length: 0",
    b"l: 3",
    b"\r\n\r\n",
    message(),
    message(b"abc"),
    HEAD,
    b"Contact: ",
    b"%41",
    b"[::1]",
    b"tag=",
    b"z9hG4bK",
]


@given(
    st.lists(st.sampled_from(PIECES) | st.binary(max_size=8), max_size=12).map(b"".join),
    st.lists(st.integers(0, 4000), max_size=6),
    st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_arbitrary_bytes_give_documented_results_however_cut(data: bytes, cuts: list[int], initiator: bool) -> None:
    whole = feed_in_pieces(data, [], initiator=initiator)
    assert feed_in_pieces(data, cuts, initiator=initiator) == whole
    for event in whole[0]:
        assert isinstance(event, bytes | tuple | Ping | Pong)


@given(st.binary(max_size=60), st.integers(0, len(HEAD)))
@settings(max_examples=300, deadline=None)
def test_a_message_with_anything_put_in_is_read_or_refused(junk: bytes, place: int) -> None:
    data = message(b"abc")
    try:
        found = Framer().feed(data[:place] + junk + data[place:])
    except FormatError:
        return
    for event in found:
        if isinstance(event, Request | Response):
            again = Framer().feed(serialize(adopt(event)))
            assert len(again) == 1
            assert shape(again[0]) == shape(event)
