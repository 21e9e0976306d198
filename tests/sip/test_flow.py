"""A client's keepalive and its pauses."""

from __future__ import annotations

import pytest

from twsync.errors import ProtocolError
from twsync.sip.flow import TABLE, Action, Event, Keepalive, State, ping_pause, reconnect_pause


def test_a_ping_each_interval_and_the_pong_in_time() -> None:
    machine = Keepalive()
    assert machine.fire(Event.START) == (Action.START_INTERVAL,)
    assert machine.fire(Event.INTERVAL_OVER) == (Action.SEND_PING, Action.START_DEADLINE)
    assert machine.fire(Event.PONG) == (Action.START_INTERVAL,)
    assert machine.state is State.QUIET


def test_no_pong_means_dead_once() -> None:
    machine = Keepalive()
    for event in (Event.START, Event.INTERVAL_OVER):
        machine.fire(event)
    assert machine.fire(Event.OVERDUE) == (Action.DECLARE_DEAD,)
    assert [machine.fire(event) for event in (Event.PONG, Event.PROBE, Event.STOP)] == [(), (), ()]
    assert machine.state is State.DEAD


def test_a_probe_pings_at_once_but_only_one_ping_is_under_way() -> None:
    machine = Keepalive()
    machine.fire(Event.START)
    assert machine.fire(Event.PROBE) == (Action.SEND_PING, Action.START_DEADLINE)
    assert machine.fire(Event.PROBE) == ()
    assert machine.fire(Event.STOP) == (Action.STOP_TIMER,)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_an_event_that_cannot_happen_is_an_error(state: State, event: Event) -> None:
    machine = Keepalive(state)
    if (state, event) in TABLE:
        machine.fire(event)
        assert machine.state is TABLE[state, event].state
    else:
        with pytest.raises(ProtocolError):
            machine.fire(event)
        assert machine.state is state


def test_pauses() -> None:
    assert (ping_pause(25.0, 0.0), ping_pause(25.0, 1.0)) == (20.0, 25.0)
    assert [reconnect_pause(failures, 1.0, 1.0, 120.0) for failures in (1, 2, 3, 7, 10_000)] == [2.0, 4.0, 8.0, 120.0, 120.0]
    assert reconnect_pause(3, 0.0, 1.0, 120.0) == 4.0
