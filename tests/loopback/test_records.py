"""Records between real hosts: SyncML over the data channel, vdir folders as other programs edit them."""

from __future__ import annotations

import pytest

from twsync.demo.commands import LOOPBACK, free_ports
from twsync.demo.stage import start_all

CARD = (
    "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nFN:{name}\r\nN:{name};;;;\r\nTEL;TYPE=CELL:{phone}\r\n"
    "X-KEPT:{uid}\r\nNOTE:{note}\r\nEND:VCARD\r\n"
)
EVENT = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//t//EN\r\nBEGIN:VEVENT\r\nUID:e1\r\nDTSTAMP:20260101T000000Z\r\nSUMMARY:Lunch\r\n"
    "DTSTART:20260301T120000Z\r\nDTEND:20260301T130000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


def card(number, **changes):
    """A contact."""
    return CARD.format(**{"uid": f"uid-{number}", "name": f"Person {number}", "phone": f"+49{number}", "note": "-", **changes})


def write(folder, number, **changes):
    """A contact's file, as an editor leaves it."""
    (folder / f"{number}.vcf").write_text(card(number, **changes), newline="")


def texts(folder):
    """The files of a vdir by name."""
    return {path.name: path.read_bytes().decode() for path in folder.iterdir() if path.suffix == ".vcf"}


def test_both_ways_then_changes_then_nothing(world):
    """Additions, edits and deletions of both sides; files are called the same on both hosts and hold the same bytes."""
    laptop, desktop = world.start("laptop", "desktop")
    name, (here, there) = world.share(laptop, desktop, kind="contacts")
    for number in range(20):
        write(here if number % 2 else there, number)
    first = laptop.sync(name, "desktop").expect(0).document
    assert (first["protocol"], first["effective_type"], first["state"]) == ("syncml", "slow", "done")
    assert (first["sent"]["added"], first["received"]["added"]) == (10, 10)
    assert texts(here) == texts(there) == {f"{number}.vcf": card(number) for number in range(20)}

    write(here, 1, phone="+1")
    write(there, 2, phone="+2")
    (here / "3.vcf").unlink()
    (there / "4.vcf").unlink()
    write(here, 30)
    second = laptop.sync(name, "desktop").expect(0).document
    assert [second["sent"][key] for key in ("added", "changed", "deleted")] == [1, 1, 1]
    assert [second["received"][key] for key in ("added", "changed", "deleted")] == [0, 1, 1]
    assert texts(here) == texts(there)
    third = desktop.sync(name, "laptop").expect(0).document
    assert third["sent"] == {**third["sent"], "added": 0, "changed": 0, "deleted": 0}
    assert third["received"] == {**third["received"], "added": 0, "changed": 0, "deleted": 0}


def test_two_people_edit_one_contact(world):
    """Both edits survive, no question asked; where both changed one property, both values stay."""
    laptop, desktop = world.start("laptop", "desktop")
    name, (here, there) = world.share(laptop, desktop, kind="contacts")
    write(here, 1)
    write(here, 2)
    laptop.sync(name, "desktop").expect(0)
    write(here, 1, phone="+111")
    write(there, 1, note="born in May")
    write(here, 2, phone="+1")
    write(there, 2, phone="+2")
    merged = laptop.sync(name, "desktop").expect(0, 3).document
    assert {conflict["resolution"] for conflict in merged["conflicts"]} == {"merged"}
    assert texts(here) == texts(there)
    one, two = texts(here)["1.vcf"], texts(here)["2.vcf"]
    assert "+111" in one and "born in May" in one and "X-KEPT:uid-1" in one
    assert "+1\r\n" in two and "+2\r\n" in two


@pytest.mark.parametrize(("policy", "winner"), [("ours", "+1"), ("theirs", "+2")])
def test_a_policy_decides(world, policy, winner):
    """The caller's or the callee's record; what lost is in the trash of its host."""
    laptop, desktop = world.start("laptop", "desktop")
    name, (here, there) = world.share(laptop, desktop, kind="contacts", options=("--policy", policy))
    write(here, 1)
    laptop.sync(name, "desktop").expect(0)
    write(here, 1, phone="+1")
    write(there, 1, phone="+2")
    laptop.sync(name, "desktop").expect(0, 3)
    assert texts(here) == texts(there)
    assert winner in texts(here)["1.vcf"]


