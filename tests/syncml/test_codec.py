"""Whole messages: the recorded sessions, sizes, what is refused, what is forgiven."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from twsync import limits
from twsync.errors import FormatError
from twsync.syncml import codec
from twsync.syncml.document import (
    Alert,
    Anchor,
    Change,
    Cred,
    DevInf,
    Encoding,
    Filter,
    Group,
    Header,
    Item,
    Location,
    Map,
    MapItem,
    Mem,
    Message,
    Meta,
    Other,
    Protocol,
    Put,
    Results,
    Status,
    Sync,
)

VECTORS = Path(__file__).parent.parent / "vectors" / "syncml"
RECORDED = sorted(VECTORS.rglob("*-r??.[wx]*ml"))
HEADER = Header(Protocol.V1_2, "1", "2", Location("http://h/s"), Location("dev"))
XML_HEADER = (
    "<SyncHdr><VerDTD>1.2</VerDTD><VerProto>SyncML/1.2</VerProto><SessionID>1</SessionID><MsgID>2</MsgID>"
    "<Target><LocURI>http://h/s</LocURI></Target><Source><LocURI>dev</LocURI></Source></SyncHdr>"
)


def xml(body: str, header: str = XML_HEADER, root: str = "<SyncML>") -> Message:
    """Decode an XML message."""
    return codec.decode(f"{root}{header}<SyncBody>{body}</SyncBody></SyncML>".encode(), "application/vnd.syncml+xml").message


def test_there_are_recordings() -> None:
    assert len(RECORDED) == 36


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_recorded_messages(path: Path) -> None:
    """Nothing is lost in either encoding; in the recorded one even the length is the same."""
    data = path.read_bytes()
    decoded = codec.decode(data, None)
    message = decoded.message
    assert decoded.encoding is (Encoding.XML if path.suffix == ".xml" else Encoding.WBXML)
    assert not message.header.foreign
    assert message.body
    again = codec.encode(message, decoded.encoding)
    assert codec.decode(again).message == message
    assert len(again) == len(data)
    binary = codec.encode(message, Encoding.WBXML)
    assert codec.decode(binary) == codec.Decoded(message, Encoding.WBXML)
    text = codec.encode(message, Encoding.XML).replace(b"\r\n", b"&#13;\n")
    assert codec.decode(text) == codec.Decoded(message, Encoding.XML)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.name}")
@pytest.mark.parametrize("encoding", Encoding)
def test_sizes_add_up(path: Path, encoding: Encoding) -> None:
    """Of commands in the body, and of those in a Sync."""
    message = codec.decode(path.read_bytes()).message
    protocol = message.header.protocol
    total = len(codec.encode(Message(message.header, (), True), encoding))
    for command in message.body:
        if isinstance(command, Sync):
            total += len(codec.part(msgspec.structs.replace(command, commands=()), encoding, protocol))
            total += sum(len(codec.part(inside, encoding, protocol)) for inside in command.commands)
        else:
            total += len(codec.part(command, encoding, protocol))
    assert total == len(codec.encode(msgspec.structs.replace(message, final=True), encoding))


def test_what_the_first_recorded_message_says() -> None:
    """Read once by eye."""
    message = codec.decode((VECTORS / "slow1" / "01-req.wbxml").read_bytes()).message
    assert message.header.source == Location("sc-api-nat-test", "alice")
    assert message.header.cred == Cred("lOnT4YjHnGPOubN9TXInoQ==", Meta(format="b64", type="syncml:auth-md5"))
    assert message.header.meta == Meta(max_msg_size=150000, max_obj_size=4000000)
    put, get, alert = message.body
    assert isinstance(put, Put)
    assert isinstance(get, Put)
    assert isinstance(alert, Alert)
    assert (put.name, get.name, alert.code, message.final) == ("Put", "Get", "201", True)
    devinf = put.items[0].data
    assert isinstance(devinf, DevInf)
    assert devinf.device_id == "sc-api-nat-test"
    assert devinf.utc and devinf.large_objects and devinf.number_of_changes
    assert put.meta == get.meta == Meta(type="application/vnd.syncml-devinf+xml")
    store = devinf.datastores[0]
    assert store.rx_pref is not None
    assert (store.source_ref, store.rx_pref.type, store.max_guid_size) == ("./addressbook", "text/vcard", 64)
    assert {found.name for found in store.ctcaps[0].properties} >= {"BEGIN", "N", "TEL"}
    assert alert.items[0].meta is not None
    assert alert.items[0].meta.anchor is not None


EVERYTHING = (
    Status("1", "1", "0", "SyncHdr", "212", ("t",), ("s",), None, Meta("b64", "syncml:auth-md5", next_nonce="bm8=")),
    Status("2", "1", "3", "Alert", "200", items=(Item(data=Meta(anchor=Anchor("n"))),)),
    Alert("3", "200", (Item(Location("a"), Location("b"), meta=Meta(anchor=Anchor("n", "l"), max_obj_size=5)),), no_resp=True),
    Put("Put", "4", (Item(data="x"),), Meta(type="text/plain"), "en", True, Cred("c", Meta(format="b64"))),
    Results("5", "4", "1", (Item(data="x"),), Meta(type="t"), "tr", "sr"),
    Map("6", Location("a"), Location("b"), (MapItem("g", "l"),), Meta(version="1"), Cred("c")),
    Sync(
        "7",
        Location("a", "name"),
        Location("b"),
        (
            Change("Delete", "8", (Item(source=Location("1"), meta=Meta(emi=("twsync-version=AA==", "x"))),), None, True, None, True, True),
            Change("Add", "9", (Item(source=Location("2"), data="a & b < c ]]> d", meta=Meta("chr", "t", "draft", 15), more_data=True),)),
            Group("Sequence", "10", (Change("Replace", "11", (Item(data=""),)), Group("Atomic", "12", (), Meta(type="t"), True))),
        ),
        3,
        Meta(mem=Mem(1, 2, True)),
        True,
        Cred("c"),
    ),
    Other("Exec", "13", True),
    Change("Copy", "14", (Item(),)),
)
NEWER = (
    Alert("20", "200", (Item(Location("a", filter=Filter(Meta(type="t"), Item(data="f"), Item(data="r"), "INCLUSIVE"))),), correlator="c"),
    Change("Move", "21", (Item(source_parent="p", target_parent="q", meta=Meta(field_level=True)),)),
)


@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize("encoding", Encoding)
def test_every_element(encoding: Encoding, protocol: Protocol) -> None:
    """There and back, in each version."""
    header = Header(protocol, "s", "1", Location("t"), Location("s", "user"), "http://r?a=b&c=d", True, Cred("c"), Meta(max_msg_size=1))
    body = EVERYTHING + (NEWER if protocol is Protocol.V1_2 else ())
    if protocol is Protocol.V1_0:
        body = tuple(command for command in EVERYTHING if not isinstance(command, Sync | Alert))
    message = Message(header, body, True)
    assert codec.decode(codec.encode(message, encoding)) == codec.Decoded(message, encoding)


@pytest.mark.parametrize("encoding", Encoding)
def test_advice_that_1_0_does_not_have_is_left_out(encoding: Encoding) -> None:
    header = msgspec.structs.replace(HEADER, protocol=Protocol.V1_0, meta=Meta(max_msg_size=5, max_obj_size=6))
    message = Message(header, (Sync("1", Location("a"), Location("b"), number_of_changes=4),))
    read = codec.decode(codec.encode(message, encoding)).message
    assert read.header.meta == Meta(max_msg_size=5)
    assert read.body == (Sync("1", Location("a"), Location("b")),)


@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize("command", NEWER, ids=lambda command: type(command).__name__)
def test_meaning_that_1_1_does_not_have_is_refused(encoding: Encoding, command: Alert | Change) -> None:
    with pytest.raises(FormatError, match="does not have"):
        codec.part(command, encoding, Protocol.V1_1)


def test_what_xml_cannot_hold() -> None:
    """Size says it too, so that a session can leave the item out."""
    for data in ("\x01", "a\0b", "\ufffe", "\ud800", b"\xff"):
        change = Change("Add", "1", (Item(data=data),))
        with pytest.raises(FormatError, match="base64"):
            codec.part(change, Encoding.XML, Protocol.V1_2)
    octets = Message(HEADER, (Change("Add", "1", (Item(data=b"\xff\0"),)),))
    assert codec.decode(codec.encode(octets, Encoding.WBXML)).message == octets


def test_order_and_namespaces_of_xml() -> None:
    """To the letter, as SyncEvolution writes it."""
    change = Change("Add", "5", (Item(source=Location("1"), meta=Meta("b64", "t", size=3), data="<>&", more_data=True),))
    assert codec.encode(Message(HEADER, (change,), True), Encoding.XML).decode() == (
        f'<?xml version="1.0" encoding="UTF-8"?><SyncML xmlns=\'SYNCML:SYNCML1.2\'>{XML_HEADER}<SyncBody><Add><CmdID>5</CmdID><Item>'
        "<Source><LocURI>1</LocURI></Source><Meta><Format xmlns='syncml:metinf'>b64</Format><Type xmlns='syncml:metinf'>t</Type>"
        "<Size xmlns='syncml:metinf'>3</Size></Meta><Data>&lt;&gt;&amp;</Data><MoreData/></Item></Add><Final/></SyncBody></SyncML>"
    )


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/vnd.syncml+wbxml; charset=UTF-8",
        "text/html",
        "application/vnd.syncml+xml;charset",
        "Application/Vnd.SyncML+XML",
    ],
)
def test_the_body_says_what_it_is(content_type: str | None) -> None:
    """Whatever the Content-Type is."""
    for encoding in Encoding:
        data = codec.encode(Message(HEADER), encoding)
        assert codec.decode(data, content_type).encoding is encoding


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"\r\n ", b""])
@pytest.mark.parametrize("end", [b"\0", b"\r\n", b""])
def test_around_an_xml_document(start: bytes, end: bytes) -> None:
    """BOM, blanks and C's NUL."""
    assert codec.decode(start + codec.encode(Message(HEADER), Encoding.XML) + end).message == Message(HEADER)


