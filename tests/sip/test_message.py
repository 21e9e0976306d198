"""Messages: typed headers, responses, Via on and off."""

from __future__ import annotations

import pytest
import sipmessage

from twsync.errors import FormatError
from twsync.sip.message import Request, Response, Via, adopt, escape_reason, pop_via, push_via, response_to


def test_a_response_repeats_what_the_request_said(invite: Request) -> None:
    response = response_to(invite, 200, tag="b1", headers=[("Contact", "<sips:bob@198.51.100.3>")], body=b"x")
    assert (response.code, response.phrase, response.body) == (200, "OK", b"x")
    assert response.headers.getlist("Via") == invite.headers.getlist("Via")
    assert (response.from_tag, response.to_tag, response.call_id) == ("a1", "b1", "call-1")
    assert response.headers.getlist("Record-Route") == invite.headers.getlist("Record-Route")
    assert response_to(invite, 486, tag="b1").headers.getlist("Record-Route") == []
    assert response_to(invite, 100, tag="b1").to_tag == ""
    assert response_to(response_to_request(invite), 200, tag="other").to_tag == "there"


def response_to_request(invite: Request) -> Request:
    twin = adopt(invite)
    twin.to_address = twin.to_address.with_tag("there")
    return twin


def test_a_copy_shares_nothing(invite: Request) -> None:
    twin = adopt(invite)
    push_via(twin, Via.parse("SIP/2.0/TLS proxy;branch=z9hG4bKp"))
    twin.headers.getlist("Record-Route").clear()
    assert len(invite.via) == 1
    assert len(invite.record_route) == 2


def test_via_goes_on_and_off() -> None:
    response = Response(200, "OK")
    assert pop_via(response) is None
    response.headers.setlist("Via", ['SIP/2.0/TLS a;x="1,2", SIP/2.0/TLS b', "SIP/2.0/TLS c"])
    push_via(response, Via.parse("SIP/2.0/TLS d"))
    assert [str(pop_via(response)) for _ in range(4)] == ["SIP/2.0/TLS d", 'SIP/2.0/TLS a;x="1,2"', "SIP/2.0/TLS b", "SIP/2.0/TLS c"]
    assert response.headers.getlist("Via") == []
    with pytest.raises(FormatError):
        _ = response.top_via


def test_a_message_built_with_sipmessage_is_adopted() -> None:
    theirs = sipmessage.Request("OPTIONS", sipmessage.URI(scheme="sip", host="example.org"), b"x")
    theirs.headers.set("From", '"a" <sip:a@h1>;tag=%41, x')
    ours = adopt(theirs)
    assert isinstance(ours, Request)
    with pytest.raises(FormatError):
        _ = ours.from_address
    ours.headers.set("From", '"a" <sip:a@h1>;tag=%41')
    assert ours.from_tag == "%41"
    assert theirs.headers["From"].endswith("x")
    assert isinstance(adopt(sipmessage.Response(200, "OK")), Response)


def test_typed_headers() -> None:
    request = Request("REGISTER", sipmessage.URI(scheme="sip", host="example.org"))
    request.headers.set("Contact", " * ")
    assert request.contacts_wildcard
    request.headers.set("Content-Type", "Application/Vnd.twsync.Session+XML; charset=utf-8")
    assert request.media_type == "application/vnd.twsync.session+xml"
    request.headers.set("Event", "reg ;id=1")
    assert request.event_package == "reg"
    request.headers.set("Expires", "+60")
    with pytest.raises(FormatError):
        _ = request.expires
    with pytest.raises(FormatError):
        _ = request.cseq
    request.headers.setlist("Supported", ["path,, outbound", ""])
    assert request.supported == ["path", "outbound"]


def test_a_reason_cannot_end_its_line() -> None:
    assert escape_reason("a\r\nEvil: 1 ä") == "a%0D%0AEvil: 1 ä"
