"""The second half of a round: content both ways, and everything into its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from twsync.peer.announcing import Announcing
from twsync.peer.dialogue import Dialogue
from twsync.peer.needs import Need, Needs, last_of_all
from twsync.peer.outcome import Tally
from twsync.peer.pace import Pace
from twsync.peer.placing import Placer
from twsync.peer.prefetch import Prefetch
from twsync.peer.receive import Getter
from twsync.peer.smallahead import SmallAhead
from twsync.peer.supply import Supplier
from twsync.peer.tasks import Tasks
from twsync.peer.terms import Collection, Progress, Tools
from twsync.reconcile.model import Item
from twsync.store.apply import Applier
from twsync.store.changes import Change
from twsync.store.paths import Gate
from twsync.store.recovery import recover
from twsync.store.signatures import Signatures
from twsync.store.staging import Staging


@dataclass(frozen=True, slots=True)
class Store:
    """The parts of a collection's store that live as long as one session."""

    staging: Staging
    applier: Applier

    @classmethod
    def open(cls, collection: Collection, session: str, now_ns: int) -> Store:
        """Bring the collection in order and open its staging. In a writer's thread.

        :raises StoreError: its root or disk cannot be used.
        """
        gate: Gate = collection.gate
        gate.check()
        staging = Staging(gate)
        try:
            recover(gate, collection.rows, staging)
            staging.sweep(now_ns)
            Signatures(gate).sweep(lambda content: bool(collection.rows.find_content(content, 1)))
            collection.rows.set_patterns(collection.ignore.digest)
            return cls(staging, Applier(gate, collection.rows, staging, session, now_ns=now_ns))
        except BaseException:
            staging.close()
            raise

    def close(self) -> None:
        """Finish folders and close. In a writer's thread, when nothing else works on them any more."""
        try:
            self.applier.finish()
        finally:
            self.staging.close()


class Movement:
    """The two ends of the transfers and the placer of one session.

    :param offered: rows sent in this session.
    :param announcing: knows what the other side may fetch ahead of the plan.
    :param ahead: whether this side may.
    """

    def __init__(
        self,
        dialogue: Dialogue,
        tasks: Tasks,
        collection: Collection,
        store: Store,
        tools: Tools,
        offered: Mapping[bytes, Item],
        announcing: Announcing,
        ahead: bool,
        tally: Tally,
    ) -> None:
        gate, rows, work = collection.gate, collection.rows, tools.workshop
        self._work = work
        self._any_live: Callable[[], bool] = rows.any_live
        self._last: list[Change] = []
        self._wanted_bytes = 0
        self._wanted_files = 0
        self.supplier = Supplier(dialogue, tasks, work, gate, rows, offered, announcing, Pace(tools.clock.seconds, dialogue.zstd))
        self._placer = Placer(dialogue, tasks, work, tools.clock, store.applier, tally.happened)
        self._getter = Getter(
            dialogue,
            tasks,
            work,
            gate,
            rows,
            collection.ignore,
            store.staging,
            ahead=ahead,
            seed=lambda: int.from_bytes(tools.random(8), "big"),
            got=self._got,
            missed=tally.missed,
        )

    @property
    def prefetch(self) -> Prefetch:
        """Large files ahead of the plan."""
        return self._getter.prefetch

    @property
    def small_ahead(self) -> SmallAhead:
        """Small files ahead of the plan."""
        return self._getter.small_ahead

    @property
    def bytes_ahead(self) -> int:
        """Bytes in staging that came ahead of the plan."""
        return self._getter.bytes_ahead

    def planned(self) -> None:
        """A plan is made: from now on it says what is to be had."""
        self._getter.planned()

    async def round(self, needs: Needs, guard: Callable[[], None]) -> None:
        """Do all that one round's plan needs here; returns when it is on the disk and in the journal.

        :param guard: asked in a reader's thread before anything is removed, when all else is done; raises what is against it.
        """
        self._wanted_bytes += needs.total
        self._wanted_files += sum([len(need.changes) for need in needs.contents])
        self._last = needs.last
        self._placer.add(needs.first)
        await self._getter.fetch(needs.contents, await self._work.read(self._worth_searching, needs.contents))
        await self._placer.flush()
        if self._last:
            await self._work.read(guard)
        # Removals first, then what takes the place of a directory.
        self._placer.add(sorted(self._last, key=lambda change: change.item.live))
        await self._placer.flush()

    def close(self) -> None:
        """The session is over."""
        self.supplier.close()

    @property
    def literal_bytes(self) -> int:
        """Bytes of content received."""
        return self._getter.received.literal_bytes

    @property
    def matched_bytes(self) -> int:
        """Bytes of content that were here already."""
        return self._getter.received.matched_bytes

    def progress(self, phase: str) -> Progress:
        """How far it is."""
        return Progress(
            phase,
            self._getter.progress_bytes,
            self._wanted_bytes,
            self._getter.received.files,
            self._wanted_files,
            self.supplier.content_bytes,
        )

    def _worth_searching(self, needs: list[Need]) -> bool:
        """Whether any of these contents may be on this host. In a reader's thread."""
        return bool(needs) and self._any_live()

    def _got(self, changes: list[Change]) -> None:
        # (Something new, as nearly all of a first session is, need not be asked.)
        later = [change for change in changes if change.expected is not None and last_of_all(change)]
        if later:
            self._last += later
            changes = [change for change in changes if not last_of_all(change)]
        self._placer.add(changes)
