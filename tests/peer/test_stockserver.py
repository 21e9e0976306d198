"""This host as a client of a stock SyncML server: what the command hears meanwhile."""

from __future__ import annotations

from twisted.internet.task import Clock

from twsync.cli.daemon import PATIENCE
from twsync.peer.stockserver import SAID_AGAIN, said_again


def test_a_command_hears_that_a_slow_server_is_waited_for():
    clock, heard = Clock(), []
    with said_again(clock, lambda: heard.append(clock.seconds())):
        clock.pump([SAID_AGAIN] * 3)
    assert heard == [SAID_AGAIN, 2 * SAID_AGAIN, 3 * SAID_AGAIN]
    assert SAID_AGAIN < PATIENCE
    assert clock.getDelayedCalls() == []
