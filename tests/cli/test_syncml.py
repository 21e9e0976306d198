"""`twsync syncml` and `twsync restore` without a daemon: accounts, notifications, refusals."""

from __future__ import annotations

import json

import pytest

from twsync.cli import syncmlnotify
from twsync.peer.settings import load
from twsync.store.journal import Journal
from twsync.store.syncmlaccounts import SyncmlAccounts


@pytest.fixture
def contacts(twsync, host, tmp_path):
    """A host with a collection of contacts and one of files."""
    for name, kind in (("contacts", "contacts"), ("photos", "pictures")):
        (tmp_path / name).mkdir()
        assert twsync("collection", "add", name, tmp_path / name, "--type", kind, config=host).code == 0
    return host


def accounts(config):
    """What the journal holds of them."""
    journal = Journal.open(load(config).state / "journal.db")
    try:
        return {each.name: each.collections for each in SyncmlAccounts(journal).list()}
    finally:
        journal.close()


def test_accounts_come_change_and_go(twsync, contacts):
    said = twsync("syncml", "account", "add", "phone", config=contacts)
    assert (said.code, said.out) == (0, "phone may reach all collections of records\n")
    assert "[syncml]" in said.err  # it is not listened for yet
    assert twsync("syncml", "account", "add", "old", "--collection", "contacts", config=contacts).code == 0
    assert accounts(contacts) == {"phone": None, "old": ("contacts",)}
    listed = json.loads(twsync("syncml", "account", "list", "--json", config=contacts).out)
    assert [(one["name"], one["collections"]) for one in listed] == [("old", ["contacts"]), ("phone", None)]
    assert twsync("syncml", "account", "grant", "phone", "--collection", "contacts", config=contacts).code == 0
    assert twsync("syncml", "account", "passwd", "phone", config=contacts).code == 0
    assert accounts(contacts) == {"phone": ("contacts",), "old": ("contacts",)}
    assert twsync("syncml", "account", "remove", "old", config=contacts).code == 0
    assert accounts(contacts) == {"phone": ("contacts",)}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["account", "add", "phone", "--collection", "photos"], "holds files"),
        (["account", "add", "phone", "--collection", "nothing"], "no collection 'nothing'"),
        (["account", "add", "a:b"], "without colons"),
        (["account", "remove", "nobody"], "no account nobody"),
        (["account", "grant", "nobody"], "no account nobody"),
        (["account", "passwd", "nobody"], "no account nobody"),
        (["sync", "http://127.0.0.1:9", "photos"], "holds files"),
        (["pull", "ftp://127.0.0.1", "contacts"], "no address of a SyncML server"),
        (["push", "http://127.0.0.1:9", "contacts="], "is not COLLECTION"),
        (["sync", "http://127.0.0.1:9", "contacts"], "is not running"),
        (["notify", "photos"], "holds files"),
    ],
)
def test_refusals_are_one_sentence(twsync, contacts, words, said):
    refused = twsync("syncml", *words, config=contacts)
    assert refused.code == 1
    assert said in refused.err and "Traceback" not in refused.err


def test_an_account_is_not_overwritten(twsync, contacts):
    assert twsync("syncml", "account", "add", "phone", config=contacts).code == 0
    again = twsync("syncml", "account", "add", "phone", config=contacts)
    assert again.code == 1 and "already" in again.err


@pytest.mark.parametrize("version", ["1.2", "1.1"])
def test_a_notification_is_read_as_it_was_written(twsync, contacts, tmp_path, version):
    package = tmp_path / "package.bin"
    words = ["--type", "one-way-from-client", "--version", version, "--output", package]
    assert twsync("syncml", "notify", "contacts", *words, config=contacts).code == 0
    session, asked = syncmlnotify.read(package)
    assert 0 < session < 65536 and asked == [("contacts", 207)]


def test_what_is_no_notification(twsync, contacts, tmp_path):
    package = tmp_path / "package.bin"
    package.write_bytes(b"\x00" * 40)
    refused = twsync("syncml", "sync", "http://127.0.0.1:9", "contacts", "--notified", package, config=contacts)
    assert refused.code == 1 and "no notification" in refused.err


def test_restore_of_a_session_that_changed_nothing(twsync, contacts):
    refused = twsync("restore", "unknown", config=contacts)
    assert refused.code == 1 and "changed no records" in refused.err
