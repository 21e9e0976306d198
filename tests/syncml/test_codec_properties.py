"""Any message survives any codec, libwbxml reads and writes the same, and spoiled bytes are a message or a FormatError."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lxml import etree

from twsync.errors import FormatError
from twsync.syncml import codec
from twsync.syncml.document import (
    Alert,
    Anchor,
    Change,
    Command,
    ContentType,
    Cred,
    CTCap,
    DataStore,
    DevInf,
    Encoding,
    Ext,
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
    Property,
    PropParam,
    Protocol,
    Put,
    Results,
    Status,
    Sync,
)
from twsync.syncml.draft import Draft

RECORDED = sorted((Path(__file__).parent.parent / "vectors" / "syncml").rglob("*-r??.[wx]*ml"))

# CR is left out: XML makes LF of CRLF. Marks at the start and NULs at the end are taken away.
CHARACTERS = st.characters(
    codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff\ufffe\uffff", include_characters="\n\t"
)
TEXT = st.text(CHARACTERS, max_size=12)
#: Without anything that a reader may trim.
WORD = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8)
NUMBER = st.integers(0, 2**40)


def maybe(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | strategy


def some(strategy: st.SearchStrategy[object], most: int = 3) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(strategy, max_size=most).map(tuple)


def messages(protocol: Protocol) -> st.SearchStrategy[Message]:
    """Messages of one version, with all that it has."""
    new = protocol is Protocol.V1_2
    newer = protocol is not Protocol.V1_0
    never = st.none()
    mem = st.builds(Mem, maybe(NUMBER), maybe(NUMBER), st.booleans())
    meta = st.builds(
        Meta,
        format=maybe(WORD),
        type=maybe(WORD | st.just("application/vnd.syncml-devinf+xml")),
        mark=maybe(WORD),
        size=maybe(NUMBER),
        anchor=maybe(st.builds(Anchor, TEXT, maybe(TEXT))),
        version=maybe(TEXT),
        next_nonce=maybe(WORD),
        max_msg_size=maybe(NUMBER),
        max_obj_size=maybe(NUMBER) if newer else never,
        field_level=st.booleans() if new else st.just(False),
        emi=some(TEXT),
        mem=maybe(mem),
    )
    cred = st.builds(Cred, WORD, maybe(meta))
    plain = st.builds(Item, data=maybe(TEXT))
    found = st.builds(Filter, meta, maybe(plain), maybe(plain), maybe(WORD))
    place = st.builds(Location, TEXT, maybe(TEXT))
    target = st.builds(Location, TEXT, maybe(TEXT), maybe(found)) if new else place
    # Inside Data an empty Meta is an empty text.
    data = TEXT | st.builds(Meta, anchor=st.builds(Anchor, TEXT))
    item = st.builds(
        Item,
        target=maybe(target),
        source=maybe(place),
        source_parent=maybe(TEXT) if new else never,
        target_parent=maybe(TEXT) if new else never,
        meta=maybe(meta),
        data=maybe(data),
        more_data=st.booleans() if newer else st.just(False),
    )
    kind = st.builds(ContentType, WORD, WORD)
    prop = st.builds(Property, WORD, max_occur=maybe(NUMBER) if new else never, values=some(TEXT), display_name=maybe(TEXT),
                     params=some(st.builds(PropParam, WORD, values=some(TEXT), display_name=maybe(TEXT))))  # fmt: skip
    prop = prop.filter(lambda made: made.name != "VERSION")
    cap = st.builds(CTCap, WORD, WORD if new else st.just(""), properties=some(prop))
    store = st.builds(
        DataStore,
        TEXT,
        maybe(TEXT),
        maybe(NUMBER),
        maybe(kind),
        some(kind),
        maybe(kind),
        some(kind),
        some(cap) if new else st.just(()),
        maybe(mem),
        sync_types=some(WORD),
    )
    devinf = st.builds(
        DevInf,
        version=st.just(protocol),
        device_id=WORD,
        device_type=WORD,
        manufacturer=WORD,
        model=WORD,
        firmware=WORD,
        software=WORD,
        hardware=WORD,
        utc=st.booleans() if newer else st.just(False),
        datastores=some(store, 2),
        ctcaps=st.just(()) if new else some(cap),
        exts=some(st.builds(Ext, WORD, some(TEXT))),
    )
    flag = st.booleans()
    # libwbxml looks into Data if the Type says so.
    devinf_type = st.just(Meta(type="application/vnd.syncml-devinf+xml"))
    devinf_item = st.builds(Item, source=st.just(Location(protocol.devinf_uri)), meta=devinf_type, data=devinf)
    names = ["Add", "Replace", "Delete", "Copy"] + (["Move"] if new else [])
    change = st.builds(Change, st.sampled_from(names), WORD, some(item), maybe(meta), flag, maybe(cred), flag, flag)
    other = st.builds(Other, st.sampled_from(["Exec", "Search"]), WORD, flag)
    group = st.builds(Group, st.sampled_from(["Atomic", "Sequence"]), WORD, some(change | other, 2), maybe(meta), flag)
    sync = st.builds(Sync, WORD, maybe(target), maybe(place), some(change | group | other), maybe(NUMBER) if newer else never, maybe(meta),
                     flag, maybe(cred))  # fmt: skip
    command: st.SearchStrategy[Command] = st.one_of(
        change,
        group,
        other,
        sync,
        st.builds(Status, WORD, WORD, WORD, WORD, WORD, some(TEXT), some(TEXT), maybe(cred), maybe(meta), some(item)),
        st.builds(Alert, WORD, maybe(WORD), some(item), flag, maybe(cred), maybe(WORD) if new else never),
        st.builds(Map, WORD, target, place, some(st.builds(MapItem, TEXT, TEXT)), maybe(meta), maybe(cred)),
        st.builds(Put, st.sampled_from(["Put", "Get"]), WORD, some(devinf_item, 2), maybe(meta), maybe(WORD), flag, maybe(cred)),
        st.builds(Results, WORD, WORD, maybe(WORD), some(devinf_item, 2), maybe(meta), maybe(TEXT), maybe(TEXT)),
    )
    header = st.builds(Header, st.just(protocol), WORD, WORD, target, place, maybe(WORD), flag, maybe(cred), maybe(meta))
    return st.builds(Message, header, some(command, 2), flag)


ANY = st.one_of([messages(protocol) for protocol in Protocol])


@given(encoding=st.sampled_from(Encoding), message=ANY)
@settings(max_examples=80)
def test_there_and_back(encoding: Encoding, message: Message) -> None:
    data = codec.encode(message, encoding)
    assert codec.decode(data) == codec.Decoded(message, encoding)
    assert Draft(message.header, encoding).encode(message) == data
    base = Message(message.header, (), True)
    sizes = sum(len(codec.part(command, encoding, message.header.protocol)) for command in message.body)
    assert len(codec.encode(base, encoding)) + sizes == len(codec.encode(Message(message.header, message.body, True), encoding))


# --- libwbxml ------------------------------------------------------------------------------------------------------------------------


def run(program: str, data: bytes, folder: Path, *options: str) -> bytes:
    """Convert by a program of Debian's libwbxml2-utils, which these tests cannot do without."""
    path = shutil.which(program)
    assert path, f"there is no {program} here; on Debian and Ubuntu: apt install libwbxml2-utils"
    source, result = folder / "in", folder / "out"
    source.write_bytes(data)
    done = subprocess.run([path, *options, "-o", result, source], capture_output=True, timeout=20)
    assert done.returncode == 0, done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    return result.read_bytes()


