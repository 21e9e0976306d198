"""The way to the database: in order, together, and each failure for itself."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from twsync.control.records import Records
from twsync.errors import StoreError
from twsync.store.control import ControlDatabase, sqlite_url
from twsync.store.control_values import User


class Thread:
    """Runs what it is given when the test says so."""

    def __init__(self):
        self.waiting = []

    def __call__(self, function):
        deferred = Deferred()
        self.waiting.append((function, deferred))
        return deferred

    def work(self):
        function, deferred = self.waiting.pop(0)
        deferred.callback(function())


@pytest.fixture
def database(tmp_path):
    url = sqlite_url(tmp_path / "control.db")
    ControlDatabase.create(tmp_path / "control.db", "example.org")
    database = ControlDatabase.open(url, "example.org")
    yield database
    database.close()


def add(name):
    return lambda transaction: transaction.add_user(User(name, "", "", False, 1.0))


def test_what_gathers_goes_in_one_transaction(database):
    """The first goes at once; those that come meanwhile follow together."""
    thread = Thread()
    records = Records(thread)
    records.attach(database)
    results = []
    for name in ("a", "b", "c"):
        records.do(add(name)).addCallback(lambda _, name=name: results.append(name))
    idle = records.idle()
    assert len(thread.waiting) == 1
    thread.work()
    assert results == ["a"] and len(thread.waiting) == 1 and not idle.called
    thread.work()
    assert results == ["a", "b", "c"] and not thread.waiting and idle.called
    assert records.idle().called


def test_one_failure_is_its_own(database):
    """The others of the same batch are carried out."""
    thread = Thread()
    records = Records(thread)
    records.attach(database)
    results = []
    for name in ("a", "b", "b", "c"):
        records.do(add(name)).addCallbacks(lambda _: results.append("done"), lambda failure: results.append(failure.value.code))
    thread.work()
    thread.work()
    assert results == ["done", "done", "exists", "done"]
    with database.transaction() as transaction:
        assert [user.name for user in transaction.users()] == ["a", "b", "c"]


def test_broken_thread_fails_everything(database):
    """Whatever went wrong there reaches who asked."""
    broken = []

    def run(function):
        deferred = Deferred()
        broken.append(deferred)
        return deferred

    records = Records(run)
    records.attach(database)
    results = []
    records.do(add("a")).addErrback(lambda failure: results.append(failure.type))
    broken[0].errback(StoreError("gone"))
    assert results == [StoreError]


def test_waits_for_its_database(database):
    """What is noted before is written then; after the end nothing is."""
    thread = Thread()
    records = Records(thread)
    records.note(add("a"))
    assert not thread.waiting
    records.attach(database)
    thread.work()
    records.close()
    records.note(add("b"))
    assert not thread.waiting
    with database.transaction() as transaction:
        assert [user.name for user in transaction.users()] == ["a"]
