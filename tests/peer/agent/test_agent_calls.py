"""Calls out and in, requests by MESSAGE, presence: what the agent sends and answers."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from twsync.peer.calls import Call
from twsync.peer.identity import MEDIA_PROGRESS, MEDIA_REGINFO, MEDIA_REQUEST, MEDIA_SESSION
from twsync.peer.refusals import Refusal
from twsync.sip import reginfo
from twsync.sip.message import URI, CSeq, Request
from twsync.sip.request import SyncRequest, build, parse

OFFER = b"<offer/>"
ANSWER = b"<answer/>"


def call(world, timeout=30.0):
    """Start a call; what it comes to is put into the list."""
    results = []
    Deferred.fromCoroutine(world.agent.calls.call("alice/desktop", "call-1", OFFER, timeout)).addBoth(results.append)
    return results


def accepted(world, request):
    contact = ("Contact", "<sips:alice@example.org;gr=desktop>")
    headers = [contact, ("Content-Type", MEDIA_SESSION), ("Record-Route", "<sips:example.org;lr>")]
    return world.server.reply(request, 200, headers=headers, body=ANSWER)


def invite(**changes):
    """An INVITE as the server passes it on."""
    request = Request("INVITE", URI.parse("sips:alice@198.51.100.7:40112"), changes.pop("body", OFFER))
    headers = {
        "Via": "SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bKserver1;rport",
        "From": "<sips:alice@example.org>;tag=desk",
        "To": "<sips:alice@example.org;gr=laptop>",
        "Call-ID": "call-2",
        "CSeq": "1 INVITE",
        "Max-Forwards": "69",
        "Contact": "<sips:alice@example.org;gr=desktop>",
        "P-Asserted-Identity": "<sips:alice@example.org;gr=desktop>",
        "Record-Route": "<sips:example.org;lr>",
        "Content-Type": MEDIA_SESSION,
        **changes,
    }
    for name, value in headers.items():
        if value is not None:
            request.headers.set(name.replace("_", "-"), value)
    return request


def in_dialog(method, call, sequence=2, body=b"", media=""):
    """A request of the other side inside `call`."""
    request = Request(method, URI.parse("sips:alice@example.org;gr=laptop"), body)
    request.headers.set("Via", f"SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bK{method}{sequence};rport")
    request.headers.set("From", call.dialog.remote)
    request.headers.set("To", call.dialog.local)
    request.call_id = call.session
    request.cseq = CSeq(sequence, method)
    if media:
        request.headers.set("Content-Type", media)
    return request


# --- out -------------------------------------------------------------------------------------------------------------------------------


def test_call_answers_407_acknowledges_200_and_hangs_up(world):
    results = call(world)
    asked = []
    world.server.answer["INVITE"] = lambda request: asked.append(request) or [world.server.reply(request, 100), accepted(world, request)]
    left = world.server.serve()
    (found,) = results
    assert isinstance(found, Call)
    assert found.body == ANSWER
    assert asked[0].body == OFFER
    assert str(asked[0].uri) == "sips:alice@example.org;gr=desktop"
    assert "gr=laptop" in asked[0].headers["Contact"]
    assert [request.method for request in left] == ["ACK"]
    assert left[0].cseq.sequence == asked[0].cseq.sequence
    bye = Deferred.fromCoroutine(world.agent.calls.bye(found))
    (request,) = world.server.take("BYE")
    assert request.headers["Route"] == "<sips:example.org;lr>"
    world.server.send(world.server.reply(request, 200))
    assert bye.called
    assert found.ended.called


def test_call_uses_the_nonce_of_the_registration(world):
    call(world)
    (request,) = world.server.take("INVITE")
    assert "nc=" in request.headers["Proxy-Authorization"]


@pytest.mark.parametrize(
    ("status", "headers", "code", "stored"),
    [
        (403, [], "forbidden", False),
        (404, [], "not-found", False),
        (480, [("Warning", '399 example.org "request stored"')], "device-offline", True),
        (480, [], "device-offline", False),
        (486, [], "busy", False),
        (488, [], "not-acceptable", False),
        (503, [], "server-busy", False),
        (603, [], "declined", False),
        (499, [], "refused", False),
        (403, [("Error-Info", "<urn:twsync:refusal:key-changed>"), ("Warning", '399 x "run \\"twsync trust\\""')], "key-changed", False),
    ],
)
def test_refusals(world, status, headers, code, stored):
    results = call(world)
    world.server.answer["INVITE"] = lambda request: [world.server.reply(request, status, headers=headers)]
    world.server.serve()
    (refusal,) = results
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code, refusal.stored) == (status, code, stored)
    assert refusal.message.endswith(".")
    if code == "key-changed":
        assert refusal.message == 'Run "twsync trust".'


def test_no_answer_is_cancelled(world):
    results = call(world, timeout=5.0)
    world.server.answer["INVITE"] = lambda request: [world.server.reply(request, 100)]
    world.server.serve()
    invite = world.user.sent("INVITE")[-1]
    world.clock.advance(5)
    (cancel,) = world.server.take("CANCEL")
    world.server.send(world.server.reply(cancel, 200))
    assert not results
    final = world.server.reply(invite, 487)
    final.headers.setlist("Via", cancel.headers.getlist("Via"))
    world.server.send(final)
    assert results[0].code == "no-answer"


def test_flow_loss_ends_the_waiting(world):
    results = call(world)
    world.server.wire.drop()
    assert results[0].code == "server-unreachable"


def test_no_call_without_registration(make_world):
    world = make_world(up=False)
    world.agent.start()
    assert call(world)[0].code == "server-unreachable"


def test_repeated_200_is_acknowledged_again_and_a_fork_released(world):
    results = call(world)
    world.server.answer["INVITE"] = lambda request: sent.append(request) or [accepted(world, request)]
    sent = []
    world.server.serve()
    world.server.send(accepted(world, sent[0]))
    assert [request.method for request in world.server.take()] == ["ACK"]
    fork = accepted(world, sent[0])
    fork.headers.set("To", fork.headers["To"].replace("tag=server", "tag=other"))
    world.server.send(fork)
    assert [request.method for request in world.server.take()] == ["ACK", "BYE"]
    assert not results[0].ended.called


def test_a_call_outlives_its_flow(world):
    results = call(world)
    world.server.answer["INVITE"] = lambda request: [accepted(world, request)]
    world.server.serve()
    world.server.wire.drop()
    world.go(5)
    assert world.agent.registered
    assert not results[0].ended.called
    Deferred.fromCoroutine(world.agent.calls.bye(results[0]))
    assert len(world.server.take("BYE")) == 1


def test_bye_without_a_server_is_given_up_quietly(world):
    results = call(world)
    world.server.answer["INVITE"] = lambda request: [accepted(world, request)]
    world.server.serve()
    world.server.up = False
    world.server.wire.drop()
    assert Deferred.fromCoroutine(world.agent.calls.bye(results[0])).called


def test_unanswered_bye_is_given_up(world):
    results = call(world)
    world.server.answer["INVITE"] = lambda request: [accepted(world, request)]
    world.server.serve()
    bye = Deferred.fromCoroutine(world.agent.calls.bye(results[0]))
    assert not bye.called
    world.clock.advance(4)
    assert bye.called


# --- in --------------------------------------------------------------------------------------------------------------------------------


def test_incoming_call(world):
    world.server.send(invite())
    (trying,) = world.server.responses()
    assert trying.code == 100
    (offer,) = world.user.offers
    assert (offer.partner, offer.session, offer.body) == ("alice/desktop", "call-2", OFFER)
    standing = world.agent.calls.accept(offer, ANSWER)
    (ok,) = world.server.responses()
    assert (ok.code, ok.body, ok.media_type) == (200, ANSWER, MEDIA_SESSION)
    assert ok.headers["Record-Route"] == "<sips:example.org;lr>"
    world.server.send(in_dialog("ACK", standing, 1))
    world.clock.advance(1)
    assert not world.server.responses()
    world.server.send(in_dialog("INFO", standing, 2, b"{}", MEDIA_PROGRESS))
    world.server.send(in_dialog("BYE", standing, 3))
    assert [response.code for response in world.server.responses()] == [200, 200]
    assert world.user.progress == [b"{}"]
    assert standing.ended.called


def test_200_is_repeated_until_ack_and_then_given_up(world):
    world.server.send(invite())
    standing = world.agent.calls.accept(world.user.offers[0], ANSWER)
    world.server.responses()
    times = 0
    for _ in range(80):
        world.clock.advance(0.5)
        times += len([response for response in world.server.responses() if response.code == 200 and response.cseq.method == "INVITE"])
    assert 9 <= times <= 12
    assert world.server.take("BYE")
    assert standing.ended.called


def test_refused_offer(world):
    world.server.send(invite())
    world.agent.calls.refuse(world.user.offers[0], 403, "key-changed", 'Run "twsync trust" there.')
    _, refusal = world.server.responses()
    assert refusal.code == 403
    assert refusal.headers["Warning"] == '399 twsync "Run \\"twsync trust\\" there."'
    assert refusal.headers["Error-Info"] == "<urn:twsync:refusal:key-changed>"
    assert world.agent.calls.accept(world.user.offers[0], ANSWER) is None


def test_cancelled_offer(world):
    request = invite()
    world.server.send(request)
    cancel = Request("CANCEL", request.uri)
    for name in ("Via", "From", "To", "Call-ID", "Max-Forwards"):
        cancel.headers.set(name, request.headers[name])
    cancel.headers.set("CSeq", "1 CANCEL")
    world.server.send(cancel)
    assert sorted(response.code for response in world.server.responses()) == [100, 200, 487]
    assert world.agent.calls.accept(world.user.offers[0], ANSWER) is None


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"P-Asserted-Identity": None, "Contact": "<sips:alice@example.org>"}, 403),
        ({"P-Asserted-Identity": "<sips:bob@example.org;gr=desktop>"}, 403),
        ({"P-Asserted-Identity": "<sips:alice@example.org>"}, 403),
        ({"Content-Type": "application/sdp"}, 488),
        ({"To": "<sips:alice@example.org>;tag=unknown"}, 481),
    ],
)
def test_bad_offers(world, changes, status):
    world.server.send(invite(**changes))
    assert [response.code for response in world.server.responses()] == [100, status]
    assert not world.user.offers


def test_stock_proxy_names_the_device_by_contact(world):
    world.server.send(invite(**{"P-Asserted-Identity": None}))
    assert world.user.offers[0].partner == "alice/desktop"


@pytest.mark.parametrize(
    ("method", "status"), [("OPTIONS", 200), ("REFER", 405), ("BYE", 481), ("INFO", 481), ("NOTIFY", 481), ("PUBLISH", 405)]
)
def test_other_requests(world, method, status):
    request = invite(CSeq=f"1 {method}")
    request.method = method
    world.server.send(request)
    assert [response.code for response in world.server.responses()] == [status]


# --- requests --------------------------------------------------------------------------------------------------------------------------


def message(body, media=MEDIA_REQUEST):
    request = invite(CSeq="1 MESSAGE", body=body)
    request.method = "MESSAGE"
    request.headers.set("Content-Type", media)
    return request


def test_stored_request_is_taken(world):
    wanted = SyncRequest("7", "alice/desktop", "photos", "two-way")
    world.server.send(message(build(wanted)))
    assert world.user.requests == [wanted]
    assert [response.code for response in world.server.responses()] == [202]


def test_refused_request_says_why(world):
    world.user.answer = (404, "There is no collection here.")
    world.server.send(message(build(SyncRequest("7", "alice/desktop", "photos", "two-way"))))
    (response,) = world.server.responses()
    assert response.code == 404
    assert "no collection" in response.headers["Warning"]


@pytest.mark.parametrize(("body", "media", "status"), [(b"<no", MEDIA_REQUEST, 400), (b"hello", "text/plain", 415)])
def test_bad_messages(world, body, media, status):
    world.server.send(message(body, media))
    assert [response.code for response in world.server.responses()] == [status]
    assert not world.user.requests


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [(202, [], None), (200, [], None), (480, [("Warning", '399 example.org "request stored"')], True), (403, [], False)],
)
def test_alert(world, status, headers, expected):
    wanted = SyncRequest("7", "alice/laptop", "photos", "two-way")
    results = []
    Deferred.fromCoroutine(world.agent.alert("alice/desktop", wanted)).addBoth(results.append)
    asked = []
    world.server.answer["MESSAGE"] = lambda request: asked.append(request) or [world.server.reply(request, status, headers=headers)]
    world.server.serve()
    assert parse(asked[0].body) == wanted
    assert results == [None] if expected is None else results[0].stored is expected


# --- presence --------------------------------------------------------------------------------------------------------------------------


def notify(world, version, state="active", full=True, event="reg", sequence=None, device="desktop", observed="192.0.2.9:5000"):
    subscribe = world.user.sent("SUBSCRIBE")[-1]
    params = {
        "+vnd.twsync.device": device, "+vnd.twsync.fingerprint": "sha256:" + "cd" * 32, "+vnd.twsync.last-seen": "2026-11-21T10:00:00Z",
        "+vnd.twsync.observed": observed, "+vnd.twsync.agent": "twsync/0.1.0",
    }  # fmt: skip
    happened = "registered" if state == "active" else "expired"
    contact = reginfo.Contact(device, f"sips:alice@example.org;gr={device}", state, happened, params=params)
    info = reginfo.RegInfo(version, full, (reginfo.Registration("sips:alice@example.org", "alice", "active", (contact,)),))
    request = Request("NOTIFY", URI.parse("sips:alice@example.org;gr=laptop"), reginfo.build(info))
    headers = {
        "Via": f"SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bKn{version}{state};rport", "From": "<sips:alice@example.org>;tag=server",
        "To": subscribe.headers["From"], "Call-ID": subscribe.call_id, "CSeq": f"{sequence or version + 1} NOTIFY", "Max-Forwards": "70",
        "Contact": "<sips:example.org>", "Event": event, "Subscription-State": "active;expires=3600", "Content-Type": MEDIA_REGINFO,
    }  # fmt: skip
    for name, value in headers.items():
        request.headers.set(name, value)
    world.server.send(request)
    return [response.code for response in world.server.responses()]


def test_another_machine_with_the_same_key_is_told_of(world):
    """The two take the registration from each other, so it is said of both as long as it goes on."""
    observed = world.agent.describe()["observed"]
    notify(world, 0, device="laptop", observed=observed)
    assert world.agent.describe()["message"] == ""
    notify(world, 1, device="laptop", observed="192.0.2.99:5000")
    notify(world, 2, device="laptop", observed=observed)
    assert "signs in over another connection too, from 192.0.2.99:5000" in world.agent.describe()["message"]
    assert "twsync init" in world.agent.describe()["message"]
    world.go(119)
    assert world.agent.describe()["message"] != ""
    world.go(2)
    assert (world.agent.registered, world.agent.describe()["message"]) == (True, "")


@pytest.mark.parametrize(("device", "state"), [("desktop", "active"), ("laptop", "terminated")])
def test_addresses_of_other_devices_and_former_ones_say_nothing(device, state, world):
    notify(world, 0, state, device=device, observed="192.0.2.99:5000")
    assert world.agent.describe()["message"] == ""


def test_device_list(world):
    assert notify(world, 0) == [200]
    device = world.user.devices["alice/desktop"]
    assert (device.online, device.address, device.last_seen) == (True, "192.0.2.9:5000", "2026-11-21T10:00:00Z")
    assert notify(world, 1, "terminated", full=False) == [200]
    assert not world.user.devices["alice/desktop"].online


def test_gap_in_the_versions_asks_for_everything(world):
    notify(world, 0)
    before = len(world.user.sent("SUBSCRIBE"))
    assert notify(world, 5, full=False) == [200]
    world.go(1)
    assert len(world.user.sent("SUBSCRIBE")) > before


def test_foreign_event_is_refused(world):
    assert notify(world, 0, event="presence") == [489]


def test_subscription_is_renewed_after_reconnect(world):
    before = len(world.user.sent("SUBSCRIBE"))
    world.server.wire.drop()
    world.go(5)
    assert len(world.user.sent("SUBSCRIBE")) > before
    assert notify(world, 0) == [200]


def test_refused_subscription_is_tried_again(make_world):
    world = make_world()
    asked = []
    world.server.answer["SUBSCRIBE"] = lambda request: asked.append(request) or [world.server.reply(request, 489)]
    world.up()
    world.go(35)
    assert len(asked) == 2
