"""`twsync init` and `twsync collection`."""

from __future__ import annotations

import json
import shutil
import stat

import pytest

from twsync.peer.settings import load
from twsync.store.journal import Journal
from twsync.transport.keys import load_device

SERVER = ["--server", "sips:alice@example.org", "--device", "laptop"]


def test_init_makes_everything(twsync, tmp_path):
    said = twsync("init", tmp_path / "a", *SERVER, "--data-port", "5062", "--advertise", "203.0.113.5")
    assert said.code == 0
    device = load_device(tmp_path / "a" / "device")
    assert said.out == f"alice/laptop {device.fingerprint}\n"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a").iterdir()}
    assert (modes["password"], modes["state"], modes["syncpeer.toml"]) == (0o600, 0o700, 0o600)
    assert stat.S_IMODE((tmp_path / "a" / "device" / "key.pem").stat().st_mode) == 0o600
    found = load(tmp_path / "a" / "syncpeer.toml")
    assert (found.listen, found.advertise, found.server_fingerprint, found.password()) == ("tcp:5062", ("203.0.113.5",), None, "secret")


def test_init_never_overwrites(twsync, host):
    before = host.read_bytes()
    said = twsync("init", host.parent, *SERVER)
    assert said.code == 1
    assert "not overwritten" in said.err
    assert host.read_bytes() == before


def test_init_goes_on_after_an_interruption_with_the_same_key(twsync, host):
    fingerprint = load_device(host.parent / "device").fingerprint
    host.unlink()
    assert fingerprint in twsync("init", host.parent, *SERVER).out


def test_init_makes_a_key_that_is_gone(twsync, host):
    before, old = host.read_bytes(), load_device(host.parent / "device").fingerprint
    shutil.rmtree(host.parent / "device")
    assert "not overwritten" in twsync("init", host.parent, "--server", SERVER[1], "--device", "another").err
    said = twsync("init", host.parent, *SERVER)
    new = load_device(host.parent / "device").fingerprint
    assert (said.code, said.out) == (0, f"alice/laptop {new}\n") and new != old
    assert host.read_bytes() == before
    assert "twsync ctl device remove alice/laptop" in said.err and "twsync trust alice/laptop" in said.err
    assert "not overwritten" in twsync("init", host.parent, *SERVER).err


def test_password_from_stdin(twsync, tmp_path):
    assert twsync("init", tmp_path / "a", *SERVER, password=None, stdin="from stdin\nmore\n").code == 0
    assert (tmp_path / "a" / "password").read_text() == "from stdin\n"
    said = twsync("init", tmp_path / "b", *SERVER, password=None)
    assert said.code == 1
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        ["--server", "example.org"],
        ["--server", "sips:alice@example.org:99999"],
        ["--server", "sip:alice@example.org"],
        ["--device", "a/b"],
        ["--server-fingerprint", "sha256:12"],
        ["--data-port", "70000"],
        ["--advertise", "example.org"],
    ],
)
def test_init_refuses_nonsense(wrong, twsync, tmp_path):
    said = twsync("init", tmp_path / "a", *SERVER, *wrong)
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert not (tmp_path / "a").exists()


def test_fingerprint_may_be_written_in_capitals_with_colons(twsync, tmp_path):
    text = "SHA256:" + ":".join(["AB"] * 32)
    assert twsync("init", tmp_path / "a", *SERVER, "--server-fingerprint", text).code == 0
    assert load(tmp_path / "a" / "syncpeer.toml").server_fingerprint == "sha256:" + "ab" * 32


def test_syncml_port_is_written(twsync, tmp_path):
    assert twsync("init", tmp_path / "a", *SERVER, "--syncml-port", "8080").code == 0
    assert load(tmp_path / "a" / "syncpeer.toml").syncml == "tcp:8080"


# --- collections -----------------------------------------------------------------------------------------------------------------------


