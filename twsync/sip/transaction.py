"""The four transaction machines of RFC 3261 section 17 with RFC 6026, for reliable transports, as tables.

A reliable transport repeats nothing, so timers A, E and G do not exist here and D, I, J and K are zero; the states that they hold are
kept, so that each table can be laid beside its figure. RFC 6026's Accepted state keeps an INVITE transaction for 32 s after a 2xx:
further 2xx of forked calls still belong to it. What the other side can cause in any state is in the table, if only to be passed
over; a timer that cannot run, or a start after the start, is an error of ours.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from twsync.errors import ProtocolError

T1 = 0.5
"RFC 3261's estimate of a round trip, seconds; 64 of them are every time-out here."


class Kind(enum.Enum):
    """The four machines."""

    INVITE_CLIENT = "INVITE client"
    CLIENT = "client"
    INVITE_SERVER = "INVITE server"
    SERVER = "server"


class State(enum.Enum):
    """Where a transaction stands; the names of RFC 3261's and RFC 6026's figures."""

    INITIAL = "initial"
    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


class Timer(enum.Enum):
    """Timers by their names in RFC 3261 section 17 and RFC 6026."""

    B = "B"
    C_CANCEL = "cancel"
    "From a CANCEL to the final response that must follow (section 9.1)."
    D = "D"
    F = "F"
    H = "H"
    I = "I"  # noqa: E741 - the RFC's name
    J = "J"
    K = "K"
    L = "L"
    M = "M"
    TRYING = "trying"
    "Until 100 is sent for an INVITE that has no response yet (section 17.2.1)."

    @property
    def seconds(self) -> float:
        """How long it runs on a reliable transport."""
        if self is Timer.TRYING:
            return 0.2
        return 0.0 if self in (Timer.D, Timer.I, Timer.J, Timer.K) else 64 * T1


class Event(enum.Enum):
    """What happens to a transaction. ``SEND_…`` come from its user, the others from the wire, the clock or the connection."""

    START = "start"
    PROVISIONAL = "1xx received"
    SUCCESS = "2xx received"
    FAILURE = "300-699 received"
    CANCELLED = "CANCEL sent"
    REQUEST = "request received again"
    ACK = "ACK received"
    SEND_PROVISIONAL = "1xx to send"
    SEND_SUCCESS = "2xx to send"
    SEND_FAILURE = "300-699 to send"
    FLOW_LOST = "flow lost"
    TIMER_B = "timer B"
    TIMER_CANCEL = "timer cancel"
    TIMER_D = "timer D"
    TIMER_F = "timer F"
    TIMER_H = "timer H"
    TIMER_I = "timer I"
    TIMER_J = "timer J"
    TIMER_K = "timer K"
    TIMER_L = "timer L"
    TIMER_M = "timer M"
    TIMER_TRYING = "timer trying"


class Do(enum.Enum):
    """What the transport has to do, besides timers."""

    SEND_REQUEST = "send request"
    SEND_ACK = "send ACK"
    "To a final response other than 2xx (section 17.1.1.3)."
    PASS_RESPONSE = "pass response"
    PASS_REQUEST = "pass request"
    PASS_ACK = "pass ACK"
    "An ACK to a 2xx that came with the INVITE's branch."
    SEND_RESPONSE = "send response"
    SEND_RESPONSE_AGAIN = "send response again"
    SEND_TRYING = "send 100"
    REPORT_TIMEOUT = "report time-out"
    REPORT_FLOW = "report flow"


@dataclass(frozen=True, slots=True)
class Start:
    """Start a timer."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop a timer, if it runs."""

    timer: Timer


Action: TypeAlias = Do | Start | Stop


class Transition(NamedTuple):
    """The next state and what to do, in order."""

    state: State
    actions: tuple[Action, ...] = ()


Table: TypeAlias = dict[tuple[State, Event], Transition]
S, E, Z = State, Event, Transition

