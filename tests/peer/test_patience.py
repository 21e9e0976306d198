"""Sessions that do not get on."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from twsync.limits import HTTP_TIMEOUT
from twsync.peer.patience import PAUSE, Patience


def waiting():
    clock, moved, ended = Clock(), [0.0], []
    return clock, moved, ended, Patience(clock, lambda: moved[0], lambda: ended.append(clock.seconds()))


def run(clock, seconds):
    clock.pump([PAUSE] * int(seconds / PAUSE))


def test_who_does_not_get_on_is_given_up():
    clock, _, ended, _ = waiting()
    run(clock, HTTP_TIMEOUT - PAUSE)
    assert ended == []
    run(clock, PAUSE)
    assert ended == [HTTP_TIMEOUT]
    run(clock, 10 * HTTP_TIMEOUT)
    assert len(ended) == 1


def test_who_gets_on_is_not():
    clock, moved, ended, _ = waiting()
    for number in range(1, 5):
        moved[0] = number
        run(clock, HTTP_TIMEOUT)
    assert ended == []
    run(clock, PAUSE)
    assert len(ended) == 1


def test_own_work_is_not_counted():
    clock, _, ended, patience = waiting()
    work = Deferred()
    heard = []
    patience.during(work).addCallback(heard.append)
    run(clock, 3 * HTTP_TIMEOUT)
    assert ended == []
    work.callback("answer")
    assert heard == ["answer"]
    run(clock, HTTP_TIMEOUT)
    assert len(ended) == 1


def test_the_end_of_the_session_ends_it():
    clock, _, ended, patience = waiting()
    patience.stop()
    patience.stop()
    run(clock, 2 * HTTP_TIMEOUT)
    assert ended == []
    assert clock.getDelayedCalls() == []
