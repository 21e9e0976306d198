"""What two hosts tell each other at the end of a session of records."""

from __future__ import annotations

import json

import pytest

from twsync import limits
from twsync.errors import SessionError
from twsync.peer.recordtold import failure, skips, told_failure, told_skips
from twsync.session.result import Skipped

ODD = [Skipped(item="tab\\x09 \u00e4.vcf", reason="invalid-name"), Skipped(item="b.vcf", reason="too-large")]


def test_what_was_said_is_heard() -> None:
    assert told_skips(skips(ODD)) == ODD
    told = told_failure(failure(SessionError("No.", "not-allowed")))
    assert (told.code, told.message) == ("not-allowed", "No.")


def test_a_long_list_is_cut_to_what_is_taken() -> None:
    body = skips(Skipped(item="\x01" * 1000, reason="invalid-name") for _ in range(10_000))
    assert len(body) <= limits.MAX_SYNCML_DOCUMENT
    assert 0 < len(told_skips(body)) < 10_000


@pytest.mark.parametrize("body", [b"", b"no such session\n", b"[1]", b'{"a":1}', b'[["a"]]', b"[" * limits.MAX_SYNCML_DOCUMENT + b"]"])
def test_what_cannot_be_read_is_nothing(body) -> None:
    assert told_skips(body) == []
    assert told_failure(body).code == "failed"


def test_what_moves_a_cursor_is_not_shown() -> None:
    (one,) = told_skips(json.dumps([["a\x1b[2J" + "x" * limits.MAX_KEY, "No such reason!"]]).encode())
    assert one.reason == "failed"
    assert one.item.isprintable()
    assert len(one.item) == limits.MAX_KEY
    assert told_failure(json.dumps(["Bad Code", "a\x1b[2J"]).encode()).message == "a [2J"