def test_add_keeps_comments_and_makes_the_marker(twsync, host, tmp_path):
    host.write_text(host.read_text() + "\n# my own comment\n")
    said = twsync(
        "collection", "add", "photos", tmp_path / "files", "--type", "pictures", "--policy", "ours", "--ignore", "*.tmp", "--ignore", "b/",
        "--device", "desktop", config=host,
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "# my own comment" in host.read_text()
    assert stat.S_IMODE(host.stat().st_mode) == 0o600
    found = load(host).collection("photos")
    assert (found.type, str(found.policy), found.ignore, found.devices) == ("pictures", "ours", ("*.tmp", "b/"), ("desktop",))
    assert (tmp_path / "files" / ".twsync").is_dir()
    (listed,) = twsync("collection", "list", "--json", config=host).json
    assert (listed["name"], listed["path"], listed["ignore"]) == ("photos", str(tmp_path / "files"), ["*.tmp", "b/"])


def test_relative_paths_are_the_callers(twsync, host, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert twsync("collection", "add", "photos", "files", config=host).code == 0
    assert load(host).collection("photos").path == tmp_path / "files"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["photos", "{tmp}/none"], "does not exist"),
        (["photos", "{tmp}/file"], "is not a folder"),
        (["pho/tos", "{tmp}/files"], "collection's name"),
        (["photos", "{tmp}/files", "--policy", "merge"], "cannot be merged"),
        (["photos", "{tmp}/files", "--live"], "not in this version"),
        (["photos", "{tmp}/host"], "choose another folder"),
        (["first", "{tmp}/other"], "already a collection"),
        (["FIRST", "{tmp}/other"], "already a collection"),
        (["photos", "{tmp}/one"], "overlap"),
        (["photos", "{tmp}/one/inside"], "overlap"),
        (["photos", "{tmp}"], "overlap"),
        (["photos", "{tmp}/link"], "overlap"),
    ],
)
def test_add_refuses(arguments, said, twsync, host, tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("one/inside", "other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to("one")
    assert twsync("collection", "add", "first", tmp_path / "one", config=host).code == 0
    before = host.read_bytes()
    refused = twsync("collection", "add", *[word.format(tmp=tmp_path) for word in arguments], config=host)
    assert refused.code == 1
    assert said in refused.err
    assert refused.err.count("\n") == 1
    assert host.read_bytes() == before


def test_a_link_to_a_folder_is_added_as_that_folder(twsync, host, tmp_path):
    (tmp_path / "disk/files").mkdir(parents=True)
    (tmp_path / "link").symlink_to("disk/files")
    added = twsync("collection", "add", "photos", tmp_path / "link", config=host)
    assert added.code == 0, added.err
    assert json.loads(twsync("collection", "list", "--json", config=host).out)[0]["path"] == str((tmp_path / "disk/files").resolve())
    assert (tmp_path / "disk/files/.twsync").is_dir()


def test_remove_forgets_and_leaves_the_folder(twsync, host, tmp_path):
    (tmp_path / "files" / "a.txt").write_text("a")
    twsync("collection", "add", "photos", tmp_path / "files", config=host)
    with_journal = Journal.open(host.parent / "state" / "journal.db")
    with_journal.collection("photos")
    with_journal.close()
    assert twsync("collection", "remove", "photos", config=host).code == 0
    assert load(host).collections == ()
    assert (tmp_path / "files" / "a.txt").read_text() == "a"
    opened = Journal.open(host.parent / "state" / "journal.db")
    assert opened.collections() == []
    opened.close()
    assert twsync("collection", "remove", "photos", config=host).code == 1
    assert twsync("collection", "add", "photos", tmp_path / "files", config=host).code == 0


def test_settings_behind_a_symlink_stay_there(twsync, host, tmp_path):
    real = tmp_path / "real.toml"
    host.rename(real)
    host.symlink_to(real)
    assert twsync("collection", "add", "photos", tmp_path / "files", config=host).code == 0
    assert host.is_symlink()
    assert "photos" in real.read_text()
    assert not list(tmp_path.glob(".real*"))
