"""The packages of a session as tables, as the server sees them (fact sheet section 3.2).

Each datastore of a session goes through them by itself; a package of the session is over when a message with Final came and the own
package before it was sent whole. What is not in the table is an error, which the session answers with 405.
"""

from __future__ import annotations

import enum

from twsync.errors import ProtocolError


class Stage(enum.Enum):
    """How far a datastore has come."""

    ALERTED = "alerted"
    "Package 1: the client's Alert is answered, the own one waits."
    READY = "ready"
    "Package 2: the own Alert is sent."
    TAKING = "taking"
    "Package 3: the client sends its changes."
    SENDING = "sending"
    "Package 4: all of the client's changes are here; the own are on their way."
    SENT = "sent"
    "Package 5: all own changes are sent; Statuses and Maps come."
    DONE = "done"
    "Package 6: committed."
    DEAD = "dead"
    "Failed, refused or cancelled: the anchors stay."


class Event(enum.Enum):
    """What happens to a datastore."""

    TOLD = "own Alert was sent"
    SYNC = "a Sync came"
    FINAL = "the client's package is over"
    WRITTEN = "all own changes were sent"
    AGAIN = "another Alert came"
    FAILED = "it failed, or one side gave it up"


S, E = Stage, Event

#: (stage, event) -> stage.
TABLE: dict[tuple[Stage, Event], Stage] = {
    (S.ALERTED, E.AGAIN): S.ALERTED,
    (S.ALERTED, E.TOLD): S.READY,
    # Alerts and changes in one message: packages 1 and 3 together, answered by 2 and 4 together.
    (S.ALERTED, E.SYNC): S.TAKING,
    (S.ALERTED, E.FINAL): S.ALERTED,
    (S.READY, E.AGAIN): S.ALERTED,
    (S.READY, E.TOLD): S.READY,
    (S.READY, E.SYNC): S.TAKING,
    # No Sync at all: a client that has nothing to say for 204, 205 or a resumed session.
    (S.READY, E.FINAL): S.SENDING,
    (S.TAKING, E.TOLD): S.TAKING,
    (S.TAKING, E.SYNC): S.TAKING,
    (S.TAKING, E.FINAL): S.SENDING,
    (S.SENDING, E.TOLD): S.SENDING,
    (S.SENDING, E.WRITTEN): S.SENT,
    (S.SENT, E.FINAL): S.DONE,
    # A further cycle in the same session, or a client that finds out late that it wants another type.
    (S.DONE, E.AGAIN): S.ALERTED,
    (S.DONE, E.FINAL): S.DONE,
    (S.DEAD, E.AGAIN): S.ALERTED,
    (S.DEAD, E.FINAL): S.DEAD,
} | {(stage, E.FAILED): S.DEAD for stage in Stage if stage is not S.DONE}


class Course:
    """The stage of one datastore."""

    def __init__(self) -> None:
        self.stage = Stage.ALERTED

    def allows(self, event: Event) -> bool:
        """Whether it is its turn."""
        return (self.stage, event) in TABLE

    def happens(self, event: Event) -> None:
        """Go on.

        :raises ProtocolError: it is not its turn.
        """
        after = TABLE.get((self.stage, event))
        if after is None:
            raise ProtocolError(f"{event.value}, while the datastore is {self.stage.value}")
        self.stage = after


#: Stages in which a datastore is open and can still come to a good end.
ALIVE = frozenset({S.ALERTED, S.READY, S.TAKING, S.SENDING, S.SENT})