def test_charsets_of_xml() -> None:
    text = f"<SyncML>{XML_HEADER}<SyncBody><Add><CmdID>1</CmdID><Item><Data>é</Data></Item></Add></SyncBody></SyncML>"
    expected = Message(HEADER, (Change("Add", "1", (Item(data="é"),)),))
    assert codec.decode(text.encode("utf-16")).message == expected
    assert codec.decode(text.encode("latin-1"), 'application/vnd.syncml+xml; charset="ISO-8859-1"').message == expected
    assert codec.decode(b'<?xml version="1.0" encoding="iso-8859-1"?>' + text.encode("latin-1")).message == expected
    with pytest.raises(FormatError, match="well-formed"):
        codec.decode(text.encode("latin-1"))
    for charset in (b"utf-7", b"utf-16", b"rot13", b"hex", b"what"):
        with pytest.raises(FormatError, match="well-formed"):
            codec.decode(b'<?xml version="1.0" encoding="' + charset + b'"?>' + text.encode())
    assert codec.decode(text.encode(), "application/vnd.syncml+xml; charset=what").message == expected


@pytest.mark.parametrize(
    "root", ["<SyncML>", "<SyncML xmlns='syncml:syncml1.2'>", "<SyncML xmlns='x'>", "<!DOCTYPE SyncML PUBLIC 'a' 'http://b/c'><SyncML>"]
)
def test_roots(root: str) -> None:
    """No, an odd, a lower case namespace; a DOCTYPE that is not fetched."""
    assert xml("<Final/>", root=root) == Message(HEADER, (), True)


