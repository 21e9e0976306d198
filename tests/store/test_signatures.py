"""Kept signatures: a cache that may be missing, damaged or of another file."""

from __future__ import annotations

import os

import pytest
from blake3 import blake3

from twsync import delta, limits
from twsync.store import signatures
from twsync.store.place import Place
from twsync.store.signatures import Signatures

DATA = os.urandom(100_000)
CONTENT = blake3(DATA).digest()
SIGNATURE = delta.signature(DATA, seed=5)


@pytest.fixture
def kept(host):
    return Signatures(host.gate)


def folder(host):
    return host.root / ".twsync" / "signatures"


def names(host) -> list[str]:
    return sorted(path.name for path in folder(host).iterdir())


def test_what_is_kept_is_found(host, kept) -> None:
    assert kept.find(CONTENT, len(DATA)) is None
    kept.sweep(lambda content: False)
    kept.keep(CONTENT, SIGNATURE)
    assert kept.find(CONTENT, len(DATA)) == SIGNATURE
    assert (folder(host) / CONTENT.hex()).stat().st_mode & 0o777 == 0o600
    again = delta.signature(DATA, seed=6)
    kept.keep(CONTENT, again)
    assert Signatures(host.gate).find(CONTENT, len(DATA)) == again
    assert names(host) == [CONTENT.hex()]


def test_what_nobody_has_is_forgotten(host, kept) -> None:
    other = bytes(32)
    kept.keep(CONTENT, SIGNATURE)
    kept.keep(other, SIGNATURE)
    (folder(host) / (CONTENT.hex() + ".new")).write_bytes(b"begun")
    for name in ("notes", CONTENT.hex().upper(), CONTENT.hex(" ")):
        (folder(host) / name).write_bytes(b"")
    kept.sweep(lambda content: content == CONTENT)
    assert names(host) == [CONTENT.hex()]
    kept.forget(CONTENT)
    kept.forget(CONTENT)
    assert names(host) == []


@pytest.mark.parametrize(
    "found",
    [
        b"",
        SIGNATURE[:-1],
        SIGNATURE + b"x",
        SIGNATURE[:100] + bytes([SIGNATURE[100] ^ 1]) + SIGNATURE[101:],
        delta.signature(DATA[1:]),
        delta.signature(DATA, 1024),
    ],
    ids=["empty", "torn", "longer", "damaged", "of another size", "of other blocks"],
)
def test_one_that_is_not_good_is_none(host, kept, found) -> None:
    kept.keep(CONTENT, SIGNATURE)
    (folder(host) / CONTENT.hex()).write_bytes(found)
    assert kept.find(CONTENT, len(DATA)) is None


def test_something_else_under_its_name_is_not_followed(host, kept, tmp_path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(SIGNATURE)
    kept.keep(CONTENT, SIGNATURE)
    (folder(host) / CONTENT.hex()).unlink()
    (folder(host) / CONTENT.hex()).symlink_to(outside)
    assert kept.find(CONTENT, len(DATA)) is None
    (folder(host) / (CONTENT.hex() + ".new")).symlink_to(outside)
    kept.keep(CONTENT, delta.signature(DATA, seed=7))
    assert outside.read_bytes() == SIGNATURE
    assert not (folder(host) / CONTENT.hex()).is_symlink()


def test_one_that_the_disk_does_not_give_is_none(host, kept, monkeypatch) -> None:
    kept.keep(CONTENT, SIGNATURE)
    monkeypatch.setattr(Place, "open_read", lambda place: os.open(place.name, os.O_WRONLY, dir_fd=place.fd))  # reading fails
    assert kept.find(CONTENT, len(DATA)) is None


def test_a_disk_that_does_not_take_it_is_no_error(host, kept, monkeypatch) -> None:
    def full(fd, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(signatures, "write_all", full)
    kept.keep(CONTENT, SIGNATURE)
    assert names(host) == []
    monkeypatch.undo()
    folder(host).rmdir()
    folder(host).write_bytes(b"a file")
    kept.keep(CONTENT, SIGNATURE)
    assert kept.find(CONTENT, len(DATA)) is None
    kept.sweep(lambda content: False)


def test_on_a_disk_that_is_nearly_full_none_is_kept(host, kept, monkeypatch) -> None:
    kept.keep(CONTENT, SIGNATURE)
    monkeypatch.setattr(limits, "SIGNATURES_ROOM", 2**63)
    kept.keep(bytes(32), SIGNATURE)
    assert names(host) == [CONTENT.hex()]
    kept.sweep(lambda content: True)
    assert names(host) == []
