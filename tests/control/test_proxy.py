"""Calls through the proxy, as they go over the wire."""

from __future__ import annotations

import pytest

from twsync import limits
from twsync.sip.framing import serialize
from twsync.sip.message import Request


@pytest.fixture
def pair(world):
    """A laptop that calls and a desktop that is called."""
    return world.online(device="laptop"), world.online(device="desktop")


def stand(caller, callee, target=None, **more):
    """A call that stands: the INVITE as the callee got it, and the 200 as the caller got it."""
    assert caller.invite(target or callee.gruu, **more) is None
    invite = callee.take("INVITE")
    callee.respond(invite, 200)
    return invite, caller.take(200)


def test_the_ladder_of_a_call(pair):
    """Steps 11 to 23: 407, INVITE, 100, 180, 200, ACK, BYE, 200."""
    laptop, desktop = pair
    laptop.credentials = type(laptop.credentials)("alice", "wonderland")
    first = laptop.request("INVITE", desktop.gruu)
    laptop.send(first)
    challenge = laptop.take(407)
    laptop.acknowledge(first, challenge)
    assert desktop.read() == [], "nothing goes on without credentials"
    laptop.credentials.challenged(challenge)
    again = laptop.again(first)
    laptop.credentials.authorize(again, "cnonce-of-the-test", "Proxy-Authorization")
    laptop.send(again)
    assert laptop.take(100).to_tag == ""
    invite = desktop.take("INVITE")
    assert str(invite.uri) == f"{desktop.contact};ob"
    assert invite.max_forwards == 69
    assert len(invite.via) == 2 and invite.via[1].parameters["received"] == "192.0.2.1"
    assert invite.headers.get("Proxy-Authorization") is None
    assert invite.headers.getlist("Record-Route") == ["<sip:sync.example.org:5061;transport=tcp;lr>"]
    assert invite.headers["P-Asserted-Identity"] == "<sips:alice@example.org;gr=laptop>"
    desktop.respond(invite, 100)
    desktop.respond(invite, 180)
    ringing = laptop.take(180)
    assert len(ringing.via) == 1
    desktop.respond(invite, 200)
    answer = laptop.take(200)
    assert answer.headers["Record-Route"] and len(answer.via) == 1
    laptop.inside("ACK", invite, answer, sequence=again.cseq.sequence)
    ack = desktop.take("ACK")
    assert not ack.headers.getlist("Route") and len(ack.via) == 2
    laptop.inside("BYE", invite, answer)
    bye = desktop.take("BYE")
    desktop.respond(bye, 200)
    assert laptop.take(200).cseq.method == "BYE"
    laptop.inside("BYE", invite, answer)
    assert laptop.take(481), "the dialog is gone"


def test_bye_from_the_callee(pair):
    """Either side may end."""
    laptop, desktop = pair
    invite, _ = stand(laptop, desktop)
    desktop.inside("BYE", invite)
    bye = laptop.take("BYE")
    laptop.respond(bye, 200)
    assert desktop.take(200).cseq.method == "BYE"


def test_byes_that_cross(pair, world):
    """Both get their 200."""
    laptop, desktop = pair
    invite, answer = stand(laptop, desktop)
    laptop.inside("BYE", invite, answer)
    desktop.inside("BYE", invite)
    desktop.respond(desktop.take("BYE"), 200)
    laptop.respond(laptop.take("BYE"), 200)
    assert laptop.take(200) and desktop.take(200)
    assert len(world.parts.dialogs) == 0


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("sips:alice@example.org;gr=nothing", 404),
        ("sips:nobody@example.org", 403),
        ("sips:bob@example.org", 403),
        ("sips:bob@example.com", 404),
        ("sips:example.org", 404),
        ("tel:+123", 416),
    ],
)
def test_who_cannot_be_called(pair, target, code):
    """Unknown own devices are 404; of users that one may not know, not even whether they exist is told."""
    assert pair[0].invite(target).code == code


def test_unknown_user_who_is_granted(new_world):
    """A grant lets one know that there is nobody."""
    world = new_world(["alice -> ghost", "alice -> bob/photos"])
    laptop = world.online(device="laptop")
    assert laptop.invite("sips:ghost@example.org").code == 404
    assert laptop.invite("sips:bob@example.org").code == 403, "a call that names no collection needs a grant for all"


