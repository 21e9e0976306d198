"""A client session and the thread that works for it."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from twsync.errors import SessionError
from twsync.peer.syncmldrive import drive
from twsync.syncml.clientresult import Error, Request, Result
from twsync.syncml.document import Encoding, Protocol
from twsync.transport.http import Answer

RESULT = Result(stores=(), protocol=Protocol.V1_2, encoding=Encoding.WBXML)
REQUEST = Request("http://server/syncml", b"message", "type")


class Session:
    """Answers as it is told to."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.calls = []

    def _next(self, *arguments):
        self.calls.append(arguments)
        return self.outcomes.pop(0)

    def start(self, now):
        return self._next("start", now)

    def receive(self, body, content_type, now):
        return self._next("receive", body, content_type)

    def refused(self, status, now):
        return self._next("refused", status)

    def abort(self, error):
        return self._next("abort", error)


class Thread:
    """Does a job when the test says so."""

    def __init__(self):
        self.jobs = []

    def __call__(self, job, *arguments):
        done = Deferred()
        self.jobs.append((done, lambda: job(*arguments)))
        return done

    def work(self):
        done, job = self.jobs.pop(0)
        done.callback(job())


async def post(_url, _content_type, _body):
    return Answer(200, "type", b"answer")


def driven(session, thread, posting=post):
    outcome = []
    running = Deferred.fromCoroutine(drive(session, posting, thread, Clock(), lambda: 7.0, lambda: None))
    running.addBoth(lambda result: outcome.append(getattr(result, "value", result)))
    return running, outcome


def test_message_by_message_to_the_result():
    thread, session = Thread(), Session(REQUEST, RESULT)
    _, outcome = driven(session, thread)
    thread.work()
    thread.work()
    assert session.calls == [("start", 7.0), ("receive", b"answer", "type")]
    assert outcome == [RESULT]


@pytest.mark.parametrize("before", [0, 1])
def test_a_cancelled_session_ends_when_its_thread_is_done(before):
    """Until then it works with files that are closed next."""
    thread, session = Thread(), Session(REQUEST, RESULT)
    running, outcome = driven(session, thread)
    for _ in range(before):
        thread.work()
    running.cancel()
    assert outcome == []
    thread.work()
    assert isinstance(outcome[0], CancelledError)
    assert thread.jobs == []


def test_a_session_that_is_cancelled_while_it_waits_for_an_answer_ends_at_once():
    thread, asked = Thread(), Deferred()
    running, outcome = driven(Session(REQUEST), thread, lambda *_: asked)
    thread.work()
    running.cancel()
    assert isinstance(outcome[0], CancelledError)


def test_an_error_in_the_thread_is_the_sessions():
    thread = Thread()
    _, outcome = driven(Session(), thread)
    done, _ = thread.jobs.pop()
    done.errback(RuntimeError("defect"))
    assert isinstance(outcome[0], RuntimeError)


def test_a_server_that_is_gone():
    async def gone(*_):
        raise SessionError("No.", "too-large")

    thread, session = Thread(), Session(REQUEST, RESULT)
    _, outcome = driven(session, thread, gone)
    thread.work()
    thread.work()
    assert session.calls[1] == ("abort", Error("too-large", "No."))
    assert outcome == [RESULT]
