"""What is put into the documents."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import publish
import pytest

MACHINE = {name: f"{name} <&>" for name in ("cpu", "cpus", "memory", "system", "python", "twsync", "rsync", "rdiff", "time")}
SYSTEM: dict[str, Any] = {
    "mib": 8,
    "files": 20,
    "missing": {"rdiff": "there is no rdiff here"},
    "machine": MACHINE,
    "cases": {"new": {"twsync": [{"seconds": 0.5}], "rsync": [{"seconds": 1.0}]}, "first": {"twsync": [{"seconds": 12.0}]}},
}
CORE: dict[str, Any] = {
    "mib": 8,
    "missing": {},
    "machine": MACHINE,
    "cases": {"patch": {"median": {"twsync": {"wall": 0.25}, "rdiff": {"wall": 0.5}}}},
}


def test_picture_shows_what_was_measured() -> None:
    """Each tool beside the others, the multiples, what is missing; and it is XML whatever the names hold."""
    picture = publish.picture(SYSTEM, CORE)
    said = "".join(ET.fromstring(picture).itertext())
    for words in ("0.50 s", "1.00 s", "2 × rsync's speed", "12.0 s", "2 × rdiff's speed", "there is no rdiff here", "cpu <&>"):
        assert words in said
    assert ET.fromstring(publish.picture(SYSTEM, None)) is not None


def test_only_what_is_marked_is_replaced() -> None:
    """Between the marks of its name, and nothing else; a document without them is an error."""
    text = "a\n<!-- measured: one -->\nold\n<!-- end -->\nb\n<!-- measured: two -->\n<!-- end -->\nc\n"
    done = publish.replaced(publish.replaced(text, "two", "| new |\n"), "one", "1")
    assert done == "a\n<!-- measured: one -->\n\n1\n\n<!-- end -->\nb\n<!-- measured: two -->\n\n| new |\n\n<!-- end -->\nc\n"
    assert publish.replaced(done, "one", "1") == done
    with pytest.raises(ValueError, match="three"):
        publish.replaced(text, "three", "")


def test_document_has_all_marks() -> None:
    """docs/performance.md has a place for every result."""
    text = publish.PERFORMANCE.read_text("utf-8")
    for name in publish.RESULTS:
        assert publish.replaced(text, name, "table") != text