def test_grants_hold_for_their_collection(new_world, offer):
    """``alice -> bob/photos`` is no grant for music, nor for bob."""
    world = new_world(["alice -> bob/photos"])
    laptop, studio = world.online(device="laptop"), world.online("bob", "studio")
    assert laptop.invite(studio.gruu, **offer("alice/laptop", "bob/studio", "music")).code == 403
    assert laptop.invite(studio.gruu, **offer("alice/laptop", "bob/studio", "photos")) is None
    assert studio.take("INVITE")
    assert studio.invite(laptop.gruu, **offer("bob/studio", "alice/laptop", "photos")).code == 403


def test_from_must_be_the_signed_in_user(pair):
    """Also the Contact's GRUU, by which callees know the caller's device."""
    laptop, desktop = pair
    assert laptop.invite(desktop.gruu, From="<sips:bob@example.org>;tag=x").code == 403
    assert laptop.invite(desktop.gruu, Contact="<sips:alice@example.org;gr=desktop>").code == 403
    assert laptop.invite(desktop.gruu, Contact="<sips:bob@example.org;gr=laptop>").code == 403
    assert laptop.invite(desktop.gruu, Contact="<sips:alice@example.org;gr=laptop>") is None


def test_asserted_identity_is_ours(pair):
    """What the caller writes there is replaced."""
    laptop, desktop = pair
    laptop.invite(desktop.gruu, P_Asserted_Identity="<sips:president@example.org>")
    assert desktop.take("INVITE").headers.getlist("P-Asserted-Identity") == ["<sips:alice@example.org;gr=laptop>"]


def test_asserted_identity_of_others_is_not_passed_on(pair):
    """Neither inside a dialog nor in an answer: it is a server's word."""
    laptop, desktop = pair
    laptop.invite(desktop.gruu)
    invite = desktop.take("INVITE")
    desktop.respond(invite, 200, **{"P-Asserted-Identity": "<sips:president@example.org>"})
    answer = laptop.take(200)
    laptop.inside("INFO", invite, answer, P_Asserted_Identity="<sips:president@example.org>")
    assert answer.headers.get("P-Asserted-Identity") is None
    assert desktop.take("INFO").headers.get("P-Asserted-Identity") is None


def test_what_has_too_many_lines_for_the_next_hop_is_refused(pair):
    """The callee would close its connection: its limits are ours, and the proxy adds to the message."""
    laptop, desktop = pair
    request = laptop.request("INVITE", desktop.gruu)
    for _ in range(90):
        request.headers.add("X-Line", "1")
    assert laptop.answer(request, "Proxy-Authorization").code == 513
    assert desktop.read() == [] and not laptop.closed
    invite, answer = stand(laptop, desktop)
    info = laptop.request("INFO", str(answer.contact[0].uri), to=answer.headers["To"], call_id=invite.call_id, tag=invite.from_tag)
    for _ in range(92):
        info.headers.add("X-Line", "1")
    laptop.send(info)
    assert laptop.take(513) and desktop.read() == []


def test_what_is_too_large_for_the_next_hop_is_refused(pair):
    """The same for its bytes; and what just fits arrives."""
    laptop, desktop = pair
    invite, answer = stand(laptop, desktop)
    for room, arrives in ((0, False), (400, True)):
        info = laptop.request("INFO", str(answer.contact[0].uri), to=answer.headers["To"], call_id=invite.call_id, tag=invite.from_tag)
        info.headers.add("X-Padding", "p" * 8000)
        info.headers.add("X-Padding", "p" * (limits.MAX_SIP_HEAD - room - len(serialize(info)) - len("X-Padding: \r\n")))
        assert len(serialize(info)) == limits.MAX_SIP_HEAD - room
        laptop.send(info)
        if arrives:
            assert desktop.take("INFO")
        else:
            assert laptop.take(513) and desktop.read() == []


@pytest.mark.parametrize(
    ("headers", "code"), [({"Max_Forwards": "0"}, 483), ({"Proxy_Require": "magic"}, 420), ({"Max_Forwards": "1"}, None)]
)
def test_proxy_checks(pair, headers, code):
    """RFC 3261 section 16.3."""
    laptop, desktop = pair
    answer = laptop.invite(desktop.gruu, **headers)
    assert (answer.code if answer else None) == code
    if code == 420:
        assert answer.headers["Unsupported"] == "magic"


def test_missing_max_forwards_is_added(pair):
    """RFC 3261 section 16.6, step 3."""
    laptop, desktop = pair
    laptop.invite(desktop.gruu, Max_Forwards=None)
    assert desktop.take("INVITE").max_forwards == 69


