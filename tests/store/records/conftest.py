"""Hosts with a folder of records, and sessions in which two datastores are coupled directly, without messages."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from twsync import records
from twsync.reconcile.model import RecordPolicy, Side, SyncType
from twsync.records import Family
from twsync.store.journal import Journal
from twsync.store.recordhost import RecordCollection, RecordHost
from twsync.store.recordjournal import RecordJournal
from twsync.store.syncmldatastore import RecordDatastore
from twsync.store.syncmlsession import RecordSession, Report, Terms
from twsync.syncml.datastore import Anchors, Datastore, Incoming, Outgoing, Peer

START = 1_795_000_000_000_000_000
SECOND = 1_000_000_000


class Stopped(BaseException):
    """The process ends here."""


def stops_at(number: int) -> Callable[..., None]:
    """What ends the process when it is called for the n-th time; never, for 0."""
    calls = count(1)

    def step(*_: object) -> None:
        if next(calls) == number:
            raise Stopped

    return step


class Clock:
    """A time that only goes on when it is looked at."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        self.now += SECOND
        return self.now


class Box:
    """One host with one collection, ``people``."""

    def __init__(self, base: Path, name: str, family: Family = Family.CONTACTS, clock: Clock | None = None) -> None:
        base.mkdir(parents=True, exist_ok=True)
        self.base = base
        self.name = name
        self.family = family
        self.root = base / "people"
        self.root.mkdir(exist_ok=True)
        self.clock = clock or Clock()
        self.sessions = 0
        self.opened: list[RecordDatastore] = []
        self.start()

    def start(self) -> None:
        self.journal = Journal.open(self.base / "journal.db")
        self.host = RecordHost(self.journal, lambda: {"people": RecordCollection("people", self.root, self.family)}, self.name, self.clock)

    def close(self) -> None:
        self.journal.close()

    def restart(self) -> None:
        """As after a crash: what was open is gone."""
        for one in self.opened:
            one._session.gate.close()
        self.opened.clear()
        self.close()
        self.start()

    @property
    def rows(self) -> RecordJournal:
        return RecordJournal.of(self.journal, "people")

    # --- files

    def write(self, key: str, text: str) -> None:
        path = self.root / key
        path.write_bytes(text.encode())
        # Each write has a time of its own, and none is near the present.
        stamp = self.clock() - START + 1_600_000_000 * SECOND
        os.utime(path, ns=(stamp, stamp))

    def delete(self, key: str) -> None:
        (self.root / key).unlink()

    def files(self) -> dict[str, str]:
        return {path.name: path.read_bytes().decode() for path in sorted(self.root.iterdir()) if path.is_file()}

    def digests(self) -> list[bytes]:
        """What the records say, in any order."""
        return sorted(records.fingerprint(self.family, text).digest for text in self.files().values())

    def trash(self) -> list[str]:
        top = self.root / ".twsync" / "trash"
        return sorted(path.read_bytes().decode() for path in top.rglob("*") if path.is_file())

    # --- sessions

    def open(self, peer: Peer, side: Side, step: Callable[[str], None] | None = None, **terms: object) -> RecordDatastore:
        self.sessions += 1
        wanted = Terms(f"{self.name}-{self.sessions}", side, **terms)  # type: ignore[arg-type]
        if step is None:
            made = self.host.datastores(wanted).open("people", peer)
        else:
            made = RecordDatastore(RecordSession(self.host.folder("people"), peer, wanted, self.clock, step), lambda: None)
        self.opened.append(made)
        return made

    def peer(self, twsync: bool = True) -> Peer:
        """This host, as another one sees it."""
        return Peer(device=f"alice/{self.name}", account="alice", devinf=None, datastore=None, twsync=twsync)


def as_incoming(change: Outgoing) -> Incoming:
    version = change.version or (change.record.version if change.record is not None else b"")
    return Incoming(change.action, change.id, change.record, version)


def effective(wanted: SyncType, client: Datastore, server: Datastore) -> SyncType:
    """The type that the anchors allow."""
    agree = server.anchors.remote is not None and (client.anchors.own, client.anchors.remote) == (server.anchors.remote, server.anchors.own)
    fall_back = {
        SyncType.TWO_WAY: SyncType.SLOW,
        SyncType.ONE_WAY_FROM_CLIENT: SyncType.REFRESH_FROM_CLIENT,
        SyncType.ONE_WAY_FROM_SERVER: SyncType.REFRESH_FROM_SERVER,
    }
    return wanted if agree else fall_back.get(wanted, wanted)


