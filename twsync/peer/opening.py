"""The beginning of a session: hello and open, and what the two sides agree on by them."""

from __future__ import annotations

from dataclasses import dataclass

from twsync.errors import ProtocolError, SessionError
from twsync.peer.dialogue import Dialogue
from twsync.peer.terms import Terms
from twsync.peerwire import messages
from twsync.reconcile import anchors as marks
from twsync.reconcile.anchors import Anchors, Mark, Scope
from twsync.reconcile.model import Policy, Side, SyncType
from twsync.store.journal import CollectionJournal


@dataclass(frozen=True, slots=True)
class Opened:
    """What holds for the rest of the session."""

    mine: Anchors
    "The marks that this journal had when it began."
    common: Mark | None
    "The mark that both sides have."
    partner: int
    "The other side's replica."
    token: bytes
    "Of the mark that this session leaves."
    sync_type: SyncType
    "What the agreed type comes to without a common mark."
    policy: Policy
    allow_deletes: bool

    def first_scope(self, terms: Terms) -> Scope:
        """What this side shows in the first round."""
        scope = marks.scope(terms.sync_type, terms.side, self.common)
        if self.common is not None and self.sync_type not in marks.COMPARES_ALL:
            # A direction that stands at 0 shows all its rows, but those that came from this partner it has: it is the same journal still.
            return Scope(scope.send, scope.after, False)
        return scope


async def greet(dialogue: Dialogue, terms: Terms, collection: str) -> None:
    """Exchange hello.

    :raises SessionError: `protocol-version`.
    :raises ProtocolError: it is about something else.
    """
    client = terms.side is Side.CLIENT
    hello = messages.Hello(messages.PROTOCOL, messages.FEATURES, terms.session, collection, terms.token if client else None)
    if client:
        dialogue.say(hello)
    heard: messages.Hello = await dialogue.hear(messages.Hello)
    if heard.protocol != messages.PROTOCOL:
        raise SessionError("The two devices run versions of twsync that do not fit; bring both up to date.", "protocol-version")
    if (heard.session, heard.collection) != (terms.session, collection):
        raise ProtocolError("a hello for another session")
    if not client:
        dialogue.say(hello)
    dialogue.zstd = "zstd" in heard.features
    dialogue.ahead = "ahead" in heard.features


async def exchange_open(dialogue: Dialogue, terms: Terms, rows: CollectionJournal, known: tuple[Anchors, int], proposal: bytes) -> Opened:
    """Exchange open.

    :param known: the anchors that the journal has for the partner, and how many of its rows are live.
    :param proposal: a random token for the next mark; the client's is taken.
    :raises SessionError: `same-journal`.
    :raises ProtocolError: it is not what the INVITE agreed on.
    """
    mine, live = known
    dialogue.say(messages.Open(rows.replica, tuple(mine.tokens()), terms.sync_type, terms.policy, proposal, live, terms.allow_deletes))
    heard: messages.Open = await dialogue.hear(messages.Open)
    if heard.sync_type is not terms.sync_type:
        raise ProtocolError("another sync type than the INVITE agreed on")
    if heard.replica == rows.replica:
        raise SessionError(
            "Both devices have the same journal: the state folder of one was copied to the other. On one of them remove the "
            "collection and add it again; nothing is deleted then.",
            "same-journal",
        )
    server = terms.side is Side.SERVER
    common = marks.agree(mine, heard.replica, heard.anchors)
    return Opened(
        mine=mine,
        common=common,
        partner=heard.replica,
        token=heard.next if server else proposal,
        sync_type=marks.effective(terms.sync_type, common),
        policy=heard.policy if server else terms.policy,
        allow_deletes=terms.allow_deletes or (server and terms.heed_caller and heard.allow_deletes),
    )
