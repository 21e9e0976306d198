"""Sessions between devices: stored requests, alerts, progress, the ladder, what administrators do."""

from __future__ import annotations

import msgspec
import pytest

from twsync import limits
from twsync.control.pending import turned_round
from twsync.session.trace import TraceLine
from twsync.sip import request as request_document
from twsync.store.control_values import StoredRequest


@pytest.fixture
def pair(world):
    return world.online(device="laptop"), world.online(device="desktop")


def call(laptop, desktop, offer, call_id=None, **more):
    return laptop.invite(desktop.gruu, call_id=call_id, **offer(f"alice/{laptop.device}", f"alice/{desktop.device}", **more))


def stored(world):
    return [(r.partner, f"{r.user}/{r.device}", r.collection, r.sync_type) for r in world.rows("requests")]


# --- stored requests ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sync_type", "turned"),
    [
        ("two-way", "two-way"),
        ("slow", "slow"),
        ("one-way-from-client", "one-way-from-server"),
        ("refresh-from-server", "refresh-from-client"),
    ],
)
def test_offline_device_gets_the_request_when_it_registers(world, pair, offer, sync_type, turned):
    """480 and a Warning to the caller; a MESSAGE to the device, with the type turned round; 202 deletes it."""
    laptop, desktop = pair
    desktop.hang_up()
    answer = call(laptop, desktop, offer, sync_type=sync_type)
    assert answer.code == 480 and answer.headers["Warning"] == '399 example.org "request stored"'
    assert stored(world) == [("alice/laptop", "alice/desktop", "photos", turned)]
    back = world.online(device="desktop", fingerprint=desktop.fingerprint)
    message = back.take("MESSAGE")
    document = request_document.parse(message.body)
    assert (document.partner, document.collection, document.sync_type) == ("alice/laptop", "photos", turned)
    assert message.media_type == request_document.MEDIA_TYPE and message.to_address.uri.parameters["gr"] == "desktop"
    back.respond(message, 202)
    assert stored(world) == []
    assert back.register().code == 200
    assert not [message for message in back.read() if getattr(message, "method", "") == "MESSAGE"]


def test_turning_twice_is_nothing():
    """For all types."""
    for sync_type in request_document.SYNC_TYPES:
        assert turned_round(turned_round(sync_type)) == sync_type


def test_a_request_is_stored_once(world, pair, offer):
    """Per caller, callee, collection and type."""
    laptop, desktop = pair
    desktop.hang_up()
    for _ in range(3):
        assert call(laptop, desktop, offer).code == 480
    assert call(laptop, desktop, offer, collection="music").code == 480
    assert len(stored(world)) == 2


def test_a_device_has_a_hundred_at_most(world, pair, offer, monkeypatch):
    """Then the caller is told that nothing was stored."""
    monkeypatch.setattr(limits, "MAX_STORED_REQUESTS", 2)
    laptop, desktop = pair
    desktop.hang_up()
    answers = [call(laptop, desktop, offer, collection=f"c{number}") for number in range(3)]
    assert "stored" in answers[1].headers["Warning"] and "too many" in answers[2].headers["Warning"]
    assert len(stored(world)) == 2


def test_flow_that_dies_during_the_invite_stores_too(world, pair, offer):
    """The caller gets the same answer."""
    laptop, desktop = pair
    assert call(laptop, desktop, offer) is None
    desktop.take("INVITE")
    desktop.hang_up()
    assert "stored" in laptop.take(480).headers["Warning"]
    assert len(stored(world)) == 1


def test_silent_flow_stores_too(world, pair, offer):
    """A connection that broke without a word."""
    laptop, desktop = pair
    call(laptop, desktop, offer)
    world.pass_time(11)
    desktop.hang_up()
    assert "stored" in laptop.take(480).headers["Warning"]


def test_refusal_by_the_device_ends_it(world, pair, offer):
    """404: it has no such collection, and will have none at the next registration either."""
    laptop, desktop = pair
    desktop.hang_up()
    call(laptop, desktop, offer)
    back = world.online(device="desktop", fingerprint=desktop.fingerprint)
    back.respond(back.take("MESSAGE"), 404)
    assert stored(world) == []


def test_busy_device_is_asked_again(world, pair, offer):
    """486 keeps it until the next registration; so does a flow that ends meanwhile."""
    laptop, desktop = pair
    desktop.hang_up()
    call(laptop, desktop, offer)
    back = world.online(device="desktop", fingerprint=desktop.fingerprint)
    back.respond(back.take("MESSAGE"), 486)
    assert len(stored(world)) == 1
    back.register()
    back.take("MESSAGE")
    back.hang_up()
    again = world.online(device="desktop", fingerprint=desktop.fingerprint)
    again.respond(again.take("MESSAGE"), 200)
    assert stored(world) == []


