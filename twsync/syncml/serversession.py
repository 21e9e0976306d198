"""One session, as its server sees it: a message in, a message out, without I/O.

It lets the client in, has the commands carried out (`servercommands`), knows when a package is over, and writes the reply. Nothing that a
client sends raises: what is out of order is answered with a status.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from twsync import limits
from twsync.errors import SessionError
from twsync.reconcile.model import SyncType
from twsync.syncml.codes import CHALLENGES, AlertCode, StatusCode, number
from twsync.syncml.datastore import Datastores
from twsync.syncml.deviceinfo import OwnDevice
from twsync.syncml.document import (
    Alert,
    Command,
    Cred,
    Encoding,
    Header,
    Item,
    Location,
    Message,
    Meta,
    Protocol,
    Status,
    Sync,
)
from twsync.syncml.draft import Draft
from twsync.syncml.interrupted import Interrupted
from twsync.syncml.knowndevices import UNBOUNDED, Bounds, bounds
from twsync.syncml.outbox import Outbox
from twsync.syncml.packages import Stage
from twsync.syncml.ports import Accounts, Devices
from twsync.syncml.references import Awaited, header_status, status
from twsync.syncml.sending import Answer
from twsync.syncml.servercommands import ServerCommands
from twsync.syncml.servergate import Gate
from twsync.syncml.serverstore import error_status
from twsync.syncml.serverstores import Failed, ServerStores


class KnownPeer(msgspec.Struct, frozen=True):
    """A twsync host that proved who it is before it sent a message: no Cred is asked for."""

    device: str
    "``user/device``."
    account: str
    "Its user."
    sync_type: SyncType | None = None
    "What the two have agreed on, in terms of SyncML's client; None: any."


class Reply(msgspec.Struct, frozen=True):
    """A message to send back."""

    body: bytes
    content_type: str
    datastores: Datastores | None = None
    "What its session may reach; None: the client was not let in."


class ServerSession:
    """See the module. Not to be called by two threads at a time.

    :param own: what the device information says of this host.
    :param accounts: whom it knows, and which collections they may reach.
    :param devices: where device information is kept.
    :param gate: checks credentials.
    :param peer: a twsync host; None: the client has to send credentials.
    :param interrupted: what sessions that broke were begun as.
    :param resp_uri: where the client is told to send its next messages; None: it is not told.
    :param set_free: asked to end other sessions that have a datastore; whether it did.
    """

    def __init__(
        self,
        own: OwnDevice,
        accounts: Accounts,
        devices: Devices,
        gate: Gate,
        peer: KnownPeer | None,
        interrupted: Interrupted,
        resp_uri: str | None,
        set_free: Callable[[str], bool],
    ) -> None:
        self._own = own
        self._accounts = accounts
        self._devices = devices
        self._gate = gate
        self._known = peer
        self._interrupted = interrupted
        self._resp_uri = resp_uri
        self._set_free = set_free
        self._account: str | None = None
        self._device = ""
        self._device_uri = ""
        self._header: Header
        self._failures = 0
        self._stores: ServerStores | None = None
        self.datastores: Datastores | None = None
        "What it may reach; None: the client was not let in yet."
        self._commands: ServerCommands | None = None
        self._statuses: deque[Status] = deque()
        self._awaited: Awaited[Answer] = Awaited()
        self._sent_messages = 0
        self._heard = 0
        self._max_message = 0
        self._max_object: int | None = None
        self._client_over = False
        self._early_final = False
        self._now = 0.0
        self._origin = ""
        self._moved = 0.0
        self._proof: Cred | None = None
        "Of this host, for the next message."
        self._encoding = Encoding.XML
        self.over = False
        "Whether it has come to its end; it still answers what may come late."

    @property
    def account(self) -> str | None:
        """Who the client is, once it was let in."""
        return self._account

    def holds(self, name: str) -> bool:
        """Whether it has a datastore open. (Also while another thread is at work in it.)"""
        return any(store.name == name and not store.closed for store in tuple(self._stores or ()))

    @property
    def moved(self) -> float:
        """When a message last got it on: not by Alert 222, nor by the Status of a header."""
        return self._moved

    def gives_way(self, name: str, now: float) -> bool:
        """Whether it has a datastore open, and to let go of it if somebody else wants it: it does not get on, or has had it for long."""
        held = [store.since for store in tuple(self._stores or ()) if store.name == name and not store.closed]
        return bool(held) and (now - self._moved >= limits.SYNCML_QUIET or now - min(held) >= limits.SYNCML_LONGEST_HOLD)

    @property
    def results(self) -> list[tuple[str, Stage, str]]:
        """Name, stage and reason of failure of each datastore, for logs and tests."""
        return [(store.name, store.course.stage, store.failure) for store in self._stores or ()]

    def deal_with(self, message: Message, encoding: Encoding, now: float, nonce: bytes, origin: str) -> Reply | None:
        """Deal with a message.

        :param now: seconds since 1970.
        :param nonce: `limits.NONCE_BYTES` fresh random bytes.
        :param origin: the address that it comes from.
        :returns: the reply to a message that is refused; None: `reply` gives it.
        """
        self._header, self._encoding, self._now, self._origin = message.header, encoding, now, origin
        meta = message.header.meta
        if meta is not None:
            self._max_message = meta.max_msg_size or self._max_message
            self._max_object = meta.max_obj_size or self._max_object
        code, chal = self._enter(message.header, nonce)
        stores, work = self._stores, self._commands
        if stores is None or work is None or code >= StatusCode.BAD_REQUEST:
            return self._refuse(message, code, chal)
        if not message.header.no_resp:
            # Before those of earlier messages that found no room.
            self._statuses.appendleft(header_status(message.header, code, chal=chal))
        self._answer_challenge(message)
        moved = len(self._statuses) > 1 or any(_brings(command) for command in message.body)
        for command in message.body:
            what = self._awaited.answered(command) if isinstance(command, Status) else None
            if what is not None and isinstance(command, Status):
                moved = True
                what(command, number(command.code))
        if moved:
            self._moved = now
        self._statuses.extend(self._challenging(work.carry_out(message, encoding, now, self._max_object), message.header, nonce))
        while len(self._statuses) > limits.MAX_WAITING_STATUSES:
            self._statuses.pop()
        self._end_package(stores, work, message)
        return None

    def busy(self, header: Header, encoding: Encoding) -> Reply | None:
        """The reply to a message that another thread is still dealing with: 101 and no Final, so that the client asks with Alert 222.

        What is owed to the message comes with a later reply. To be called once a message, and not while `reply` is at work.

        :param header: of that message.
        :returns: None: the client was not let in yet.
        """
        if self._account is None:
            return None
        outbox = self._outbox(header, encoding, self._resp_uri)
        outbox.add(header_status(header, StatusCode.IN_PROGRESS))
        return Reply(outbox.encoded(final=False), encoding.value)

    def close(self) -> None:
        """Give up: what was taken and mapped stays, the anchors do not move."""
        self.over = True
        if self._stores is not None:
            self._stores.fail("the session was not finished")

    # --- letting in ----------------------------------------------------------------------------------------------------------------

    def _enter(self, header: Header, nonce: bytes) -> tuple[StatusCode, Meta | None]:
        """The status of the header, and a challenge; from 400 on nothing of the message is dealt with."""
        if header.foreign:
            domain = header.foreign.upper().startswith(("DM/", "SYNCML/"))
            return (StatusCode.PROTOCOL_NOT_SUPPORTED if domain else StatusCode.VERSION_NOT_SUPPORTED), None
        heard = number(header.msg_id)
        too_long = max(len(header.source.uri), len(header.session_id)) > limits.MAX_SYNCML_NAME
        if too_long or heard <= self._heard or (self._account is not None and header.source.uri != self._device_uri):
            return StatusCode.BAD_REQUEST, None
        self._heard = heard
        if self._sent_messages >= limits.MAX_SYNCML_MESSAGES:
            self.close()
            return StatusCode.OPERATION_CANCELLED, None
        if self._account is not None:
            return StatusCode.OK, None
        if self._known is not None:
            self._let_in(self._known.account, self._known.device, header)
            return StatusCode.AUTHENTICATED, None
        verdict = self._gate.admit(header, self._now, nonce, self._origin)
        if verdict.account is None:
            self._failures += 1
            self.over = self._failures >= limits.SYNCML_SESSION_FAILURES
            return verdict.code, verdict.chal
        self._let_in(verdict.account, header.source.uri, header)
        return verdict.code, verdict.chal

    def _let_in(self, account: str, device: str, header: Header) -> None:
        self._account, self._device, self._device_uri = account, device, header.source.uri
        twsync = self._known is not None
        agreed = self._known.sync_type if self._known is not None else None
        self.datastores = self._accounts.datastores(account, device, twsync)
        known = self._devices.load(account, device)
        self._stores = ServerStores(self.datastores, account, device, twsync, known, self._interrupted, self._set_free, agreed)
        self._commands = ServerCommands(self._own, self._stores, self._devices, account, device, self._check)

    def _answer_challenge(self, message: Message) -> None:
        """The client wants this host to prove itself: the Status of our header says so."""
        for command in message.body:
            if isinstance(command, Status) and command.cmd_ref == "0" and command.chal is not None and number(command.code) in CHALLENGES:
                if self._known is None and self._account is not None:
                    self._proof = self._gate.prove(command.chal, message.header, self._account)
                return

    def _check(self, cred: Cred, header: Header) -> StatusCode | None:
        if self._known is not None or self._account is None:
            return None
        return self._gate.confirm(cred, header, self._account, self._now, self._origin)

    def _challenging(self, owed: list[Status], header: Header, nonce: bytes) -> list[Status]:
        """Statuses of commands; those whose Cred did not hold get a challenge."""
        wrong = str(int(StatusCode.WRONG_CREDENTIALS))
        if self._account is None or not any(one.code == wrong for one in owed):
            return owed
        chal = self._gate.challenge(header, self._account, nonce)
        return [msgspec.structs.replace(one, chal=chal) if one.code == wrong else one for one in owed]

    def _refuse(self, message: Message, code: StatusCode, chal: Meta | None) -> Reply:
        """Nothing is dealt with: every command gets the status of the header, and no RespURI is given away."""
        header = message.header
        outbox = self._outbox(header, self._encoding, None)
        if not header.no_resp:
            outbox.add(header_status(header, code, chal=chal))
            for command in message.body:
                if not isinstance(command, Status) and outbox.add(status(header.msg_id, command, code)) is None:
                    break
        return Reply(outbox.encoded(final=True), self._encoding.value)

    # --- answering -----------------------------------------------------------------------------------------------------------------

    def _end_package(self, stores: ServerStores, work: ServerCommands, message: Message) -> None:
        """Whether the client's package is over, and what follows from it."""
        changes = any(isinstance(command, Sync) for command in message.body)
        over = message.final or (self._early_final and not changes)
        if self._client_over or not over or work.suspended:
            return
        # Some say Final with every message; but what was told and cannot be sent (too large) will never come.
        self._early_final = changes and stores.waits_for_changes()
        if self._early_final:
            return
        self._client_over = True
        lost, failed = stores.package_over()
        work.report_lost(lost)
        self._tell(failed)
        if self._known is None:
            work.ask_device(message.header.protocol)

    def _tell(self, failed: Sequence[Failed]) -> None:
        """Statuses that were good are not: of the Sync whose changes were not taken as a whole, of the header of what was not committed."""
        for each in failed:
            text = (Item(data=each.error.message),) if isinstance(each.error, SessionError) else ()
            for place, owed in enumerate(self._statuses):
                if each.ending and owed.cmd == "SyncHdr":
                    self._statuses[place] = msgspec.structs.replace(owed, code=str(int(StatusCode.SERVER_FAILURE)))
                elif not each.ending and owed.cmd == "Sync" and each.store.uri in owed.target_refs:
                    self._statuses[place] = msgspec.structs.replace(owed, code=str(int(error_status(each.error))), items=text)

    def reply(self) -> Reply:
        """What is to be said now. After `deal_with`, unless `busy` was the reply to that message."""
        outbox = self._outbox(self._header, self._encoding, self._resp_uri)
        stores, work = self._stores, self._commands
        self._resp_uri = None
        whole = self._write_statuses(outbox)
        if work is not None and work.suspended:
            self.over = True
            return Reply(outbox.encoded(final=True), self._encoding.value)
        if whole and self._client_over and stores is not None and work is not None:
            whole = work.write(outbox, self._awaited) and stores.fill(outbox, self._awaited)
        final = whole and self._client_over
        if not self._client_over and outbox.only_statuses:
            outbox.add(self._next_message(), forced=True)
        if final:
            self._client_over = False
        alive = any(store.alive for store in stores or ())
        self.over = not alive if final else self.over and not alive
        return Reply(outbox.encoded(final), self._encoding.value)

    def _write_statuses(self, outbox: Outbox) -> bool:
        texts = self._bounds.error_texts
        while self._statuses:
            owed = self._statuses[0]
            if not texts and number(owed.code) >= StatusCode.BAD_REQUEST:
                owed = msgspec.structs.replace(owed, items=tuple(item for item in owed.items if not isinstance(item.data, str)))
            if outbox.add(owed) is None:
                return False
            self._statuses.popleft()
        return True

    def _next_message(self) -> Alert:
        header = self._header
        item = Item(target=Location(uri=header.source.uri), source=Location(uri=header.target.uri))
        return Alert(cmd_id="", code=str(int(AlertCode.NEXT_MESSAGE)), items=(item,))

    def _outbox(self, header: Header, encoding: Encoding, resp_uri: str | None) -> Outbox:
        """An empty message in answer to the one with `header`."""
        self._sent_messages += 1
        proof, self._proof = self._proof, None
        own_limit = limits.SYNCML_TWSYNC_MESSAGE if self._known is not None else limits.SYNCML_MESSAGE
        size = None if header.protocol is Protocol.V1_0 else limits.MAX_OBJECT
        answer = Header(
            protocol=header.protocol,
            session_id=header.session_id[: limits.MAX_SYNCML_NAME],
            msg_id=str(self._sent_messages),
            target=Location(uri=header.source.uri, name=header.source.name),
            source=Location(uri=header.target.uri),
            resp_uri=resp_uri,
            cred=proof,
            meta=Meta(max_msg_size=own_limit, max_obj_size=size),
        )
        said = min(self._max_message or limits.SYNCML_UNSAID_MESSAGE, own_limit)
        bound = self._bounds
        limit = max(int(said * bound.share), limits.SYNCML_LEAST_MESSAGE)
        limit = min(limit, bound.message or limit)
        return Outbox(Draft(answer, encoding), limit, max(0, said - limit), bound.changes)

    @property
    def _bounds(self) -> Bounds:
        return bounds(self._stores.devinf) if self._stores is not None and self._known is None else UNBOUNDED


def _brings(command: Command) -> bool:
    """Whether a command gets the session on, other than as the answer to one of ours."""
    return not isinstance(command, Status) and not (isinstance(command, Alert) and number(command.code) == AlertCode.NEXT_MESSAGE)
