"""Taking sessions back, and what is kept for it."""

from __future__ import annotations

import pytest

from twsync import limits
from twsync.errors import StoreError, UserError
from twsync.reconcile.model import SyncType
from twsync.store.recordrestore import restorable, restore


@pytest.fixture
def edited(pair, tools):
    """Client and server in step, then a session that added, changed and deleted on the server; the files before it, and its id."""
    client, server = pair
    for name in ("Ann", "Bob", "Cid"):
        client.write(f"{name}.vcf", tools.card(name))
    tools.sync(client, server)
    before = server.files()
    client.write("Ann.vcf", tools.card("Ann", "TEL:1"))
    client.delete("Bob.vcf")
    client.write("Dan.vcf", tools.card("Dan"))
    tools.sync(client, server)
    return before, f"desktop-{server.sessions}"


def test_a_session_is_taken_back_and_that_travels(pair, edited, tools) -> None:
    client, server = pair
    before, session = edited
    after = server.files()
    [done] = restore(server.host, session)
    assert (done.collection, done.added, done.changed, done.deleted, done.skipped) == ("people", 1, 1, 1, [])
    assert server.files() == before
    assert {"Dan", "Ann"} == {text.split("FN:")[1].split("\r")[0] for text in server.trash() if text in after.values()}
    tools.sync(client, server)
    assert client.files() == before
    assert server.files() == before


def test_a_restore_is_taken_back_itself(pair, edited) -> None:
    _, server = pair
    _, session = edited
    after = server.files()
    [done] = restore(server.host, session)
    [undone] = restore(server.host, done.session)
    assert (undone.added, undone.changed, undone.deleted) == (1, 1, 1)
    assert server.files() == after


def test_local_edits_since_are_part_of_what_is_kept(pair, edited, tools) -> None:
    _, server = pair
    before, session = edited
    server.write("Cid.vcf", tools.card("Cid", "NOTE:later"))
    server.write("Eve.vcf", tools.card("Eve"))
    [done] = restore(server.host, session)
    assert server.files() == before
    restore(server.host, done.session)
    assert "NOTE:later" in server.files()["Cid.vcf"]
    assert "Eve.vcf" in server.files()


def test_an_older_session_takes_the_later_ones_back_too(pair, edited, tools) -> None:
    client, server = pair
    before, session = edited
    client.write("Cid.vcf", tools.card("Cid", "TEL:9"))
    tools.sync(client, server)
    restore(server.host, session)
    assert server.files() == before


def test_a_session_without_changes_or_unknown_is_refused(pair, edited, tools) -> None:
    client, server = pair
    tools.sync(client, server)
    for session in (f"desktop-{server.sessions}", "nonsense"):
        with pytest.raises(UserError) as caught:
            restore(server.host, session)
        assert caught.value.code == "not-found"
        assert session in str(caught.value)


def test_not_while_a_session_is_under_way(pair, edited) -> None:
    _, server = pair
    _, session = edited
    release = server.host.claim("people")
    with pytest.raises(StoreError) as caught:
        restore(server.host, session)
    assert caught.value.code == "busy"
    release()
    assert restorable(server.journal, session) == ["people"]


def test_a_session_that_lets_go_is_not_waited_for(pair, edited) -> None:
    _, server = pair
    _, session = edited
    release = server.host.claim("people")

    class Guest:
        def __init__(self, holds):
            self.holds = holds

        def gives_way(self, name):
            return name == "people" and not self.holds

        def give_way(self, name):
            if self.gives_way(name):
                release()
            return not self.holds

    server.host.guests = Guest(holds=True)
    assert server.host.busy("people")
    with pytest.raises(StoreError):
        restore(server.host, session)
    server.host.guests = Guest(holds=False)
    assert not server.host.busy("people")
    restore(server.host, session)


def test_a_restore_that_dies_at_any_step_is_finished_by_the_next(pair, edited, tools) -> None:
    _, server = pair
    before, session = edited
    number = 0
    stopped = True
    while stopped:
        number += 1
        stopped = False
        try:
            restore(server.host, session, step=tools.stops_at(number))
        except tools.Stopped:
            stopped = True
            server.host.claim("people")()
            server.restart()
        if not stopped:
            break
        restore(server.host, session)
        assert server.files() == before
        # And forward again, by the session that the first attempt began.
        restorable_now = [one for (one,) in server.journal._database.rows("SELECT session FROM record_session ORDER BY seq, began_ns")]
        restore(server.host, restorable_now[-1])
    assert number > 5
    assert server.files() == before


def test_what_nobody_needs_is_dropped(pair, tools, monkeypatch) -> None:
    monkeypatch.setattr(limits, "RECORD_SESSIONS", 3)
    client, server = pair
    client.write("Ann.vcf", tools.card("Ann"))
    tools.sync(client, server)
    for number in range(12):
        client.write("Ann.vcf", tools.card("Ann", f"TEL:{number}"))
        client.write(f"P{number}.vcf", tools.card(f"P{number}"))
        if number > 1:
            client.delete(f"P{number - 2}.vcf")
        tools.sync(client, server)
    for box in pair:
        count = {
            table: box.journal._database.row(f"SELECT count(*) FROM {table}")[0]
            for table in ("record_session", "record_past", "record_text")
        }
        assert count["record_session"] <= 3
        assert count["record_past"] <= 4 * 3
        assert count["record_text"] <= len(box.files()) + count["record_past"] + 2
        assert box.journal._database.row("SELECT count(*) FROM record_text WHERE loose = 1")[0] == 0
        assert box.journal._database.row(
            "SELECT count(*) FROM item i LEFT JOIN record_text t ON t.content = i.content WHERE i.kind = 1 AND t.content IS NULL"
        ) == (0,)


def test_sessions_too_old_are_dropped(pair, edited, tools, monkeypatch) -> None:
    client, server = pair
    _, session = edited
    monkeypatch.setattr(limits, "RECORD_HISTORY", 1.0)
    client.write("Ann.vcf", tools.card("Ann", "TEL:7"))
    tools.sync(client, server, SyncType.TWO_WAY)
    with pytest.raises(UserError):
        restore(server.host, session)


def test_a_forgotten_collection_leaves_nothing(pair, edited) -> None:
    _, server = pair
    server.journal.forget("people")
    for table in ("record_session", "record_past", "record_text", "syncml_partner", "syncml_map", "syncml_owed", "item"):
        assert server.journal._database.row(f"SELECT count(*) FROM {table}")[0] == 0
