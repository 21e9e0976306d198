"""The calls of the local interface."""

from __future__ import annotations

from unittest.mock import MagicMock

import pytest
from twisted.internet.defer import Deferred, maybeDeferred

from twsync.errors import ConfigError, SessionError, StoreError, TwsyncError, UserError
from twsync.peer.api import EMPTY_FOR, Api
from twsync.peer.presence import Device
from twsync.peer.refusals import Refusal

KEY = "sha256:" + "cd" * 32


@pytest.fixture
def api(laptop):
    reloads = []
    claims = MagicMock()
    made = Api(laptop.host, laptop.caller, laptop.journal, lambda: reloads.append(1), maybeDeferred, lambda: 7, claims)
    made.reloads = reloads
    made.claims = claims
    return made


def ask(api, name, report=lambda event: None, **arguments):
    """The result, or the error raised."""
    results = []
    Deferred.fromCoroutine(api(name, arguments, report)).addBoth(results.append)
    if results and hasattr(results[0], "raiseException"):
        results[0].raiseException()
    return results[0] if results else None


def test_status(api, laptop):
    found = ask(api, "status")
    assert found["device"] == "alice/laptop"
    assert found["server"]["connected"] is True
    assert found["server"]["uri"] == "sips:alice@192.0.2.1:5061"
    (collection,) = found["collections"]
    assert (collection["name"], collection["items"], collection["partners"]) == ("photos", 0, [])
    assert found["sessions"] == []


def test_status_with_history_and_running_session(api, laptop, desktop, introduce):
    laptop.agent.calls.answers += [introduce(laptop, desktop), Refusal(404, "not-found", "No.")]
    ask(api, "sync", collection="photos", device="alice/desktop")
    ask(api, "sync", collection="photos", device="alice/desktop")
    (partner,) = ask(api, "status")["collections"][0]["partners"]
    assert partner == {"device": "alice/desktop", "last_sync": "2027-01-15T08:00:00Z", "state": "failed"}
    laptop.exchange.outcome = lambda work: Deferred()
    desktop.listener.expected[0][2].callback(object())
    laptop.agent.calls.answers.append(introduce(laptop, desktop))
    started = ask(api, "sync", collection="photos", device="alice/desktop", wait=False)
    (running,) = ask(api, "status")["sessions"]
    assert (running["session"], running["state"], running["phase"]) == (started["session"], "running", "transfer")


def test_sync_reports_and_returns_the_result(api, laptop, desktop, introduce):
    events = []
    laptop.agent.calls.answers.append(introduce(laptop, desktop))
    found = ask(api, "sync", events.append, collection="photos", device="alice/desktop")
    assert set(found) == {
        "session", "collection", "device", "protocol", "type", "state", "sent", "received", "conflicts", "skipped", "seconds", "error",
        "effective_type",
    }  # fmt: skip
    assert events[-1]["phase"] == "transfer"


def test_devices(api, laptop):
    laptop.agent.presence.devices = {
        "alice/laptop": Device("alice/laptop", True, "192.0.2.7:1", "2026-11-21T10:00:00Z", KEY, "twsync/0.1.0"),
        "alice/desktop": Device("alice/desktop", False, None, None, KEY, None),
        "alice/phone": Device("alice/phone", True, None, None, KEY, None),
    }
    laptop.journal.trust.meet("alice/desktop", "sha256:" + "00" * 32, 1)
    laptop.journal.trust.meet("alice/desktop", "sha256:" + "11" * 32, 1_700_000_000 * 10**9)
    laptop.journal.trust.meet("bob/old", KEY, 1_600_000_000 * 10**9)
    rows = {row["device"]: row for row in ask(api, "devices")}
    assert {name: (row["online"], row["trusted"], row["met"]) for name, row in rows.items()} == {
        "alice/laptop": (True, True, True), "alice/desktop": (False, False, True), "alice/phone": (True, False, False),
        "bob/old": (False, True, True),
    }  # fmt: skip
    assert rows["alice/laptop"]["address"] == "192.0.2.7:1"
    names = ("trusted_fingerprint", "trusted_since", "refused_fingerprint", "refused")
    assert {name: tuple(row[each] for each in names) for name, row in rows.items()} == {
        "alice/laptop": (None,) * 4, "alice/phone": (None,) * 4, "bob/old": (KEY, "2020-09-13T12:26:40Z", None, None),
        "alice/desktop": ("sha256:" + "00" * 32, "1970-01-01T00:00:00Z", "sha256:" + "11" * 32, "2023-11-14T22:13:20Z"),
    }  # fmt: skip


def test_devices_without_a_server(api, laptop):
    laptop.agent.registered = False
    with pytest.raises(SessionError, match="not connected"):
        ask(api, "devices")


@pytest.mark.parametrize(
    ("answer", "state"), [(None, "accepted"), (Refusal(480, "device-offline", "Stored.", True), "queued"), (Refusal(403, "x", "No."), None)]
)
def test_alert(api, laptop, answer, state):
    laptop.agent.alert_answer = answer
    arguments = {"collection": "photos", "device": "alice/desktop", "type": "one-way-from-client"}
    if state is None:
        with pytest.raises(SessionError):
            ask(api, "alert", **arguments)
    else:
        assert ask(api, "alert", **arguments)["state"] == state
    ((device, request),) = laptop.agent.alerts
    assert (device, request.partner, request.sync_type) == ("alice/desktop", "alice/laptop", "one-way-from-client")


