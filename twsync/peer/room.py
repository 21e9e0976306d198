"""Whether the disk has room for the contents of a plan, and what is done to make it do."""

from __future__ import annotations

from twsync.peer.needs import Need, Needs
from twsync.store.staging import Staging


def fit(needs: Needs, staging: Staging, room: int) -> None:
    """Make sure that all contents fit. In a reader's thread, while nobody works on what earlier sessions left.

    Where there is too little room, first what earlier sessions left and this plan does not want makes way; then a file that was partly
    received as a delta goes on whole behind that part, which else is a basis only and needs its room beside the file. If that does not
    help either, nothing is touched.

    :param room: bytes that the disk takes.
    :raises StoreError: `disk-full`.
    """
    short = needs.total - room
    if short <= 0:
        return

    def left(need: Need, delta: bool) -> int:
        return staging.bytes_left(need.key, need.size, need.content, basis=delta)

    short -= sum(left(need, need.basis is not None) for need in needs.contents)
    useless = staging.unwanted((change.key, need.size, need.content) for need in needs.contents for change in need.changes)
    spare = sum(size for _name, size in useless)
    for need in needs.contents:
        if short > spare and need.basis is not None and (gained := left(need, False) - left(need, True)):
            need.whole = True
            short -= gained
    staging.check_room(needs.total, needs.total - short + spare)
    if short > 0:
        staging.give_up(name for name, _size in useless)
