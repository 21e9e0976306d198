"""syncpeer.toml: what it says, and every way in which it is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from twsync.errors import ConfigError
from twsync.peer.address import device_name, host_port, parse_server
from twsync.peer.settings import _SECTIONS, load, parse
from twsync.reconcile.model import Policy, RecordPolicy

DEVICE = '[device]\nname = "laptop"\nserver = "sips:alice@sync.example.org:5061"\n'
PATH = Path("/srv/host/syncpeer.toml")
COLLECTION = '[[collection]]\nname = "photos"\npath = "photos"\n'


def test_smallest_file_has_sensible_defaults():
    found = parse(DEVICE, PATH)
    assert (found.user, found.device, found.full_name) == ("alice", "laptop", "alice/laptop")
    assert (found.server.host, found.server.port, found.server.secure) == ("sync.example.org", 5061, True)
    assert (found.listen, found.advertise, found.server_fingerprint) == ("tcp:0", (), None)
    assert found.socket == Path("/srv/host/state/api.sock")
    assert found.collections == ()


def test_everything():
    text = (
        DEVICE + f'user = "alice"\nserver_fingerprint = "sha256:{"ab" * 32}"\n'
        '[data]\nlisten = "tcp:5062:interface=192.0.2.7"\nadvertise = ["203.0.113.1:5062"]\n'
        '[api]\nsocket = "/run/twsync.sock"\n[log]\nlevel = "debug"\njson = true\n'
        + COLLECTION + 'type = "music"\npolicy = "ours"\nignore = ["*.tmp"]\ndevices = ["desktop", "bob/phone"]\ntrash_days = 30\n'
    )  # fmt: skip
    found = parse(text, PATH)
    collection = found.collection("photos")
    assert collection.path == Path("/srv/host/photos")
    assert (collection.type, collection.policy, collection.ignore) == ("music", Policy.OURS, ("*.tmp",))
    assert collection.trash_days == 30
    assert collection.allows("alice/desktop", "alice") and collection.allows("bob/phone", "alice")
    assert not collection.allows("bob/desktop", "alice")
    assert found.socket == Path("/run/twsync.sock")
    assert found.log_json


def test_the_shipped_file_holds():
    """etc/syncpeer.toml is read without a complaint, and names every setting in its section."""
    path = Path(__file__).parents[2] / "etc" / "syncpeer.toml"
    load(path)
    sections = dict(re.findall(r"^\[+([a-z]+)\]+\n(.*?)(?=^\[|\Z)", path.read_text("utf-8"), re.MULTILINE | re.DOTALL))
    assert sections.keys() == _SECTIONS.keys()
    for section, kind in _SECTIONS.items():
        named = re.findall(r"^(?:# )?([a-z_]+) = ", sections[section], re.MULTILINE)
        assert sorted(named) == sorted(kind.__struct_fields__)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = ", "not valid TOML"),
        ("", "missing"),
        ('[device]\nname = "laptop"\n', "server"),
        (DEVICE.replace("name", "nmae"), "did you mean 'name'"),
        (DEVICE + "[dta]\n", "did you mean 'data'"),
        (DEVICE + "[nonsense]\n", "known are"),
        (DEVICE + "[data]\nlisten = 5\n", "data.listen"),
        (DEVICE + '[data]\nadvertise = ["example.org"]\n', "not a name"),
        (DEVICE + 'user = "bob"\n', "make them the same"),
        (DEVICE + 'server_fingerprint = "ab"\n', "64 hexadecimal"),
        (DEVICE + '[log]\nlevel = "loud"\n', "debug, info"),
        (DEVICE.replace("laptop", "lap/top"), "device's name"),
        (DEVICE.replace("sips:alice@sync", "sip:alice@sync"), "by TLS"),
        (DEVICE.replace("sips:alice@sync.example.org:5061", "alice"), "sips:USER@HOST:PORT"),
        (DEVICE + COLLECTION + 'type = "contacts"\npolicy = "keep-both"\n', "merge, duplicate, ours, theirs"),
        (DEVICE + COLLECTION + 'type = "contacts"\nignore = ["*.bak"]\n', "Patterns to ignore are for files"),
        (DEVICE + COLLECTION + 'type = "photos"\n', "use one of files"),
        (DEVICE + COLLECTION + "live = true\n", "not in this version"),
        (DEVICE + COLLECTION + 'policy = "merge"\n', "cannot be merged"),
        (DEVICE + COLLECTION + 'policy = "mine"\n', "keep-both"),
        (DEVICE + COLLECTION + 'pth = "x"\n', "did you mean 'path'"),
        (DEVICE + COLLECTION.replace('"photos"\npath', '"pho tos"\npath'), "collection's name"),
        (DEVICE + COLLECTION + 'devices = ["/x"]\n', "bob/laptop"),
        (DEVICE + COLLECTION + "trash_days = -1\n", "up to 36500 days"),
        (DEVICE + COLLECTION + "trash_days = 36501\n", "up to 36500 days"),
        (DEVICE + COLLECTION + "trash_days = 1.5\n", "trash_days"),
        (DEVICE + COLLECTION + COLLECTION, "already a collection"),
        (DEVICE + COLLECTION + COLLECTION.replace('"photos"\npath', '"PHOTOS"\npath'), "already a collection"),
        (DEVICE + COLLECTION + '[[collection]]\nname = "b"\npath = "photos/inside"\n', "overlap"),
    ],
)
def test_refusals_are_one_sentence_that_names_the_file(text, said):
    with pytest.raises(ConfigError) as caught:
        parse(text, PATH)
    assert said in caught.value.message
    assert str(PATH) in caught.value.message
    assert "\n" not in caught.value.message


def test_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigError, match="twsync init"):
        load(tmp_path / "nothing.toml")


def test_folders_behind_symlinks_may_not_overlap_either(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to("a")
    text = DEVICE + '[[collection]]\nname = "a"\npath = "a"\n[[collection]]\nname = "b"\npath = "b"\n'
    with pytest.raises(ConfigError, match="overlap"):
        parse(text, tmp_path / "syncpeer.toml")


def test_password_is_the_first_line(tmp_path):
    settings = parse(DEVICE, tmp_path / "syncpeer.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        settings.password()
    (tmp_path / "password").write_text("\n")
    with pytest.raises(ConfigError, match="empty"):
        settings.password()
    (tmp_path / "password").write_text("pass word\nmore\n")
    assert settings.password() == "pass word"


@pytest.mark.parametrize(
    ("text", "host", "port", "uri"),
    [
        ("sips:alice@example.org", "example.org", 5061, "sips:alice@example.org:5061"),
        ("sips:alice@[2001:db8::1]:7", "2001:db8::1", 7, "sips:alice@[2001:db8::1]:7"),
        ("sip:alice@127.0.0.1", "127.0.0.1", 5060, "sip:alice@127.0.0.1:5060"),
    ],
)
def test_servers(text, host, port, uri):
    found = parse_server(text)
    assert (found.host, found.port, found.uri) == (host, port, uri)


@pytest.mark.parametrize(
    "text", ["", "sips:@h", "sips:a@", "sips:a@h:0", "sips:a@h:65536", "sips:a@h:x", "sips:a b@h", "sips:a@-h", "http://a@h"]
)
def test_bad_servers(text):
    with pytest.raises(ConfigError):
        parse_server(text)


@pytest.mark.parametrize("name", ["", " a", "a b", "a/b", "a\n", "..", "é" * 33, 'a"b', "a;b", "a@b", "\x1b[1m"])
def test_bad_device_names(name):
    with pytest.raises(ConfigError):
        device_name(name)


@pytest.mark.parametrize("name", ["laptop", "büro-2", "é" * 32, "a.b", "日本"])
def test_device_names(name):
    assert device_name(name) == name


@pytest.mark.parametrize(
    ("text", "expected"),
    [("h", ("h", 9)), ("h:1", ("h", 1)), ("[::1]:5", ("::1", 5)), ("2001:db8::5", ("2001:db8::5", 9)), ("192.0.2.1:80", ("192.0.2.1", 80))],
)
def test_host_and_port(text, expected):
    assert host_port(text, 9) == expected


@pytest.mark.parametrize("text", ["", "h:", "h:0", "a b", "[h]:5", "[::1"])
def test_bad_host_and_port(text):
    with pytest.raises(ConfigError):
        host_port(text, 9)


def test_a_device_is_named_with_or_without_its_user(tmp_path):
    settings = parse(DEVICE, tmp_path / "syncpeer.toml")
    assert settings.full_device("desktop") == "alice/desktop"
    assert settings.full_device("bob/desktop") == "bob/desktop"
    for wrong in ("a b", "/x", "bob/", "", "a:b"):
        with pytest.raises(ConfigError):
            settings.full_device(wrong)


def test_records_are_merged_unless_something_else_is_said(tmp_path):
    """The policy that holds without one is the type's own."""
    text = DEVICE + '[[collection]]\nname = "c"\npath = "cards"\ntype = "contacts"\n[syncml]\nlisten = "tcp:8080"\n'
    found = parse(text, tmp_path / "syncpeer.toml")
    assert (found.collections[0].policy, found.collections[0].records) == (RecordPolicy.MERGE, True)
    assert found.syncml == "tcp:8080"