def test_requests_go_one_after_the_other(world, pair, offer):
    """The next when the one before was answered."""
    laptop, desktop = pair
    desktop.hang_up()
    for name in ("a", "b", "c"):
        call(laptop, desktop, offer, collection=name)
    back = world.online(device="desktop", fingerprint=desktop.fingerprint)
    for name in ("a", "b", "c"):
        (message,) = [found for found in back.read() if getattr(found, "method", "") == "MESSAGE"]
        assert request_document.parse(message.body).collection == name
        back.respond(message, 202)
    assert stored(world) == []


def test_requests_survive_a_restart(world, pair, offer):
    """They are in the database."""
    laptop, desktop = pair
    desktop.hang_up()
    call(laptop, desktop, offer)
    world.restart()
    assert world.online(device="desktop", fingerprint=desktop.fingerprint).take("MESSAGE")


def test_old_requests_are_forgotten(world, pair, offer):
    """After seven days."""
    laptop, desktop = pair
    desktop.hang_up()
    call(laptop, desktop, offer)
    laptop.hang_up()
    world.clock.advance(limits.STORED_REQUEST_LIFETIME + 1)
    world.parts.tick(world.clock.seconds())
    back = world.online(device="desktop", fingerprint=desktop.fingerprint)
    assert back.read() == [] and stored(world) == []


def test_receiver_of_a_request_may_call_back(new_world, offer):
    """``alice -> bob/photos`` lets bob open the session that alice asked for, and no other."""
    world = new_world(["alice -> bob/photos"])
    laptop, studio = world.online(device="laptop"), world.online("bob", "studio")
    studio.hang_up()
    assert "stored" in laptop.invite(studio.gruu, **offer("alice/laptop", "bob/studio")).headers["Warning"]
    back = world.online("bob", "studio", fingerprint=studio.fingerprint)
    back.respond(back.take("MESSAGE"), 202)
    assert back.invite(laptop.gruu, **offer("bob/studio", "alice/laptop", "music")).code == 403
    assert back.invite(laptop.gruu, **offer("bob/studio", "alice/laptop", "photos")) is None
    assert laptop.take("INVITE")
    world.pass_time(limits.STORED_REQUEST_GRACE + 1, 20)
    back = world.online("bob", "studio", fingerprint=studio.fingerprint)
    laptop = world.online(device="laptop", fingerprint=laptop.fingerprint)
    assert back.invite(laptop.gruu, **offer("bob/studio", "alice/laptop", "photos")).code == 403


# --- alerts ------------------------------------------------------------------------------------------------------------------------


def test_alert_goes_through(pair, wish):
    """MESSAGE from device to device; the answer comes back."""
    laptop, desktop = pair
    request = laptop.request("MESSAGE", desktop.gruu, **wish("alice/laptop"))
    assert laptop.answer(request, "Proxy-Authorization") is None
    desktop.respond(desktop.take("MESSAGE"), 202)
    assert laptop.take(202)


def test_alert_for_an_offline_device_is_stored(world, pair, wish):
    """As it stands: the receiver is the client already."""
    laptop, desktop = pair
    desktop.hang_up()
    request = laptop.request("MESSAGE", desktop.gruu, **wish("alice/laptop", sync_type="one-way-from-client"))
    answer = laptop.answer(request, "Proxy-Authorization")
    assert answer.code == 480 and "stored" in answer.headers["Warning"]
    assert stored(world) == [("alice/laptop", "alice/desktop", "photos", "one-way-from-client")]


def test_alert_speaks_for_its_sender_alone(pair, wish):
    """Nobody can make two others sync with each other."""
    laptop, desktop = pair
    request = laptop.request("MESSAGE", desktop.gruu, **wish("alice/tablet"))
    assert laptop.answer(request, "Proxy-Authorization").code == 403


def test_alert_of_an_administrator(world, pair):
    """`twsync ctl alert`: a running server delivers it within a second or two."""
    desktop = pair[1]
    with world.administrator() as transaction:
        request = StoredRequest("id", "alice/laptop", "alice", "desktop", "photos", "two-way", world.wall())
        transaction.add_request(request, announce=True)
    world.pass_time(2)
    assert request_document.parse(desktop.take("MESSAGE").body).partner == "alice/laptop"


# --- sessions ----------------------------------------------------------------------------------------------------------------------


