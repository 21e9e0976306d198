"""Subscriptions to who is online."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from twsync import limits
from twsync.sip import reginfo


def subscribe(phone, **headers):
    more = {"Event": "reg", "Accept": "application/reginfo+xml", "Expires": "600"} | headers
    answer = phone.answer(phone.request("SUBSCRIBE", f"sips:{phone.user}@example.org", **more))
    phone.subscription = (phone.sent, answer)
    return answer


def notified(phone, code=200):
    """The next NOTIFY, answered."""
    notify = phone.take("NOTIFY")
    phone.respond(notify, code)
    return notify, reginfo.parse(notify.body) if notify.body else None


def view(phone):
    """What the watcher knows after all that has come."""
    known = getattr(phone, "known", None) or reginfo.View()
    phone.known = known
    while True:
        try:
            _, info = notified(phone)
        except AssertionError:
            break
        assert known.update(info)
    contacts = [contact for registration in known.registrations for contact in registration.contacts]
    return {contact.params["+vnd.twsync.device"]: contact.active for contact in contacts}


def refresh(phone, expires="600"):
    sent, answer = phone.subscription
    request = phone.request(
        "SUBSCRIBE", str(answer.contact[0].uri), to=answer.headers["To"], call_id=sent.call_id, tag=sent.from_tag,
        Event="reg", Expires=expires,
    )  # fmt: skip
    phone.send(request)
    return phone.final(request)


def test_first_everything_then_what_changes(world):
    """A full document, then partial ones with the next version."""
    laptop = world.online(device="laptop")
    world.online(device="desktop").hang_up()
    answer = subscribe(laptop)
    assert answer.code == 200 and answer.headers["Expires"] == "600"
    notify, info = notified(laptop)
    assert notify.headers["Event"] == "reg" and notify.headers["Subscription-State"] == "active;expires=600"
    assert info.full and info.version == 0
    (registration,) = info.registrations
    assert registration.aor == "sips:alice@example.org" and registration.state == "active"
    states = {contact.id: contact.state for contact in registration.contacts}
    assert states == {"laptop": "active", "desktop": "terminated"}
    (own,) = [contact for contact in registration.contacts if contact.id == "laptop"]
    assert own.pub_gruu == "sips:alice@example.org;gr=laptop"
    assert own.params["+vnd.twsync.fingerprint"] == laptop.fingerprint
    assert own.params["+vnd.twsync.observed"] == f"192.0.2.1:{laptop.port}"
    assert own.params["+vnd.twsync.agent"] == "test/1" and own.params["+vnd.twsync.last-seen"].endswith("Z")
    world.online(device="tablet")
    world.pass_time(1)
    _, info = notified(laptop)
    assert not info.full and info.version == 1
    assert [(contact.id, contact.state) for contact in info.registrations[0].contacts] == [("tablet", "active")]


def test_coming_and_going_is_told(world):
    """Register, unregister, flow death, expiry."""
    laptop = world.online(device="laptop")
    subscribe(laptop)
    assert view(laptop) == {"laptop": True}
    desktop = world.online(device="desktop")
    world.pass_time(1)
    assert view(laptop) == {"laptop": True, "desktop": True}
    desktop.register(Expires="0")
    world.pass_time(1)
    assert view(laptop) == {"laptop": True, "desktop": False}
    desktop.register()
    desktop.hang_up()
    world.pass_time(1)
    assert view(laptop) == {"laptop": True, "desktop": False}


def test_refreshes_tell_nothing(world):
    """No NOTIFY each minute."""
    laptop, desktop = world.online(device="laptop"), world.online(device="desktop")
    subscribe(laptop)
    view(laptop)
    desktop.register()
    world.pass_time(1)
    assert laptop.read() == []


def test_changes_of_a_moment_go_together(world):
    """Within 200 ms; and the next NOTIFY waits for the answer to the one before."""
    laptop = world.online(device="laptop")
    subscribe(laptop)
    notified(laptop)
    for name in ("a", "b", "c"):
        world.online(device=name)
    world.pass_time(0.1, 0.1)
    assert laptop.read() == []
    world.pass_time(0.2, 0.1)
    notify = laptop.take("NOTIFY")
    assert len(reginfo.parse(notify.body).registrations[0].contacts) == 3
    world.online(device="d")
    world.pass_time(1)
    assert laptop.read() == []
    laptop.respond(notify, 200)
    assert [contact.id for contact in notified(laptop)[1].registrations[0].contacts] == ["d"]


def test_grants_make_users_visible(new_world):
    """One way, as the grant says."""
    world = new_world(["alice -> bob/photos"])
    laptop, studio = world.online(device="laptop"), world.online("bob", "studio")
    subscribe(laptop)
    subscribe(studio)
    assert view(laptop) == {"laptop": True, "studio": True}
    assert view(studio) == {"studio": True}
    studio.hang_up()
    world.pass_time(1)
    assert view(laptop) == {"laptop": True, "studio": False}


def test_only_the_own_registration(world):
    """403 for another user's."""
    phone = world.online()
    request = phone.request("SUBSCRIBE", "sips:bob@example.org", Event="reg")
    assert phone.answer(request).code == 403


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Event": "presence"}, 489),
        ({"Accept": "application/pidf+xml"}, 406),
        ({"Expires": "5"}, 423),
        ({"Accept": None}, 200),
        ({"Require": "x"}, 420),
    ],
)
def test_subscriptions_that_cannot_be(world, headers, code):
    """489, 406, 423, 420."""
    assert subscribe(world.online(), **headers).code == code


