"""Policy `duplicate`: both records go on as two items, on all hosts."""

from __future__ import annotations

from contextlib import suppress

import pytest

from twsync import records
from twsync.reconcile.model import RecordPolicy
from twsync.records import Family

DUPLICATE = RecordPolicy.DUPLICATE
EVENT = """BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VEVENT
UID:e1
SUMMARY:{summary}
DTSTART:20260301T120000Z
RRULE:FREQ=DAILY
END:VEVENT
BEGIN:VEVENT
UID:e1
RECURRENCE-ID:20260303T120000Z
SUMMARY:moved
DTSTART:20260303T150000Z
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")


def edited(tools, client, server) -> None:
    """A contact in step, then changed on both sides."""
    client.write("Ann.vcf", tools.card("Ann", "X-ODD;A=b:;;", "item1.TEL:1", "item1.X-ABLabel:desk"))
    tools.sync(client, server)
    for box in (client, server):
        box.write("Ann.vcf", box.files()["Ann.vcf"].replace("END:", f"NOTE:{box.name}\r\nEND:"))


def uids(box) -> list[str]:
    return sorted(records.uid(box.family, text) for text in box.files().values())


def test_the_copy_has_a_uid_of_its_own_and_nothing_else_is_changed(pair, tools) -> None:
    client, server = pair
    edited(tools, client, server)
    before = server.files()["Ann.vcf"]
    tools.sync(client, server, policy=DUPLICATE)
    assert client.files() == server.files()
    (copy,) = (text for text in server.files().values() if "NOTE:desktop" in text)
    assert len(set(uids(server))) == 2
    assert records.with_uid(server.family, copy, "Ann") == before
    assert tools.sync(client, server, policy=DUPLICATE)[0].sent == 0


def test_both_hosts_list_the_conflict_with_its_copy(pair, tools) -> None:
    client, server = pair
    edited(tools, client, server)
    _, one, other = tools.sync(client, server, policy=DUPLICATE)
    (copy,) = (key.encode() for key, text in server.files().items() if "NOTE:desktop" in text)
    for box, report, own in ((client, one, False), (server, other, True)):
        (listed,) = box.journal.conflicts.list()
        assert (listed.key, listed.copy, listed.resolution, listed.own_lost) == (b"Ann.vcf", copy, "duplicate", own)
        assert [(each.key, each.copy) for each in report.conflicts] == [(b"Ann.vcf", copy)]


def test_a_conflict_that_was_decided_is_not_listed_anew(pair, tools) -> None:
    client, server = pair
    edited(tools, client, server)
    tools.sync(client, server, policy=DUPLICATE)
    (listed,) = client.journal.conflicts.list()
    client.journal.conflicts.resolved(listed.number, "both", 1)
    tools.sync(client, server, tools.SyncType.SLOW, policy=DUPLICATE)
    assert client.journal.conflicts.list() == []


def test_all_entries_of_an_event_get_the_new_uid(make_box, tools) -> None:
    client, server = (make_box(name, Family.CALENDAR) for name in ("laptop", "desktop"))
    client.write("e.ics", EVENT.format(summary="first"))
    tools.sync(client, server)
    for box in (client, server):
        box.write("e.ics", EVENT.format(summary=box.name))
    tools.sync(client, server, policy=DUPLICATE)
    assert client.files() == server.files()
    (copy,) = (text for text in server.files().values() if "SUMMARY:desktop" in text)
    assert copy.count("UID:") == 2
    assert "UID:e1" not in copy


def test_notes_have_no_uid_and_are_two_all_the_same(make_box, tools) -> None:
    client, server = (make_box(name, Family.NOTES) for name in ("laptop", "desktop"))
    client.write("n.txt", "Milk\n")
    tools.sync(client, server)
    for box in (client, server):
        box.write("n.txt", f"{box.name}\n")
    tools.sync(client, server, policy=DUPLICATE)
    assert client.files() == server.files()
    assert sorted(server.files().values()) == ["desktop\n", "laptop\n"]
    assert len(client.journal.conflicts.list()) == len(server.journal.conflicts.list()) == 1


def test_hosts_that_set_the_same_aside_make_one_item(make_box, tools) -> None:
    """Two pairs of hosts decide the same conflict, neither knowing of the other."""
    names = ("one", "two", "three", "four")
    one, two, three, four = boxes = [make_box(name) for name in names]
    one.write("Ann.vcf", tools.card("Ann"))
    for other in (two, three, four):
        tools.sync(one, other)
    one.write("Ann.vcf", tools.card("Ann", "NOTE:here"))
    tools.sync(one, four)
    two.write("Ann.vcf", tools.card("Ann", "NOTE:there"))
    tools.sync(two, three)
    tools.sync(one, two, policy=DUPLICATE)
    tools.sync(four, three, policy=DUPLICATE)
    for _ in range(2):
        for client, server in ((one, two), (two, three), (three, four), (one, four)):
            tools.sync(client, server, policy=DUPLICATE)
    for box in boxes:
        assert box.digests() == one.digests()
        assert len(box.files()) == 2
        assert uids(box) == uids(one)


@pytest.mark.parametrize("when", range(1, 14))
def test_a_break_anywhere_loses_neither_and_makes_no_third(pair, tools, when) -> None:
    client, server = pair
    edited(tools, client, server)
    with suppress(tools.Stopped):
        tools.sync(client, server, policy=DUPLICATE, between=tools.stops_at(when), size=1)
    client.restart()
    server.restart()
    for _ in range(2):
        tools.sync(client, server, policy=DUPLICATE)
    assert client.files() == server.files()
    assert sorted(text[text.index("NOTE:") :].split("\r\n")[0] for text in client.files().values()) == ["NOTE:desktop", "NOTE:laptop"]
    assert len(set(uids(client))) == 2
    assert len(client.journal.conflicts.list()) == len(server.journal.conflicts.list()) == 1


@pytest.mark.parametrize("when", range(1, 30))
def test_the_deciding_host_may_die_at_any_step(pair, tools, when) -> None:
    client, server = pair
    edited(tools, client, server)
    one = client.open(server.peer(), tools.Side.CLIENT, policy=DUPLICATE)
    other = server.open(client.peer(), tools.Side.SERVER, tools.stops_at(when), policy=DUPLICATE)
    with suppress(tools.Stopped):
        tools.Sync(one, other).run()
    one._session.gate.close()
    client.restart()
    server.restart()
    text = "".join(server.files().values())
    assert "NOTE:desktop" in text, "what loses stands before anything takes its place"
    for _ in range(2):
        tools.sync(client, server, policy=DUPLICATE)
    assert client.files() == server.files()
    assert len(client.files()) == 2


def test_two_copies_of_one_name_in_one_message(pair, tools, monkeypatch) -> None:
    """The names of two conflicts' copies would be the same: one is made, then the other is decided."""
    client, server = pair
    for key in ("Ann.vcf", "Ann (conflict 2020-01-01 x).vcf"):
        client.write(key, tools.card(key.removesuffix(".vcf")))
    tools.sync(client, server)
    for key in client.files():
        for box in pair:
            box.write(key, box.files()[key].replace("END:", f"NOTE:{box.name}\r\nEND:"))
    tools.sync(client, server, policy=DUPLICATE)
    assert client.files() == server.files()
    assert len(client.files()) == 4
