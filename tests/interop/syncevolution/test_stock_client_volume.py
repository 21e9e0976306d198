"""SyncEvolution's client against a twsync host: many records, large ones, and the formats of old phones."""

from __future__ import annotations

import pytest
from stock_records import MEETING, card, edit, fill, people, photo, records, values, write


def with_photo(number, size):
    """A contact with a picture."""
    return card(number).replace("END:VCARD", photo(size, number) + "END:VCARD")


def photos(folder):
    """All pictures."""
    return [line.rpartition(":")[2] for line in values(folder, "PHOTO")]


def test_several_thousand_contacts(phone):
    """Many messages each way: first from the client, then back to it."""
    fill(phone.there, range(3000))
    report = phone.client.sync(mode="slow")
    assert report.code == 0, report.text
    assert report.changes() == (0, 0, 0, 0, 3000, 0, 0, 0)
    assert values(phone.here, "FN:") == people(range(3000))
    for path in phone.there.iterdir():
        path.unlink()
    report = phone.client.sync(mode="refresh-from-server")
    assert report.code == 0, report.text
    assert values(phone.there, "FN:") == people(range(3000))


@pytest.mark.parametrize("wbxml", ["1", "0"], ids=["wbxml", "xml"])
def test_photos_above_the_message_size(phone, wbxml):
    """They go in pieces, in both directions, and come out the same; in XML too, where readers take the CR of each line away."""
    how = ("maxMsgSize=20000", f"enableWBXML={wbxml}")
    for number in range(3):
        write(phone.there / f"{number}", with_photo(number, 100_000))
    write(phone.here / "large.vcf", with_photo(9, 200_000))
    report = phone.client.sync(mode="slow", run=how)
    assert report.code == 0, report.text
    assert report.changes() == (1, 0, 0, 0, 3, 0, 0, 0)
    assert len(photos(phone.here)) == 4
    assert sorted(photos(phone.here)) == sorted(photos(phone.there))
    edit(phone.there / "0", "note 0", "changed")
    report = phone.client.sync(run=how)
    assert report.code == 0, report.text
    assert report.changes() == (0, 0, 0, 0, 0, 1, 0, 0)
    assert sorted(photos(phone.here)) == sorted(photos(phone.there))


VCARD_2_1 = (
    "BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=B6rg;;;\r\n"
    "FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:J=C3=B6rg M=C3=BCller\r\nTEL;CELL:+49170\r\nTEL;WORK;VOICE:+4930\r\n"
    "ADR;HOME:;;Weg 1;Berlin;;10115;Germany\r\n"
    "NOTE;ENCODING=QUOTED-PRINTABLE:first line=0D=0Asecond line\r\nEND:VCARD\r\n"
)


def test_vcard_2_1(stage, stock, tmp_path):
    """A client that keeps vCard 2.1 and sends nothing else; the host keeps 3.0."""
    here, there = stage.collection("contacts"), tmp_path / "cards"
    client = stock("phone", stage.url)
    client.add("addressbook", there, "text/x-vcard", here.name)
    write(there / "1", VCARD_2_1)
    write(here / "other.vcf", card(7, name="Åse Ødegård", note="one\\ntwo"))
    report = client.sync(mode="slow")
    assert report.code == 0, report.text
    assert values(here, "VERSION:") == ["3.0", "3.0"]
    assert values(here, "FN:") == ["Jörg Müller", "Åse Ødegård"]
    assert "first line\\nsecond line" in values(here, "NOTE:")
    assert "+4930" in [line.rpartition(":")[2] for line in values(here, "TEL")]
    assert values(there, "VERSION:") == ["2.1", "2.1"]
    edit(there / "1", "+49170", "+49171")
    assert client.sync().code == 0
    assert "+49171" in [line.rpartition(":")[2] for line in values(here, "TEL")]
    assert values(here, "FN:") == ["Jörg Müller", "Åse Ødegård"]


def test_vcalendar_1_0(stage, stock, tmp_path):
    """A client that keeps vCalendar 1.0 gets events of the host, and its edits leave the rule, the zone and the alarm as they are."""
    here, there = stage.collection("calendar"), tmp_path / "events"
    client = stock("phone", stage.url)
    client.add("calendar", there, "text/x-vcalendar", here.name)
    write(here / "meeting.ics", MEETING)
    report = client.sync(mode="slow")
    assert report.code == 0, report.text
    (got,) = records(there)
    text = got.read_text()
    assert "VERSION:1.0" in text, text
    assert "RRULE:W1 MO" in text, text
    assert "20260302T" in text, text
    edit(got, "Room 7", "Room 9")
    report = client.sync()
    assert report.code == 0, report.text
    (stored,) = records(here)
    assert values(here, "LOCATION:") == ["Room 9"]
    kept = stored.read_text()
    for part in ("RRULE:FREQ=WEEKLY", "DTSTART;TZID=Europe/Berlin:20260302T090000", "20260406T090000", "BEGIN:VALARM"):
        assert part in kept, kept
