"""``twsync ctl``, run as a whole in this process."""

from __future__ import annotations

import contextlib
import io
import json
import stat
import time

import msgspec
import pytest
from cryptography import x509

from twsync.cli import ctl_server
from twsync.cli.ctl import ctl as group
from twsync.cli.funnel import run
from twsync.cli.main import twsync
from twsync.control.settings import load
from twsync.session.trace import Direction, Party, TraceLine
from twsync.sip.digest import Algorithm, ha1
from twsync.store.control import ControlDatabase, sqlite_url
from twsync.store.control_values import BindingRow, Device, SessionRow, TraceRow
from twsync.transport import tls


class Terminal(io.StringIO):
    """A standard input that is a terminal."""

    def isatty(self):
        return True


class Ctl:
    """The command line, with the folder of a server."""

    def __init__(self, folder, capsys, monkeypatch):
        self.folder, self._capsys, self._monkeypatch = folder, capsys, monkeypatch
        self.config = folder / "syncctl.toml"

    def __call__(self, *arguments, stdin=""):
        """Run `twsync ctl`; exit code, stdout and stderr."""
        self._monkeypatch.setattr("sys.stdin", stdin if isinstance(stdin, Terminal) else io.StringIO(stdin))
        self._capsys.readouterr()
        code = run(twsync, ["ctl", *arguments], "twsync")
        out, err = self._capsys.readouterr()
        return code, out, err

    def on(self, *arguments, **more):
        """The same on this server; must succeed."""
        code, out, err = self(*arguments, "--config", str(self.config), **more)
        assert code == 0, err
        return out

    def fails(self, *arguments, code=1, **more):
        """The same; must fail with one sentence."""
        found, out, err = self(*arguments, "--config", str(self.config), **more)
        assert found == code, (found, out, err)
        assert out == "" and err.startswith("twsync: ") and err.count("\n") == 1
        return err

    def transaction(self):
        return ControlDatabase.open(f"sqlite:///{self.folder}/syncctl.db", "example.org").transaction()


@pytest.fixture
def ctl(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("TWSYNC_PASSWORD", raising=False)
    monkeypatch.delenv("TWSYNC_CONFIG", raising=False)
    made = Ctl(tmp_path / "server", capsys, monkeypatch)
    code, made.enrolment, err = made("init", str(made.folder), "--realm", "example.org", "--host", "192.0.2.1")
    assert code == 0, err
    return made


@pytest.fixture
def busy(ctl):
    """A server with a user, devices and sessions."""
    ctl.on("user", "add", "alice", stdin="secret\n")
    now = time.time()
    with ctl.transaction() as transaction:
        for name, number in (("laptop", "ab"), ("desktop", "cd")):
            places = ("192.0.2.7:4000", "10.0.0.1:4000")
            fingerprint = "sha256:" + number * 32
            transaction.save_device(Device("alice", name, fingerprint, "urn:uuid:1", False, now, now, "twsync/1", *places))
        transaction.save_binding(BindingRow("alice", "k", "laptop", "sips:x", None, 1, "c", 1, "f", now + 60))
        for number, ended in ((1, None), (2, now)):
            names = ("alice/laptop", "alice/desktop", "photos", "two-way", "running")
            transaction.save_session(SessionRow(f"call-{number}", *names, '{"bytes": 5}', "", now, ended))
        line = TraceLine(
            at=now, direction=Direction.RECEIVED, source=Party.CALLER, target=Party.SERVER, start="INVITE", cseq="INVITE", call_id="call-1",
            step=11,
        )  # fmt: skip
        transaction.add_trace([TraceRow("call-1", now, msgspec.json.encode(line).decode())])
    return ctl


def test_init_makes_everything(ctl):
    """Settings, a key that only the owner reads, a database; and the line that enrols a device."""
    cert = ctl.folder / "tls" / "cert.pem"
    fingerprint = tls.certificate_fingerprint(cert)
    expected = f"twsync init DIR --server sips:USER@192.0.2.1:5061 --device NAME --server-fingerprint {fingerprint}\n"
    assert ctl.enrolment == expected
    for name in ("tls/key.pem", "syncctl.db", "syncctl.toml"):
        assert stat.S_IMODE((ctl.folder / name).stat().st_mode) == 0o600
    names = x509.load_pem_x509_certificate(cert.read_bytes()).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name) for name in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1"]


def test_init_writes_nothing_over(ctl):
    """Neither the whole nor a part."""
    assert "already exists" in ctl("init", str(ctl.folder), "--realm", "example.org")[2]
    ctl.config.unlink()
    code, _, err = ctl("init", str(ctl.folder), "--realm", "example.org")
    assert code == 1 and "already exists" in err and not ctl.config.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--realm", "a b"], 1, "realm is a domain name"),
        (["--realm", "example.org", "--host", "x/y"], 1, "--host is a name"),
        (["--realm", "example.org", "--sip-port", "0"], 2, "--sip-port"),
        ([], 2, "--realm"),
    ],
)
def test_init_mistakes(ctl, tmp_path, arguments, code, words):
    """Nothing is made."""
    found, _, err = ctl("init", str(tmp_path / "other"), *arguments)
    assert found == code and words in err and not (tmp_path / "other").exists()


