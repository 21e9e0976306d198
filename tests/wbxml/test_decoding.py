"""WBXML read: every token, and every way to lie."""

from __future__ import annotations

import tracemalloc

import pytest

from twsync import limits
from twsync.errors import FormatError
from twsync.wbxml import DEVINF, SYNCML, Document, Element, decode

HEAD = bytes.fromhex("02 a4 01 6a 00")


def body(text: str, table: bytes = b"", charset: str = "6a") -> Document:
    """Decode a SyncML 1.2 document with a body in hexadecimal."""
    return decode(bytes.fromhex(f"02 a4 01 {charset}") + bytes((len(table),)) + table + bytes.fromhex(text), SYNCML["1.2"])


def test_first_bytes_of_a_session() -> None:
    """Those of fact sheet section 11.5, shortened."""
    document = body("6d 6c 71 03 312e32 00 01 5a 00 01 4c 03 313530303030 00 01 01 01 00 00 6b 12 01 01")
    header = [Element("VerDTD", text="1.2"), Element("Meta", [Element("MaxMsgSize", text="150000")])]
    assert document.root == Element("SyncML", [Element("SyncHdr", header), Element("SyncBody", [Element("Final")])])
    assert (document.public_id, document.version) == (0x1201, 2)


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ("4f 03 6162 00 01", "ab"),
        ("4f c3 03 610062 01", "a\0b"),
        ("4f c3 02 fffe 01", b"\xff\xfe"),
        ("4f 83 03 01", "you"),
        ("4f 83 00 03 6162 00 c3 01 63 01", "hi\ufffdabc".replace("\ufffd", "")),
        ("4f 02 81 20 01", "\u00a0"),
        ("4f 02 83fa10 01", "\ufd10"),
        ("4f c0 c1 c2 03 61 00 01", "a"),
        ("4f 40 6578 00 80 03 03 61 00 01", "a"),
        ("4f 43 05 03 7069 00 01 03 61 00 01", "a"),
        ("4f 01", ""),
        ("0f", ""),
        ("cf 05 03 61 00 85 c3 01 61 83 00 02 20 01 03 62 00 01", "b"),
        ("8f 05 03 61 00 01", ""),
    ],
)
def test_text(tokens: str, text: str | bytes) -> None:
    """Inline, opaque, from the table, entities; extensions, instructions and attributes are read over."""
    assert body(tokens, b"hi\0you\0").root == Element("Data", text=text)


def test_literal_names_and_unknown_tokens() -> None:
    """They are elements that nobody knows."""
    root = body("6d 04 00 44 00 03 61 00 01 3e 00 07 45 01 01", b"own\0").root
    assert [child.name for child in root.children] == ["own", "own", "#3E", "#05"]


@pytest.mark.parametrize(("charset", "octets", "text"), [("6a", "c3a9", "é"), ("00", "c3a9", "é"), ("04", "e9", "é"), ("03", "65", "e")])
def test_charsets(charset: str, octets: str, text: str) -> None:
    assert body(f"4f 03 {octets} 00 01", charset=charset).root.text == text


def test_public_id_as_text() -> None:
    """As Funambol sends it: without the NUL."""
    name = b"-//SYNCML//DTD DevInf 1.1//EN"
    document = decode(bytes.fromhex("02 00 00 6a") + bytes((len(name),)) + name + bytes.fromhex("4a 09 01"), SYNCML["1.2"])
    assert document.root == Element("DevInf", [Element("DevID")])
    assert document.public_id == name.decode()


@pytest.mark.parametrize("version", [1, 2, 3])
def test_versions_and_unknown_public_id(version: int) -> None:
    assert decode(bytes((version,)) + bytes.fromhex("01 6a 00 4a 09 01"), DEVINF["1.2"]).root.children == [Element("DevID")]


def test_devinf_as_a_code_page() -> None:
    """As kXML has it."""
    root = body("4f 00 02 4a 65 03 312e32 00 01 01 00 00 01").root
    assert root == Element("Data", [Element("DevInf", [Element("VerDTD", text="1.2")])])


