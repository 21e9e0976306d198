"""What a partner holds: for each own key its name for the item, and the content and version that it was last known to have.

A row of the journal that agrees with it is in step. So what has to be told is what is *out of step*, whatever happened to the sessions in
between; sequence numbers only save looking at all rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from twsync.reconcile.model import Kind
from twsync.store.database import Database

_COLUMNS = "key, luid, guid, held, soft, told, base, version, stamp"
_REPLACE = "ON CONFLICT (partner, key) DO UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS.split(", ")[1:])
_KINDS = tuple(Kind)
#: What leads to an entry, with its place in `_COLUMNS`.
_NAMES = {"key": 0, "luid": 1, "guid": 2}
Name = Literal["key", "luid", "guid"]
#: The table as it is looked into. SQLite would rather read all that a partner has than look up many names, or those that are untold.
_BY = {"key": "syncml_map", "luid": "syncml_map INDEXED BY syncml_map_luid", "guid": "syncml_map INDEXED BY syncml_map_guid"}
_UNTOLD = "syncml_map INDEXED BY syncml_map_untold"


class Held(msgspec.Struct, frozen=True, gc=False):
    """What a partner has of one key."""

    key: bytes
    luid: str | None = None
    "A client's name for it. (Here as client: None, it is the key.)"
    guid: str | None = None
    "A server's (temporary) name for it."
    held: bool = False
    "Whether it is known to have the item; else a name was set aside only."
    soft: bool = False
    "Whether it dropped the item to make room: it gets it again when it changes."
    told: bool = False
    "Here as client: the server has confirmed that it knows the pair of `guid` and key."
    base: bytes = b""
    "Content it has, in the form that is stored here."
    version: bytes = b""
    "Version it has, packed; empty: it has none."
    stamp: int = 0
    "The last session that compared everything and met the item."


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A row that is out of step, or (comparing everything) any live one."""

    key: bytes
    kind: Kind
    content: bytes
    version: bytes
    held: Held | None


