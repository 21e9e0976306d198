"""WBXML written, and the tables."""

from __future__ import annotations

import pytest

from twsync.errors import FormatError
from twsync.wbxml import DEVINF, SYNCML, Element, decode, encode, encode_part
from twsync.wbxml.tokens import BY_PUBLIC_ID


def test_pages_are_the_parents_again_at_each_end() -> None:
    """So an element's bytes are the same wherever it stands."""
    meta = Element("Meta", [Element("Type", text="t"), Element("Anchor", [Element("Next", text="n")])])
    root = Element("Item", [meta, Element("Data", text=b"d")])
    expected = "54 5a 00 01 53 03 74 00 01 45 4f 03 6e 00 01 01 00 00 01 4f c3 01 64 01 01"
    assert encode_part(root, SYNCML["1.2"]) == bytes.fromhex(expected)
    assert encode(root, SYNCML["1.1"]) == bytes.fromhex("02 9f 53 6a 00" + expected)
    inside = b"".join(encode_part(child, SYNCML["1.2"]) for child in root.children)
    assert encode_part(root, SYNCML["1.2"]) == b"\x54" + inside + b"\x01"


def test_part_of_another_page() -> None:
    """It goes there and back."""
    assert encode_part(Element("Size", text="1"), SYNCML["1.2"]) == bytes.fromhex("00 01 52 03 31 00 01 00 00")


@pytest.mark.parametrize(
    ("text", "content"), [("", "0f"), ("a", "4f 03 61 00 01"), ("a\0b", "4f c3 03 610062 01"), (b"a", "4f c3 01 61 01")]
)
def test_text(text: str | bytes, content: str) -> None:
    assert encode_part(Element("Data", text=text), SYNCML["1.2"]) == bytes.fromhex(content)


def test_long_octets() -> None:
    """Lengths of two and three bytes."""
    for length in (127, 128, 16_383, 16_384, 70_000):
        root = Element("Data", text=b"\xff" * length)
        assert decode(encode(root, SYNCML["1.2"]), SYNCML["1.2"]).root == root


@pytest.mark.parametrize("language", BY_PUBLIC_ID.values(), ids=lambda language: language.formal_id)
def test_every_element(language: object) -> None:
    """Each has a token of its own and is read back."""
    assert language in BY_PUBLIC_ID.values()
    for name in language.tags:
        assert decode(encode(Element(name), language), language).root.name in (name, "MaxSize")


@pytest.mark.parametrize(
    ("language", "name"),
    [
        (SYNCML["1.0"], "MoreData"),
        (SYNCML["1.0"], "MaxObjSize"),
        (SYNCML["1.1"], "Filter"),
        (SYNCML["1.1"], "FieldLevel"),
        (SYNCML["1.2"], "DevInf"),
        (DEVINF["1.0"], "UTC"),
        (DEVINF["1.1"], "Property"),
        (DEVINF["1.2"], "Size"),
    ],
    ids=lambda value: getattr(value, "formal_id", value),
)
def test_what_a_version_does_not_have(language: object, name: str) -> None:
    with pytest.raises(FormatError, match=name):
        encode(Element(name), language)


def test_counts_of_tags() -> None:
    """Fact sheet section 11.2 counts 73 for SyncML 1.2 with MetInf."""
    assert len(SYNCML["1.2"].tags) == 73
    assert SYNCML["1.2"].tags["Correlator"] == (0, 0x3C)
    assert SYNCML["1.2"].tags["FieldLevel"] == (1, 0x16)
    assert DEVINF["1.2"].tags["SupportHierarchicalSync"] == (0, 0x34)
    assert DEVINF["1.1"].tags["Size"] == DEVINF["1.2"].tags["MaxSize"] == (0, 0x1C)


def test_no_unicode() -> None:
    with pytest.raises(FormatError, match="Unicode"):
        encode(Element("Data", text="\ud800"), SYNCML["1.2"])
