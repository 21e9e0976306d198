"""A client's care for its flow: CRLF keepalive (RFC 5626 section 4.4.1) and the pauses between attempts to connect (section 4.5)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple

from twsync import limits
from twsync.errors import ProtocolError


class State(enum.Enum):
    """What is known of the flow."""

    STOPPED = "stopped"
    QUIET = "quiet"
    "The other side was heard; the interval to the next ping runs."
    AWAITING_PONG = "awaiting pong"
    DEAD = "dead"


class Event(enum.Enum):
    """What happens to the machine."""

    START = "start"
    INTERVAL_OVER = "interval over"
    PROBE = "probe"
    "Someone wants to know now, because a request had no answer or the local address changed."
    PONG = "pong"
    OVERDUE = "overdue"
    STOP = "stop"


class Action(enum.Enum):
    """What the connection has to do."""

    SEND_PING = "send ping"
    START_INTERVAL = "start interval"
    "Replaces the timer that runs, if any."
    START_DEADLINE = "start deadline"
    "Replaces the timer that runs, if any."
    STOP_TIMER = "stop timer"
    DECLARE_DEAD = "declare dead"


class Transition(NamedTuple):
    """The next state and what to do."""

    state: State
    actions: tuple[Action, ...]


_PING = Transition(State.AWAITING_PONG, (Action.SEND_PING, Action.START_DEADLINE))
_STOP = Transition(State.STOPPED, (Action.STOP_TIMER,))

#: Every allowed pair of state and event.
TABLE: dict[tuple[State, Event], Transition] = {
    (State.STOPPED, Event.START): Transition(State.QUIET, (Action.START_INTERVAL,)),
    (State.STOPPED, Event.PROBE): _PING,
    (State.STOPPED, Event.PONG): Transition(State.STOPPED, ()),
    (State.STOPPED, Event.STOP): Transition(State.STOPPED, ()),
    (State.QUIET, Event.INTERVAL_OVER): _PING,
    (State.QUIET, Event.PROBE): _PING,
    # A pong nobody asked for is a stray CRLF, allowed everywhere between messages.
    (State.QUIET, Event.PONG): Transition(State.QUIET, ()),
    (State.QUIET, Event.STOP): _STOP,
    # One ping at a time: the one under way answers a probe too.
    (State.AWAITING_PONG, Event.PROBE): Transition(State.AWAITING_PONG, ()),
    (State.AWAITING_PONG, Event.PONG): Transition(State.QUIET, (Action.START_INTERVAL,)),
    (State.AWAITING_PONG, Event.OVERDUE): Transition(State.DEAD, (Action.DECLARE_DEAD,)),
    (State.AWAITING_PONG, Event.STOP): _STOP,
    (State.DEAD, Event.PROBE): Transition(State.DEAD, ()),
    (State.DEAD, Event.PONG): Transition(State.DEAD, ()),
    (State.DEAD, Event.STOP): Transition(State.DEAD, ()),
}


@dataclass(slots=True)
class Keepalive:
    """The keepalive machine of one flow; holds its state and nothing else."""

    state: State = State.STOPPED

    def fire(self, event: Event) -> tuple[Action, ...]:
        """Take an event in; what to do comes out.

        :raises ProtocolError: if the event cannot happen in this state.
        """
        try:
            self.state, actions = TABLE[self.state, event]
        except KeyError:
            raise ProtocolError(f"Keepalive: {event.value} cannot happen when {self.state.value}.") from None
        return actions


def ping_pause(interval: float, uniform: float) -> float:
    """Seconds to the next ping: between 80 % and 100 % of the interval (RFC 5626 section 4.4.1).

    :param uniform: a random number from 0 to 1.
    """
    return interval * (0.8 + 0.2 * uniform)


def reconnect_pause(
    failures: int, uniform: float, first: float = limits.RECONNECT_FIRST, longest: float = limits.RECONNECT_LONGEST
) -> float:
    """Seconds to wait after a number of failed attempts in a row, at least one (RFC 5626 section 4.5).

    Doubles up to the longest, and between half and the whole of it is taken, so that clients of a restarted server spread out.

    :param uniform: a random number from 0 to 1.
    """
    bound = min(longest, first * 2.0 ** min(max(failures, 1), 64))
    return bound * (0.5 + 0.5 * uniform)
