"""``syncctl.toml``: what is read, and what is said about mistakes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from twsync.control.settings import load
from twsync.errors import ConfigError

SMALL = '[server]\nrealm = "Example.org"\nsip = ["ssl:5061:privateKey=tls/key.pem:certKey=tls/cert.pem"]\n'


def write(folder, text):
    path = folder / "syncctl.toml"
    path.write_text(text, "utf-8")
    return path


def test_defaults(tmp_path):
    """Two settings are enough."""
    settings = load(write(tmp_path, SMALL))
    assert (settings.realm, settings.host, settings.web, settings.metrics) == ("example.org", "example.org", "", "")
    assert settings.database == f"sqlite:///{tmp_path}/syncctl.db"
    registration = settings.registration
    assert (registration.expires, registration.min_expires, registration.max_expires, registration.md5) == (60, 30, 3600, True)
    assert settings.log.level == "info" and not settings.log.json


def test_limits_on_connections(tmp_path):
    """Read and checked."""
    limits = load(write(tmp_path, SMALL)).limits
    assert (limits.connections, limits.connections_per_second, limits.connections_per_address) == (4096, 100.0, 512)
    more = "[limits]\nconnections = 20000\nconnections_per_second = 1000\nconnections_per_address = 20000\n"
    assert load(write(tmp_path, SMALL + more)).limits.connections_per_second == 1000
    for wrong in ("connections = 100", "connections_per_second = 0", "connections_per_address = 0", "connections_per_second = nan"):
        with pytest.raises(ConfigError, match=r"\[limits\] needs"):
            load(write(tmp_path, SMALL + f"[limits]\n{wrong}\n"))


def test_limits_of_the_settings_hold(new_world):
    """For connections that come in."""
    world = new_world()
    assert world.parts.transport._admission._limits.strangers == 512


def test_paths_in_endpoints_are_relative_to_the_file(tmp_path):
    """Also with colons, which Twisted wants escaped; absolute ones stay."""
    folder = tmp_path / "a:b"
    folder.mkdir()
    text = SMALL.replace("tls/cert.pem", "/etc/cert.pem") + 'web = "unix:web.sock"\nmetrics = "tcp:9100:interface=127.0.0.1"\n'
    settings = load(write(folder, text))
    escaped = str(folder).replace(":", "\\:")
    assert settings.sip == (f"ssl:5061:privateKey={escaped}/tls/key.pem:certKey=/etc/cert.pem",)
    assert settings.web == f"unix:{escaped}/web.sock" and settings.metrics == "tcp:9100:interface=127.0.0.1"


def test_the_shipped_file_holds():
    """etc/syncctl.toml is read without a complaint, and names every setting."""
    path = Path(__file__).parents[2] / "etc" / "syncctl.toml"
    settings = load(path)
    text = path.read_text("utf-8")
    for section in (settings.registration, settings.limits, settings.log):
        for name in msgspec.structs.asdict(section):
            assert f"\n{name} = " in text
    for name in ("realm", "host", "sip", "web", "metrics", "database", "across_users"):
        assert f"\n{name} = " in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server\n", "is not TOML"),
        ("", "realm|server"),
        ('[server]\nrealm = "example.org"\n', "sip"),
        (SMALL + 'realmm = "x"\n', r"unknown setting 'realmm' in \[server\]; did you mean 'realm'"),
        (SMALL + "[registraton]\n", "did you mean 'registration'"),
        (SMALL.replace("Example.org", "exa mple"), "realm must be a domain name"),
        (SMALL + 'host = "a b"\n', "host must be a name"),
        ('[server]\nrealm = "example.org"\nsip = []\n', "at least one endpoint"),
        (SMALL + "[registration]\nmin_expires = 90\n", "min_expires <= expires"),
        (SMALL + "[registration]\nexpires = '60'\n", r"\[registration\] expires"),
        (SMALL + '[registration]\nsignup = "open"\n', "not in this version"),
        (SMALL + '[registration]\nsignup = "sometimes"\n', 'signup is "closed"'),
        (SMALL + '[log]\nlevel = "loud"\n', "level is one of"),
        (SMALL + '[policy]\nacross_users = ["alice to bob"]\n', "alice -> bob/photos"),
        (SMALL + 'database = "::"\n', "database is a URL"),
    ],
)
def test_mistakes_are_named(tmp_path, text, words):
    """One sentence, with the setting or the file in it."""
    with pytest.raises(ConfigError, match=words) as caught:
        load(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    """Missing, a folder, or not text."""
    with pytest.raises(ConfigError, match="twsync ctl init"):
        load(tmp_path / "nothing.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)
    path = tmp_path / "bytes.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(path)


def test_ipv6_hosts_get_brackets(tmp_path):
    """As they stand in URIs."""
    assert load(write(tmp_path, SMALL + 'host = "2001:db8::1"\n')).host == "[2001:db8::1]"
