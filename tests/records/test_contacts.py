"""Contacts as real devices and programs write them, and what becomes of them."""

from __future__ import annotations

import pytest
import vobject

from twsync.errors import FormatError
from twsync.records import (
    Capabilities,
    Family,
    ParameterCapability,
    PropertyCapability,
    capabilities,
    check,
    equal,
    forms,
    from_wire,
    overlay,
    to_wire,
)
from twsync.records.component import parse
from twsync.records.contentline import unfold
from twsync.records.values import fields, unescape

CONTACTS = Family.CONTACTS
V30, V21, DIRECTORY = forms(CONTACTS)


def wire(*lines: str, version: str = "2.1") -> str:
    return "\r\n".join(["BEGIN:VCARD", f"VERSION:{version}", *lines, "END:VCARD", ""])


#: Description, what the device sends, and what must be in the stored record: (name, types, text of the value).
DEVICES = [
    (
        "Nokia S60: fields without content, quoted-printable name",
        wire(
            "N;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:V=C3=A4is=C3=A4nen;Matti;;;",
            "TEL;CELL;PREF:+358401234567",
            "TEL;HOME;VOICE:",
            "EMAIL;INTERNET:matti@example.org",
            "X-CLASS:private",
        ),
        [
            ("N", "", "Väisänen;Matti"),
            ("FN", "", "Matti Väisänen"),
            ("TEL", "CELL,PREF", "+358401234567"),
            ("EMAIL", "INTERNET", "matti@example.org"),
            ("X-CLASS", "", "private"),
        ],
    ),
    (
        "Nokia: soft line breaks in a note",
        wire("N:A;B", "NOTE;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:one=0D=0Atw=", "o=0D=0A", "TEL:1"),
        [("NOTE", "", "one\ntwo\n"), ("TEL", "", "1")],
    ),
    (
        "N9: an equals sign that is no escape",
        wire("N:A;B", "NOTE;ENCODING=QUOTED-PRINTABLE:1+1=2, 2=zwei, 100=25"),
        [("NOTE", "", "1+1=2, 2=zwei, 100%")],
    ),
    (
        "Sony Ericsson: picture with type, title, work numbers",
        wire(
            "N:Svensson;Eva",
            "TITLE:Chef",
            "TEL;WORK;FAX:0701",
            "PHOTO;TYPE=JPEG;ENCODING=BASE64:",
            " /9j/4AAQSkZJ",
            " RgABAQ==",
            "",
            "URL:http://example.org/a;b",
        ),
        [("TEL", "WORK,FAX", "0701"), ("PHOTO", "JPEG", "/9j/4AAQSkZJRgABAQ=="), ("URL", "", "http://example.org/a;b")],
    ),
    (
        "a picture whose lines are not indented",
        wire("N:A;B", "PHOTO;JPEG;ENCODING=BASE64:/9j/", "4AAQSkZJRgABAQ==", "", "TEL:2"),
        [("PHOTO", "JPEG", "/9j/4AAQSkZJRgABAQ=="), ("TEL", "", "2")],
    ),
    (
        "Android 2.1: escaped semicolons, several kinds of types",
        wire("N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=C3=96;Anna;;;", "FN:Anna", "NOTE:a\\;b", "TEL;X-Mobil:3", "ORG:Acme\\; Inc;Sales"),
        [("NOTE", "", "a;b"), ("TEL", "X-MOBIL", "3"), ("ORG", "", "Acme; Inc;Sales"), ("N", "", "Ö;Anna")],
    ),
    (
        "a backslash before anything else is a backslash",
        wire("N:A;B", "NOTE:C:\\new\\temp"),
        [("NOTE", "", "C:\\new\\temp")],
    ),
    (
        "iOS: labels by groups",
        wire(
            "PRODID:-//Apple Inc.//iPhone OS 15.0//EN",
            "N:Appleseed;Johnny;;;",
            "FN:Johnny Appleseed",
            "TEL;type=CELL;type=VOICE;type=pref:(415) 555-0000",
            "item1.EMAIL;type=INTERNET:johnny@example.org",
            "item1.X-ABLabel:_$!<Other>!$_",
            "item2.ADR;type=HOME;type=pref:;;1 Infinite Loop;Cupertino;CA;95014;USA",
            "item2.X-ABADR:us",
            version="3.0",
        ),
        [
            ("TEL", "CELL,VOICE,pref", "(415) 555-0000"),
            ("X-ABLABEL", "", "_$!<Other>!$_"),
            ("ADR", "HOME,pref", ";;1 Infinite Loop;Cupertino;CA;95014;USA"),
        ],
    ),
    (
        "Evolution: folded lines, properties of its own",
        wire(
            "FN:Eva",
            "N:Müller;Eva;;;",
            "NOTE:a long",
            "  note\\, folded",
            "X-EVOLUTION-FILE-AS:Müller\\, Eva",
            "X-JABBER;TYPE=HOME:eva@x",
            version="3.0",
        ),
        [("NOTE", "", "a long note, folded"), ("X-EVOLUTION-FILE-AS", "", "Müller, Eva"), ("X-JABBER", "HOME", "eva@x")],
    ),
    (
        "Funambol: 3.0 with quoted-printable, which 3.0 does not have",
        wire("N:A;B;;;", "FN;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:B =C3=84", version="3.0"),
        [("FN", "", "B Ä")],
    ),
    (
        "Thunderbird: vCard 4.0 is kept as 3.0 when it comes over a wire",
        wire(
            "FN:T B",
            "N:B;T;;;",
            "EMAIL;PREF=1:t@example.org",
            "TEL;VALUE=URI;TYPE=cell:tel:+1-2",
            "BDAY:19850412",
            "GENDER:F",
            version="4.0",
        ),
        [("EMAIL", "PREF", "t@example.org"), ("TEL", "cell", "+1-2"), ("BDAY", "", "1985-04-12"), ("GENDER", "", "F")],
    ),
    (
        "vCard 2.1: nicknames and categories are lists, place is longitude first",
        wire("N:A;B", "NICKNAME:x,y", "CATEGORIES:Friends;Work", "GEO:13.4,52.5"),
        [("NICKNAME", "", "x,y"), ("CATEGORIES", "", "Friends,Work"), ("GEO", "", "52.5;13.4")],
    ),
    (
        "no VERSION, but the looks of 2.1",
        "BEGIN:VCARD\nN;CHARSET=ISO-8859-1;ENCODING=QUOTED-PRINTABLE:M=FCller;J\nTEL;CELL:5\nEND:VCARD",
        [("N", "", "Müller;J"), ("TEL", "CELL", "5")],
    ),
    ("a byte order mark, blanks and a NUL around it", "\ufeff" + wire("N:A;B", "TEL:5") + "\0", [("TEL", "", "5")]),
]


