"""Dialogs of both sides, over proxies that record themselves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from twsync.errors import FormatError, ProtocolError
from twsync.sip.dialog import Dialog, DialogState, dialog_id
from twsync.sip.message import CSeq, Message, Request, Response, adopt, response_to

Read = Callable[..., Message]


def answer(invite: Request, code: int = 200, **more: str) -> Response:
    return response_to(invite, code, tag="b1", headers=[("Contact", "<sips:bob@198.51.100.3:5061;gr=desk>"), *more.items()])


def both(invite: Request) -> tuple[Dialog, Dialog]:
    response = answer(invite)
    return Dialog.from_response(invite, response), Dialog.from_request(invite, response)


def test_both_sides_see_the_same_dialog_from_their_ends(invite: Request) -> None:
    caller, callee = both(invite)
    assert caller.id == ("call-1", "a1", "b1")
    assert callee.id == ("call-1", "b1", "a1")
    assert caller.route_set == ("<sips:p1.example.org;lr>", "<sips:p2.example.org;lr>")
    assert callee.route_set == ("<sips:p2.example.org;lr>", "<sips:p1.example.org;lr>")
    assert (caller.remote_target, callee.remote_target) == (
        "sips:bob@198.51.100.3:5061;gr=desk",
        "sips:alice@192.0.2.7:40112;transport=tls;ob",
    )
    assert caller.state is callee.state is DialogState.CONFIRMED


def test_requests_of_each_side_are_taken_by_the_other(invite: Request) -> None:
    caller, callee = both(invite)
    info = caller.request("INFO", body=b"{}", content_type="application/vnd.twsync.progress+json", headers=[("Info-Package", "x")])
    assert str(info.uri) == caller.remote_target
    assert info.headers.getlist("Route") == list(caller.route_set)
    assert (info.cseq.sequence, info.cseq.method, info.max_forwards) == (8, "INFO", 70)
    assert info.headers.get("Contact") is None
    assert callee.matches(info)
    assert not caller.matches(info)
    assert dialog_id(info, local_is_from=True) == caller.id
    callee.received(info)
    bye = callee.request("BYE")
    assert bye.cseq.sequence == 1
    caller.received(bye)
    assert caller.state is DialogState.ENDED
    with pytest.raises(ProtocolError):
        caller.request("INFO")


def test_the_ack_has_the_invites_number(invite: Request) -> None:
    caller, callee = both(invite)
    ack = caller.ack(invite, [("Proxy-Authorization", "Digest x")])
    assert (ack.cseq.sequence, ack.cseq.method) == (7, "ACK")
    assert ack.headers.getlist("Route") == list(caller.route_set)
    callee.received(ack)
    assert caller.request("BYE").cseq.sequence == 8


def test_a_request_out_of_order_is_refused(invite: Request) -> None:
    caller, callee = both(invite)
    first, second = caller.request("INFO"), caller.request("INFO")
    callee.received(second)
    with pytest.raises(ProtocolError) as refused:
        callee.received(first)
    assert refused.value.code == "cseq"
    with pytest.raises(ProtocolError):
        callee.received(second)


def test_a_provisional_response_makes_an_early_dialog_that_the_final_one_confirms(invite: Request) -> None:
    dialog = Dialog.from_response(invite, answer(invite, 180))
    assert dialog.state is DialogState.EARLY
    final = answer(invite)
    final.headers.set("Contact", "<sips:bob@203.0.113.9>")
    final.headers.setlist("Record-Route", ["<sips:p1.example.org;lr>"])
    dialog.answered(final)
    assert dialog.state is DialogState.CONFIRMED
    assert dialog.remote_target == "sips:bob@203.0.113.9"
    assert dialog.route_set == ("<sips:p1.example.org;lr>",)


@pytest.mark.parametrize(
    ("method", "code", "state"),
    [
        ("INFO", 200, DialogState.CONFIRMED),
        ("INFO", 500, DialogState.CONFIRMED),
        ("INFO", 481, DialogState.ENDED),
        ("INFO", 408, DialogState.ENDED),
        ("BYE", 200, DialogState.ENDED),
        ("BYE", 500, DialogState.ENDED),
        ("BYE", 407, DialogState.CONFIRMED),
        ("BYE", 100, DialogState.CONFIRMED),
        ("INVITE", 488, DialogState.CONFIRMED),
    ],
)
def test_what_a_response_does_to_a_confirmed_dialog(invite: Request, method: str, code: int, state: DialogState) -> None:
    dialog, _ = both(invite)
    dialog.answered(response_to(dialog.request(method), code))
    assert dialog.state is state


def test_a_refused_invite_ends_an_early_dialog(invite: Request) -> None:
    dialog = Dialog.from_response(invite, answer(invite, 180))
    dialog.answered(answer(invite, 486))
    assert dialog.state is DialogState.ENDED


def test_a_reinvite_moves_the_target(invite: Request) -> None:
    caller, callee = both(invite)
    again = caller.request("INVITE")
    assert again.headers["Contact"] == invite.headers["Contact"]
    again.headers.set("Contact", "<sips:alice@192.0.2.99>")
    callee.received(again)
    assert callee.remote_target == "sips:alice@192.0.2.99"


def test_a_strict_router_gets_the_request_uri(invite: Request) -> None:
    dialog, _ = both(invite)
    dialog.route_set = ("<sip:strict.example.org>", "<sip:next.example.org;lr>")
    request = dialog.request("BYE")
    assert str(request.uri) == "sip:strict.example.org"
    assert request.headers.getlist("Route") == ["<sip:next.example.org;lr>", f"<{dialog.remote_target}>"]


def test_a_dialog_needs_tag_and_contact(invite: Request) -> None:
    with pytest.raises(FormatError):
        Dialog.from_response(invite, response_to(invite, 200, headers=[("Contact", "<sip:a@b>")]))
    with pytest.raises(FormatError):
        Dialog.from_response(invite, response_to(invite, 200, tag="x"))
    bare = adopt(invite)
    bare.headers.remove("Contact")
    with pytest.raises(FormatError):
        Dialog.from_request(bare, answer(invite))


def test_sequence_numbers_end(invite: Request) -> None:
    dialog, _ = both(invite)
    dialog.local_seq = 2**31 - 1
    with pytest.raises(ProtocolError):
        dialog.request("INFO")
    later = adopt(invite)
    later.cseq = CSeq(sequence=2**31 - 1, method="INVITE")
    assert Dialog.from_response(later, answer(later)).local_seq == 2**31 - 1
