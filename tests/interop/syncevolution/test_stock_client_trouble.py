"""SyncEvolution's client against a twsync host when something goes wrong: passwords, kills, lost replies, suspension."""

from __future__ import annotations

import signal
import time

import pytest
from stock_records import card, edit, fill, of, people, records, values, write

from twsync.syncml import codec
from twsync.syncml.document import Alert


def messages(between):
    """All requests that passed, read."""
    return [codec.decode(each.request).message for each in between.exchanges]


@pytest.mark.parametrize("scheme", ["basic", "md5"])
def test_both_ways_to_prove_a_password(stage, between, phone, scheme):
    """Without a password nothing is reached."""
    phone.client.url = stage.address(between.port)
    fill(phone.there, [1])
    report = phone.client.sync(mode="slow", run=(f"clientAuthType={scheme}",))
    assert report.code == 0, report.text
    assert values(phone.here, "FN:") == ["Person 1"]
    proofs = [found.header.cred.meta.type for found in messages(between) if found.header.cred is not None]
    assert f"syncml:auth-{scheme}" in proofs


def test_wrong_password_and_foreign_datastores(stage, stock, tmp_path):
    """Who has no password gets nothing; an account reaches what it was granted, and nothing else."""
    here, private = stage.collection("contacts"), stage.collection("contacts")
    stage.account("guest", "another-secret", "--collection", here.name)
    fill(here, [1], ".vcf")
    fill(private, [2], ".vcf")

    thief = stock("thief", stage.url, "guest", "guessed")
    thief.add("addressbook", tmp_path / "thief", "text/vcard", here.name)
    assert thief.sync(mode="slow").code != 0
    assert records(tmp_path / "thief") == []

    guest = stock("guest", stage.url, "guest", "another-secret")
    guest.add("addressbook", tmp_path / "guest", "text/vcard", private.name)
    assert guest.sync(mode="slow").code != 0
    assert records(tmp_path / "guest") == []
    guest.add("calendar", tmp_path / "guest", "text/vcard", here.name)
    assert guest.sync("calendar", mode="slow").code == 0
    assert values(tmp_path / "guest", "FN:") == ["Person 1"]


def test_a_client_killed_in_mid_session(stage, between, phone):
    """Killed after each of its messages, then run to the end: nothing is lost, nothing is there twice."""
    phone.client.url = stage.address(between.port)
    fill(phone.there, range(200))
    fill(phone.here, range(200, 260), ".vcf")
    how = ("maxMsgSize=20000",)
    for stop in range(1, 6):
        begun = len(between.exchanges)
        session = phone.client.start(mode="slow", run=how)
        until = time.monotonic() + 30.0
        while len(between.exchanges) < begun + stop and session.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.002)
        session.kill()
        session.wait()
    report = phone.client.sync(mode="slow", run=how)
    assert report.code == 0, report.text
    assert values(phone.here, "FN:") == values(phone.there, "FN:") == people(range(260))


@pytest.mark.parametrize("lost", range(3))
def test_a_lost_reply(stage, between, phone, lost):
    """SyncEvolution's client sends the message again, except the first one, where it gives up; in the end all is there once."""
    fill(phone.there, range(5))
    assert phone.client.sync(mode="slow").code == 0
    phone.client.url = stage.address(between.port)
    between.lose = lambda number: number == lost
    write(phone.there / "0", card(0, phone="+1"))
    fill(phone.there, [10, 11])
    fill(phone.here, [20, 21], ".vcf")
    edit(of(phone.here, "FN:Person 1"), "note 1", "changed here")
    report = phone.client.sync(run=("RetryInterval=1",))
    assert (report.code == 0) == (lost > 0), report.text
    if lost:
        first, again = between.exchanges[lost : lost + 2]
        assert first == again
    report = phone.client.sync()
    assert report.code == 0, report.text
    assert values(phone.here, "FN:") == values(phone.there, "FN:") == people([*range(5), 10, 11, 20, 21])
    assert values(phone.here, "TEL;TYPE=CELL:") == values(phone.there, "TEL;TYPE=CELL:")
    assert "changed here" in values(phone.there, "NOTE:")


def test_every_message_twice(stage, between, phone):
    """As clients do that did not get a reply: they get the same one, byte for byte, and nothing happens twice."""
    phone.client.url = stage.address(between.port)
    between.repeat = True
    fill(phone.there, range(100))
    fill(phone.here, range(100, 120), ".vcf")
    report = phone.client.sync(mode="slow", run=("maxMsgSize=20000",))
    assert report.code == 0, report.text
    assert values(phone.here, "FN:") == values(phone.there, "FN:") == people(range(120))
    pairs = zip(between.exchanges[::2], between.exchanges[1::2], strict=True)
    assert all(first == second for first, second in pairs)


@pytest.mark.parametrize("stop", [1, 6])
def test_suspended_and_resumed(stage, between, phone, stop):
    """The user stops the client while it waits for a reply (Alert 224, where it has time for it); the next session asks to go on
    (Alert 225), and ends with the same on both sides."""
    phone.client.url = stage.address(between.port)
    fill(phone.there, range(400))
    fill(phone.here, range(400, 500), ".vcf")

    def interrupt(number):
        if number == stop:
            session.send_signal(signal.SIGINT)
        return False

    between.lose = interrupt
    session = phone.client.start(mode="slow", run=("maxMsgSize=20000",))
    assert session.wait(60) != 0
    assert values(phone.there, "FN:") != people(range(500))
    report = phone.client.sync()
    assert report.code == 0, report.text
    assert values(phone.here, "FN:") == values(phone.there, "FN:") == people(range(500))
    asked = [command.code for found in messages(between) for command in found.body if isinstance(command, Alert)]
    assert "224" in asked or "225" in asked


def test_many_deletes_wait_for_a_word_of_the_user(stage, phone):
    """Neither a refresh nor single deletes take most of a collection away, until that is allowed."""
    fill(phone.there, range(40))
    assert phone.client.sync(mode="slow").code == 0
    for number in range(30):
        (phone.there / str(number)).unlink()
    refused = phone.client.sync(mode="refresh-from-client")
    assert refused.code != 0, refused.text
    stage.settled()
    assert values(phone.here, "FN:") == people(range(40))
    (last, *_) = stage.host.twsync("history", "--json").expect(0).document
    assert (last["state"], last["error"]["code"]) == ("failed", "too-many-deletes")
    assert "twsync syncml account allow-deletes phone" in last["error"]["message"]

    stage.host.twsync("syncml", "account", "allow-deletes", "phone").expect(0)
    report = phone.client.sync(mode="refresh-from-client")
    assert report.code == 0, report.text
    assert values(phone.here, "FN:") == people(range(30, 40))
