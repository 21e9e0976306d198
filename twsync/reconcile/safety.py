"""The two guards before anything is touched: too many deletes, and a root that went empty.

A disk that is not mounted, a folder moved away or a partner whose tree was wiped all look like deletes. The numbers stand in
`twsync.limits`, so that both sides of a session and the documentation say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twsync import limits
from twsync.errors import SessionError
from twsync.reconcile.model import Item, Side
from twsync.reconcile.operation import Operation

#: What a user does to go on, as the sentences say it.
ALLOW = "sync again with --allow-deletes"

#: Codes of the errors made here, as users and the other side see them.
TOO_MANY_DELETES = "too-many-deletes"
EMPTIED = "emptied"


def deletes(operations: Iterable[Operation], side: Side, own: Callable[[bytes], Item | None]) -> int:
    """How many items that live on `side` the operations remove there.

    Replaced content is not counted: it has a successor.

    :param own: the side's own journal row of a key. (Rows that did not travel are not in the plan, so each side counts for itself.)
    """
    count = 0
    for operation in operations:
        if not operation.result.live and side in operation.sides:
            row = own(operation.key)
            count += row is not None and row.live
    return count


def guard_deletes(
    count: int, live: int, *, allowed: bool, where: str = "this device", begun: bool = False, how: str = ALLOW
) -> SessionError | None:
    """The error that stops a session which would delete `count` of the `live` items of a side; None if it may go on.

    :param allowed: whether the user said ``--allow-deletes``.
    :param where: the device that would lose them, for the sentence.
    :param begun: whether `count` includes some that are gone already, in an earlier round of the session.
    :param how: what the user does to allow it, for the sentence.
    """
    if allowed or count <= limits.DELETE_GUARD_ITEMS or count <= live * limits.DELETE_GUARD_SHARE:
        return None
    return SessionError(
        f"this session would delete {count} of the {live} items on {where}; {'no more' if begun else 'nothing'} was changed; "
        f"if that is what you want, {how}",
        TOO_MANY_DELETES,
    )


def guard_emptied(found: int, known: int, *, allowed: bool, root: str = "the folder", how: str = ALLOW) -> SessionError | None:
    """The error that stops a session whose scan found no item at all although the journal had `known` live ones; None if it may go on.

    :param found: live items that the scan saw, ignored and skipped ones included.
    :param how: as for `guard_deletes`.
    """
    if allowed or found or not known:
        return None
    return SessionError(
        f"{root} is empty, but held {known} {'item' if known == 1 else 'items'} at the last look; nothing was changed; if it is on a disk "
        f"that is not mounted, mount it; if everything was deleted on purpose, {how}",
        EMPTIED,
    )