#: RFC 3261 figure 5 with RFC 6026 section 8.4.
INVITE_CLIENT: Table = {
    (S.INITIAL, E.START): Z(S.CALLING, (Do.SEND_REQUEST, Start(Timer.B))),
    (S.CALLING, E.PROVISIONAL): Z(S.PROCEEDING, (Stop(Timer.B), Do.PASS_RESPONSE)),
    (S.CALLING, E.SUCCESS): Z(S.ACCEPTED, (Stop(Timer.B), Start(Timer.M), Do.PASS_RESPONSE)),
    (S.CALLING, E.FAILURE): Z(S.COMPLETED, (Stop(Timer.B), Do.SEND_ACK, Start(Timer.D), Do.PASS_RESPONSE)),
    (S.CALLING, E.TIMER_B): Z(S.TERMINATED, (Do.REPORT_TIMEOUT,)),
    (S.CALLING, E.FLOW_LOST): Z(S.TERMINATED, (Stop(Timer.B), Do.REPORT_FLOW)),
    (S.PROCEEDING, E.PROVISIONAL): Z(S.PROCEEDING, (Do.PASS_RESPONSE,)),
    (S.PROCEEDING, E.SUCCESS): Z(S.ACCEPTED, (Stop(Timer.C_CANCEL), Start(Timer.M), Do.PASS_RESPONSE)),
    (S.PROCEEDING, E.FAILURE): Z(S.COMPLETED, (Stop(Timer.C_CANCEL), Do.SEND_ACK, Start(Timer.D), Do.PASS_RESPONSE)),
    (S.PROCEEDING, E.CANCELLED): Z(S.PROCEEDING, (Start(Timer.C_CANCEL),)),
    (S.PROCEEDING, E.TIMER_CANCEL): Z(S.TERMINATED, (Do.REPORT_TIMEOUT,)),
    (S.PROCEEDING, E.FLOW_LOST): Z(S.TERMINATED, (Stop(Timer.C_CANCEL), Do.REPORT_FLOW)),
    (S.ACCEPTED, E.PROVISIONAL): Z(S.ACCEPTED),
    (S.ACCEPTED, E.SUCCESS): Z(S.ACCEPTED, (Do.PASS_RESPONSE,)),
    (S.ACCEPTED, E.FAILURE): Z(S.ACCEPTED),
    (S.ACCEPTED, E.TIMER_M): Z(S.TERMINATED),
    (S.ACCEPTED, E.FLOW_LOST): Z(S.TERMINATED, (Stop(Timer.M),)),
    (S.COMPLETED, E.PROVISIONAL): Z(S.COMPLETED),
    (S.COMPLETED, E.SUCCESS): Z(S.COMPLETED),
    (S.COMPLETED, E.FAILURE): Z(S.COMPLETED, (Do.SEND_ACK,)),
    (S.COMPLETED, E.TIMER_D): Z(S.TERMINATED),
    (S.COMPLETED, E.FLOW_LOST): Z(S.TERMINATED, (Stop(Timer.D),)),
}

#: RFC 3261 figure 6.
CLIENT: Table = {
    (S.INITIAL, E.START): Z(S.TRYING, (Do.SEND_REQUEST, Start(Timer.F))),
    (S.COMPLETED, E.TIMER_K): Z(S.TERMINATED),
    (S.COMPLETED, E.FLOW_LOST): Z(S.TERMINATED, (Stop(Timer.K),)),
    (S.COMPLETED, E.PROVISIONAL): Z(S.COMPLETED),
    (S.COMPLETED, E.SUCCESS): Z(S.COMPLETED),
    (S.COMPLETED, E.FAILURE): Z(S.COMPLETED),
}
for _state in (S.TRYING, S.PROCEEDING):
    CLIENT[_state, E.PROVISIONAL] = Z(S.PROCEEDING, (Do.PASS_RESPONSE,))
    for _event in (E.SUCCESS, E.FAILURE):
        CLIENT[_state, _event] = Z(S.COMPLETED, (Stop(Timer.F), Start(Timer.K), Do.PASS_RESPONSE))
    CLIENT[_state, E.TIMER_F] = Z(S.TERMINATED, (Do.REPORT_TIMEOUT,))
    CLIENT[_state, E.FLOW_LOST] = Z(S.TERMINATED, (Stop(Timer.F), Do.REPORT_FLOW))

#: RFC 3261 figure 7 with RFC 6026 section 8.5 and 8.7. A second final response is passed over: a CANCEL's 487 and an answer can cross.
INVITE_SERVER: Table = {
    (S.INITIAL, E.START): Z(S.PROCEEDING, (Start(Timer.TRYING), Do.PASS_REQUEST)),
    (S.PROCEEDING, E.TIMER_TRYING): Z(S.PROCEEDING, (Do.SEND_TRYING,)),
    (S.PROCEEDING, E.REQUEST): Z(S.PROCEEDING, (Do.SEND_RESPONSE_AGAIN,)),
    (S.PROCEEDING, E.ACK): Z(S.PROCEEDING),
    (S.PROCEEDING, E.SEND_PROVISIONAL): Z(S.PROCEEDING, (Stop(Timer.TRYING), Do.SEND_RESPONSE)),
    (S.PROCEEDING, E.SEND_SUCCESS): Z(S.ACCEPTED, (Stop(Timer.TRYING), Start(Timer.L), Do.SEND_RESPONSE)),
    (S.PROCEEDING, E.SEND_FAILURE): Z(S.COMPLETED, (Stop(Timer.TRYING), Start(Timer.H), Do.SEND_RESPONSE)),
    (S.PROCEEDING, E.FLOW_LOST): Z(S.TERMINATED, (Stop(Timer.TRYING),)),
    (S.ACCEPTED, E.REQUEST): Z(S.ACCEPTED),
    (S.ACCEPTED, E.ACK): Z(S.ACCEPTED, (Do.PASS_ACK,)),
    (S.ACCEPTED, E.SEND_PROVISIONAL): Z(S.ACCEPTED),
    (S.ACCEPTED, E.SEND_SUCCESS): Z(S.ACCEPTED, (Do.SEND_RESPONSE,)),
    (S.ACCEPTED, E.SEND_FAILURE): Z(S.ACCEPTED),
    (S.ACCEPTED, E.TIMER_L): Z(S.TERMINATED),
    (S.ACCEPTED, E.FLOW_LOST): Z(S.TERMINATED, (Stop(Timer.L),)),
    (S.COMPLETED, E.REQUEST): Z(S.COMPLETED, (Do.SEND_RESPONSE_AGAIN,)),
    (S.COMPLETED, E.ACK): Z(S.CONFIRMED, (Stop(Timer.H), Start(Timer.I))),
    (S.COMPLETED, E.TIMER_H): Z(S.TERMINATED, (Do.REPORT_TIMEOUT,)),
    (S.COMPLETED, E.FLOW_LOST): Z(S.TERMINATED, (Stop(Timer.H),)),
    (S.CONFIRMED, E.REQUEST): Z(S.CONFIRMED),
    (S.CONFIRMED, E.ACK): Z(S.CONFIRMED),
    (S.CONFIRMED, E.TIMER_I): Z(S.TERMINATED),
    (S.CONFIRMED, E.FLOW_LOST): Z(S.TERMINATED, (Stop(Timer.I),)),
}

