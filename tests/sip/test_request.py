"""Stored and alerted requests."""

from __future__ import annotations

import pytest

from twsync.errors import FormatError
from twsync.sip.request import SyncRequest, build, parse

REQUEST = SyncRequest("r-1", "alice/läptop", "photos & <more>", "refresh-from-client")
GOOD = build(REQUEST)


def test_a_document_comes_back() -> None:
    assert parse(GOOD) == REQUEST
    assert b'<request xmlns="urn:twsync:session:1" id="r-1">' in GOOD


def test_what_a_later_version_adds_is_passed_over() -> None:
    assert parse(GOOD.replace(b"</request>", b'<reason xmlns="urn:twsync:session:1">x</reason><y xmlns="urn:z"/></request>')) == REQUEST


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD[:-1],
        GOOD + b" " * 4096,
        GOOD.replace(b"urn:twsync:session:1", b"urn:twsync:session:2"),
        GOOD.replace(b"request", b"reqest"),
        GOOD.replace(b'id="r-1"', b""),
        GOOD.replace(b"refresh-from-client", b"sideways"),
        GOOD.replace(b"alice/", b""),
        GOOD.replace(b"<collection>", b"<collection>x</collection><collection>"),
        GOOD.replace(b"photos", b"<b/>"),
        GOOD.replace(b"photos", b"../photos"),
        GOOD.replace(b"<syncType>refresh-from-client</syncType>", b""),
        b'<!DOCTYPE r [<!ENTITY e "photos">]>' + GOOD.partition(b"?>")[2].replace(b"photos", b"&e;"),
    ],
)
def test_a_document_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse(data)


@pytest.mark.parametrize(
    "fields",
    [("", "a/b", "c", "slow"), ("x" * 129, "a/b", "c", "slow"), ("x", "b", "c", "slow"), ("x", "a/b", "", "slow"), ("x", "a/b", "c", "")],
)
def test_a_request_is_valid_by_construction(fields: tuple[str, str, str, str]) -> None:
    with pytest.raises(FormatError):
        SyncRequest(*fields)
