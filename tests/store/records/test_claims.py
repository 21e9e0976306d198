"""Who has a collection, and who waits for it."""

from __future__ import annotations

import threading

import pytest

from twsync import limits
from twsync.errors import StoreError
from twsync.store.recordhost import Wait

#: Seconds: none of these waits comes to its end.
LONG = 60.0


@pytest.fixture
def server(make_box):
    return make_box("desktop")


class Waiting:
    """A thread that claims a collection."""

    def __init__(self, host, gone=bool) -> None:
        self.came_to = ""
        self._thread = threading.Thread(target=self._claim, args=(host, gone))
        self._thread.start()

    def _claim(self, host, gone) -> None:
        try:
            host.claim("people", Wait(LONG, gone))
            self.came_to = "claimed"
        except StoreError as error:
            self.came_to = error.code

    def end(self) -> str:
        """What came of it."""
        self._thread.join(LONG / 2)
        return self.came_to


def test_one_that_has_patience_gets_it_when_it_is_free(server) -> None:
    release = server.host.claim("people")
    waiting = Waiting(server.host)
    release()
    assert waiting.end() == "claimed"
    with pytest.raises(StoreError, match="being synchronised"):
        server.host.claim("people")


def test_nobody_waits_for_a_daemon_that_ends(server) -> None:
    server.host.claim("people")
    waiting = Waiting(server.host)
    server.host.hurry()
    assert waiting.end() == "busy"


def test_who_has_gone_away_meanwhile_does_not_get_it(server) -> None:
    """A stock client whose connection is lost: it would keep the collection until it has been silent for long."""
    release = server.host.claim("people")
    gone = threading.Event()
    waiting = Waiting(server.host, gone.is_set)
    gone.set()
    release()
    assert waiting.end() == "busy"
    server.host.claim("people")


def test_not_all_can_wait(server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their threads would keep those of the session that they wait for from going on."""
    monkeypatch.setattr(limits, "MAX_SYNCML_WAITING", 0)
    server.host.claim("people")
    assert Waiting(server.host).end() == "busy"
