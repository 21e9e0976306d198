"""REGISTER, as it goes over the wire."""

from __future__ import annotations

import pytest


def contacts(response):
    return list(response.contact)


def test_first_registration_is_challenged_then_granted(world):
    """Steps 1 to 4 of the ladder: 401 with SHA-256 before MD5, then 200 with the binding, its GRUU, Date and Flow-Timer."""
    phone = world.phone(device="laptop")
    request = phone.register_request()
    phone.send(request)
    challenge = phone.take(401)
    algorithms = list(challenge.headers.getlist("WWW-Authenticate"))
    assert "SHA-256" in algorithms[0] and "MD5" in algorithms[1]
    assert all('qop="auth"' in value for value in algorithms)
    granted = phone.register()
    assert granted.code == 200
    (contact,) = contacts(granted)
    assert contact.parameters["expires"] == "60"
    assert contact.parameters["pub-gruu"] == "sips:alice@example.org;gr=laptop"
    assert contact.parameters["+vnd.twsync.device"] == "laptop"
    assert granted.headers.get("Date") and granted.headers.get("Flow-Timer") == "90"
    assert granted.headers.get("Require") == "outbound"
    via = granted.via[0]
    assert via.parameters["received"] == "192.0.2.1" and via.parameters["rport"] == str(phone.port)


def test_registration_is_in_the_database(world):
    """When the 200 is there, so is the row."""
    phone = world.online()
    (binding,) = world.rows("bindings", world.wall())
    assert (binding.user, binding.device, binding.flow) == ("alice", "laptop", phone.flow.id)
    (device,) = world.rows("devices")
    assert device.fingerprint == phone.fingerprint and device.agent == "test/1" and device.observed == f"192.0.2.1:{phone.port}"


def test_without_contact_the_bindings_are_told(world):
    """A REGISTER without Contact fetches."""
    world.online(device="laptop")
    phone = world.online(device="desktop")
    answer = phone.answer(phone.register_request(Contact=None))
    assert {contact.parameters["+vnd.twsync.device"] for contact in contacts(answer)} == {"laptop", "desktop"}


def test_expires_zero_removes(world):
    """One contact, or with the star all of the user's."""
    phone, other = world.online(device="laptop"), world.online(device="desktop")
    assert phone.register(Expires="0").code == 200
    assert [binding.device for binding in world.parts.location.of_user("alice")] == ["desktop"]
    assert other.register(contact="*", Expires="0").code == 200
    assert not world.parts.location.of_user("alice") and not world.rows("bindings", world.wall())
    assert len(world.rows("devices")) == 2, "the devices stay known"


@pytest.mark.parametrize("headers", [{}, {"Expires": "60"}])
def test_star_needs_expires_zero(world, headers):
    """RFC 3261 section 10.2.2."""
    phone = world.online()
    assert phone.register(contact="*", **headers).code == 400
    assert world.parts.location.of_user("alice")


@pytest.mark.parametrize(
    ("asked", "code", "granted"), [("29", 423, None), ("30", 200, "30"), ("9999", 200, "3600"), ("nonsense", 200, "60")]
)
def test_expiry_has_bounds(world, asked, code, granted):
    """Too short is refused with Min-Expires, too long is cut, malformed counts as absent."""
    phone = world.phone(device="laptop")
    answer = phone.register(contact=f"{phone.binding()};expires={asked}")
    assert answer.code == code
    if code == 423:
        assert answer.headers["Min-Expires"] == "30"
    else:
        assert contacts(answer)[0].parameters["expires"] == granted


def test_binding_expires(world):
    """Without a refresh a device is offline after its time."""
    world.online()
    world.pass_time(58)
    assert world.parts.location.of_user("alice")
    world.pass_time(5)
    assert not world.parts.location.of_user("alice") and not world.rows("bindings", world.wall())


def test_refresh_prolongs_and_repeats_nothing(world):
    """The same contact again is the same binding."""
    phone = world.online()
    world.pass_time(40)
    assert phone.register().code == 200
    world.pass_time(40)
    assert len(world.parts.location.of_user("alice")) == 1


def test_lower_number_is_refused(world):
    """RFC 3261 section 10.3, step 7: one Call-ID, rising numbers."""
    phone = world.online()
    phone.sequence = 0
    request = phone.register_request()
    assert phone.answer(request).code == 500