@pytest.mark.parametrize("keep", ["ours", "theirs"])
def test_duplicate_keeps_both(world, keep):
    """As two items with UIDs of their own; both hosts list the conflict, and what one decides holds on both."""
    laptop, desktop = world.start("laptop", "desktop")
    name, (here, there) = world.share(laptop, desktop, kind="contacts", options=("--policy", "duplicate"))
    write(here, 1)
    laptop.sync(name, "desktop").expect(0)
    write(here, 1, phone="+1")
    write(there, 1, phone="+2")
    laptop.sync(name, "desktop").expect(0, 3)
    laptop.sync(name, "desktop").expect(0)
    assert texts(here) == texts(there)
    assert len(texts(here)) == 2
    assert sorted(phone in "".join(texts(here).values()) for phone in ("+1", "+2")) == [True, True]
    assert sum("UID:uid-1\r\n" in text for text in texts(here).values()) == 1
    (one,) = conflicts(laptop, name)
    (other,) = conflicts(desktop, name)
    assert (one["item"], one["copy"]) == (other["item"], other["copy"])
    laptop.twsync("conflicts", "resolve", str(one["number"]), "--keep", keep).expect(0)
    laptop.sync(name, "desktop").expect(0)
    phone = "+1" if keep == "ours" else "+2"
    assert texts(here) == texts(there)
    assert list(texts(here)) == ["1.vcf"]
    assert phone in texts(here)["1.vcf"] and "UID:uid-1\r\n" in texts(here)["1.vcf"]
    assert conflicts(desktop, name) == []


def conflicts(host, name):
    """What is to be decided on a host in one collection; other tests share the host."""
    return [each for each in host.twsync("conflicts", "--json").expect(0).document if each["collection"] == name]


def test_three_hosts_in_a_ring(world):
    """What went round comes back as what it is: no conflict, no copy."""
    hosts = world.start("laptop", "desktop", "tablet")
    name, roots = world.share(*hosts, kind="contacts")
    laptop, desktop, tablet = hosts
    for number, root in enumerate(roots):
        write(root, number)
    for _ in range(2):
        for one, other in ((laptop, "desktop"), (desktop, "tablet"), (tablet, "laptop")):
            one.sync(name, other).expect(0)
    write(roots[0], 0, phone="+1")
    laptop.sync(name, "desktop").expect(0)
    desktop.sync(name, "tablet").expect(0)
    write(roots[0], 0, phone="+2")
    last = tablet.sync(name, "laptop").expect(0).document
    assert last["conflicts"] == []
    laptop.sync(name, "desktop").expect(0)
    assert texts(roots[0]) == texts(roots[1]) == texts(roots[2])
    assert "+2" in texts(roots[0])["0.vcf"] and len(texts(roots[0])) == 3


def test_restore_brings_back_what_a_session_changed(world):
    """On one host; the next session takes it to the other."""
    laptop, desktop = world.start("laptop", "desktop")
    name, (here, there) = world.share(laptop, desktop, kind="contacts")
    for number in range(4):
        write(here, number)
    laptop.sync(name, "desktop").expect(0)
    before = texts(there)
    write(here, 0, phone="+1")
    (here / "1.vcf").unlink()
    write(here, 9)
    session = laptop.sync(name, "desktop").expect(0).document["session"]
    assert texts(there) != before
    (done,) = desktop.twsync("restore", session, "--json").expect(0).document
    assert (done["added"], done["changed"], done["deleted"]) == (1, 1, 1)
    assert texts(there) == before
    laptop.sync(name, "desktop").expect(0)
    assert texts(here) == before
    desktop.twsync("restore", done["session"]).expect(0)
    assert "+1" in texts(there)["0.vcf"]


def test_types_that_do_not_match_are_refused(world):
    """488, with a sentence, and nothing is touched."""
    laptop, desktop = world.start("laptop", "desktop")
    name, _ = world.share(laptop, kind="contacts")
    folder = world.place / f"{name}-other"
    folder.mkdir()
    desktop.add_collection(name, folder, "calendar")
    refused = laptop.sync(name, "desktop")
    assert refused.code == 1
    assert refused.document["error"]["code"] == "type-mismatch"


