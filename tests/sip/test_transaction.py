"""The transaction tables against RFC 3261 section 17 and RFC 6026."""

from __future__ import annotations

import pytest

from twsync.errors import ProtocolError
from twsync.sip.transaction import TABLES, Do, Event, Kind, Machine, Start, State, Stop, Timer, received, timer_event, to_send

E, S = Event, State


def run(kind: Kind, *events: Event) -> list[tuple[State, tuple[object, ...]]]:
    machine = Machine(kind)
    return [(machine.state, actions) for event in events for actions in [machine.fire(event)]]


def test_an_invite_that_is_answered_passes_every_2xx_for_32_seconds() -> None:
    steps = run(Kind.INVITE_CLIENT, E.START, E.PROVISIONAL, E.SUCCESS, E.SUCCESS, E.FAILURE, E.TIMER_M)
    assert [state for state, _ in steps] == [S.CALLING, S.PROCEEDING, S.ACCEPTED, S.ACCEPTED, S.ACCEPTED, S.TERMINATED]
    assert [Do.PASS_RESPONSE in actions for _, actions in steps] == [False, True, True, True, False, False]
    assert all(Do.SEND_ACK not in actions for _, actions in steps)


def test_an_invite_that_is_refused_is_acknowledged_each_time() -> None:
    steps = run(Kind.INVITE_CLIENT, E.START, E.FAILURE, E.FAILURE, E.TIMER_D)
    assert [Do.SEND_ACK in actions for _, actions in steps] == [False, True, True, False]
    assert [Do.PASS_RESPONSE in actions for _, actions in steps] == [False, True, False, False]


def test_an_invite_nobody_answers_times_out_but_one_in_progress_does_not() -> None:
    assert run(Kind.INVITE_CLIENT, E.START, E.TIMER_B)[-1] == (S.TERMINATED, (Do.REPORT_TIMEOUT,))
    assert Stop(Timer.B) in run(Kind.INVITE_CLIENT, E.START, E.PROVISIONAL)[-1][1]
    assert run(Kind.INVITE_CLIENT, E.START, E.PROVISIONAL, E.CANCELLED, E.TIMER_CANCEL)[-1] == (S.TERMINATED, (Do.REPORT_TIMEOUT,))


def test_another_request_times_out_even_in_progress() -> None:
    assert run(Kind.CLIENT, E.START, E.PROVISIONAL, E.TIMER_F)[-1] == (S.TERMINATED, (Do.REPORT_TIMEOUT,))
    assert run(Kind.CLIENT, E.START, E.FAILURE, E.SUCCESS)[-1] == (S.COMPLETED, ())


def test_an_invite_server_sends_100_only_while_there_is_no_response() -> None:
    assert run(Kind.INVITE_SERVER, E.START)[0][1] == (Start(Timer.TRYING), Do.PASS_REQUEST)
    assert run(Kind.INVITE_SERVER, E.START, E.TIMER_TRYING)[-1] == (S.PROCEEDING, (Do.SEND_TRYING,))
    for sent in (E.SEND_PROVISIONAL, E.SEND_SUCCESS, E.SEND_FAILURE):
        assert Stop(Timer.TRYING) in run(Kind.INVITE_SERVER, E.START, sent)[-1][1]


def test_a_refused_invite_waits_for_its_ack_and_a_second_answer_is_passed_over() -> None:
    steps = run(Kind.INVITE_SERVER, E.START, E.SEND_FAILURE, E.SEND_SUCCESS, E.REQUEST, E.ACK, E.ACK, E.TIMER_I)
    assert [state for state, _ in steps] == [S.PROCEEDING, *[S.COMPLETED] * 3, S.CONFIRMED, S.CONFIRMED, S.TERMINATED]
    assert steps[2][1] == ()
    assert steps[3][1] == (Do.SEND_RESPONSE_AGAIN,)
    assert run(Kind.INVITE_SERVER, E.START, E.SEND_FAILURE, E.TIMER_H)[-1][0] is S.TERMINATED


def test_an_accepted_invite_takes_more_2xx_and_passes_acks() -> None:
    steps = run(Kind.INVITE_SERVER, E.START, E.SEND_SUCCESS, E.SEND_SUCCESS, E.REQUEST, E.ACK, E.SEND_FAILURE, E.TIMER_L)
    assert [actions for _, actions in steps[2:]] == [(Do.SEND_RESPONSE,), (), (Do.PASS_ACK,), (), ()]


def test_another_request_repeats_its_last_response() -> None:
    steps = run(Kind.SERVER, E.START, E.REQUEST, E.SEND_PROVISIONAL, E.REQUEST, E.SEND_SUCCESS, E.SEND_FAILURE, E.TIMER_J)
    assert [actions for _, actions in steps[1:]] == [
        (),
        (Do.SEND_RESPONSE,),
        (Do.SEND_RESPONSE_AGAIN,),
        (Start(Timer.J), Do.SEND_RESPONSE),
        (),
        (),
    ]


@pytest.mark.parametrize("kind", Kind)
def test_every_table_is_sound(kind: Kind) -> None:
    """Every state but the last can be left by a lost flow; timers are started before they run and all states are reached."""
    table = TABLES[kind]
    reached = {transition.state for transition in table.values()} | {S.INITIAL}
    assert {state for state, _ in table} | {S.TERMINATED} == reached | {S.TERMINATED}
    for state in reached - {S.INITIAL, S.TERMINATED}:
        assert table[state, E.FLOW_LOST].state is S.TERMINATED
    started = {action.timer for transition in table.values() for action in transition.actions if isinstance(action, Start)}
    assert {timer_event(timer) for timer in started} == {event for _, event in table if event.value.startswith("timer")}
    for (_, _event), transition in table.items():
        if transition.state is S.TERMINATED:
            assert not any(isinstance(action, Start) for action in transition.actions)


@pytest.mark.parametrize("kind", Kind)
def test_an_event_that_cannot_happen_is_an_error_and_changes_nothing(kind: Kind) -> None:
    for state in State:
        for event in Event:
            machine = Machine(kind, state)
            if (state, event) in TABLES[kind]:
                machine.fire(event)
            else:
                with pytest.raises(ProtocolError):
                    machine.fire(event)
                assert machine.state is state


def test_a_late_answer_to_a_lost_flow_is_no_error() -> None:
    for kind in (Kind.INVITE_SERVER, Kind.SERVER):
        for code in (180, 200, 404):
            assert Machine(kind, S.TERMINATED).fire(to_send(code)) == ()


def test_timers_and_codes() -> None:
    assert {timer.name: timer.seconds for timer in Timer} == {
        "B": 32,
        "C_CANCEL": 32,
        "D": 0,
        "F": 32,
        "H": 32,
        "I": 0,
        "J": 0,
        "K": 0,
        "L": 32,
        "M": 32,
        "TRYING": 0.2,
    }
    assert [received(code) for code in (100, 199, 200, 299, 300, 699)] == [E.PROVISIONAL] * 2 + [E.SUCCESS] * 2 + [E.FAILURE] * 2
    assert [to_send(code) for code in (100, 200, 486)] == [E.SEND_PROVISIONAL, E.SEND_SUCCESS, E.SEND_FAILURE]
    assert Machine(Kind.CLIENT, S.TERMINATED).over
