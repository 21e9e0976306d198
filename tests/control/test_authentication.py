"""Who is believed, who has to wait, and what strangers can learn."""

from __future__ import annotations

import pytest

from twsync.sip.message import URI, Request


def challenged(phone):
    phone.send(phone.register_request())
    return phone.take(401)


def test_wrong_password_and_unknown_user_look_the_same(world):
    """Same code, same headers but for the nonce; so nobody learns who exists."""
    answers = [world.phone(user, device="x", password="wrong").register() for user in ("alice", "nobody")]
    assert [answer.code for answer in answers] == [401, 401]
    shapes = [(answer.phrase, sorted(answer.headers.keys())) for answer in answers]
    assert shapes[0] == shapes[1]


def test_used_nonce_count_is_refused_as_stale(world):
    """A replayed REGISTER is not accepted; the challenge says stale, so that the right client goes on with a fresh nonce."""
    phone = world.online()
    replay = Request(phone.sent.method, phone.sent.uri)
    for name in tuple(phone.sent.headers.keys()):
        replay.headers.setlist(name, list(phone.sent.headers.getlist(name)))
    replay.headers.set("Via", "SIP/2.0/TLS 192.0.2.9:1;branch=z9hG4bKreplay")
    thief = world.phone(host="192.0.2.9")
    thief.send(replay)
    answer = thief.take(401)
    assert "stale=true" in answer.headers["WWW-Authenticate"]
    assert not world.parts.location.on_flow(thief.flow)


def test_nonce_of_the_registration_serves_a_call(world):
    """One round trip: the next count of the same nonce is good for an INVITE."""
    phone, other = world.online(device="laptop"), world.online(device="desktop")
    request = phone.request("INVITE", other.gruu)
    assert phone.credentials.authorize(request, "cnonce-of-the-test", "Proxy-Authorization")
    phone.send(request)
    assert phone.take(100) and other.take("INVITE")


def test_nonce_gets_stale(world):
    """After 300 seconds; the next try with the fresh one is granted."""
    phone = world.phone(device="laptop")
    assert phone.register(Expires="3600").code == 200
    world.pass_time(301, 10)
    request = phone.register_request()
    phone.credentials.authorize(request, "cnonce-of-the-test")
    phone.send(request)
    assert "stale=true" in phone.take(401).headers["WWW-Authenticate"]
    assert phone.register().code == 200


def test_nonce_of_an_earlier_life_is_stale(world):
    """A restart draws a new secret."""
    phone = world.online(device="laptop")
    world.restart()
    again = world.phone(device="laptop", fingerprint=phone.fingerprint)
    again.credentials = phone.credentials
    request = again.register_request()
    phone.credentials.authorize(request, "cnonce-of-the-test")
    again.send(request)
    assert "stale=true" in again.take(401).headers["WWW-Authenticate"]


def test_md5_can_be_switched_off(new_world):
    """Then only SHA-256 is offered, and an MD5 answer is refused."""
    world = new_world(md5=False)
    values = challenged(world.phone()).headers.getlist("WWW-Authenticate")
    assert len(values) == 1 and "SHA-256" in values[0]


def told_to_wait(answer):
    """The seconds of a 503 that says why, to people and to programs."""
    assert answer.code == 503
    assert answer.headers["Error-Info"] == "<urn:twsync:refusal:failed-sign-ins>"
    seconds = answer.headers["Retry-After"]
    assert f"wait {seconds} s" in answer.phrase and f"wait {seconds} s" in answer.headers["Warning"]
    return int(seconds)


def test_failures_slow_down(world):
    """From the sixth try on passwords are looked at 1, 2, 4 … 30 s apart; what comes between hears how long to wait, and does not count."""
    waits = []
    for _ in range(12):
        answer = world.phone(password="wrong").register()
        if answer.code == 503:
            waits.append(told_to_wait(answer))
            for _ in range(5):
                assert told_to_wait(world.phone(password="wrong").register()) == waits[-1]
            world.clock.advance(waits[-1])
    assert waits == [1, 2, 4, 8]
    assert world.phone("nobody", password="wrong").register().code == 401


