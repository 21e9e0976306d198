"""What holds for every record: nothing is lost on the way out and back, and merging obeys its laws."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twsync.errors import FormatError
from twsync.records import (
    Capabilities,
    Family,
    ParameterCapability,
    PropertyCapability,
    equal,
    fingerprint,
    forms,
    from_wire,
    merge,
    overlay,
    properties,
    to_wire,
)
from twsync.records.component import parse, write
from twsync.records.contentline import Parameter, Property, fold, parse_line, unfold, write_line
from twsync.records.identity import content
from twsync.records.values import escape, legacy_escape, legacy_unescape, split, unescape

_spec = importlib.util.spec_from_file_location("record_strategies", Path(__file__).parent / "strategies.py")
assert _spec and _spec.loader
make = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make)

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
MANY = settings(FEW, max_examples=70)
RECORDS = st.one_of(
    st.tuples(st.just(Family.CONTACTS), make.CARDS),
    st.tuples(st.just(Family.CALENDAR), make.EVENTS),
    st.tuples(st.just(Family.NOTES), make.NOTES),
)


def three(family: Family) -> st.SearchStrategy[tuple[Family, str, str, str]]:
    one = {Family.CONTACTS: make.CARDS, Family.CALENDAR: make.EVENTS, Family.NOTES: make.NOTES}[family]
    return st.tuples(st.just(family), one, one, one)


TRIPLES = st.one_of(three(Family.CONTACTS), three(Family.CALENDAR), three(Family.NOTES))
VALUES = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=200)


@MANY
@given(VALUES, st.lists(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20), max_size=3))
def test_a_line_survives_writing_and_reading(value: str, params: list[str]) -> None:
    # A blank at either end of a value only survives in quotes, and there it does.
    prop = Property("X-A", value, (Parameter("P", tuple(params)),) if params else (), "g.1")
    physical = fold(write_line(prop))
    assert all(len(line.encode()) <= 75 for line in physical.split("\r\n"))
    [logical] = unfold(physical)
    read = parse_line(logical)
    assert (read.value, read.group) == (value, "g.1")
    assert [[v.strip() for v in p.values] for p in read.params] == ([[v.strip() for v in params]] if params else [])


@MANY
@given(make.WORDS, st.booleans())
def test_escapes_are_undone(text: str, structured: bool) -> None:
    assert unescape(escape(text)) == text
    assert split(escape(text), ",") == [escape(text)]
    assert legacy_unescape(legacy_escape(text, structured=True)) == text
    if structured:
        assert split(legacy_escape(text, structured=True) + ";x", ";")[-1] == "x"


@MANY
@given(RECORDS)
def test_a_component_survives(record: tuple[Family, str]) -> None:
    family, text = record
    if family is not Family.NOTES:
        assert parse(write(parse(text))) == parse(text)


@MANY
@given(RECORDS, st.booleans(), st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata"]))
def test_out_and_back_is_the_same_record(record: tuple[Family, str], utc: bool, zone: str) -> None:
    """In every form; in the zone of the event, for another zone's device repeats by its own clock."""
    family, text = record
    for form in forms(family):
        used = "Europe/Berlin" if "RRULE" in text or not utc else zone
        back = from_wire(family, form.type, to_wire(family, text, form, utc=utc, zone=used), zone=used)
        assert set(content(family, text)) == set(content(family, back))
        if family is not Family.NOTES:
            assert fingerprint(family, back) == fingerprint(family, text)


@FEW
@given(RECORDS, st.booleans(), st.sampled_from(["Europe/Berlin", "America/New_York"]))
def test_what_a_device_did_not_touch_stays(record: tuple[Family, str], utc: bool, zone: str) -> None:
    """Whatever the form and the clock did to it."""
    family, text = record
    for form in forms(family):
        back = from_wire(family, form.type, to_wire(family, text, form, utc=utc, zone=zone), zone=zone)
        assert equal(family, overlay(family, text, back, form=form, utc=utc, zone=zone), text)


def known_names(family: Family) -> st.SearchStrategy[Capabilities]:
    """What some device stores: some of the names that there are, some of the types, little room."""
    names = sorted({prop.name for form in forms(family) for prop in properties(family, form)} - {"BEGIN", "END", "VERSION"})
    types = st.lists(st.sampled_from(["HOME", "WORK", "CELL", "PREF"]), max_size=3).map(
        lambda values: (ParameterCapability("TYPE", tuple(values)),) if values else ()
    )
    one = st.builds(
        PropertyCapability,
        name=st.sampled_from(names or ["BODY"]),
        params=types,
        max_size=st.sampled_from([None, None, 5, 40]),
        max_occur=st.sampled_from([None, 1]),
        no_truncate=st.booleans(),
    )
    return st.lists(one, max_size=8).map(Capabilities)


