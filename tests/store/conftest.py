"""What the tests of the store share: a host with a collection and a journal, and changes made by hand."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blake3 import blake3
from two_scans import both_ways

from twsync.reconcile.model import Item, Kind
from twsync.reconcile.versions import Version
from twsync.store import batches, syscalls
from twsync.store.apply import Applier
from twsync.store.batches import Batches
from twsync.store.changes import Change, Outcome, ordered
from twsync.store.ignore import Ignore
from twsync.store.journal import Journal
from twsync.store.paths import Gate
from twsync.store.place import Place
from twsync.store.recovery import recover
from twsync.store.scan import ScanResult, scan
from twsync.store.staging import Staged, Staging

#: The replica of the partner that these tests apply changes of.
PARTNER = 77
#: A modification time long ago.
LONG_AGO = 1_600_000_000_000_000_000


class Host:
    """One collection on one host."""

    def __init__(self, base: Path, root: Path | None = None) -> None:
        self.base = base
        self.root = root or base / "root"
        self.root.mkdir(exist_ok=True)
        self.journal = Journal.open(base / "journal.db")
        self.rows = self.journal.collection("photos")
        self.gate = Gate.open(self.root, known=self.rows.known)
        self.staging = Staging(self.gate)
        self.partner = PARTNER

    def close(self) -> None:
        self.staging.close()
        self.gate.close()
        self.journal.close()

    def write(self, key: str, data: bytes = b"data", mtime_ns: int = LONG_AGO, mode: int = 0o644) -> Path:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(mode)
        os.utime(path, ns=(mtime_ns, mtime_ns))
        return path

    def look(self, *patterns: str, only: list[bytes] | None = None, later: int = 1_000_000_000) -> ScanResult:
        """Scan as if `later` nanoseconds had passed, so that no stat counts as racy."""
        now_ns = time.time_ns() + later
        return both_ways(self.rows.listing, lambda: self.scan(Ignore(patterns), now_ns, only))

    def scan(self, ignore: Ignore, now_ns: int, only: list[bytes] | None = None, **more) -> ScanResult:
        """Scan once: for a tree that changes meanwhile."""
        return scan(self.gate, self.rows, ignore, now_ns=now_ns, device="laptop", only=only, **more)

    def learn(self, *patterns: str) -> ScanResult:
        found = self.look(*patterns)
        self.rows.record(found)
        return found

    def tree(self) -> dict[str, bytes | None]:
        """Content by path, folders as None, links as their target, without twsync's own folder."""
        found: dict[str, bytes | None] = {}
        for path in sorted(self.root.rglob("*")):
            key = str(path.relative_to(self.root))
            if not key.startswith(".twsync"):
                found[key] = os.fsencode(path.readlink()) if path.is_symlink() else None if path.is_dir() else path.read_bytes()
        return found

    def trash(self) -> dict[str, bytes]:
        top = self.root / ".twsync" / "trash"
        return {str(path.relative_to(top)).partition("/")[2]: path.read_bytes() for path in top.rglob("*") if path.is_file()}

    # --- changes from a partner

    def item(self, key: bytes, kind: Kind, data: bytes = b"", mtime_ns: int = LONG_AGO, mode: int = 0o644) -> Item:
        row = self.rows.get(key)
        version = (row.item.version if row else Version()).raised(self.partner)
        if kind is Kind.FILE:
            return Item(key, kind, blake3(data).digest(), len(data), mtime_ns, mode, version, b"", "desktop")
        if kind is Kind.SYMLINK:
            return Item(key, kind, blake3(data).digest(), 0, mtime_ns, 0, version, data, "desktop")
        return Item(key, kind, b"", 0, mtime_ns, mode if kind is Kind.DIRECTORY else 0, version, b"", "desktop")

    def staged(self, data: bytes) -> Staged:
        staged = self.staging.put(blake3(data).digest(), data)
        assert staged is not None
        return staged

    def file(self, key: bytes, data: bytes, *, displaced: Item | None = None, **more: int) -> Change:
        item = self.item(key, Kind.FILE, data, **more)
        return Change(item, self.rows.get(key), self.staged(data), displaced, self.partner)

    def folder(self, key: bytes, mode: int = 0o755, mtime_ns: int = LONG_AGO) -> Change:
        return Change(self.item(key, Kind.DIRECTORY, mode=mode, mtime_ns=mtime_ns), self.rows.get(key), None, None, self.partner)

    def link(self, key: bytes, target: bytes) -> Change:
        return Change(self.item(key, Kind.SYMLINK, target), self.rows.get(key), None, None, self.partner)

    def removal(self, key: bytes) -> Change:
        return Change(self.item(key, Kind.DELETED), self.rows.get(key), None, None, self.partner)

    def applier(self, step: Callable[[str], None] | None = None) -> Applier:
        return Applier(self.gate, self.rows, self.staging, "call@host", now_ns=time.time_ns(), step=step)

    def apply(self, *changes: Change, step: Callable[[str], None] | None = None) -> dict[bytes, Outcome]:
        applier = self.applier(step)
        outcomes = {outcome.key: outcome for outcome in applier.apply(ordered(changes))}
        applier.finish()
        return outcomes

    def recover(self) -> int:
        return recover(self.gate, self.rows, self.staging)


@pytest.fixture(scope="session")
def in_c(missing: Callable[[str], None]) -> Batches:
    """The C part. TWSYNC_DELTA=pure asks to do without, so that its tests are skipped; else it is missed where it was not built."""
    if os.environ.get("TWSYNC_DELTA") == "pure":
        pytest.skip("TWSYNC_DELTA=pure does without the C part")
    if batches.NATIVE is None:
        missing("the C part of the store is not built here; TWSYNC_NATIVE=yes builds it")
    assert batches.NATIVE is not None
    return batches.NATIVE


@pytest.fixture
def singly(monkeypatch: pytest.MonkeyPatch) -> None:
    """File by file, as where the C part was not built."""
    monkeypatch.setattr(batches, "NATIVE", None)


@pytest.fixture(params=["together", "singly", "plain", "mounts"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The kernel's ways to rename: all of them, many files at once (in C) or singly; none of the newer ones; none between twsync's folder
    and the collection's."""
    name: str = request.param
    request.getfixturevalue("in_c" if name == "together" else "singly")
    if name == "plain":
        monkeypatch.setattr(syscalls, "_renameat2", None)
    elif name == "mounts":
        for verb in ("move", "exchange", "link_to", "replace"):
            genuine = getattr(Place, verb)

            def crossing(self, other, genuine=genuine):
                if own(self) != own(other):
                    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
                return genuine(self, other)

            monkeypatch.setattr(Place, verb, crossing)
    return name


def own(place: Place) -> bool:
    return "/.twsync" in str(Path(f"/proc/self/fd/{place.fd}").readlink())


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path)
    yield made
    made.close()


@pytest.fixture
def make_host() -> Iterator[Callable[..., Host]]:
    made: list[Host] = []

    def make(base: Path, root: Path | None = None) -> Host:
        made.append(Host(base, root))
        return made[-1]

    yield make
    for one in made:
        one.close()
