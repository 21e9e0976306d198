"""The ladder of a session: every request and reply with its step number, 1 to 23, after the table "Steps of the ladder" in
docs/protocol/signalling.md.

A message's step follows from who sent it to whom and what it is. A device knows which of the two it is; the server knows it from the
dialog. What the table does not name (CANCEL, SUBSCRIBE, a ringing telephone) has no step.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Iterable

import msgspec


class Party(enum.StrEnum):
    """The three columns of a ladder, from left to right. In steps 1 to 10 the caller is the first device, the callee the second."""

    CALLER = "caller"
    SERVER = "server"
    CALLEE = "callee"


class Direction(enum.StrEnum):
    """Which way a message went, seen by whoever wrote the line."""

    SENT = "sent"
    RECEIVED = "received"


class TraceLine(msgspec.Struct, frozen=True, kw_only=True):
    """One arrow of a ladder. `msgspec.json` writes and reads it."""

    at: float
    "Seconds since the epoch."
    direction: Direction
    source: Party = msgspec.field(name="from")
    target: Party = msgspec.field(name="to")
    start: str
    "A request's method, or a response's status and reason, such as ``200 OK``."
    cseq: str
    "The method of CSeq; of a response, what it answers."
    call_id: str
    step: int | None
    "1 to 23, None for what the ladder has no number for."


def parties(viewpoint: Party, direction: Direction, other: Party | None = None) -> tuple[Party, Party]:
    """(from, to) of a message that `viewpoint` sent or received.

    :param other: whom it went to or came from; needed by the server only, a device speaks to nobody but the server.
    """
    across = Party.SERVER if viewpoint is not Party.SERVER else other
    if across is None or across is viewpoint:
        raise ValueError("the server must say which device the message belongs to")
    return (viewpoint, across) if direction is Direction.SENT else (across, viewpoint)


def step(source: Party, target: Party, start: str, cseq: str, *, credentials: bool = False, again: bool = False) -> int | None:
    """The step of a message, None if the ladder has none for it.

    :param start: the method of a request, the status (with or without its reason) of a response; ``PING`` and ``PONG`` for the keepalive,
        ``DATA`` for the data connection.
    :param cseq: the method of CSeq; ignored for ``PING``, ``PONG`` and ``DATA``.
    :param credentials: of REGISTER: whether it carries ``Authorization``. Of ACK: whether it acknowledges a 401 or 407, so that it
        belongs to the question for credentials.
    :param again: of REGISTER and its replies: whether the device was registered already, so that this is a refresh.
    """
    word = start.partition(" ")[0].upper()
    first = Party.CALLEE not in (source, target)
    up = target is Party.SERVER
    if word == "DATA":
        return 19
    if word in ("PING", "PONG"):
        return 5 if first else 10
    if cseq == "REGISTER":
        found = _register(word, credentials, again)
        return found if found is None or first else found + 5
    if cseq == "INFO":
        return 19
    if cseq == "ACK" and credentials:
        return 13
    return _SESSION.get((_word_class(word, cseq), first, up))


def _register(word: str, credentials: bool, again: bool) -> int | None:
    """Steps 1 to 5."""
    if again:
        return 5
    if word == "REGISTER":
        return 3 if credentials else 1
    if word == "401":
        return 2
    return 4 if word.isdigit() and int(word) >= 200 else None


def _word_class(word: str, cseq: str) -> str:
    """What the table below calls a message."""
    if not word.isdigit():
        return word
    if cseq == "INVITE":
        if word == "100":
            return "100"
        if word == "407":
            return "407"
        return "final" if int(word) >= 200 else "ringing"
    return f"{cseq} reply"


#: (what, whether between the caller and the server rather than the callee, whether towards the server) → step.
_SESSION = {
    ("INVITE", True, True): 11,
    ("100", True, False): 12,
    ("407", True, False): 13,
    ("INVITE", False, False): 13,
    ("100", False, True): 14,
    ("final", False, True): 15,
    ("final", True, False): 16,
    ("ACK", True, True): 17,
    ("ACK", False, False): 18,
    ("BYE", True, True): 20,
    ("BYE", False, True): 20,
    ("BYE", True, False): 21,
    ("BYE", False, False): 21,
    ("BYE reply", True, True): 22,
    ("BYE reply", False, True): 22,
    ("BYE reply", True, False): 23,
    ("BYE reply", False, False): 23,
}

_COLUMN = 34
"""Characters between two columns: `` 401 Unauthorized`` and more fit."""


def render(lines: Iterable[TraceLine], names: tuple[str, str, str] = ("caller", "server", "callee")) -> str:
    """A ladder as text: time, step number, and an arrow between the columns caller, server and callee.

    :param lines: in the order in which they are to be shown.
    :param names: what stands above the columns.
    """
    left = 20
    heads = " " * left + names[0].ljust(_COLUMN) + names[1].ljust(_COLUMN) + names[2]
    shown = [heads.rstrip()]
    for line in lines:
        moment = datetime.datetime.fromtimestamp(line.at, datetime.UTC).strftime("%H:%M:%S.%f")[:-3]
        number = "" if line.step is None else str(line.step)
        shown.append(f"{moment}  {number:>3}   " + _arrow(line))
    return "\n".join(shown) + "\n"


_PLACE = {Party.CALLER: 0, Party.SERVER: 1, Party.CALLEE: 2}


def _arrow(line: TraceLine) -> str:
    """The three columns' bars, and between two of them the arrow with its label."""
    start, end = _PLACE[line.source], _PLACE[line.target]
    low, high = min(start, end), max(start, end)
    label = line.start if line.start == line.cseq or line.cseq in ("", "ACK") else f"{line.start} ({line.cseq})"
    width = (high - low) * _COLUMN - 1
    text = f" {label[: width - 6]} ".center(width - 2, "-")
    arrow = f"-{text}>" if start < end else f"<{text}-"
    cells = []
    for place in range(3):
        cells.append("|")
        if place == low:
            cells.append(arrow)
        elif place < 2 and not low < place < high:
            cells.append(" " * (_COLUMN - 1))
        elif low < place < high:
            # The arrow goes over this column's bar.
            cells.pop()
    return "".join(cells)
