"""What a session is given: what it works on, what was agreed on, and what it needs of the world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twsync.peer.streams import Workshop
from twsync.reconcile.model import Policy, Side, SyncType
from twsync.store.ignore import Ignore
from twsync.store.journal import CollectionJournal, Journal
from twsync.store.paths import Gate
from twsync.transport.interfaces import Clock


@dataclass(frozen=True, slots=True)
class Collection:
    """What a session works on."""

    gate: Gate
    journal: Journal
    rows: CollectionJournal
    ignore: Ignore
    device: str
    "Name of this device, as rows carry it."


@dataclass(frozen=True, slots=True)
class Terms:
    """What the INVITE agreed on, and what this host thinks of it."""

    session: str
    "The Call-ID."
    side: Side
    partner: str
    "The other device, ``user/device``."
    sync_type: SyncType
    policy: Policy = Policy.KEEP_BOTH
    "The caller's holds; the callee's is not looked at."
    token: bytes = b""
    "The client's: the token of the callee's answer."
    allow_deletes: bool = False
    "Whether the guards are off on this side."
    heed_caller: bool = False
    "The server's: whether the guards are off if the caller says so (it is the same user, or a setting allows it)."


@dataclass(frozen=True, slots=True)
class Tools:
    """What a session needs of the world."""

    workshop: Workshop
    clock: Clock
    now_ns: Callable[[], int]
    "The time, nanoseconds since the epoch."
    random: Callable[[int], bytes]
    "So many random bytes."


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a session is."""

    phase: str
    "scan, compare, transfer, commit."
    received_bytes: int = 0
    "Content that is here, of `wanted_bytes`."
    wanted_bytes: int = 0
    received_files: int = 0
    wanted_files: int = 0
    sent_bytes: int = 0
    "Content sent; how much the other side wants, it knows better."
