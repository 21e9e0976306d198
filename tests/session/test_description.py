"""The session description: there and back, altered, and hostile."""

from __future__ import annotations

import base64
import datetime
import re
from dataclasses import fields, replace
from importlib import resources
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from twsync import limits
from twsync.errors import FormatError, SessionError
from twsync.reconcile.model import Policy, RecordPolicy, SyncType
from twsync.session.datatypes import DataType, SyncProtocol
from twsync.session.description import Candidate, Description, check_answer, from_xml, to_xml

NAMES = st.text(st.characters(categories=("L", "N"), include_characters="-_."), min_size=1, max_size=16).filter(
    lambda text: text not in (".", "..")
)
TEXTS = st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable() and text == text.strip())
ADDRESSES = st.ip_addresses().map(str)
PORTS = st.integers(1, 65535)
DEVICES = st.tuples(NAMES, NAMES).map("/".join)
DESCRIPTIONS = st.fixed_dictionaries(
    {
        "session": TEXTS,
        "caller": DEVICES,
        "callee": DEVICES,
        "source_ip": ADDRESSES,
        "source_port": st.integers(0, 65535),
        "data_type": st.sampled_from(DataType),
        "sync_protocol": st.sampled_from(SyncProtocol),
        "collection": TEXTS,
        "sync_type": st.sampled_from(SyncType),
        "policy": st.sampled_from(Policy),
        "created": st.datetimes(datetime.datetime(2000, 1, 1), datetime.datetime(2100, 1, 1)).map(
            lambda moment: moment.replace(microsecond=0, tzinfo=datetime.UTC)
        ),
    }
)
CANDIDATES = st.lists(st.builds(Candidate, ADDRESSES, PORTS), min_size=1, max_size=16).map(tuple)
ANSWERS = st.fixed_dictionaries(
    {"destination_ip": ADDRESSES, "destination_port": PORTS, "token": st.binary(min_size=32, max_size=32), "candidates": CANDIDATES}
)


@settings(max_examples=60)
@given(DESCRIPTIONS, st.none() | ANSWERS)
def test_there_and_back(signer: Any, values: dict[str, Any], answer: dict[str, Any] | None) -> None:
    """What is written is read, whatever the values, and the certificate with it."""
    description = Description(**values, **(answer or {}), fingerprint=signer.fingerprint)
    signed = from_xml(to_xml(description, signer.certificate, signer.sign))
    assert signed.description == description
    assert signed.certificate == signer.certificate
    assert signed.fingerprint == signer.fingerprint
    assert description.is_answer is (answer is not None)


def test_the_document(signer: Any, reply: Description) -> None:
    """As docs/protocol/session-description.md shows it: namespace, order and the paper's names."""
    root = etree.fromstring(to_xml(reply, signer.certificate, signer.sign))
    assert etree.QName(root) == etree.QName("urn:twsync:session:1", "session")
    assert [etree.QName(element).localname for element in root] == [
        "id", "caller", "callee", "sourceIP", "sourcePort", "destinationIP", "destinationPort", "dataType", "syncProtocol", "collection",
        "syncType", "policy", "fingerprint", "token", "candidates", "created", "signature",
    ]  # fmt: skip
    assert [etree.QName(element).localname for element in root[-1]] == ["certificate", "value"]


def test_the_schema_knows_the_values_of_the_model() -> None:
    """Types, policies, data types and protocols are the same words in the schema and in the code."""
    text = resources.files("twsync.session").joinpath("description.rng").read_text()
    words = set(re.findall(r"<value[^>]*>([^<]+)</value>", text))
    assert words == {*map(str, SyncType), *map(str, Policy), *map(str, RecordPolicy), *map(str, DataType), *map(str, SyncProtocol)}


def altered(reply: Description, name: str) -> Description:
    """The description with one field changed to another good value."""
    changes: dict[str, Any] = {
        "session": "other",
        "caller": "mallory/laptop",
        "callee": "alice/other",
        "source_ip": "192.0.2.8",
        "source_port": 1,
        "data_type": DataType.MUSIC,
        "sync_protocol": SyncProtocol.SYNCML,
        "collection": "other",
        "sync_type": "refresh-from-client",
        "policy": "ours",
        "fingerprint": "sha256:" + "0" * 64,
        "created": reply.created.replace(year=2027),
        "destination_ip": "192.0.2.66",
        "destination_port": 1,
        "token": bytes(32),
        "candidates": (Candidate("192.0.2.66", 40112),),
    }
    return replace(reply, **{name: changes[name]})


@pytest.mark.parametrize("name", [field.name for field in fields(Description)])
def test_no_field_can_be_altered(signer: Any, new_signer: Any, reply: Description, name: str) -> None:
    """Each value put into the signed document in place of the true one breaks the signature, or the tie to the certificate."""
    other = altered(reply, name)
    genuine = etree.fromstring(to_xml(reply, signer.certificate, signer.sign))
    # The altered document, signed by somebody else, lends its elements.
    stranger = new_signer("p256")
    forged = etree.fromstring(to_xml(replace(other, fingerprint=stranger.fingerprint), stranger.certificate, stranger.sign))
    changed = 0
    for mine, theirs in zip(genuine, forged, strict=True):
        if etree.QName(mine).localname == "signature" or (etree.QName(mine).localname == "fingerprint" and name != "fingerprint"):
            continue
        if etree.tostring(mine) != etree.tostring(theirs):
            genuine.replace(mine, theirs)
            changed += 1
    assert changed == 1
    with pytest.raises(FormatError):
        from_xml(etree.tostring(genuine))