#: RFC 3261 figure 8.
SERVER: Table = {
    (S.INITIAL, E.START): Z(S.TRYING, (Do.PASS_REQUEST,)),
    (S.TRYING, E.REQUEST): Z(S.TRYING),
    (S.PROCEEDING, E.REQUEST): Z(S.PROCEEDING, (Do.SEND_RESPONSE_AGAIN,)),
    (S.COMPLETED, E.REQUEST): Z(S.COMPLETED, (Do.SEND_RESPONSE_AGAIN,)),
    (S.COMPLETED, E.TIMER_J): Z(S.TERMINATED),
    (S.COMPLETED, E.FLOW_LOST): Z(S.TERMINATED, (Stop(Timer.J),)),
}
for _state in (S.TRYING, S.PROCEEDING):
    SERVER[_state, E.SEND_PROVISIONAL] = Z(S.PROCEEDING, (Do.SEND_RESPONSE,))
    SERVER[_state, E.SEND_SUCCESS] = SERVER[_state, E.SEND_FAILURE] = Z(S.COMPLETED, (Start(Timer.J), Do.SEND_RESPONSE))
    SERVER[_state, E.FLOW_LOST] = Z(S.TERMINATED)

_SENDS = (E.SEND_PROVISIONAL, E.SEND_SUCCESS, E.SEND_FAILURE)
for _event in _SENDS:
    INVITE_SERVER[S.COMPLETED, _event] = Z(S.COMPLETED)
    INVITE_SERVER[S.CONFIRMED, _event] = Z(S.CONFIRMED)
    SERVER[S.COMPLETED, _event] = Z(S.COMPLETED)
for _table in (INVITE_SERVER, SERVER):
    # A user may answer a moment after the flow died; nobody is there to hear it.
    for _event in _SENDS:
        _table[S.TERMINATED, _event] = Z(S.TERMINATED)

TABLES = {Kind.INVITE_CLIENT: INVITE_CLIENT, Kind.CLIENT: CLIENT, Kind.INVITE_SERVER: INVITE_SERVER, Kind.SERVER: SERVER}


@dataclass(slots=True)
class Machine:
    """One transaction's state."""

    kind: Kind
    state: State = field(default=State.INITIAL)

    def fire(self, event: Event) -> tuple[Action, ...]:
        """Take an event in; what to do comes out, in order.

        :raises ProtocolError: if the event cannot happen in this state; the state stays.
        """
        try:
            self.state, actions = TABLES[self.kind][self.state, event]
        except KeyError:
            raise ProtocolError(f"Transaction ({self.kind.value}): {event.value} cannot happen in state {self.state.value}.") from None
        return actions

    @property
    def over(self) -> bool:
        """Whether nothing more can happen."""
        return self.state is State.TERMINATED

    @property
    def final(self) -> bool:
        """Whether a final response was passed or sent, or can no longer be."""
        return self.state in (State.ACCEPTED, State.COMPLETED, State.CONFIRMED, State.TERMINATED)


def timer_event(timer: Timer) -> Event:
    """The event of a timer that ran out."""
    return Event(f"timer {timer.value}")


def received(code: int) -> Event:
    """The event of a response that came in, by its status code."""
    return Event.PROVISIONAL if code < 200 else Event.SUCCESS if code < 300 else Event.FAILURE


def to_send(code: int) -> Event:
    """The event of a response that is to go out, by its status code."""
    return Event.SEND_PROVISIONAL if code < 200 else Event.SEND_SUCCESS if code < 300 else Event.SEND_FAILURE
