"""A person decides a conflict: on the disk first, then in the list.

What is decided against goes to the trash. The next scan finds ordinary local changes, and the next sessions carry them to all hosts.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from blake3 import blake3

from twsync.errors import StoreError, UserError
from twsync.store import crossing
from twsync.store.conflicts import Conflict, Conflicts
from twsync.store.diskerrors import disk_errors, show
from twsync.store.partial import Staged
from twsync.store.paths import Gate
from twsync.store.place import Place
from twsync.store.staging import Staging
from twsync.store.trash import Trash, folder_name


def resolve(
    gate: Gate, conflicts: Conflicts, conflict: Conflict, keep: str, now_ns: int, returned: Callable[[bytes, bytes], bytes] | None = None
) -> None:
    """Keep one side of a conflict, or both.

    :param keep: ``ours`` (this host's content), ``theirs``, ``both``.
    :param returned: makes of what stands at the name and of the copy what stands at the name if the copy is kept; None: the copy as it is.
    :raises UserError: `refused`: it is decided already, or nothing was kept to decide about.
    :raises StoreError: `not-found`: the copy is gone; disk errors.
    """
    if conflict.resolved_ns or not conflict.copy:
        raise UserError(f"The conflict of {show(conflict.key)} is decided already.")
    if keep != "both":
        if keep not in ("ours", "theirs"):
            raise UserError("Keep ours, theirs or both.")
        with disk_errors(gate.root):
            _keep_one(gate, conflict, (keep == "ours") == conflict.own_lost, now_ns, returned)
    conflicts.resolved(conflict.number, keep, now_ns)


def _keep_one(gate: Gate, conflict: Conflict, copy_holds: bool, now_ns: int, returned: Callable[[bytes, bytes], bytes] | None) -> None:
    if gate.lstat(conflict.copy) is None:
        # The person may have removed it by hand, which decides the same way as keeping what stands at the name.
        if copy_holds:
            raise StoreError(f"{show(conflict.copy)} is gone; look for it in the trash, or keep the other.", "not-found")
        return
    trash = Trash(gate)
    with gate.place(conflict.copy) as copy:
        if not copy_holds:
            with trash.place(trash.reserve(folder_name("resolved", now_ns), conflict.copy)) as beside:
                crossing.move(copy, beside)
            return
        parent = conflict.key.rpartition(b"/")[0]
        if parent:
            gate.make_directories(parent, 0o777)
        with gate.place(conflict.key) as place:
            # First out of the way, then in: without both steps the old content is in the trash and the copy still beside.
            made = None
            if place.lstat() is not None:
                made = _made(gate, place, copy, returned) if returned is not None else None
                with trash.place(trash.reserve(folder_name("resolved", now_ns), conflict.key)) as beside:
                    crossing.move(place, beside)
            if made is None:
                crossing.move(copy, place)
                return
            staging = Staging(gate)
            try:
                crossing.move(staging.place(made.name), place)
            finally:
                staging.close()
            with trash.place(trash.reserve(folder_name("resolved", now_ns), conflict.copy)) as beside:
                crossing.move(copy, beside)


def _made(gate: Gate, place: Place, copy: Place, returned: Callable[[bytes, bytes], bytes]) -> Staged | None:
    """What takes the place of both, in staging; None: the copy as it is."""
    with open(place.open_read(), "rb") as one, open(copy.open_read(), "rb") as other:
        was, kept, stat = one.read(), other.read(), os.fstat(other.fileno())
    text = returned(was, kept)
    if text == kept:
        return None
    staging = Staging(gate)
    try:
        return staging.put(blake3(text).digest(), text, mode=stat.st_mode, mtime_ns=stat.st_mtime_ns)
    finally:
        staging.close()
