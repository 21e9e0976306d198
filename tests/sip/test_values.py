"""URIs, addresses, Via and lists: what `sipmessage` alone would get wrong."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twsync.errors import FormatError
from twsync.sip import grammar
from twsync.sip.values import URI, Address, Parameters, Via


@pytest.mark.parametrize(
    "text",
    [
        "sip:alice@example.org",
        "sips:alice:pa$s@example.org:5061;transport=tls;lr",
        "sip:host1",
        "sip:my_container:5060",
        "sip:a@[2001:db8::1]:5060",
        "sip:192.0.2.1",
        "sip:user;par=u%40example.net@example.com",
        "sip:a@b?Route=%3Csip:c%3E&Subject=x",
        "sip:%FF@example.org",
        "sip:%00@example.org",
        "soap.beep://192.0.2.103:3002",
        "urn:uuid:00000000-0000-0000-0000-000000000000",
        "isbn:2983792873",
        "tel:+1-201-555-0123;phone-context=x",
    ],
)
def test_a_uri_is_written_as_it_was_read(text: str) -> None:
    assert str(URI.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip:",
        "alice@example.org",
        "sip:@example.org",
        "sip:a@",
        "sip:a b@c",
        "sip:a@b:99999",
        "sip:a@b:",
        "sip:a@b:+5",
        "sip:a@b;",
        "sip:a@b;x=",
        "sip:a@b;x=1;X=2",
        "sip:a@[::1",
        "sip:a@[fe80::1%25eth0]",
        "sip:a@b..c",
        "sip:a%4@b",
        "sip:a%zz@b",
        "<sip:a@b>",
        "sip:a@b?",
        "http:",
        "x:a<b",
        "sip:a@-b",
        "sip:a@b\n",
        "sip:\u0661@b",
        "sip:a@b;\u0661=1",
    ],
)
def test_a_uri_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        URI.parse(text)


def test_escapes_in_a_uri_mean_their_characters() -> None:
    uri = URI.parse("sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31")
    assert uri.user == "caller"
    assert uri.parameters == {"lr": None, "name": "value%41"}
    assert str(uri) == "sip:caller@host5.example.net;lr;name=value%2541"


def test_a_list_of_quoted_names_is_cut_at_the_right_commas() -> None:
    found = Address.parse_list('"a, <sip:x@y>" <sip:a@h>, "b\\"" <sip:b,c@h>;p="1;2,3", sip:d@h;q=0.5')
    assert [address.name for address in found] == ["a, <sip:x@y>", 'b"', ""]
    assert [address.uri.user for address in found] == ["a", "b,c", "d"]
    assert found[1].parameters["p"] == "1;2,3"
    assert found[2].parameters == {"q": "0.5"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "<sip:a@b>,",
        "<sip:a@b",
        "sip:a@b>",
        '"a <sip:a@b>',
        '"a"',
        '"a" x <sip:a@b>',
        "a, b <sip:a@b>",
        "< sip:a@b >",
        "<<sip:a@b>>",
        "sip:a@b?Route=x",
        "<sip:a@b>;;x",
        "<sip:a@b>;x=",
        "<sip:a@b>;x=a b",
        '<sip:a@b>;x="a" b',
        "<sip:a@b>;x=1;X=2",
        "<sip:a@b> x",
        "<sip:a@b>;tag=",
        "*",
    ],
)
def test_a_malformed_address_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        Address.parse_list(text)


def test_feature_tags_survive_writing() -> None:
    text = '<sips:a@192.0.2.7:40112;transport=tls;ob>;+sip.instance="<urn:uuid:1>";reg-id=1;+vnd.twsync.device="lap\\"top"'
    address = Address.parse(text)
    assert address.parameters["+SIP.instance"] == "<urn:uuid:1>"
    assert address.parameters["+vnd.twsync.device"] == 'lap"top'
    assert str(address) == text


def test_a_tag_is_never_percent_decoded() -> None:
    address = Address.parse("<sip:a@b>;tag=a%20b%41")
    assert address.tag == "a%20b%41"
    assert str(address) == "<sip:a@b>;tag=a%20b%41"
    assert str(address.with_tag("x")) == "<sip:a@b>;tag=x"


def test_parameters_know_no_case_and_keep_their_order() -> None:
    parameters = Parameters({"Tag": "1", "lr": None})
    assert parameters["tag"] == "1"
    assert "LR" in parameters
    assert str(parameters.set({"TAG": "2", "x": "a b"})) == ';TAG=2;lr;x="a b"'
    assert parameters.without("LR") == {"tag": "1"}
    assert parameters == Parameters(lr=None, tag="1")
    with pytest.raises(FormatError):
        str(Parameters({"a b": "1"}))
    with pytest.raises(FormatError):
        str(Parameters({"a": "x\r\ny"}))


def test_via_is_read_with_all_its_white_space() -> None:
    found = Via.parse_list(
        'SIP  / 2.0  / TCP     spindle.example.com   ; branch  =   z9hG4bK9ikj8  , SIP/2.0/UDP [2001:db8::9]:5060;rport;x="a,b"'
    )
    assert [str(via) for via in found] == [
        "SIP/2.0/TCP spindle.example.com;branch=z9hG4bK9ikj8",
        'SIP/2.0/UDP [2001:db8::9]:5060;rport;x="a,b"',
    ]
    assert found[0].branch == "z9hG4bK9ikj8"
    for text in ("SIP/2.0/UDP", "SIP/1.0/UDP a", "SIP/2.0/UDP a b", "SIP/2.0/UDP a:0x5", "HTTP/2.0/UDP a", ""):
        with pytest.raises(FormatError):
            Via.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "<" * 8000,
        '"' + "\\" * 7999,
        ";a=" * 2700,
        "a" * 8000,
        ",".join(["a"] * 4000),
        '""' * 4000,
        "sip:" + "a." * 4000,
        "sip:[" + ":" * 7000,
        "sip:a@" + "a-" * 4000,
        "sip:" + "%" * 8000,
        " " * 8000,
        "SIP/2.0/UDP " + " " * 8000 + "x y",
        "a=b;" * 2000,
    ],
)
def test_hostile_lines_take_no_time(text: str) -> None:
    before = time.process_time()
    for parse in (URI.parse, Address.parse_list, Via.parse_list, Parameters.parse, grammar.split_list):
        try:
            parse(text)
        except FormatError:
            continue
    assert time.process_time() - before < 0.5


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_text_is_read_or_refused_and_what_is_read_is_written_the_same(text: str) -> None:
    for cls in (URI, Address, Via):
        try:
            value = cls.parse(text)
        except FormatError:
            continue
        assert cls.parse(str(value)) == value


@given(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=30))
@settings(max_examples=200, deadline=None)
def test_quoting_comes_back(text: str) -> None:
    assert grammar.unquote(grammar.quote(text)) == text
    assert not grammar.has_control(grammar.quote(text).replace("\t", ""))
