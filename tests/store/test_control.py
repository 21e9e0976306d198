"""The control database, with SQLite and with PostgreSQL: made whole, opened with care, changed in transactions."""

from __future__ import annotations

import threading

import postgresql
import pytest
from sqlalchemy import create_engine, text

from twsync.errors import ConfigError, StoreError, UserError
from twsync.store.control import ControlDatabase, sqlite_url
from twsync.store.control_values import BindingRow, Device, SessionRow, StoredRequest, TraceRow, User

FINGERPRINT = "sha256:" + "ab" * 32


@pytest.fixture(scope="module")
def new_postgresql(missing):
    """Gives the URL of an empty place in a PostgreSQL server."""
    binaries = postgresql.programs()
    if binaries is None:
        missing("there is no PostgreSQL here; on Debian and Ubuntu: apt install postgresql")
    server = postgresql.PostgreSQL(binaries)
    server.start()
    yield server.new
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """Of a new control database, in each kind."""
    if request.param == "sqlite":
        ControlDatabase.create(tmp_path / "control.db", "example.org")
        return sqlite_url(tmp_path / "control.db")
    url = request.getfixturevalue("new_postgresql")()
    ControlDatabase.open(url, "example.org").close()
    return url


@pytest.fixture
def database(url):
    database = ControlDatabase.open(url, "example.org")
    with database.transaction() as transaction:
        for name in ("alice", "bob"):
            transaction.add_user(User(name, "s" * 64, "m" * 32, False, 1.0))
    yield database
    database.close()


def ask(database, name, *arguments, **named):
    with database.transaction() as transaction:
        return getattr(transaction, name)(*arguments, **named)


def device(user="alice", name="laptop", **more):
    return Device(user, name, **({"fingerprint": FINGERPRINT, "first_seen": 1.0, "last_seen": 2.0} | more))


def binding(user="alice", key="k", device="laptop", expires=100.0):
    return BindingRow(user, key, device, "sips:alice@192.0.2.1", "urn:uuid:1", 1, "call", 7, "flow", expires)


def request(number=1, partner="bob/studio", user="alice", device="laptop", collection="photos", created=5.0):
    return StoredRequest(f"id-{number}", partner, user, device, collection, "two-way", created)


def content(database):
    """All that can be asked for."""
    with database.transaction() as transaction:
        sessions = transaction.sessions()
        traces = [transaction.trace(session.call_id) for session in sessions]
        return transaction.users(), transaction.devices(), transaction.bindings(0.0), transaction.requests(), sessions, traces


# --- making and opening --------------------------------------------------------------------------------------------------------