class Maps:
    """The syncml_map and syncml_owed tables, for one partner."""

    def __init__(self, database: Database, collection: int, partner: int, versioned: bool) -> None:
        """For one partner.

        :param versioned: whether it has versions: then an item is in step only if they are equal too.
        """
        self._database = database
        self._collection = collection
        self._partner = partner
        self._agrees = agrees = "m.held = 1 AND m.base = i.content" + (" AND m.version = i.version" if versioned else "")
        # An Add that a client sent, and that nobody answered, may have arrived: its deletion is told.
        may_have = "m.soft = 0 AND (m.held = 1 OR (m.luid IS NULL AND m.guid IS NULL))"
        self._out = f"((i.kind = 1 AND NOT coalesce({agrees}, 0)) OR (i.kind = 0 AND m.key IS NOT NULL AND {may_have}))"
        columns = ", ".join(f"m.{name}" for name in _COLUMNS.split(", "))
        self._select = (
            f"SELECT i.key, i.kind, i.content, i.version, {columns} FROM item i "
            "LEFT JOIN syncml_map m ON m.partner = ?1 AND m.key = i.key WHERE i.collection = ?2"
        )

        # What `read_ahead` has found, and the state of the database for which it is true.
        self._ahead: dict[tuple[Name, str | bytes], Held | None] = {}
        self._written = (-1, 0)

    # --- names

    def read_ahead(self, name: Name, values: Iterable[str | bytes]) -> list[Held]:
        """Look up many names at once; until anything is written, `by_key`, `by_luid` and `by_guid` know what was found."""
        with self._database.lock:
            if self._written != self._database.written:
                self._ahead, self._written = {}, self._database.written
            asked = list(values)
            sql = f"SELECT {_COLUMNS} FROM {_BY[name]} WHERE partner = ? AND {name} IN ({{}})"
            rows = self._database.find(sql, (self._partner,), asked)
            found = [(row[_NAMES[name]], held) for row in rows if (held := _held(row)) is not None]
            self._ahead.update(((name, value), None) for value in asked)
            self._ahead.update(((name, value), held) for value, held in found)
            self._ahead.update((("key", held.key), held) for _, held in found)
        return [held for _, held in found]

    def by_key(self, key: bytes) -> Held | None:
        """What it has of an own key."""
        return self._one("key", key)

    def by_luid(self, luid: str) -> Held | None:
        """Where a client's name leads."""
        return self._one("luid", luid)

    def by_guid(self, guid: str) -> Held | None:
        """Where a server's (temporary) name leads."""
        return self._one("guid", guid)

    def bases(self, key: bytes) -> list[tuple[bytes, bytes]]:
        """Contents and versions that the device is known to have had of an own key, in either role."""
        return self._database.rows(
            """SELECT m.base, m.version FROM syncml_partner p JOIN syncml_partner o USING (collection, account, device)
               JOIN syncml_map m ON m.partner = o.n WHERE p.n = ? AND m.key = ? AND m.held = 1 AND m.base != x''
               ORDER BY o.n = p.n DESC""",
            (self._partner, key),
        )

    def _one(self, column: Name, value: str | bytes) -> Held | None:
        if self._written == self._database.written and (column, value) in self._ahead:
            return self._ahead[column, value]
        return _held(self._database.row(f"SELECT {_COLUMNS} FROM syncml_map WHERE partner = ? AND {column} = ?", (self._partner, value)))

    def received(self, rows: Iterable[tuple[bytes, bytes, bytes]], stamp: int | None) -> None:
        """It has said that it holds these keys, contents and versions now. In a transaction.

        :param stamp: the session that compares everything; None: none does.
        """
        keep = "excluded.stamp" if stamp is not None else "stamp"
        self._database.insert(
            "syncml_map (partner, key, held, base, version, stamp)",
            [(self._partner, bytearray(key), 1, bytearray(base), bytearray(version), stamp or 0) for key, base, version in rows],
            "ON CONFLICT (partner, key) DO UPDATE SET held = 1, soft = 0, base = excluded.base, version = excluded.version, "
            f"stamp = {keep}",
        )

    def put(self, rows: Iterable[Held]) -> None:
        """Write, in a transaction. A name that led to another key leads to this one now."""
        rows = list(rows)
        luids = self._elsewhere("luid", {row.luid: row.key for row in rows if row.luid is not None})
        guids = self._elsewhere("guid", {row.guid: row.key for row in rows if row.guid is not None})
        # A client that lost its items uses its names again: an item that is on its way to it waits for a new name.
        self._database.execute_many(
            "UPDATE syncml_map SET luid = NULL, held = 0 WHERE partner = ? AND luid = ? AND key != ? AND guid IS NOT NULL", luids
        )
        for column, names in (("luid", luids), ("guid", guids)):
            self._database.execute_many(f"DELETE FROM syncml_map WHERE partner = ? AND {column} = ? AND key != ?", names)
        self._database.insert(
            f"syncml_map (partner, {_COLUMNS})",
            [
                (
                    self._partner, bytearray(row.key), row.luid, row.guid, int(row.held), int(row.soft), int(row.told),
                    bytearray(row.base), bytearray(row.version), row.stamp,
                )
                for row in rows
            ],
            _REPLACE,
        )  # fmt: skip

    def _elsewhere(self, name: Name, keys: dict[str, bytes]) -> list[tuple[int, str, bytes]]:
        """Those of the names that lead to another key: what `put` writes them by."""
        sql = f"SELECT {name}, key FROM {_BY[name]} WHERE partner = ? AND {name} IN ({{}})"
        found = self._database.find(sql, (self._partner,), keys)
        return [(self._partner, value, keys[value]) for value, key in found if key != keys[value]]

    def drop(self, keys: Iterable[bytes]) -> None:
        """It has these no more."""
        self._database.execute_many("DELETE FROM syncml_map WHERE partner = ? AND key = ?", [(self._partner, key) for key in keys])

    def untold(self) -> list[tuple[str, bytes]]:
        """Pairs (GUID, own key) that no server has confirmed."""
        sql = f"SELECT guid, key FROM {_UNTOLD} WHERE partner = ? AND guid IS NOT NULL AND held = 1 AND told = 0 ORDER BY key"
        return self._database.rows(sql, (self._partner,))

    def confirmed(self, pairs: Iterable[tuple[str, bytes]]) -> None:
        """A server has confirmed pairs."""
        self._database.execute_many(
            "UPDATE syncml_map SET told = 1 WHERE partner = ? AND guid = ? AND key = ?", [(self._partner, *pair) for pair in pairs]
        )

    def number(self) -> int:
        """The next temporary GUID."""
        sql = "UPDATE syncml_partner SET numbers = numbers + 1 WHERE n = ? RETURNING numbers"
        return int(self._database.row(sql, (self._partner,))[0])

    def paired(self, stamp: int) -> set[bytes]:
        """Keys that a session which compares everything has met."""
        sql = "SELECT key FROM syncml_map WHERE partner = ? AND stamp = ? AND held = 1"
        return {key for (key,) in self._database.rows(sql, (self._partner, stamp))}

    def dropped(self) -> set[bytes]:
        """Keys of what it dropped to make room."""
        return {key for (key,) in self._database.rows("SELECT key FROM syncml_map WHERE partner = ? AND soft = 1", (self._partner,))}

    def forget_others(self, stamp: int) -> None:
        """A session that compared everything has ended well: what it did not meet is not there, but for what was dropped to make room."""
        self._database.execute("DELETE FROM syncml_map WHERE partner = ? AND stamp != ? AND soft = 0", (self._partner, stamp))

    # --- what to tell

    def out_of_step(self, after: int) -> list[Candidate]:
        """Rows out of step among those with a greater sequence number and those owed, by key."""
        changed = f"{self._select} AND i.seq > ?3 AND {self._out}"
        owed = f"{self._select} AND i.key IN (SELECT key FROM syncml_owed WHERE partner = ?1) AND {self._out}"
        found = self._database.rows(f"{changed} UNION {owed} ORDER BY 1", (self._partner, self._collection, after))
        return [_candidate(row) for row in found]

    def unmet(self, stamp: int, *, dropped: bool) -> list[Candidate]:
        """All live rows that a session which compares everything has not met, or that are out of step, by key.

        :param dropped: also those that it dropped to make room, and that have not changed since.
        """
        room = "" if dropped else f"AND NOT coalesce(m.soft = 1 AND {self._agrees}, 0)"
        sql = f"{self._select} AND i.kind = 1 AND (coalesce(m.stamp, -1) != ?3 OR {self._out}) {room} ORDER BY i.key"
        return [_candidate(row) for row in self._database.rows(sql, (self._partner, self._collection, stamp))]

    def owe(self, keys: Iterable[bytes]) -> None:
        """It has to be told of these, however old their rows are."""
        self._database.execute_many(
            "INSERT OR IGNORE INTO syncml_owed (partner, key) VALUES (?, ?)", [(self._partner, key) for key in keys]
        )

    def settle(self, after: int) -> None:
        """A session told it all it had to: what is still out of step is owed, the rest is not. In a transaction."""
        found = self.out_of_step(after)
        self._database.execute("DELETE FROM syncml_owed WHERE partner = ?", (self._partner,))
        self.owe(one.key for one in found)


def _held(found: Any) -> Held | None:  # noqa: ANN401 - columns of a row
    if found is None or found[0] is None:
        return None
    key, luid, guid, held, soft, told, base, version, stamp = found
    return Held(key, luid, guid, bool(held), bool(soft), bool(told), base, version, stamp)


def _candidate(found: Any) -> Candidate:  # noqa: ANN401
    return Candidate(found[0], _KINDS[found[1]], found[2], found[3], _held(found[4:]))
