"""Accounts of SyncML clients, nonces, device information."""

from __future__ import annotations

import itertools

import pytest

from twsync import limits
from twsync.errors import StoreError, UserError
from twsync.store.journal import Journal
from twsync.store.syncmlaccounts import SyncmlAccounts, SyncmlDevices, SyncmlNonces
from twsync.syncml.auth import md5
from twsync.syncml.document import DataStore, DevInf, Protocol

NOW = 1_795_000_000_000_000_000


@pytest.fixture
def journal(tmp_path):
    made = Journal.open(tmp_path / "journal.db")
    yield made
    made.close()


def test_what_is_kept_is_what_md5_needs_and_no_more(journal, tmp_path) -> None:
    accounts = SyncmlAccounts(journal)
    accounts.add("Bruce2", "OhBehave", None, NOW)
    account = accounts.account("Bruce2")
    assert account is not None
    assert account.password is None
    assert account.digest is not None
    # The value of section 7 of the fact sheet.
    assert md5(account.digest, b"Nonce") == "Zz6EivR3yeaaENcRN6lpAQ=="
    assert "OhBehave" not in repr(account)
    assert b"OhBehave" not in (tmp_path / "journal.db").read_bytes() + (tmp_path / "journal.db-wal").read_bytes()
    assert (tmp_path / "journal.db").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "journal.db-wal").stat().st_mode & 0o777 == 0o600
    accounts.add("Bruce2", "OhBehave", None, NOW, clear=True)
    account = accounts.account("Bruce2")
    assert account is not None
    assert account.password == "OhBehave"


def test_grants(journal) -> None:
    accounts = SyncmlAccounts(journal)
    accounts.add("ann", "secret", ["notes", "people", "notes"], NOW)
    accounts.add("bob", "secret", None, NOW)
    accounts.add("cid", "secret", [], NOW)
    assert [(one.name, one.collections, one.clear) for one in accounts.list()] == [
        ("ann", ("notes", "people"), False), ("bob", None, False), ("cid", (), False)
    ]  # fmt: skip
    assert accounts.granted("ann") == ("notes", "people")
    assert accounts.granted("bob") is None
    assert accounts.account("dan") is None
    with pytest.raises(UserError):
        accounts.granted("dan")


def test_removing_an_account_removes_what_its_devices_left(journal) -> None:
    accounts, nonces = SyncmlAccounts(journal), SyncmlNonces(journal, lambda: NOW)
    accounts.add("ann", "secret", None, NOW)
    nonces.store("ann", "IMEI:1", b"n")
    accounts.remove("ann")
    assert accounts.account("ann") is None
    assert nonces.load("ann", "IMEI:1") == b""
    with pytest.raises(UserError) as caught:
        accounts.remove("ann")
    assert caught.value.code == "not-found"


@pytest.mark.parametrize(("name", "password"), [("", "x"), ("a:b", "x"), ("a\n", "x"), ("a" * 300, "x"), ("a", ""), ("a", "x" * 300)])
def test_names_and_passwords_that_cannot_be_used(journal, name, password) -> None:
    with pytest.raises(UserError):
        SyncmlAccounts(journal).add(name, password, None, NOW)


def test_nonces_and_device_information_are_kept_per_account_and_device(journal) -> None:
    times = itertools.count(NOW)
    nonces, devices = SyncmlNonces(journal, lambda: next(times)), SyncmlDevices(journal, lambda: next(times))
    assert nonces.load("ann", "IMEI:1") == b""
    assert devices.load("ann", "IMEI:1") is None
    devinf = DevInf(Protocol.V1_1, "IMEI:1", utc=True, datastores=(DataStore("./contacts"),))
    nonces.store("ann", "IMEI:1", b"\0\xff")
    devices.store("ann", "IMEI:1", devinf)
    nonces.store("bob", "IMEI:1", b"other")
    assert nonces.load("ann", "IMEI:1") == b"\0\xff"
    assert devices.load("ann", "IMEI:1") == devinf
    assert devices.load("bob", "IMEI:1") is None
    assert devices.owners("IMEI:1") == ["bob", "ann"]
    devices.seen("ann", "IMEI:1")
    devices.seen("eve", "IMEI:1")
    assert devices.owners("IMEI:1") == ["eve", "ann", "bob"]
    assert nonces.load("ann", "IMEI:1") == b"\0\xff"
    assert devices.load("eve", "IMEI:1") is None
    assert devices.owners("IMEI:2") == []


def test_devices_and_their_information_are_limited(journal, monkeypatch) -> None:
    monkeypatch.setattr(limits, "MAX_SYNCML_DEVICES", 3)
    times = itertools.count(NOW)
    nonces, devices = SyncmlNonces(journal, lambda: next(times)), SyncmlDevices(journal, lambda: next(times))
    for number in range(5):
        nonces.store("ann", str(number), b"n")
    assert [nonces.load("ann", str(number)) for number in range(5)] == [b"", b"", b"n", b"n", b"n"]
    devices.seen("ann", "5")
    assert [devices.owners(str(number)) for number in range(6)] == [[], [], [], ["ann"], ["ann"], ["ann"]]
    with pytest.raises(StoreError):
        devices.store("ann", "4", DevInf(Protocol.V1_2, "4", manufacturer="x" * limits.MAX_DEVINF))