def test_made_settings_are_read(ctl):
    """And the ports are those asked for."""
    settings = load(ctl.config)
    assert settings.sip[0].startswith("ssl:5061:") and settings.web.startswith("ssl:8443:")


def test_users(ctl, monkeypatch):
    """Added with a password from stdin or the environment, listed, removed."""
    ctl.on("user", "add", "alice", stdin="wonderland\n")
    monkeypatch.setenv("TWSYNC_PASSWORD", "builder")
    ctl.on("user", "add", "bob", "--admin")
    listed = json.loads(ctl.on("user", "list", "--json"))
    assert [(user["name"], user["admin"], user["devices"]) for user in listed] == [("alice", False, 0), ("bob", True, 0)]
    assert "wonderland" not in (ctl.folder / "syncctl.db").read_bytes().decode("latin-1")
    table = ctl.on("user", "list")
    assert "alice" in table and "admin" in table
    ctl.on("user", "remove", "alice")
    assert "alice" not in ctl.on("user", "list")


def test_passwords(ctl):
    """The HA1 values are those of the realm; a new password changes both; MD5 is left out where it is switched off."""
    ctl.on("user", "add", "alice", stdin="one\nrest\n")
    with ctl.transaction() as transaction:
        user = transaction.user("alice")
        assert user.ha1_sha256 == ha1("alice", "example.org", "one", Algorithm.SHA256)
        assert user.ha1_md5 == ha1("alice", "example.org", "one", Algorithm.MD5)
        before = transaction.changes()
    ctl.config.write_text(ctl.config.read_text().replace("md5 = true", "md5 = false"))
    ctl.on("user", "passwd", "alice", "--admin", stdin="two\n")
    with ctl.transaction() as transaction:
        user = transaction.user("alice")
        assert user.ha1_sha256 == ha1("alice", "example.org", "two", Algorithm.SHA256) and user.ha1_md5 is None and user.admin
        assert transaction.changes() > before, "a running server takes it up"


def test_password_on_a_terminal_is_asked_for_twice(ctl, monkeypatch):
    """Without echo."""
    asked = []

    def prompt(text, **more):
        asked.append((text, more))
        return "secret"

    monkeypatch.setattr("click.prompt", prompt)
    ctl.on("user", "add", "alice", stdin=Terminal())
    ((text, more),) = asked
    assert "alice" in text and more["hide_input"] and more["confirmation_prompt"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        (["user", "add", "a/b"], "x\n", "cannot name a user"),
        (["user", "add", "a b"], "x\n", "cannot name a user"),
        (["user", "add", "x" * 65], "x\n", "cannot name a user"),
        (["user", "add", "alice"], "x\n", "already is a user"),
        (["user", "add", "dave"], "\n", "no password"),
        (["user", "add", "dave"], "", "no password"),
        (["user", "passwd", "nobody"], "x\n", "no user nobody"),
        (["user", "remove", "nobody"], "", "no user nobody"),
        (["device", "show", "laptop"], "", "USER/DEVICE"),
        (["device", "show", "alice/none"], "", "no device alice/none"),
        (["device", "list", "nobody"], "", "no user nobody"),
        (["device", "rename", "alice/laptop", "a:b"], "", "cannot name a device"),
        (["device", "rename", "alice/laptop", "desktop"], "", "already is a device"),
        (["device", "block", "bob/x"], "", "no device bob/x"),
        (["session", "show", "zzz"], "", "no session zzz"),
        (["session", "show", "call"], "", "More than one session"),
        (["alert", "alice/none", "photos", "alice/laptop"], "", "no device alice/none"),
    ],
)
def test_errors_are_one_sentence(busy, arguments, stdin, words):
    """Exit code 1, nothing on stdout."""
    assert words in busy.fails(*arguments, stdin=stdin)


def test_wrong_usage_is_2(busy):
    """As for every command."""
    busy.fails("user", "frobnicate", code=2)
    busy.fails("alert", "alice/laptop", "photos", "alice/desktop", "--type", "sideways", code=2)


def test_missing_settings_and_database(ctl, tmp_path):
    """Both say what to do."""
    code, _, err = ctl("user", "list", "--config", str(tmp_path / "none.toml"))
    assert code == 1 and "twsync ctl init" in err
    (ctl.folder / "syncctl.db").unlink()
    assert "twsync ctl init" in ctl.fails("user", "list")


