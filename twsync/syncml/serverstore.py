"""One datastore in a server's session: from the client's Alert to the commit."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from twsync import limits
from twsync.errors import TwsyncError
from twsync.reconcile.model import SyncType
from twsync.syncml.anchors import Decision
from twsync.syncml.codes import ALERTS, FROM_SERVER, FULL, StatusCode, succeeded
from twsync.syncml.datastore import Anchors, Datastore
from twsync.syncml.document import Alert, Anchor, Change, Command, Item, Location, Map, Meta, Status, Sync
from twsync.syncml.outbox import Outbox
from twsync.syncml.packages import ALIVE, Course, Event, Stage
from twsync.syncml.receiving import ChangeReceiver, CheckCred, Received
from twsync.syncml.references import Awaited
from twsync.syncml.sending import SKIP_STATUS, Answer, ChangeSender, sync_element

#: Statuses for the errors of a store, by their codes; any other is 510.
ERROR_STATUS: dict[str, StatusCode] = {
    "not-found": StatusCode.NOT_FOUND,
    "not-allowed": StatusCode.FORBIDDEN,
    "busy": StatusCode.UNAVAILABLE,
}


def error_status(error: TwsyncError) -> StatusCode:
    """The status that tells an error of a store."""
    return ERROR_STATUS.get(error.code, StatusCode.DATASTORE_FAILURE)


class Partner(msgspec.Struct, frozen=True):
    """What the other side can do, as far as it concerns the sending of changes."""

    twsync: bool = False
    large_objects: bool = False
    number_of_changes: bool = False


class ServerStore:
    """See the module.

    :param name: the collection's own name.
    :param uri: the address as the client spelled it: echoed everywhere.
    :param client_uri: the client's datastore.
    :param decision: what the anchors decided; its `sync_type` is there.
    :param own_next: the own Next anchor of this session.
    :param client_next: the client's Next; None: it sent none, and the next session will be slow.
    :param max_object: bytes of the largest object that the client takes.
    :param since: when the session took it, in seconds since 1970.
    """

    def __init__(
        self,
        name: str,
        uri: str,
        client_uri: str,
        datastore: Datastore,
        decision: Decision,
        own_next: str,
        client_next: str | None,
        max_object: int | None,
        since: float,
    ) -> None:
        self.name = name
        self.uri = uri
        self.client_uri = client_uri
        self.course = Course()
        self.since = since
        self.failure: str = ""
        "Why it is dead; empty: it is not."
        self._datastore = datastore
        self._decision = decision
        self._type = decision.sync_type or SyncType.SLOW
        self._anchors = Anchors(own=own_next, remote=client_next)
        self._last = datastore.anchors.own
        self._max_object = max_object
        self._receiver: ChangeReceiver | None = None
        self._sender: ChangeSender | None = None
        self._expected: int | None = None
        self._received = 0
        self._closed = False

    @property
    def begun(self) -> bool:
        """Whether the store was told the kind of the session: from then on it is not exchanged."""
        return self._receiver is not None

    @property
    def alive(self) -> bool:
        """Whether it can still come to a good end."""
        return self.course.stage in ALIVE

    @property
    def sync_type(self) -> SyncType:
        """The effective one."""
        return self._type

    def alert(self) -> Alert:
        """The own Alert, with the effective type and the own anchors."""
        anchor = Anchor(next=self._anchors.own or "", last=self._last)
        item = Item(
            target=Location(uri=self.client_uri),
            source=Location(uri=self.uri),
            meta=Meta(anchor=anchor, max_obj_size=limits.MAX_OBJECT),
        )
        return Alert(cmd_id="", code=str(int(ALERTS[self._type])), items=(item,))

    def alert_answered(self, code: int) -> None:
        """The Status of the own Alert: 508 means that the client goes on with the full type at once."""
        if code == StatusCode.REFRESH_REQUIRED and not self.begun:
            self._type = FULL[self._type]
        elif code >= StatusCode.BAD_REQUEST and code != StatusCode.REFRESH_REQUIRED:
            self.fail(f"the client refused the Alert with {code}")

    def exchange(self, datastore: Datastore) -> None:
        """The client's device information came late: another opening of the store, which knows it, takes the place of the closed one."""
        self._datastore = datastore
        self._closed = False

    def receive(self, sync: Sync, msg_ref: str, partner: Partner, check: CheckCred) -> Received | StatusCode:
        """A Sync of the client; or the status with which it is refused whole.

        :raises TwsyncError: the store failed before anything was taken.
        """
        if self.course.stage is Stage.DEAD:
            return StatusCode.DATASTORE_FAILURE
        combined = self.course.stage is Stage.ALERTED
        if combined and self._decision.status is not StatusCode.OK:
            # Sent before the client could know that another type is needed: it is not what that type asks for.
            return StatusCode.REFRESH_REQUIRED
        if not self.course.allows(Event.SYNC):
            late_and_empty = not sync.commands and self.alive
            return StatusCode.OK if late_and_empty else StatusCode.NOT_ALLOWED
        self.course.happens(Event.SYNC)
        receiver = self._begin(partner)
        if sync.number_of_changes is not None and self._expected is None:
            self._expected = sync.number_of_changes
        if sync.meta is not None and sync.meta.max_obj_size:
            self._max_object = sync.meta.max_obj_size
        self._received += sum(1 for command in sync.commands if isinstance(command, Change) for item in command.items if not item.more_data)
        received = receiver.receive(sync, msg_ref, check)
        if received.failure is not None:
            self.fail(received.failure.message)
        return received

    def expects_more(self) -> bool:
        """Whether the client said that it has more changes than came: some send Final with every message."""
        return self.course.stage is Stage.TAKING and self._expected is not None and self._received < self._expected

    def package_over(self, partner: Partner) -> Item | None:
        """The client's package is over.

        :returns: the first chunk of an object whose end is missing, for an Alert 223.
        :raises TwsyncError: the store failed.
        """
        before = self.course.stage
        if before is Stage.READY and self._type is SyncType.REFRESH_FROM_CLIENT:
            self.fail("the client sent no Sync, and that does not mean that everything is to be deleted")
            return None
        self.course.happens(Event.FINAL)
        if self.course.stage is Stage.SENDING and before is not Stage.SENDING:
            receiver = self._begin(partner)
            lost = receiver.abandon()
            self._datastore.received_all()
            self._prepare(partner)
            return lost
        if self.course.stage is Stage.DONE and before is Stage.SENT:
            self._datastore.commit(self._anchors)
            self.close()
        return None

    def fill(self, outbox: Outbox, awaited: Awaited[Answer]) -> bool:
        """Write the own changes; see `ChangeSender.fill`.

        :raises TwsyncError: the store failed.
        """
        if self.course.stage is not Stage.SENDING or self._sender is None:
            return True
        if not self._sender.fill(outbox, _Guarded(awaited, self.fail)):
            return False
        self.course.happens(Event.WRITTEN)
        return True

    def lost(self, name: str) -> None:
        """Alert 223 of the client."""
        if self._sender is not None:
            self._sender.lost(name)

    def map(self, command: Map) -> int:
        """Take a Map; the status of the whole: 200, or that of the last pair that could not be taken.

        :raises TwsyncError: the store failed.
        """
        return take_map(self._datastore, command)

    def fail(self, reason: str) -> None:
        """The datastore is out of this session; what was taken and mapped stays, the anchors do not move."""
        if self.course.allows(Event.FAILED):
            self.course.happens(Event.FAILED)
            self.failure = reason
        self.close()

    def close(self) -> None:
        """Give the store free; nothing, if that was done."""
        if not self._closed:
            self._closed = True
            self._datastore.close()

    @property
    def closed(self) -> bool:
        """Whether the store was given free."""
        return self._closed

    def _begin(self, partner: Partner) -> ChangeReceiver:
        if self._receiver is None:
            # A one-way session without anchors asks the client for everything; but what it has not, it has not asked to be deleted.
            escalated = self._decision.status is StatusCode.REFRESH_REQUIRED and self._type is SyncType.REFRESH_FROM_CLIENT
            self._datastore.begin(SyncType.SLOW if escalated else self._type, self._decision.resumed)
            self._receiver = ChangeReceiver(self._datastore, from_server=False, twsync=partner.twsync)
        return self._receiver

    def _prepare(self, partner: Partner) -> None:
        sends = self._type in FROM_SERVER
        number = (self._datastore.count() if sends else 0) if partner.number_of_changes else None
        self._sender = ChangeSender(
            self._datastore,
            sync_element(self.client_uri, self.uri, number),
            from_server=True,
            twsync=partner.twsync,
            max_object=self._max_object,
            large_objects=partner.large_objects,
            on_sync=lambda _status, code: self._sync_answered(code),
            changes=self._datastore.changes() if sends else None,
            on_skip=lambda change, reason: self._datastore.sent(change, SKIP_STATUS[reason]),
        )

    def _sync_answered(self, code: int) -> None:
        if not succeeded(code) and code >= StatusCode.BAD_REQUEST:
            self.fail(f"the client refused the Sync with {code}")