def test_life_of_a_session(world, pair, offer):
    """calling, running with progress, done; and the ladder with its step numbers."""
    laptop, desktop = pair
    call(laptop, desktop, offer)
    call_id = laptop.sent.call_id
    assert world.rows("session", call_id).state == "calling"
    invite = desktop.take("INVITE")
    desktop.respond(invite, 100)
    desktop.respond(invite, 200)
    answer = laptop.take(200)
    assert world.rows("session", call_id).state == "running"
    laptop.inside("ACK", invite, answer, sequence=laptop.sent.cseq.sequence)
    laptop.inside("INFO", invite, answer, body=b'{"bytes": 5}', media="application/vnd.twsync.progress+json")
    desktop.respond(desktop.take("INFO"), 200)
    world.pass_time(1)
    row = world.rows("session", call_id)
    assert msgspec.json.decode(row.progress) == {"bytes": 5}
    assert [found.call_id for found in world.rows("sessions", True)] == [call_id]
    laptop.inside("BYE", invite, answer)
    desktop.respond(desktop.take("BYE"), 200)
    row = world.rows("session", call_id)
    assert (row.state, row.reason, row.caller, row.callee, row.collection, row.sync_type) == (
        "done", "", "alice/laptop", "alice/desktop", "photos", "two-way",
    )  # fmt: skip
    world.pass_time(1)
    lines = [msgspec.json.decode(line.line, type=TraceLine) for line in world.rows("trace", call_id)]
    steps = [line.step for line in lines]
    assert [step for step in steps if step is not None and step <= 10] == [1, 2, 3, 4, 6, 7, 8, 9]
    assert steps[8:] == [11, 12, 13, 14, 15, 16, 17, 18, 19, 19, 19, 19, 20, 21, 22, 23]
    assert [line.at for line in lines] == sorted(line.at for line in lines)


def test_ladder_with_a_question_for_credentials(world, pair, offer):
    """407 and its ACK carry 13, after 11 and before the INVITE that counts."""
    laptop, desktop = pair
    laptop.credentials = type(laptop.credentials)("alice", "wonderland")
    call(laptop, desktop, offer)
    desktop.respond(desktop.take("INVITE"), 486)
    assert laptop.take(486)
    world.pass_time(1)
    lines = [msgspec.json.decode(line.line, type=TraceLine) for line in world.rows("trace", laptop.sent.call_id)]
    shown = [(line.step, line.start) for line in lines if line.cseq != "REGISTER"]
    assert shown[:6] == [
        (11, "INVITE"), (13, "407 Proxy Authentication Required"), (13, "ACK"), (11, "INVITE"), (12, "100 Trying"), (13, "INVITE"),
    ]  # fmt: skip
    assert world.rows("session", laptop.sent.call_id).reason == "486 Busy Here"


def test_broken_progress_is_passed_on_and_not_kept(world, pair, offer):
    """The other side judges it."""
    laptop, desktop = pair
    call(laptop, desktop, offer)
    invite = desktop.take("INVITE")
    desktop.respond(invite, 200)
    answer = laptop.take(200)
    for body in (b"not json", b"[" * 900, b'"' + b"x" * 5000 + b'"'):
        laptop.inside("INFO", invite, answer, body=body, media="application/vnd.twsync.progress+json")
        assert desktop.take("INFO").body == body
    world.pass_time(1)
    assert world.rows("session", laptop.sent.call_id).progress == ""


def test_stored_session_is_remembered(world, pair, offer):
    """As stored."""
    laptop, desktop = pair
    desktop.hang_up()
    call(laptop, desktop, offer)
    assert world.rows("session", laptop.sent.call_id).state == "stored"


def test_lost_session(world, pair, offer):
    """Both devices are gone for a minute."""
    laptop, desktop = pair
    call(laptop, desktop, offer)
    desktop.respond(desktop.take("INVITE"), 200)
    laptop.hang_up()
    desktop.hang_up()
    world.pass_time(90)
    assert world.rows("session", laptop.sent.call_id).state == "lost"


def test_restart_ends_what_was_open(world, pair, offer):
    """The new life knows nothing of it."""
    laptop, desktop = pair
    call(laptop, desktop, offer)
    world.restart()
    row = world.rows("session", laptop.sent.call_id)
    assert row.state == "lost" and row.reason == "the server was restarted"


def test_call_id_of_another_ones_session(world, pair, offer):
    """A stranger who uses it changes nothing in the history."""
    laptop, desktop = pair
    call(laptop, desktop, offer)
    desktop.respond(desktop.take("INVITE"), 486)
    bob, studio = world.online("bob", "phone"), world.online("bob", "studio")
    bob.invite(studio.gruu, call_id=laptop.sent.call_id, **offer("bob/phone", "bob/studio"))
    assert world.rows("session", laptop.sent.call_id).caller == "alice/laptop"