def test_trust_takes_the_refused_key_then_the_announced_one(api, laptop):
    with pytest.raises(UserError, match="No key"):
        ask(api, "trust", device="alice/desktop")
    laptop.agent.presence.devices = {"alice/desktop": Device("alice/desktop", True, None, None, KEY, None)}
    assert ask(api, "trust", device="alice/desktop") == {"device": "alice/desktop", "fingerprint": KEY, "changed": True}
    assert ask(api, "trust", device="alice/desktop")["changed"] is False
    other = "sha256:" + "11" * 32
    laptop.journal.trust.meet("alice/desktop", other, 2)
    assert ask(api, "trust", device="alice/desktop")["fingerprint"] == other


def test_reload_and_forget(api, laptop):
    assert ask(api, "reload") == {"collections": ["photos"]}
    assert api.reloads == [1]
    with pytest.raises(UserError, match="still in the settings"):
        ask(api, "forget", collection="photos")
    laptop.journal.collection("old")
    assert ask(api, "forget", collection="old") == {"collection": "old"}
    assert "old" not in laptop.journal.collections()


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("nothing", {}, "unknown-call"),
        ("sync", {"collection": "photos"}, "refused"),
        ("sync", {"collection": "photos", "device": "a/b", "more": 1}, "refused"),
        ("sync", {"collection": "photos", "device": "a/b", "type": "sideways"}, "refused"),
        ("sync", {"collection": "nothing", "device": "a/b"}, "no-such-collection"),
        ("resolve", {"number": 1, "keep": "ours"}, "not-found"),
        ("restore", {"collection": "photos", "session": "s", "item": "xyz"}, "refused"),
        ("empty", {"collection": "nothing", "before": None}, "no-such-collection"),
        ("empty", {"collection": "photos", "before": None}, "root-marker-missing"),
        ("empty", {"collection": "photos"}, "refused"),
    ],
)
def test_refusals(api, name, arguments, code):
    with pytest.raises(TwsyncError) as caught:
        ask(api, name, **arguments)
    assert caught.value.code == code


def test_repair_waits_for_no_session(api, laptop):
    laptop.host.sessions.take("photos")
    with pytest.raises(UserError, match="is being synchronised"):
        ask(api, "restore", collection="photos", session="s", item="00")
    laptop.host.sessions.release("photos")
    with pytest.raises(TwsyncError):
        ask(api, "restore", collection="photos", session="s", item="61")
    assert not laptop.host.sessions.busy("photos")


def trashed(laptop, session, *names):
    """These are in the trash."""
    root = laptop.host.settings.collection("photos").path
    folder = root / ".twsync" / "trash" / session
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(b"1234")
    return folder


def test_empty(api, laptop):
    old, new = trashed(laptop, "20200101T000000Z-s", "a", "b"), trashed(laptop, "20260101T000000Z-s", "a")
    answer = ask(api, "empty", collection="photos", before=1_700_000_000 * 10**9)
    assert answer == {"collection": "photos", "files": 2, "bytes": 8, "complete": True, "kept": []}
    assert (old.exists(), new.exists()) == (False, True)
    assert ask(api, "empty", collection="photos", before=None)["files"] == 1
    assert not new.exists()


def test_the_trash_is_not_emptied_beside_a_session(api, laptop):
    folder = trashed(laptop, "20200101T000000Z-s", "a")
    laptop.host.sessions.take("photos")
    with pytest.raises(UserError, match="is being synchronised"):
        ask(api, "empty", collection="photos", before=None)
    laptop.host.sessions.release("photos")
    # Nor beside one of a SyncML client.
    api.claims.side_effect = StoreError("photos is being synchronised.", "busy")
    with pytest.raises(StoreError):
        ask(api, "empty", collection="photos", before=None)
    assert folder.exists()
    assert not laptop.host.sessions.busy("photos")
    api.claims.side_effect = None
    ask(api, "empty", collection="photos", before=None)
    assert [*map(str, api.claims.mock_calls)][-2:] == ["call('photos')", "call()()"]


def test_a_large_trash_is_emptied_in_several_calls(laptop):
    """Between two, sessions get their turn."""
    folder = trashed(laptop, "20200101T000000Z-s", "a", "b")
    times = iter([0, 0, 0, EMPTY_FOR + 1])
    api = Api(laptop.host, laptop.caller, laptop.journal, bool, maybeDeferred, lambda: next(times, 0), MagicMock())
    answer = ask(api, "empty", collection="photos", before=None)
    assert (answer["files"], answer["complete"]) == (1, False)
    answer = ask(api, "empty", collection="photos", before=None)
    assert (answer["files"], answer["complete"]) == (1, True)
    assert not folder.exists()


def test_wrong_settings_change_nothing(laptop):
    def fail():
        raise ConfigError("No.")

    api = Api(laptop.host, laptop.caller, laptop.journal, fail, maybeDeferred, lambda: 7, MagicMock())
    with pytest.raises(ConfigError):
        ask(api, "reload")
