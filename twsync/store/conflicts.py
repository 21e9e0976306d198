"""Conflicts, kept for a person to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twsync.store.database import Database

_COLUMNS = "number, collection, key, copy, resolution, own_lost, session, device, seen_ns, resolved_ns"


@dataclass(frozen=True, slots=True)
class Conflict:
    """One conflict."""

    number: int
    "Its name for people and commands."
    collection: str
    key: bytes
    copy: bytes
    "Key of the losing content; empty if it was not kept under a name."
    resolution: str
    "How the session resolved it: kept-both, ours, theirs, merged, duplicate; later, how a person did: ours, theirs, both."
    own_lost: bool
    "Whether the copy is this host's content."
    session: str
    device: str
    "The partner."
    seen_ns: int
    resolved_ns: int
    "0 while open: a copy lies beside, and nobody has decided."


def _conflict(found: Any) -> Conflict:  # noqa: ANN401 - a row of SQLite
    number, collection, key, copy, resolution, own_lost, *rest = found
    return Conflict(number, collection, key, copy, resolution, bool(own_lost), *rest)


class Conflicts:
    """Conflicts of all collections."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, collection: str, key: bytes, copy: bytes, resolution: str, own_lost: bool, session: str, device: str, now_ns: int) -> int:
        """Remember one; returns its number, or that of the open one that names the same copy.

        One without a copy needs no decision and is resolved at once.
        """
        with self._database.transaction():
            if copy:
                found = self._database.row(
                    "SELECT number FROM conflict WHERE collection = ? AND key = ? AND copy = ? AND resolved_ns = 0", (collection, key, copy)
                )
                if found is not None:
                    return int(found[0])
            return int(
                self._database.row(
                    f"INSERT INTO conflict ({_COLUMNS}) VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number",
                    (collection, key, copy, resolution, int(own_lost), session, device, now_ns, 0 if copy else now_ns),
                )[0]
            )

    def list(self, collection: str | None = None, open_only: bool = True) -> list[Conflict]:
        """Newest first."""
        found = self._database.rows(
            f"SELECT {_COLUMNS} FROM conflict WHERE (?1 IS NULL OR collection = ?1) AND (NOT ?2 OR resolved_ns = 0) ORDER BY number DESC",
            (collection, int(open_only)),
        )
        return [_conflict(one) for one in found]

    def get(self, number: int) -> Conflict | None:
        """One."""
        found = self._database.row(f"SELECT {_COLUMNS} FROM conflict WHERE number = ?", (number,))
        return None if found is None else _conflict(found)

    def resolved(self, number: int, resolution: str, now_ns: int) -> None:
        """A person decided. `twsync.store.resolution.resolve` does it on the disk and calls this."""
        self._database.execute("UPDATE conflict SET resolution = ?, resolved_ns = ? WHERE number = ?", (resolution, now_ns, number))
