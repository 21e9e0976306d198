"""The end of a session: everything durable, the next mark, and the books about what was settled.

Both sides write the mark as prepared, say so, and promote it when they hear the other say so (see :mod:`twsync.reconcile.anchors`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twsync.errors import ProtocolError
from twsync.limits import MAX_SKIPPED_BYTES_PER_SESSION, MAX_SKIPPED_PER_MESSAGE, MAX_SKIPPED_PER_SESSION
from twsync.peer.dialogue import Dialogue
from twsync.peer.gathering import skipped_messages
from twsync.peer.opening import Opened
from twsync.peer.outcome import Tally
from twsync.peer.streams import Workshop
from twsync.peer.terms import Terms
from twsync.peerwire import messages
from twsync.reconcile import anchors as marks
from twsync.reconcile.anchors import Anchors
from twsync.reconcile.compare import same_content, same_metadata
from twsync.reconcile.model import Item
from twsync.reconcile.operation import Operation, Plan
from twsync.store.journal import CollectionJournal
from twsync.store.rows import Row


class Commit:
    """What a session writes down about itself, round by round and at its end.

    :param tally: what the session came to on this side.
    """

    def __init__(self, dialogue: Dialogue, work: Workshop, rows: CollectionJournal, terms: Terms, tally: Tally) -> None:
        self._dialogue = dialogue
        self._work = work
        self._rows = rows
        self._terms = terms
        self._tally = tally
        self._confirmed: dict[bytes, Item] = {}
        #: The other side's skipped items and counters, when it has said them.
        self.peer_skipped: dict[bytes, str] = {}
        self.peer_counters = messages.Counters()

    # --- in a round ------------------------------------------------------------------------------------------------------------------

    def planned(self, plan: Plan) -> None:
        """A plan that both sides agree on: rows of this side that will hold for both."""
        self._confirmed.update({item.key: item for item in plan.confirmations(self._terms.side)})

    async def remember(self, settled: list[tuple[Operation, bytes]], now_ns: int) -> None:
        """Conflicts that were settled, with the key of the copy, for the list that users see."""
        if settled:
            await self._work.write(self._remember, settled, now_ns)

    def _remember(self, settled: list[tuple[Operation, bytes]], now_ns: int) -> None:
        """In a writer's thread."""
        side, terms = self._terms.side, self._terms
        for operation, copy in settled:
            self._rows.conflicts.add(
                self._rows.name,
                operation.key,
                copy,
                str(operation.resolution),
                operation.winner is not side,
                terms.session,
                terms.partner,
                now_ns,
            )

    # --- at the end ------------------------------------------------------------------------------------------------------------------

    async def run(
        self,
        opened: Opened,
        seen: tuple[int | None, int],
        blocked: Mapping[bytes, str],
        counters: messages.Counters,
        finish: Callable[[], None],
    ) -> None:
        """Exchange commit.

        :param seen: up to which own sequence number the other side was shown the own rows, and the other side's up to which its rows
            were seen here. A collection has one session at a time: what its journal was told since the last items-end, this session told
            it, and the other side has it too, so None stands for all of it.
        :param blocked: keys that the scan could not take, with reasons.
        :param counters: for the other side.
        :param finish: makes what was put into place durable; in a writer's thread.
        :raises ProtocolError: the other side commits something else.
        """
        own_seq, peer_seq = seen
        prepared = marks.after_session(
            opened.mine,
            opened.common,
            partner=opened.partner,
            token=opened.token,
            sync_type=self._terms.sync_type,
            side=self._terms.side,
            own_seq=await self._work.read(lambda: self._rows.seq) if own_seq is None else own_seq,
            partner_seq=peer_seq,
            own_held=self._tally.own_held,
            partner_held=self._tally.held,
        )
        await self._work.write(self._prepare, finish, prepared)
        self._dialogue.check()
        skipped = {**blocked, **self._tally.skipped}
        for message in skipped_messages(list(skipped.items())[:MAX_SKIPPED_PER_SESSION], MAX_SKIPPED_PER_MESSAGE):
            self._dialogue.say(message)
            await self._dialogue.drained()
        self._dialogue.say(messages.Commit(opened.token, counters))
        heard = await self._hear()
        if heard.token != opened.token:
            raise ProtocolError("a commit of another session")
        self.peer_counters = heard.received
        await self._work.write(self._conclude, marks.promoted(prepared, heard.token), opened.partner)

    async def _hear(self) -> messages.Commit:
        """The other side's commit, and what it skipped."""
        room = MAX_SKIPPED_BYTES_PER_SESSION
        while not isinstance(heard := await self._dialogue.hear(messages.Skipped, messages.Commit), messages.Commit):
            self.peer_skipped.update(heard.items)
            room -= sum(len(key) for key, _reason in heard.items)
            if room < 0:
                raise ProtocolError("skipped items of too many bytes")
            if len(self.peer_skipped) > MAX_SKIPPED_PER_SESSION:
                raise ProtocolError("too many skipped items")
        return heard

    def _prepare(self, finish: Callable[[], None], prepared: Anchors) -> None:
        """Everything durable, then the next mark. In a writer's thread."""
        finish()
        self._rows.anchors.save(self._terms.partner, prepared)

    def _conclude(self, concluded: Anchors, partner: int) -> None:
        """The other side has done all it was to do. In a writer's thread."""
        self._rows.anchors.save(self._terms.partner, concluded)
        # What the other side lost and set aside in a one-way session: from now on this side's row follows both.
        rows = self._rows.get_many(key for key in self._confirmed if key not in self.peer_skipped and key not in self._tally.skipped)
        self._rows.take(
            [
                Row(item, rows[key].stat)
                for key, item in self._confirmed.items()
                if key in rows and same_content(rows[key].item, item) and same_metadata(rows[key].item, item)
            ],
            partner,
        )
