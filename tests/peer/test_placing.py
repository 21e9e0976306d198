"""Batches one after the other: what may go on beside what, and what a failure leaves undone."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from twsync.errors import StoreError
from twsync.peer import placing
from twsync.peer.placing import Placer
from twsync.peer.tasks import Tasks
from twsync.reconcile.model import Item, Kind
from twsync.reconcile.versions import Version
from twsync.store.changes import Change


class Talk:
    """As much of a dialogue as can end."""

    def __init__(self):
        self.error = None
        self._over = []

    def when_over(self, call):
        self._over.append(call)

    def check(self):
        if self.error is not None:
            raise self.error

    def fail(self, error):
        if self.error is None:
            self.error = error
            for call in self._over:
                call(error)


@dataclass
class Steps:
    """An applier and the workshop that it works in: each step goes on until the test ends it."""

    waiting: dict[str, tuple[Deferred, object]] = field(default_factory=dict)

    def begin(self, batch):
        return "begin", batch[0].key.decode(), batch[0].key.decode()

    def put(self, name):
        return "put", name, None

    def note(self, name):
        return "note", name, [name]

    def write(self, step, batch):
        verb, name, result = step(batch)
        done = Deferred()
        self.waiting[f"{verb} {name}"] = done, result
        return done

    def end(self, step, error=None):
        done, result = self.waiting.pop(step)
        done.callback(result) if error is None else done.errback(error)

    @property
    def going_on(self):
        return set(self.waiting)


@dataclass
class Stage:
    steps: Steps
    talk: Talk
    clock: Clock
    tasks: Tasks
    placer: Placer
    done: list

    def add(self, *keys):
        self.placer.add([Change(Item(key.encode(), Kind.DIRECTORY, b"", 0, 0, 0o755, Version(((1, 1),))), None) for key in keys])

    def flush(self):
        return Deferred.fromCoroutine(self.placer.flush())


@pytest.fixture
def stage(monkeypatch):
    monkeypatch.setattr(placing, "BATCH_FILES", 1)
    monkeypatch.setattr(placing, "MAX_BATCH_FILES", 1)
    steps, talk, clock, done = Steps(), Talk(), Clock(), []
    tasks = Tasks(talk)
    placer = Placer(talk, tasks, steps, clock, steps, lambda _batch, outcomes: done.extend(outcomes))
    return Stage(steps, talk, clock, tasks, placer, done)


def test_a_batch_is_begun_and_another_noted_while_one_is_put(stage):
    stage.add("a", "b", "c")
    steps = stage.steps
    assert steps.going_on == {"begin a"}
    steps.end("begin a")
    assert steps.going_on == {"put a", "begin b"}
    steps.end("begin b")
    assert steps.going_on == {"put a"}, "the third waits until the first is in place"
    steps.end("put a")
    assert steps.going_on == {"note a", "put b", "begin c"}
    steps.end("put b")
    assert steps.going_on == {"note a", "begin c"}, "rows come in the order of the batches"
    steps.end("begin c")
    steps.end("note a")
    assert steps.going_on == {"note b", "put c"}
    flushed = stage.flush()
    steps.end("put c")
    steps.end("note b")
    assert stage.done == ["a", "b"] and not flushed.called
    steps.end("note c")
    assert stage.done == ["a", "b", "c"] and flushed.called


def test_what_comes_while_the_last_batch_ends_is_the_next(stage):
    stage.add("a")
    stage.steps.end("begin a")
    stage.add("b")
    assert stage.steps.going_on == {"put a"}
    stage.steps.end("put a")
    stage.steps.end("note a")
    assert stage.steps.going_on == {"begin b"}


@pytest.mark.parametrize("step", ["begin b", "put a", "note a"])
def test_after_a_failure_nothing_else_is_put(stage, step):
    full = StoreError("No room.", "disk-full")
    stage.add("a", "b", "c", "d")
    flushed = stage.flush()
    failed = []
    flushed.addErrback(lambda failure: failed.append(failure.value))
    stage.steps.end("begin a")
    if step == "note a":
        stage.steps.end("begin b")
        stage.steps.end("put a")
    stage.steps.end(step, full)
    assert stage.talk.error is full
    seen = set()
    while stage.steps.going_on:
        now = stage.steps.going_on
        seen |= now
        for each in now:
            stage.steps.end(each)
    # A step that has begun ends; of the batches behind it none is put.
    assert not {"put c", "put d", "note c", "note d", "begin d"} & seen
    assert ("put b" in seen) == (step == "note a") and ("note a" in seen) == (step == "begin b")
    assert failed == [full]
    settled = Deferred.fromCoroutine(stage.tasks.settled())
    assert settled.called
