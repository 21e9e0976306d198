"""Every message of a session with its step number, kept for administrators (docs/protocol/signalling.md, "Steps of the ladder").

Lines are gathered by Call-ID from the first INVITE on, since the question for credentials comes before it is known whether a session will
come of it; they are written once the session is passed on. The registrations of both devices stand above it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from twsync import limits
from twsync.control.records import Records
from twsync.session.trace import Direction, Party, TraceLine, parties, step
from twsync.sip.message import Message, Request
from twsync.store.control_values import TraceRow
from twsync.transport.interfaces import Clock
from twsync.transport.siptls import Flow

#: Seconds without a message after which a call that is not open is forgotten: longer than any transaction takes.
_KEPT = 64.0
#: Calls of which lines are gathered at once.
_MAX_CALLS = 4096
#: Lines of REGISTER kept of one flow: the first registration and the last refresh.
_MAX_REGISTER_LINES = 6


@dataclass(slots=True)
class _Register:
    """A message of a registration; which device's it is, first or second, is told by the session."""

    at: float
    direction: Direction
    start: str
    call_id: str
    credentials: bool
    again: bool


@dataclass(slots=True)
class _Call:
    caller_tag: str
    heard: float
    begun: bool = False
    count: int = 0
    lines: list[TraceLine] = field(default_factory=list)
    challenged: set[int] = field(default_factory=set)
    "CSeq numbers of INVITEs that were answered by a challenge."


class Ladder:
    """The ladders of the sessions that run.

    :param wall: seconds since the epoch.
    """

    def __init__(self, records: Records, clock: Clock, wall: Callable[[], float]) -> None:
        self._records = records
        self._clock = clock
        self._wall = wall
        self._registers: dict[str, deque[_Register]] = {}
        self._registered: set[str] = set()
        self._calls: dict[str, _Call] = {}

    def traced(self, flow: Flow, direction: Literal["sent", "received"], message: Message) -> None:
        """A message went over the wire."""
        if message.cseq.method == "REGISTER":
            self._register(flow, Direction(direction), message)
        elif message.cseq.method in ("INVITE", "ACK", "BYE", "CANCEL", "INFO"):
            self._session(Direction(direction), message)

    def _register(self, flow: Flow, direction: Direction, message: Message) -> None:
        lines = self._registers.setdefault(flow.id, deque(maxlen=_MAX_REGISTER_LINES))
        credentials = isinstance(message, Request) and message.headers.get("Authorization") is not None
        again = flow.id in self._registered
        if again and len(lines) == _MAX_REGISTER_LINES:
            first = list(lines)[: _MAX_REGISTER_LINES - 2]  # the last refresh takes the place of the one before
            lines.clear()
            lines.extend(first)
        lines.append(_Register(self._wall(), direction, _start(message), message.call_id, credentials, again))
        if not isinstance(message, Request) and message.code == 200:
            self._registered.add(flow.id)

    def _session(self, direction: Direction, message: Message) -> None:
        call = self._calls.get(message.call_id)
        if call is None:
            if not isinstance(message, Request) or message.method != "INVITE" or message.to_tag:
                return
            if len(self._calls) >= _MAX_CALLS:
                self._make_room()
            call = self._calls[message.call_id] = _Call(message.from_tag, self._clock.seconds())
        call.heard = self._clock.seconds()
        if call.count >= limits.MAX_LADDER_LINES:
            return
        call.count += 1
        # A request and its responses have the same From: with the caller's tag there, the request goes from caller to callee, and
        # what comes in is the caller's if it is a request.
        forward = message.from_tag == call.caller_tag
        inward = direction is Direction.RECEIVED
        other = Party.CALLER if forward is (isinstance(message, Request) is inward) else Party.CALLEE
        source, target = parties(Party.SERVER, direction, other)
        cseq = message.cseq
        if not isinstance(message, Request) and cseq.method == "INVITE" and message.code in (401, 407):
            call.challenged.add(cseq.sequence)
        number = step(source, target, _start(message), cseq.method, credentials=cseq.sequence in call.challenged)
        line = TraceLine(
            at=self._wall(), direction=direction, source=source, target=target, start=_start(message), cseq=cseq.method,
            call_id=message.call_id, step=number,
        )  # fmt: skip
        call.lines.append(line)

    def _make_room(self) -> None:
        """The oldest call goes; rather one that no session has come of yet, as anybody can make many of those."""
        oldest = next((call_id for call_id, call in self._calls.items() if not call.begun), next(iter(self._calls)))
        del self._calls[oldest]

    def begin(self, call_id: str, caller: Flow, callee: Flow) -> None:
        """A session is passed on: its ladder is kept, with the registrations of both devices above it."""
        call = self._calls.get(call_id)
        if call is None or call.begun:
            return
        call.begun = True
        above = [line for flow, party in ((caller, Party.CALLER), (callee, Party.CALLEE)) for line in self._registration(flow, party)]
        call.lines[:0] = sorted(above, key=lambda line: line.at)

    def _registration(self, flow: Flow, party: Party) -> list[TraceLine]:
        found = []
        for entry in self._registers.get(flow.id, ()):
            source, target = parties(Party.SERVER, entry.direction, party)
            number = step(source, target, entry.start, "REGISTER", credentials=entry.credentials, again=entry.again)
            found.append(
                TraceLine(
                    at=entry.at, direction=entry.direction, source=source, target=target, start=entry.start, cseq="REGISTER",
                    call_id=entry.call_id, step=number,
                )
            )  # fmt: skip
        return found

    def flush(self, is_open: Callable[[str], bool]) -> None:
        """Write what was gathered, and forget the calls that are over.

        :param is_open: whether the session of a Call-ID still runs.
        """
        rows: list[TraceRow] = []
        now = self._clock.seconds()
        for call_id, call in list(self._calls.items()):
            if call.begun and call.lines:
                rows.extend(TraceRow(call_id, line.at, msgspec.json.encode(line).decode()) for line in call.lines)
                call.lines.clear()
            if now - call.heard >= _KEPT and not is_open(call_id):
                del self._calls[call_id]
        if rows:
            self._records.note(lambda transaction: transaction.add_trace(rows))

    def flow_closed(self, flow: Flow) -> None:
        """A flow's registrations are of no interest any more."""
        self._registers.pop(flow.id, None)
        self._registered.discard(flow.id)


def _start(message: Message) -> str:
    return message.method if isinstance(message, Request) else f"{message.code} {message.phrase}"