@pytest.mark.parametrize(("sent", "expected"), [case[1:] for case in DEVICES], ids=[case[0] for case in DEVICES])
def test_devices(sent: str, expected: list[tuple[str, str, str]]) -> None:
    stored = from_wire(CONTACTS, "text/x-vcard", sent)
    check(CONTACTS, stored)
    card = parse(stored)
    assert card.value("VERSION") == "3.0"
    for name, types, text in expected:
        [prop] = card.all(name)
        assert ",".join(prop.param("TYPE")) == types
        shown = (
            ";".join(fields(prop.value))
            if name in ("N", "ADR", "ORG")
            else unescape(prop.value)
            if name not in ("URL", "GEO")
            else prop.value
        )
        assert shown == text
    # Another program reads the same.
    read = vobject.readOne(stored)
    assert read.fn.value == unescape(card.value("FN"))
    assert len(read.contents.get("tel", [])) == len(card.all("TEL"))


def test_octets_without_a_character_set_are_latin() -> None:
    """Sony Ericsson sends ISO-8859-1 and does not say so; others say so."""
    for said in (b"", b";CHARSET=ISO-8859-1"):
        stored = from_wire(CONTACTS, "text/x-vcard", b"BEGIN:VCARD\r\nVERSION:2.1\r\nN%b:M\xfcller;J\r\nEND:VCARD\r\n" % said)
        assert "N:Müller;J" in stored
    stored = from_wire(CONTACTS, "", b"BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=CP1251:\xcf\xe5\xf2\r\nNOTE:\xfc\r\nEND:VCARD\r\n")
    assert "N:Пет" in stored
    assert "NOTE:ü" in stored
    assert "NOTE:ü" in from_wire(CONTACTS, "", "BEGIN:VCARD\r\nVERSION:2.1\r\nN:A\r\nNOTE:ü\r\nEND:VCARD\r\n".encode("utf-16"))