def test_request_that_comes_back_is_a_loop(pair):
    """The callee is a proxy that sends it here again."""
    laptop, desktop = pair
    laptop.invite(desktop.gruu)
    invite = desktop.take("INVITE")
    twin = Request("INVITE", laptop.sent.uri)
    for name in tuple(invite.headers.keys()):
        twin.headers.setlist(name, list(invite.headers.getlist(name)))
    twin.headers.setlist("Via", ["SIP/2.0/TLS 192.0.2.5;branch=z9hG4bKanother", *invite.headers.getlist("Via")])
    desktop.credentials.authorize(twin, "cnonce-of-the-test", "Proxy-Authorization")
    desktop.send(twin)
    assert desktop.take(482)


def test_all_phones_of_a_user_ring(world):
    """The first 2xx wins, the others are cancelled; the caller itself is not called."""
    caller, one, two = world.online(device="laptop"), world.online(device="desktop"), world.phone()
    two.register()
    assert caller.invite("sips:alice@example.org") is None
    first, second = one.take("INVITE"), two.take("INVITE")
    one.respond(first, 180, tag="one")
    two.respond(second, 180, tag="two")
    assert [message.code for message in caller.read() if getattr(message, "code", 0) == 180] == [180, 180]
    two.respond(second, 200, tag="two")
    assert caller.take(200).to_tag == "two"
    cancel = one.take("CANCEL")
    assert cancel.via[0].parameters["branch"] == first.via[0].parameters["branch"]
    one.respond(first, 487, tag="one")
    assert not [message for message in caller.read() if getattr(message, "code", 0) == 487]


def test_two_that_answer_at_once(world):
    """Both 200s go back: the caller ends the one that it does not want."""
    caller, one, two = world.online(device="laptop"), world.online(device="desktop"), world.online(device="phone")
    caller.invite("sips:alice@example.org")
    first, second = one.take("INVITE"), two.take("INVITE")
    one.respond(first, 200, tag="one")
    two.respond(second, 200, tag="two")
    answers = [message for message in caller.read() if getattr(message, "code", 0) == 200]
    assert {answer.to_tag for answer in answers} == {"one", "two"}
    for answer, phone in zip(answers, (one, two), strict=True):
        caller.inside("ACK", first, answer, sequence=caller.sent.cseq.sequence)
        assert phone.take("ACK")


@pytest.mark.parametrize(
    ("codes", "best"), [((486, 480), 486), ((404, 503), 404), ((503, 503), 500), ((486, 603), 603), ((487, 486), 486), ((302, 404), 302)]
)
def test_best_failure(world, codes, best):
    """RFC 3261 section 16.7, step 6."""
    caller, phones = world.online(device="laptop"), [world.online(device="one"), world.online(device="two")]
    caller.invite("sips:alice@example.org")
    for phone, code in zip(phones, codes, strict=True):
        invite = phone.take("INVITE")
        phone.respond(invite, code, tag=phone.device)
        assert phone.take("ACK")
    assert caller.final(caller.sent).code == best


def test_cancel(pair):
    """The CANCEL is answered 200, the INVITE 487."""
    laptop, desktop = pair
    laptop.invite(desktop.gruu)
    invite = desktop.take("INVITE")
    desktop.respond(invite, 180)
    laptop.cancel()
    assert laptop.take(200).cseq.method == "CANCEL"
    desktop.respond(desktop.take("CANCEL"), 200)
    desktop.respond(invite, 487)
    assert laptop.take(487).cseq.method == "INVITE"


def test_cancel_before_any_answer_waits_for_one(pair):
    """RFC 3261 section 9.1."""
    laptop, desktop = pair
    laptop.invite(desktop.gruu)
    invite = desktop.take("INVITE")
    laptop.cancel()
    assert not [message for message in desktop.read() if getattr(message, "method", "") == "CANCEL"]
    desktop.respond(invite, 180)
    assert desktop.take("CANCEL")


def test_cancel_that_crosses_the_answer(pair, world):
    """The 200 wins: the call stands and is ended by BYE."""
    laptop, desktop = pair
    laptop.invite(desktop.gruu)
    invite = desktop.take("INVITE")
    desktop.respond(invite, 180)
    desktop.respond(invite, 200)
    laptop.cancel()
    answers = [message for message in laptop.read() if getattr(message, "code", 0) == 200]
    answer = next(message for message in answers if message.cseq.method == "INVITE")
    assert not [message for message in desktop.read() if getattr(message, "method", "") == "CANCEL"]
    laptop.inside("ACK", invite, answer, sequence=laptop.sent.cseq.sequence)
    laptop.inside("BYE", invite, answer)
    assert desktop.take("ACK") and desktop.take("BYE")