SUBSETS = (
    '<!DOCTYPE SyncML [<!ENTITY b "c">]>',
    "<!-- <!DOCTYPE x> --><?a b?>\n<!DOCTYPE SyncML PUBLIC 'a>' \"b\" [<!ENTITY % c 'd'> %c;]>",
    "<!DOCTYPE SyncML SYSTEM 'a'><!DOCTYPE SyncML [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>",
    "<!DOCTYPE SyncML [<!ENTITY b 'c'>",
)


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("subset", SUBSETS, ids=range(len(SUBSETS)))
def test_declarations_are_refused_in_every_charset(subset: str, charset: str) -> None:
    """Also without the mark that UTF-16 needs: then it is no XML at all."""
    text = f"<?xml version='1.0'?>{subset}<SyncML>{XML_HEADER}<SyncBody><Alert><CmdID>&b;</CmdID></Alert></SyncBody></SyncML>"
    with pytest.raises(FormatError):
        codec.decode(text.encode(charset))


def test_an_external_subset_is_never_read(tmp_path: Path) -> None:
    """Neither is its entity known then, though the file is there."""
    (tmp_path / "dtd").write_text('<!ENTITY b "1">')
    start = f"<!DOCTYPE SyncML SYSTEM '{tmp_path}/dtd'>"
    assert xml("<Final/>", root=f"{start}<SyncML>").final
    with pytest.raises(FormatError, match="entity"):
        xml("<Alert><CmdID>&b;</CmdID></Alert>", root=f"{start}<SyncML>")


