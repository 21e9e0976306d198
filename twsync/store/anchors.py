"""Anchors per partner device. What they mean and how they move is `twsync.reconcile.anchors`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twsync.reconcile.anchors import Anchors, Mark
from twsync.store.database import Database

_NAMES = "partner, last_token, last_own_seq, last_partner_seq, prepared_token, prepared_own_seq, prepared_partner_seq"


class AnchorTable:
    """Anchors of one collection, for each partner device."""

    def __init__(self, database: Database, collection: int) -> None:
        self._database = database
        self._collection = collection

    def load(self) -> dict[str, Anchors]:
        """What is remembered, by device. (Before the first session with one, empty anchors hold.)"""
        found = self._database.rows(f"SELECT device, {_NAMES} FROM anchor WHERE collection = ?", (self._collection,))
        return {device: _anchors(values) for device, *values in found}

    def save(self, device: str, anchors: Anchors) -> None:
        """Write; returns when they, and all rows written before them, survive a power loss."""
        values = (*_values(anchors.last), *_values(anchors.prepared))
        with self._database.transaction(durable=True):
            self._database.execute(
                f"INSERT OR REPLACE INTO anchor (collection, device, {_NAMES}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (self._collection, device, anchors.partner.to_bytes(8, "big"), *values),
            )

    def drop(self, device: str | None = None) -> None:
        """Forget the anchors of a device, or all: the next session is slow."""
        if device is None:
            self._database.execute("DELETE FROM anchor WHERE collection = ?", (self._collection,))
        else:
            self._database.execute("DELETE FROM anchor WHERE collection = ? AND device = ?", (self._collection, device))

    def devices(self) -> list[str]:
        """Devices with anchors, sorted."""
        found = self._database.rows("SELECT device FROM anchor WHERE collection = ? ORDER BY device", (self._collection,))
        return [device for (device,) in found]


def _anchors(found: Sequence[Any]) -> Anchors:
    return Anchors(int.from_bytes(found[0], "big"), _mark(found[1:4]), _mark(found[4:7]))


def _mark(found: Any) -> Mark | None:  # noqa: ANN401 - three columns of a row
    return None if found[0] is None else Mark(*found)


def _values(mark: Mark | None) -> tuple[bytes | int | None, ...]:
    return (None, None, None) if mark is None else (mark.token, mark.own_seq, mark.partner_seq)