def test_the_right_password_waits_too(world):
    """Else it would be known which of many tries was the right one: the answers are the same."""
    for _ in range(6):
        world.phone(password="wrong").register()
        world.clock.advance(1)
    phone, wrong = world.phone(), world.phone(password="wrong")
    assert told_to_wait(phone.register()) == told_to_wait(wrong.register()) == 1
    world.clock.advance(1)
    assert phone.register().code == 200


def change_password(world, password):
    with world.administrator() as transaction:
        changed = world.user("alice", password)
        transaction.change_password("alice", changed.ha1_sha256, changed.ha1_md5)
    world.pass_time(2)


def test_the_password_before_the_change_is_no_guess(world):
    """Stock agents, and devices behind a TLS terminator, prove no key: however many have the old one, who has the new one comes in."""
    change_password(world, "looking-glass")
    assert [world.phone(password="wonderland").register().code for _ in range(100)] == [401] * 100
    assert world.phone(password="looking-glass").register().code == 200
    change_password(world, "jabberwocky")  # now that one is no guess, the first one is
    assert [world.phone(password="looking-glass").register().code for _ in range(100)] == [401] * 100
    assert [world.phone(password="wonderland").register().code for _ in range(6)] == [401] * 5 + [503]


def test_four_devices_and_a_changed_password(world):
    """All behind one address, with the old password for an hour: who has the right one comes in at once, the others when they have it."""
    devices = {name: world.online(device=name, secure=True).fingerprint for name in ("laptop", "desktop", "phone", "nas")}

    def tries(name, password):
        return world.phone(device=name, fingerprint=devices[name], password=password, secure=True).register().code

    change_password(world, "looking-glass")
    for _ in range(48):  # each every 75 s
        assert [tries(name, "wonderland") for name in devices] == [tries(name, "wrong too") for name in devices] == [401] * 4
        world.clock.advance(75)
    assert tries("laptop", "looking-glass") == 200
    for name in ("desktop", "phone", "nas"):
        assert tries(name, "wonderland") == 401
        assert tries("laptop", "looking-glass") == 200
        world.clock.advance(30)
        assert tries(name, "looking-glass") == 200


def test_a_guesser_at_the_address_keeps_no_known_device_out(world):
    """Not even one who tries all the time, for the user and for others. A device's key is of use for its own user, if proven."""
    laptop = world.online(device="laptop", secure=True)
    laptop.hang_up()
    for number in range(100):
        world.phone(password="wrong").register()
        world.phone(f"user{number}", password="wrong").register()
    for _ in range(6):
        assert world.phone("bob", fingerprint=laptop.fingerprint, password="wrong", secure=True).register().code == 503
    assert world.phone(device="laptop", fingerprint=laptop.fingerprint, secure=True).register().code == 200
    assert world.phone(device="laptop", fingerprint=laptop.fingerprint, secure=False).register().code == 503  # claimed, not proven


def test_a_device_of_another_user_is_no_place_to_guess_from(world):
    """What counts is the name that the password is tried for, not another one in front of it."""
    mallory = world.online("bob", device="laptop", secure=True)
    codes = []
    for _ in range(6):
        phone = world.phone("alice", fingerprint=mallory.fingerprint, password="wrong", secure=True)
        request = phone.register_request()
        phone.send(request)
        assert phone.credentials.challenged(phone.take(401))
        again = phone.again(request)
        phone.credentials.authorize(again, "cnonce-of-the-test", "Authorization")
        again.headers.setlist("Authorization", ['Digest username="bob", realm="elsewhere"', again.headers["Authorization"]])
        phone.send(again)
        codes.append(phone.final(again).code)
    assert codes == [401] * 5 + [503]
    assert world.phone("alice").register().code == 503


def test_a_proven_flow_does_not_wait(world):
    """Who attacks from behind the same address does not keep the household out."""
    phone = world.online()
    for _ in range(7):
        world.phone(password="wrong").register()
    assert phone.register().code == 200