@MANY
@given(st.sampled_from([Family.CONTACTS, Family.CALENDAR]).flatmap(lambda f: st.tuples(three(f), known_names(f))), st.booleans())
def test_nothing_is_lost_on_a_device_of_few_words(drawn: tuple[tuple[Family, str, str, str], Capabilities], utc: bool) -> None:
    """It sends back all that it stores, with one note changed: the rest is as it was."""
    (family, text, _, _), known = drawn
    for form in forms(family):
        sent = to_wire(family, text, form, capabilities=known, utc=utc, zone="Europe/Berlin")
        back = from_wire(family, form.type, sent, zone="Europe/Berlin")
        whole = overlay(family, text, back, form=form, capabilities=known, utc=utc, zone="Europe/Berlin")
        assert equal(family, whole, text)
        added = back.replace("END:VCARD", "X-NEW:1\r\nEND:VCARD").replace("END:VEVENT", "X-NEW:1\r\nEND:VEVENT")
        whole = overlay(family, text, added, form=form, capabilities=known, utc=utc, zone="Europe/Berlin")
        assert "X-NEW:1" in unfold(whole)
        assert equal(family, whole.replace("X-NEW:1\r\n", ""), text)


@MANY
@given(TRIPLES, st.sampled_from(["ours", "theirs", "both"]))
def test_one_side_only(records: tuple[Family, str, str, str], prefer: str) -> None:
    family, base, other, _ = records
    assert merge(family, base, base, other, prefer).text == other
    assert merge(family, base, other, base, prefer).text == other
    assert merge(family, base, other, other, prefer).text == other


@MANY
@given(TRIPLES)
def test_the_sides_are_equal(records: tuple[Family, str, str, str]) -> None:
    family, base, ours, theirs = records
    for start in (base, None):
        one, other = merge(family, start, ours, theirs), merge(family, start, theirs, ours)
        assert equal(family, one.text, other.text)
        assert {found.property for found in one.conflicts} == {found.property for found in other.conflicts}


@MANY
@given(make.card_lines(), make.card_lines(), make.card_lines(), st.sampled_from(["ours", "theirs", "both"]))
def test_no_addition_is_lost(base: list[str], ours: list[str], theirs: list[str], prefer: str) -> None:
    """Numbers, addresses and categories that one side added are there."""
    merged = merge(Family.CONTACTS, make.card(base), make.card(ours), make.card(theirs), prefer).text
    card = parse(merged)

    def values(lines: list[str], name: str) -> set[str]:
        return {prop.value for prop in parse(make.card(lines)).all(name)}

    for name in ("TEL", "EMAIL"):
        there = {prop.value for prop in card.all(name)}
        added = (values(ours, name) | values(theirs, name)) - values(base, name)
        assert added <= there
        assert not (values(base, name) - values(ours, name) - values(theirs, name)) & there


@FEW
@given(st.text(max_size=300), st.sampled_from(list(Family)))
def test_rubbish_is_refused_politely(text: str, family: Family) -> None:
    for wrapped in (
        text,
        f"BEGIN:VCARD\n{text}\nEND:VCARD",
        f"BEGIN:VCALENDAR\nVERSION:1.0\nBEGIN:VEVENT\n{text}\nEND:VEVENT\nEND:VCALENDAR",
    ):
        _only_format_errors(family, wrapped)


_NAMES = [
    "DTSTART",
    "DTEND",
    "RRULE",
    "EXDATE",
    "AALARM",
    "DALARM",
    "TRIGGER",
    "ATTENDEE",
    "GEO",
    "N",
    "ADR",
    "TEL",
    "PHOTO;ENCODING=BASE64",
    "NOTE;ENCODING=QUOTED-PRINTABLE",
]


@MANY
@given(
    st.lists(st.tuples(st.sampled_from([*_NAMES, "DURATION", "BEGIN", "END", "DUE", "TZ", "DAYLIGHT"]), st.text(max_size=30)), max_size=6),
    st.sampled_from(["1.0", "2.0", "2.1", "3.0", "4.0"]),
    st.sampled_from(list(Family)),
)
def test_broken_values_are_refused_politely(lines: list[tuple[str, str]], version: str, family: Family) -> None:
    inner = "\r\n".join(f"{name}:{value}" for name, value in lines)
    _only_format_errors(family, f"BEGIN:VCARD\r\nVERSION:{version}\r\n{inner}\r\nEND:VCARD\r\n")
    for kind in ("VEVENT", "VTODO"):
        _only_format_errors(family, f"BEGIN:VCALENDAR\r\nVERSION:{version}\r\nBEGIN:{kind}\r\n{inner}\r\nEND:{kind}\r\nEND:VCALENDAR\r\n")


def _only_format_errors(family: Family, text: str) -> None:
    """Everything that reads may refuse with a FormatError; what was accepted must go all the way."""
    try:
        stored = from_wire(family, "", text, zone="Europe/Berlin")
    except FormatError:
        return
    fingerprint(family, stored)
    merge(family, None, stored, stored.replace("a", "b"))
    for form in forms(family):
        try:
            sent = to_wire(family, stored, form, zone="Europe/Berlin")
        except FormatError:
            continue
        try:
            from_wire(family, form.type, sent, zone="Europe/Berlin")
        except FormatError:
            pytest.fail(f"what was written as {form} cannot be read: {sent!r}")
