"""Hosts in memory: journals as dictionaries, sessions by the real scope, counterparts, plan, steps and anchors.

What the store and the exchange do with files and frames is done here with dictionaries, and checked on the way: nothing is placed where no
directory stands, nothing is removed that is not empty, no content is used that nobody has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from blake3 import blake3
from msgspec.structs import replace

from twsync.limits import MAX_ROUNDS
from twsync.reconcile.anchors import Anchors, after_session, agree, effective, promoted, scope
from twsync.reconcile.compare import ancestors, counterparts, same_content, same_row, with_ancestors
from twsync.reconcile.model import Item, Kind, Policy, Side, SyncType
from twsync.reconcile.operation import Plan
from twsync.reconcile.order import Phase, steps
from twsync.reconcile.plan import plan
from twsync.reconcile.versions import Order, Version

MIRRORED = {
    SyncType.TWO_WAY: SyncType.TWO_WAY,
    SyncType.SLOW: SyncType.SLOW,
    SyncType.ONE_WAY_FROM_CLIENT: SyncType.ONE_WAY_FROM_SERVER,
    SyncType.ONE_WAY_FROM_SERVER: SyncType.ONE_WAY_FROM_CLIENT,
    SyncType.REFRESH_FROM_CLIENT: SyncType.REFRESH_FROM_SERVER,
    SyncType.REFRESH_FROM_SERVER: SyncType.REFRESH_FROM_CLIENT,
}
MIRRORED_POLICY = {Policy.KEEP_BOTH: Policy.KEEP_BOTH, Policy.OURS: Policy.THEIRS, Policy.THEIRS: Policy.OURS}


def content_id(text: str) -> bytes:
    return blake3(text.encode()).digest()


def item(
    key: str | bytes,
    what: str | None = None,
    version: Version | dict[int, int] = Version(),  # noqa: B008 - immutable
    mtime: int = 0,
    device: str = "laptop",
    mode: int | None = None,
) -> Item:
    """A row: `what` is None for a tombstone, "/" for a directory, "@target" for a link, else a file's content."""
    name = key.encode() if isinstance(key, str) else key
    vector = version if isinstance(version, Version) else Version.of(version.items())
    nanoseconds = mtime * 10**9
    if what is None:
        return Item(name, Kind.DELETED, b"", 0, nanoseconds, 0, vector, device=device)
    if what == "/":
        return Item(name, Kind.DIRECTORY, b"", 0, nanoseconds, 0o755 if mode is None else mode, vector, device=device)
    if what.startswith("@"):
        return Item(name, Kind.SYMLINK, content_id(what[1:]), 0, nanoseconds, 0, vector, what[1:].encode(), device)
    return Item(name, Kind.FILE, content_id(what), len(what), nanoseconds, 0o644 if mode is None else mode, vector, device=device)


@dataclass
class Host:
    """A journal, its disk (the live rows) and its trash."""

    name: str
    replica: int
    rows: dict[bytes, Item] = field(default_factory=dict)
    seqs: dict[bytes, int] = field(default_factory=dict)
    partners: dict[bytes, int] = field(default_factory=dict)
    seq: int = 0
    anchors: dict[str, Anchors] = field(default_factory=dict)
    trash: set[bytes] = field(default_factory=set)
    sessions: int = 0

    # --- local changes ---

    def put(self, key: str, what: str | None, mtime: int) -> None:
        """What a scan finds after a user's change of one key."""
        old = self.rows.get(key.encode())
        version = (old.version if old else Version()).raised(self.replica)
        self.record(item(key, what, version, mtime, self.name), 0)

    def write(self, key: str, what: str, mtime: int) -> bool:
        """A user makes or changes a file, link or directory; whether that was possible."""
        name = key.encode()
        if not all((row := self.rows.get(above)) and row.kind is Kind.DIRECTORY for above in ancestors(name)):
            return False
        old = self.rows.get(name)
        if old is not None and old.kind is Kind.DIRECTORY:
            if what == "/":
                return False
            self.remove(key, mtime)
        self.put(key, what, mtime)
        return True

    def remove(self, key: str, mtime: int) -> list[bytes]:
        """A user removes a key and what is below; the contents that went."""
        gone = [row for row in self.rows.values() if row.live and (row.key + b"/").startswith(key.encode() + b"/")]
        for row in gone:
            self.put(row.key.decode(), None, mtime)
        return [row.content for row in gone if row.content]

    def rename(self, old: str, new: str, mtime: int) -> bool:
        """A user renames a file or a whole directory to a free name."""
        moved = [row for row in self.live() if (row.key + b"/").startswith(old.encode() + b"/")]
        name = new.encode()
        free = (found := self.rows.get(name)) is None or not found.live
        inside = (name + b"/").startswith(old.encode() + b"/")
        housed = all((row := self.rows.get(above)) and row.kind is Kind.DIRECTORY for above in ancestors(name))
        if not moved or not free or inside or not housed:
            return False
        for row in sorted(moved, key=lambda row: row.key):
            key = name + row.key[len(old.encode()) :]
            before = self.rows.get(key)
            version = (before.version if before else Version()).raised(self.replica)
            self.record(replace(row, key=key, version=version, device=self.name), 0)
            self.put(row.key.decode(), None, mtime)
        return True

    # --- the journal ---

    def record(self, row: Item, partner: int) -> None:
        old = self.rows.get(row.key)
        assert old is None or row.version.order(old.version) in (Order.NEWER, Order.EQUAL), "a version went back"
        self.seq += 1
        self.rows[row.key] = row
        self.seqs[row.key] = self.seq
        self.partners[row.key] = partner

    def changes(self, after: int, full: bool, partner: int) -> list[Item]:
        return [row for key, row in self.rows.items() if full or (self.seqs[key] > after and self.partners[key] != partner)]

    def below(self, key: bytes) -> Iterator[Item]:
        return (row for row in self.rows.values() if row.key.startswith(key + b"/"))

    def live(self) -> list[Item]:
        return [row for row in self.rows.values() if row.live]

    def tree(self) -> dict[bytes, tuple[object, ...]]:
        """What a user sees; the time of a directory is nobody's work."""
        return {row.key: (row.kind, row.content, row.mode, row.kind is Kind.DIRECTORY or row.mtime_ns) for row in self.live()}

    def check(self) -> None:
        """The rows are a tree."""
        for row in self.live():
            for above in ancestors(row.key):
                found = self.rows.get(above)
                assert found is not None and found.kind is Kind.DIRECTORY, f"{row.key!r} stands in no directory"


