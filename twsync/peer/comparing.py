"""The first half of a round: both sides' rows, until both can compute the plan."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Set
from dataclasses import dataclass, field
from itertools import islice

from twisted.internet.defer import Deferred

from twsync.errors import ProtocolError
from twsync.limits import MAX_ITEMS_PER_SESSION
from twsync.peer.dialogue import Dialogue
from twsync.peer.gathering import Answer, Inventory, answer, answers, changed_rows, counterpart_messages, item_messages, own_changes_known
from twsync.peer.streams import Workshop
from twsync.peer.tasks import Tasks
from twsync.peerwire import messages
from twsync.reconcile.anchors import Scope
from twsync.reconcile.model import Item, Policy, Side, SyncType
from twsync.reconcile.operation import Plan
from twsync.reconcile.plan import plan as decide
from twsync.store.ignore import Ignore
from twsync.store.journal import CollectionJournal


@dataclass(slots=True)
class Compared:
    """What the plan of a round is made of."""

    mine: dict[bytes, Item] = field(default_factory=dict)
    theirs: dict[bytes, Item] = field(default_factory=dict)
    refused_here: dict[bytes, str] = field(default_factory=dict)
    refused_there: dict[bytes, str] = field(default_factory=dict)

    def plan(self, side: Side, replica: int, partner: int, sync_type: SyncType, policy: Policy) -> Plan:
        """Decide. In a reader's thread.

        :param side: this side.
        :param replica: its replica.
        :param partner: the other side's.
        """
        mine, theirs = (self.mine, self.refused_here, replica), (self.theirs, self.refused_there, partner)
        client, server = (mine, theirs) if side is Side.CLIENT else (theirs, mine)
        return decide(
            client[0],
            server[0],
            client_replica=client[2],
            server_replica=server[2],
            sync_type=sync_type,
            policy=policy,
            refused_client=client[1],
            refused_server=server[1],
        )


class Comparison:
    """Exchanges rows, round after round.

    :param partner: the other side's replica.
    :param shown: takes the other side's rows as they come.
    :param announced: takes what the other side says of large files before it knows their content.
    """

    def __init__(
        self,
        dialogue: Dialogue,
        tasks: Tasks,
        workshop: Workshop,
        journal: CollectionJournal,
        ignore: Ignore,
        partner: int,
        shown: Callable[[list[Item]], None],
        announced: Callable[[messages.Ahead], Awaitable[None]],
    ) -> None:
        self._dialogue = dialogue
        self._tasks = tasks
        self._work = workshop
        self._journal = journal
        self._ignore = ignore
        self._partner = partner
        self._shown = shown
        self._received = 0
        self._announced = announced
        #: All rows sent in this session, by key: what the other side may ask for.
        self.offered: dict[bytes, Item] = {}
        # What was shown before the first round.
        self._ahead: dict[bytes, Item] = {}
        self._showing: list[Deferred[None]] = []
        #: The sequence numbers of the last `items-end` each way.
        self.own_seq = 0
        self.peer_seq = 0

    def show(self, rows: list[Item]) -> None:
        """Send rows of the first round before it begins, of those that any scope would send: changes of this journal's own."""
        by_key = {item.key: item for item in rows}
        self._ahead.update(by_key)
        self.offered.update(by_key)
        self._showing.append(self._tasks.start(self._send(rows)))

    async def round(self, scope: Scope, retry: Set[bytes], blocked: dict[bytes, str], everything: bool) -> Compared:
        """Send rows and counterparts, receive the other side's.

        :param retry: keys whose rows are sent whatever they are.
        :param blocked: keys that the scan could not take.
        :param everything: see `gathering.answer`.
        """
        compared = Compared()
        upto = await self._work.read(lambda: self._journal.seq)
        rows = await self._work.read(changed_rows, self._journal, self._ignore, scope, upto, self._partner, retry)
        ahead, self._ahead = self._ahead, {}
        rest = [item for item in rows if item.key not in ahead]
        added = {item.key: item for item in rest}
        self.offered.update(added)
        sent = ahead | added
        compared.mine = dict(sent)
        sending = self._tasks.start(self._send_rows(rest, upto, scope.full, len(sent)))
        inventory = Inventory(MAX_ITEMS_PER_SESSION - self._received)
        await self._hear_rows(inventory)
        self.own_seq = upto
        # All rows must be said before the first counterpart is.
        await sending
        self._dialogue.check()
        reply = await self._work.read(answer, self._journal, self._ignore, inventory.rows, sent.keys(), blocked, everything)
        self._dialogue.check()
        answered = {item.key: item for item in reply.items}
        self.offered.update(answered)
        compared.mine.update(answered)
        sending = self._tasks.start(self._send_counterparts(reply))
        before = len(inventory.rows)
        await self._hear_counterparts(inventory, sent)
        await sending
        await self._work.read(own_changes_known, self._journal, dict(islice(inventory.rows.items(), before, None)))
        self._dialogue.check()
        self._received += len(inventory.rows)
        compared.theirs = inventory.rows
        compared.refused_here, compared.refused_there = dict(reply.refused), inventory.refused
        return compared

    async def _hear_rows(self, inventory: Inventory) -> None:
        while not isinstance(heard := await self._dialogue.hear(messages.Items, messages.ItemsEnd, messages.Ahead), messages.ItemsEnd):
            if isinstance(heard, messages.Ahead):
                await self._announced(heard)
            else:
                self._shown(inventory.add(heard.items))
        if heard.count != len(inventory.rows):
            raise ProtocolError("another number of rows than announced")
        if heard.seq < self.peer_seq:
            raise ProtocolError("a sequence number that went back")
        self.peer_seq = heard.seq

    async def _hear_counterparts(self, inventory: Inventory, sent: Mapping[bytes, Item]) -> None:
        while True:
            heard: messages.Counterparts = await self._dialogue.hear(messages.Counterparts)
            inventory.add(heard.items)
            for row in heard.items:
                # What was not asked about would be planned without our own row, and placed whatever stands here.
                if not answers(row.key, sent):
                    raise ProtocolError("a counterpart of nothing")
            inventory.refuse(heard.refused)
            if heard.final:
                return

    async def _send_rows(self, rows: list[Item], upto: int, full: bool, count: int) -> None:
        for showing in self._showing:
            await showing
        self._showing = []
        await self._send(rows)
        self._dialogue.say(messages.ItemsEnd(upto, full, count))

    async def _send(self, rows: list[Item]) -> None:
        for message in item_messages(rows):
            self._dialogue.say(message)
            await self._dialogue.drained()

    async def _send_counterparts(self, reply: Answer) -> None:
        for message in counterpart_messages(reply):
            self._dialogue.say(message)
            await self._dialogue.drained()
