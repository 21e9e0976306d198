"""SyncEvolution's client against a twsync host: what comes over, in every sync type, encoding and version."""

from __future__ import annotations

import pytest
from stock_records import MEETING, TASK, card, edit, fill, of, people, records, values, write

from twsync.syncml import codec
from twsync.syncml.document import Encoding


@pytest.mark.parametrize("wbxml", ["1", "0"], ids=["wbxml", "xml"])
@pytest.mark.parametrize("version", ["1.2", "1.1"])
def test_two_way_with_edits_on_both_sides(stage, between, phone, version, wbxml):
    """First contact, then changes of each kind on both sides, then nothing to do; all of it in the version and the encoding asked for."""
    phone.client.url = stage.address(between.port)
    how = (f"enableWBXML={wbxml}", f"SyncMLVersion={version}")
    fill(phone.there, range(8))
    fill(phone.here, range(8, 12), ".vcf")
    first = phone.client.sync(mode="slow", run=how)
    assert first.code == 0, first.text
    assert values(phone.there, "FN:") == values(phone.here, "FN:") == people(range(12))
    assert first.changes() == (4, 0, 0, 0, 8, 0, 0, 0)

    write(phone.there / "0", card(0, phone="+1"))
    (phone.there / "1").unlink()
    write(phone.there / "new", card(20))
    write(phone.here / "8.vcf", card(8, phone="+2"))
    (phone.here / "9.vcf").unlink()
    write(phone.here / "new.vcf", card(21))
    second = phone.client.sync(run=how)
    assert second.code == 0, second.text
    assert second.changes() == (1, 1, 1, 0, 1, 1, 1, 0)
    assert values(phone.there, "FN:") == values(phone.here, "FN:") == people({*range(12), 20, 21} - {1, 9})
    assert values(phone.there, "TEL;TYPE=CELL:") == values(phone.here, "TEL;TYPE=CELL:")

    third = phone.client.sync(run=how)
    assert third.code == 0, third.text
    assert third.changes() == (0,) * 8

    passed = [codec.decode(body) for each in between.exchanges for body in (each.request, each.reply)]
    assert {found.encoding for found in passed} == {Encoding.WBXML if wbxml == "1" else Encoding.XML}
    assert {found.message.header.protocol for found in passed} == {version}


def test_slow_sync_twice_is_the_same_as_once(phone):
    """What is already the same makes no duplicates, and changes nothing on either side."""
    fill(phone.there, range(10))
    assert phone.client.sync(mode="slow").code == 0
    before = [(path.name, path.read_bytes()) for folder in (phone.here, phone.there) for path in records(folder)]
    again = phone.client.sync(mode="slow")
    assert again.code == 0, again.text
    assert [(path.name, path.read_bytes()) for folder in (phone.here, phone.there) for path in records(folder)] == before
    # SyncEvolution counts what it sent as added there, whatever the status says.
    assert again.changes()[:4] == (0,) * 4


def test_refresh_and_one_way(phone):
    """The four types that go one way only."""
    fill(phone.there, range(5))
    assert phone.client.sync(mode="slow").code == 0
    fill(phone.here, [50], ".vcf")

    write(phone.there / "0", card(0, note="changed"))
    one = phone.client.sync(mode="one-way-from-client")
    assert one.code == 0, one.text
    assert "changed" in values(phone.here, "NOTE:")
    assert "Person 50" not in values(phone.there, "FN:")

    other = phone.client.sync(mode="one-way-from-server")
    assert other.code == 0, other.text
    assert "Person 50" in values(phone.there, "FN:")

    fill(phone.there, [60])
    assert phone.client.sync(mode="refresh-from-server").code == 0
    assert values(phone.there, "FN:") == values(phone.here, "FN:") == people([*range(5), 50])

    of(phone.there, "FN:Person 50").unlink()
    refreshed = phone.client.sync(mode="refresh-from-client")
    assert refreshed.code == 0, refreshed.text
    assert values(phone.here, "FN:") == values(phone.there, "FN:") == people(range(5))


def test_two_people_edit_one_contact(phone):
    """Both edits survive, nobody is asked."""
    fill(phone.there, [1])
    assert phone.client.sync(mode="slow").code == 0
    (stored,) = records(phone.here)
    write(phone.there / "1", card(1, phone="+4911"))
    edit(stored, "note 1", "edited here")
    report = phone.client.sync()
    assert report.code == 0, report.text
    for folder in (phone.there, phone.here):
        assert values(folder, "TEL;TYPE=CELL:") == ["+4911"]
        assert values(folder, "NOTE:") == ["edited here"]


def test_the_edit_lives_when_the_other_side_deletes(phone):
    """In both directions."""
    fill(phone.there, [1, 2])
    assert phone.client.sync(mode="slow").code == 0
    (phone.there / "1").unlink()
    edit(of(phone.here, "FN:Person 1"), "note 1", "still wanted")
    write(phone.there / "2", card(2, note="also wanted"))
    of(phone.here, "FN:Person 2").unlink()
    report = phone.client.sync()
    assert report.code == 0, report.text
    assert values(phone.there, "NOTE:") == values(phone.here, "NOTE:") == ["also wanted", "still wanted"]


def test_calendar_with_recurrence_zone_and_alarm(stage, stock, tmp_path):
    """An event keeps its rule, exception, zone and alarm, there and back; edits of the two sides are merged."""
    here, there = stage.collection("calendar"), tmp_path / "events"
    client = stock("phone", stage.url)
    client.add("calendar", there, "text/calendar", here.name)
    write(there / "1", MEETING)
    assert client.sync(mode="slow").code == 0
    (stored,) = records(here)
    text = stored.read_text()
    for part in ("RRULE:FREQ=WEEKLY", "20260406T090000", "BEGIN:VALARM", "TRIGGER", "20260302T090000", "Europe/Berlin"):
        assert part in text, text
    # SyncEvolution says how often by saying until when.
    assert "COUNT=20" in text or "UNTIL=20260713T" in text, text
    edit(stored, "Room 7", "Room 8")
    edit(there / "1", "Weekly meeting", "Weekly meeting (moved)")
    report = client.sync()
    assert report.code == 0, report.text
    for folder in (there, here):
        assert values(folder, "SUMMARY:") == ["Weekly meeting (moved)"]
        assert values(folder, "LOCATION:") == ["Room 8"]
        assert len(values(folder, "RRULE:FREQ=WEEKLY")) == 1
        assert values(folder, "EXDATE;TZID=Europe/Berlin:") == ["20260406T090000"]


def test_tasks_and_notes(stage, stock, tmp_path):
    """The other types of a client, several datastores in one session."""
    tasks, notes = stage.collection("tasks"), stage.collection("notes")
    client = stock("phone", stage.url)
    todo, memo = tmp_path / "todo", tmp_path / "memo"
    client.add("todo", todo, "text/calendar", tasks.name)
    client.add("memo", memo, "text/plain", notes.name)
    write(todo / "1", TASK)
    write(memo / "1", "Shopping\nbread\nbutter\n")
    write(notes / "own.txt", "Ideas\nwrite a poem, größer\n")
    report = client.sync(mode="slow")
    assert report.code == 0, report.text
    assert values(tasks, "SUMMARY:") == ["Buy milk"]
    assert values(tasks, "DUE") == values(todo, "DUE") == [":20260401T120000Z"]
    assert sorted(path.read_text().splitlines()[0] for path in records(memo)) == ["Ideas", "Shopping"]
    assert values(notes, "bread") == [""]
    assert values(memo, "write a poem, ") == ["größer"]
