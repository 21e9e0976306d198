"""The ladder's lines: kept per session, with the registration before them, few, and only of calls that came about."""

from __future__ import annotations

import json

import pytest

from twsync.peer.tracing import MAX_EARLY, MAX_LINES, Tracer
from twsync.session.trace import Party
from twsync.sip.message import URI, CSeq, Request, Response


@pytest.fixture
def written():
    return {}


@pytest.fixture
def tracer(written):
    return Tracer(lambda: 5.0, lambda session, lines: written.setdefault(session, []).extend(lines))


def request(method, call_id, **headers):
    made = Request(method, URI.parse("sips:alice@example.org"))
    made.call_id = call_id
    made.cseq = CSeq(1, method)
    for name, value in headers.items():
        made.headers.set(name, value)
    return made


def response(code, phrase, method, call_id):
    made = Response(code, phrase)
    made.call_id = call_id
    made.cseq = CSeq(1, method)
    return made


def steps(written, session):
    return [(line["start"], line["step"]) for line in map(json.loads, written[session])]


def register(tracer):
    tracer.message("sent", request("REGISTER", "r"))
    tracer.message("received", response(401, "Unauthorized", "REGISTER", "r"))
    tracer.message("sent", request("REGISTER", "r", Authorization="Digest x"))
    tracer.message("received", response(200, "OK", "REGISTER", "r"))


def test_caller(tracer, written):
    register(tracer)
    tracer.open("s", Party.CALLER)
    tracer.message("sent", request("INVITE", "s"))
    tracer.message("received", response(100, "Trying", "INVITE", "s"))
    tracer.message("received", response(200, "OK", "INVITE", "s"))
    tracer.message("sent", request("ACK", "s"))
    tracer.data("s")
    tracer.message("sent", request("BYE", "s"))
    tracer.message("received", response(200, "OK", "BYE", "s"))
    tracer.message("sent", request("INVITE", "other"))
    tracer.close("s")
    assert [step for _, step in steps(written, "s")] == [1, 2, 3, 4, 11, 12, 16, 17, 19, 20, 23]
    assert list(written) == ["s"]


def test_callee_gets_what_came_before_the_decision(tracer, written):
    register(tracer)
    tracer.message("received", request("INVITE", "s"))
    tracer.message("sent", response(100, "Trying", "INVITE", "s"))
    tracer.message("sent", response(200, "OK", "INVITE", "s"))
    tracer.open("s", Party.CALLEE)
    tracer.message("received", request("ACK", "s"))
    tracer.message("received", request("BYE", "s"))
    tracer.message("sent", response(200, "OK", "BYE", "s"))
    tracer.flush()
    assert [step for _, step in steps(written, "s")] == [6, 7, 8, 9, 13, 14, 15, 18, 21, 22]


def test_refused_calls_leave_nothing(tracer, written):
    for number in range(MAX_EARLY + 50):
        tracer.message("received", request("INVITE", f"s{number}"))
    tracer.forget("s60")
    tracer.open("s60", Party.CALLEE)
    tracer.open(f"s{MAX_EARLY + 49}", Party.CALLEE)
    tracer.flush()
    assert list(written) == [f"s{MAX_EARLY + 49}"]


def test_long_sessions_do_not_fill_the_disk(tracer, written):
    tracer.open("s", Party.CALLER)
    for _ in range(MAX_LINES + 100):
        tracer.message("sent", request("INFO", "s"))
    tracer.close("s")
    assert len(written["s"]) == MAX_LINES


def test_refreshes_do_not_push_out_the_first_steps(tracer, written):
    register(tracer)
    for _ in range(20):
        tracer.message("sent", request("REGISTER", "r", Authorization="Digest x"))
        tracer.message("received", response(200, "OK", "REGISTER", "r"))
    tracer.open("s", Party.CALLER)
    tracer.flush()
    found = [step for _, step in steps(written, "s")]
    assert found[:5] == [1, 2, 3, 4, 5]
    assert len(found) == 8
