"""baresip, a stock user agent, against syncctl."""

from __future__ import annotations

import pytest

from twsync.demo.commands import LOOPBACK


@pytest.mark.parametrize("transport", ["tls", "tcp"])
def test_registers_with_digest(transport, sip, baresip):
    """It is challenged, answers, and stands in the server's list."""
    agent = baresip("alice", getattr(sip, transport), transport)
    agent.wait_for(r"200 OK \(.*\) \[1 binding")
    assert "401 Unauthorized" in agent.text() and "Digest username" in agent.text()
    assert "alice" in sip.devices()


def test_a_call_between_two(sip, baresip):
    """One over TLS calls the other over TCP; both say that the call stands, and that it has ended."""
    alice = baresip("alice", sip.tls, "tls")
    bob = baresip("bob", sip.tcp, "tcp")
    for agent in (alice, bob):
        agent.wait_for(r"200 OK \(.*\) \[1 binding")
    alice.command(f"/dial sip:bob@{LOOPBACK}:{sip.tls}")
    alice.wait_for("Call established")
    bob.wait_for("Call established")
    assert "407 Proxy Authentication Required" in alice.text()
    assert "Record-Route" in bob.text()
    alice.command("/hangup")
    bob.wait_for("BYE sip:")
    bob.wait_for("terminated|closed")


def test_sipp_calls_baresip(sip, baresip, sipp):
    """A call from one stock agent to another of a different make."""
    bob = baresip("bob", sip.tls, "tls")
    bob.wait_for(r"200 OK \(.*\) \[1 binding")
    caller = sipp("call", "alice", "bob")
    _, errors = caller.communicate(timeout=30)
    assert caller.returncode == 0, (errors, bob.text()[-6000:])
    bob.wait_for("Call established")