@dataclass
class Outcome:
    """What a session did."""

    plans: list[Plan] = field(default_factory=list)
    changed: int = 0
    "Rows that changed on either side."

    @property
    def conflicts(self) -> int:
        return sum(len(each.conflicts) for each in self.plans)


def apply(host: Host, side: Side, decided: Plan, partner: Host) -> int:
    """Carry out one side's part; returns how many rows changed."""
    disk = {row.key: row for row in host.live()}
    records: list[tuple[Item, int]] = []
    copies: set[bytes] = set()
    for step in steps(decided.operations, side, host.rows.get):
        key, result = step.operation.key, step.operation.result
        standing = disk.get(key)
        if step.phase is Phase.SET_ASIDE:
            assert standing is not None
            copy = decided.set_aside(step.operation, lambda name: host.rows.get(name), lambda name: name in copies)
            if not copy.present:
                assert copy.item.key not in disk
                disk[copy.item.key] = copy.item
                records.append((copy.item, 0))
                copies.add(copy.item.key)
                del disk[key]
            continue
        if step.phase in (Phase.CLEAR, Phase.REMOVE):
            assert standing is not None
            assert not any(name.startswith(key + b"/") for name in disk), "a directory that is removed is not empty"
            if standing.content:
                host.trash.add(standing.content)
            del disk[key]
        elif step.phase in (Phase.DIRECTORIES, Phase.PLACE):
            for above in ancestors(key):
                assert above in disk and disk[above].kind is Kind.DIRECTORY, "placed where no directory stands"
            if standing is not None and not same_content(standing, result):
                assert not any(name.startswith(key + b"/") for name in disk), "a directory that is replaced is not empty"
                if standing.content:
                    host.trash.add(standing.content)
            if result.kind is Kind.FILE and (standing is None or not same_content(standing, result)):
                source = step.operation.source
                assert source is not None
                giver = host if source is side else partner
                assert any(row.content == result.content for row in giver.live()) or result.content in giver.trash, "content from nowhere"
            disk[key] = result
        elif step.phase is Phase.DIRECTORY_METADATA:
            assert standing is not None and standing.kind is Kind.DIRECTORY
            disk[key] = result
        if step.phase is not Phase.DIRECTORY_METADATA or key not in [row.key for row, _ in records]:
            records.append((result, partner.replica if step.operation.taken(side) else 0))
    for row, origin in records:
        host.record(row, origin)
    assert {row.key: row for row in host.live()}.keys() == disk.keys(), "journal and disk differ"
    return len(records)


def mirrored(decided: Plan) -> list[tuple[object, ...]]:
    """A plan with its sides exchanged, as plain values."""
    return [
        (
            operation.key,
            operation.action,
            operation.reason,
            operation.result,
            {side.other for side in operation.sides},
            operation.loser and operation.loser.other,
            operation.lost,
            operation.copy,
        )
        for operation in decided.operations
    ] + [(skip.key, skip.reason) for skip in decided.skipped]


def plain(decided: Plan) -> list[tuple[object, ...]]:
    """The same without exchanging."""
    return [
        (
            operation.key,
            operation.action,
            operation.reason,
            operation.result,
            set(operation.sides),
            operation.loser,
            operation.lost,
            operation.copy,
        )
        for operation in decided.operations
    ] + [(skip.key, skip.reason) for skip in decided.skipped]


