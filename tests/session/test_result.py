"""The document of ``twsync sync --json`` and the exit codes."""

from __future__ import annotations

import json

import msgspec
import pytest

from twsync.session.result import Conflict, Error, SessionResult, Skipped, State, Traffic, printable, shown


def result(state: State = State.DONE, **more: object) -> SessionResult:
    return SessionResult(
        session="call-id", collection="photos", device="alice/desktop", protocol="rsync", type="two-way", state=state, **more
    )  # type: ignore[arg-type]


def test_the_document() -> None:
    """Key for key what users' scripts read."""
    document = json.loads(
        result(
            sent=Traffic(added=1, literal_bytes=10, wire_bytes=200),
            received=Traffic(wire_bytes=90),
            conflicts=[Conflict(item="a.txt", resolution="kept-both", copy="a (conflict 2026-11-21 laptop).txt")],
            skipped=[Skipped(item="dev/null", reason="special-file")],
            seconds=0.4,
            effective_type="slow",
        ).to_json()
    )
    assert document == {
        "session": "call-id",
        "collection": "photos",
        "device": "alice/desktop",
        "protocol": "rsync",
        "type": "two-way",
        "effective_type": "slow",
        "state": "done",
        "sent": {"added": 1, "changed": 0, "deleted": 0, "literal_bytes": 10, "matched_bytes": 0, "wire_bytes": 200},
        "received": {"added": 0, "changed": 0, "deleted": 0, "literal_bytes": 0, "matched_bytes": 0, "wire_bytes": 90},
        "conflicts": [{"item": "a.txt", "resolution": "kept-both", "copy": "a (conflict 2026-11-21 laptop).txt"}],
        "skipped": [{"item": "dev/null", "reason": "special-file"}],
        "seconds": 0.4,
        "error": None,
    }
    failed = result(State.FAILED, error=Error(code="device-offline", message="…"))
    assert msgspec.convert(json.loads(failed.to_json()), SessionResult) == failed  # as the commands read it


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (result(), 0),
        (result(State.FAILED), 1),
        (result(State.PARTIAL), 3),
        (result(State.QUEUED), 4),
        (result(conflicts=[Conflict(item="a", resolution="kept-both", copy="b")]), 3),
        (result(conflicts=[Conflict(item="a", resolution="duplicate")]), 3),
        (result(conflicts=[Conflict(item="a", resolution="ours")]), 0),
        (result(skipped=[Skipped(item="a", reason="changing")]), 3),
        (result(State.FAILED, skipped=[Skipped(item="a", reason="changing")]), 1),
    ],
)
def test_exit_codes(found: SessionResult, code: int) -> None:
    """0 done, 1 failed, 3 conflicts kept or items skipped, 4 stored."""
    assert found.exit_code() == code


def test_names_that_are_no_text() -> None:
    """Bytes that are not UTF-8 can be read all the same."""
    assert shown("né".encode()) == "né"
    assert shown(b"caf\xe9") == "caf\\xe9"


def test_words_of_others_move_no_cursor_and_begin_no_line():
    assert printable("phone\x1b[31m\nlog line\u202e\x9b é") == "phone [31m log line   é"
