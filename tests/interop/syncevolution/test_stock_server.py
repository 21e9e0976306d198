"""A twsync host as the client of SyncEvolution's server: all sync types, both encodings, two versions, large objects, edits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from http_between import Between
from stock_records import MEETING, card, edit, fill, of, people, photo, records, values, write

from twsync.syncml import codec
from twsync.syncml.document import Encoding

PASSWORD = "interop-secret"


@dataclass
class Pair:
    """A collection of the host, and its counterpart."""

    stage: object
    url: str
    here: Path
    there: Path

    def run(self, command="sync", *options, password=PASSWORD):
        """``twsync syncml COMMAND``."""
        pair = f"{self.here.name}={self.there.name}"
        words = ("syncml", command, self.url, pair, "--user", "phone", "--json", *options)
        return self.stage.host.twsync(*words, password=password, timeout=120.0)

    def sync(self, *options, command="sync"):
        """A session that goes well; how many were added, changed and deleted there, and the same here."""
        done = self.run(command, *options).expect(0).document
        assert done["state"] == "done", done
        assert not done["conflicts"] and not done["skipped"], done
        return tuple(done[way][what] for way in ("sent", "received") for what in ("added", "changed", "deleted"))


@pytest.fixture
def pair(stage, stock_server, tmp_path):
    """``pair(kind, media type)``: a collection and its counterpart."""

    def make(kind="contacts", media="text/vcard"):
        here = stage.collection(kind)
        there = tmp_path / f"server-{here.name}"
        stock_server.add(stage.host.name, there.name, there, media, there.name)
        return Pair(stage, stock_server.url, here, there)

    return make


@pytest.mark.parametrize(("version", "encoding"), [("1.2", Encoding.WBXML), ("1.1", Encoding.XML)], ids=["1.2-wbxml", "1.1-xml"])
def test_two_way_with_edits_on_both_sides(stock_server, pair, version, encoding):
    """First contact, then changes of each kind on both sides, then nothing to do; all of it in the version and the encoding asked for."""
    both = pair()
    how = ["--version", version, "--exactly", *(["--xml"] if encoding is Encoding.XML else [])]
    fill(both.there, range(4))
    fill(both.here, range(4, 12), ".vcf")
    with Between(stock_server.port) as between:
        both.url = stock_server.url.replace(str(stock_server.port), str(between.port))
        assert both.sync(*how) == (8, 0, 0, 4, 0, 0)
        assert values(both.there, "FN:") == values(both.here, "FN:") == people(range(12))

        edit(of(both.there, "FN:Person 0"), "note 0", "changed there")
        of(both.there, "FN:Person 1").unlink()
        write(both.there / "new", card(20))
        edit(of(both.here, "FN:Person 8"), "note 8", "changed here")
        of(both.here, "FN:Person 9").unlink()
        write(both.here / "new.vcf", card(21))
        assert both.sync(*how) == (1, 1, 1, 1, 1, 1)
        assert values(both.there, "FN:") == values(both.here, "FN:") == people({*range(12), 20, 21} - {1, 9})
        assert values(both.there, "NOTE:") == values(both.here, "NOTE:")

        assert both.sync(*how) == (0,) * 6
        passed = [codec.decode(body) for each in between.exchanges for body in (each.request, each.reply)]
    assert {found.encoding for found in passed} == {encoding}
    assert {found.message.header.protocol for found in passed} == {version}


def test_one_way_and_refresh(pair):
    """The four types that go one way only, and the slow one; as options, and as the commands pull and push."""
    both = pair()
    fill(both.here, range(5), ".vcf")
    both.sync("--type", "slow")
    assert both.sync("--type", "slow")[3:] == (0, 0, 0)
    # What both have already is not there twice.
    assert len(records(both.here)) == len(records(both.there)) == 5

    write(both.there / "50", card(50))
    write(both.here / "60.vcf", card(60))
    both.sync(command="push")
    assert "Person 60" in values(both.there, "FN:")
    assert "Person 50" not in values(both.here, "FN:")
    write(both.here / "70.vcf", card(70))
    both.sync(command="pull")
    assert "Person 50" in values(both.here, "FN:")
    assert "Person 70" not in values(both.there, "FN:")

    both.sync("--type", "refresh-from-client")
    assert values(both.here, "FN:") == values(both.there, "FN:") == people([*range(5), 50, 60, 70])
    write(both.here / "80.vcf", card(80))
    both.sync("--type", "refresh-from-server")
    assert values(both.here, "FN:") == values(both.there, "FN:") == people([*range(5), 50, 60, 70])


def test_photos_above_the_message_size(pair):
    """In both directions, in pieces."""
    both = pair()
    write(both.here / "1.vcf", card(1).replace("END:VCARD", photo(200_000, 1) + "END:VCARD"))
    write(both.there / "2", card(2).replace("END:VCARD", photo(200_000, 2) + "END:VCARD"))
    assert both.sync() == (1, 0, 0, 1, 0, 0)
    pictures = [sorted(line.rpartition(":")[2] for line in values(folder, "PHOTO")) for folder in (both.here, both.there)]
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) == 2


def test_a_calendar(pair):
    """An event with a rule, an exception, a zone and an alarm, and an edit of the server's side."""
    both = pair("calendar", "text/calendar")
    write(both.here / "meeting.ics", MEETING)
    assert both.sync() == (1, 0, 0, 0, 0, 0)
    edit(of(both.there, "SUMMARY:Weekly meeting"), "Room 7", "Room 8")
    assert both.sync() == (0, 0, 0, 0, 1, 0)
    (stored,) = records(both.here)
    text = stored.read_text()
    for part in ("LOCATION:Room 8", "RRULE:FREQ=WEEKLY", "DTSTART;TZID=Europe/Berlin:20260302T090000", "20260406T090000", "BEGIN:VALARM"):
        assert part in text, text


def test_wrong_password(pair):
    """Nothing goes over, and the sentence says why."""
    both = pair()
    fill(both.here, [1], ".vcf")
    done = both.run("sync", password="guessed")
    assert done.code == 1
    assert "password" in done.stderr or "refused" in done.stderr
    assert records(both.there) == []