class Sync:
    """A session of two datastores, message by message."""

    def __init__(
        self, client: Datastore, server: Datastore, wanted: SyncType = SyncType.TWO_WAY, number: int = 1, size: int = 5,
        between: Callable[[], None] = lambda: None, lose: Callable[[str], bool] = lambda _what: False,
    ) -> None:  # fmt: skip
        """Couple two.

        :param between: called between the steps.
        :param lose: whether a status or a map does not arrive.
        """
        self.client = client
        self.server = server
        self.type = effective(wanted, client, server)
        self.number = number
        self.size = size
        self.between = between
        self.lose = lose
        self.statuses: list[int] = []
        self.sent = 0

    def run(self) -> Sync:
        self.server.begin(self.type, False)
        self.between()
        self.client.begin(self.type, False)
        self.between()
        self._maps()
        if self.type not in (SyncType.ONE_WAY_FROM_SERVER, SyncType.REFRESH_FROM_SERVER):
            self._move(self.client, self.server)
        self.server.received_all()
        self.between()
        if self.type not in (SyncType.ONE_WAY_FROM_CLIENT, SyncType.REFRESH_FROM_CLIENT):
            self._move(self.server, self.client)
        self.client.received_all()
        self.between()
        self._maps()
        own, other = f"c{self.number}", f"s{self.number}"
        self.server.commit(Anchors(other, own))
        self.between()
        self.client.commit(Anchors(own, other))
        self.between()
        return self

    def _move(self, giver: Datastore, taker: Datastore) -> None:
        count = giver.count()
        changes = list(giver.changes())
        assert count is None or count == len(changes)
        assert len({change.key for change in changes}) == len(changes)
        self.sent += len(changes)
        for start in range(0, len(changes), self.size):
            some = changes[start : start + self.size]
            outcomes = taker.take([as_incoming(change) for change in some])
            assert len(outcomes) == len(some)
            self.between()
            for change, outcome in zip(some, outcomes, strict=True):
                self.statuses.append(outcome.status)
                if not self.lose("status"):
                    giver.sent(change, outcome.status)
            self.between()

    def _maps(self) -> None:
        pairs = self.client.maps()
        if pairs and not self.lose("map"):
            assert set(self.server.map(pairs)) <= {200, 404}
            self.between()
            self.client.maps_confirmed(pairs)
            self.between()


_numbers = iter(range(1, 1_000_000))


def sync(
    client: Box, server: Box, wanted: SyncType = SyncType.TWO_WAY, *, twsync: bool = True, policy: RecordPolicy = RecordPolicy.MERGE,
    allow_deletes: bool = False, **more: object,
) -> tuple[Sync, Report, Report]:  # fmt: skip
    """A whole session; the reports of client and server."""
    one = client.open(server.peer(twsync), Side.CLIENT, policy=policy, allow_deletes=allow_deletes)
    other = server.open(client.peer(twsync), Side.SERVER, policy=policy, allow_deletes=allow_deletes)
    try:
        done = Sync(one, other, wanted, next(_numbers), **more).run()  # type: ignore[arg-type]
    finally:
        one.close()
        other.close()
    return done, one.report, other.report


def card(name: str, *more: str, uid: str | None = None) -> str:
    """A contact."""
    lines = ["BEGIN:VCARD", "VERSION:3.0", f"UID:{uid or name}", f"FN:{name}", f"N:{name};;;;", *more, "END:VCARD", ""]
    return "\r\n".join(lines)


@pytest.fixture(autouse=True)
def _no_power_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests end processes, not machines: nothing waits for the disk."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)


@pytest.fixture
def make_box(tmp_path: Path) -> Iterator[Callable[..., Box]]:
    made: list[Box] = []
    clock = Clock()

    def make(name: str, family: Family = Family.CONTACTS) -> Box:
        made.append(Box(tmp_path / name, name, family, clock))
        return made[-1]

    yield make
    for box in made:
        box.close()


@pytest.fixture
def pair(make_box: Callable[..., Box]) -> tuple[Box, Box]:
    """Client and server."""
    return make_box("laptop"), make_box("desktop")


@pytest.fixture
def tools() -> type:
    """What tests of this folder share, for want of an importable module."""

    class Tools:
        pass

    for value in (Box, Clock, Family, Side, Stopped, Sync, SyncType, sync, card, as_incoming, stops_at):
        setattr(Tools, value.__name__, staticmethod(value) if not isinstance(value, type) else value)
    return Tools
