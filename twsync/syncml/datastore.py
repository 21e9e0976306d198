"""What a session needs of a store of records: the ports that the store's floor fills, and that tests fill with a dictionary.

All calls are synchronous: a session handles one message in one call, in a thread of the caller's choice. Everything that a store raises
is a :class:`twsync.errors.TwsyncError`; the session answers it with a status and goes on with the other datastores.

Identities: a client names an item by its LUID, a server by its GUID; both are the name of the item's file in the collection. A server
keeps the map from LUID to GUID. Commit points: content that was taken is on the disk when `take` returns; anchors and maps
are committed at the end only, by `commit`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from twsync.reconcile.model import SyncType
from twsync.syncml.document import DataStore, DevInf


class Action(enum.StrEnum):
    """What a change does; the values are the names of the commands."""

    ADD = "Add"
    REPLACE = "Replace"
    DELETE = "Delete"


class Record(msgspec.Struct, frozen=True, gc=False):
    """The content of an item as it travels."""

    type: str
    "Media type, such as ``text/x-vcard``; empty: not said."
    data: str | bytes
    version: bytes = b""
    "The version vector of the item (packed, see `twsync.reconcile.versions`); empty from a device that is not twsync."
    copy_of: str = ""
    "An Add between twsync hosts: the LUID of the item of which this is what lost a conflict (209); empty: of none."


class Incoming(msgspec.Struct, frozen=True, gc=False):
    """A change that the other side sent, put together from its chunks."""

    action: Action
    id: str
    "Client's changes: the LUID. Server's: the temporary GUID of an Add, else the LUID."
    record: Record | None = None
    "None for Delete. A Delete from another twsync carries its version in `version`."
    version: bytes = b""
    partial: bool = False
    "FieldLevel: what `record` does not name stays."
    archive: bool = False
    soft: bool = False


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What came of a change."""

    status: int
    "SyncML status: 200, 201, 207, 208, 209, 210, 211, 409, 415, 418, 419, 420, 500 ..."
    text: str = ""
    "For people; goes into the Status' Item."


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A change for the other side."""

    action: Action
    id: str
    "A server's Add: the temporary GUID. Else the LUID."
    key: str
    "The own name of the item, for `sent`."
    record: Record | None = None
    version: bytes = b""
    "Of a Delete, for another twsync."


class Anchors(msgspec.Struct, frozen=True):
    """What both sides said at the end of the last session that both finished."""

    own: str | None = None
    "The Next that this side sent."
    remote: str | None = None
    "The Next that the other side sent."


class Peer(msgspec.Struct, frozen=True):
    """What is known of the other side when a datastore is opened."""

    device: str
    "Its device id (Source LocURI), or ``user/device`` of a twsync host."
    account: str
    "The account it proved, or the user of a twsync host."
    devinf: DevInf | None
    datastore: DataStore | None
    "The entry of `devinf` for the datastore it synchronises, if there is one."
    twsync: bool = False
    "Whether it is a twsync host: versions travel, and it stores everything."


class Datastore(Protocol):
    """One collection in a session, for one partner. Either side's; the two differ in whose names `Incoming.id` and `Outgoing.id` are."""

    @property
    def anchors(self) -> Anchors:
        """Those of the last finished session with this partner."""

    def begin(self, sync_type: SyncType, resumed: bool) -> None:
        """The kind of the session is settled.

        Local changes are looked for (the scan). A server's map is set aside for slow and refresh sessions. Called once, before anything
        is taken or given.

        :param sync_type: the effective one; with SLOW or a refresh the other side sends (or gets) all its items.
        :param resumed: the client goes on with a session that was suspended or cut.
        """

    def take(self, changes: Sequence[Incoming]) -> list[Outcome]:
        """Carry out changes of the other side, in order, each with its outcome; durable on return.

        A client that took an Add remembers the pair (temporary GUID, own LUID) as a map entry that is not confirmed: see `maps`.
        """

    def received_all(self) -> None:
        """The other side's changes are complete: a refresh deletes here what was not sent. (Only if the sync type sends all.)"""

    def may_replace(self) -> None:
        """Whether `received_all` would be let through, should the other side's changes be complete now.

        :raises SessionError: a guard would stop it.
        """

    def count(self) -> int | None:
        """NumberOfChanges of `changes`, if it is known without reading them."""

    def changes(self) -> Iterator[Outgoing]:
        """What the other side has to be told, each once; a server's come after `received_all` and hold what merging made of the client's.

        Content is read when an element is taken from the iterator.
        """

    def sent(self, change: Outgoing, status: int) -> None:
        """The other side answered a change; one that is never answered, or with an error, stays pending for the next session."""

    def map(self, pairs: Sequence[tuple[str, str]]) -> Sequence[int]:
        """Server: the client says under which LUIDs it stored Adds, in pairs (temporary GUID, LUID).

        :returns: the SyncML status of each: 200, or 404 for a GUID that was never given out. The same pair again is 200.
        """

    def maps(self) -> Sequence[tuple[str, str]]:
        """Client: pairs (GUID, LUID) that no server has confirmed yet, those of a broken session too."""

    def maps_confirmed(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Client: the server has answered a Map that held these."""

    def commit(self, anchors: Anchors) -> None:
        """The session is over and good: anchors, maps and bases hold from now on. Durable on return."""

    def close(self) -> None:
        """Without `commit` before it: the anchors stay; what was taken stays, and what was mapped; the next session goes on from there."""


class Datastores(Protocol):
    """The collections of a host that a session may reach."""

    def names(self) -> Sequence[str]:
        """Names of those that this peer may synchronise, for the device information."""

    def describe(self, name: str) -> DataStore:
        """The entry of one for the device information (`source_ref` is `name`)."""

    def open(self, name: str, peer: Peer) -> Datastore:
        """Open for a session.

        :param name: as `names` has it.
        :raises TwsyncError: with `code` ``not-found`` (404), ``not-allowed`` (403), ``busy`` (503), anything else (500).
        """
