"""Registration state documents and what a watcher makes of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twsync.errors import FormatError
from twsync.sip.reginfo import Contact, RegInfo, Registration, View, build, parse

LAPTOP = Contact(
    id="laptop",
    uri="sips:alice@192.0.2.7:40112;transport=tls",
    event="created",
    display_name="Älice <1>",
    expires=60,
    duration_registered=7,
    callid="c@1",
    cseq=3,
    pub_gruu="sips:alice@example.org;gr=laptop",
    params={"+vnd.twsync.device": "laptop", "+vnd.twsync.fingerprint": "sha256:00", "+vnd.twsync.last-seen": "2026-11-21T20:00:00Z"},
)
DESK = Contact(id="desk", uri="sips:alice@192.0.2.8", state="terminated", event="expired")
ALICE = Registration("sips:alice@example.org", "r1", "active", (LAPTOP, DESK))


def test_a_document_comes_back() -> None:
    info = RegInfo(3, True, (ALICE, Registration("sips:bob@example.org", "r2", "init")))
    assert parse(build(info)) == info
    assert LAPTOP.active
    assert not DESK.active


def test_the_example_of_rfc_5628_is_read() -> None:
    info = parse(b"""<?xml version="1.0"?>
<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" xmlns:gr="urn:ietf:params:xml:ns:gruuinfo" version="0" state="full">
  <!-- who is there -->
  <registration aor="sip:user@example.com" id="as9" state="active">
    <contact id="76" state="active" event="registered" duration-registered="7322" q="0.8">
      <uri>sip:user@192.0.2.1</uri>
      <unknown-param name="+sip.instance">"&lt;urn:uuid:f81d4fae&gt;"</unknown-param>
      <gr:pub-gruu uri="sip:user@example.com;gr=hha9s8d-999a"/>
      <gr:temp-gruu uri="sip:8ffkas08af7fasklzi9@example.com;gr" first-cseq="54301"/>
    </contact>
  </registration>
</reginfo>""")
    (contact,) = info.registrations[0].contacts
    assert contact.pub_gruu == "sip:user@example.com;gr=hha9s8d-999a"
    assert contact.params == {"+sip.instance": '"<urn:uuid:f81d4fae>"'}
    assert contact.duration_registered == 7322


GOOD = build(RegInfo(1, True, (ALICE,)))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<",
        b"<reginfo/>",
        GOOD[:-5],
        GOOD + b"x",
        GOOD + b" " * 70_000,
        GOOD.replace(b'state="full"', b'state="some"'),
        GOOD.replace(b'version="1"', b'version="-1"', 1),
        GOOD.replace(b' aor="', b' or="'),
        GOOD.replace(b'state="active" event', b'state="init" event'),
        GOOD.replace(b'event="created"', b'event="born"'),
        GOOD.replace(b'expires="60"', b'expires="1 minute"'),
        GOOD.replace(b'id="desk"', b'id="laptop"'),
        GOOD.replace(b"<uri>sips:alice@192.0.2.8</uri>", b""),
        b'<!DOCTYPE reginfo [<!ENTITY x "y">]>' + GOOD.partition(b"?>")[2],
        b'<!DOCTYPE reginfo SYSTEM "file:///etc/passwd">' + GOOD.partition(b"?>")[2],
        b"<a>" * 300 + b"</a>" * 300,
        build(RegInfo(1, True, (Registration("sips:a@b", "r", "active", tuple(Contact(id=str(n), uri="sip:a@b") for n in range(129))),))),
    ],
)
def test_a_document_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse(data)


def test_characters_that_xml_cannot_carry_are_replaced() -> None:
    contact = Contact(id="x", uri="sip:a@b", display_name="a\x00b\x1b", params={"+vnd.twsync.agent": "x\udc80y"})
    (registration,) = parse(build(RegInfo(0, True, (Registration("a", "r", "active", (contact,)),)))).registrations
    assert registration.contacts[0].display_name == "a\ufffdb\ufffd"
    assert registration.contacts[0].params == {"+vnd.twsync.agent": "x\ufffdy"}


def test_a_view_lays_partial_documents_over_the_full_one() -> None:
    view = View()
    assert view.update(RegInfo(5, True, (ALICE,)))
    online = Contact(id="desk", uri="sips:alice@192.0.2.8", event="created")
    assert view.update(
        RegInfo(6, False, (Registration(ALICE.aor, "r1", "active", (online,)), Registration("sips:bob@example.org", "r2", "init")))
    )
    assert [contact.active for contact in view.registrations[0].contacts] == [True, True]
    assert [registration.aor for registration in view.registrations] == [ALICE.aor, "sips:bob@example.org"]
    assert view.update(RegInfo(6, False, (ALICE,)))
    assert view.registrations[0].contacts[1].active


def test_a_missed_document_is_noticed_until_a_full_one_comes() -> None:
    view = View()
    assert not view.update(RegInfo(1, False, (ALICE,)))
    assert view.update(RegInfo(1, True, ()))
    assert not view.update(RegInfo(3, False, (ALICE,)))
    assert not view.update(RegInfo(4, False, (ALICE,)))
    assert view.registrations == ()
    assert view.update(RegInfo(0, True, (ALICE,)))
    assert view.registrations == (ALICE,)


@given(st.binary(max_size=30), st.integers(0, len(GOOD)), st.integers(0, 30))
@settings(max_examples=200, deadline=None)
def test_an_altered_document_is_read_or_refused(junk: bytes, place: int, gone: int) -> None:
    try:
        parse(GOOD[:place] + junk + GOOD[place + gone :])
    except FormatError:
        return