def test_calendar_and_invalid_files(world):
    """Events go over; a file that is none is named, left alone, and costs nothing else."""
    laptop, desktop = world.start("laptop", "desktop")
    name, (here, there) = world.share(laptop, desktop, kind="calendar")
    (here / "e1.ics").write_text(EVENT, newline="")
    (here / "broken.ics").write_bytes(b"BEGIN:VCALENDAR\r\nnonsense")
    (here / "color").write_text("#ff0000")
    result = laptop.sync(name, "desktop").expect(3).document
    assert result["skipped"] == [{"item": "broken.ics", "reason": "invalid-record"}]
    assert sorted(path.name for path in there.iterdir() if path.is_file()) == ["e1.ics"]
    assert (here / "broken.ics").read_bytes() == b"BEGIN:VCALENDAR\r\nnonsense"


def test_an_emptied_folder_never_means_delete_all(world):
    """The guards hold for records too."""
    laptop, desktop = world.start("laptop", "desktop")
    name, (here, there) = world.share(laptop, desktop, kind="contacts")
    for number in range(40):
        write(here, number)
    laptop.sync(name, "desktop").expect(0)
    for path in here.glob("*.vcf"):
        path.unlink()
    stopped = laptop.sync(name, "desktop").expect(1).document
    assert stopped["error"]["code"] == "emptied"
    assert len(texts(there)) == 40
    laptop.sync(name, "desktop", "--type", "refresh-from-server").expect(0, 1)
    laptop.sync(name, "desktop", "--allow-deletes").expect(0, 3)


def test_the_figures_are_the_callers_whoever_is_syncmls_client(world):
    """Content that travelled, and what either side left alone: the caller's document has it, also when SyncML's roles are turned around."""
    laptop, desktop = world.start("laptop", "desktop")
    for caller, callee in ((laptop, desktop), (desktop, laptop)):
        name, (here, there) = world.share(caller, callee, kind="contacts")
        for number in range(3):
            write(here, number)
        write(there, 9, note="x" * 1000)
        (there / "broken.vcf").write_text("no card")
        (here / "odd.vcf").write_text("no card")
        first = caller.sync(name, callee.device).expect(3).document
        assert first["skipped"] == [{"item": each, "reason": "invalid-record"} for each in ("broken.vcf", "odd.vcf")]
        assert first["state"] == "partial"
        assert first["sent"]["literal_bytes"] == sum(len(card(number)) for number in range(3))
        assert first["received"]["literal_bytes"] == len(card(9, note="x" * 1000))
        (here / "odd.vcf").unlink()
        (there / "broken.vcf").unlink()
        # A deletion that loses to an edit is none.
        (here / "1.vcf").unlink()
        write(there, 1, phone="+1")
        (here / "2.vcf").unlink()
        second = caller.sync(name, callee.device).expect(0).document
        assert (second["sent"]["deleted"], second["received"]["deleted"]) == (1, 0)
        assert second["received"]["added"] == 1
        assert second["conflicts"] == []
        assert texts(here) == texts(there)


def test_bytes_of_a_session_with_a_stock_server_and_of_a_stock_client(world):
    """Both sides count the messages."""
    (port,) = free_ports(1)
    home = world.make("home", syncml_port=port)
    start_all([home])
    (laptop,) = world.start("laptop")
    name, (here, there) = world.share(laptop, home, kind="contacts")
    for number in range(20):
        write(here if number % 2 else there, number)
    home.twsync("syncml", "account", "add", "phone", password="phone-secret").expect(0)
    url = f"http://{LOOPBACK}:{port}/syncml"
    done = laptop.twsync("syncml", "sync", url, name, "--user", "phone", "--json", password="phone-secret").expect(0).document
    (seen,) = [each for each in home.twsync("history", "--json").expect(0).document if each["device"].startswith("syncml:phone/")]
    for result in (done, seen):
        assert (result["sent"]["added"], result["received"]["added"]) == (10, 10)
        assert result["sent"]["literal_bytes"] >= 1000 <= result["received"]["literal_bytes"]
    # But for the messages before the client was let in.
    assert 0 < seen["received"]["wire_bytes"] <= done["sent"]["wire_bytes"] <= seen["received"]["wire_bytes"] + 20_000
    assert 0 < seen["sent"]["wire_bytes"] <= done["received"]["wire_bytes"] <= seen["sent"]["wire_bytes"] + 20_000