# --- administrators ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.block_device("alice", "laptop", True),
        lambda t: t.remove_device("alice", "laptop"),
        lambda t: t.rename_device("alice", "laptop", "other"),
        lambda t: t.remove_user("alice"),
        lambda t: t.change_password("alice", "0" * 64, None),
    ],
    ids=["block", "remove", "rename", "user", "password"],
)
def test_changes_take_effect_on_a_running_server(world, change):
    """Within two seconds: the device is unregistered and its flow closed; others stay."""
    laptop, bob = world.online(device="laptop"), world.online("bob", "studio")
    with world.administrator() as transaction:
        change(transaction)
    world.pass_time(2)
    assert laptop.closed and not world.parts.location.of_user("alice")
    assert not bob.closed and world.parts.location.of_user("bob")


def test_new_user_can_register_at_once(world):
    """No restart is needed."""
    with world.administrator() as transaction:
        transaction.add_user(world.user("dave", "secret"))
    world.pass_time(2)
    assert world.phone("dave", "box", password="secret").register().code == 200


def test_renamed_device_is_told_its_name(world):
    """The old name is refused with the new one in the answer; the new one is granted."""
    laptop = world.online(device="laptop")
    with world.administrator() as transaction:
        transaction.rename_device("alice", "laptop", "other")
    world.pass_time(2)
    assert world.phone(device="laptop", fingerprint=laptop.fingerprint).register().phrase == "Device is named other"
    assert world.phone(device="other", fingerprint=laptop.fingerprint).register().code == 200


def test_removed_user_cannot_go_on(world):
    """The nonce is of no use to who has no password any more."""
    phone = world.online("bob", "studio")
    with world.administrator() as transaction:
        transaction.remove_user("bob")
    world.pass_time(2)
    again = world.phone("bob", "studio", fingerprint=phone.fingerprint)
    again.credentials = phone.credentials
    assert again.register().code == 401


def test_device_that_registers_while_changes_are_read(world):
    """It is not in what was read, and stays all the same."""
    with world.administrator() as transaction:
        users, devices, requests = transaction.users(), transaction.devices(), transaction.requests()
    as_of = world.wall()
    laptop, desktop = world.online(device="laptop"), world.online(device="desktop")
    world.parts.signalling.take_directory(users, devices, as_of)
    world.parts.signalling.take_requests(requests, as_of)
    assert not laptop.closed and world.parts.location.of_device("alice", "laptop")
    assert world.parts.directory.device("alice", "desktop").fingerprint == desktop.fingerprint


def test_a_session_is_its_callers(new_world, offer):
    """Who calls with the Call-ID of another's session changes nothing of what is written about that."""
    world = new_world(["alice -> bob"])
    laptop, desktop = world.online(device="laptop"), world.online(device="desktop")
    thief, away = world.online("bob", "studio"), world.online("bob", "attic")
    away.hang_up()
    assert call(laptop, desktop, offer, call_id="known") is None
    desktop.respond(desktop.take("INVITE"), 200)
    more = offer("bob/studio", "bob/attic")
    assert thief.invite(away.gruu, call_id="known", **more).code == 480
    (session,) = world.rows("sessions")
    assert (session.caller, session.state) == ("alice/laptop", "running")


def test_a_session_with_an_endless_call_id_is_not_written_down(world, pair, offer):
    """It would stand in each line of the ladder; the call itself is passed on."""
    laptop, desktop = pair
    assert call(laptop, desktop, offer, call_id="c" * 2000) is None
    assert desktop.take("INVITE")
    world.pass_time(2)
    assert world.rows("sessions") == []


def test_sessions_that_are_kept_are_limited(world, pair, offer, monkeypatch):
    """Not only by age: somebody may hold very many."""
    monkeypatch.setattr(limits, "SESSIONS_PER_PRUNE", 4)
    monkeypatch.setattr(limits, "MAX_SESSION_HISTORY", 3)
    laptop, desktop = pair
    for number in range(9):
        call(laptop, desktop, offer, call_id=f"call-number-{number}")
        desktop.respond(desktop.take("INVITE"), 486)
        world.pass_time(1)
    assert 3 <= len(world.rows("sessions")) <= 7
    assert world.rows("trace", "call-number-0") == []
    assert world.rows("trace", "call-number-8")


def test_strangers_calls_do_not_push_a_ladder_out(world, pair, offer, monkeypatch):
    """Lines of many calls that nobody is allowed to make give way first."""
    monkeypatch.setattr("twsync.control.ladder._MAX_CALLS", 4)
    laptop, desktop = pair
    assert call(laptop, desktop, offer, call_id="ours") is None
    invite = desktop.take("INVITE")
    stranger = world.phone("nobody")
    for number in range(20):
        stranger.send(stranger.request("INVITE", "sips:alice@example.org", call_id=f"flood-{number}"))
    desktop.respond(invite, 200)
    world.pass_time(2)
    assert {15, 16} <= {msgspec.json.decode(row.line, type=TraceLine).step for row in world.rows("trace", "ours")}
