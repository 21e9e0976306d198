"""One datastore in a client's session: from its Alert to its commit.

What the store raises ends this datastore, never the session; but for one case, see `ClientStore.fill`.
"""

from __future__ import annotations

from twsync.errors import SessionError, TwsyncError
from twsync.reconcile.model import SyncType
from twsync.syncml.anchors import own_anchor
from twsync.syncml.clientaccess import Access, Credentials
from twsync.syncml.clientcourse import Course, Turn, course, full
from twsync.syncml.clientrefusals import store_error
from twsync.syncml.clientresult import NO_ANSWER, Error, StoreResult, Tally
from twsync.syncml.clientsetup import Wanted
from twsync.syncml.clienttraffic import ServerAbilities, Traffic, refused
from twsync.syncml.codes import ALERTS, CHALLENGES, FULL, SYNC_TYPES, AlertCode, StatusCode, succeeded
from twsync.syncml.datastore import Anchors, Datastore, Datastores, Peer
from twsync.syncml.document import Alert, Anchor, Item, Location, Meta, Protocol, Status, Sync
from twsync.syncml.outbox import Outbox
from twsync.syncml.references import Awaited
from twsync.syncml.sending import Answer

#: Sync types that can go on where they were cut; a full one begins anew.
_RESUMABLE = frozenset({SyncType.TWO_WAY, SyncType.ONE_WAY_FROM_CLIENT, SyncType.ONE_WAY_FROM_SERVER})