def test_a_command_ends_when_the_server_has_taken_up_its_change(busy, monkeypatch):
    """It looks until then; reading waits for nobody."""
    looks = []

    def server_looks(_seconds):
        looks.append(busy.folder)
        with busy.transaction() as transaction:
            if len(looks) == 3:
                transaction.take_up(transaction.changes())

    monkeypatch.setattr(ctl_server.time, "sleep", server_looks)
    with busy.transaction() as transaction:
        transaction.take_up(transaction.changes())
    busy.on("device", "list")
    assert looks == []
    assert busy("device", "block", "alice/laptop", "--config", str(busy.config)) == (0, "", "")
    assert len(looks) == 3


def test_a_server_that_takes_nothing_up(busy, monkeypatch):
    """One that was killed looks as if it ran: it is not waited for without end, and what was changed stays changed."""
    monkeypatch.setattr(ctl_server, "PATIENCE", 0.0)
    with busy.transaction() as transaction:
        transaction.take_up(transaction.changes())
    code, out, err = busy("device", "block", "alice/laptop", "--config", str(busy.config))
    assert (code, out) == (0, "")
    assert "has not taken it up" in err and err.count("\n") == 1
    assert json.loads(busy.on("device", "show", "alice/laptop", "--json"))["blocked"]


def test_devices(busy):
    """Listed and shown, renamed, blocked, removed."""
    listed = {found["device"]: found for found in json.loads(busy.on("device", "list", "--json"))}
    assert listed["alice/laptop"]["online"] and not listed["alice/desktop"]["online"]
    assert listed["alice/laptop"]["fingerprint"] == "sha256:" + "ab" * 32
    assert listed["alice/laptop"]["address"] == "192.0.2.7:4000"
    busy.on("device", "block", "alice/laptop")
    assert "blocked" in busy.on("device", "list", "alice")
    busy.on("device", "unblock", "alice/laptop")
    busy.on("device", "rename", "alice/laptop", "alice/old")
    shown = busy.on("device", "show", "alice/old")
    assert "fingerprint:" in shown and "offline" not in shown
    busy.on("device", "remove", "alice/old")
    assert [found["device"] for found in json.loads(busy.on("device", "list", "--json"))] == ["alice/desktop"]


def test_a_stock_agent_without_instance_is_listed_while_it_is_there(busy):
    """It is in no table of devices, but an administrator who looks has to see it."""
    database = ControlDatabase.open(sqlite_url(busy.folder / "syncctl.db"), "example.org")
    with contextlib.closing(database), database.transaction() as transaction:
        binding = BindingRow("alice", "s", "sipp-10.0.0.9", "sip:sipp@10.0.0.9", None, None, "c", 1, "f", time.time() + 60)
        transaction.save_binding(binding)
    listed = {found["device"]: found for found in json.loads(busy.on("device", "list", "alice", "--json"))}
    assert listed["alice/sipp-10.0.0.9"]["online"] and listed["alice/sipp-10.0.0.9"]["fingerprint"] is None
    assert "sip:sipp@10.0.0.9" in busy.on("device", "list")


def test_sessions(busy):
    """Those that run, all, and one with its ladder."""
    assert [found["session"] for found in json.loads(busy.on("session", "list", "--json"))] == ["call-1"]
    assert len(json.loads(busy.on("session", "list", "--all", "--json"))) == 2
    assert "call-2" in busy.on("session", "list", "--all")
    document = json.loads(busy.on("session", "show", "call-1", "--json"))
    assert document["progress"] == {"bytes": 5} and document["trace"][0]["step"] == 11
    assert "INVITE" in busy.on("session", "show", "call-1")


def test_alert(busy):
    """Stored and announced; 4 if the device is offline."""
    assert busy.on("alert", "alice/laptop", "photos", "alice/desktop", "--type", "slow") == ""
    code, _, err = busy("alert", "alice/desktop", "photos", "alice/laptop", "--config", str(busy.config))
    assert code == 4 and "offline" in err
    document = json.loads(busy.on("device", "show", "alice/laptop", "--json"))
    assert [(r["partner"], r["collection"], r["type"]) for r in document["requests"]] == [("alice/desktop", "photos", "slow")]
    assert "photos" in busy.on("device", "show", "alice/laptop")


def test_empty_lists_say_so(ctl):
    """And are empty documents."""
    for arguments in (["user", "list"], ["device", "list"], ["session", "list"], ["session", "list", "--all"]):
        assert json.loads(ctl.on(*arguments, "--json")) == []
        assert ctl.on(*arguments).count("\n") == 1


def commands(group, path=()):
    for name, command in group.commands.items():
        yield (*path, name)
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))


def test_every_command_has_help_with_an_example(ctl):
    """At every level."""
    found = list(commands(group))
    assert len(found) > 15
    for path in ((), *found):
        code, out, _ = ctl(*path, "--help")
        assert code == 0 and "Example:" in out and "twsync ctl" in out, path
