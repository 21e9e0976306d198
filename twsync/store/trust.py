"""Which key belongs to which device: remembered at first meeting, changed only by a person."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from twsync.errors import UserError
from twsync.store.database import Database

_COLUMNS = "device, fingerprint, first_seen_ns, offered, offered_ns"


class Meeting(enum.StrEnum):
    """How a fingerprint stands to what is remembered."""

    FIRST = "first"
    SAME = "same"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Trusted:
    """A device and its key."""

    device: str
    "Canonical: alice/laptop."
    fingerprint: str
    "sha256:HEX"
    since_ns: int
    "When it was first seen, or a person accepted it; nanoseconds since the epoch."
    offered: str
    "A different fingerprint that was offered since and refused; empty if none."
    offered_ns: int
    "When that was last; 0 if it is empty."


class Trust:
    """Fingerprints of partner devices."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def meet(self, device: str, fingerprint: str, now_ns: int) -> Meeting:
        """Compare; the first one is remembered, durably; a changed one is noted as offered and not trusted."""
        with self._database.transaction(durable=self.get(device) is None):
            known = self.get(device)
            if known is None:
                self._database.execute(f"INSERT INTO trusted ({_COLUMNS}) VALUES (?, ?, ?, '', 0)", (device, fingerprint, now_ns))
                return Meeting.FIRST
            if known.fingerprint == fingerprint:
                return Meeting.SAME
            self._database.execute("UPDATE trusted SET offered = ?, offered_ns = ? WHERE device = ?", (fingerprint, now_ns, device))
            return Meeting.CHANGED

    def get(self, device: str) -> Trusted | None:
        """What is remembered."""
        found = self._database.row(f"SELECT {_COLUMNS} FROM trusted WHERE device = ?", (device,))
        return None if found is None else Trusted(*found)

    def accept(self, device: str, now_ns: int, fingerprint: str | None = None) -> Trusted:
        """Trust the fingerprint that was offered, or the one given.

        :raises UserError: `nothing-offered`: neither is there.
        """
        with self._database.transaction(durable=True):
            known = self.get(device)
            wanted = fingerprint or (known.offered if known is not None else "")
            if not wanted:
                raise UserError(f"{device} has offered no other key; give the fingerprint that it shows.", "nothing-offered")
            self._database.execute(f"INSERT OR REPLACE INTO trusted ({_COLUMNS}) VALUES (?, ?, ?, '', 0)", (device, wanted, now_ns))
        return Trusted(device, wanted, now_ns, "", 0)

    def forget(self, device: str) -> None:
        """Forget the device: the next meeting is a first one."""
        self._database.execute("DELETE FROM trusted WHERE device = ?", (device,))

    def list(self) -> list[Trusted]:
        """All, by name."""
        return [Trusted(*found) for found in self._database.rows(f"SELECT {_COLUMNS} FROM trusted ORDER BY device")]