def test_namespaces_of_xml_in_data() -> None:
    """They stay with the content, whatever prefixes were declared around it; undeclared ones are dropped."""
    data = '<f:File f:a="1" xml:lang="de" u:b="2"><u:x/><f:name xmlns:f="other">y</f:name></f:File>'
    found = xml(f"<Add><CmdID>1</CmdID><Item><Data>{data}</Data></Item></Add>", root='<SyncML xmlns="S" xmlns:f="F&amp;G">').body
    expected = '<File xmlns="F&amp;G" xmlns:a0="F&amp;G" a0:a="1" xml:lang="de" b="2"><x xmlns=""></x><name xmlns="other">y</name></File>'
    assert found == (Change("Add", "1", (Item(data=expected),)),)


def test_prefixes() -> None:
    """Of Oracle and others; also undeclared ones."""
    data = codec.encode(Message(HEADER, EVERYTHING), Encoding.XML).decode()
    prefixed = data.replace("</", "<|/").replace("<", "<s:").replace("<s:?", "<?").replace("<s:|/", "</s:")
    assert codec.decode(prefixed.encode()).message.body == EVERYTHING


def test_order_blanks_and_unknown_elements() -> None:
    """A command inside out."""
    message = xml(
        "\n <Vendor><Name>x</Name></Vendor><Add>\n<Item><MoreData/><Data>d</Data><Meta><Size> 007 </Size><What/><Type>\n t</Type></Meta>"
        "<Odd/><Source><LocName>n</LocName><LocURI> 1 </LocURI></Source></Item>\n<CmdID> 3\n</CmdID></Add><Final/>"
    )
    item = Item(source=Location(" 1 ", "n"), meta=Meta(type="t", size=7), data="d", more_data=True)
    assert message == Message(HEADER, (Change("Add", "3", (item,)),), True)


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "1e3", "٣", "9" * 40, " "])
def test_numbers_that_are_none(text: str) -> None:
    """They are advice: not said."""
    assert xml(f"<Sync><CmdID>1</CmdID><NumberOfChanges>{text}</NumberOfChanges></Sync>").body == (Sync("1"),)


def test_metinf_around_the_children() -> None:
    found = xml("<Alert><CmdID>1</CmdID><Item><Meta><MetInf><Anchor><Next>5</Next></Anchor></MetInf></Meta></Item></Alert>").body
    assert found == (Alert("1", items=(Item(meta=Meta(anchor=Anchor("5"))),)),)


