"""A flat folder as it is known, in one piece, and what on the disk is not so: in C for the most part, for each entry costs.

The pieces are lists of names and stats, the stats laid out as C has them on this machine. Whatever stands there is compared only: on
another machine, where they mean something else, every entry differs.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import starmap
from struct import Struct
from typing import NamedTuple

import msgspec

from twsync.store import batches
from twsync.store.batches import Found
from twsync.store.items import Glance
from twsync.store.root import OWN
from twsync.store.walk import entries_of

_STAT = Struct("=qqqqIi")


class Listing(msgspec.Struct, frozen=True):
    """Entries of a folder that are known, each with the stat that proves it unchanged."""

    names: bytes
    "Each with a NUL behind it."
    stats: bytes
    "In the same order: as `Found`, 40 bytes."

    @classmethod
    def of(cls, glances: Iterable[Glance]) -> Listing:
        """Of those rows that lie in the folder itself."""
        here = [glance for glance in glances if b"/" not in glance[0]]
        names = b"".join([glance[0] + b"\0" for glance in here])
        return cls(names, b"".join(starmap(_STAT.pack, [(*glance[1:], 0) for glance in here])))

    def __len__(self) -> int:
        """The number of entries."""
        return len(self.stats) // _STAT.size


class Differences(NamedTuple):
    """What a folder shows beside what is known of it. An entry counts if it is not hidden and has the suffix."""

    changed: list[tuple[bytes, Found]]
    "Entries that are not known, or not so, as they are."
    missing: list[bytes]
    "Names that are known and were not listed."
    equal: int
    "Entries that are as they are known."
    other: int
    "Entries that do not count, twsync's own folder not among them."


def differences(fd: int, known: Listing, suffix: bytes) -> Differences:
    """Compare an open folder with what is known of it.

    :raises OSError: it cannot be listed.
    :raises ValueError: what is known is damaged: not a stat for each name, or an empty name.
    """
    if batches.NATIVE is not None:
        return Differences(*batches.NATIVE.differences(fd, known.names, known.stats, suffix, OWN))
    *names, rest = known.names.split(b"\0")
    if rest or b"" in names or len(names) * _STAT.size != len(known.stats):
        raise ValueError("these are not names and their stats")
    unmet = dict(zip(names, _STAT.iter_unpack(known.stats), strict=True))
    changed: list[tuple[bytes, Found]] = []
    equal = other = 0
    for name, found in entries_of(fd):
        if name.startswith(b".") or not name.endswith(suffix):
            other += name != OWN
        elif unmet.pop(name, None) == found and not found[5]:
            equal += 1
        else:
            changed.append((name, found))
    return Differences(changed, list(unmet), equal, other)
