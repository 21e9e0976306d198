"""Notifications: a recorded one, built and read, and spoiled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twsync import limits
from twsync.errors import FormatError
from twsync.syncml import notification
from twsync.syncml.notification import Alerted, Interface, Notification, build, parse

#: Made by PC Suite, password and nonce empty (fact sheet section 3.7).
RECORDED = bytes.fromhex("0179ab671b68f26698269b4ca78222ad 0318000000 0000 12") + b"PC Suite Data Sync" + b"\x10\x60\0\0\0\x08Contacts"
SAID = Notification("PC Suite Data Sync", 0, (Alerted(206, "Contacts"),), Interface.BACKGROUND)


def test_recorded() -> None:
    received = parse(RECORDED)
    assert received.notification == SAID
    assert received.proven("", b"")
    assert build(SAID, "", b"") == RECORDED


@given(
    st.builds(
        Notification,
        st.text(max_size=60),
        st.integers(0, 0xFFFF),
        st.lists(st.builds(Alerted, st.integers(206, 210), st.text(max_size=60), st.integers(0, 0xFFFFFF)), max_size=15).map(tuple),
        st.sampled_from(Interface),
        st.booleans(),
    ),
    st.text(max_size=10),
    st.binary(max_size=10),
)
def test_there_and_back(said: Notification, password: str, nonce: bytes) -> None:
    received = parse(build(said, password, nonce))
    assert received.notification == said
    assert received.proven(password, nonce)
    assert not received.proven(password + "x", nonce)
    assert not received.proven(password, nonce + b"x")


def test_alteration_shows() -> None:
    """In every byte: it is refused, or not proven."""
    for index in range(len(RECORDED)):
        spoiled = bytearray(RECORDED)
        spoiled[index] ^= 0x10
        try:
            assert not parse(bytes(spoiled)).proven("", b"")
        except FormatError:
            continue


def test_cut() -> None:
    for length in range(len(RECORDED)):
        with pytest.raises(FormatError, match="cut"):
            parse(RECORDED[:length])


def test_bytes_of_the_vendor() -> None:
    """They count for the digest only."""
    assert parse(RECORDED + b"more").notification == SAID
    assert not parse(RECORDED + b"more").proven("", b"")


@given(st.binary(max_size=80))
def test_anything(data: bytes) -> None:
    try:
        parse(data)
    except FormatError:
        return


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (Notification("s" * 256, 1), "too long"),
        (Notification("s", 65536), "too long"),
        (Notification("s", 1, (Alerted(206, "a"),) * 16), "15 datastores"),
        (Notification("s", 1, (Alerted(200, "a"),)), "alert code"),
        (Notification("s", 1, (Alerted(206, "a" * 256),)), "alert code"),
        (Notification("s", 1, (Alerted(206, "a", 1 << 24),)), "alert code"),
    ],
)
def test_what_does_not_fit(said: Notification, why: str) -> None:
    with pytest.raises(FormatError, match=why):
        build(said, "p", b"n")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (RECORDED[:16] + b"\x02" + RECORDED[17:], "version"),
        (RECORDED.replace(b"\x10\x60", b"\x10\x30"), "kind of session"),
        (RECORDED.replace(b"Contacts", b"\xffontacts"), "UTF-8"),
        (RECORDED + bytes(limits.MAX_NOTIFICATION), "bytes"),
    ],
)
def test_what_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(FormatError, match=why):
        parse(data)


def test_media_type() -> None:
    assert notification.MEDIA_TYPE == "application/vnd.syncml.ds.notification"
