"""A store of records in memory that fills the ports of `twsync.syncml.datastore`, for sessions of either side.

What a process would have on its disk is in `MemoryStore` and `PartnerState`; a `MemorySession` is what dies with it. An item's content is
``NAME=REVISION``: a slow sync takes items of one NAME for the same, and of two revisions the greater wins. So a test can count names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from twsync.errors import StoreError, TwsyncError, UserError
from twsync.reconcile.model import SyncType
from twsync.syncml.codes import StatusCode, succeeded
from twsync.syncml.datastore import Action, Anchors, Incoming, Outcome, Outgoing, Peer, Record
from twsync.syncml.document import ContentType, CTCap, DataStore, Property

FULL = frozenset({SyncType.SLOW, SyncType.REFRESH_FROM_CLIENT, SyncType.REFRESH_FROM_SERVER})


@dataclass
class Row:
    """An item: its content (None: deleted) and the sequence number of its last change."""

    data: str | None
    seq: int
    version: bytes = b""


@dataclass
class PartnerState:
    """What is remembered of one partner."""

    anchors: Anchors = field(default_factory=Anchors)
    seen: dict[str, int] = field(default_factory=dict)
    "key -> sequence number that the partner has."
    map: dict[str, str] = field(default_factory=dict)
    "Server: LUID -> key."
    given: dict[str, str] = field(default_factory=dict)
    "Server: temporary GUID -> key, until mapped."
    mapped: dict[str, str] = field(default_factory=dict)
    "Server: temporary GUID -> LUID that was said for it."
    unconfirmed: dict[str, str] = field(default_factory=dict)
    "Client: temporary GUID -> own LUID, until the server has answered the Map."
    set_aside: tuple[dict[str, str], dict[str, int]] | None = None
    "`map` and `seen` from before a full session that is not committed; whoever opens next puts them back."


def name_of(data: str) -> str:
    """NAME of ``NAME=REVISION``."""
    return data.partition("=")[0]


class MemoryStore:
    """One collection of one host."""

    def __init__(self, name: str, items: dict[str, str] | None = None, *, policy: str = "newer", type: str = "text/x-vcard") -> None:
        self.name = name
        self.policy = policy
        "Of conflicts: ``newer`` (greater content), ``client``, ``server``, ``duplicate``, ``merge`` (both, joined by ``+``)."
        self.type = type
        self.rows: dict[str, Row] = {}
        self.partners: dict[str, PartnerState] = {}
        self.log: list[str] = []
        "What was called, for tests that look at the order: ``begin two-way``, ``take 3``, ``received_all``, ``commit`` ..."
        self.busy = False
        self._seq = 0
        self._ids = 0
        self._failures: list[tuple[str, int, TwsyncError]] = []
        for key, data in (items or {}).items():
            self.put(key, data)

    @property
    def items(self) -> dict[str, str]:
        """Live items: key -> content."""
        return {key: row.data for key, row in self.rows.items() if row.data is not None}

    @property
    def contents(self) -> list[str]:
        """Live contents, sorted."""
        return sorted(self.items.values())

    def put(self, key: str, data: str) -> None:
        """A local edit."""
        self.rows[key] = Row(data, self.next_seq())

    def delete(self, key: str) -> None:
        """A local delete."""
        self.rows[key] = Row(None, self.next_seq())

    def fail(self, method: str, error: Exception | None = None, after: int = 0) -> None:
        """Let a method raise once, after it was called `after` times."""
        self._failures.append((method, after, error or StoreError("the disk is full; make room")))

    def called(self, method: str, what: str = "") -> None:
        """A session calls a method."""
        for index, (failing, after, error) in enumerate(self._failures):
            if failing == method:
                if after:
                    self._failures[index] = (failing, after - 1, error)
                    continue
                del self._failures[index]
                raise error
        self.log.append(f"{method} {what}".strip())

    def next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def free_key(self, wanted: str = "") -> str:
        if wanted and wanted not in self.rows:
            return wanted
        self._ids += 1
        return f"{self.name}-{self._ids}"

    def next_guid(self) -> str:
        self._ids += 1
        return str(self._ids)


class MemorySession:
    """A `Datastore`. `server` says which side's."""

    def __init__(self, store: MemoryStore, peer: Peer, server: bool) -> None:
        self.store = store
        self.peer = peer
        self.server = server
        self.state = store.partners.setdefault(f"{peer.account}/{peer.device}", PartnerState())
        self.type: SyncType | None = None
        self.touched: set[str] = set()
        self.full = False
        self.committed = False
        self._put_back()
        self._given_seq: dict[str, int] = {}
        self._made: list[tuple[str, Outgoing]] | None = None

    @property
    def anchors(self) -> Anchors:
        return self.state.anchors

    def begin(self, sync_type: SyncType, resumed: bool) -> None:
        self.store.called("begin", sync_type.value + (" resumed" if resumed else ""))
        assert self.type is None, "begin is called once"
        self.type = sync_type
        self.full = sync_type in FULL
        if self.full:
            self.state.set_aside = dict(self.state.map), dict(self.state.seen)
            if self.server:
                self.state.map = {}
            self.state.seen = {}

    def take(self, changes: Sequence[Incoming]) -> list[Outcome]:
        self.store.called("take", str(len(changes)))
        assert self.type is not None, "begin comes first"
        return [self._take(change) for change in changes]

    def may_replace(self) -> None:
        self.store.called("may_replace")

    def received_all(self) -> None:
        self.store.called("received_all")
        own = SyncType.REFRESH_FROM_CLIENT if self.server else SyncType.REFRESH_FROM_SERVER
        if self.type is own:
            for key in set(self.store.items) - self.touched:
                self.store.delete(key)
                self.state.seen[key] = self.store.rows[key].seq

    def count(self) -> int | None:
        return len(self._told())

    def changes(self) -> Iterator[Outgoing]:
        self.store.called("changes")
        for key, change in self._told():
            self._given_seq[key] = self.store.rows[key].seq
            yield change

    def sent(self, change: Outgoing, status: int) -> None:
        self.store.called("sent", f"{change.action.value} {change.key} {status}")
        gone = status in (StatusCode.NOT_FOUND, StatusCode.GONE)
        if change.action is Action.DELETE and (succeeded(status) or gone):
            self.state.seen[change.key] = self._given_seq[change.key]
            if self.server:
                self.state.map.pop(change.id, None)
        elif succeeded(status):
            self.state.seen[change.key] = self._given_seq[change.key]
        elif gone and self.server and change.action is Action.REPLACE:
            self.state.map.pop(change.id, None)
            self.state.seen.pop(change.key, None)

    def map(self, pairs: Sequence[tuple[str, str]]) -> list[int]:
        return [self._mapped(guid, luid) for guid, luid in pairs]

    def _mapped(self, guid: str, luid: str) -> int:
        self.store.called("map", f"{guid} {luid}")
        if self.state.mapped.get(guid) == luid:
            return StatusCode.OK
        key = self.state.given.pop(guid, None)
        if key is None:
            return StatusCode.NOT_FOUND
        self.state.mapped[guid] = luid
        # One LUID an item: a Delete of the one it had before is not meant for what the client took anew.
        self.state.map = {other: own for other, own in self.state.map.items() if own != key} | {luid: key}
        # Which of its contents the partner was given in a broken session is not known: it gets the present one again.
        self.state.seen.setdefault(key, self._given_seq.get(key, 0))
        return StatusCode.OK

    def maps(self) -> Sequence[tuple[str, str]]:
        return list(self.state.unconfirmed.items())

    def maps_confirmed(self, pairs: Sequence[tuple[str, str]]) -> None:
        self.store.called("maps_confirmed", str(len(pairs)))
        for guid, _ in pairs:
            self.state.unconfirmed.pop(guid, None)

    def commit(self, anchors: Anchors) -> None:
        self.store.called("commit")
        self.committed = True
        self.state.anchors = anchors
        self.state.set_aside = None

    def close(self) -> None:
        self.store.called("close")
        self._put_back()

    def _put_back(self) -> None:
        if self.state.set_aside is not None:
            old_map, old_seen = self.state.set_aside
            # What was taken and mapped in the broken session stands; what it pushed out of the map is new to the partner again.
            taken = self.state.map
            pushed_out = {key for luid, key in old_map.items() if taken.get(luid, key) != key} - set(taken.values())
            self.state.map = {luid: key for luid, key in old_map.items() if key not in taken.values()} | taken
            self.state.seen = old_seen | {key: seq for key, seq in self.state.seen.items() if seq > old_seen.get(key, 0)}
            for key in pushed_out:
                self.state.seen.pop(key, None)
            self.state.set_aside = None

    def _told(self) -> list[tuple[str, Outgoing]]:
        """What is pending, found once: `count` and `changes` are of the same."""
        if self._made is None:
            self._made = list(self._pending())
        return self._made

    def _pending(self) -> Iterator[tuple[str, Outgoing]]:
        one_way = SyncType.ONE_WAY_FROM_CLIENT if self.server else SyncType.ONE_WAY_FROM_SERVER
        assert self.type is not None and self.type is not one_way
        luids = {key: luid for luid, key in self.state.map.items()}
        guids = {key: guid for guid, key in self.state.given.items()}
        for key, row in list(self.store.rows.items()):
            if self.state.seen.get(key, 0) >= row.seq:
                continue
            record = Record(type=self.store.type, data=row.data, version=row.version) if row.data is not None else None
            if not self.server:
                if record is None and (self.full or key not in self.state.seen):
                    continue
                action = Action.DELETE if record is None else Action.REPLACE if key in self.state.seen else Action.ADD
                yield key, Outgoing(action=action, id=key, key=key, record=record, version=row.version)
            elif key in luids:
                action = Action.DELETE if record is None else Action.REPLACE
                yield key, Outgoing(action=action, id=luids[key], key=key, record=record, version=row.version)
            elif record is not None:
                if key in guids and key in self.state.seen:
                    continue  # the client has it, and has not said under which LUID
                guid = guids.get(key) or self.store.next_guid()
                self.state.given[guid] = key
                yield key, Outgoing(action=Action.ADD, id=guid, key=key, record=record)

    def _take(self, change: Incoming) -> Outcome:
        if self.server:
            key = self.state.map.get(change.id)
        elif change.action is Action.ADD:
            key = self.state.unconfirmed.get(change.id)
        else:
            key = change.id if change.id in self.store.rows else None
        row = self.store.rows.get(key) if key is not None else None
        if change.action is Action.DELETE:
            return self._take_delete(change, key, row)
        assert change.record is not None
        data = change.record.data if isinstance(change.record.data, str) else change.record.data.decode()
        if row is None and self.full:
            key = self._match(data)
            row = self.store.rows[key] if key is not None else None
        fresh = row is None or row.data is None
        if fresh:
            key = key or self.store.free_key(change.id if self.server else "")
            self._set(key, data, change)
            return Outcome(StatusCode.ADDED)
        assert key is not None and row is not None and row.data is not None
        self._link(change, key)
        if row.data == data:
            self._in_step(key)
            return Outcome(StatusCode.OK)
        if not self.full and row.seq <= self.state.seen.get(key, 0):
            self._set(key, data, change)
            return Outcome(StatusCode.OK)
        return self._conflict(change, key, row.data, data)

    def _conflict(self, change: Incoming, key: str, mine: str, theirs: str) -> Outcome:
        policy = self.store.policy
        if self.type is SyncType.REFRESH_FROM_CLIENT or self.type is SyncType.REFRESH_FROM_SERVER:
            policy = "client" if self.server else "server"
        if policy == "newer":
            policy = ("server" if mine > theirs else "client") if self.server else ("client" if mine > theirs else "server")
        other, own = ("client", "server") if self.server else ("server", "client")
        if policy == "merge":
            self.store.put(key, "+".join(sorted({mine, theirs})))
            return Outcome(StatusCode.CONFLICT_MERGED)
        if policy == "duplicate":
            self.store.put(self.store.free_key(), mine)
            self._set(key, theirs, change)
            return Outcome(StatusCode.CONFLICT_DUPLICATED)
        if policy == other:
            self._set(key, theirs, change)
            return Outcome(StatusCode.CONFLICT_CLIENT_WINS if self.server else StatusCode.OK)
        assert policy == own
        self.state.seen[key] = 0
        self.touched.add(key)
        if self.server:
            self.store.rows[key].seq = self.store.next_seq()
        return Outcome(StatusCode.CONFLICT_SERVER_WINS if self.server else StatusCode.CONFLICT_CLIENT_WINS)

    def _take_delete(self, change: Incoming, key: str | None, row: Row | None) -> Outcome:
        if key is None or row is None or row.data is None:
            self.state.map.pop(change.id, None)
            return Outcome(StatusCode.NOT_DELETED)
        if self.server:
            self.state.map.pop(change.id, None)
        if change.soft:
            self.state.map[change.id] = key
            return Outcome(StatusCode.OK)
        if row.seq > self.state.seen.get(key, 0):
            self.state.seen.pop(key, None)
            return Outcome(StatusCode.OK, "the item was changed here, and lives")
        self.store.delete(key)
        self._in_step(key)
        return Outcome(StatusCode.OK)

    def _match(self, data: str) -> str | None:
        """Slow sync: the item that has the same name and is not paired yet."""
        for key, text in self.store.items.items():
            if key not in self.touched and name_of(text) == name_of(data):
                return key
        return None

    def _set(self, key: str, data: str, change: Incoming) -> None:
        self.store.rows[key] = Row(data, self.store.next_seq(), change.record.version if change.record else b"")
        self._link(change, key)
        self._in_step(key)

    def _in_step(self, key: str) -> None:
        self.touched.add(key)
        self.state.seen[key] = self.store.rows[key].seq

    def _link(self, change: Incoming, key: str) -> None:
        if self.server:
            self.state.map[change.id] = key
            for guid in [guid for guid, given in self.state.given.items() if given == key]:
                del self.state.given[guid]
        elif change.action is Action.ADD:
            self.state.unconfirmed[change.id] = key
        self.touched.add(key)


@dataclass
class MemoryDatastores:
    """A `Datastores`: the collections that an account may reach."""

    stores: dict[str, MemoryStore]
    server: bool = True
    allowed: set[str] | None = None
    opened: list[MemorySession] = field(default_factory=list)

    def names(self) -> Sequence[str]:
        return [name for name in self.stores if self.allowed is None or name in self.allowed]

    def describe(self, name: str) -> DataStore:
        kind = ContentType(self.stores[name].type, "2.1")
        caps = (CTCap(kind.type, kind.version, properties=(Property("BEGIN"), Property("END"), Property("VERSION"))),)
        return DataStore(source_ref=name, rx_pref=kind, tx_pref=kind, ctcaps=caps)

    def open(self, name: str, peer: Peer) -> MemorySession:
        if name not in self.stores:
            raise UserError(f"there is no collection {name}", code="not-found")
        if self.allowed is not None and name not in self.allowed:
            raise UserError(f"the collection {name} was not granted", code="not-allowed")
        if self.stores[name].busy:
            raise UserError(f"the collection {name} is in another session", code="busy")
        self.stores[name].called("open")
        session = MemorySession(self.stores[name], peer, self.server)
        self.opened.append(session)
        return session
