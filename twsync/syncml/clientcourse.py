"""What a client does with the sync type that the server names in the place of the one asked for (fact sheet sections 3.3 and 4).

The rule of the table: nothing is deleted, here or there, that the user did not ask to be deleted, and no direction is used that was not
asked for. So a refresh is never followed unless it was asked for; a full session in the place of a one-way one is walked in that
direction alone, and compares instead of replacing.
"""

from __future__ import annotations

import enum

import msgspec

from twsync.reconcile.model import SyncType
from twsync.syncml.codes import FROM_CLIENT, FROM_SERVER


class Course(msgspec.Struct, frozen=True):
    """How a datastore goes through the session."""

    begin: SyncType
    "What the store is told: SLOW whenever the other side sends, or gets, everything and nothing may be deleted."
    sends: bool
    "Whether own changes are sent; else the Sync is empty."
    takes: bool
    """Whether the server's changes are carried out; else each is answered 417 (retry later), and stays for a later session. Any 2xx
    would count as done."""


class Turn(enum.Enum):
    """No course: what else to do."""

    SLOW_INSTEAD = "slow-instead"
    "Begin again, with Alert 201 for this datastore."
    REFUSE = "refuse"
    "The server wants what was not asked for."


def plain(sync_type: SyncType) -> Course:
    """The course of a type that both sides agree on."""
    return Course(sync_type, sync_type in FROM_CLIENT, sync_type in FROM_SERVER)


_T = SyncType
_BOTH = Course(_T.SLOW, sends=True, takes=True)
_ALL_OUT = Course(_T.SLOW, sends=True, takes=False)
_ALL_IN = Course(_T.SLOW, sends=False, takes=True)

#: (asked, told by the server) -> what to do. What is not in the table is refused.
COURSES: dict[tuple[SyncType, SyncType], Course | Turn] = {
    **{(sync_type, sync_type): plain(sync_type) for sync_type in SyncType},
    (_T.TWO_WAY, _T.SLOW): _BOTH,
    (_T.TWO_WAY, _T.ONE_WAY_FROM_CLIENT): plain(_T.ONE_WAY_FROM_CLIENT),
    (_T.TWO_WAY, _T.ONE_WAY_FROM_SERVER): plain(_T.ONE_WAY_FROM_SERVER),
    # A server that sees no need for a slow sync sends its changes only: what we send then is compared all the same.
    (_T.SLOW, _T.TWO_WAY): _BOTH,
    (_T.ONE_WAY_FROM_CLIENT, _T.TWO_WAY): plain(_T.ONE_WAY_FROM_CLIENT),
    (_T.ONE_WAY_FROM_CLIENT, _T.SLOW): _ALL_OUT,
    # The server would delete what we have not; a slow sync of which only our half is used brings it the same without that.
    (_T.ONE_WAY_FROM_CLIENT, _T.REFRESH_FROM_CLIENT): Turn.SLOW_INSTEAD,
    (_T.ONE_WAY_FROM_SERVER, _T.TWO_WAY): plain(_T.ONE_WAY_FROM_SERVER),
    (_T.ONE_WAY_FROM_SERVER, _T.SLOW): _ALL_IN,
    # Here it is we who would delete: so we do not.
    (_T.ONE_WAY_FROM_SERVER, _T.REFRESH_FROM_SERVER): _ALL_IN,
    # SyncEvolution's way to ask for the same: slow, with an empty Sync from the client.
    (_T.REFRESH_FROM_SERVER, _T.SLOW): Course(_T.REFRESH_FROM_SERVER, sends=False, takes=True),
}


def course(asked: SyncType, told: SyncType, met: bool) -> Course | Turn:
    """What to do when the server names `told`.

    :param asked: the type that the user wants.
    :param met: whether there are anchors of an earlier session. Without, whatever comes from the server may be here already.
    """
    found = COURSES.get((asked, told), Turn.REFUSE)
    if found == plain(_T.ONE_WAY_FROM_SERVER) and not met:
        return _ALL_IN
    return found


def full(found: Course | Turn) -> bool:
    """Whether a course compares everything, which a user can forbid."""
    return found is Turn.SLOW_INSTEAD or (isinstance(found, Course) and found.begin is SyncType.SLOW)