def sql(url, statement):
    """Done to the database behind our back."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_a_foreign_postgresql_database_is_left_alone(new_postgresql):
    """Only an empty one gets tables."""
    url = new_postgresql()
    sql(url, "CREATE TABLE invoices (number INTEGER)")
    with pytest.raises(StoreError, match="not a twsync control database"):
        ControlDatabase.open(url, "example.org")
    sql(url, "DROP TABLE invoices")
    ControlDatabase.open(url, "example.org").close()
    with pytest.raises(ConfigError, match=r"belongs to the realm 'example\.org'"):
        ControlDatabase.open(url, "other.org")


@pytest.mark.parametrize(
    ("damage", "error", "words"),
    [
        ("UPDATE state SET version = 99", StoreError, "version 99"),
        ("DELETE FROM state", StoreError, "no state row"),
        ("DROP TABLE state", StoreError, "not a twsync control database"),
        ("UPDATE state SET realm = 'other.org'", ConfigError, "belongs to the realm 'other.org'"),
    ],
    ids=["newer", "no state", "foreign", "realm"],
)
def test_what_cannot_be_opened(url, damage, error, words):
    """One sentence that says what is wrong."""
    sql(url, damage)
    with pytest.raises(error, match=words) as caught:
        ControlDatabase.open(url, "example.org")
    assert "\n" not in str(caught.value)


def test_an_older_version_is_brought_up_to_date(url):
    """What it held stays, and it is as good as a new one."""
    database = ControlDatabase.open(url, "example.org")
    with database.transaction() as transaction:
        transaction.add_user(User("alice", "a" * 64, None, False, 1.0))
    database.close()
    sql(url, "ALTER TABLE state DROP COLUMN taken_up")
    sql(url, "UPDATE state SET version = 1")
    with pytest.raises(ConfigError, match="belongs to the realm"):
        ControlDatabase.open(url, "other.org")
    for _ in range(2):
        database = ControlDatabase.open(url, "example.org")
        with database.transaction() as transaction:
            assert [user.name for user in transaction.users()] == ["alice"]
            assert transaction.taken_up() is None
        database.close()


# --- transactions --------------------------------------------------------------------------------------------------------------


def test_failed_transaction_changes_nothing(database):
    """All or nothing."""
    with pytest.raises(RuntimeError), database.transaction() as transaction:
        transaction.remove_user("alice")
        raise RuntimeError
    assert len(ask(database, "users")) == 2


def test_two_writers_wait_for_each_other(database, url):
    """`twsync ctl` and the daemon at once: no change is lost, nobody sees 'locked'."""
    other = ControlDatabase.open(url, "example.org")
    errors = []

    def write(mine, name):
        try:
            for _ in range(25):
                with mine.transaction() as transaction:
                    transaction.set_admin(name, True)
        except StoreError as error:
            errors.append(error)

    before = ask(database, "changes")
    threads = [threading.Thread(target=write, args=pair) for pair in ((database, "alice"), (other, "bob"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert not errors and ask(database, "changes") == before + 50


# --- users ---------------------------------------------------------------------------------------------------------------------


def test_users(database):
    """Added, listed, changed, removed; each raises the counter."""
    before = ask(database, "changes")
    ask(database, "change_password", "alice", "new", None)
    assert ask(database, "user", "alice").ha1_sha256 == "new" and ask(database, "user", "alice").ha1_md5 is None
    ask(database, "set_admin", "alice", True)
    assert [(user.name, user.admin) for user in ask(database, "users")] == [("alice", True), ("bob", False)]
    ask(database, "remove_user", "bob")
    assert ask(database, "changes") == before + 3
    for name, arguments in (("remove_user", ()), ("change_password", ("x", "y")), ("set_admin", (True,)), ("user", ())):
        with pytest.raises(UserError, match="no user bob"):
            ask(database, name, "bob", *arguments)
    with pytest.raises(UserError, match="already is a user alice"):
        ask(database, "add_user", User("alice", "", "", False, 1.0))
    assert ask(database, "changes") == before + 3


def test_secrets_are_not_shown():
    """Not by repr, which is what logs and tracebacks have."""
    assert "secret" not in repr(User("alice", "secret", "secret", False, 1.0))


def test_removing_a_user_takes_everything_along(database):
    """Devices, bindings, requests for and from it."""
    ask(database, "save_device", device())
    ask(database, "save_device", device("bob", "studio"))
    ask(database, "save_binding", binding())
    ask(database, "add_request", request())
    ask(database, "add_request", request(2, "alice/laptop", "bob", "studio"))
    ask(database, "remove_user", "alice")
    counts = ask(database, "count")
    assert (counts["devices"], counts["bindings"], counts["requests"]) == (1, 0, 0)


# --- devices -------------------------------------------------------------------------------------------------------------------


def test_devices(database):
    """Saved by registration, blocked and renamed by administrators; a registration does not unblock."""
    before = ask(database, "changes")
    ask(database, "save_device", device())
    assert ask(database, "changes") == before, "the daemon's own changes need not be told to it"
    ask(database, "block_device", "alice", "laptop", True)
    ask(database, "save_device", device(last_seen=9.0, agent="new"))
    found = ask(database, "device", "alice", "laptop")
    assert (found.blocked, found.last_seen, found.first_seen, found.agent) == (True, 9.0, 1.0, "new")
    ask(database, "touch_device", device(last_seen=11.0))
    assert ask(database, "device", "alice", "laptop").last_seen == 11.0
    assert ask(database, "devices", "bob") == [] and len(ask(database, "devices")) == 1


def test_renaming_takes_requests_along(database):
    """Those for the device and those that name it; a taken name is refused."""
    ask(database, "save_device", device())
    ask(database, "save_device", device("bob", "studio"))
    ask(database, "save_device", device(name="tablet"))
    ask(database, "add_request", request())
    ask(database, "add_request", request(2, "alice/laptop", "bob", "studio"))
    ask(database, "save_binding", binding())
    ask(database, "rename_device", "alice", "laptop", "old")
    assert {(r.partner, r.device) for r in ask(database, "requests")} == {("bob/studio", "old"), ("alice/old", "studio")}
    assert ask(database, "bindings", 0.0) == []
    with pytest.raises(UserError, match="already is a device alice/tablet"):
        ask(database, "rename_device", "alice", "old", "tablet")
    with pytest.raises(UserError, match="no device alice/laptop"):
        ask(database, "rename_device", "alice", "laptop", "x")


def test_removing_a_device(database):
    """With its binding and requests; a second time there is none."""
    ask(database, "save_device", device())
    ask(database, "save_binding", binding())
    ask(database, "add_request", request())
    ask(database, "remove_device", "alice", "laptop")
    assert ask(database, "count")["requests"] == 0 and ask(database, "bindings", 0.0) == []
    for name, arguments in (("remove_device", ()), ("block_device", (True,)), ("device", ())):
        with pytest.raises(UserError, match="no device alice/laptop"):
            ask(database, name, "alice", "laptop", *arguments)


def test_what_a_removed_user_still_sends(database):
    """The daemon may not have seen it yet: nothing is added, nothing fails."""
    ask(database, "remove_user", "alice")
    ask(database, "save_device", device())
    ask(database, "save_binding", binding())
    ask(database, "add_request", request())
    ask(database, "touch_device", device())
    assert ask(database, "count") == {"users": 1, "devices": 0, "bindings": 0, "requests": 0, "sessions": 0, "trace": 0}


# --- the rest ------------------------------------------------------------------------------------------------------------------


def test_bindings(database):
    """Replaced by key, gone when they expire, removed, cleared."""
    ask(database, "save_binding", binding())
    ask(database, "save_binding", binding(expires=200.0))
    ask(database, "save_binding", binding(key="k2", expires=50.0))
    assert ask(database, "bindings", 100.0) == [binding(expires=200.0)]
    ask(database, "remove_binding", "alice", "k")
    ask(database, "remove_binding", "alice", "nothing")
    assert len(ask(database, "bindings", 0.0)) == 1
    ask(database, "clear_bindings")
    assert ask(database, "bindings", 0.0) == []


def test_requests(database):
    """The same one is stored once; an announced one raises the counter."""
    before = ask(database, "changes")
    ask(database, "add_request", request())
    ask(database, "add_request", request(2))
    ask(database, "add_request", request(3, collection="music", created=1.0), announce=True)
    assert [found.id for found in ask(database, "requests")] == ["id-3", "id-1"]
    assert ask(database, "changes") == before + 1
    ask(database, "remove_requests", ["id-1", "id-9"])
    assert len(ask(database, "requests")) == 1


def test_sessions_and_traces(database):
    """Found by Call-ID or its beginning; pruned by age."""
    old = SessionRow("abc-1", "alice/laptop", "bob/studio", "photos", "two-way", "done", started=1.0, ended=2.0)
    new = SessionRow("abc-2", "alice/laptop", "bob/studio", "photos", "two-way", "running", started=3.0)
    ask(database, "save_sessions", [old, new])
    assert ask(database, "sessions") == [new, old] and ask(database, "sessions", True) == [new]
    assert ask(database, "session", "abc-1") == old
    ask(database, "save_session", SessionRow("abc-1", "mallory/x", "y", "", "", "done", started=9.0))
    assert ask(database, "session", "abc-1") == old, "another caller's"
    for name, words in (("abc", "More than one"), ("x", "no session"), ("%", "no session")):
        with pytest.raises(UserError, match=words):
            ask(database, "session", name)
    ask(database, "end_open_sessions", 4.0, "restarted")
    assert ask(database, "session", "abc-2").state == "lost"
    ask(database, "add_trace", [TraceRow("abc-1", 2.0, "b"), TraceRow("abc-1", 1.0, "a")])
    ask(database, "add_trace", [])
    assert [row.line for row in ask(database, "trace", "abc-1")] == ["a", "b"]
    ask(database, "prune", 3.0, 3.0, 100)
    assert [row.call_id for row in ask(database, "sessions")] == ["abc-2"] and ask(database, "trace", "abc-1") == []


def test_too_many_sessions_are_pruned(database):
    """The oldest of those that have ended, with their ladders."""
    for number in range(5):
        ended = None if number == 0 else float(number)
        ask(database, "save_session", SessionRow(f"c{number}", "a/b", "c/d", "", "", "done", started=float(number), ended=ended))
        ask(database, "add_trace", [TraceRow(f"c{number}", float(number), "x")])
    ask(database, "prune", 0.0, 0.0, 2)
    assert [row.call_id for row in ask(database, "sessions")] == ["c4", "c3", "c0"]
    assert ask(database, "trace", "c1") == [] and ask(database, "trace", "c0")


def test_copied_into_another_kind_of_database(database, request, tmp_path):
    """All of it, and what comes later finds its numbers free."""
    for number in range(3):
        ask(
            database,
            "save_session",
            SessionRow(f"call-{number}", "alice/laptop", "bob/studio", "photos", "two-way", "done", started=number),
        )
        ask(database, "add_trace", [TraceRow(f"call-{number}", 1.0, line) for line in ("b", "a")])
    ask(database, "save_device", device())
    ask(database, "save_binding", binding())
    ask(database, "add_request", StoredRequest("id-9", "bob/studio", "alice", "laptop", "photos", "two-way", 5.0))
    back = database.name.startswith("postgresql:")
    url = sqlite_url(tmp_path / "copy.db") if back else request.getfixturevalue("new_postgresql")()
    copy = ControlDatabase.ready(url, "example.org")
    try:
        assert database.copy_to(copy) > 10
        assert content(copy) == content(database)
        ask(copy, "add_trace", [TraceRow("call-0", 2.0, "c")])
        assert [row.line for row in ask(copy, "trace", "call-0")] == ["b", "a", "c"]
        for other in (copy, database):
            with pytest.raises(ConfigError, match="in use already"):
                database.copy_to(other)
        assert ask(database, "changes") == ask(copy, "changes")
    finally:
        copy.close()
