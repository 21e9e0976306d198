"""The order of the protocol: what each side may send next.

Both directions run at once and obey the same table, each with a state of its own. Where they meet is the end of a round: when both sides
have sent `round-end` the two together decide whether another round follows (:meth:`Conversation.round_over`). A side that
has sent its `round-end` asks for nothing more but goes on answering.

What may come ahead of the plan goes to staging and nowhere else: whatever comes before `plan`, nothing is placed or removed until both
plans were compared, and of rows only small files, in bundles, can be asked for before that.
"""

from __future__ import annotations

import enum

from twsync.errors import ProtocolError


class State(enum.Enum):
    """What a direction has said so far."""

    SILENT = "nothing"
    GREETED = "hello"
    OPENED = "open"
    LISTED = "all its rows"
    COMPARED = "all its counterparts"
    WANTING = "its plan"
    ANSWERING = "round-end"
    SETTLED = "all its rounds"
    COMMITTED = "commit"
    FAILED = "error"


#: (state, what is said) -> state. What is not here is an error.
TABLE: dict[tuple[State, str], State] = {
    (State.SILENT, "hello"): State.GREETED,
    (State.GREETED, "open"): State.OPENED,
    (State.OPENED, "ahead"): State.OPENED,
    (State.OPENED, "items"): State.OPENED,
    (State.OPENED, "items-end"): State.LISTED,
    (State.LISTED, "counterparts"): State.LISTED,
    (State.LISTED, "counterparts-final"): State.COMPARED,
    (State.COMPARED, "plan"): State.WANTING,
    (State.WANTING, "want"): State.WANTING,
    (State.WANTING, "round-end"): State.ANSWERING,
    (State.ANSWERING, "bundle"): State.ANSWERING,
    (State.ANSWERING, "file"): State.ANSWERING,
    (State.ANSWERING, "data"): State.ANSWERING,
    (State.ANSWERING, "file-end"): State.ANSWERING,
    (State.SETTLED, "skipped"): State.SETTLED,
    (State.SETTLED, "commit"): State.COMMITTED,
}
#: Ahead of the plan, and what of it goes on behind it.
TABLE |= {
    (state, what): state
    for state in (State.OPENED, State.LISTED, State.COMPARED, State.WANTING)
    for what in ("fetch", "stop", "signature", "file", "data", "file-end", "want-bundles", "bundle")
    if (state, what) != (State.WANTING, "fetch")
}
TABLE |= {(state, "error"): State.FAILED for state in State if state is not State.FAILED}


class Direction:
    """What one side has said, in order."""

    def __init__(self) -> None:
        self.state = State.SILENT

    def says(self, what: str) -> None:
        """One more message or bulk frame.

        :raises ProtocolError: it is not its turn.
        """
        after = TABLE.get((self.state, what))
        if after is None:
            raise ProtocolError(f"{what} after {self.state.value}")
        self.state = after


class Conversation:
    """Both directions of one session, as one of its sides sees them."""

    def __init__(self) -> None:
        self.own = Direction()
        self.peer = Direction()

    def round_over(self, again: bool) -> None:
        """Both sides have sent `round-end`: go on with another round, or to `commit`.

        :raises RuntimeError: they have not; a mistake of the caller.
        """
        if self.own.state is not State.ANSWERING or self.peer.state is not State.ANSWERING:
            raise RuntimeError("the round is not over")
        self.own.state = self.peer.state = State.OPENED if again else State.SETTLED