def test_single_look(world):
    """Expires: 0 outside a dialog: one NOTIFY, which is the last."""
    phone = world.online()
    assert subscribe(phone, Expires="0").code == 200
    notify, info = notified(phone)
    assert notify.headers["Subscription-State"].startswith("terminated") and info.full
    assert len(world.parts.presence) == 0


def test_refresh_and_end(world):
    """A refresh brings everything anew; Expires: 0 ends it."""
    phone = world.online()
    subscribe(phone)
    notified(phone)
    assert refresh(phone).code == 200
    notify, info = notified(phone)
    assert info.full and info.version == 1 and notify.headers["Subscription-State"] == "active;expires=600"
    assert refresh(phone, "0").code == 200
    assert notified(phone)[0].headers["Subscription-State"].startswith("terminated")
    assert refresh(phone).code == 481


def test_subscription_expires(world):
    """Without a refresh."""
    phone = world.online()
    phone.register(Expires="3600")
    subscribe(phone, Expires="60")
    notified(phone)
    world.pass_time(62)
    assert notified(phone)[0].headers["Subscription-State"] == "terminated;reason=timeout"
    assert len(world.parts.presence) == 0


def test_watcher_that_refuses_is_dropped(world):
    """481 to a NOTIFY; so is one whose flow ends."""
    phone, other = world.online(device="a"), world.online(device="b")
    subscribe(phone)
    subscribe(other)
    notified(phone, 481)
    assert len(world.parts.presence) == 1
    other.hang_up()
    assert len(world.parts.presence) == 0


def test_subscriptions_of_a_flow_are_limited(world):
    """Eight."""
    phone = world.online()
    codes = [subscribe(phone).code for _ in range(limits.MAX_SUBSCRIPTIONS_PER_FLOW + 1)]
    assert codes == [200] * limits.MAX_SUBSCRIPTIONS_PER_FLOW + [403]


def test_removed_devices_vanish(world):
    """After `twsync ctl device remove` the full document has them no more."""
    laptop = world.online(device="laptop")
    world.online(device="desktop").hang_up()
    subscribe(laptop)
    assert view(laptop) == {"laptop": True, "desktop": False}
    with world.administrator() as transaction:
        transaction.remove_device("alice", "desktop")
    world.pass_time(2)
    assert view(laptop) == {"laptop": True}


def test_what_is_taken_up_is_noted(world):
    """Whoever changed something can see that it is in force, and that no server runs."""
    with world.administrator() as transaction:
        transaction.remove_user("carol")
    assert world.rows("taken_up") < world.rows("changes")
    world.pass_time(1)
    assert world.rows("taken_up") == world.rows("changes")
    with world.administrator() as transaction:
        transaction.remove_user("bob")
    world.restart()
    assert world.rows("taken_up") == world.rows("changes")
    world.parts.leave()
    assert world.rows("taken_up") is None


def test_a_look_that_ends_behind_the_end_does_not_say_that_a_server_runs(world, monkeypatch):
    waiting = []

    def later(function):
        waiting.append((function, result := Deferred()))
        return result

    monkeypatch.setattr(world.parts.records, "_run", later)
    with world.administrator() as transaction:
        transaction.remove_user("bob")
    world.parts.look()
    world.parts.leave()
    while waiting:
        function, result = waiting.pop(0)
        result.callback(function())
    assert world.rows("taken_up") is None


def test_stock_agents_are_shown(world):
    """While they are there; without an instance they vanish from the next full document."""
    laptop, stock = world.online(device="laptop"), world.phone()
    stock.register()
    subscribe(laptop)
    name = f"alice-192.0.2.1-{stock.port}"
    assert view(laptop) == {"laptop": True, name: True}
    stock.hang_up()
    world.pass_time(1)
    assert view(laptop) == {"laptop": True, name: False}
    refresh(laptop)
    assert view(laptop) == {"laptop": True}


def test_many_devices_go_in_several_messages(world):
    """Each below the size of a message; together they are everything."""
    laptop = world.online(device="laptop")
    for number in range(120):
        world.online(device=f"device-{number:03}", host=f"198.51.100.{number}")
    subscribe(laptop)
    assert len(view(laptop)) == 121
