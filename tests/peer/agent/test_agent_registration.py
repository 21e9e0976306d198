"""The agent keeps itself registered: over one flow, with refreshes, pings, back-off, and after a change of address."""

from __future__ import annotations

from itertools import pairwise

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from twsync.errors import ConfigError, ProtocolError
from twsync.peer.agent import AgentState
from twsync.peer.connection import in_words


def test_registers_with_sha256_and_names_the_device(world):
    registers = world.user.sent("REGISTER")
    assert len(registers) == 2
    first, second = registers
    assert first.headers.get("Authorization") is None
    assert "SHA-256" in second.headers["Authorization"]
    assert first.call_id == second.call_id
    assert second.cseq.sequence == first.cseq.sequence + 1
    binding = second.contact[0]
    assert binding.parameters["+vnd.twsync.device"] == "laptop"
    assert binding.parameters["+sip.instance"].strip("<>").startswith("urn:uuid:")
    assert binding.parameters["reg-id"] == "1"
    assert second.headers["Expires"] == "60"
    assert world.agent.state is AgentState.REGISTERED
    assert world.user.registrations == 1


def test_learns_realm_and_clock_skew(world):
    assert world.agent.binding.realm == "example.org"
    assert world.agent.calls.identity.domain == "example.org"
    assert world.agent.describe()["clock_skew"] == 5.0


def test_refreshes_before_expiry_without_a_challenge(world):
    before = len(world.user.sent("REGISTER"))
    world.go(50)
    sent = world.user.sent("REGISTER")[before:]
    assert len(sent) == 1
    assert "nc=00000" in sent[0].headers["Authorization"]
    assert world.user.registrations == 1


def test_stale_nonce_is_answered_with_the_new_one(world):
    world.go(400)
    assert world.agent.registered
    assert len(world.server.wires) == 1


def test_pings_and_gives_the_flow_up_without_pong(world):
    world.go(60)
    assert world.server.wire.pings >= 2
    world.server.wire.answers_pings = False
    first = world.server.wire
    world.go(45)
    assert first.closed
    assert world.agent.registered
    assert len(world.server.wires) == 2


