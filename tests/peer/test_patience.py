"""Sessions that do not get on."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from twsync.limits import HTTP_TIMEOUT
from twsync.peer.patience import Patience


def waiting():
    clock, moved, ended = Clock(), [0.0], []
    return clock, moved, ended, Patience(clock, lambda: moved[0], lambda: ended.append(clock.seconds()))


def test_who_does_not_get_on_is_given_up():
    clock, _, ended, _ = waiting()
    clock.advance(HTTP_TIMEOUT - 1)
    assert ended == []
    clock.advance(1)
    assert ended == [HTTP_TIMEOUT]
    clock.advance(10 * HTTP_TIMEOUT)
    assert len(ended) == 1


def test_who_gets_on_is_not():
    clock, moved, ended, _ = waiting()
    for number in range(1, 5):
        moved[0] = number
        clock.advance(HTTP_TIMEOUT)
    assert ended == []
    clock.advance(HTTP_TIMEOUT)
    assert len(ended) == 1


def test_own_work_is_not_counted():
    clock, _, ended, patience = waiting()
    work = Deferred()
    heard = []
    patience.during(work).addCallback(heard.append)
    clock.advance(HTTP_TIMEOUT)
    clock.advance(HTTP_TIMEOUT)
    assert ended == []
    work.callback("answer")
    assert heard == ["answer"]
    clock.advance(HTTP_TIMEOUT)
    assert len(ended) == 1


def test_the_end_of_the_session_ends_it():
    clock, _, ended, patience = waiting()
    patience.stop()
    patience.stop()
    clock.advance(HTTP_TIMEOUT)
    assert ended == []
    assert clock.getDelayedCalls() == []
