"""Which own record is the one that the other side speaks of, when no map says so: a slow sync, a first meeting, a lost map.

By UID, then by content, then by key properties (fact sheet section 6), each own item once.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Likeness(msgspec.Struct, frozen=True, gc=False):
    """What identifies a record; `twsync.records.Identity` with the own key."""

    key: bytes
    uid: str
    digest: bytes
    keys: frozenset[str]


class Matcher:
    """Own records that have no partner yet."""

    def __init__(self, records: Iterable[Likeness]) -> None:
        self._records = {record.key: record for record in records}
        self._by_uid: dict[str, list[bytes]] = {}
        self._by_digest: dict[bytes, list[bytes]] = {}
        self._by_property: dict[str, list[bytes]] = {}
        for record in self._records.values():
            if record.uid:
                self._by_uid.setdefault(record.uid, []).append(record.key)
            self._by_digest.setdefault(record.digest, []).append(record.key)
            for each in record.keys:
                self._by_property.setdefault(each, []).append(record.key)

    def __contains__(self, key: bytes) -> bool:
        return key in self._records

    def pair(self, key: bytes) -> None:
        """The record has its partner."""
        self._records.pop(key, None)

    def find(self, uid: str, digest: bytes, keys: Iterable[str] = ()) -> bytes | None:
        """The key of the own record that this one is; not paired yet.

        :param keys: its key properties; none: only its UID and content are looked at.

        Two records with different UIDs are not one because of their key properties. Of several that are alike, the one with most
        properties in common is taken, then the one with the least key.
        """
        if uid:
            alike = [key for key in self._by_uid.get(uid, ()) if key in self._records]
            if alike:
                return min(alike, key=lambda key: (self._records[key].digest != digest, key))
        equal = [key for key in self._by_digest.get(digest, ()) if key in self._records]
        if equal:
            return min(equal, key=lambda key: (self._records[key].uid != uid, key))
        shared: dict[bytes, int] = {}
        for each in keys:
            for key in self._by_property.get(each, ()):
                record = self._records.get(key)
                if record is not None and not (uid and record.uid):
                    shared[key] = shared.get(key, 0) + 1
        return min(shared, key=lambda key: (-shared[key], key)) if shared else None
