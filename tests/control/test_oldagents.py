"""Which challenges an agent is given."""

from __future__ import annotations

import pytest

from twsync.control.oldagents import OldAgents
from twsync.sip.message import URI, Request

SHA256 = 'Digest realm="example.org", nonce="n", algorithm=SHA-256, qop="auth"'
MD5 = 'Digest realm="example.org", nonce="n", algorithm=MD5, qop="auth"'


class Flow:
    """As much of one as is asked."""

    id = "flow"
    remote = ("192.0.2.1", 5061)


def suited(challenges, request):
    return OldAgents().suited(challenges, request, Flow)


def register(agent=None, branch="z9hG4bK776asdhds", call_id="a84b4c76e66710@pc33.example.org", tag="1928301774"):
    request = Request("REGISTER", URI.parse("sip:example.org"))
    request.headers.set("Via", f"SIP/2.0/TLS 192.0.2.1:5061;branch={branch}")
    request.headers.set("From", f"<sip:alice@example.org>;tag={tag}")
    request.call_id = call_id
    if agent is not None:
        request.headers.set("User-Agent", agent)
    return request


@pytest.mark.parametrize("agent", ["baresip v1.0.0 (x86_64/linux)", "baresip v0.6.5", "SIPp v3.6.1", "sipp"])
def test_old_agents_get_md5_alone(agent):
    """They would give up at sight of SHA-256."""
    assert suited([SHA256, MD5], register(agent)) == [MD5]


@pytest.mark.parametrize("agent", [None, "twsync/0.1.0", "baresip v3.1.0", "baresip v10.0", "Linphone/5.1", "not baresip v1.0"])
def test_all_others_get_everything(agent):
    """An agent that is not on the list chooses by itself, the strongest first."""
    assert suited([SHA256, MD5], register(agent)) == [SHA256, MD5]


def test_sipp_is_known_by_its_branch():
    """It names itself nowhere else."""
    assert suited([SHA256, MD5], register(branch="z9hG4bK-4242-1-0")) == [MD5]


@pytest.mark.parametrize("agent", [None, "Acme Phone 2"])
@pytest.mark.parametrize(
    "trait", [{"call_id": "1-4242@127.0.0.1"}, {"call_id": "REG///12-4242@10.0.0.1"}, {"call_id": "3-9@[::1]"}, {"tag": "4242SIPpTag001"}]
)
def test_sipp_is_known_by_its_other_habits(agent, trait):
    """Whatever its scenario calls itself."""
    assert suited([SHA256, MD5], register(agent, **trait)) == [MD5]


def test_memory_is_bounded(monkeypatch):
    """Whoever asked first is forgotten first."""
    monkeypatch.setattr("twsync.limits.MAX_UNANSWERED_CHALLENGES", 10)
    agents = OldAgents()
    for number in range(50):
        agents.suited([SHA256, MD5], register(call_id=f"call{number}"), Flow)
    assert len(agents._asked) == 10


def test_what_the_administrator_switched_off_stays_off():
    """Without MD5 an old agent gets what there is."""
    assert suited([SHA256], register("SIPp")) == [SHA256]