def test_status_without_references() -> None:
    assert xml("<Status><CmdID>1</CmdID><CmdRef>2</CmdRef><Data>200</Data></Status>").body == (Status("1", "1", "2", "", "200"),)


def test_devinf_in_cdata() -> None:
    """Mobical; also without a Type, in a Results and in WBXML as text."""
    inside = "<DevInf xmlns='syncml:devinf'><VerDTD>1.1</VerDTD><DevID>d</DevID><DevTyp>phone</DevTyp></DevInf>"
    expected = DevInf(Protocol.V1_1, "d", "phone")
    for data in (inside, f"<![CDATA[{inside}]]>", f"<![CDATA[\n<?xml version='1.0'?>{inside}]]>"):
        (command,) = xml(f"<Put><CmdID>1</CmdID><Item><Data>{data}</Data></Item></Put>").body
        assert command == Put("Put", "1", (Item(data=expected),))
    text = codec.encode(Message(HEADER, (Results("1", "2", items=(Item(data=inside),)),)), Encoding.WBXML)
    assert codec.decode(text).message.body == (Results("1", "2", items=(Item(data=expected),)),)


@pytest.mark.parametrize(
    "data", ["<DevInf>", "\x02\x01", b"\x03\xff\xff", "nothing", "<Other/>", '<!DOCTYPE a [<!ENTITY b "c">]><DevInf/>']
)
def test_broken_devinf_does_not_cost_the_session(data: str | bytes) -> None:
    """It stays as it is."""
    message = Message(HEADER, (Put("Put", "1", (Item(data=data),)),))
    assert codec.decode(codec.encode(message, Encoding.WBXML)).message == message


def test_too_many_devinfs() -> None:
    put = Put("Put", "1", (Item(data="<a/>"),) * (limits.MAX_DEVINFS + 1))
    with pytest.raises(FormatError, match="device informations"):
        codec.decode(codec.encode(Message(HEADER, (put,)), Encoding.WBXML))


def test_xml_in_data_stays_text() -> None:
    """OMA folders and files without CDATA."""
    found = xml('<Add><CmdID>1</CmdID><Item><Data><File a="&lt;&quot;"><name>x &amp; y</name><b/></File></Data></Item></Add>').body
    assert found == (Change("Add", "1", (Item(data='<File a="&lt;&quot;"><name>x &amp; y</name><b></b></File>'),)),)


def test_cdata_and_split_cdata() -> None:
    found = xml("<Add><CmdID>1</CmdID><Item><Data><![CDATA[a]]]]><![CDATA[>b<c>]]> d</Data></Item></Add>").body
    assert found == (Change("Add", "1", (Item(data="a]]>b<c> d"),)),)


@pytest.mark.parametrize("data", ["\ufeffa", "a\0", "\ufeffa\0\0"])
def test_marks_and_ends_of_c_strings(data: str) -> None:
    message = Message(HEADER, (Change("Add", "1", (Item(data=data),)),))
    (change,) = codec.decode(codec.encode(message, Encoding.WBXML)).message.body
    assert change == Change("Add", "1", (Item(data="a"),))


def test_raw_md5() -> None:
    """16 octets in WBXML are not text, and not shown."""
    header = msgspec.structs.replace(HEADER, cred=Cred(b"\x80" * 16, Meta(type="syncml:auth-md5")))
    found = codec.decode(codec.encode(Message(header), Encoding.WBXML)).message.header
    assert found == header
    assert "128" not in repr(found) and "x80" not in repr(found)


@pytest.mark.parametrize(("proto", "version"), [("DM/1.2", "1.2"), ("SyncML/1.3", "1.3"), ("SyncML/9", "1.2"), ("", "2.0")])
def test_foreign_versions(proto: str, version: str) -> None:
    """They are read, so that they can be answered."""
    header = XML_HEADER.replace("SyncML/1.2", proto).replace("<VerDTD>1.2", f"<VerDTD>{version}")
    found = xml("", header).header
    assert found.foreign == (proto or version)
    assert found.protocol is Protocol.V1_2


