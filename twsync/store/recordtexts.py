"""The texts of a collection's records, by content: bases of merges, and what `restore` brings back.

A text is kept as long as a row, the history or a partner's base names its content. What may have lost its last name is marked `loose`, by
triggers of the schema and when it is written; a session's end looks at the loose ones only.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import zstandard
from blake3 import blake3

from twsync import limits, records
from twsync.errors import FormatError, StoreError
from twsync.reconcile.recordmatch import Likeness
from twsync.records import Family, Identity
from twsync.store.database import Database

_LIKENESS = "i.key, t.uid, t.digest, t.likeness"
_LIVE = f"SELECT {_LIKENESS} FROM item i JOIN record_text t ON t.collection = i.collection AND t.content = i.content"
#: The same for the texts with a UID or a digest. SQLite is told the way: without statistics it reads all rows of the collection first.
_TO_ITEM = "CROSS JOIN item i INDEXED BY item_content ON i.content = t.content AND i.kind = 1 AND i.collection = t.collection"
_BY_UID = "record_text t INDEXED BY record_text_uid"
_OF_UID = "t.collection = ?1 AND t.uid = ?2 AND t.uid != ''"
_OF_DIGEST = "t.collection = ?1 AND t.digest = ?2"


class Text(msgspec.Struct, frozen=True, gc=False):
    """A valid record in its stored form."""

    content: bytes
    "BLAKE3 of its bytes."
    text: str
    identity: Identity

    @property
    def data(self) -> bytes:
        """The file's bytes."""
        return self.text.encode()

    @classmethod
    def of(cls, family: Family, text: str, content: bytes = b"") -> Text:
        """Check a text and look what identifies it.

        :param content: its BLAKE3, if that is known.
        :raises FormatError: it is no record of this family, or too large.
        """
        if len(text) > limits.MAX_RECORD:
            raise FormatError(f"A record is larger than {limits.MAX_RECORD} characters.", "too-large")
        if not content:
            try:
                data = text.encode()
            except UnicodeEncodeError as error:
                raise FormatError("A record holds what is no character.") from error
            content = blake3(data).digest()
        records.check(family, text)
        return cls(content, text, records.fingerprint(family, text))


