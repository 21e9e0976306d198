"""Who is SyncML's client between two hosts, and what the caller's words mean then.

Only a SyncML server knows which of its items is which of the client's. So that two hosts which call each other in turn go on where
they stopped, the roles do not follow the calls: the device whose full name sorts first is the client, always. What the caller asked for
is said in terms of the caller, and turned around where he is not the client.
"""

from __future__ import annotations

from twsync.reconcile.model import RecordPolicy, Side, SyncType

_TURNED_TYPES = {
    SyncType.ONE_WAY_FROM_CLIENT: SyncType.ONE_WAY_FROM_SERVER, SyncType.ONE_WAY_FROM_SERVER: SyncType.ONE_WAY_FROM_CLIENT,
    SyncType.REFRESH_FROM_CLIENT: SyncType.REFRESH_FROM_SERVER, SyncType.REFRESH_FROM_SERVER: SyncType.REFRESH_FROM_CLIENT,
}  # fmt: skip
_TURNED_POLICIES = {RecordPolicy.OURS: RecordPolicy.THEIRS, RecordPolicy.THEIRS: RecordPolicy.OURS}
_TURNED_RESOLUTIONS = {"ours": "theirs", "theirs": "ours"}


def syncml_side(own: str, partner: str) -> Side:
    """The side of the device `own` in SyncML sessions with `partner`, both ``user/device``."""
    return Side.CLIENT if own < partner else Side.SERVER


def turned_type(sync_type: SyncType) -> SyncType:
    """The same session, said from the other side.

    >>> turned_type(SyncType.REFRESH_FROM_CLIENT).value
    'refresh-from-server'
    """
    return _TURNED_TYPES.get(sync_type, sync_type)


def turned_policy(policy: RecordPolicy) -> RecordPolicy:
    """The same winner, said from the other side."""
    return _TURNED_POLICIES.get(policy, policy)


def turned_resolution(resolution: str) -> str:
    """How a conflict was settled, said from the other side."""
    return _TURNED_RESOLUTIONS.get(resolution, resolution)
