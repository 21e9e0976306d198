"""Rows of one collection: reading and writing them in bulk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec.structs import astuple

from twsync.errors import StoreError
from twsync.reconcile.model import Item, Kind
from twsync.reconcile.versions import Version
from twsync.store.database import Database
from twsync.store.packing import pack_version, signed, unpack_version, unsigned
from twsync.store.rows import Row, Stat

_ITEM = "key, kind, content, size, mtime_ns, mode, target, device, version"
_ROW = f"{_ITEM}, seq, partner, st_size, st_mtime_ns, st_ctime_ns, st_ino, st_mode"
_KINDS = tuple(Kind)
_INTO = f"item (collection, {_ROW})"
_KEEP = "ON CONFLICT (collection, key) DO NOTHING"
_REPLACE = f"ON CONFLICT (collection, key) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _ROW.split(', ')[1:])}"
_GUARDED = f"INSERT INTO {_INTO} VALUES ({', '.join('?' * 17)}) {_REPLACE} WHERE item.seq = ?"

#: Rows that one statement looks up, and that one step of a long way through all of them reads.
_TOGETHER = 64
_STEP = 4096
_ONE = f"SELECT {_ROW} FROM item WHERE collection = ? AND key = ?"
_AMONG = f"FROM item WHERE collection = ? AND key IN ({', '.join('?' * _TOGETHER)})"
_MANY = f"SELECT {_ROW} {_AMONG}"

#: A row as a scan needs it: key, st_size, st_mtime_ns, st_ctime_ns, st_ino, and type and permissions as an st_mode has them.
Glance = tuple[bytes, int, int, int, int, int]
_GLANCE = "key, st_size, st_mtime_ns, st_ctime_ns, st_ino, st_mode | CASE kind WHEN 1 THEN 32768 WHEN 2 THEN 16384 ELSE 40960 END"


def _item(found: Any) -> Item:  # noqa: ANN401 - a row of SQLite
    return Item(found[0], _KINDS[found[1]], found[2], found[3], found[4], found[5], unpack_version(found[8]), found[6], found[7])


def _row(found: Any) -> Row:  # noqa: ANN401
    return Row(_item(found), Stat(*found[11:16]), found[9], unsigned(found[10]))


class Items:
    """The item table, for one collection."""

    def __init__(self, database: Database, collection: int) -> None:
        self._database = database
        self._collection = collection
        self.sends_on = True
        "Whether `changes` will be asked for what a scan writes: it is kept for that."
        # What the last scan wrote: sequence numbers before and after it, and its rows in their order. Sent on at once, most often.
        self._fresh: tuple[int, int, list[Row]] | None = None

    @property
    def seq(self) -> int:
        """Sequence number of the last change.

        :raises StoreError: `not-found`: the collection was taken away meanwhile.
        """
        found = self._database.row("SELECT seq FROM collection WHERE id = ?", (self._collection,))
        if found is None:
            raise StoreError("The collection was removed while it was in use; see: twsync collection list.", "not-found")
        return int(found[0])

    # --- reading

    def get(self, key: bytes) -> Row | None:
        """One row."""
        found = self._database.row(_ONE, (self._collection, key))
        return None if found is None else _row(found)

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, Row]:
        """The rows of those keys that have one."""
        asked = list(keys)
        if len(asked) == 1:
            row = self.get(asked[0])
            return {} if row is None else {row.key: row}
        rows = {found[0]: _row(found) for found in self._among(_MANY, asked)}
        # In the order asked for.
        return {key: rows[key] for key in asked if key in rows}

    def _among(self, sql: str, keys: list[bytes]) -> list[Any]:
        """What a statement with `_AMONG` finds; some more than once."""
        found: list[Any] = []
        # Others want the journal too.
        for first in range(0, len(keys), _STEP):
            with self._database.lock:
                if not self.seq:
                    return found
                for start in range(first, min(first + _STEP, len(keys)), _TOGETHER):
                    some = keys[start : start + _TOGETHER]
                    # Always as many as the statement has, so that there is one statement: what is missing is filled up with the last one.
                    some += some[-1:] * (_TOGETHER - len(some))
                    found += self._database.rows(sql, (self._collection, *some))
        return found

    def under(self, key: bytes) -> list[Row]:
        """Rows below a directory, sorted by key (all rows for ``b""``)."""
        if not key:
            return [
                _row(found)
                for found in self._database.rows(f"SELECT {_ROW} FROM item WHERE collection = ? ORDER BY key", (self._collection,))
            ]
        # "0" is the byte after "/".
        sql = f"SELECT {_ROW} FROM item WHERE collection = ? AND key > ? AND key < ? ORDER BY key"
        return [_row(found) for found in self._database.rows(sql, (self._collection, key + b"/", key + b"0"))]

    def glances(self) -> list[Glance]:
        """All live rows as a scan needs them."""
        return self._database.rows(f"SELECT {_GLANCE} FROM item WHERE collection = ? AND kind != 0", (self._collection,))

    def each_glance(self) -> Iterator[Glance]:
        """The same by key, some at a time: each as its row is when its turn comes."""
        # Tombstones too: a step must not go through any number of them.
        sql = f"SELECT kind, {_GLANCE} FROM item WHERE collection = ? AND key > ? ORDER BY key LIMIT {_STEP}"
        last = b""
        while found := self._database.rows(sql, (self._collection, last)):
            yield from (one[1:] for one in found if one[0])
            last = found[-1][1]

    def glances_of(self, keys: Iterable[bytes]) -> dict[bytes, Glance]:
        """The live rows of those keys that have one."""
        return {found[0]: found for found in self._among(f"SELECT {_GLANCE} {_AMONG} AND kind != 0", list(keys))}

    def glances_below(self, key: bytes) -> list[Glance]:
        """The live rows below a directory."""
        # "0" is the byte after "/".
        sql = f"SELECT {_GLANCE} FROM item WHERE collection = ? AND key > ? AND key < ? AND kind != 0"
        return self._database.rows(sql, (self._collection, key + b"/", key + b"0"))

    def glances_since(self, seq: int) -> dict[bytes, Glance | None]:
        """Rows with a greater sequence number; None: it is a tombstone."""
        found = self._database.rows(f"SELECT kind, {_GLANCE} FROM item WHERE collection = ? AND seq > ?", (self._collection, seq))
        return {one[1]: one[1:] if one[0] else None for one in found}

    def count_since(self, seq: int) -> int:
        """How many rows have a greater sequence number."""
        return int(self._database.row("SELECT count(*) FROM item WHERE collection = ? AND seq > ?", (self._collection, seq))[0])

    def changes(self, after: int, upto: int | None, exclude_partner: int) -> list[Item]:
        """Items changed in a range of sequence numbers, by sequence number."""
        last = 2**63 - 1 if upto is None else upto
        with self._database.lock:
            begin, end, fresh = self._fresh or (0, 0, [])
            if fresh and after <= begin and end <= last and end == self.seq:
                last = begin
            else:
                fresh = []
            sql = f"SELECT {_ITEM} FROM item WHERE collection = ? AND seq > ? AND seq <= ? {{}} ORDER BY seq"
            values = [self._collection, after, last]
            if exclude_partner:
                found = self._database.rows(sql.format("AND partner != ?"), (*values, signed(exclude_partner)))
            else:
                found = self._database.rows(sql.format(""), values)
        return [_item(one) for one in found] + [row.item for row in fresh if not exclude_partner or row.partner != exclude_partner]

    def rows(self, after: int, upto: int | None) -> list[Row]:
        """Rows changed in a range of sequence numbers, by sequence number."""
        sql = f"SELECT {_ROW} FROM item WHERE collection = ? AND seq > ? AND seq <= ? ORDER BY seq"
        return [_row(found) for found in self._database.rows(sql, (self._collection, after, 2**63 - 1 if upto is None else upto))]

    def any_live(self) -> bool:
        """Whether there is a row that is no tombstone."""
        sql = "SELECT EXISTS (SELECT 1 FROM item WHERE collection = ? AND kind != 0)"
        return bool(self._database.row(sql, (self._collection,))[0])

    def live_count(self) -> int:
        """Rows that are not tombstones. Looks at all rows."""
        return int(self._database.row("SELECT count(*) FROM item WHERE collection = ? AND kind != 0", (self._collection,))[0])

    def find_content(self, content: bytes, limit: int) -> list[Row]:
        """Files of this content."""
        sql = f"SELECT {_ROW} FROM item WHERE content = ? AND kind = 1 AND collection = ? LIMIT ?"
        return [_row(found) for found in self._database.rows(sql, (content, self._collection, limit))]

    def large(self, least: int) -> list[tuple[int, int, int]]:
        """Size, and modification time and inode number on the disk, of the live files with at least so many bytes. Looks at all rows."""
        sql = "SELECT size, st_mtime_ns, st_ino FROM item WHERE collection = ? AND kind = 1 AND size >= ?"
        return self._database.rows(sql, (self._collection, least))

    # --- writing, inside a transaction

    def write(self, rows: Iterable[Row], *, guarded: bool = False) -> int:
        """Insert or replace rows, each with the next sequence number; returns the last one.

        :param guarded: a row's `seq` names the row it replaces (0: none); one that changed since stays.
        """
        before = seq = self.seq
        values: list[tuple[Any, ...]] = []
        replacing: list[tuple[Any, ...]] = []
        written: list[Row] = []
        number = self._collection
        # Most rows share a handful of versions, and come from one partner.
        versions: dict[Version, bytearray] = {}
        partners: dict[int, int] = {}
        no_target = bytearray()
        last: Version | None = None
        packed = no_target
        for row in rows:
            seq += 1
            item, stat = row.item, row.stat
            if item.version is not last:
                last = item.version
                packed = versions.get(last) or versions.setdefault(last, bytearray(pack_version(last)))
            partner = partners.get(row.partner)
            if partner is None:
                partner = partners[row.partner] = signed(row.partner)
            # As bytearrays: sqlite3 looks for an adapter of each bytes object, which takes it longer than all the rest of it.
            one = (
                number, bytearray(item.key), int(item.kind), bytearray(item.content), item.size, item.mtime_ns, item.mode,
                bytearray(item.target) if item.target else no_target, item.device, packed, seq, partner,
                stat.size, stat.mtime_ns, stat.ctime_ns, stat.ino, stat.mode,
            )  # fmt: skip
            if guarded:
                written.append(row)
            if guarded and row.seq:
                replacing.append((*one, row.seq))
            else:
                values.append(one)
        count = self._database.insert(_INTO, values, _KEEP if guarded else _REPLACE)
        if replacing:
            count += self._database.execute_many(_GUARDED, replacing)
        self._database.execute("UPDATE collection SET seq = ? WHERE id = ?", (seq, number))
        begin, end, fresh = self._fresh or (before, before, [])
        if not guarded or not self.sends_on or count != len(written):
            self._fresh = None
        elif end == before:
            self._fresh = (begin, seq, fresh + written)
        else:
            self._fresh = (before, seq, written)
        return seq

    def refresh(self, stats: Iterable[tuple[bytes, Stat]]) -> None:
        """New stat caches for rows whose content is the same; not a change."""
        self._database.execute_many(
            "UPDATE item SET st_size = ?, st_mtime_ns = ?, st_ctime_ns = ?, st_ino = ?, st_mode = ? WHERE collection = ? AND key = ?",
            [(*astuple(stat), self._collection, key) for key, stat in stats],
        )