def test_a_signature_by_another_key(signer: Any, new_signer: Any, reply: Description) -> None:
    """A whole new signature is of no use: the fingerprint in the document is not that of its certificate, or it is another device."""
    stranger = new_signer("p256")
    with pytest.raises(FormatError, match="another certificate"):
        to_xml(reply, stranger.certificate, stranger.sign)
    genuine = to_xml(reply, signer.certificate, signer.sign).decode()
    forged = to_xml(replace(reply, fingerprint=stranger.fingerprint), stranger.certificate, stranger.sign).decode()
    forged = forged.replace(stranger.fingerprint, signer.fingerprint)
    with pytest.raises(FormatError):
        from_xml(forged.encode())
    certificates = [re.search("<certificate>(.*?)</certificate>", text) for text in (genuine, forged)]
    assert certificates[0] and certificates[1]
    with pytest.raises(FormatError):
        from_xml(genuine.replace(certificates[0][1], certificates[1][1]).encode())


@pytest.mark.parametrize("kind", ["p384", "rsa"])
def test_only_the_keys_that_devices_have(signer: Any, new_signer: Any, reply: Description, kind: str) -> None:
    """A certificate with another kind of key is refused before anything is verified."""
    other = new_signer(kind)
    data = to_xml(replace(reply, fingerprint=other.fingerprint), other.certificate, signer.sign)
    with pytest.raises(FormatError, match="P-256"):
        from_xml(data)


def genuine_text(signer: Any, reply: Description) -> str:
    return to_xml(reply, signer.certificate, signer.sign).decode()


@pytest.mark.parametrize(
    ("what", "old", "new"),
    [
        ("a comment inside a name", "<callee>alice/", "<callee>alice/<!-- -->"),
        ("a comment between elements", "<callee>", "<!-- x --><callee>"),
        ("a comment before the document", "<session", "<!-- x --><session"),
        ("an instruction", "<callee>", "<?x y?><callee>"),
        ("an instruction before the document", "<session", "<?x y?><session"),
        ("white space", "<callee>", " <callee>"),
        ("an attribute", "<callee>", '<callee a="b">'),
        ("another namespace", "urn:twsync:session:1", "urn:twsync:session:2"),
        ("an element twice", "<callee>alice/desktop</callee>", "<callee>alice/desktop</callee><callee>alice/desktop</callee>"),
        ("an element less", "<policy>keep-both</policy>", ""),
        ("an unknown element", "<policy>", "<extra/><policy>"),
        ("a port that is none", "<sourcePort>0<", "<sourcePort>65536<"),
        ("a port with a sign", "<sourcePort>0<", "<sourcePort>+0<"),
        ("a candidate's port 0", "<port>40112</port>", "<port>0</port>"),
        ("an unknown type", "two-way", "three-way"),
        ("a short token", "<token>00", "<token>"),
        ("an upper-case fingerprint", "<fingerprint>sha256", "<fingerprint>SHA256"),
        ("a time without a zone", "12:00:00Z", "12:00:00"),
        ("a time that is none", "2026-11-21T12", "2026-11-31T25"),
        ("two roots", "</session>", "</session><session/>"),
        ("cut off", "</session>", ""),
    ],
)
def test_other_documents_are_refused(signer: Any, reply: Description, what: str, old: str, new: str) -> None:
    """By the schema or the signature: nothing but what was signed, byte for byte of its canonical form."""
    text = genuine_text(signer, reply)
    assert old in text
    with pytest.raises(FormatError):
        from_xml(text.replace(old, new, 1).encode())


def test_no_declarations_and_no_entities(signer: Any, reply: Description, tmp_path: Any) -> None:
    """Neither internal nor external, neither expanded nor fetched."""
    secret = tmp_path / "secret"
    secret.write_text("alice/desktop")
    text = genuine_text(signer, reply).split("?>", 1)[1]
    for declaration in (
        '<!DOCTYPE session [<!ENTITY x "alice/desktop">]>',
        f'<!DOCTYPE session [<!ENTITY x SYSTEM "file://{secret}">]>',
        '<!DOCTYPE session SYSTEM "http://192.0.2.1/x.dtd">',
        "<!DOCTYPE session>",
    ):
        for body in (text, text.replace("alice/desktop", "&x;")):
            with pytest.raises(FormatError):
                from_xml((declaration + body).encode())
    laughs = '<!DOCTYPE session [<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {b} "{("&" + a + ";") * 10}">' for b, a in zip("bcdefg", "abcdef", strict=True)
    )
    with pytest.raises(FormatError):
        from_xml((laughs + "]>" + text.replace("alice/desktop", "&g;")).encode())


