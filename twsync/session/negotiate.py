"""The callee's answer to an offer, given the facts: a table, first match holds.

What a stranger may learn comes last: whether the caller may call at all is settled before anything is said about collections.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from twsync.session.datatypes import DataType, SyncProtocol
from twsync.session.description import Description


class KeyState(enum.StrEnum):
    """How the caller's fingerprint stands to what this device remembers of the caller."""

    NEW = "new"
    "Never met: it is remembered with the first session."
    TRUSTED = "trusted"
    CHANGED = "changed"
    "Another one than before; refused until ``twsync trust``."


@dataclass(frozen=True, slots=True)
class Facts:
    """What the callee knows when an offer comes in."""

    device: str
    "This device, ``user/device``."
    session: str
    "The Call-ID of the INVITE that carried the offer."
    caller: str
    "Who the server says is calling, ``user/device``."
    key: KeyState
    fresh: bool
    "Whether the offer was made just now (Description.fresh)."
    allowed: bool
    "Whether the collection may be synchronised with this device; True for a collection that does not exist."
    data_type: DataType | None
    "What the collection of that name holds here; None: no such collection."
    protocols: frozenset[SyncProtocol]
    "The protocols that this device speaks."
    ready: bool
    "Whether the collection can be used: its folder is there, the daemon is not stopping."
    busy: bool
    "Whether another session of this collection is under way."


@dataclass(frozen=True, slots=True)
class Answer:
    """What the callee says."""

    status: int
    "SIP status: 200 or 4xx."
    code: str
    "A stable name for programs; empty with 200."
    reason: str
    "A sentence for the person at the caller's keyboard; empty with 200."


_Refuses = Callable[[Description, Facts], bool]

#: When it refuses, SIP status, code, sentence.
_TABLE: tuple[tuple[_Refuses, int, str, str], ...] = (
    (
        lambda offer, facts: (
            offer.is_answer or offer.session != facts.session or offer.callee != facts.device or offer.caller != facts.caller
        ),
        403,
        "wrong-offer",
        "The offer was made for another call; try again.",
    ),
    (
        lambda offer, facts: not facts.fresh,
        403,
        "stale-offer",
        "The offer was not made just now; set the clocks of both devices right and try again.",
    ),
    (
        lambda offer, facts: facts.key is KeyState.CHANGED,
        403,
        "key-changed",
        "{caller} has another key than before; if that is right, run 'twsync trust {caller}' on {callee}.",
    ),
    (
        lambda offer, facts: not facts.allowed,
        403,
        "not-allowed",
        "{callee} does not share '{collection}' with {caller}; add the device to the collection's 'devices' there.",
    ),
    (
        lambda offer, facts: facts.data_type is None,
        404,
        "no-such-collection",
        "{callee} has no collection '{collection}'; add it there with 'twsync collection add'.",
    ),
    (
        lambda offer, facts: facts.data_type is not offer.data_type,
        488,
        "type-mismatch",
        "'{collection}' holds {data_type} on {caller} but not on {callee}; give it the same type on both.",
    ),
    (
        lambda offer, facts: offer.sync_protocol is not offer.data_type.protocol or offer.sync_protocol not in facts.protocols,
        488,
        "protocol-mismatch",
        "{callee} does not synchronise {data_type} by {sync_protocol}; install the same version of twsync on both devices.",
    ),
    (
        lambda offer, facts: offer.policy not in offer.data_type.policies,
        488,
        "policy-mismatch",
        "The policy that {caller} names does not fit {data_type}; install the same version of twsync on both devices.",
    ),
    (
        lambda offer, facts: not facts.ready,
        480,
        "not-ready",
        "{callee} cannot use '{collection}' right now; 'twsync doctor' says why there.",
    ),
    (
        lambda offer, facts: facts.busy,
        486,
        "busy",
        "{callee} is synchronising '{collection}' already; try again when that is done.",
    ),
)

ACCEPTED = Answer(200, "", "")


def answer(offer: Description, facts: Facts) -> Answer:
    """What to answer to `offer` (whose signature was verified)."""
    for refuses, status, code, sentence in _TABLE:
        if refuses(offer, facts):
            reason = sentence.format(
                caller=offer.caller,
                callee=facts.device,
                collection=offer.collection,
                data_type=str(offer.data_type),
                sync_protocol=str(offer.sync_protocol),
            )
            return Answer(status, code, reason)
    return ACCEPTED
