"""A record folder as the journal knows it: so that a look costs what has changed, and for the rest only a listing.

The journal keeps the folder in one piece, as its rows were at a sequence number. What differs from that, and rows that have changed since,
are looked at as every scan does; that the rest is unchanged the piece alone says. It may be old: a row that was only refreshed has the
content it had. When much differs from it, it is made anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from twsync.store.batches import Found
from twsync.store.ignore import Ignore
from twsync.store.items import Glance
from twsync.store.listing import differences
from twsync.store.recordjournal import RecordJournal
from twsync.store.walk import found_of


class KnownFolder:
    """One look at the folder of a record collection.

    :param suffix: names of records end so.
    """

    def __init__(self, journal: RecordJournal, names: Ignore, suffix: bytes) -> None:
        self._journal = journal
        self._names = names
        self._suffix = suffix
        self.known = 0
        "Live rows of the folder."
        self.equal = 0
        "Entries that `entries` did not give because they are as they are known."
        self.other = 0
        "Entries that it did not give because they are no records."
        self.outdated = 0
        "Entries that it did give, but that are as their rows say."

    def entries(self, fd: int, rows: dict[bytes, Glance]) -> Iterator[tuple[bytes, Found]]:
        """Entries of the open folder that have to be looked at.

        :param rows: takes the live rows of these, and of what was not listed.
        """
        seq, listing = self._journal.listing()
        changed, missing, equal, other = differences(fd, listing, self._suffix)
        since = {key: glance for key, glance in self._journal.glances_since(seq).items() if not self._names.matches(key)}
        asked = dict.fromkeys([*(name for name, _ in changed), *missing])
        rows.update(self._rows([key for key in asked if key not in since], len(listing)))
        rows.update((key, glance) for key, glance in since.items() if glance is not None)
        more = []
        for name in since:
            if name not in asked and (found := _lstat(fd, name)) is not None:
                # Listed, and as it was known then.
                equal -= 1
                more.append((name, found))
        self.known, self.equal, self.other = equal + len(rows), equal, other
        for name, found in (*changed, *more):
            row = rows.get(name)
            self.outdated += row is not None and row[1:] == found[:5]
            yield name, found

    def _rows(self, keys: list[bytes], known: int) -> dict[bytes, Glance]:
        if len(keys) <= known // 8:
            return self._journal.glances_of(keys)
        wanted = set(keys)
        return {glance[0]: glance for glance in self._journal.glances() if glance[0] in wanted}


def _lstat(fd: int, name: bytes) -> Found | None:
    try:
        return found_of(os.stat(name, dir_fd=fd, follow_symlinks=False))
    except OSError:
        return None