@pytest.mark.parametrize("data", [b"", b"x", b"<a/>", b"\xff\xfe<\0", b"<a" * 1000, b"\0" * 100, b"<a>" * 5000])
def test_rubbish(data: bytes) -> None:
    """Anything at all raises the one error."""
    with pytest.raises(FormatError):
        from_xml(data)


@settings(max_examples=60)
@given(st.floats(0, 1, exclude_max=True), st.binary(max_size=1), st.integers(0, 1))
def test_damaged_documents(signer: Any, reply: Description, share: float, byte: bytes, skipped: int) -> None:
    """A byte changed, left out or put in anywhere: refused, or still exactly the same description."""
    text = to_xml(reply, signer.certificate, signer.sign)
    # A share and not an index: a signature is a few bytes longer or shorter each time.
    place = int(share * len(text))
    damaged = text[:place] + byte + text[place + skipped :]
    try:
        signed = from_xml(damaged)
    except FormatError:
        return
    assert signed.description == reply


def test_size_is_limited_before_anything_is_parsed(signer: Any, reply: Description) -> None:
    """A byte more than the limit is too much, even if it is white space; candidates and names have their own limits."""
    text = to_xml(reply, signer.certificate, signer.sign)
    assert from_xml(text + b" " * (limits.MAX_DESCRIPTION - len(text)))
    with pytest.raises(FormatError, match="large"):
        from_xml(text + b" " * (limits.MAX_DESCRIPTION - len(text) + 1))
    most = (Candidate("192.0.2.9", 1),) * limits.MAX_DESCRIPTION_CANDIDATES
    assert len(to_xml(replace(reply, candidates=most), signer.certificate, signer.sign)) < limits.MAX_DESCRIPTION


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("session", ""),
        ("session", " x"),
        ("session", "x\n"),
        ("session", "x" * 256),
        ("collection", "a\0b"),
        ("collection", "a\u202eb"),
        ("caller", "alice"),
        ("caller", "alice/"),
        ("caller", "/laptop"),
        ("caller", "alice/lap/top"),
        ("caller", "alice/.."),
        ("callee", "alice/a b"),
        ("callee", "alice/" + "x" * 65),
        ("source_ip", "localhost"),
        ("source_ip", "192.0.2.07"),
        ("source_ip", "fe80::1%eth0"),
        ("source_ip", "2001:DB8::1"),
        ("source_port", -1),
        ("source_port", 65536),
        ("destination_port", 0),
        ("destination_port", None),
        ("destination_ip", None),
        ("token", b"short"),
        ("candidates", ()),
        ("candidates", (Candidate("192.0.2.9", 0),)),
        ("candidates", (Candidate("192.0.2.9", 1),) * 17),
        ("created", datetime.datetime(2026, 1, 1)),
        ("created", datetime.datetime(2026, 1, 1, 0, 0, 0, 5, tzinfo=datetime.UTC)),
        ("sync_type", "three-way"),
        ("policy", "mine"),
    ],
)
def test_values_that_cannot_be_are_not_written(signer: Any, reply: Description, name: str, value: Any) -> None:
    """A maker finds its own mistakes; the reader has the same checks."""
    with pytest.raises(FormatError):
        to_xml(replace(reply, **{name: value}), signer.certificate, signer.sign)


def test_signed_values_that_cannot_be_are_refused(signer: Any, reply: Description) -> None:
    """The right signature does not make an address one: a hostile device signs what it likes."""
    namespace = "{urn:twsync:session:1}"
    for name, text in (("sourceIP", "1:2:3"), ("callee", "alice/a b"), ("sourcePort", "007"), ("created", "2026-02-30T00:00:00Z")):
        root = etree.fromstring(to_xml(reply, signer.certificate, signer.sign))
        element = root.find(namespace + name)
        assert element is not None
        element.text = text
        value = root[-1][1]
        signature = root[-1]
        root.remove(signature)
        value.text = base64.b64encode(signer.sign(etree.tostring(root, method="c14n2"))).decode()
        root.append(signature)
        with pytest.raises(FormatError):
            from_xml(etree.tostring(root))
    # The way it is done here is right: without a change the document passes.
    assert from_xml(to_xml(reply, signer.certificate, signer.sign)).description == reply


def test_how_old_a_description_may_be(offer: Description) -> None:
    """Ten minutes either way."""
    for seconds, fresh in ((0, True), (600, True), (-600, True), (601, False), (-601, False)):
        assert offer.fresh(offer.created + datetime.timedelta(seconds=seconds)) is fresh


def test_an_answer_belongs_to_its_offer(offer: Description, reply: Description) -> None:
    """What the callee repeats must be what was offered; an offer is no answer."""
    check_answer(offer, reply)
    with pytest.raises(SessionError, match="no token"):
        check_answer(offer, offer)
    for name in ("session", "callee", "collection", "sync_type", "policy", "source_ip"):
        with pytest.raises(SessionError, match=name):
            check_answer(offer, altered(reply, name))
