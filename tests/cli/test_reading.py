"""Commands that look and mend, with the daemon stopped: they read the journal; those that need the daemon say how to start it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
from unittest.mock import MagicMock

import pytest

from twsync.cli import daemon, doctor
from twsync.peer.localsocket import reachable
from twsync.peer.settings import load
from twsync.reconcile.model import Item, Kind
from twsync.reconcile.versions import Version
from twsync.session.result import SessionResult, State
from twsync.store.lock import StateLock
from twsync.store.owner import open_gate
from twsync.store.rows import Row

KEY = "sha256:" + "cd" * 32


@pytest.fixture
def used(twsync, host, journal, tmp_path):
    """A host that has had two sessions, a conflict and something in the trash."""
    root = tmp_path / "files"
    twsync("collection", "add", "photos", root, config=host)
    for session, state in (("aa11", "done"), ("ab22", "failed")):
        about = {"collection": "photos", "device": "alice/desktop", "protocol": "rsync", "type": "two-way"}
        result = SessionResult(session=session, state=State(state), **about)
        journal.sessions.begin(session, "photos", "alice/desktop", "client", 1_700_000_000_000_000_000 + ord(session[1]))
        journal.sessions.finish(session, state, result.to_json().decode(), 1_700_000_001_000_000_000)
    line = {"at": 1.5, "direction": "sent", "from": "caller", "to": "server", "start": "INVITE", "cseq": "INVITE"}
    line |= {"call_id": "aa11", "step": 11}
    journal.sessions.add_trace("aa11", [json.dumps(line)])
    rows = journal.collection("photos")
    items = []
    for key, text in ((b"a.txt", "theirs"), (b"a (conflict).txt", "ours")):
        (root / key.decode()).write_text(text)
        items.append(Row(Item(key, Kind.FILE, b"x" * 32, 4, 0, 0o644, Version.of([(5, 1)]))))
    rows.take(items, 5)
    journal.conflicts.add("photos", b"a.txt", b"a (conflict).txt", "kept-both", True, "aa11", "alice/desktop", 5)
    journal.conflicts.add("photos", b"b.txt", b"b (conflict).txt", "kept-both", True, "aa11", "alice/desktop", 5)
    journal.durable()
    return host


def test_status(twsync, used):
    found = twsync("status", "--json", config=used).json
    assert found["server"]["connected"] is False
    assert found["server"]["uri"] == "sips:alice@127.0.0.1:1"
    (collection,) = found["collections"]
    assert (collection["name"], collection["items"]) == ("photos", 2)
    assert collection["partners"] == [{"device": "alice/desktop", "last_sync": "2023-11-14T22:13:21Z", "state": "failed"}]
    assert found["sessions"] == []
    text = twsync("status", config=used)
    assert "not running" in text.out and "photos" in text.out


def test_status_says_when_the_next_try_is(twsync, host, monkeypatch):
    document = twsync("status", "--json", config=host).json
    document["server"] |= {"state": "waiting", "message": "the server makes this host wait 12 s after failed sign-ins", "retry_in": 7.2}
    daemon = MagicMock()
    daemon.__enter__.return_value = daemon
    daemon.call.return_value = document
    monkeypatch.setattr("twsync.cli.status.running", lambda settings: daemon)
    text = twsync("status", config=host).out
    assert "not connected: the server makes this host wait 12 s after failed sign-ins; next try in 7 s\n" in text


def test_status_of_a_host_that_never_ran(twsync, host, tmp_path):
    twsync("collection", "add", "photos", tmp_path / "files", config=host)
    assert twsync("status", "--json", config=host).json["collections"][0]["items"] == 0
    assert twsync("history", "--json", config=host).json == []
    assert twsync("conflicts", "--json", config=host).json == []
    assert not (host.parent / "state" / "journal.db").exists()


def test_history_and_session(twsync, used):
    assert [one["session"] for one in twsync("history", "--json", config=used).json] == ["ab22", "aa11"]
    assert "aa11" in twsync("history", config=used).out
    assert twsync("session", "aa11", "--json", config=used).json["state"] == "done"
    assert twsync("session", "ab", "--json", config=used).json["session"] == "ab22"
    traced = twsync("session", "aa11", "--trace", config=used)
    assert "INVITE" in traced.out and "11" in traced.out
    assert twsync("session", "aa11", "--trace", "--json", config=used).json["trace"][0]["step"] == 11
    assert "begin with" in twsync("session", "a", config=used).err
    assert twsync("session", "zz", config=used).code == 1


def test_conflicts_that_another_host_decided_are_not_listed(twsync, used):
    (open_one,) = twsync("conflicts", "--json", config=used).json
    assert (open_one["item"], open_one["copy"], open_one["lost"]) == ("a.txt", "a (conflict).txt", "ours")
    assert len(twsync("conflicts", "--all", "--json", config=used).json) == 2
    assert twsync("conflicts", "photos", "--json", config=used).json == [open_one]
    assert twsync("conflicts", "music", config=used).code == 1


@pytest.mark.parametrize("item", ["1", "a.txt", "a (conflict).txt"])
@pytest.mark.parametrize(("keep", "left"), [("ours", "ours"), ("theirs", "theirs")])
def test_resolve(item, keep, left, twsync, used, journal, tmp_path):
    journal.close()
    said = twsync("conflicts", "resolve", item, "--keep", keep, config=used)
    assert said.code == 0, said.err
    assert (tmp_path / "files" / "a.txt").read_text() == left
    assert not (tmp_path / "files" / "a (conflict).txt").exists()
    assert twsync("conflicts", "--json", config=used).json == []
    (thrown,) = twsync("trash", "list", "--json", config=used).json
    assert twsync("trash", "restore", "photos", thrown["item"], "--to", "back.txt", config=used).code == 0
    assert (tmp_path / "files" / "back.txt").exists()


def test_resolve_what_is_not_there(twsync, used):
    said = twsync("conflicts", "resolve", "nothing", "--keep", "ours", config=used)
    assert said.code == 1
    assert "no open conflict" in said.err
    assert twsync("conflicts", "resolve", "1", config=used).code == 2


def test_trash_of_a_missing_folder_is_told(twsync, used, tmp_path):
    (tmp_path / "files").rename(tmp_path / "gone")
    said = twsync("trash", "list", "--json", config=used)
    assert (said.code, said.json) == (0, [])
    assert "photos" in said.err
    assert twsync("trash", "list", "photos", config=used).code == 1


def test_trash_is_emptied(twsync, used, tmp_path):
    old = tmp_path / "files" / ".twsync" / "trash" / "20200101T000000Z-s"
    (old / "d").mkdir(parents=True)
    (old / "d" / "x.txt").write_bytes(bytes(2048))
    twsync("conflicts", "resolve", "1", "--keep", "theirs", config=used)
    assert len(twsync("trash", "list", "--json", config=used).json) == 2
    said = twsync("trash", "empty", "photos", "--older-than", "30d", "--json", config=used)
    assert (said.code, said.json) == (0, [{"collection": "photos", "files": 1, "bytes": 2048, "kept": []}])
    assert not old.exists()
    assert len(twsync("trash", "list", "--json", config=used).json) == 1
    said = twsync("trash", "empty", "--all", config=used)
    assert (said.code, said.out) == (0, "photos: 1 files deleted, 4 B freed\n")
    assert twsync("trash", "list", "--json", config=used).json == []


@pytest.mark.parametrize(
    "words", [[], ["--all", "--older-than", "3d"], ["--older-than", "30"], ["--older-than", "0d"], ["--older-than", "-1d"]]
)
def test_what_is_to_be_deleted_is_said_explicitly(words, twsync, used):
    said = twsync("trash", "empty", "photos", *words, config=used)
    assert said.code == 2
    assert "--older-than" in said.err
    assert words[1:] or "--all" in said.err


def test_what_stays_in_the_trash_is_told(twsync, used, tmp_path, monkeypatch):
    folder = tmp_path / "files" / ".twsync" / "trash" / "20200101T000000Z-s"
    folder.mkdir(parents=True)
    (folder / "x.txt").write_bytes(b"x")

    def refused(place):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("twsync.store.place.Place.remove", refused)
    said = twsync("trash", "empty", "--all", config=used)
    assert (said.code, said.out.splitlines()[1:]) == (3, ["kept: x.txt of 20200101T000000Z-s (permission-denied)"])
    said = twsync("trash", "empty", "--all", "--json", config=used)
    assert said.json[0]["kept"] == [{"session": "20200101T000000Z-s", "item": "x.txt", "reason": "permission-denied"}]


def test_a_missing_folder_does_not_keep_other_trash_from_being_emptied(twsync, used, tmp_path):
    (tmp_path / "more" / ".twsync" / "trash" / "20200101T000000Z-s").mkdir(parents=True)
    twsync("collection", "add", "more", tmp_path / "more", config=used)
    (tmp_path / "files").rename(tmp_path / "gone")
    said = twsync("trash", "empty", "--all", "--json", config=used)
    assert said.code == 1
    assert [one.get("error", {}).get("code") for one in said.json] == ["root-missing", None]
    assert list((tmp_path / "more" / ".twsync" / "trash").iterdir()) == []
    assert twsync("trash", "empty", "photos", "--all", "--json", config=used).json["error"]["code"] == "root-missing"


def test_the_daemon_empties_the_trash_if_it_runs(twsync, used, monkeypatch):
    """In as many calls as it takes; what stays is told by the last one."""
    kept = [{"session": "s", "item": "a", "reason": "permission-denied"}]
    answers = [{"files": 2, "bytes": 5, "complete": done, "kept": kept} for done in (False, True)]
    daemon = MagicMock()
    daemon.__enter__.return_value = daemon
    daemon.call.side_effect = [{"collection": "photos", **answer} for answer in answers]
    monkeypatch.setattr("twsync.cli.trash.running", lambda settings: daemon)
    said = twsync("trash", "empty", "photos", "--older-than", "2w", "--json", config=used)
    assert (said.code, said.json) == (3, [{"collection": "photos", "files": 4, "bytes": 10, "kept": kept}])
    first, second = daemon.call.call_args_list
    assert first == second
    assert first.args[0] == "empty"
    assert 14 * 86_400 <= time.time() - first.args[1]["before"] / 1e9 < 14 * 86_400 + 600


def test_trust(twsync, used, journal):
    assert twsync("trust", "desktop", config=used).code == 1
    journal.trust.meet("alice/desktop", "sha256:" + "00" * 32, 1)
    journal.trust.meet("alice/desktop", KEY, 2)
    journal.durable()
    journal.close()
    said = twsync("trust", "desktop", "--json", config=used)
    assert said.json == {"device": "alice/desktop", "fingerprint": KEY, "changed": True}
    assert "trusted already" in twsync("trust", "alice/desktop", config=used).out


@pytest.mark.parametrize("words", [["sync", "photos", "desktop"], ["alert", "photos", "desktop"], ["devices"]])
def test_what_needs_the_daemon_says_how_to_start_it(words, twsync, used):
    said = twsync(*words, config=used)
    assert said.code == 1
    assert f"twistd -n syncpeer --config {used}" in said.err
    document = twsync(*words, "--json", config=used)
    assert document.json["error"]["code"] == "daemon-stopped"


@pytest.mark.parametrize("word", ["sync", "alert"])
def test_session_with_oneself(word, twsync, used):
    assert "is this device" in twsync(word, "photos", "laptop", config=used).err


def test_writing_commands_respect_the_lock(twsync, used, journal):
    with StateLock.acquire(used.parent / "state" / "lock", "another program"):
        said = twsync("trust", "desktop", config=used)
    assert said.code == 1
    assert "another program" in said.err


def test_devices_shows_a_key_that_was_refused(twsync, used, monkeypatch):
    """It is the one that `twsync trust` accepts, whatever the server announces."""
    keys = {"trusted_fingerprint": KEY, "trusted_since": "2026-11-01T10:00:00Z", "refused_fingerprint": None, "refused": None}
    about = {
        "online": False,
        "address": None,
        "last_seen": None,
        "fingerprint": KEY,
        "trusted": True,
        "met": True,
        "own": False,
        "agent": None,
    }
    other = "sha256:" + "ef" * 32
    daemon = MagicMock()
    daemon.return_value.__enter__.return_value.call.return_value = [
        {"device": "alice/phone", **about, **keys},
        {"device": "alice/desktop", **about, **keys, "refused_fingerprint": other, "refused": "2026-11-21T10:00:00Z"},
    ]
    monkeypatch.setattr("twsync.cli.devices.Daemon", daemon)
    lines = twsync("devices", config=used).out.splitlines()
    assert [line.split()[0] for line in lines] == ["DEVICE", "alice/phone", "alice/desktop", "alice/desktop:"]
    assert lines[3] == f"alice/desktop: refused {other}, last at 2026-11-21T10:00:00Z; trusted is {KEY} since 2026-11-01T10:00:00Z"


def test_doctor(twsync, used, tmp_path):
    said = twsync("doctor", "--json", config=used)
    assert said.code == 1  # nothing listens at the server's port
    states = {finding["check"]: finding["state"] for finding in said.json}
    assert (states["settings"], states["permissions"], states["device key"], states["collection photos"]) == ("ok",) * 4
    assert (states["server"], states["daemon"], states["conflicts"]) == ("fail", "warn", "warn")
    (used.parent / "password").chmod(0o644)
    (tmp_path / "files").rename(tmp_path / "gone")
    states = {finding["check"]: finding["state"] for finding in twsync("doctor", "--json", config=used).json}
    assert (states["permissions"], states["collection photos"]) == ("warn", "fail")
    (used.parent / "device" / "key.pem").unlink()
    text = twsync("doctor", config=used)
    assert "fail  key" in text.out


def test_the_folder_of_another_collection_is_told_and_not_touched(twsync, used, journal, tmp_path):
    """By the doctor, and by what works in it."""
    (tmp_path / "other").mkdir()
    open_gate(tmp_path / "other", journal.collection("letters")).close()
    (tmp_path / "files").rename(tmp_path / "away")
    (tmp_path / "other").rename(tmp_path / "files")
    (said,) = [each for each in twsync("doctor", "--json", config=used).json if each["check"] == "collection photos"]
    assert said["state"] == "fail"
    assert "is the folder of the collection letters, not of the collection photos" in said["message"]
    for name in ("a.txt", "a (conflict).txt"):
        (tmp_path / "files" / name).write_text("of the other")
    said = twsync("conflicts", "resolve", "a.txt", "--keep", "ours", config=used)
    assert (said.code, "folder of the collection letters" in said.err) == (1, True)
    assert (tmp_path / "files" / "a.txt").read_text() == "of the other"


def test_doctor_on_a_read_only_file_system(twsync, used, monkeypatch):
    """No permissions help there, so it does not say that they would."""
    found = os.statvfs
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result((*found(path)[:8], os.ST_RDONLY, found(path)[9])))
    (said,) = [each for each in twsync("doctor", "--json", config=used).json if each["check"] == "collection photos"]
    assert said["state"] == "fail" and "mount it writable" in said["message"]


def test_doctor_without_settings(twsync, tmp_path):
    said = twsync("doctor", config=tmp_path / "none.toml")
    assert said.code == 1
    assert "twsync init" in said.out


def test_doctor_of_a_collection_that_was_never_synchronised(twsync, host, tmp_path):
    """Also of one written into the settings by hand, which has no marker yet; and it leaves none."""
    host.write_text(host.read_text() + f'[[collection]]\nname = "photos"\npath = "{tmp_path / "files"}"\ntype = "files"\n')

    def found():
        said = twsync("doctor", "--json", config=host).json
        return next((finding["state"], finding["message"]) for finding in said if finding["check"] == "collection photos")

    assert found() == ("ok", f"{tmp_path / 'files'}, not synchronised yet")
    assert not (tmp_path / "files" / ".twsync").exists()
    (tmp_path / "files").rmdir()
    assert found()[0] == "fail" and "is missing" in found()[1]


def test_doctor_of_a_collection_that_lost_its_marker(twsync, used, tmp_path):
    shutil.rmtree(tmp_path / "files" / ".twsync")
    (finding,) = (each for each in twsync("doctor", "--json", config=used).json if each["check"] == "collection photos")
    assert finding["state"] == "fail" and "was synchronised before" in finding["message"]


def test_doctor_shows_paths_as_text(twsync, used, monkeypatch):
    def closed(*_, **_known):
        raise PermissionError(13, "Permission denied", b"/some/folder")

    monkeypatch.setattr(doctor.keys, "load_device", closed)
    (finding,) = (each for each in twsync("doctor", "--json", config=used).json if each["check"] == "key")
    assert finding["message"] == "/some/folder: Permission denied"


def test_doctor_of_a_folder_that_the_system_does_not_open(twsync, used, tmp_path):
    """The others are looked at all the same."""
    where = f"{tmp_path}/{'x' * 300}"
    settings = used.read_text()
    used.write_text(settings.replace("\n[[collection]]", f'\n[[collection]]\nname = "odd"\npath = "{where}"\n\n[[collection]]', 1))
    found = {each["check"]: each for each in twsync("doctor", "--json", config=used).json}
    assert found["collection odd"]["state"] == "fail"
    assert f"{where} cannot be read (File name too long)" in found["collection odd"]["message"]
    assert found["collection photos"]["state"] == found["disk of the state"]["state"] == "ok"


def test_doctor_of_a_file_system_that_gives_no_answer(twsync, used, tmp_path, monkeypatch):
    def broken(path):
        raise OSError(107, "Transport endpoint is not connected")

    monkeypatch.setattr(os, "statvfs", broken)
    found = {each["check"]: each for each in twsync("doctor", "--json", config=used).json}
    assert f"{tmp_path / 'files'} cannot be read (Transport endpoint is not connected)" in found["collection photos"]["message"]


# --- a daemon that does not answer -------------------------------------------------------------------------------------------------------


@pytest.fixture
def hung(host, monkeypatch):
    """A stopped process: the kernel takes connections for it."""
    monkeypatch.setattr(daemon, "SOON", 0.05)
    with socket.socket(socket.AF_UNIX) as port, reachable(host.parent / "state" / "api.sock") as path:
        port.bind(path)
        port.listen()
        yield port


@pytest.mark.parametrize("words", [["status"], ["devices"]])
def test_a_daemon_that_hangs_is_given_up_soon(words, twsync, host, hung):
    said = twsync(*words, "--json", config=host)
    assert (said.code, said.json["error"]["code"]) == (1, "daemon-silent")
    assert "does not answer" in said.err


def test_doctor_of_a_daemon_that_hangs(twsync, host, hung):
    states = {finding["check"]: finding for finding in twsync("doctor", "--json", config=host).json}
    assert states["daemon"]["state"] == "fail" and "does not answer" in states["daemon"]["message"]
    assert states["server"]["state"] == "fail"


def test_a_daemon_that_answers_may_take_its_time(host, hung):
    """A session takes as long as it does."""
    patience = []

    def serve():
        there, _ = hung.accept()
        with there, there.makefile("rw") as lines:
            assert json.loads(lines.readline())["call"] == "ping"
            lines.write('{"result": {}}\n')
            lines.flush()
            lines.readline()

    server = threading.Thread(target=serve)
    server.start()
    with daemon.Daemon(load(host)) as client:
        patience.append(client._socket.gettimeout())
    server.join()
    assert patience == [daemon.PATIENCE]
