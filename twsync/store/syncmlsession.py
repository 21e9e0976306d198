"""One record collection in one session: what taking and giving share."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from twsync import limits
from twsync.reconcile import safety
from twsync.reconcile.anchors import COMPARES_ALL, ONE_WAY, sender
from twsync.reconcile.model import RecordPolicy, Side, SyncType
from twsync.store.apply import Applier
from twsync.store.paths import Gate
from twsync.store.recordfolder import RecordFolder
from twsync.store.recordjournal import RecordJournal
from twsync.store.recovery import recover
from twsync.store.scan import ScanResult
from twsync.store.staging import Staging
from twsync.store.syncmledge import Edge
from twsync.store.syncmlpartners import Partner
from twsync.syncml.datastore import Peer


@dataclass(slots=True)
class Counts:
    """Items of one direction, as the receiving side's user sees them."""

    added: int = 0
    changed: int = 0
    deleted: int = 0
    bytes: int = 0
    "Of content that travelled and was taken."


@dataclass(frozen=True, slots=True)
class KeptConflict:
    """A conflict that the policy decided here."""

    key: bytes
    resolution: str
    "merged, duplicate, ours (the client's content), theirs."
    copy: bytes = b""
    "Where the content that lost goes on (duplicate)."


@dataclass(slots=True)
class Report:
    """What a session came to here."""

    sent: Counts = field(default_factory=Counts)
    received: Counts = field(default_factory=Counts)
    conflicts: list[KeptConflict] = field(default_factory=list)
    skipped: list[tuple[bytes, str]] = field(default_factory=list)
    "Keys that were left alone, with a reason."


@dataclass(frozen=True, slots=True)
class Terms:
    """What a session of records is held under."""

    session: str
    "Its id: names the folder in the trash, and what `restore` takes."
    side: Side
    policy: RecordPolicy = RecordPolicy.MERGE
    allow_deletes: bool = False
    how_to_allow: str = safety.ALLOW
    "What a user does to allow deletes, as a refusal says it."
    zone: str = "UTC"
    "IANA name of the time zone of local times that say none."


class RecordSession:
    """The parts that live as long as one session."""

    def __init__(
        self,
        folder: RecordFolder,
        peer: Peer,
        terms: Terms,
        now_ns: Callable[[], int],
        step: Callable[[str], None] | None = None,
    ) -> None:
        """Bring the collection in order and open its staging.

        :param step: see `Applier`.
        :raises StoreError: its root or disk cannot be used.
        """
        self.folder = folder
        self.journal: RecordJournal = folder.journal
        self.gate: Gate = folder.gate
        self.peer = peer
        self.terms = terms
        self.now_ns = now_ns
        self.report = Report()
        self.partner = Partner(self.journal.database, self.journal.number, self.journal.replica, peer, terms.side, now_ns())
        self.maps = self.partner.maps
        self.edge = Edge(folder.family, peer, terms.zone)
        self.sync_type = SyncType.TWO_WAY
        self.deleted_there: set[bytes] = set()
        "Keys whose deletion the other side has taken in this session."
        self.gate.check()
        self.staging = in_order(self.gate, self.journal)
        try:
            self.staging.sweep(now_ns())
            self.applier = Applier(self.gate, self.journal, self.staging, terms.session, now_ns=now_ns(), step=step)
        except BaseException:
            self.staging.close()
            raise
        # Two hosts look at their folders at the same time: both from here on, while they settle what kind of session it will be. (A host
        # that is met for the first time is opened once more when it has said what it is.)
        self._looking: Future[ScanResult] | None = None
        if peer.twsync and peer.devinf is not None:
            thread = ThreadPoolExecutor(1, "twsync look")
            self._looking = thread.submit(folder.look, now_ns())
            thread.shutdown(wait=False)

    def begin(self, sync_type: SyncType, resumed: bool) -> None:
        """Look for local changes.

        :raises SessionError: `emptied`.
        :raises StoreError: the folder or the disk cannot be used.
        """
        self.sync_type = sync_type
        self.folder.adopt()
        if self._looking is None:
            found = self.folder.look(self.now_ns())
        else:
            # A first look finds much: it goes when this is done.
            found, self._looking = self._looking.result(), None
        guard = safety.guard_emptied(
            found.found,
            found.known,
            allowed=self.terms.allow_deletes,
            root=f"the folder of {self.journal.name} on {self.folder.device}",
            how=self.terms.how_to_allow,
        )
        if guard is not None:
            raise guard
        self.report.skipped += self.folder.learn(found)
        if self.compares and not resumed:
            self.partner.compare_all()

    @property
    def compares(self) -> bool:
        """Whether every item is met anew."""
        return self.sync_type in COMPARES_ALL

    @property
    def sends(self) -> bool:
        """Whether the own items travel."""
        return sender(self.sync_type) is not self.terms.side.other

    @property
    def receives(self) -> bool:
        """Whether the other side's items travel."""
        return sender(self.sync_type) is not self.terms.side

    @property
    def replaces(self) -> bool:
        """Whether what the other side does not send is deleted here."""
        return self.compares and sender(self.sync_type) is self.terms.side.other

    @property
    def told(self) -> int | None:
        """For `Partner.commit`."""
        return None if self.sync_type in ONE_WAY and not self.sends else self.journal.seq

    @property
    def server(self) -> bool:
        """Whether this side is the server."""
        return self.terms.side is Side.SERVER

    def close(self) -> None:
        """Put things away; what could not be done now, `recover` does before the next session."""
        if self._looking is not None:
            # Its folder must stay open until it is done.
            wait([self._looking])
        try:
            self.applier.finish()
        finally:
            self.staging.close()
        self.folder.settle()


def in_order(gate: Gate, journal: RecordJournal) -> Staging:
    """The staging of a collection, after what a crash left is cleared up.

    :raises StoreError: the root or the disk cannot be used.
    """
    staging = Staging(gate)
    try:
        found = recover(gate, journal, staging)
    except BaseException:
        staging.close()
        raise
    if found:
        # Files may be back in it: names are given out anew.
        staging.close()
        staging = Staging(gate)
    return staging


def name_of(key: bytes) -> str:
    """A key as it travels. Keys of records are UTF-8: see `RecordNames`."""
    return key.decode()


def key_of(name: str) -> bytes | None:
    """The key that a name from outside may be; None: it is none."""
    if not name or len(name) > limits.MAX_ITEM_NAME:
        return None
    try:
        return name.encode()
    except UnicodeEncodeError:
        return None
