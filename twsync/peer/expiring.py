"""What has been in a trash for as long as the settings keep it goes, when sessions have ended."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from twsync.errors import TwsyncError
from twsync.peer import documents, mending
from twsync.peer.settings import Settings
from twsync.store.journal import Journal

_DAY_NS = 86_400 * 10**9

_log = Logger()


def expire(settings: Settings, journal: Journal, now_ns: int, disturbing: Callable[[], bool]) -> None:
    """Delete what is too old in the trash of each collection that has `trash_days`. In a thread, begun when no session is under way.

    A session puts nothing into so old a folder: it bears the time at which the session began to. When one begins meanwhile this ends, since
    the disk has better to do then; what is left goes after that session.

    :param now_ns: the time, nanoseconds since the epoch.
    :param disturbing: asked often; True ends it.
    """
    for collection in settings.collections:
        if not collection.trash_days or disturbing():
            continue
        name, before_ns = collection.name, now_ns - collection.trash_days * _DAY_NS
        try:
            done = documents.emptied(name, mending.empty_trash(settings, journal, name, before_ns, disturbing))
        except TwsyncError as error:
            _log.warn("The trash of {name} was not looked through: {error}", name=name, error=error.message)
            continue
        if done["files"]:
            _log.info(
                "{collection}: {files} files ({bytes} bytes) were in the trash for longer than it keeps them, and are deleted.", **done
            )
        for kept in done["kept"][:1]:
            what = "{name}: {count} things in the trash cannot be deleted, the first one is {item} of {session} ({reason})."
            _log.warn(what, name=name, count=len(done["kept"]), **kept | {"item": kept["item"] or "all"})