def tree(data: bytes) -> object:
    """An XML document as lxml has it: names with namespaces, texts of leaves, line ends and blanks around them aside."""

    def part(element: etree._Element) -> object:
        inside = [part(child) for child in element]
        text = (element.text or "").replace("\r", "").strip()
        return (etree.QName(element).namespace, etree.QName(element).localname, inside or text.replace("devinf+wbxml", "devinf+xml"))

    return part(etree.fromstring(data, etree.XMLParser(load_dtd=False, no_network=True, resolve_entities=False)))


def plain(message: Message) -> str:
    """Values with line ends and blanks at the ends of texts aside."""
    return re.sub(r"(\\[rnt]| )+(?=['\"])|(?<=['\"])(\\[rnt]| )+", "", repr(message).replace("\\r\\n", "\\n"))


def with_doctype(message: Message) -> bytes:
    """Our XML, saying what xml2wbxml wants to know."""
    version = message.header.protocol.value
    doctype = f'<!DOCTYPE SyncML PUBLIC "-//SYNCML//DTD SyncML {version}//EN" "http://syncml/x.dtd"><SyncML'
    return codec.encode(message, Encoding.XML).replace(b"<SyncML", doctype.encode(), 1)


def agrees(message: Message, folder: Path, *options: str) -> None:
    """libwbxml reads our WBXML as our XML, and we read its WBXML as our values."""
    ours = codec.encode(message, Encoding.WBXML)
    assert tree(run("wbxml2xml", ours, folder)) == tree(codec.encode(message, Encoding.XML))
    assert plain(codec.decode(run("xml2wbxml", with_doctype(message), folder, *options)).message) == plain(message)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_recorded_messages_with_libwbxml(path: Path, tmp_path: Path) -> None:
    message = codec.decode(path.read_bytes()).message
    agrees(message, tmp_path, "-n", "-v", "1.2")
    agrees(message, tmp_path, "-v", "1.3")


@given(message=ANY)
@settings(
    max_examples=40,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_message_with_libwbxml(message: Message, tmp_path: Path) -> None:
    # Without a string table: with one, libwbxml counts blanks that it does not write, so that the table's length is wrong.
    agrees(message, tmp_path, "-n", "-v", "1.2")


# --- spoiled bytes -------------------------------------------------------------------------------------------------------------------


def spoil(data: bytes, dice: random.Random) -> bytes:
    """Change, take away, double or cut some bytes."""
    spoiled = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(spoiled) + 1)
        match dice.randrange(5):
            case 0:
                spoiled[at : at + 1] = bytes((dice.randrange(256),))
            case 1:
                del spoiled[at : at + dice.choice((1, 2, 20))]
            case 2:
                spoiled[at:at] = spoiled[at : at + dice.choice((1, 5, 60))]
            case 3:
                spoiled[at:at] = bytes((dice.choice((0, 1, 2, 3, 4, 0x43, 0x83, 0xC3, 0xFF, 0x3C, 0x26)),))
            case 4:
                del spoiled[at:]
    return bytes(spoiled)


@given(path=st.sampled_from(RECORDED), dice=st.randoms(use_true_random=False))
@settings(max_examples=400)
def test_spoiled_messages(path: Path, dice: random.Random) -> None:
    try:
        message = codec.decode(spoil(path.read_bytes(), dice)).message
    except FormatError:
        return
    for encoding in Encoding:
        try:
            codec.encode(message, encoding)
        except FormatError:
            continue


@given(data=st.binary(max_size=60), start=st.sampled_from([b"", b"\x02\xa4\x01\x6a\x00\x6d", b"\x03\x01\x6a\x03abc", b"<SyncML><SyncHdr>"]))
@settings(max_examples=300)
def test_anything(data: bytes, start: bytes) -> None:
    try:
        codec.decode(start + data)
    except FormatError:
        return