def test_reconnect_pauses_grow(make_world):
    world = make_world(up=False)
    world.agent.start()
    assert world.agent.state is AgentState.WAITING
    assert "does not take connections" in world.agent.describe()["message"]
    moments = []
    for _ in range(4000):
        before = world.server.attempts
        world.clock.advance(0.25)
        if world.server.attempts > before:
            moments.append(world.clock.seconds())
    pauses = [later - earlier for earlier, later in pairwise(moments)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 5
    assert 60 <= pauses[-1] <= 120


def test_comes_back_after_the_server_restarts(world):
    world.server.up = False
    world.server.wire.drop()
    assert not world.agent.registered
    world.go(5)
    world.server.up = True
    world.go(20)
    assert world.agent.registered
    assert world.user.registrations == 2


def test_changed_address_registers_again_at_once(world):
    first = world.server.wire
    world.route[0] = world.server.local = "203.0.113.9"
    world.go(6)
    assert first.closed
    assert world.agent.registered
    assert "203.0.113.9" in world.agent.describe()["local"]


def test_no_route_is_no_change(world):
    world.route[0] = None
    world.go(20)
    assert len(world.server.wires) == 1


def test_wrong_password_stops_hammering(make_world):
    world = make_world(password="wrong")
    world.agent.start()
    world.server.serve()
    world.go(55)
    assert world.server.attempts == 1
    assert world.agent.state is AgentState.REFUSED
    message = world.agent.describe()["message"]
    assert "password" in message
    assert "wrong" not in message
    world.go(1000)
    assert 10 <= world.server.attempts <= 18


def test_comes_back_by_itself_when_a_refusal_is_lifted(make_world):
    world = make_world()
    accept = world.server.answer["REGISTER"]
    world.server.answer["REGISTER"] = lambda request: [world.server.reply(request, 403)]
    world.agent.start()
    world.server.serve()
    world.go(200)
    assert world.agent.state is AgentState.REFUSED
    world.server.answer["REGISTER"] = accept
    world.go(100)
    assert world.agent.registered


def test_asks_again_at_once_when_someone_waits_after_a_refusal(make_world):
    world = make_world()
    accept = world.server.answer["REGISTER"]
    world.server.answer["REGISTER"] = lambda request: [world.server.reply(request, 403)]
    world.agent.start()
    world.server.serve()
    results = []
    Deferred.fromCoroutine(world.agent.wait_registered(10)).addBoth(results.append)
    world.server.serve()
    assert results == [False]
    assert world.agent.state is AgentState.REFUSED
    world.server.answer["REGISTER"] = accept
    Deferred.fromCoroutine(world.agent.wait_registered(10)).addBoth(results.append)
    world.server.serve()
    assert results == [False, True]


def test_changed_settings_try_again_at_once_after_a_refusal(make_world):
    world = make_world(password="wrong")
    world.agent.start()
    world.server.serve()
    world.server.password = "wrong"
    world.agent.retry_now()
    world.server.serve()
    assert world.agent.registered


def test_refused_device_says_why(make_world):
    world = make_world()
    warning = ("Warning", '399 example.org "Device key changed"')
    world.server.answer["REGISTER"] = lambda request: [world.server.reply(request, 403, headers=[warning])]
    world.agent.start()
    world.server.serve()
    assert world.agent.state is AgentState.REFUSED
    message = world.agent.describe()["message"]
    assert message == "the server refuses this device: Device key changed; its administrator can look with `twsync ctl device`"


def test_interval_too_brief(make_world):
    world = make_world()
    accept = world.server.answer["REGISTER"]

    def answer(request):
        if int(request.headers["Expires"]) < 90:
            return [world.server.reply(request, 423, headers=[("Min-Expires", "90")])]
        return accept(request)

    world.server.answer["REGISTER"] = answer
    world.up()


def test_retry_after_is_respected(make_world):
    world = make_world()
    world.server.answer["REGISTER"] = lambda request: [world.server.reply(request, 503, headers=[("Retry-After", "300")])]
    world.agent.start()
    world.server.serve()
    world.go(290)
    assert world.server.attempts == 1
    world.go(30)
    assert world.server.attempts == 2


def too_early(world, seconds):
    """The server does not look at the password for so many seconds."""
    error = ("Error-Info", "<urn:twsync:refusal:failed-sign-ins>")
    return lambda request: [world.server.reply(request, 503, headers=[("Retry-After", str(seconds)), error])]


def test_waits_as_long_as_the_server_says_after_failed_sign_ins(make_world):
    """Not longer, however often it was refused before; and says so."""
    world = make_world(password="wrong")
    world.agent.start()
    world.server.serve()
    for _ in range(8):
        world.agent.retry_now()
        world.server.serve()
    accept, world.server.answer["REGISTER"] = world.server.answer["REGISTER"], too_early(world, 12)
    world.server.password = "wrong"
    world.agent.retry_now()
    world.server.serve()
    described = world.agent.describe()
    assert described["message"] == "the server makes this host wait 12 s after failed sign-ins"
    assert (described["state"], described["retry_in"]) == ("waiting", 12.0)
    world.server.answer["REGISTER"] = accept
    world.go(11.5)
    assert world.agent.describe()["retry_in"] == 0.5
    world.go(1)
    assert world.agent.registered
    assert world.agent.describe()["retry_in"] is None


def test_a_refused_password_is_tried_again_after_60_to_90_s(make_world):
    """Each time: earlier refusals do not make it longer."""
    world = make_world(password="wrong")
    world.agent.start()
    world.server.serve()
    for _ in range(10):
        assert 60 <= world.agent.describe()["retry_in"] <= 90
        world.agent.retry_now()
        world.server.serve()


def test_an_overloaded_server_is_asked_less_and_less_often(make_world):
    """However small its Retry-After."""
    world = make_world()
    world.server.answer["REGISTER"] = lambda request: [world.server.reply(request, 500, headers=[("Retry-After", "1")])]
    world.agent.start()
    world.server.serve()
    world.go(600)
    assert world.server.attempts <= 15


def test_sync_is_told_at_once_to_wait(make_world):
    """The result of that very try, not of one before."""
    world = make_world(password="wrong")
    world.agent.start()
    world.server.serve()
    world.server.password = "wrong"
    world.server.answer["REGISTER"] = too_early(world, 12)
    results = []
    Deferred.fromCoroutine(world.agent.wait_registered(10)).addBoth(results.append)
    world.server.serve()
    assert results == [False]
    assert "wait 12 s" in world.agent.describe()["message"]


def test_sync_does_not_repeat_an_old_refusal(make_world):
    """While the server says nothing, there is nothing to say of the password."""
    world = make_world(password="wrong")
    world.agent.start()
    world.server.serve()
    results = []
    Deferred.fromCoroutine(world.agent.wait_registered(10)).addBoth(results.append)
    world.clock.advance(3)
    world.clock.advance(7)
    assert results == [False]
    assert "password" not in world.agent.describe()["message"]


@pytest.mark.parametrize("before", ["", "wrong"])
def test_a_changed_password_is_tried_at_once(make_world, before):
    """Within the 5 s of a look; the same one, and a file that cannot be read, are not tried again before their time."""
    file = [before]

    def password():
        if not file[0]:
            raise ConfigError("The password file is empty.")
        return file[0]

    world = make_world(password)
    world.agent.start()
    if world.server.wires:
        world.server.serve()
    if before:
        world.go(30)
        assert world.server.attempts == 1
        file[0] = ""
        world.go(10)
        assert world.server.attempts == 1
    file[0] = "secret"
    world.go(5)
    assert world.agent.registered


def test_a_changed_password_does_not_hammer_a_server_that_is_away(make_world):
    """The change is worth one try."""
    file = ["wrong"]
    world = make_world(lambda: file[0])
    world.agent.start()
    world.server.serve()
    file[0], world.server.up = "secret", False
    world.go(300)
    assert world.server.attempts <= 10


def test_silent_server_is_given_up(make_world):
    world = make_world()
    world.agent.start()
    for _ in range(200):
        world.clock.advance(1)
    assert world.server.attempts >= 2
    assert not world.agent.registered


@pytest.mark.parametrize(("secure", "registered"), [(True, True), (False, False)])
def test_md5_only_under_tls(make_world, secure, registered):
    world = make_world(algorithms=("MD5",), secure=secure)
    world.agent.start()
    world.server.serve()
    assert world.agent.registered is registered


def test_stop_takes_the_binding_back(world):
    removed = []
    accept = world.server.answer["REGISTER"]
    world.server.answer["REGISTER"] = lambda request: removed.append(request.headers["Expires"]) or accept(request)
    stopped = Deferred.fromCoroutine(world.agent.stop())
    world.server.serve()
    assert removed == ["0"]
    assert stopped.called
    assert world.server.wire.closed
    world.clock.advance(120)
    assert not world.clock.getDelayedCalls()


def test_stop_does_not_wait_for_a_dead_server(world):
    stopped = Deferred.fromCoroutine(world.agent.stop())
    world.clock.advance(3)
    assert stopped.called
    assert world.server.wire.closed


def test_waiting_for_registration(make_world):
    world = make_world(up=False)
    world.agent.start()
    results = []
    Deferred.fromCoroutine(world.agent.wait_registered(3)).addBoth(results.append)
    for _ in range(8):
        world.clock.advance(0.5)
    assert results == [False]
    world.server.up = True
    Deferred.fromCoroutine(world.agent.wait_registered(3)).addBoth(results.append)
    world.server.serve()
    assert results == [False, True]


def test_a_reason_stands_in_other_sentences(make_world):
    """So it has no full stop of its own."""
    world = make_world(up=False)
    world.agent.start()
    for reason in ("Too many failed sign-ins.", "it is being opened again, try then."):
        world.agent._connection.lost(reason)
        assert world.agent.describe()["message"] == reason[:-1]


def test_another_certificate_is_said_in_words():
    reason = Failure(
        ProtocolError("The connection could not be made: [('SSL routines', '', 'certificate verify failed')]", "connection-failed")
    )
    assert in_words(reason).startswith("the server shows another certificate than the expected one; see `twsync doctor`")
    assert "SSL" not in in_words(reason)


def test_waits_shortly_when_attempts_fail(make_world):
    world = make_world(up=False)
    world.agent.start()
    results = []
    Deferred.fromCoroutine(world.agent.wait_registered(10)).addBoth(results.append)
    world.clock.advance(2.9)
    assert not results
    world.clock.advance(0.2)
    assert results == [False]
