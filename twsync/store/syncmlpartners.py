"""The devices that synchronise a record collection by SyncML: anchors, and what each of them holds.

A device has a row for each role: what a client calls an item, only its server knows. Two twsync hosts that call each other have two, and
what went by the one is met again by the other, as the same.
"""

from __future__ import annotations

from blake3 import blake3

from twsync import limits
from twsync.errors import StoreError
from twsync.reconcile.model import Side
from twsync.store.database import Database
from twsync.store.packing import signed
from twsync.store.syncmlmap import Maps
from twsync.syncml.datastore import Anchors, Peer


def replica_of(own: int, account: str, device: str) -> int:
    """The replica number under which a device's changes are counted in one collection of this host.

    :param own: the collection's own replica: a device that synchronises with two hosts is two replicas, for each host counts for itself.
    """
    name = b"twsync-syncml-1\0" + own.to_bytes(8, "big") + account.encode() + b"\0" + device.encode()
    return int.from_bytes(blake3(name).digest(8), "big") or 1


class Partner:
    """One device and one collection."""

    def __init__(self, database: Database, collection: int, own: int, peer: Peer, side: Side, now_ns: int) -> None:
        self._database = database
        self.replica = replica_of(own, peer.account, peer.device)
        "Its changes are counted under this number, and rows taken from it carry it."
        with database.transaction():
            database.execute(
                "INSERT OR IGNORE INTO syncml_partner (collection, account, device, side, replica) VALUES (?, ?, ?, ?, ?)",
                (collection, peer.account, peer.device, side, signed(self.replica)),
            )
            self.number, own_next, remote, self._seq, self._stamp = database.row(
                "UPDATE syncml_partner SET used_ns = ? WHERE collection = ? AND account = ? AND device = ? AND side = ? "
                "RETURNING n, own, remote, seq, stamp",
                (now_ns, collection, peer.account, peer.device, side),
            )
            # One that was not seen for longest makes room; if it comes back, its session is slow.
            database.execute(
                "DELETE FROM syncml_partner WHERE collection = ?1 AND account = ?2 AND n NOT IN (SELECT n FROM syncml_partner "
                "WHERE collection = ?1 AND account = ?2 ORDER BY used_ns DESC, n DESC LIMIT ?3)",
                (collection, peer.account, limits.MAX_SYNCML_PARTNERS),
            )
        # (`number` is its row of the journal: `n` of syncml_partner.)
        self.anchors = Anchors(own_next, remote)
        "Those of the last session that both sides finished."
        self.maps = Maps(database, collection, self.number, peer.twsync)

    @property
    def seq(self) -> int:
        """Rows up to this sequence number were told to it."""
        return int(self._seq)

    @property
    def stamp(self) -> int:
        """Number of the last session that compared everything."""
        return int(self._stamp)

    def compare_all(self) -> None:
        """A session begins that meets every item anew. What was known holds until it has ended well."""
        stamped = self._database.row("UPDATE syncml_partner SET stamp = stamp + 1 WHERE n = ? RETURNING stamp", (self.number,))
        if stamped is None:
            # With its account, or its collection.
            raise StoreError("The device was removed while it was being synchronised.", "not-found")
        self._stamp = stamped[0]

    def commit(self, anchors: Anchors, *, told: int | None, compared: bool) -> None:
        """The session ended well. In a transaction.

        :param told: the sequence number up to which the device was told everything; None: the type of the session told it nothing.
        :param compared: whether everything was compared, so that what was not met is not there.
        """
        if compared:
            self.maps.forget_others(self.stamp)
            # So that no later session takes what this one has met for its own.
            self.compare_all()
        if told is not None:
            self.maps.settle(0 if compared else self.seq)
            self._seq = told
        self._database.execute(
            "UPDATE syncml_partner SET own = ?, remote = ?, seq = ? WHERE n = ?", (anchors.own, anchors.remote, self._seq, self.number)
        )
        self.anchors = anchors