def decide(
    client: dict[bytes, Item], server: dict[bytes, Item], replicas: tuple[int, int], sync_type: SyncType, policy: Policy = Policy.KEEP_BOTH
) -> Plan:
    """The plan, computed from both sides and from the mirror."""
    one = plan(client, server, client_replica=replicas[0], server_replica=replicas[1], sync_type=sync_type, policy=policy)
    # The order in which rows came in is not the same on the two sides.
    again = plan(
        dict(reversed(client.items())),
        dict(reversed(server.items())),
        client_replica=replicas[0],
        server_replica=replicas[1],
        sync_type=sync_type,
        policy=policy,
    )
    assert one == again
    assert one.digest() == again.digest()
    other = plan(
        server,
        client,
        client_replica=replicas[1],
        server_replica=replicas[0],
        sync_type=MIRRORED[sync_type],
        policy=MIRRORED_POLICY[policy],
    )
    assert plain(one) == mirrored(other)
    return one


def session(
    client: Host,
    server: Host,
    sync_type: SyncType = SyncType.TWO_WAY,
    policy: Policy = Policy.KEEP_BOTH,
    cut: str = "",
) -> Outcome:
    """One session. `cut` ends it early: ``client`` or ``server`` is the side that gets nothing done, ``commit-client`` or
    ``commit-server`` the side whose partner's commit is lost, ``prepare-client`` or ``prepare-server`` the side that writes no mark.
    """
    hosts = {Side.CLIENT: client, Side.SERVER: server}
    mine = {side: host.anchors.get(hosts[side.other].name, Anchors()) for side, host in hosts.items()}
    common = {side: agree(mine[side], hosts[side.other].replica, mine[side.other].tokens()) for side in Side}
    first, second = common.values()
    assert (first and first.token) == (second and second.token), "the sides go on from different marks"
    kind = effective(sync_type, first)
    outcome = Outcome()
    seqs = dict.fromkeys(Side, 0)
    for number in range(MAX_ROUNDS):
        sent: dict[Side, dict[bytes, Item]] = {}
        for side, host in hosts.items():
            ask = scope(kind, side, common[side])
            rows: list[Item] = []
            if ask.send:
                after, full = (ask.after, ask.full) if number == 0 else (seqs[side], False)
                changes = [
                    row
                    for row in host.changes(after, full, hosts[side.other].replica)
                    if not outcome.plans or not outcome.plans[-1].settled(row)
                ]
                rows = list(with_ancestors(changes, host.rows.get))
            sent[side] = {row.key: row for row in rows}
            assert len(sent[side]) == len(rows)
        for side, host in hosts.items():
            seqs[side] = host.seq
        answers = {side: list(counterparts(sent[side.other], sent[side], host.rows.get, host.below)) for side, host in hosts.items()}
        inputs = {side: sent[side] | {row.key: row for row in answers[side]} for side in Side}
        decided = decide(inputs[Side.CLIENT], inputs[Side.SERVER], (client.replica, server.replica), kind, policy)
        outcome.plans.append(decided)
        before = {side: dict(host.rows) for side, host in hosts.items()}
        for side, host in hosts.items():
            if cut != side:
                apply(host, side, decided, hosts[side.other])
                host.check()
        for side, host in hosts.items():
            outcome.changed += sum((old := before[side].get(key)) is None or not same_row(row, old) for key, row in host.rows.items())
        if cut in (Side.CLIENT, Side.SERVER):
            return outcome
        if not any(decided.copies(side) and scope(kind, side, common[side]).send for side in Side):
            break
    else:
        raise AssertionError("the rounds do not end")
    held = any(decided.held() for decided in outcome.plans)
    client.sessions += 1
    token = f"{client.name} {client.sessions}".encode()
    for side, host in hosts.items():
        if cut != f"prepare-{side}":
            host.anchors[hosts[side.other].name] = after_session(
                mine[side],
                common[side],
                partner=hosts[side.other].replica,
                token=token,
                sync_type=kind,
                side=side,
                own_seq=host.seq,
                partner_seq=seqs[side.other],
                own_held=held,
                partner_held=held,
            )
    if cut.startswith("prepare"):
        return outcome
    for side, host in hosts.items():
        if cut != f"commit-{side}":
            host.anchors[hosts[side.other].name] = promoted(host.anchors[hosts[side.other].name], token)
            for row in outcome.plans[-1].confirmations(side):
                host.record(row, hosts[side.other].replica)
    return outcome


class World:
    """What the tests use, as one fixture."""

    Host = Host
    item = staticmethod(item)
    content_id = staticmethod(content_id)
    decide = staticmethod(decide)
    session = staticmethod(session)
    apply = staticmethod(apply)

    @staticmethod
    def hosts(count: int) -> list[Host]:
        return [Host(name, 1000 + number) for number, name in enumerate(("ash", "birch", "cedar", "doum")[:count])]

    @staticmethod
    def settle(hosts: list[Host], cycles: int = 12) -> int:
        """Two-way sessions of all pairs until nothing changes; how many cycles that took."""
        for cycle in range(cycles):
            changed = sum(session(one, other).changed for number, one in enumerate(hosts) for other in hosts[number + 1 :])
            if not changed:
                return cycle
        raise AssertionError("the hosts do not come to rest")


@pytest.fixture(scope="session")
def world() -> type[World]:
    """Rows, hosts and sessions in memory."""
    return World
