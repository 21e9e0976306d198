"""Notes and messages."""

from __future__ import annotations

import pytest

from twsync.errors import FormatError
from twsync.records import Family, check, equal, form_of, forms, from_wire, overlay, to_wire

NOTES, SMS = Family.NOTES, Family.SMS
PLAIN, VNOTE = forms(NOTES)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("Milk\r\nEggs", "Milk\nEggs\n"),
        (b"Gr\xfc\xdfe", "Grüße\n"),
        ("\ufeffx\0", "x\n"),
        ("", ""),
        (
            "BEGIN:VNOTE\r\nVERSION:1.1\r\nBODY;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCsli=0D=0A=\r\nEi\r\nDCREATED:20060101T000000Z\r\nEND:VNOTE\r\n",
            "Müsli\nEi\n",
        ),
        ("BEGIN:VNOTE\nVERSION:1.1\nSUMMARY:Shop\nBODY:Milk\nEND:VNOTE", "Shop\nMilk\n"),
        ("BEGIN:VNOTE\nVERSION:1.1\nSUMMARY:Milk\nBODY:Milk and so on\nEND:VNOTE", "Milk and so on\n"),
        ("BEGIN:VNOTE\nVERSION:1.1\nBODY;ENCODING=BASE64:TWlsaw==\n\nEND:VNOTE", "Milk\n"),
    ],
)
def test_notes(sent, expected) -> None:
    stored = from_wire(NOTES, "", sent)
    assert stored == expected
    check(NOTES, stored)
    for form in forms(NOTES):
        assert from_wire(NOTES, form.type, to_wire(NOTES, stored, form)) == stored
        assert overlay(NOTES, "old\n", stored, form=form) == stored


def test_what_a_device_sends_back_has_the_line_ends_of_the_file() -> None:
    for form in forms(NOTES):
        for kept in ("a\r\nb\r\n", "a\nb\n"):
            again = from_wire(NOTES, form.type, to_wire(NOTES, kept, form))
            assert overlay(NOTES, kept, again, form=form) == kept


def test_notes_travel_with_crlf() -> None:
    assert to_wire(NOTES, "a\nb\n", PLAIN) == "a\r\nb\r\n"
    sent = to_wire(NOTES, "a\nä\n", VNOTE)
    assert "BODY;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:a=0D=0A=C3=A4\r\n" in sent


MESSAGE = (
    "BEGIN:VMSG\r\nVERSION:1.1\r\nX-IRMC-STATUS:READ\r\nX-IRMC-BOX:INBOX\r\nX-NOK-DT:20060101T120000Z\r\nX-MESSAGE-TYPE:DELIVER\r\n"
    "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Ann\r\nTEL:+491234\r\nEND:VCARD\r\nBEGIN:VENV\r\nBEGIN:VBODY\r\nDate:01-01-2006 12:00:00\r\n"
    "Hello;\r\n  BEGIN: again\r\n\r\nBye: Ann=\r\nEND:VBODY\r\nEND:VENV\r\nEND:VMSG\r\n"
)


def test_messages_stay_as_they_are() -> None:
    [form] = forms(SMS)
    stored = from_wire(SMS, "text/x-vmsg", MESSAGE)
    assert stored == MESSAGE
    check(SMS, stored)
    assert to_wire(SMS, stored, form) == MESSAGE
    assert equal(SMS, MESSAGE, MESSAGE.replace("\r\n", "\n"))
    assert overlay(SMS, stored, MESSAGE, form=form) == MESSAGE


@pytest.mark.parametrize("text", ["", "hello", "BEGIN:VCARD\r\nVERSION:3.0\r\nEND:VCARD\r\n", MESSAGE[:-12]])
def test_no_message(text: str) -> None:
    with pytest.raises(FormatError):
        from_wire(SMS, "text/x-vmsg", text)


def test_forms_by_type() -> None:
    assert form_of(NOTES, "Text/Plain; charset=utf-8") == PLAIN
    assert form_of(Family.CONTACTS, "text/x-vcard", "2.1").version == "2.1"
    with pytest.raises(FormatError, match="text/x-vnote"):
        form_of(NOTES, "image/png")
