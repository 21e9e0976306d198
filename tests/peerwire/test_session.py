"""Who may say what when."""

from __future__ import annotations

import pytest

from twsync.errors import ProtocolError
from twsync.peerwire.session import TABLE, Conversation, Direction, State

WORDS = sorted({what for _state, what in TABLE})
WHOLE = [
    "hello",
    "open",
    "items",
    "want-bundles",
    "bundle",
    "data",
    "items",
    "items-end",
    "counterparts",
    "counterparts-final",
    "plan",
    "want",
    "signature",
    "bundle",
    "data",
    "file",
    "data",
    "file-end",
    "round-end",
    "file",
    "data",
    "file-end",
]


def test_a_whole_session():
    talk = Conversation()
    for again in (True, True, False):
        for what in WHOLE if talk.own.state is State.SILENT else WHOLE[2:]:
            talk.own.says(what)
            talk.peer.says(what)
        talk.round_over(again)
    for direction in (talk.own, talk.peer):
        direction.says("skipped")
        direction.says("commit")
        assert direction.state is State.COMMITTED


@pytest.mark.parametrize("state", [state for state in State if state is not State.FAILED])
@pytest.mark.parametrize("what", WORDS)
def test_what_the_table_does_not_name_is_an_error(state, what):
    direction = Direction()
    direction.state = state
    if (state, what) in TABLE:
        direction.says(what)
        assert direction.state is TABLE[state, what]
    else:
        with pytest.raises(ProtocolError):
            direction.says(what)
        assert direction.state is state


def test_nothing_follows_an_error():
    direction = Direction()
    direction.says("error")
    for what in WORDS:
        with pytest.raises(ProtocolError):
            direction.says(what)


def test_no_content_of_a_row_before_the_plan():
    """The rule that the table is there for: before the plan there is only what goes to staging alone, after hello and open."""
    before = (State.OPENED, State.LISTED, State.COMPARED)
    for state, what in TABLE:
        if what == "want":
            assert state is State.WANTING
        if what in {"want-bundles", "bundle", "file", "data", "file-end", "signature", "stop"}:
            assert state in (*before, State.WANTING, State.ANSWERING)
    assert {state for state, what in TABLE if what == "fetch"} == set(before)
    assert {state for state, what in TABLE if what in ("signature", "stop", "want", "want-bundles")}.isdisjoint({State.ANSWERING})
    into_wanting = {what for (state, what), after in TABLE.items() if after is State.WANTING and state is not State.WANTING}
    assert into_wanting == {"plan"}


def test_a_round_is_over_when_both_have_said_so():
    talk = Conversation()
    talk.own.state = State.ANSWERING
    with pytest.raises(RuntimeError):
        talk.round_over(False)