RICH = wire(
    "UID:u-1",
    "N:Müller;Jörg;;Dr.;",
    "FN:Dr. Jörg Müller",
    "TEL;TYPE=CELL,PREF:+49 170 1",
    "item1.TEL;TYPE=HOME:+49 30 2",
    "item1.X-ABLabel:Boat",
    "EMAIL;TYPE=INTERNET,WORK:j@example.org",
    "EMAIL;X-SERVICE=a:k@example.org",
    'ADR;TYPE=HOME;LABEL="Main St; 1":;;Main St 1;Berlin;;10115;Germany',
    "PHOTO;ENCODING=b;TYPE=JPEG:" + "AAAA" * 100,
    "NOTE:first line\\nsecond\\; line with ümläut and a long tail that needs more than one line of a card",
    "CATEGORIES:Friends\\, old,Work",
    "KEY;VALUE=uri:http://example.org/key",
    "X-FOO;X-BAR=1:baz",
    "REV:20260101T000000Z",
    version="3.0",
)
#: A phone of few words: names, two kinds of numbers, a short note.
PHONE = Capabilities(
    [
        PropertyCapability("N"),
        PropertyCapability("TEL", params=(ParameterCapability("TYPE", ("CELL", "HOME")),)),
        PropertyCapability("EMAIL"),
        PropertyCapability("NOTE", max_size=20),
        PropertyCapability("TITLE"),
    ]
)


def test_written_as_vcard_21() -> None:
    sent = to_wire(CONTACTS, RICH, V21)
    lines = sent.split("\r\n")
    assert "VERSION:2.1" in lines
    assert "TEL;CELL;PREF:+49 170 1" in lines
    assert "TEL;HOME:+49 30 2" in lines
    assert "N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=B6rg;;Dr.;" in lines
    assert "X-ABLabel" not in sent
    assert sent.isascii()
    assert all(len(line) <= 76 for line in lines)
    at = next(number for number, line in enumerate(lines) if line.startswith("PHOTO"))
    assert lines[at] == "PHOTO;JPEG;ENCODING=BASE64:"
    assert lines[at + 1].startswith(" AAAA")
    read = vobject.readOne(sent, allowQP=True)
    assert read.n.value.family == "Müller"


def test_other_forms_are_read_by_others() -> None:
    assert vobject.readOne(to_wire(CONTACTS, RICH, V30)).fn.value == "Dr. Jörg Müller"
    sent = to_wire(CONTACTS, RICH, DIRECTORY)
    assert "PROFILE:VCARD" in sent
    assert equal(CONTACTS, from_wire(CONTACTS, "text/directory", sent), RICH)


def test_an_address_says_in_vcard_21_that_it_is_of_the_internet() -> None:
    """And nothing has changed when it comes back so; where the phone does not store the type it is not given it."""
    stored = wire("UID:u", "FN:A", "N:A;;;;", "EMAIL:a@x.org", "EMAIL;TYPE=work:b@x.org", "EMAIL;TYPE=X400:c", version="3.0")
    sent = to_wire(CONTACTS, stored, V21)
    assert [line for line in sent.split("\r\n") if "EMAIL" in line] == [
        "EMAIL;INTERNET:a@x.org",
        "EMAIL;WORK;INTERNET:b@x.org",
        "EMAIL;X400:c",
    ]
    assert overlay(CONTACTS, stored, from_wire(CONTACTS, V21.type, sent), form=V21) == stored
    assert "INTERNET" not in to_wire(CONTACTS, stored, V30)
    assert "INTERNET" not in to_wire(CONTACTS, stored, V21, capabilities=PHONE)


