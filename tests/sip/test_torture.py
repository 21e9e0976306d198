"""The torture messages of RFC 4475, as far as they apply to a stream.

The messages are the RFC's, by their names there; bodies are cut to a few bytes, and Content-Length is that of the body wherever the
test is not about it. Left out: `clerr` (on a stream, waiting for the rest is right) and `inv2543`'s missing Content-Length (not
allowed on a stream).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from twsync.errors import FormatError
from twsync.sip.framing import Framer, Malformed, serialize
from twsync.sip.message import Message, Request, Response
from twsync.sip.uri import Domain

UNUSUAL = "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com"
Read = Callable[..., Message]
COMMON = """
To: sip:j.user@example.com
From: sip:caller@example.net;tag=134161461246
Max-Forwards: 7
Call-ID: torture.0ha0isndaksdj
CSeq: 8 {method}
Via: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw
"""


def common(first: str, method: str, *changes: tuple[str, str], more: str = "") -> str:
    text = first + COMMON.format(method=method) + more
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text.rstrip("\n")


def test_wsinv_a_short_tortuous_invite(read: Read) -> None:
    message = read(
        r"""
INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0
TO :
 sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n
from   : "J Rosenberg \\\""       <sip:jdrosen@example.com>
  ;
  tag = 98asjd8
MaX-fOrWaRdS: 0068
Call-ID: wsinv.ndaksdj@192.0.2.1
cseq: 0009
  INVITE
Via  : SIP  /   2.0
 /UDP
    192.0.2.2;branch=390skdjuw
s :
NewFangledHeader:   newfangled value
 continued newfangled value
UnknownHeaderWithUnusualValue: ;;,,;;,;
Content-Type: application/sdp
Route:
 <sip:services.example.com;lr;unknownwith=value;unknown-no-value>
v:  SIP  / 2.0  / TCP     spindle.example.com   ;
  branch  =   z9hG4bK9ikj8  ,
 SIP  /    2.0   / UDP  192.168.255.111   ; branch=
 z9hG4bK30239
m:"Quoted string \"\"" <sip:jdrosen@example.com> ; newparam =
      newvalue ;
  secondparam ; q = 0.33
""",
        b"v=0\r\n",
    )
    assert isinstance(message, Request)
    assert message.uri.parameters == {"unknownparam": None}
    assert message.to_tag == "1918181833n"
    assert message.from_address.name == 'J Rosenberg \\"'
    assert message.from_tag == "98asjd8"
    assert message.max_forwards == 68
    assert (message.cseq.sequence, message.cseq.method) == (9, "INVITE")
    assert [via.parameters["branch"] for via in message.via] == ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]
    assert message.subject == ""
    assert message.headers["NewFangledHeader"] == "newfangled value continued newfangled value"
    assert message.headers["UnknownHeaderWithUnusualValue"] == ";;,,;;,;"
    assert message.contact[0].name == 'Quoted string ""'
    assert message.contact[0].parameters == {"newparam": "newvalue", "secondparam": None, "q": "0.33"}
    assert message.route[0].uri.parameters["unknownwith"] == "value"


def test_intmeth_a_wide_range_of_valid_characters(to_wire: Callable[..., bytes]) -> None:
    data = (
        to_wire(r"""
