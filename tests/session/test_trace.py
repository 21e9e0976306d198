"""The ladder."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from twsync.session.trace import Direction, Party, TraceLine, parties, render, step

CALLER, SERVER, CALLEE = Party.CALLER, Party.SERVER, Party.CALLEE

# from, to, what, CSeq, credentials, refresh, step
LADDER = [
    (CALLER, SERVER, "REGISTER", "REGISTER", False, False, 1),
    (SERVER, CALLER, "401 Unauthorized", "REGISTER", False, False, 2),
    (CALLER, SERVER, "REGISTER", "REGISTER", True, False, 3),
    (SERVER, CALLER, "200 OK", "REGISTER", False, False, 4),
    (CALLER, SERVER, "REGISTER", "REGISTER", True, True, 5),
    (SERVER, CALLER, "200 OK", "REGISTER", False, True, 5),
    (CALLER, SERVER, "PING", "", False, False, 5),
    (SERVER, CALLER, "PONG", "", False, False, 5),
    (CALLEE, SERVER, "REGISTER", "REGISTER", False, False, 6),
    (SERVER, CALLEE, "401 Unauthorized", "REGISTER", False, False, 7),
    (CALLEE, SERVER, "REGISTER", "REGISTER", True, False, 8),
    (SERVER, CALLEE, "200 OK", "REGISTER", False, False, 9),
    (SERVER, CALLEE, "403 Forbidden", "REGISTER", False, False, 9),
    (CALLEE, SERVER, "PING", "", False, False, 10),
    (SERVER, CALLEE, "PONG", "", False, False, 10),
    (CALLER, SERVER, "INVITE", "INVITE", False, False, 11),
    (SERVER, CALLER, "100 Trying", "INVITE", False, False, 12),
    (SERVER, CALLER, "407 Proxy Authentication Required", "INVITE", False, False, 13),
    (CALLER, SERVER, "ACK", "ACK", True, False, 13),
    (SERVER, CALLEE, "INVITE", "INVITE", False, False, 13),
    (CALLEE, SERVER, "100 Trying", "INVITE", False, False, 14),
    (CALLEE, SERVER, "180 Ringing", "INVITE", False, False, None),
    (CALLEE, SERVER, "200 OK", "INVITE", False, False, 15),
    (SERVER, CALLER, "200 OK", "INVITE", False, False, 16),
    (CALLEE, SERVER, "486 Busy Here", "INVITE", False, False, 15),
    (SERVER, CALLER, "486 Busy Here", "INVITE", False, False, 16),
    (CALLER, SERVER, "ACK", "ACK", False, False, 17),
    (SERVER, CALLEE, "ACK", "ACK", False, False, 18),
    (CALLER, CALLEE, "DATA", "", False, False, 19),
    (CALLER, SERVER, "INFO", "INFO", False, False, 19),
    (SERVER, CALLER, "200 OK", "INFO", False, False, 19),
    (CALLER, SERVER, "BYE", "BYE", False, False, 20),
    (SERVER, CALLEE, "BYE", "BYE", False, False, 21),
    (CALLEE, SERVER, "200 OK", "BYE", False, False, 22),
    (SERVER, CALLER, "200 OK", "BYE", False, False, 23),
    (CALLEE, SERVER, "BYE", "BYE", False, False, 20),
    (SERVER, CALLER, "BYE", "BYE", False, False, 21),
    (CALLER, SERVER, "200 OK", "BYE", False, False, 22),
    (SERVER, CALLEE, "200 OK", "BYE", False, False, 23),
    (CALLER, SERVER, "CANCEL", "CANCEL", False, False, None),
    (CALLER, SERVER, "SUBSCRIBE", "SUBSCRIBE", False, False, None),
    (SERVER, CALLEE, "MESSAGE", "MESSAGE", False, False, None),
]


@pytest.mark.parametrize(("source", "target", "start", "cseq", "credentials", "again", "expected"), LADDER)
def test_steps(source: Party, target: Party, start: str, cseq: str, credentials: bool, again: bool, expected: int | None) -> None:
    """The table of docs/protocol/signalling.md, whichever side ends the session."""
    assert step(source, target, start, cseq, credentials=credentials, again=again) == expected


def test_every_step_of_the_document_is_reached() -> None:
    """1 to 23, as many as the document lists."""
    assert {expected for *_, expected in LADDER if expected} == set(range(1, 24))
    document = (Path(__file__).parents[2] / "docs/protocol/signalling.md").read_text(encoding="utf-8")
    table = document.partition("## Steps of the ladder")[2].partition("\n## ")[0]
    named = {int(number) for row in re.findall(r"^\| ([\d /]+) \|", table, re.MULTILINE) for number in row.split("/")}
    assert named == set(range(1, 24))


def test_parties_from_each_viewpoint() -> None:
    """A device speaks to the server; the server has to say to whom it speaks."""
    assert parties(CALLER, Direction.SENT) == (CALLER, SERVER)
    assert parties(CALLEE, Direction.RECEIVED) == (SERVER, CALLEE)
    assert parties(SERVER, Direction.SENT, CALLEE) == (SERVER, CALLEE)
    assert parties(SERVER, Direction.RECEIVED, CALLER) == (CALLER, SERVER)
    for other in (None, SERVER):
        with pytest.raises(ValueError, match="which device"):
            parties(SERVER, Direction.SENT, other)


def line(source: Party, target: Party, start: str, cseq: str, at: float = 0.25) -> TraceLine:
    number = step(source, target, start, cseq)
    return TraceLine(at=at, direction=Direction.SENT, source=source, target=target, start=start, cseq=cseq, call_id="c", step=number)


def test_json_there_and_back() -> None:
    """The journal keeps lines as JSON, with the names of the ladder."""
    kept = line(CALLER, SERVER, "INVITE", "INVITE")
    data = msgspec.json.encode(kept)
    assert b'"from":"caller","to":"server"' in data
    assert msgspec.json.decode(data, type=TraceLine) == kept


def test_a_ladder_as_text() -> None:
    """Three columns, an arrow for each line, its step, the time in UTC; long labels are cut."""
    shown = render(
        [
            line(CALLER, SERVER, "INVITE", "INVITE"),
            line(SERVER, CALLEE, "INVITE", "INVITE"),
            line(CALLEE, SERVER, "200 OK", "INVITE"),
            line(CALLER, CALLEE, "DATA", ""),
            line(SERVER, CALLER, "407 " + "x" * 80, "INVITE"),
            line(CALLER, SERVER, "CANCEL", "CANCEL"),
        ],
        ("alice/laptop", "example.org", "alice/desktop"),
    )
    rows = shown.splitlines()
    assert rows[0].split() == ["alice/laptop", "example.org", "alice/desktop"]
    bars = [rows[0].index(name) for name in rows[0].split()]
    assert rows[1].startswith("00:00:00.250   11   |")
    assert rows[1][bars[0]] == rows[1][bars[1]] == rows[1][bars[2]] == "|"
    assert re.search(r"\|-+ INVITE -+>\|", rows[1][: bars[1] + 1])
    assert re.search(r"\|<-+ 200 OK \(INVITE\) -+\|", rows[3][bars[1] :])
    assert re.search(r"\|-+ DATA -+>\|", rows[4])
    assert rows[4][bars[1]] != "|"
    assert all(len(row) == bars[2] + 1 for row in rows[1:])
    assert "   |" in rows[6]