def test_new_flow_replaces_the_old_one(world):
    """RFC 5626: instance and reg-id name the binding; requests go over the latest flow, and the old flow's end changes nothing."""
    old = world.online(fingerprint="sha256:" + "ab" * 32)
    new = world.online(fingerprint=old.fingerprint)
    assert [binding.flow for binding in world.parts.location.of_user("alice")] == [new.flow]
    old.hang_up()
    assert [binding.flow for binding in world.parts.location.of_user("alice")] == [new.flow]


def test_flow_end_is_offline_at_once(world):
    """RFC 5626 section 5.2."""
    world.online().hang_up()
    assert not world.parts.location.of_user("alice") and not world.rows("bindings", world.wall())


def test_name_is_bound_to_its_first_key(world):
    """Another key under the same name is refused until an administrator removes the device."""
    world.online().hang_up()
    impostor = world.phone(device="laptop")
    answer = impostor.register()
    assert (answer.code, answer.phrase) == (403, "Device key changed")
    assert "Device key changed" in answer.headers["Warning"]
    with world.administrator() as transaction:
        transaction.remove_device("alice", "laptop")
    world.pass_time(2)
    assert impostor.register().code == 200


def test_one_key_has_one_name(world):
    """Else a blocked device would come back under another name."""
    first = world.online(device="laptop")
    answer = world.phone(device="tablet", fingerprint=first.fingerprint).register()
    assert (answer.code, answer.phrase) == (403, "Device is named laptop")


def test_stock_agent_cannot_take_a_device_name(world):
    """A contact without a key that would get a bound name is refused."""
    world.online(device="f81d4fae-7dec-11d0-a765-00a0c91e6bf6")
    stock = world.phone()
    contact = f'<{stock.contact}>;+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"'
    assert stock.register(contact=contact).code == 403


def test_certificate_must_be_the_claimed_one(world):
    """On TLS the claim is checked against the client certificate; without a certificate there is no device."""
    fingerprint = "sha256:" + "cd" * 32
    assert world.phone(device="laptop", fingerprint=fingerprint, secure=True).register().code == 200
    liar = world.phone(device="desktop", secure=True)
    liar.flow.peer_fingerprint = fingerprint
    assert liar.register().code == 403
    bare = world.phone(device="phone", secure=True)
    bare.flow.peer_fingerprint = None
    assert bare.register().phrase == "Device certificate missing"


@pytest.mark.parametrize("name", ["a/b", "a b", "x" * 65, ".."])
def test_device_names_are_checked(world, name):
    """What cannot be written as USER/DEVICE is refused."""
    assert world.phone(device=name).register().code == 400


def test_bad_fingerprints_are_refused(world):
    """Not sha256 and 64 hex digits; or none at all where there is no TLS."""
    phone = world.phone(device="laptop", fingerprint="sha256:xyz" + "0" * 40)
    assert phone.register().code == 400
    assert phone.register(contact=f'<{phone.contact}>;+vnd.twsync.device="laptop"').code == 400


def test_blocked_device_is_refused(world):
    """Also after it was only known."""
    phone = world.online()
    phone.hang_up()
    with world.administrator() as transaction:
        transaction.block_device("alice", "laptop", True)
    world.pass_time(2)
    again = world.phone(device="laptop", fingerprint=phone.fingerprint)
    assert again.register().phrase == "Device blocked"
    assert world.rows("device", "alice", "laptop").blocked


def test_stock_agents_are_named_by_instance_or_address(world):
    """Only those with an instance are remembered."""
    one, two = world.phone(), world.phone()
    assert one.register(contact=f'<{one.contact}>;+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"').code == 200
    assert two.register().code == 200
    names = {binding.device for binding in world.parts.location.of_user("alice")}
    assert names == {"f81d4fae-7dec-11d0-a765-00a0c91e6bf6", f"alice-192.0.2.1-{two.port}"}
    assert [device.name for device in world.rows("devices")] == ["f81d4fae-7dec-11d0-a765-00a0c91e6bf6"]


def test_contacts_of_a_user_are_limited(world):
    """128, in one request or over time."""
    phone = world.phone()
    many = ", ".join(f"<sips:alice@192.0.2.1:{port}>" for port in range(1000, 1129))
    assert phone.register(contact=many).code in (400, 403)
    assert phone.register(contact=", ".join(many.split(", ")[:128])).code == 200
    assert world.phone().register().code == 403