@pytest.mark.parametrize("form", [V30, V21, DIRECTORY])
@pytest.mark.parametrize("known", [PHONE, None])
def test_what_the_phone_cannot_hold_is_not_deleted(form, known) -> None:
    """The phone sends back what it was given, as far as it stores it."""
    given = to_wire(CONTACTS, RICH, form, capabilities=PHONE)
    assert "PHOTO" not in given
    assert "PREF" not in given
    back = from_wire(CONTACTS, form.type, given)
    whole = overlay(CONTACTS, RICH, back, form=form, capabilities=known)
    if known is None:
        # Without a CTCap a note is believed to be what the device says it is now.
        assert "PHOTO" in whole
        assert "X-FOO" in whole
        assert "Boat" in whole
    else:
        assert equal(CONTACTS, whole, RICH)
    assert "UID:u-1" in whole


def test_what_the_phone_changed_is_taken() -> None:
    given = to_wire(CONTACTS, RICH, V21, capabilities=PHONE)
    changed = given.replace("TEL;CELL:+49 170 1", "TEL;CELL:+49 170 99").replace("EMAIL:k@example.org\r\n", "")
    changed = changed.replace("END:VCARD", "TITLE:Boss\r\nEND:VCARD")
    assert changed != given
    card = parse(overlay(CONTACTS, RICH, from_wire(CONTACTS, V21.type, changed), form=V21, capabilities=PHONE))
    assert {prop.value for prop in card.all("TEL")} == {"+49 170 99", "+49 30 2"}
    assert [prop.value for prop in card.all("EMAIL")] == ["j@example.org"]
    assert card.value("TITLE") == "Boss"
    assert "second" in card.value("NOTE")
    assert card.value("X-FOO") == "baz"


def test_a_shortened_note_is_no_change_and_a_new_one_is() -> None:
    given = to_wire(CONTACTS, RICH, V30, capabilities=PHONE)
    assert "NOTE:first line\\nsecond\\; l\r\n" in given
    changed = given.replace("NOTE:first line\\nsecond\\; l", "NOTE:other")
    card = parse(overlay(CONTACTS, RICH, from_wire(CONTACTS, V30.type, changed), form=V30, capabilities=PHONE))
    assert card.value("NOTE") == "other"


def test_a_deleted_note_is_deleted() -> None:
    given = to_wire(CONTACTS, RICH, V30, capabilities=PHONE)
    without = "\r\n".join(line for line in given.split("\r\n") if not line.startswith("NOTE"))
    assert "NOTE" not in overlay(CONTACTS, RICH, without, form=V30, capabilities=PHONE)
    # Who did not say that it stores notes has not deleted one.
    assert "NOTE" in overlay(CONTACTS, RICH, without, form=V30)


def test_a_partial_record_changes_what_it_names() -> None:
    for form in (V30, V21):
        part = from_wire(CONTACTS, form.type, wire("TITLE:Boss", "TEL;HOME:+49 30 2", version=form.version), partial=True)
        card = parse(overlay(CONTACTS, RICH, part, form=form, capabilities=PHONE, partial=True))
        assert card.value("TITLE") == "Boss"
        assert card.value("FN") == "Dr. Jörg Müller"
        assert [prop.value for prop in card.all("TEL")] == ["+49 30 2"]
        assert len(card.all("EMAIL")) == 2
        assert "second" in card.value("NOTE")


def test_too_long_without_cutting_is_left_out() -> None:
    known = Capabilities([PropertyCapability("N"), PropertyCapability("NOTE", max_size=5, no_truncate=True)])
    assert "NOTE" not in to_wire(CONTACTS, RICH, V30, capabilities=known)