def test_repeated_200_is_passed_on(pair, world):
    """Until the ACK comes, the callee repeats it, also after the transaction is over."""
    laptop, desktop = pair
    laptop.invite(desktop.gruu)
    invite = desktop.take("INVITE")
    desktop.respond(invite, 200)
    assert laptop.take(200)
    desktop.respond(invite, 200)
    assert laptop.take(200)
    world.pass_time(40)
    desktop.inbox = laptop.inbox = []
    for phone in (laptop, desktop):
        assert phone.register().code == 200
    desktop.respond(invite, 200)
    assert len(laptop.take(200).via) == 1


def test_caller_who_hangs_up_while_it_rings(pair):
    """Its flow ends: the callee is cancelled."""
    laptop, desktop = pair
    laptop.invite(desktop.gruu)
    desktop.respond(desktop.take("INVITE"), 180)
    laptop.hang_up()
    assert desktop.take("CANCEL")


def test_callee_flow_dies_during_the_invite(pair):
    """480; nothing is stored for a call that is no session."""
    laptop, desktop = pair
    laptop.invite(desktop.gruu)
    desktop.hang_up()
    answer = laptop.take(480)
    assert answer.headers.get("Warning") is None


def test_silent_device_is_taken_for_dead(pair, world):
    """A twsync device answers at once; after ten seconds without a sign its flow is closed."""
    laptop, desktop = pair
    laptop.invite(desktop.gruu)
    world.pass_time(11)
    assert desktop.closed
    desktop.hang_up()
    assert laptop.take(480)


def test_ringing_does_not_last_for_ever(world):
    """Timer C: after three minutes the phone is cancelled, and the caller gets its 487."""
    laptop, stock = world.online(device="laptop", host="192.0.2.5"), world.phone()
    stock.register(Expires="3600")
    laptop.invite("sips:alice@example.org")
    invite = stock.take("INVITE")
    stock.respond(invite, 180)
    for _ in range(4):
        world.pass_time(50, 5)
        laptop.register()
    stock.respond(stock.take("CANCEL"), 200)
    stock.respond(invite, 487)
    assert laptop.take(487)


def test_stock_phone_without_answer(world):
    """Timer B: 408."""
    laptop, stock = world.online(device="laptop"), world.phone()
    stock.register()
    laptop.invite("sips:alice@example.org")
    world.pass_time(33)
    assert laptop.take(408)


def test_offline_user_is_480(world):
    """Known, and not there."""
    laptop, desktop = world.online(device="laptop"), world.online(device="desktop")
    desktop.hang_up()
    assert laptop.invite(desktop.gruu).code == 480
    assert laptop.invite("sips:alice@example.org").code == 480


def test_dialog_follows_a_device_to_its_new_flow(pair, world):
    """After a reconnect in-dialog requests go by the new flow, both ways."""
    laptop, desktop = pair
    invite, answer = stand(laptop, desktop)
    desktop.hang_up()
    back = world.online(device="desktop", fingerprint=desktop.fingerprint)
    laptop.inside("INFO", invite, answer, body=b"{}", media="application/vnd.twsync.progress+json")
    back.respond(back.take("INFO"), 200)
    assert laptop.take(200).cseq.method == "INFO"
    back.inside("BYE", invite)
    assert laptop.take("BYE")


def test_stranger_cannot_speak_in_a_dialog(pair, world):
    """Neither another device of the same user nor another user: 481."""
    laptop, desktop = pair
    invite, answer = stand(laptop, desktop)
    for stranger in (world.online(device="tablet"), world.online("bob", "studio"), world.phone()):
        stranger.inside("BYE", invite, answer)
        assert stranger.take(481)
        stranger.inside("ACK", invite, answer)
    assert not [message for message in desktop.read() if isinstance(message, Request)]
    assert len(world.parts.dialogs) == 1


def test_stock_agent_may_come_by_another_connection(world):
    """If that connection has proven to be the same user."""
    caller, other, callee = world.phone(), world.phone(), world.phone()
    for phone in (caller, other, callee):
        assert phone.register().code == 200
    target = callee.contact
    world.parts.location.remove(world.parts.location.on_flow(other.flow)[0])
    assert caller.invite("sips:alice@example.org") is None
    invite = callee.take("INVITE")
    assert str(invite.uri) == target
    callee.respond(invite, 200)
    answer = caller.take(200)
    other.inside("BYE", invite, answer)
    assert callee.take("BYE")


