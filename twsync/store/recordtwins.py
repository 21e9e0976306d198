"""Versions of rows that are one item under several names.

A renamed record is a deleted row and a new one, a copied file a second row with the same UID. To other hosts they are one item, by the UID,
and then versions are compared and joined over several rows. So what this host does to rows of one UID is numbered in one line: no number
of this replica means two things, and what lives follows what was deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec.structs import replace

from twsync.reconcile.versions import Version
from twsync.store.rows import Row


def in_line(
    changed: Iterable[Row], uid: Callable[[Row], str], others: Callable[[Iterable[str]], Mapping[str, Mapping[bytes, Row]]], replica: int
) -> list[Row]:
    """Local changes with their versions set, and live rows that have to follow a deletion.

    :param changed: as a scan made them, each with the own counter raised for itself.
    :param uid: of what a row is, or was before it was deleted; empty: it has none.
    :param others: the journal's rows of UIDs, by UID and key: live ones and tombstones, before the changes.
    :param replica: the own one.
    """
    lines: dict[str, list[Row]] = {}
    done: list[Row] = []
    for row in changed:
        if name := uid(row):
            lines.setdefault(name, []).append(row)
        else:
            done.append(row)
    before = others(lines)
    for name, rows in lines.items():
        known = before.get(name, {})
        keys = {row.key for row in rows}
        if len(rows) == 1 and not known.keys() - keys:
            done += rows
            continue
        last = max(row.item.version.counter(replica) for row in (*known.values(), *rows))
        gone = Version()
        for row in known.values():
            if not row.item.live and row.key not in keys:
                gone = gone.joined(row.item.version)
        for row in sorted(rows, key=lambda row: (row.item.live, row.key)):
            last += 1
            version = _numbered(row.item.version.joined(gone) if row.item.live else row.item.version, replica, last)
            if not row.item.live:
                gone = gone.joined(version)
            done.append(replace(row, item=replace(row.item, version=version)))
        if any(not row.item.live for row in rows):
            for key, row in known.items():
                if row.item.live and key not in keys:
                    last += 1
                    version = _numbered(row.item.version.joined(gone), replica, last)
                    done.append(replace(row, item=replace(row.item, version=version), partner=0))
    return done


def _numbered(version: Version, replica: int, counter: int) -> Version:
    return Version.of({**dict(version.entries), replica: counter}.items())
