"""The two guards before anything is touched: too many deletes, and a root that went empty.

A disk that is not mounted, a folder moved away or a partner whose tree was wiped all look like deletes. The numbers stand in
`twsync.limits`, so that both sides of a session and the documentation say the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from operator import attrgetter

from twsync import limits
from twsync.errors import SessionError
from twsync.reconcile.compare import ancestors
from twsync.reconcile.model import DIRECTORY, Item

#: What a user does to go on, as the sentences say it.
ALLOW = "sync again with --allow-deletes"

#: Codes of the errors made here, as users and the other side see them.
TOO_MANY_DELETES = "too-many-deletes"
EMPTIED = "emptied"


def lost(removed: Iterable[Item], coming: Iterable[Item]) -> list[Item]:
    """Of the live items that a side removes, those that it really loses: what comes back under another key was moved.

    One item that comes accounts for one that goes: where three files of one content go and one comes, two are lost. (Their content is not,
    but whoever deletes copies deletes items, with or without a rename beside it; and no single empty file excuses the loss of all empty
    files.) Not lost is a directory with which nothing goes but what was moved. One with which nothing goes at all, or empty directories
    alone, is: nothing tells where it went.

    :param removed: rows as they were.
    :param coming: rows that become live at keys where nothing stood. (What is overwritten was never counted as deleted; so it does not make
        room for another either.)
    """
    going = sorted(removed, key=attrgetter("key"))
    if not going:
        return []
    contents = {(item.kind, item.content, item.size) for item in going if item.kind is not DIRECTORY}
    there = Counter(content for item in coming if (content := (item.kind, item.content, item.size)) in contents)
    gone: list[Item] = []
    # Directories with which something goes that was moved, and that is lost.
    moving: set[bytes] = set()
    losing: set[bytes] = set()
    for item in going:
        if item.kind is not DIRECTORY:
            content = item.kind, item.content, item.size
            moved = there[content] > 0
            there[content] -= moved
            if not moved:
                gone.append(item)
            marked = moving if moved else losing
            for above in ancestors(item.key):
                if above in marked:
                    break
                marked.add(above)
    gone += [item for item in going if item.kind is DIRECTORY and (item.key in losing or item.key not in moving)]
    return gone


def guard_deletes(
    count: int, live: int, *, allowed: bool, where: str = "this device", begun: bool = False, how: str = ALLOW
) -> SessionError | None:
    """The error that stops a session which would delete `count` of the `live` items of a side; None if it may go on.

    :param count: as `lost` has them, those that went in earlier rounds of the session included.
    :param live: those included too.
    :param allowed: whether the user said ``--allow-deletes``.
    :param where: the device that would lose them, for the sentence.
    :param begun: whether something was changed already, in an earlier round of the session.
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