!interesting-Method0123456789_*+`.%indeed'~ URI SIP/2.0
Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~
To: "BEL:\BELL NUL:\NULL DEL:\DELETE" <sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com>
From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%="работающий";tag=_token~1'+`*%!-.
Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\/"][?}{
CSeq: 139122385 !interesting-Method0123456789_*+`.%indeed'~
Max-Forwards: 255
extensionHeader-!.%*+_`'~:大停電
""")
        .replace(b" URI ", f" {UNUSUAL} ".encode())
        .replace(b"BELL", b"\x07")
        .replace(b"NULL", b"\x00")
        .replace(b"DELETE", b"\x7f")
    )
    (message,) = Framer().feed(data)
    assert isinstance(message, Request)
    assert message.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert message.uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert message.uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert message.to_address.name == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert message.from_address.parameters["fromParam''~+*_!.-%"] == "работающий"
    assert message.from_tag == "_token~1'+`*%!-."
    assert message.headers["extensionHeader-!.%*+_`'~"] == "大停電"
    assert Framer().feed(serialize(message))[0].uri == message.uri  # type: ignore[union-attr]


def test_esc01_escapes_in_uris(read: Read) -> None:
    message = read(
        common(
            "INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0",
            "INVITE",
            ("sip:j.user@example.com", "sip:%75se%72@example.com"),
            more="Contact:\n  <sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>",
        )
    )
    assert isinstance(message, Request)
    assert message.uri.user == "sips:user@example.com"
    assert message.to_address.uri.user == "user"
    assert message.contact[0].uri.parameters == {"lr": None, "name": "value%41"}


def test_esc02_a_percent_sign_that_is_no_escape(read: Read) -> None:
    message = read(
        common(
            "RE%47IST%45R sip:registrar.example.com SIP/2.0",
            "RE%47IST%45R",
            ("sip:j.user@example.com", '"%Z%45" <sip:resource@example.com>'),
            more="Contact: <sip:alias1@h1.example.com>\nC%6Fntact: <sip:alias2@h2.example.com>\nContact: <sip:alias3@h3.example.com>",
        )
    )
    assert isinstance(message, Request)
    assert message.method == "RE%47IST%45R"
    assert message.to_address.name == "%Z%45"
    assert [address.uri.user for address in message.contact] == ["alias1", "alias3"]


def test_escnull_an_escaped_nul_in_a_uri_names_no_user_here(read: Read) -> None:
    message = read(
        common(
            "REGISTER sip:example.com SIP/2.0",
            "REGISTER",
            ("sip:j.user@example.com", "sip:null-%00-null@example.com"),
            more="Contact: <sip:%00@host5.example.com>\nContact: <sip:%00%00@host5.example.com>",
        )
    )
    assert message.to_address.uri.user == "null-\0-null"
    assert [address.uri.user for address in message.contact] == ["\0", "\0\0"]
    assert Domain("example.com").user(message.to_address.uri) is None


def test_lwsdisp_no_space_between_name_and_bracket(read: Read) -> None:
    message = read(common("OPTIONS sip:user@example.com SIP/2.0", "OPTIONS", ("sip:caller@example.net", "caller<sip:caller@example.com>")))
    assert message.from_address.name == "caller"
    assert message.from_tag == "134161461246"


def test_longreq_long_values(read: Read) -> None:
    long = "extreme" * 40
    message = read(
        common(
            "INVITE sip:user@example.com SIP/2.0",
            "INVITE",
            ("sip:j.user@example.com", f'"I have a user name of {long}"<sip:user@example.com:6000;{long}=x;{long}x>'),
            ("tag=134161461246", f"tag={'1298' * 60};unknownheaderparam{long}={long}"),
            more="\n".join(f"Via: SIP/2.0/TCP sip{hop}.example.com" for hop in range(34)),
        )
    )
    assert message.to_address.uri.port == 6000
    assert message.from_tag == "1298" * 60
    assert len(message.via) == 35


def test_dblreq_two_requests_in_one_chunk(to_wire: Callable[..., bytes]) -> None:
    first = to_wire(common("REGISTER sip:example.com SIP/2.0", "REGISTER"))
    second = to_wire(common("INVITE sip:joe@example.com SIP/2.0", "INVITE"), b"v=0\r\n")
    found = Framer().feed(first + b"\r\n" + second)
    assert [message.method for message in found if isinstance(message, Request)] == ["REGISTER", "INVITE"]


def test_semiuri_a_semicolon_in_the_user(read: Read) -> None:
    message = read(common("OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0", "OPTIONS"))
    assert isinstance(message, Request)
    assert message.uri.user == "user;par=u@example.net"
    assert message.uri.parameters == {}


def test_transports_unknown_ones_pass(read: Read) -> None:
    message = read(
        common(
            "OPTIONS sip:user@example.com SIP/2.0", "OPTIONS", more="Via: SIP/2.0/SCTP t2.example.com\nVia: SIP/2.0/UNKNOWN t4.example.com"
        )
    )
    assert [via.transport for via in message.via] == ["UDP", "SCTP", "UNKNOWN"]


def test_mpart01_a_binary_body_is_kept(read: Read) -> None:
    body = b"--7a9\r\nContent-Type: text/plain\r\n\r\nHello\r\n--7a9\r\n\r\n0\x82\x01\x52\x00\xff\r\n\r\n--7a9--"
    assert read(common("MESSAGE sip:kumiko@example.org SIP/2.0", "MESSAGE"), body).body == body


@pytest.mark.parametrize(
    ("line", "code", "phrase"),
    [
        ("SIP/2.0 200 = 2**3 * 5**2 но сто девяносто девять - простое", 200, "= 2**3 * 5**2 но сто девяносто девять - простое"),
        ("SIP/2.0 100 ", 100, ""),
        ("SIP/2.0 200 OK", 200, "OK"),
    ],
    ids=["unreason", "noreason", "bcast"],
)
def test_unusual_status_lines(read: Read, line: str, code: int, phrase: str) -> None:
    message = read(common(line, "INVITE", more="Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23"))
    assert isinstance(message, Response)
    assert (message.code, message.phrase) == (code, phrase)


@pytest.mark.parametrize(
    ("first", "method", "change", "more"),
    [
        pytest.param("OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0", "OPTIONS", None, "", id="unkscm"),
        pytest.param("OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0", "OPTIONS", None, "", id="novelsc"),
        pytest.param(
            "REGISTER sip:example.com SIP/2.0",
            "REGISTER",
            ("sip:j.user@example.com", "isbn:2983792873"),
            "Contact: <name:John_Smith>",
            id="unksm2",
        ),
        pytest.param(
            "OPTIONS sip:user@example.com SIP/2.0", "OPTIONS", None, "Require: nothingSupportsThis, nothingSupportsThisEither", id="bext01"
        ),
        pytest.param("INVITE sip:user@example.com SIP/2.0", "INVITE", None, "Content-Type: application/unknownformat", id="invut"),
        pytest.param(
            "REGISTER sip:example.com SIP/2.0", "REGISTER", None, "Authorization: NoOneKnowsThisScheme opaque-data=here", id="regaut01"
        ),
        pytest.param("OPTIONS sip:user@example.com SIP/2.0", "OPTIONS", ("Max-Forwards: 7", "Max-Forwards: 0"), "", id="zeromf"),
        pytest.param(
            "REGISTER sip:example.com SIP/2.0", "REGISTER", None, "Contact: sip:+19725552222@gw1.example.net;unknownparam", id="cparam01"
        ),
        pytest.param(
            "REGISTER sip:example.com SIP/2.0", "REGISTER", None, "Contact: <sip:+19725552222@gw1.example.net;unknownparam>", id="cparam02"
        ),
        pytest.param(
            "REGISTER sip:example.com SIP/2.0",
            "REGISTER",
            None,
            "Contact: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>",
            id="regescrt",
        ),
        pytest.param("INVITE sip:UserB@example.com SIP/2.0", "INVITE", (";branch=z9hG4bKkdjuw", ""), "", id="inv2543"),
        pytest.param("OPTIONS sip:user@example.com SIP/2.0", "OPTIONS", ("z9hG4bKkdjuw", "z9hG4bK"), "", id="badbranch"),
        pytest.param("INVITE sip:user@example.com SIP/2.0", "INVITE", None, "Date: Fri, 01 Jan 2010 16:00:00 EST", id="baddate"),
    ],
)
def test_what_only_a_user_of_the_message_can_judge_is_passed_on(
    read: Read, first: str, method: str, change: tuple[str, str] | None, more: str
) -> None:
    message = read(common(first, method, *([change] if change else []), more=more))
    assert isinstance(message, Request)
    assert str(message.uri) == first.split(" ")[1].replace("nobodyKnowsThisScheme", "nobodyknowsthisscheme")


def test_contact_parameters_stand_where_they_were_written(read: Read) -> None:
    outside = read(
        common("REGISTER sip:example.com SIP/2.0", "REGISTER", more="Contact: sip:+19725552222@gw1.example.net;unknownparam")
    ).contact[0]
    inside = read(
        common("REGISTER sip:example.com SIP/2.0", "REGISTER", more="Contact: <sip:+19725552222@gw1.example.net;unknownparam>")
    ).contact[0]
    assert ("unknownparam" in outside.parameters, "unknownparam" in outside.uri.parameters) == (True, False)
    assert ("unknownparam" in inside.parameters, "unknownparam" in inside.uri.parameters) == (False, True)


@pytest.mark.parametrize(
    ("first", "method", "change", "more", "status"),
    [
        pytest.param(
            "INVITE sip:user@example.com SIP/2.0", "INVITE", ("UDP 192.0.2.15", "UDP 192.0.2.15;;,;,,"), "", 400, id="badinv01 Via"
        ),
        pytest.param(
            "INVITE sip:user@example.com SIP/2.0", "INVITE", None, 'Contact: "Joe" <sip:joe@example.org>;;;;', 400, id="badinv01 Contact"
        ),
        pytest.param(
            "REGISTER sip:example.com SIP/2.0", "REGISTER", ("CSeq: 8", "CSeq: 36893488147419103232"), "", 400, id="scalar02 CSeq"
        ),
        pytest.param("REGISTER sip:example.com SIP/2.0", "REGISTER", ("Forwards: 7", "Forwards: 300"), "", 400, id="scalar02 Max-Forwards"),
        pytest.param("REGISTER sip:example.com SIP/2.0", "REGISTER", None, "Expires: 1" + "0" * 100, 400, id="scalar02 Expires"),
        pytest.param(
            "INVITE sip:user@example.com SIP/2.0",
            "INVITE",
            ("sip:j.user@example.com", '"Mr. J. User <sip:j.user@example.com>'),
            "",
            400,
            id="quotbal",
        ),
        pytest.param("INVITE <sip:user@example.com> SIP/2.0", "INVITE", None, "", 400, id="ltgtruri"),
        pytest.param("INVITE sip:user@example.com; lr SIP/2.0", "INVITE", None, "", 400, id="lwsruri"),
        pytest.param("INVITE  sip:user@example.com  SIP/2.0", "INVITE", None, "", 400, id="lwsstart"),
        pytest.param("OPTIONS sip:remote-target@example.com SIP/2.0  ", "OPTIONS", None, "", 400, id="trws"),
        pytest.param("INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0", "INVITE", None, "", 400, id="escruri"),
        pytest.param(
            "REGISTER sip:example.com SIP/2.0",
            "REGISTER",
            None,
            "Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E",
            400,
            id="regbadct",
        ),
        pytest.param(
            "OPTIONS sip:user@example.org SIP/2.0",
            "OPTIONS",
            ("sip:j.user@example.com", '"Watson, Thomas" < sip:t.watson@example.org >'),
            "",
            400,
            id="badaspec",
        ),
        pytest.param(
            "OPTIONS sip:user@example.org SIP/2.0",
            "OPTIONS",
            ("sip:j.user@example.com", "Watson, Thomas <sip:t.watson@example.org>"),
            "",
            400,
            id="baddn",
        ),
        pytest.param("OPTIONS sip:t.watson@example.org SIP/7.0", "OPTIONS", None, "", 505, id="badvers"),
        pytest.param("OPTIONS sip:user@example.com SIP/2.0", "INVITE", None, "", 400, id="mismatch01"),
        pytest.param("NEWMETHOD sip:user@example.com SIP/2.0", "INVITE", None, "", 400, id="mismatch02"),
        pytest.param("INVITE sip:user@company.com SIP/2.0", "INVITE", None, "CSeq: 59 INVITE", 400, id="multi01 CSeq"),
        pytest.param(
            "INVITE sip:user@company.com SIP/2.0", "INVITE", None, "From: sip:caller@example.net;tag=2923420123", 400, id="multi01 From"
        ),
        pytest.param("INVITE sip:user@company.com SIP/2.0", "INVITE", None, "Max-Forwards: 5", 400, id="multi01 Max-Forwards"),
        pytest.param("INVITE sip:user@example.com SIP/2.0", "INVITE", ("Call-ID:", "Other:"), "", 400, id="insuf"),
        pytest.param("SIP/2.0 4294967301 better not break the receiver", "INVITE", None, "", 400, id="bigcode"),
        pytest.param("SIP/2.0 503 Service Unavailable", "OPTIONS", ("CSeq: 8", "CSeq: 9292394834772304023312"), "", 400, id="scalarlg"),
    ],
)
def test_invalid_messages_are_refused_and_the_stream_goes_on(
    to_wire: Callable[..., bytes], first: str, method: str, change: tuple[str, str] | None, more: str, status: int
) -> None:
    good = to_wire(common("OPTIONS sip:user@example.com SIP/2.0", "OPTIONS"))
    framer = Framer()
    found = framer.feed(to_wire(common(first, method, *([change] if change else []), more=more)) + good)
    assert [type(event) for event in found] == [Malformed, Request]
    assert isinstance(found[0], Malformed)
    assert found[0].status == status
    assert found[0].is_request is not first.startswith("SIP/2.0 ")
    assert not framer.unfinished


@pytest.mark.parametrize("lengths", ["Content-Length: 13\nContent-Length: 5", "Content-Length: -999"], ids=["mcl01", "ncl"])
def test_a_doubtful_length_ends_the_stream(to_wire: Callable[..., bytes], lengths: str) -> None:
    with pytest.raises(FormatError):
        Framer().feed(to_wire(common("OPTIONS sip:user@example.com SIP/2.0", "OPTIONS", more=lengths), length=False) + b"There's no way")