def test_not_more_than_the_phone_takes() -> None:
    known = Capabilities([PropertyCapability("N"), PropertyCapability("TEL", max_occur=1)])
    sent = to_wire(CONTACTS, RICH, V30, capabilities=known)
    assert sent.count("TEL") == 1
    assert equal(CONTACTS, overlay(CONTACTS, RICH, from_wire(CONTACTS, "", sent), form=V30, capabilities=known), RICH)


def test_capabilities_of_a_ctcap() -> None:
    from twsync.syncml.document import Property, PropParam

    known = capabilities((Property("TEL", params=(PropParam("CELL"), PropParam("HOME")), max_size=40), Property("N")))
    sent = to_wire(CONTACTS, RICH, V21, capabilities=known)
    assert "TEL;CELL:+49 170 1" in sent
    assert "EMAIL" not in sent


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ((ParameterCapability("CELL"), ParameterCapability("PREF")), "TEL;TYPE=CELL,PREF:"),
        ((ParameterCapability("TYPE"),), "TEL;TYPE=CELL,PREF:"),
        ((ParameterCapability("TYPE", ("cell",)),), "TEL;TYPE=CELL:"),
        # Encodings say nothing about types, and nothing at all means the usual ones.
        ((ParameterCapability("ENCODING"), ParameterCapability("CHARSET")), "TEL;TYPE=CELL,PREF:"),
        ((), "TEL;TYPE=CELL,PREF:"),
    ],
)
def test_types_that_a_phone_knows(params, expected) -> None:
    known = Capabilities([PropertyCapability("N"), PropertyCapability("TEL", params=params), PropertyCapability("PHOTO")])
    sent = to_wire(CONTACTS, RICH, V30, capabilities=known)
    assert f"{expected}+49 170 1" in sent
    assert "PHOTO;ENCODING=b;TYPE=JPEG" in sent


VERSION_4 = wire(
    "FN:A B",
    "N:B;A;;;",
    "KIND:individual",
    'TEL;VALUE=uri;PREF=1;TYPE="voice,home":tel:+1-555',
    "PHOTO:data:image/jpeg;base64,AAAA",
    "RELATED;TYPE=friend:urn:uuid:1",
    "UID:urn:uuid:4fbe8971",
    version="4.0",
)


def test_version_4_travels_in_the_form_of_the_device() -> None:
    check(CONTACTS, VERSION_4)
    sent = to_wire(CONTACTS, VERSION_4, V30)
    assert "PHOTO;ENCODING=b;TYPE=JPEG:AAAA" in sent
    assert "TEL;TYPE=" in sent
    assert "RELATED" in sent
    whole = overlay(CONTACTS, VERSION_4, from_wire(CONTACTS, "", to_wire(CONTACTS, VERSION_4, V21)), form=V21)
    assert equal(CONTACTS, whole, VERSION_4)
    assert "KIND:individual" in whole


BROKEN = [
    ("nothing", ""),
    ("no end", "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:A\r\n"),
    ("another end", "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:A\r\nEND:VEVENT\r\n"),
    ("two cards", wire("FN:A", version="3.0") * 2),
    ("a calendar", "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n"),
    ("nobody", wire("NOTE:x", version="3.0")),
    ("no colon", wire("FN:A", "NOTE", version="3.0")),
    ("no name", wire("FN:A", ":x", version="3.0")),
    ("NUL inside", wire("FN:A\0B", version="3.0")),
    ("no base64", wire("FN:A", "PHOTO;ENCODING=BASE64:???")),
    ("half a character", wire("FN:\ud800", version="3.0")),
]


