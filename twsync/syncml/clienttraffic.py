"""The changes and maps of one datastore in a client's session, both ways, with their counts (packages 3 to 5).

Errors of the store leave these methods as they are raised; `clientstore` ends the datastore then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from twsync import limits
from twsync.errors import TwsyncError
from twsync.reconcile.model import SyncType
from twsync.syncml.clientcourse import Course
from twsync.syncml.clientresult import NO_ANSWER, Tally
from twsync.syncml.codes import CHALLENGES, FULL, StatusCode, succeeded
from twsync.syncml.datastore import Action, Datastore, Outgoing
from twsync.syncml.document import Change, Cred, Item, Location, Map, MapItem, Status, Sync
from twsync.syncml.outbox import Outbox
from twsync.syncml.receiving import ChangeReceiver, Received
from twsync.syncml.references import Awaited, status
from twsync.syncml.sending import Answer, ChangeSender, sync_element


class ServerAbilities(msgspec.Struct, frozen=True):
    """What is known of the server, as far as it concerns changes."""

    twsync: bool = False
    large_objects: bool = False
    number_of_changes: bool = False
    max_object: int | None = None
    "MaxObjSize of its header."


class Traffic:
    """See the module. Made when the course is settled; the store is told to begin.

    :param uri: the server's datastore.
    :param name: the own one.
    :param on_sync: told the Status of an own Sync.
    :param on_error: told that the store did not take an answer.
    :param on_challenge: told the Status of a change for which the server wants credentials.
    :param creds: what goes with each Sync, and with each change.
    """

    def __init__(
        self,
        store: Datastore,
        uri: str,
        name: str,
        course: Course,
        resumed: bool,
        server: ServerAbilities,
        tally: Tally,
        on_sync: Answer,
        on_error: Callable[[TwsyncError], None],
        on_challenge: Callable[[Status], None],
        creds: tuple[Cred | None, Cred | None],
    ) -> None:
        self._store = store
        self._uri = uri
        self._name = name
        self._on_error = on_error
        self._on_challenge = on_challenge
        self._course = course
        self._tally = tally
        self._full = FULL[course.begin] is course.begin
        self._open: dict[str, None] = {}
        "Keys of own changes without an answer."
        self._expected: int | None = None
        self._came = 0
        self._failed = 0
        self._syncs = 0
        self._added: set[str] = set()
        self._mapped: set[tuple[str, str]] = set()
        store.begin(course.begin, resumed)
        count = store.count() if course.sends else 0
        self._receiver = ChangeReceiver(store, from_server=True, twsync=server.twsync)
        self._sender = ChangeSender(
            store,
            msgspec.structs.replace(sync_element(uri, name, count if server.number_of_changes else None), cred=creds[0]),
            from_server=False,
            twsync=server.twsync,
            max_object=server.max_object,
            large_objects=server.large_objects,
            on_sync=on_sync,
            changes=self._given(store.changes()) if course.sends else None,
            on_skip=self._skipped,
            on_sent=self._answered,
            on_error=on_error,
            cred=creds[1],
        )

    # --- own changes ---------------------------------------------------------------------------------------------------------------

    def fill(self, outbox: Outbox, awaited: Awaited[Answer]) -> bool:
        """Write own changes; see `ChangeSender.fill`."""
        return self._sender.fill(outbox, awaited)

    def lost(self, name: str) -> None:
        """Alert 223 of the server."""
        self._sender.lost(name)

    def unanswered(self) -> None:
        """No more answers will come."""
        for key in self._open:
            self._tally.skip(key, NO_ANSWER)
        self._open.clear()

    # --- the server's --------------------------------------------------------------------------------------------------------------

    @property
    def silent(self) -> bool:
        """Whether nothing comes from the server: not even an empty Sync, in a session that is one way from here."""
        return not self._course.takes and not self._syncs

    def receive(self, sync: Sync, msg_ref: str) -> Received:
        """Carry out a Sync of the server."""
        self._syncs += 1
        if self._expected is None:
            self._expected = sync.number_of_changes
        if not self._course.takes:
            return Received(refused(sync, msg_ref, StatusCode.OK, StatusCode.RETRY_LATER), [])
        received = self._receiver.receive(sync, msg_ref)
        for change, outcome in received.carried_out:
            if change.action is Action.ADD:
                self._added.add(change.id)
            self._tally.received(change.id, change.action, change.record, outcome.status, slow=self._full, text=outcome.text)
        self._came += len(received.carried_out)
        self._failed += received.failed
        return received

    def package_over(self) -> Item | None:
        """The server says that its package is over.

        :returns: a large object whose end did not come (Alert 223).
        """
        lost = self._receiver.abandon()
        self._failed += lost is not None
        return lost

    def complete(self) -> bool:
        """The session is at its end: tell the store that the server's changes are complete; a refresh deletes here what the server has not.

        :returns: False, and nothing was done: it is a refresh, and not every change came and was taken.
        """
        if self._full:
            # Pairs of earlier sessions: the server has put away the map that they belong to.
            void = [pair for pair in self._store.maps() if pair[0] not in self._added]
            if void:
                self._store.maps_confirmed(void)
        if not self._course.takes:
            return True
        missing = self._expected is not None and self._came < self._expected
        if self._course.begin is SyncType.REFRESH_FROM_SERVER and (not self._syncs or missing or self._failed):
            return False
        self._store.received_all()
        return True

    # --- maps ----------------------------------------------------------------------------------------------------------------------

    def write_maps(self, outbox: Outbox, awaited: Awaited[Answer]) -> bool:
        """Write the pairs (GUID, LUID) that the server has not been told in this session.

        In a full session the server has put its map away, and may give an old GUID to another item: only what came now is told.

        :returns: whether all are written.
        """
        told = [pair for pair in self._store.maps() if pair not in self._mapped and (pair[0] in self._added or not self._full)]
        while told:
            most = min(len(told), limits.MAX_CLIENT_MAP)
            command = self._map(told[:most])
            while most > 1 and (size := outbox.measure(command)) > outbox.room:
                most = max(1, min(most - 1, most * max(outbox.room, 0) // size))
                command = self._map(told[:most])
            written = outbox.add(command)
            if written is None:
                return False
            self._mapped.update(told[:most])
            awaited.sent(outbox.header.msg_id, written, self._map_answer(told[:most]))
            told = told[most:]
        return True

    def _map(self, pairs: Sequence[tuple[str, str]]) -> Map:
        items = tuple(MapItem(target=guid, source=luid) for guid, luid in pairs)
        return Map(cmd_id="", target=Location(self._uri), source=Location(self._name), items=items)

    def _map_answer(self, pairs: Sequence[tuple[str, str]]) -> Answer:
        """What to do with the Status of a Map. A server that does not know a GUID will not know it the next time either."""

        def answered(_: Status, code: int) -> None:
            if succeeded(code) or code == StatusCode.NOT_FOUND:
                try:
                    self._store.maps_confirmed(pairs)
                except TwsyncError as error:
                    self._on_error(error)

        return answered

    # --- inside --------------------------------------------------------------------------------------------------------------------

    def _given(self, changes: Iterator[Outgoing]) -> Iterator[Outgoing]:
        for change in changes:
            self._open[change.key] = None
            yield change

    def _skipped(self, change: Outgoing, reason: str) -> None:
        self._open.pop(change.key, None)
        self._tally.skip(change.key, reason)

    def _answered(self, change: Outgoing, answer: Status, code: int) -> None:
        self._open.pop(change.key, None)
        if code in CHALLENGES:
            self._on_challenge(answer)
        text = next((item.data for item in answer.items if isinstance(item.data, str)), "")
        self._tally.sent(change.key, change.action, change.record, code, slow=self._full, text=text)


def refused(sync: Sync, msg_ref: str, code: StatusCode, inner: StatusCode) -> list[Status]:
    """The Statuses of a Sync that is not carried out: `code` for itself, `inner` for what stands in it."""
    if sync.no_resp:
        return []
    statuses = [status(msg_ref, sync, code)]
    for command in sync.commands:
        if not command.no_resp:
            items = command.items if isinstance(command, Change) and command.items else (None,)
            statuses += [status(msg_ref, command, inner, item) for item in items]
    return statuses