class Texts:
    """The record_text table, for one collection."""

    def __init__(self, database: Database, collection: int) -> None:
        self._database = database
        self._collection = collection
        self._compress = zstandard.ZstdCompressor(level=3, write_content_size=True).compress
        self._decompress = zstandard.ZstdDecompressor().decompress
        self._ahead: dict[bytes, tuple[bytes, str, bytes, bytes]] = {}
        # Whether there is any text, and the state of the database for which that is true.
        self._any = False
        self._written = (-1, 0)

    def __bool__(self) -> bool:
        """Whether there is any."""
        return self._database.row("SELECT 1 FROM record_text WHERE collection = ? LIMIT 1", (self._collection,)) is not None

    def read_ahead(self, contents: Iterable[bytes]) -> None:
        """Read many texts at once, in place of those before; `get` knows them. (What belongs to a content never changes.)"""
        sql = "SELECT content, text, uid, digest, likeness FROM record_text WHERE collection = ? AND content IN ({})"
        self._ahead = {row[0]: row[1:] for row in self._database.find(sql, (self._collection,), contents)}

    def get(self, content: bytes) -> Text | None:
        """One text."""
        found = self._ahead.get(content) or self._database.row(
            "SELECT text, uid, digest, likeness FROM record_text WHERE collection = ? AND content = ?", (self._collection, content)
        )
        if found is None:
            return None
        try:
            text = self._decompress(found[0], max_output_size=limits.MAX_RECORD * 4).decode()
        except (zstandard.ZstdError, UnicodeDecodeError) as error:
            raise StoreError(f"The journal {self._database.path} is damaged: a record's text cannot be read.", "journal-damaged") from error
        return Text(content, text, Identity(found[1], found[2], _keys(found[3])))

    def put(self, texts: Iterable[Text]) -> None:
        """Keep texts; those that are kept already stay. In a transaction."""
        self._database.insert(
            "record_text (collection, content, text, uid, digest, likeness)",
            [
                (
                    self._collection,
                    bytearray(text.content),
                    bytearray(self._compress(text.data)),
                    text.identity.uid,
                    bytearray(text.identity.digest),
                    bytearray(msgspec.msgpack.encode(sorted(text.identity.keys))),
                )
                for text in texts
            ],
            "ON CONFLICT DO NOTHING",
        )

    def uid(self, content: bytes) -> str:
        """The UID in a text; empty: it has none, or is not kept."""
        found = self._database.row("SELECT uid FROM record_text WHERE collection = ? AND content = ?", (self._collection, content))
        return "" if found is None else str(found[0])

    def knows(self, uid: str) -> bool:
        """Whether any text has this UID."""
        if self._written != self._database.written:
            self._any, self._written = bool(self), self._database.written
        return self._any and self._database.row(f"SELECT 1 FROM {_BY_UID} WHERE {_OF_UID} LIMIT 1", (self._collection, uid)) is not None

    def keys_of(self, uids: Iterable[str]) -> dict[str, set[bytes]]:
        """Keys of live rows with each of these UIDs, and of deleted ones that once had it; only UIDs that have any."""
        found: dict[str, set[bytes]] = {}
        asked = list(uids)
        past = "CROSS JOIN record_past h ON h.content = t.content AND h.collection = t.collection"
        base = "CROSS JOIN syncml_map h ON h.base = t.content"
        gone = "CROSS JOIN item i ON i.collection = t.collection AND i.key = h.key AND i.kind = 0"
        for to_item in (_TO_ITEM, f"{past} {gone}", f"{base} {gone}"):
            sql = f"SELECT t.uid, i.key FROM {_BY_UID} {to_item} WHERE t.collection = ? AND t.uid != '' AND t.uid IN ({{}})"
            for uid, key in self._database.find(sql, (self._collection,), asked):
                found.setdefault(uid, set()).add(key)
        return found

    def likenesses(self) -> list[Likeness]:
        """All live records."""
        return self._likenesses(f"{_LIVE} WHERE i.collection = ? AND i.kind = 1", (self._collection,))

    def twins(self, identity: Identity, partner: int) -> list[Likeness]:
        """Live records with the same UID or the same content, which a partner does not hold: of many, the best of each (`Matcher.find`)."""
        free = "AND NOT EXISTS (SELECT 1 FROM syncml_map m WHERE m.partner = ?3 AND m.key = i.key AND m.held = 1 AND m.soft = 0)"
        found = self._likenesses(
            f"SELECT {_LIKENESS} FROM record_text t INDEXED BY record_text_digest {_TO_ITEM} WHERE {_OF_DIGEST} {free} "
            "ORDER BY t.uid != ?4, i.key LIMIT 1",
            (self._collection, identity.digest, partner, identity.uid),
        )
        if identity.uid:
            found += self._likenesses(
                f"SELECT {_LIKENESS} FROM {_BY_UID} {_TO_ITEM} WHERE {_OF_UID} {free} ORDER BY t.digest != ?4, i.key LIMIT 1",
                (self._collection, identity.uid, partner, identity.digest),
            )
        return found

    def _likenesses(self, sql: str, values: tuple[str | bytes | int, ...]) -> list[Likeness]:
        return [Likeness(key, uid, digest, _keys(keys)) for key, uid, digest, keys in self._database.rows(sql, values)]

    def sweep(self) -> None:
        """Drop what nothing names any more. In a transaction."""
        loose = "collection = ?1 AND loose = 1"
        self._database.execute(
            f"""DELETE FROM record_text WHERE {loose}
                AND NOT EXISTS (SELECT 1 FROM item i WHERE i.content = record_text.content AND i.kind = 1 AND i.collection = ?1)
                AND NOT EXISTS (SELECT 1 FROM record_past p WHERE p.content = record_text.content AND p.collection = ?1)
                AND NOT EXISTS (SELECT 1 FROM syncml_map m JOIN syncml_partner p ON p.n = m.partner
                                WHERE m.base = record_text.content AND p.collection = ?1)""",
            (self._collection,),
        )
        self._database.execute(f"UPDATE record_text SET loose = 0 WHERE {loose}", (self._collection,))


def _keys(data: bytes) -> frozenset[str]:
    return frozenset(msgspec.msgpack.decode(data, type=list[str]))
