"""Other programs' readers understand what is written: icalendar and vobject, each with its own idea of the formats."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import icalendar
import vobject
from hypothesis import given, settings

from twsync.records import Family, forms, to_wire
from twsync.records.component import parse
from twsync.records.values import fields, items, unescape
from twsync.records.vcalendar_writing import master_of

_spec = importlib.util.spec_from_file_location("record_strategies", Path(__file__).parent / "strategies.py")
assert _spec and _spec.loader
make = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make)

FEW = settings(max_examples=30, deadline=None)


@FEW
@given(make.CARDS)
def test_vobject_reads_contacts(text: str) -> None:
    card = parse(text)
    read = vobject.readOne(to_wire(Family.CONTACTS, text, forms(Family.CONTACTS)[0]))
    assert read.fn.value == unescape(card.value("FN"))
    assert sorted(tel.value for tel in read.contents.get("tel", [])) == sorted(prop.value for prop in card.all("TEL"))
    if card.get("NOTE"):
        assert read.note.value.replace("\r\n", "\n") == unescape(card.value("NOTE"))
    name = [*fields(card.value("N")), ""]
    assert [read.n.value.family, read.n.value.given] == name[:2]


@FEW
@given(make.CARDS)
def test_vobject_reads_contacts_of_old(text: str) -> None:
    """As far as it knows 2.1: the name, which is quoted-printable when it has to be."""
    card = parse(text)
    read = vobject.readOne(to_wire(Family.CONTACTS, text, forms(Family.CONTACTS)[1]), allowQP=True)
    assert len(read.contents.get("tel", [])) == len(card.all("TEL"))
    assert len(read.contents.get("email", [])) == len(card.all("EMAIL"))


@FEW
@given(make.EVENTS)
def test_icalendar_reads_events(text: str) -> None:
    entry = master_of(parse(text))
    [read] = icalendar.Calendar.from_ical(to_wire(Family.CALENDAR, text, forms(Family.CALENDAR)[0])).walk("VEVENT")
    assert str(read["SUMMARY"]) == unescape(entry.value("SUMMARY"))
    for name in ("LOCATION", "DESCRIPTION"):
        assert str(read.get(name, "")) == unescape(entry.value(name))
    if entry.get("CATEGORIES"):
        assert [str(item) for item in read["CATEGORIES"].cats] == items(entry.value("CATEGORIES"))
    assert len(read.walk("VALARM")) == len(entry.components)