class _Guarded(Awaited[Answer]):
    """Passes on what is awaited; a store that fails when it is told of an answer is out, and the others are not."""

    def __init__(self, awaited: Awaited[Answer], fail: Callable[[str], None]) -> None:
        super().__init__()
        self._awaited = awaited
        self._fail = fail

    def sent(self, msg_id: str, command: Command, what: Answer, cost: int = 0) -> None:
        """As `Awaited.sent`."""

        def answered(answer: Status, code: int) -> None:
            try:
                what(answer, code)
            except TwsyncError as error:
                self._fail(error.message)

        self._awaited.sent(msg_id, command, answered, cost)


def take_map(datastore: Datastore, command: Map) -> int:
    """Take the pairs of a Map into a store.

    :returns: 200, or the status of the last pair that was not taken.
    :raises TwsyncError: the store failed.
    """
    refused = [_refusal(pair.target, pair.source) for pair in command.items]
    taken = [(pair.target, pair.source) for pair, code in zip(command.items, refused, strict=True) if code is StatusCode.OK]
    said = iter(datastore.map(taken) if taken else ())
    codes = [next(said) if code is StatusCode.OK else code for code in refused]
    return next((code for code in reversed(codes) if not succeeded(code)), StatusCode.OK)


def _refusal(guid: str, luid: str) -> StatusCode:
    """The status of a pair that a store is not asked about; OK: it is."""
    if not guid or not luid:
        return StatusCode.INCOMPLETE
    return StatusCode.BAD_REQUEST if max(len(guid), len(luid)) > limits.MAX_ITEM_NAME else StatusCode.OK