def test_nul_behind_the_end() -> None:
    assert body("0f 00 00").root == Element("Data")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("", "version"),
        ("00 a4 01 6a 00 0f", "version"),
        ("04 a4 01 6a 00 0f", "version"),
        ("02 a4", "within a number"),
        ("02 ff ff ff ff ff 01 6a 00 0f", "32 bits"),
        ("02 9f ff ff ff 7f 6a 00 0f", "32 bits"),
        ("02 a4 01 83 77 00 0f", "charset"),
        ("02 a4 01 6a 05 61 62", "within its string table"),
        ("02 a4 01 6a 00", "within its elements"),
        ("02 a4 01 6a 00 4f", "within its elements"),
        ("02 a4 01 6a 00 4f 03 61", "without an end"),
        ("02 a4 01 6a 00 4f 03 61 00", "within its elements"),
        ("02 a4 01 6a 00 4f c3 05 61 01", "more opaque data"),
        ("02 a4 01 6a 00 4f c3 8f ff ff ff 7f 61 01", "more opaque data"),
        ("02 a4 01 6a 00 4f c3", "within a number"),
        ("02 a4 01 6a 00 4f 83 00 01", "beyond its string table"),
        ("02 a4 01 6a 02 61 62 4f 83 01 01", "string table"),
        ("02 00 07 6a 02 61 62 0f", "beyond its string table"),
        ("02 a4 01 6a 00 44 00 01", "beyond its string table"),
        ("02 a4 01 6a 00 4f 02 83 b0 00 01", "no character"),
        ("02 a4 01 6a 00 4f 02 87 ff ff 7f 01", "no character"),
        ("02 a4 01 6a 00 01", "END too many"),
        ("02 a4 01 6a 00 0f 0f", "behind its end"),
        ("02 a4 01 6a 00 4f 01 01", "behind its end"),
        ("02 a4 01 6a 00 4f c2 c3", "within a number"),
        ("02 a4 01 6a 00 00", "code page"),
        ("02 a4 01 6a 00 8f 05", "within attributes"),
        ("02 a4 01 6a 00 43 05", "within attributes"),
        ("02 a4 01 6a 00 8f 05 43 01", "cannot stand there"),
    ],
)
def test_lies(data: str, why: str) -> None:
    with pytest.raises(FormatError, match=why):
        decode(bytes.fromhex(data), SYNCML["1.2"])


def test_every_token_alone_and_cut() -> None:
    """Each first byte of a body, and each one behind a tag: an answer or a FormatError."""
    for token in range(256):
        for before in (b"", b"\x4f", b"\x8f", b"\x4f\x03a\0"):
            for after in (b"", b"\x01", b"\x00\x01\x01", b"\x7f" * 9):
                try:
                    decode(HEAD + before + bytes((token,)) + after, SYNCML["1.2"])
                except FormatError:
                    continue


def test_depth() -> None:
    """As deep as the limit, not deeper."""
    deep = limits.MAX_SYNCML_DEPTH
    decode(HEAD + b"\x6d" * deep + b"\x01" * deep, SYNCML["1.2"])
    with pytest.raises(FormatError, match="nested deeper"):
        decode(HEAD + b"\x6d" * (deep + 1) + b"\x01" * (deep + 1), SYNCML["1.2"])


def test_elements() -> None:
    decode(HEAD + b"\x6d" + b"\x0f" * 9 + b"\x01", SYNCML["1.2"], max_elements=10)
    with pytest.raises(FormatError, match="more than 10 elements"):
        decode(HEAD + b"\x6d" + b"\x0f" * 10 + b"\x01", SYNCML["1.2"], max_elements=10)
    with pytest.raises(FormatError, match="elements"):
        decode(HEAD + b"\x6d" + b"\x0f" * limits.MAX_SYNCML_ELEMENTS + b"\x01", SYNCML["1.2"])


def test_size() -> None:
    with pytest.raises(FormatError, match="bytes"):
        decode(HEAD + b"\x4f\xc3" + bytes(limits.MAX_SYNCML_DOCUMENT), SYNCML["1.2"])


def test_string_table_bomb() -> None:
    """References to one long string, a thousand times: refused before memory is taken."""
    table = b"a" * 60_000 + b"\0"
    length = bytes((0x80 | len(table) >> 14, 0x80 | len(table) >> 7 & 0x7F, len(table) & 0x7F))
    bomb = bytes.fromhex("02 a4 01 6a") + length + table + b"\x6d" + b"\x4f\x83\x00\x01" * 10_000 + b"\x01"
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="too much text"):
            decode(bomb, SYNCML["1.2"])
        assert tracemalloc.get_traced_memory()[1] < 3 * limits.MAX_SYNCML_DOCUMENT
    finally:
        tracemalloc.stop()


def test_many_pieces() -> None:
    """They are joined once, and counted: each takes memory."""
    pieces = limits.MAX_SYNCML_ELEMENTS - 1
    assert body("4f" + "03 61 00" * pieces + "01").root.text == "a" * pieces
    with pytest.raises(FormatError, match="pieces of text"):
        body("4f" + "02 20" * (pieces + 1) + "01")
