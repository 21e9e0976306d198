"""Keeps every SIP message of a session as a line of its ladder (:mod:`twsync.session.trace`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec
from twisted.logger import Logger

from twsync.errors import StoreError
from twsync.session.trace import Direction, Party, TraceLine, parties, step
from twsync.sip.message import Message, Request

#: Lines kept of one session: INFO comes each second, and a session may last a day.
MAX_LINES = 1000
#: Lines kept of the present registration; refreshes push each other out, the first steps stay.
MAX_FIRST = 8
#: Incoming calls not yet decided about whose lines are kept.
MAX_EARLY = 64

_log = Logger()


class Tracer:
    """Lines of open sessions, until they are written.

    :param now: seconds since the epoch.
    :param write: takes a session's id and new lines, JSON each.
    """

    def __init__(self, now: Callable[[], float], write: Callable[[str, Iterable[str]], None]) -> None:
        self._now = now
        self._write = write
        self._open: dict[str, tuple[Party, int]] = {}
        self._unwritten: dict[str, list[str]] = {}
        self._early: dict[str, list[TraceLine]] = {}
        self._registration: list[TraceLine] = []
        self._registered = False

    def open(self, session: str, viewpoint: Party) -> None:
        """Keep the messages of this session from now on; begins with how this device registered."""
        lines = [self._seen_as(line, viewpoint) for line in self._registration]
        self._open[session] = (viewpoint, 0)
        self._add(session, [*lines, *self._early.pop(session, ())])

    def close(self, session: str) -> None:
        """The session is over."""
        self._open.pop(session, None)
        self.flush()

    def flush(self) -> None:
        """Write what has come since the last time; to be called now and then. What there is no room for is not kept."""
        unwritten, self._unwritten = self._unwritten, {}
        try:
            for session, lines in unwritten.items():
                self._write(session, lines)
        except StoreError as error:
            _log.error("The messages of sessions cannot be kept: {error}", error=error.message)

    def forget(self, session: str) -> None:
        """An incoming call was refused: nothing of it is kept."""
        self._early.pop(session, None)

    def data(self, session: str) -> None:
        """The data connection stands: step 19."""
        if session in self._open:
            line = TraceLine(
                at=self._now(), direction=Direction.SENT, source=Party.CALLER, target=Party.CALLEE, start="DATA", cseq="", call_id=session,
                step=step(Party.CALLER, Party.CALLEE, "DATA", ""),
            )  # fmt: skip
            self._add(session, [line])

    def message(self, direction: Literal["sent", "received"], message: Message) -> None:
        """A message went over the wire."""
        try:
            call_id, cseq = message.call_id, message.cseq.method
        except ValueError:
            return
        if cseq == "REGISTER":
            self._register(Direction(direction), message, call_id)
        elif call_id in self._open:
            self._add(call_id, [self._line(self._open[call_id][0], Direction(direction), message, call_id, cseq)])
        elif cseq == "INVITE" and (direction == "received") == isinstance(message, Request):
            # Before the callee has decided, what came and was answered is kept apart; of calls that were refused, not for long.
            early = self._early.setdefault(call_id, [])
            early.append(self._line(Party.CALLEE, Direction(direction), message, call_id, cseq))
            del early[MAX_FIRST:]
            while len(self._early) > MAX_EARLY:
                del self._early[next(iter(self._early))]

    def _register(self, direction: Direction, message: Message, call_id: str) -> None:
        if direction is Direction.SENT and (not self._registration or self._registration[0].call_id != call_id):
            self._registration, self._registered = [], False
        if len(self._registration) < MAX_FIRST:
            self._registration.append(self._line(Party.CALLER, direction, message, call_id, "REGISTER"))
        if not isinstance(message, Request) and 200 <= message.code < 300:
            self._registered = True

    def _line(self, viewpoint: Party, direction: Direction, message: Message, call_id: str, cseq: str) -> TraceLine:
        source, target = parties(viewpoint, direction)
        credentials = message.headers.get("Authorization") is not None
        start = message.method if isinstance(message, Request) else f"{message.code} {message.phrase}"
        number = step(source, target, start, cseq, credentials=credentials, again=self._registered and cseq == "REGISTER")
        return TraceLine(
            at=self._now(), direction=direction, source=source, target=target, start=start, cseq=cseq, call_id=call_id, step=number
        )

    def _seen_as(self, line: TraceLine, viewpoint: Party) -> TraceLine:
        """A line of the registration, which was written as the caller's, as that of the caller or the callee."""
        if viewpoint is Party.CALLER:
            return line
        source, target = parties(viewpoint, line.direction)
        number = line.step + 5 if line.step is not None else None
        return msgspec.structs.replace(line, source=source, target=target, step=number)

    def _add(self, session: str, lines: list[TraceLine]) -> None:
        viewpoint, count = self._open[session]
        lines = lines[: max(0, MAX_LINES - count)]
        self._open[session] = (viewpoint, count + len(lines))
        if lines:
            self._unwritten.setdefault(session, []).extend(msgspec.json.encode(line).decode() for line in lines)