def test_reinvite_and_its_cancel(pair):
    """An INVITE inside a dialog is passed on and record-routed again."""
    laptop, desktop = pair
    invite, answer = stand(laptop, desktop)
    laptop.sent = laptop.inside("INVITE", invite, answer)
    again = desktop.take("INVITE")
    assert again.headers.get("Record-Route")
    desktop.respond(again, 180)
    laptop.cancel()
    assert desktop.take("CANCEL")


def test_bye_to_a_device_that_is_gone(pair, world):
    """480, and the dialog is over."""
    laptop, desktop = pair
    invite, answer = stand(laptop, desktop)
    desktop.hang_up()
    laptop.inside("BYE", invite, answer)
    assert laptop.take(480)
    assert len(world.parts.dialogs) == 0


def test_dialogs_are_recycled(pair, world):
    """A minute after both flows died; not while one lives."""
    laptop, desktop = pair
    stand(laptop, desktop)
    desktop.hang_up()
    for _ in range(3):
        world.pass_time(40)
        laptop.register()
    assert len(world.parts.dialogs) == 1
    laptop.hang_up()
    world.pass_time(50)
    assert len(world.parts.dialogs) == 1
    world.pass_time(40)
    assert len(world.parts.dialogs) == 0


def test_silent_dialogs_are_recycled(pair, world):
    """After a day without a message."""
    laptop, desktop = pair
    stand(laptop, desktop)
    (dialog,) = world.parts.dialogs._dialogs.values()
    dialog.heard -= 86_400
    world.pass_time(11)
    assert len(world.parts.dialogs) == 0


def test_failed_invite_leaves_no_dialog(pair, world):
    """An early dialog goes with its INVITE."""
    laptop, desktop = pair
    laptop.invite(desktop.gruu)
    invite = desktop.take("INVITE")
    desktop.respond(invite, 180)
    assert len(world.parts.dialogs) == 1
    desktop.respond(invite, 486)
    assert laptop.take(486) and len(world.parts.dialogs) == 0


def test_options_is_answered(world):
    """Without credentials, with what the server can do."""
    phone = world.phone()
    phone.send(phone.request("OPTIONS", "sips:example.org"))
    answer = phone.take(200)
    assert "INVITE" in answer.headers["Allow"] and answer.headers["Allow-Events"] == "reg"


@pytest.mark.parametrize(("method", "code"), [("PUBLISH", 405), ("FOO", 405), ("BYE", 481), ("INFO", 481), ("NOTIFY", 481)])
def test_methods_that_open_nothing(world, method, code):
    """405 with Allow for what is unknown; 481 for what belongs into a dialog."""
    phone = world.online()
    phone.send(phone.request(method, "sips:alice@example.org"))
    answer = phone.take(code)
    assert code != 405 or "REGISTER" in answer.headers["Allow"]


def test_text_messages_between_own_phones(world):
    """Whatever the body; one answer."""
    one, two = world.phone(), world.phone()
    one.register()
    two.register()
    request = one.request("MESSAGE", "sips:alice@example.org", body=b"hello", media="text/plain")
    assert one.answer(request, "Proxy-Authorization") is None
    message = two.take("MESSAGE")
    assert message.body == b"hello" and not message.headers.get("Record-Route")
    two.respond(message, 200)
    assert one.take(200)


def test_bad_bodies_are_refused(pair):
    """A body that is not what its type says, and a session that is somebody else's."""
    laptop, desktop = pair
    assert laptop.invite(desktop.gruu, body=b"<nonsense", media="application/vnd.twsync.session+xml").code == 400


def test_routes_of_ours_are_taken_off(pair):
    """Also one preloaded by an agent that was told of an outbound proxy; others stay."""
    laptop, desktop = pair
    laptop.invite(desktop.gruu, Route="<sips:sync.example.org;lr>, <sips:edge.example.com;lr>")
    assert desktop.take("INVITE").headers.getlist("Route") == ["<sips:edge.example.com;lr>"]


def test_two_record_routes_where_transports_differ(world):
    """Each side sees the one that it can reach (RFC 5658)."""
    secure = world.online(device="laptop", fingerprint="sha256:" + "ab" * 32, secure=True)
    plain = world.online(device="desktop")
    secure.invite(plain.gruu)
    assert plain.take("INVITE").headers.getlist("Record-Route") == [
        "<sip:sync.example.org:5061;transport=tcp;lr>", "<sips:sync.example.org:5061;lr>",
    ]  # fmt: skip