def test_other_users_wait_only_after_twenty_failures_of_the_address(world):
    """Five failures of alice do not slow bob; twenty of the address do."""
    for _ in range(6):
        world.phone("alice", password="wrong").register()
    assert world.phone("bob").register().code == 200
    for number in range(15):
        world.phone(f"user{number}", password="wrong").register()
    assert told_to_wait(world.phone("carol").register()) == 1
    assert world.phone("carol", host="192.0.2.77").register().code == 200


def test_a_call_waits_too(world):
    """503, and its callee does not ring."""
    bob = world.online("bob")
    for _ in range(8):
        world.phone("alice", password="wrong").register()
    caller = world.phone("alice")
    assert told_to_wait(caller.invite("sips:bob@example.org")) == 1
    assert not any(isinstance(message, Request) for message in bob.read())


def registering_signed_for(world, uri):
    """A phone whose answer to the challenge is one for that address."""
    phone = world.phone()
    phone.credentials.challenged(challenged(phone))
    request = phone.register_request()
    twin = Request(request.method, URI.parse(uri))
    assert phone.credentials.authorize(twin, "cnonce-of-the-test")
    request.headers.set("Authorization", twin.headers["Authorization"])
    phone.send(request)
    return phone


@pytest.mark.parametrize("signed", ["sip:192.0.2.100:5061", "sip:example.org", "sip:sync.example.org"])
def test_an_answer_for_the_bare_address_of_the_server_passes(world, signed):
    """SIPp signs the address that it connects to, whatever it requests."""
    assert registering_signed_for(world, signed).take(200)


@pytest.mark.parametrize("signed", ["sip:other.example", "sip:bob@example.org"])
def test_an_answer_for_something_else_does_not(world, signed):
    """Such as another server, or another request."""
    assert registering_signed_for(world, signed).take(401)


def test_an_agent_that_gives_up_at_sha_256_gets_md5_alone(world):
    """It comes again with the same Call-ID and without an answer; and on that connection it is never asked for more."""
    phone = world.phone()
    offers = []
    for _ in range(3):
        phone.send(phone.register_request(User_Agent="Old/1"))
        offers.append(len(phone.take(401).headers.getlist("WWW-Authenticate")))
    assert offers == [2, 1, 2]
    assert phone.register(User_Agent="Old/1").code == 200
    phone.send(phone.request("INVITE", "sips:alice@example.org", User_Agent="Old/1"))
    assert len(phone.take(407).headers.getlist("Proxy-Authenticate")) == 1


def test_our_own_devices_are_always_offered_everything(world):
    """They come again with the same Call-ID whenever they connect anew."""
    for _ in range(3):
        phone = world.phone()
        phone.call_id = "registration"
        phone.send(phone.register_request(User_Agent="twsync/0.1.0"))
        assert len(phone.take(401).headers.getlist("WWW-Authenticate")) == 2


def test_failures_are_forgotten(world):
    """After ten minutes without one."""
    for _ in range(8):
        world.phone(password="wrong").register()
    world.pass_time(700, 10)
    assert world.phone().register().code == 200


def test_silent_connections_are_closed(world):
    """Who has not proven to be anyone within 30 seconds."""
    silent, good = world.phone(), world.online()
    world.pass_time(31)
    assert silent.closed and not good.closed


@pytest.mark.parametrize(
    "value", ["Digest", "Digest username", 'Digest username="a', "Basic YTpi", 'Digest username="alice", realm="example.org"']
)
def test_malformed_credentials_are_a_challenge(world, value):
    """Never an error of ours."""
    phone = world.phone()
    phone.send(phone.register_request(Authorization=value))
    assert phone.take(401) or phone.take(400)


def test_old_agents_see_md5_alone(world):
    """They would give up at sight of SHA-256 (control.oldagents)."""
    phone = world.phone()
    phone.send(phone.register_request(User_Agent="baresip v1.0.0 (x86_64/linux)"))
    (value,) = phone.take(401).headers.getlist("WWW-Authenticate")
    assert "algorithm=MD5" in value.replace('"', "")