class ClientStore:
    """See the module."""

    def __init__(self, wanted: Wanted, datastores: Datastores, credentials: Credentials | None = None) -> None:
        """Of a session.

        :param credentials: of the session, for a datastore that has none of its own.
        """
        self.wanted = wanted
        self.access = Access(wanted.credentials or credentials, eager=False)
        self.again = False
        "The server wants credentials with the Sync or with changes: another session goes on with them."
        self._items_prove = False
        self._protocol = Protocol.V1_2
        self.error: Error | None = None
        self.course: Course | None = None
        self.restart = False
        "Only a new session helps."
        self.turned_down = False
        "The server's Alert was refused here: it has to hear so."
        self._datastores = datastores
        self._datastore: Datastore | None = None
        self._twsync = False
        self._slow_instead = False
        self._no_resume = False
        self._anchors = Anchors()
        self._alerted = AlertCode.TWO_WAY
        self._status: int | None = None
        self._next = ""
        self._remote: str | None = None
        self._max_object: int | None = None
        self._resumed = False
        self._tally = Tally()
        self._traffic: Traffic | None = None
        self._done = False

    @property
    def in_full_session(self) -> bool | None:
        """Whether it has begun to compare everything (True), or has done so to the end (False); None: neither."""
        if self._traffic is None or self.course is None or FULL[self.course.begin] is not self.course.begin:
            return None
        return not self._done

    @property
    def alive(self) -> bool:
        """Whether the datastore still takes part."""
        return self.error is None

    @property
    def busy(self) -> bool:
        """Whether the server has no time for it now."""
        return self.error is not None and self.error.code == "busy"

    def fail(self, error: Error) -> None:
        """The datastore ends; the first reason stands."""
        if self.error is None:
            self.error = error

    # --- packages 1 and 2 ----------------------------------------------------------------------------------------------------------

    def open(self, peer: Peer, unfinished: bool) -> None:
        """Open the own datastore, or open it again with what is known now of the server.

        :param unfinished: the last full session was cut: what it left behind at a stock server is put right by another one only, so no
            anchor holds. A twsync server keeps its map until a session has ended well.
        """
        if not self.alive:
            return
        self._twsync = peer.twsync
        self.close()
        try:
            self._datastore = self._datastores.open(self.wanted.name, peer)
            self._anchors = self._datastore.anchors if peer.twsync or not unfinished else Anchors()
        except TwsyncError as error:
            self.fail(Error.of(error))

    def alert(self, now: float, protocol: Protocol) -> Alert | None:
        """The Alert of package 1; None: the datastore takes no part."""
        self.restart, self.course, self._status = False, None, None
        self._protocol = protocol
        self._alerted = self._code(protocol)
        if self._alerted is AlertCode.SLOW and self._forbids_slow:
            self.fail(self._slow_refused())
        if not self.alive:
            return None
        self._next = own_anchor(now, self._anchors.own)
        meta = Meta(anchor=Anchor(next=self._next, last=self._anchors.own))
        item = Item(target=Location(self.wanted.uri), source=Location(self.wanted.name), meta=meta)
        return Alert(cmd_id="", code=str(int(self._alerted)), items=(item,), cred=self.access.cred(protocol))

    def alert_answered(self, answer: Status, code: int) -> None:
        """The Status of the Alert."""
        self._status = code
        if succeeded(code):
            self.access.accepted(code, answer.chal)
        elif code in CHALLENGES and self.access.challenged(answer.chal):
            self.restart = True
        elif code == StatusCode.NOT_SUPPORTED and self._alerted is AlertCode.RESUME:
            self._no_resume = self.restart = True
        elif code not in (StatusCode.REFRESH_REQUIRED, StatusCode.CANNOT_RESUME):
            self.fail(store_error(answer, code, self.wanted.uri))

    def told(self, code: int, item: Item) -> StatusCode:
        """The server's own Alert.

        :returns: the status to answer with.
        """
        sync_type = self.wanted.sync_type if code == AlertCode.RESUME else SYNC_TYPES.get(code)
        if sync_type is None:
            return StatusCode.NOT_SUPPORTED
        if not self.alive or self.restart or self._traffic is not None:
            return StatusCode.NOT_ALLOWED
        answer = StatusCode.OK
        if item.meta is not None:
            self._max_object = item.meta.max_obj_size or self._max_object
        if item.meta is not None and item.meta.anchor is not None:
            anchor = item.meta.anchor
            self._remote = anchor.next
            strange = anchor.last and self._anchors.remote and anchor.last != self._anchors.remote
            if strange and sync_type is self.wanted.sync_type is SyncType.TWO_WAY:
                # The server takes another session for the last one than we do, and has not noticed.
                sync_type, answer = SyncType.SLOW, StatusCode.REFRESH_REQUIRED
        self._resumed = self._alerted is AlertCode.RESUME and sync_type is not SyncType.SLOW
        self._turn(course(self.wanted.sync_type, sync_type, self._anchors.own is not None))
        self.turned_down = not self.alive
        return answer if self.alive else StatusCode.FORBIDDEN

    def settle(self) -> None:
        """Package 2 is complete: what the server did not say is as it was asked for, if it did not refuse."""
        if not self.alive or self.restart or self.course is not None:
            return
        if self._status is None:
            self.fail(Error(NO_ANSWER, f"The server does not say a word about {self.wanted.uri}; check the name."))
        elif succeeded(self._status):
            told = SyncType.SLOW if self._alerted is AlertCode.SLOW else self.wanted.sync_type
            self._turn(course(self.wanted.sync_type, told, self._anchors.own is not None))
        else:
            self._turn(Turn.SLOW_INSTEAD)

    # --- packages 3 to 5 -----------------------------------------------------------------------------------------------------------

    def begin(self, server: ServerAbilities) -> None:
        """Start: the store looks for changes.

        :param server: its `max_object` gives way to what the server's Alert said.
        """
        if self.alive and self.course is not None and self._datastore is not None:
            cred = self.access.cred(self._protocol)
            abilities = ServerAbilities(
                server.twsync, server.large_objects, server.number_of_changes, self._max_object or server.max_object
            )
            try:
                self._traffic = Traffic(
                    self._datastore,
                    self.wanted.uri,
                    self.wanted.name,
                    self.course,
                    self._resumed,
                    abilities,
                    self._tally,
                    on_sync=self._sync_answered,
                    on_error=lambda error: self.fail(Error.of(error)),
                    on_challenge=self._change_challenged,
                    creds=(cred, cred if self._items_prove else None),
                )
            except TwsyncError as error:
                self.fail(Error.of(error))

    def fill(self, outbox: Outbox, awaited: Awaited[Answer]) -> bool:
        """Write own changes; see `ChangeSender.fill`.

        :raises SessionError: the store failed in a refresh from this client: the server would take what was written for all that there
            is, and delete the rest. Only the end of the whole session keeps it from that.
        """
        if not self.alive or self._traffic is None:
            return True
        try:
            return self._traffic.fill(outbox, awaited)
        except TwsyncError as error:
            self.fail(Error.of(error))
            if self.course is not None and self.course.begin is SyncType.REFRESH_FROM_CLIENT:
                raise SessionError(f"{error.message} The session was ended, so that the server deletes nothing.", error.code) from error
            return True

    def lost(self, name: str) -> None:
        """Alert 223 of the server."""
        if self._traffic is not None:
            self._traffic.lost(name)

    def receive(self, sync: Sync, msg_ref: str) -> tuple[list[Status], list[Item]]:
        """A Sync of the server.

        :returns: the Statuses; and the large objects whose end did not come (Alert 223).
        """
        if not self.alive or self._traffic is None:
            code = StatusCode.NOT_FOUND if self.course is None else StatusCode.DATASTORE_FAILURE
            return refused(sync, msg_ref, code, code), []
        received = self._traffic.receive(sync, msg_ref)
        if received.failure is not None:
            self.fail(Error.of(received.failure))
        return received.statuses, received.lost

    @property
    def silent(self) -> bool:
        """Whether nothing came from the server, and nothing had to."""
        return self.alive and self._traffic is not None and self._traffic.silent

    def package_over(self) -> Item | None:
        """The server says that its package is over; a large object whose end did not come (Alert 223).

        :raises SessionError: a twsync server has said everything, and the guard of a refresh stops the session: before the own last
            package, so that the server's anchors do not move either. (Of other servers it is not known whether more comes.)
        """
        if self._traffic is None:
            return None
        lost = self._traffic.package_over()
        if self.alive and self._twsync and self._datastore is not None:
            try:
                self._datastore.may_replace()
            except SessionError as error:
                self.fail(Error.of(error))
                raise
        return lost

    def write_maps(self, outbox: Outbox, awaited: Awaited[Answer]) -> bool:
        """Write what the server has not been told of the map; whether all is written."""
        if not self.alive or self._traffic is None:
            return True
        try:
            return self._traffic.write_maps(outbox, awaited)
        except TwsyncError as error:
            self.fail(Error.of(error))
            return True

    # --- the end -------------------------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """The session went to its end: a refresh deletes what the server does not have; anchors and maps hold from now on."""
        datastore, traffic = self._datastore, self._traffic
        if not self.alive or datastore is None or traffic is None:
            return
        try:
            if traffic.complete():
                datastore.commit(Anchors(own=self._next, remote=self._remote))
                self._done = True
            else:
                self.fail(Error("incomplete", f"Not everything of {self.wanted.uri} came, so nothing was deleted here; try again."))
        except TwsyncError as error:
            self.fail(Error.of(error))

    def close(self) -> None:
        """Let go of the own datastore; without `finish` before it, the next session goes on from here."""
        if self._datastore is not None:
            datastore, self._datastore = self._datastore, None
            try:
                datastore.close()
            except TwsyncError as error:
                self.fail(Error.of(error))

    def result(self) -> StoreResult:
        """What came of it."""
        if self._traffic is not None:
            self._traffic.unanswered()
        sent, received, conflicts, skipped = self._tally.counts()
        return StoreResult(
            name=self.wanted.name,
            uri=self.wanted.uri,
            asked=self.wanted.sync_type,
            effective=self.course.begin if self._traffic is not None and self.course is not None else None,
            done=self._done and self.alive,
            sent=sent,
            received=received,
            conflicts=conflicts,
            skipped=skipped,
            error=self.error,
        )

    # --- inside --------------------------------------------------------------------------------------------------------------------

    @property
    def _forbids_slow(self) -> bool:
        return self.wanted.sync_type is not SyncType.SLOW and not self.wanted.allow_slow

    def _code(self, protocol: Protocol) -> AlertCode:
        """What the Alert asks for."""
        wanted, met = self.wanted, self._anchors.own is not None
        if self._slow_instead or (wanted.sync_type is SyncType.TWO_WAY and not met):
            return AlertCode.SLOW
        if wanted.sync_type is SyncType.ONE_WAY_FROM_CLIENT and not met and not self._twsync:
            # A stock server would make a refresh of it.
            return AlertCode.SLOW
        if wanted.resume and not self._no_resume and protocol is Protocol.V1_2 and wanted.sync_type in _RESUMABLE and met:
            return AlertCode.RESUME
        return ALERTS[wanted.sync_type]

    def _turn(self, found: Course | Turn) -> None:
        wanted = self.wanted
        if found is Turn.SLOW_INSTEAD and self._twsync and wanted.sync_type is SyncType.ONE_WAY_FROM_CLIENT:
            # A twsync server deletes nothing for a refresh that was not asked for (docs/protocol/syncml.md).
            found = Course(SyncType.SLOW, sends=True, takes=False)
        if full(found) and self._forbids_slow:
            self.fail(self._slow_refused())
        elif isinstance(found, Course):
            self.course = found
        elif found is Turn.SLOW_INSTEAD and not self._slow_instead:
            self._slow_instead = self.restart = True
        else:
            self.fail(
                Error("refused", f"The server wants another sync type than {wanted.sync_type} for {wanted.uri}; run a slow sync first.")
            )

    def _slow_refused(self) -> Error:
        return Error(
            "slow-sync-refused",
            f"This device and the server have no common starting point for {self.wanted.uri}, so everything would be compared; "
            "allow that, or ask for a slow sync.",
        )

    def anew(self) -> ClientStore:
        """The same datastore in another session, with the credentials that the server asked for in this one."""
        made = ClientStore(self.wanted, self._datastores)
        made.access, made._items_prove = self.access, self._items_prove
        return made

    def _change_challenged(self, answer: Status) -> None:
        if not self.again and self.access.challenged(answer.chal):
            self.again = self._items_prove = True

    def _sync_answered(self, answer: Status, code: int) -> None:
        if succeeded(code):
            self.access.accepted(code, answer.chal)
        elif code in CHALLENGES and not self.again and self.access.challenged(answer.chal):
            self.again = True
        if not succeeded(code) and code != StatusCode.IN_PROGRESS:
            self.fail(store_error(answer, code, self.wanted.uri))
