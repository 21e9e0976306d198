"""The callee's answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from twsync.session.datatypes import DataType, SyncProtocol
from twsync.session.description import Description
from twsync.session.negotiate import ACCEPTED, Facts, KeyState, answer

GOOD = Facts(
    device="alice/desktop",
    session="3f6a@192.0.2.7",
    caller="alice/laptop",
    key=KeyState.TRUSTED,
    fresh=True,
    allowed=True,
    data_type=DataType.PICTURES,
    protocols=frozenset({SyncProtocol.RSYNC}),
    ready=True,
    busy=False,
)

# In the order of the table: each fact alone refuses, and an earlier one hides the later ones.
REFUSALS: list[tuple[dict[str, Any], int, str]] = [
    ({"session": "other"}, 403, "wrong-offer"),
    ({"caller": "mallory/laptop"}, 403, "wrong-offer"),
    ({"device": "alice/other"}, 403, "wrong-offer"),
    ({"fresh": False}, 403, "stale-offer"),
    ({"key": KeyState.CHANGED}, 403, "key-changed"),
    ({"allowed": False}, 403, "not-allowed"),
    ({"data_type": None}, 404, "no-such-collection"),
    ({"data_type": DataType.MUSIC}, 488, "type-mismatch"),
    ({"protocols": frozenset()}, 488, "protocol-mismatch"),
    ({"ready": False}, 480, "not-ready"),
    ({"busy": True}, 486, "busy"),
]


@pytest.mark.parametrize("key", [KeyState.NEW, KeyState.TRUSTED])
def test_accepted(offer: Description, key: KeyState) -> None:
    """All is right; a caller never met is remembered from now on."""
    assert answer(offer, replace(GOOD, key=key)) == ACCEPTED
    assert ACCEPTED.status == 200


@pytest.mark.parametrize(("facts", "status", "code"), REFUSALS)
def test_refused(offer: Description, facts: dict[str, Any], status: int, code: str) -> None:
    """One fact is wrong: status, code, and one sentence that names what it is about."""
    found = answer(offer, replace(GOOD, **facts))
    assert (found.status, found.code) == (status, code)
    assert found.reason.endswith(".")
    assert "{" not in found.reason


def test_the_first_refusal_holds(offer: Description) -> None:
    """From the last fact to the first, each added one hides what came after it."""
    gathered: dict[str, Any] = {}
    for facts, _, code in reversed(REFUSALS):
        gathered |= facts
        assert answer(offer, replace(GOOD, **gathered)).code == code


def test_a_protocol_that_does_not_fit_the_type(offer: Description) -> None:
    """Pictures do not go by SyncML, whoever speaks it; contacts do."""
    speaks_all = replace(GOOD, protocols=frozenset(SyncProtocol))
    assert answer(replace(offer, sync_protocol=SyncProtocol.SYNCML), speaks_all).code == "protocol-mismatch"
    contacts = replace(offer, data_type=DataType.CONTACTS, sync_protocol=SyncProtocol.SYNCML, policy="merge")
    assert answer(contacts, replace(speaks_all, data_type=DataType.CONTACTS)) == ACCEPTED


def test_a_policy_that_does_not_fit_the_type(offer: Description) -> None:
    """Pictures cannot be merged, and records are not kept beside each other under a conflict's name."""
    speaks_all = replace(GOOD, protocols=frozenset(SyncProtocol))
    assert answer(replace(offer, policy="merge"), speaks_all).code == "policy-mismatch"
    contacts = replace(offer, data_type=DataType.CONTACTS, sync_protocol=SyncProtocol.SYNCML, policy="keep-both")
    refused = answer(contacts, replace(speaks_all, data_type=DataType.CONTACTS))
    assert (refused.status, refused.code) == (488, "policy-mismatch")


def test_an_answer_is_no_offer(reply: Description) -> None:
    """It is not reflected back."""
    assert answer(reply, GOOD).code == "wrong-offer"


def test_types_and_their_protocols() -> None:
    """Files of all kinds by rsync, records by SyncML."""
    by_rsync = {kind for kind in DataType if kind.protocol is SyncProtocol.RSYNC}
    assert by_rsync == {DataType.FILES, DataType.PICTURES, DataType.MUSIC}
