"""The tree as the journal knows it: so that a scan costs what has changed, and for the rest only a look.

The journal keeps the tree as one listing, as its rows were at a sequence number. What differs from that, and rows that have changed since,
are looked at as every scan does; that the rest is unchanged the listing alone says. It may be old: a row that was only refreshed has the
content it had. When much differs from it, all rows are read, and it is made anew after the session.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from twsync.store.batches import DIFFERS, Found
from twsync.store.differing import Known, known
from twsync.store.items import Glance
from twsync.store.journal import CollectionJournal
from twsync.store.listing import Listing

#: Entries of a folder that are in memory at once.
_TOGETHER = 4096


class KnownTree:
    """The tree during one walk.

    :param suffix: only entries whose names have it count; empty: all do.
    """

    def __init__(self, journal: CollectionJournal, suffix: bytes) -> None:
        self._journal = journal
        kept = None if journal.listing.stale() else _kept(journal, suffix)
        self._listing, self.rows = kept or (known(Listing(b"", b""), suffix), {glance[0]: glance for glance in journal.glances()})
        "`rows` are live rows that the listing does not have, or not so; whoever meets one takes it out."
        self.known = len(self._listing) + len(self.rows)
        "Live rows when the walk began."
        self.outdated = 0
        "Entries that had to be looked at, but are as their rows say."

    @property
    def passed(self) -> int:
        """Entries that `entries` did not give."""
        return self._listing.equal + self._listing.other

    def entries(self, fd: int, prefix: bytes) -> Iterator[tuple[bytes, Found]]:
        """Entries of an open directory that have to be looked at, and directories: with `EQUAL` in place of an error if they are as known.

        :param prefix: the directory's key and a slash; empty: the root.
        """
        listed = self._listing.differing(fd, prefix)
        while differing := list(islice(listed, _TOGETHER)):
            rows = self._journal.glances_of([prefix + name for name, found in differing if found[5] == DIFFERS])
            self.rows.update(rows)
            for name, found in differing:
                if found[5] == DIFFERS:
                    self.outdated += prefix + name in rows and rows[prefix + name][1:] == found[:5]
                    found = (*found[:5], 0)
                yield name, found

    def missing(self) -> Iterator[bytes]:
        """Keys of live rows that were not met. When the walk is over."""
        return chain(self.rows, self._listing.missing())


def _kept(journal: CollectionJournal, suffix: bytes) -> tuple[Known, dict[bytes, Glance]] | None:
    """The listing but for rows that are newer, and those of them that are live; None: it is damaged."""
    seq, listing = journal.listing.load()
    try:
        tree = known(listing, suffix)
    except ValueError:
        journal.listing.drop()  # after the session there will be another
        return None
    since = journal.glances_since(seq)
    for key in since:
        tree.forget(key)
    return tree, {key: glance for key, glance in since.items() if glance is not None}
