"""The phases of a client session as a table (fact sheet sections 3.2 and 3.5). What is not in it is an error."""

from __future__ import annotations

import enum

from twsync.errors import ProtocolError


class Phase(enum.Enum):
    """How far the session has come."""

    NEW = "new"
    INITIALISING = "initialising"
    "Package 1 is sent, package 2 comes."
    SENDING = "sending"
    "Package 3 is on its way."
    TAKING = "taking"
    "Package 3 is sent, package 4 comes."
    MAPPING = "mapping"
    "Package 5 is on its way."
    ENDING = "ending"
    "Package 5 is sent, package 6 comes."
    LEAVING = "leaving"
    "Alert 224 is on its way, or sent."
    OVER = "over"


class Event(enum.Enum):
    """What happens."""

    STARTED = "package 1 was written"
    FINAL = "the server said Final"
    WRITTEN = "own Final was written"
    MORE = "the server goes on behind the end of its package"
    QUIET = "the server has nothing more to say"
    SUSPENDED = "one side suspends the session"
    ENDED = "the session was given up"


_P, _E = Phase, Event
_UNDER_WAY = (_P.INITIALISING, _P.SENDING, _P.TAKING, _P.MAPPING, _P.ENDING)

#: (phase, event) -> phase.
TABLE: dict[tuple[Phase, Event], Phase] = {
    (_P.NEW, _E.STARTED): _P.INITIALISING,
    # The server wants credentials with every Sync or change: what is left goes with them.
    (_P.OVER, _E.STARTED): _P.INITIALISING,
    # Other credentials, an older version, the other encoding, another sync type: once more from the beginning.
    (_P.INITIALISING, _E.STARTED): _P.INITIALISING,
    (_P.INITIALISING, _E.FINAL): _P.SENDING,
    # Some servers say Final with every message.
    (_P.SENDING, _E.FINAL): _P.SENDING,
    (_P.SENDING, _E.WRITTEN): _P.TAKING,
    (_P.TAKING, _E.FINAL): _P.MAPPING,
    # Where nothing comes from the server, its package is the last one: a session that is one way from here ends with the Statuses.
    (_P.TAKING, _E.QUIET): _P.OVER,
    (_P.MAPPING, _E.FINAL): _P.MAPPING,
    (_P.MAPPING, _E.WRITTEN): _P.ENDING,
    (_P.ENDING, _E.MORE): _P.MAPPING,
    (_P.ENDING, _E.QUIET): _P.OVER,
    **{(phase, _E.SUSPENDED): _P.LEAVING for phase in _UNDER_WAY},
    (_P.LEAVING, _E.WRITTEN): _P.LEAVING,
    (_P.LEAVING, _E.QUIET): _P.OVER,
    **{(phase, _E.ENDED): _P.OVER for phase in _P},
}


def after(phase: Phase, event: Event) -> Phase:
    """The next phase.

    :raises ProtocolError: it is not the turn of `event`.
    """
    found = TABLE.get((phase, event))
    if found is None:
        raise ProtocolError(f"{event.value}, while the session is {phase.value}")
    return found