def test_answer_stays_small(world):
    """However many contacts a user has, the head of the 200 fits into a message, the own contact first."""
    for number in range(100):
        world.online(device=f"device-{number}", host=f"192.0.2.{number}")
    phone = world.online(device="laptop")
    answer = phone.register()
    assert answer.code == 200
    assert contacts(answer)[0].parameters["+vnd.twsync.device"] == "laptop"


def test_extensions_and_domains(world):
    """Require of something unknown is 420; another domain's REGISTER 404; for another user 403."""
    phone = world.phone()
    answer = phone.register(Require="outbound, teleportation")
    assert answer.code == 420 and answer.headers["Unsupported"] == "teleportation"
    elsewhere = phone.request("REGISTER", "sips:example.com", to="<sips:alice@example.com>")
    assert phone.answer(elsewhere).code == 404
    assert phone.answer(phone.request("REGISTER", "sips:example.org", to="<sips:bob@example.org>")).code == 403


def test_aliases_mean_the_same_user(world):
    """The host's name, and the address the connection reached."""
    for host in ("sync.example.org", "192.0.2.100", "EXAMPLE.ORG"):
        phone = world.phone()
        assert phone.answer(phone.request("REGISTER", f"sips:{host}", to=f"<sip:alice@{host}>")).code == 200


def test_path_is_kept(world):
    """RFC 3327: what a proxy in between asked for."""
    phone = world.phone()
    answer = phone.register(Path="<sips:edge.example.org;lr>")
    assert answer.headers["Path"] == "<sips:edge.example.org;lr>"
    assert world.parts.location.of_user("alice")[0].path == ("<sips:edge.example.org;lr>",)


def test_restart_forgets_dead_flows(world):
    """After a restart nobody is online, the devices are known, and their keys still bind."""
    phone = world.online()
    fingerprint = phone.fingerprint
    world.restart()
    assert not world.rows("bindings", world.wall()) and len(world.rows("devices")) == 1
    assert world.phone(device="laptop").register().code == 403
    assert world.phone(device="laptop", fingerprint=fingerprint).register().code == 200


def test_thousands_of_bindings(world):
    """4,000 devices of 100 users register, and a look-up still finds each."""
    from twsync.control.location import Binding
    from twsync.sip.values import Address

    location, flow = world.parts.location, world.phone().flow
    for number in range(4000):
        user = f"user{number % 100}"
        contact = Address.parse(f"<sips:{user}@192.0.2.1:{number + 1}>")
        location.add(
            Binding(user, f"d{number}", str(contact.uri), contact, None, None, "c", 1, flow, (), 2000.0 + number, 0.0, None, "", "")
        )
    assert len(location) == 4000 and len(location.of_user("user7")) == 40
    assert location.of_device("user7", "d107")[0].device == "d107"
    assert len(location.expire(2999.5)) == 1000 and len(location) == 3000
    assert len(location.on_flow(flow)) == 3000


def test_connection_of_a_client_that_vanished_is_closed(world):
    """With its registration, as nothing is heard from it any more; it would stand for ever."""
    silent, pinging = world.online(device="laptop"), world.online(device="desktop")
    for _ in range(12):
        world.pass_time(20)
        pinging.flow.dataReceived(b"\r\n\r\n")
    assert not world.parts.location.on_flow(pinging.flow)
    assert silent.closed and not pinging.closed
    assert pinging.register(Expires="3600").code == 200
    world.pass_time(3000, 50)
    assert not pinging.closed, "it does not have to ping"


def test_connection_that_says_nothing_for_hours_is_closed(world):
    """Also one that never registered."""
    phone = world.phone()
    assert phone.register(Expires="0").code == 200
    world.pass_time(7100, 50)
    assert not phone.closed
    world.pass_time(200, 50)
    assert phone.closed


def test_devices_of_a_user_are_limited(world, monkeypatch):
    """A stock agent that makes up a new instance at each start is served, and not remembered."""
    monkeypatch.setattr("twsync.limits.MAX_DEVICES", 2)
    phone = world.online(device="laptop")
    for number in range(3):
        agent = world.phone()
        answer = agent.register(contact=f'<{agent.contact}>;+sip.instance="<urn:uuid:{number}>"')
        assert answer.code == 200
        agent.hang_up()
    assert len(world.rows("devices")) == 2
    refused = world.phone(device="desktop").register()
    assert (refused.code, refused.phrase) == (403, "Too many devices")
    assert phone.register().code == 200
