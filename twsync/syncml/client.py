"""A SyncML client session without I/O: bytes of replies in, requests out, a result at the end (fact sheet section 3).

The caller POSTs what `start` and `receive` give, and hands back what came; `resend` gives the last request again when a reply was lost.
A session goes through the phases of `clientphases`. Where a package ends is told by Final alone. Servers that say Final too often, or go
on sending behind it, are followed as far as nothing is lost by it: it is at the end of the session, not of a package, that a refresh
deletes and that anchors are moved.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from urllib.parse import urljoin, urlsplit

from twsync import limits
from twsync.errors import FormatError, ProtocolError, SessionError
from twsync.syncml.clientanswers import Answers, Dealt, no_end_of_data
from twsync.syncml.clientmemory import ClientMemory
from twsync.syncml.clientphases import Event, Phase, after
from twsync.syncml.clientrefusals import BUSY, HTTP_RETRIES, RETRIES, session_error
from twsync.syncml.clientresult import Error, Request, Result
from twsync.syncml.clientsetup import ClientSetup, Remembered, Wanted, told
from twsync.syncml.clientstore import ClientStore
from twsync.syncml.clienttries import Tries
from twsync.syncml.codec import decode
from twsync.syncml.codes import AlertCode, StatusCode, number, succeeded
from twsync.syncml.datastore import Datastores
from twsync.syncml.deviceinfo import get_devinf, own_devinf, put_devinf
from twsync.syncml.document import Alert, Command, DevInf, Header, Item, Location, Message, Meta, Protocol, Status
from twsync.syncml.draft import Draft
from twsync.syncml.outbox import Outbox
from twsync.syncml.references import Awaited, header_status
from twsync.syncml.sending import Answer


class ClientSession:
    """See the module. Not to be called by two threads at a time, and never from the reactor's: stores work while it is called.

    :param wanted: what is to be synchronised; each own and each server's name once.
    :param datastores: where the own ones are opened.
    """

    def __init__(self, wanted: Sequence[Wanted], datastores: Datastores, setup: ClientSetup) -> None:
        self._setup = setup
        self._memory = ClientMemory(setup)
        self._datastores = datastores
        self._stores = [ClientStore(one, datastores, setup.credentials) for one in wanted]
        self._over: list[ClientStore] = []
        self._phase = Phase.NEW
        self._tries = Tries(setup)
        self._own_devinf: DevInf | None = None
        self._last: Request | None = None
        self._suspending = False
        self._suspended = False
        self._shown: list[str] = []
        self._messages = 0
        self._idle = 0
        self._begin_round()

    @property
    def remembered(self) -> Remembered:
        """To be kept for the next session with this server, however this one ends; look at it after each call."""
        return self._memory.remembered

    # --- what the caller does ------------------------------------------------------------------------------------------------------

    def start(self, now: float) -> Request | Result:
        """The first request; or the result, if no datastore can be opened.

        :param now: seconds since the epoch; it becomes the anchor.
        """
        for store in self._stores:
            self._memory.open(store)
        return self._package_1(now)

    def receive(self, body: bytes, content_type: str | None, now: float) -> Request | Result:
        """The body of a reply with HTTP status 200.

        :param content_type: of the reply.
        :returns: the next request, or the result.
        """
        if self._phase in (Phase.NEW, Phase.OVER):
            raise ProtocolError("a reply, and nothing was asked")
        try:
            message = decode(body, content_type).message
        except FormatError as error:
            return self._end(Error("bad-reply", f"{self._setup.url} does not answer in SyncML ({error.message}); check the address."))
        try:
            return self._deal_with(message, now)
        except SessionError as error:
            return self._end(Error.of(error))

    def refused(self, http_status: int, now: float) -> Request | Result:
        """A reply with another HTTP status than 200."""
        retries = HTTP_RETRIES.get(http_status, ()) if self._phase is Phase.INITIALISING else ()
        if any(self._tries.change(retry) for retry in retries):
            return self._package_1(now)
        return self._end(session_error(http_status, self._setup.url), busy=http_status in BUSY)

    def resend(self) -> Request:
        """The last request once more: its reply was lost.

        :raises ProtocolError: there is none.
        """
        if self._last is None or self._phase is Phase.OVER:
            raise ProtocolError("there is no request to send again")
        return self._last

    def suspend(self) -> None:
        """Stop at the next message, so that the next session can go on (Alert 224; older versions just stop)."""
        self._suspending = True

    def abort(self, error: Error) -> Result:
        """The server cannot be reached any more, or the caller gives up. What was taken stays; the anchors do not move."""
        return self._end(error)

    # --- package 1 -----------------------------------------------------------------------------------------------------------------

    def _begin_round(self) -> None:
        """What a session starts with, the first time and after a refusal that another try can help."""
        self._url = self._setup.url
        self._target = self._setup.target or self._setup.url
        self._msg_id = 0
        self._server_limit: int | None = None
        self._max_object: int | None = None
        self._server_open = False
        self._said_final = True
        self._statuses: deque[Status] = deque()
        self._commands: deque[Command] = deque()
        self._awaited: Awaited[Answer] = Awaited()

    def _package_1(self, now: float) -> Request | Result:
        if not self._tries.begin():
            return self._end(Error("refused", f"{self._setup.url} asks for one new beginning after the other; look into its log."))
        self._begin_round()
        outbox = self._outbox()
        fingerprint = told(self._own())
        if self.remembered.told != fingerprint:
            put = outbox.add(put_devinf(self._own(), self._tries.encoding))
            if put is not None:
                self._awaited.sent(outbox.header.msg_id, put, lambda _, code: self._told(fingerprint, code))
        if self.remembered.devinf is None:
            outbox.add(get_devinf(self._tries.protocol, self._tries.encoding))
        for store in self._stores:
            alert = store.alert(now, self._tries.protocol)
            written = outbox.add(alert) if alert is not None else None
            if written is not None:
                self._awaited.sent(outbox.header.msg_id, written, store.alert_answered)
        if not any(store.alive for store in self._stores):
            return self._end(None)
        self._happens(Event.STARTED)
        return self._request(outbox.encoded(final=True))

    def _own(self) -> DevInf:
        """The own device information, in the version that is tried."""
        if self._own_devinf is None or self._own_devinf.version is not self._tries.protocol:
            stores = [self._datastores.describe(store.wanted.name) for store in self._stores if store.alive]
            self._own_devinf = own_devinf(self._setup.own, self._tries.protocol, stores)
        return self._own_devinf

    def _told(self, fingerprint: str, code: int) -> None:
        if succeeded(code):
            self._memory.told(fingerprint)

    # --- replies -------------------------------------------------------------------------------------------------------------------

    def _deal_with(self, message: Message, now: float) -> Request | Result:
        self._messages += 1
        if self._messages > limits.MAX_SYNCML_MESSAGES:
            return self._end(Error("server-error", f"{self._setup.url} does not come to an end; look into its log."))
        code, chal = _header_code(message)
        if code is not None and not succeeded(code) and code != StatusCode.IN_PROGRESS:
            return self._header_refused(code, chal, now)
        if code is not None:
            self._tries.access.accepted(code, chal)
            self._memory.nonce(self._tries.access.nonce)
        self._read_header(message.header)
        dealt = Answers(self._stores, self._awaited, self._own(), self._tries.encoding).deal_with(message)
        if not message.header.no_resp:
            self._statuses.append(header_status(message.header, StatusCode.OK))
        self._statuses += dealt.statuses
        while len(self._statuses) > limits.MAX_WAITING_STATUSES:
            self._statuses.pop()
        self._commands += dealt.commands
        self._shown += dealt.shown[: limits.MAX_SHOWN_MESSAGES - len(self._shown)]
        if dealt.devinf is not None:
            self._memory.heard(dealt.devinf)
        self._idle = 0 if dealt.moved or message.final else self._idle + 1
        if self._idle > limits.MAX_CLIENT_IDLE:
            return self._end(Error("busy", f"{self._setup.url} is busy and does not go on; try again later."), busy=True)
        return self._go_on(message, dealt, now)

    def _go_on(self, message: Message, dealt: Dealt, now: float) -> Request | Result:
        if self._phase is Phase.LEAVING:
            if not self._said_final:
                return self._compose()
            self._happens(Event.QUIET)
            return self._end(None, suspended=True)
        if dealt.suspended:
            self._suspended = True
        if self._suspending or dealt.suspended:
            if self._tries.protocol is not Protocol.V1_2:
                return self._end(None, suspended=True)
            self._happens(Event.SUSPENDED)
            return self._compose()
        if self._phase is Phase.INITIALISING:
            self._server_open = not message.final
            return self._initialised(now) if message.final else self._compose()
        if self._phase is Phase.ENDING:
            if not dealt.moved or not (dealt.statuses or dealt.commands or not message.final):
                return self._finish(now)
            self._happens(Event.MORE)
            self._server_open = not message.final
        if self._phase is Phase.TAKING or message.final:
            # While we send a package of our own, the server's messages have no Final and are not part of one.
            self._server_open = not message.final
        if message.final:
            if self._phase is not Phase.SENDING:
                self._package_over()
            owed = self._commands or any(answer.cmd != "SyncHdr" for answer in self._statuses)
            if self._phase is Phase.TAKING and not owed and all(store.silent for store in self._stores):
                # SyncEvolution's server has forgotten the session by now.
                return self._finish(now)
            self._happens(Event.FINAL)
        return self._compose()

    def _initialised(self, now: float) -> Request | Result:
        """Package 2 is complete."""
        for store in self._stores:
            store.settle()
        if any(store.restart and store.alive for store in self._stores):
            return self._package_1(now)
        if not any(store.alive for store in self._stores) and not any(store.turned_down for store in self._stores):
            return self._end(None)
        abilities = self._memory.abilities(self._tries.protocol, self._max_object)
        for store in self._stores:
            if self._memory.fresh:
                self._memory.open(store)
            store.begin(abilities)
        self._memory.unfinished(self._stores)
        self._happens(Event.FINAL)
        return self._compose()

    def _package_over(self) -> None:
        for store in self._stores:
            lost = store.package_over()
            if lost is not None:
                self._commands.append(no_end_of_data(lost))

    def _read_header(self, header: Header) -> None:
        if header.meta is not None:
            self._server_limit = header.meta.max_msg_size or self._server_limit
            self._max_object = header.meta.max_obj_size or self._max_object
        if header.resp_uri:
            url = urljoin(self._setup.url, header.resp_uri)
            if urlsplit(self._setup.url).scheme == "https" and urlsplit(url).scheme != "https":
                raise SessionError(f"{self._setup.url} wants to go on without encryption; tell its administrator.", "insecure")
            self._url, self._target = url, header.resp_uri

    def _header_refused(self, code: int, chal: Meta | None, now: float) -> Request | Result:
        retry = RETRIES.get(code) if self._phase is Phase.INITIALISING else None
        again = retry is not None and self._tries.change(retry, chal)
        self._memory.nonce(self._tries.access.nonce)
        if again:
            return self._package_1(now)
        return self._end(session_error(code, self._setup.url), busy=code in BUSY)

    # --- requests ------------------------------------------------------------------------------------------------------------------

    def _compose(self) -> Request | Result:
        """The next message: Statuses first, then what belongs to the phase, as far as there is room."""
        outbox = self._outbox()
        while self._statuses and outbox.add(self._statuses[0]) is not None:
            self._statuses.popleft()
        final = self._said_final = not self._statuses and self._write_package(outbox)
        if final:
            self._happens(Event.WRITTEN)
        elif outbox.only_statuses and self._server_open:
            outbox.add(self._session_alert(AlertCode.NEXT_MESSAGE))
        return self._request(outbox.encoded(final=final))

    def _write_package(self, outbox: Outbox) -> bool:
        """Write what there is to say in this phase; whether the own package is complete with it."""
        while self._commands:
            if outbox.add(self._commands[0]) is None:
                return False
            self._commands.popleft()
        if self._phase is Phase.LEAVING:
            return self._suspended or outbox.add(self._session_alert(AlertCode.SUSPEND)) is not None
        if self._phase in (Phase.SENDING, Phase.MAPPING):
            if not all(store.write_maps(outbox, self._awaited) for store in self._stores):
                return False
            if self._phase is Phase.MAPPING:
                return not self._server_open
            return all(store.fill(outbox, self._awaited) for store in self._stores)
        return False

    def _session_alert(self, code: AlertCode) -> Alert:
        item = Item(target=Location(self._target), source=Location(self._setup.device_id))
        return Alert(cmd_id="", code=str(int(code)), items=(item,))

    def _outbox(self) -> Outbox:
        self._msg_id += 1
        setup = self._setup
        later = self._tries.protocol is not Protocol.V1_0
        header = Header(
            protocol=self._tries.protocol,
            session_id=self._tries.session_id,
            msg_id=str(self._msg_id),
            target=Location(self._target),
            source=Location(setup.device_id, name=setup.credentials.user if setup.credentials is not None else None),
            cred=self._tries.access.cred(self._tries.protocol),
            meta=Meta(max_msg_size=setup.max_message, max_obj_size=setup.max_object if later else None),
        )
        return Outbox(Draft(header, self._tries.encoding), self._limit())

    def _limit(self) -> int:
        """Bytes of the next message at most. The first has to hold the device information and every Alert, and no limit was named yet."""
        if self._msg_id == 1:
            return limits.MAX_SYNCML_DOCUMENT
        return max(limits.SYNCML_LEAST_MESSAGE, min(self._server_limit or limits.SYNCML_UNSAID_MESSAGE, self._setup.max_message))

    def _request(self, message: bytes) -> Request:
        delay = 0.0 if self._idle == 0 else min(limits.CLIENT_LONGEST_PAUSE, 0.5 * 2.0**self._idle)
        self._last = Request(self._url, message, self._tries.encoding.value, delay)
        return self._last

    # --- the end -------------------------------------------------------------------------------------------------------------------

    def _finish(self, now: float) -> Request | Result:
        self._happens(Event.QUIET)
        for store in self._stores:
            store.finish()
        self._memory.unfinished(self._stores)
        if any(store.again for store in self._stores):
            return self._once_more(now)
        return self._end(None)

    def _once_more(self, now: float) -> Request | Result:
        """Another session, with the datastores whose server wants credentials with what it is sent."""
        for store in self._stores:
            store.close()
        self._over += [store for store in self._stores if not store.again]
        self._stores = [store.anew() for store in self._stores if store.again]
        for store in self._stores:
            self._memory.open(store)
        return self._package_1(now)

    def _end(self, error: Error | None, *, suspended: bool = False, busy: bool = False) -> Result:
        self._happens(Event.ENDED)
        for store in self._stores:
            store.close()
        return Result(
            stores=tuple(store.result() for store in (*self._over, *self._stores)),
            protocol=self._tries.protocol,
            encoding=self._tries.encoding,
            suspended=suspended,
            error=error,
            retry_after=limits.CLIENT_BUSY_PAUSE if busy or any(store.busy for store in self._stores) else 0.0,
            messages=tuple(self._shown),
        )

    def _happens(self, event: Event) -> None:
        self._phase = after(self._phase, event)


def _header_code(message: Message) -> tuple[int | None, Meta | None]:
    """The Status of the own header in a reply, with its challenge; None: it stands nowhere."""
    for command in message.body:
        if isinstance(command, Status) and command.cmd_ref == "0":
            return number(command.code), command.chal
    return None, None