@pytest.mark.parametrize("proto", ["SyncML/1.2", "syncml/1.1", " SyncML/1.0 ", ""])
def test_versions_of_ours(proto: str) -> None:
    """VerDTD says which."""
    found = xml("", XML_HEADER.replace("SyncML/1.2", proto)).header
    assert not found.foreign
    assert found.protocol is Protocol.V1_2


@pytest.mark.parametrize("name", ["VerDTD", "SessionID", "MsgID", "Target", "Source"])
def test_header_without(name: str) -> None:
    start, rest = XML_HEADER.split(f"<{name}>", 1)
    with pytest.raises(FormatError, match=name):
        xml("", start + rest.split(f"</{name}>", 1)[1])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "neither"),
        (b"hello", "neither"),
        (b"\x00\x9f\x53", "neither"),
        (b"<", "well-formed"),
        (b"<a/>", "no SyncML message"),
        (b"<SyncML/>", "without SyncHdr"),
        (b"<SyncML></SyncML>x", "well-formed"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><SyncML>&b;</SyncML>', "DOCTYPE"),
        (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><SyncML>&b;</SyncML>', "DOCTYPE"),
        (b"<!DOCTYPE a []><SyncML/>", "DOCTYPE"),
        (b"<SyncML>&b;</SyncML>", "well-formed"),
        (b'<!DOCTYPE a SYSTEM "b"><SyncML>&c;</SyncML>', "entity"),
        (b"<SyncML>\x01</SyncML>", "well-formed"),
        (b"<SyncML xmlns:n='" + b"n" * 300 + b"'/>", "namespace of more"),
        (b"<SyncML xmlns:n='%s'><Data>%s</Data></SyncML>" % (b"n" * 190, b"<n:a><b xmlns=''/></n:a>" * 30_000), "namespaces become"),
        (b"<SyncML>" * 70, "nested deeper"),
        (b"<SyncML><Data>" + b"<x>" * 70, "nested deeper"),
        (b"<SyncML>" + b"<a/>" * limits.MAX_SYNCML_ELEMENTS + b"</SyncML>", "elements"),
        (b"<SyncML>" + b" " * limits.MAX_SYNCML_DOCUMENT, "bytes"),
    ],
    ids=range(19),
)
def test_what_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(FormatError, match=why):
        codec.decode(data)


def test_counts_and_lengths_are_limited() -> None:
    too_many = tuple(Change("Add", str(number)) for number in range(limits.MAX_SYNCML_COMMANDS + 1))
    with pytest.raises(FormatError, match="commands"):
        codec.decode(codec.encode(Message(HEADER, (Sync("1", commands=too_many),)), Encoding.WBXML))
    items = Change("Add", "1", (Item(),) * (limits.MAX_SYNCML_ITEMS + 1))
    with pytest.raises(FormatError, match="items"):
        codec.decode(codec.encode(Message(HEADER, (items,)), Encoding.WBXML))
    long = Change("Add", "1", (Item(source=Location("x" * (limits.MAX_SYNCML_TEXT + 1))),))
    for encoding in Encoding:
        with pytest.raises(FormatError, match="LocURI"):
            codec.decode(codec.encode(Message(HEADER, (long,)), encoding))


def test_alert_of_a_server_in_1_1() -> None:
    """The notification before 1.2 is an ordinary message."""
    header = Header(Protocol.V1_1, "17", "1", Location("/"), Location("server"))
    alert = Alert("1", "206", (Item(source=Location("./contacts"), meta=Meta(type="text/x-vcard")),))
    message = Message(header, (alert,), True)
    assert codec.decode(codec.encode(message, Encoding.WBXML)).message == message