@pytest.mark.parametrize("text", [case[1] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_broken(text: str) -> None:
    with pytest.raises(FormatError):
        from_wire(CONTACTS, "text/vcard", text)


def test_stored_form_is_checked() -> None:
    with pytest.raises(FormatError, match=r"version 3\.0 or 4\.0"):
        check(CONTACTS, wire("N:A"))
    check(CONTACTS, RICH)


def test_a_card_in_a_card() -> None:
    """AGENT of vCard 2.1."""
    stored = from_wire(CONTACTS, "", "BEGIN:VCARD\nVERSION:2.1\nN:A\nAGENT:\nBEGIN:VCARD\nVERSION:2.1\nN:B;C\nEND:VCARD\nEND:VCARD\n")
    [agent] = parse(stored).all("AGENT")
    assert "FN:C B" in unescape(agent.value)


NEWER = "\r\n".join(
    [
        "BEGIN:VCARD",
        "VERSION:4.0",
        "UID:urn:uuid:4fbe8971-0bc3-424c-9c26-36c3e1eff6b1",
        "FN:Simon Perreault",
        "N:Perreault;Simon;;;ing. jr,M.Sc.",
        "BDAY:19700131",
        "GENDER:M",
        "LANG;PREF=1:fr",
        'TEL;VALUE=uri;TYPE="work,voice";PREF=1:tel:+1-418-656-9254;ext=102',
        'TEL;VALUE=uri;TYPE="home,cell":tel:+1-418-262-6501',
        "EMAIL;TYPE=work;PREF=2:simon@example.org",
        "GEO;TYPE=work:geo:46.772673,-71.282945",
        "PHOTO:data:image/jpeg;base64,/9j/4AAQSkZJRgABAQEASABIAAD=",
        "LOGO;MEDIATYPE=image/png:http://example.org/logo.png",
        "SOUND:data:audio/ogg;base64\\,T2dnUw==",
        "RELATED;TYPE=friend:urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
        "NOTE;ALTID=2:hello\\, world",
        "item1.IMPP;PREF=1:xmpp:alice@example.org",
        "item1.X-ABLabel:chat",
        "X-MINE:too",
        "END:VCARD",
        "",
    ]
)


@pytest.mark.parametrize("form", forms(CONTACTS))
def test_a_file_of_version_4_stays_one_when_a_device_edits_it(form) -> None:
    sent = to_wire(CONTACTS, NEWER, form)
    assert "VERSION:4.0" not in sent
    assert "/9j/4AAQ" in sent
    assert "CELL" in sent.upper()
    again = overlay(CONTACTS, NEWER, from_wire(CONTACTS, form.type, sent), form=form)
    assert equal(CONTACTS, again, NEWER)
    assert unfold(again) == unfold(NEWER)
    edited = sent.replace("+1-418-262-6501", "+1-418-000-0000").replace("END:VCARD", "TEL;TYPE=PREF:+5\r\nURL:http://x\r\nEND:VCARD")
    lines = unfold(overlay(CONTACTS, NEWER, from_wire(CONTACTS, form.type, edited), form=form))
    left = [line for line in unfold(NEWER) if "6501" not in line]
    assert [line for line in lines if line in left] == left
    new = [line for line in lines if line not in left]
    assert sorted(line.rpartition(":")[2] for line in new) == ["+1-418-000-0000", "+5", "//x"]
    assert "TEL;PREF=1:+5" in new


def test_what_a_device_gives_a_file_of_version_4_is_written_as_that_has_it() -> None:
    plain = "BEGIN:VCARD\r\nVERSION:4.0\r\nUID:u\r\nFN:Ann\r\nEND:VCARD\r\n"
    sent = to_wire(CONTACTS, plain, forms(CONTACTS)[1])
    more = ["BDAY:1970-01-31", "GEO:13.4,52.5", "PHOTO;JPEG;ENCODING=BASE64:", " QUJD", "", "LOGO;VALUE=URL:http://x/l.png", "END:VCARD"]
    text = overlay(
        CONTACTS, plain, from_wire(CONTACTS, "text/x-vcard", sent.replace("END:VCARD", "\r\n".join(more))), form=forms(CONTACTS)[1]
    )
    assert sorted(unfold(text)[2:-1]) == [
        "BDAY:19700131", "FN:Ann", "GEO:geo:52.5,13.4", "LOGO:http://x/l.png", "PHOTO:data:image/jpeg;base64,QUJD", "UID:u",
    ]  # fmt: skip
    assert unfold(text)[1] == "VERSION:4.0"
