"""Small files ahead of the plan: their content comes into staging while the other side still shows its rows.

What is asked for here is what a plan will want most likely: small files at keys of which this host has no row, and whose content it has
nowhere. It goes to staging and nowhere else. Rows, guards and plan are what they are without it; the plan's needs then find it there, or on
its way. What the plan has no use for is deleted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from twsync.errors import StoreError
from twsync.limits import LOCAL_LOOKUPS, MAX_SMALL_AHEAD, SMALL_FILE
from twsync.peer.needs import Need
from twsync.peer.streams import Workshop
from twsync.peer.tasks import Tasks
from twsync.reconcile.model import FILE, Item
from twsync.store.changes import Change
from twsync.store.ignore import Ignore
from twsync.store.journal import CollectionJournal
from twsync.store.staging import Staged, Staging


class SmallAhead:
    """What one side gets ahead of the plan of a session's first round.

    :param ask: asks for these needs, as far as there is room for them; what comes of them is said to :meth:`came`.
    """

    def __init__(
        self,
        tasks: Tasks,
        workshop: Workshop,
        journal: CollectionJournal,
        ignore: Ignore,
        staging: Staging,
        ask: Callable[[list[Need]], None],
    ) -> None:
        self._tasks = tasks
        self._workshop = workshop
        self._journal = journal
        self._ignore = ignore
        self._staging = staging
        self._ask = ask
        self._open = False
        self._blocked: set[bytes] = set()
        self._rows: deque[Sequence[Item]] = deque()
        self._choosing = False
        self._count = self._coming = 0
        # By content id: what was asked for, what of it is here, and needs of the plan that wait for the rest.
        self._asked: dict[bytes, Need] = {}
        self._here: dict[bytes, Staged] = {}
        self._waiting: dict[bytes, Need] = {}
        #: Bytes in staging that no need of a plan has taken.
        self.bytes = 0

    def begin(self, blocked: Iterable[bytes]) -> None:
        """From now on what is shown may be asked for.

        :param blocked: keys that this side cannot take.
        """
        self._open = True
        self._blocked = set(blocked)

    def shown(self, rows: Sequence[Item]) -> None:
        """The other side has shown these rows; the own look at the disk is over."""
        if self._open:
            self._rows.append(rows)
            if not self._choosing:
                self._choosing = True
                self._tasks.start(self._choose_all())

    def close(self) -> None:
        """A plan is made: it says what else is to be had."""
        self._open = False
        self._rows.clear()

    def came(self, answers: Iterable[tuple[Need, Staged | None]]) -> list[tuple[Need, Staged | None]]:
        """What was asked for is here; None: it does not come, or is something else.

        :returns: needs of the plan that have waited for these, in the same way.
        """
        asked, here, waiting = self._asked, self._here, self._waiting
        claimed: list[tuple[Need, Staged | None]] = []
        came = kept = 0
        for need, staged in answers:
            content = need.content
            del asked[content]
            came += need.size
            if content in waiting:
                claimed.append((waiting.pop(content), staged))
            elif staged is not None:
                here[content] = staged
                kept += staged.size
        self._coming -= came
        self.bytes += kept
        return claimed

    def claim(self, needs: Sequence[Need]) -> tuple[list[tuple[Need, Staged]], list[Need]]:
        """What a plan needs: needs whose content is here, and those that are still to be got; those on their way are in neither."""
        here: list[tuple[Need, Staged]] = []
        rest: list[Need] = []
        for need in needs:
            staged = self._here.pop(need.content, None)
            if staged is not None:
                self.bytes -= staged.size
                here.append((need, staged))
            elif need.content in self._asked:
                self._waiting[need.content] = need
            else:
                rest.append(need)
        return here, rest

    def wanted(self, queued: Iterable[Need]) -> list[Need]:
        """Of those that were not asked for before the plan was known, the ones that it wants; the others never will be."""
        kept = []
        for need in queued:
            if not need.ahead or need.content in self._waiting:
                kept.append(need)
            else:
                del self._asked[need.content]
                self._coming -= need.size
        return kept

    @property
    def busy(self) -> bool:
        """Whether something that was asked for is on its way."""
        return bool(self._asked)

    def take_useless(self) -> list[Staged]:
        """What came and the plan, which is known, does not want; it is not known here any more."""
        useless, self._here = list(self._here.values()), {}
        self.bytes = 0
        return useless

    # --- inside

    async def _choose_all(self) -> None:
        try:
            search = await self._workshop.read(self._journal.any_live)
            while self._rows and self._open:
                rows = self._rows.popleft()
                step = LOCAL_LOOKUPS if search else len(rows)
                for start in range(0, len(rows), step):
                    needs = await self._workshop.read(self._choose, rows[start : start + step], search)
                    if needs is None or self._count + len(needs) > MAX_SMALL_AHEAD:
                        self.close()
                    elif self._open:
                        self._ask(self._noted(needs))
        finally:
            self._choosing = False

    def _noted(self, needs: Iterable[Need]) -> list[Need]:
        """Those of them that are not asked for yet."""
        new = []
        asked, here = self._asked, self._here
        for need in needs:
            content = need.content
            if content not in asked and content not in here:
                asked[content] = need
                new.append(need)
        self._coming += sum([need.size for need in new])
        self._count += len(new)
        return new

    def _choose(self, rows: Sequence[Item], search: bool) -> list[Need] | None:
        """Of which of these rows the content is worth asking for; None if there is no room for more. In a reader's thread."""
        own = self._journal.get_many([row.key for row in rows])
        blocked, plain, ignored = self._blocked, self._ignore.trivial, self._ignore.matches
        # What came ahead of a plan that a guard refused is still here.
        holds = self._staging.holds
        needs = [
            Need(row.content, row.size, [Change(row, None)], ahead=True)
            for row in rows
            if row.kind is FILE
            and 0 < row.size <= SMALL_FILE
            and row.key not in own
            and row.key not in blocked
            and (plain or not ignored(row.key))
            and not holds(row.content, row.size)
            and not (search and self._journal.find_content(row.content, 1))
        ]
        try:
            self._staging.check_room(self._coming + sum([need.size for need in needs]), self._staging.room())
        except StoreError:
            return None
        return needs
