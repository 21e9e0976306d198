"""The data part of a session of records between two hosts: SyncML over HTTP over the data channel (docs/protocol/syncml.md).

Which of the two is the client of HTTP and SyncML, `recordroles` says.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed

from twsync import __version__
from twsync.errors import SessionError, TwsyncError
from twsync.limits import IDLE_TIMEOUT, MAX_SYNCML_DOCUMENT, SYNCML_TWSYNC_MESSAGE
from twsync.peer import recordtold
from twsync.peer.greeting import Greeting, no_hello
from twsync.peer.patience import Patience
from twsync.peer.recordresult import failure_of, result_of, skips_of
from twsync.peer.recordroles import syncml_side, turned_policy, turned_type
from twsync.peer.sessions import Progress, Work
from twsync.peer.streams import Workshop
from twsync.peer.syncmldrive import drive
from twsync.peer.syncmlhttp import Answer, site
from twsync.peer.waiting import within
from twsync.reconcile.model import RecordPolicy, Side, SyncType
from twsync.session.result import SessionResult, Skipped
from twsync.store.recordhost import RecordDatastores, RecordHost
from twsync.store.syncmlaccounts import SyncmlDevices, SyncmlNonces, SyncmlServers
from twsync.store.syncmlsession import Terms
from twsync.syncml.client import ClientSession
from twsync.syncml.clientresult import Result
from twsync.syncml.clientsetup import ClientSetup, Wanted
from twsync.syncml.datastore import Datastores
from twsync.syncml.deviceinfo import OwnDevice
from twsync.syncml.ports import Account
from twsync.syncml.server import Refusal, Server, ServerSetup
from twsync.syncml.serversession import KnownPeer, Reply
from twsync.transport.datachannel import DataChannel
from twsync.transport.http import CHANNEL_URL, channel_agent, post_with, serve
from twsync.transport.interfaces import Clock

_JSON = "application/json"


class RecordExchange:
    """Runs such sessions.

    :param device: this device, ``user/device``.
    :param zone: IANA name of the time zone of local times that say none.
    """

    def __init__(
        self, records: RecordHost, workshop: Workshop, clock: Clock, now: Callable[[], float], token: Callable[[int], bytes],
        device: Callable[[], str], zone: str,
    ) -> None:  # fmt: skip
        self._records = records
        self._workshop = workshop
        self._clock = clock
        self._now = now
        self._token = token
        self._device = device
        self._zone = zone

    async def exchange(self, channel: DataChannel, work: Work, progress: Progress) -> SessionResult:
        """:class:`twsync.peer.sessions.Exchange` for collections of records.

        :raises TwsyncError: the session failed before a datastore was open.
        """
        greeting = Greeting(channel)
        side = syncml_side(self._device(), work.partner)
        sync_type, policy = SyncType(work.sync_type), RecordPolicy(work.policy)
        if side is not work.role:
            sync_type, policy = turned_type(sync_type), turned_policy(policy)
        run = self._client if side is Side.CLIENT else self._server
        datastores: RecordDatastores | None = None
        error: TwsyncError | None = None
        outcome: Result | None = None
        skipped: list[Skipped] = []
        try:
            hellos = greeting.exchange(work.role, work.session, work.collection.name, work.token, allow_deletes=work.allow_deletes)
            await self._soon(work, hellos)
            # The own user's word holds on all of the own devices; another user cannot lift this host's guards.
            heed = work.partner.partition("/")[0] == self._device().partition("/")[0]
            allow = work.allow_deletes or (heed and greeting.allow_deletes)
            datastores = self._records.datastores(Terms(work.session, side, policy, allow, self._zone), (work.collection.name,))
            outcome = await run(channel, greeting, work, sync_type, datastores, skipped, progress)
        except CancelledError:
            error = SessionError("The session was cancelled.", "cancelled")
        except TwsyncError as failure:
            error = failure
        finally:
            channel.close(error)
            # Also what a thread is doing just now has its end before the collection is let go.
            if datastores is not None:
                await self._workshop.write(_close, datastores)
        return result_of(work, datastores, outcome, skipped, error, channel.wire_sent, channel.wire_received, turned=side is not work.role)

    async def _client(
        self, channel: DataChannel, greeting: Greeting, work: Work, sync_type: SyncType, datastores: RecordDatastores,
        skipped: list[Skipped], progress: Progress,
    ) -> Result | None:  # fmt: skip
        """:param skipped: gets what the server left alone."""
        await self._soon(work, greeting.switched())
        name = work.collection.name
        servers = SyncmlServers(self._records.journal, self._records.now_ns)
        remembered = await self._workshop.read(servers.load, "", work.partner)
        setup = ClientSetup(
            url=CHANNEL_URL, own=self._own("workstation"), session_id=str(int.from_bytes(self._token(4), "big")), partner=work.partner,
            twsync=True, fixed_protocol=True, fixed_encoding=True, remembered=remembered, max_message=SYNCML_TWSYNC_MESSAGE,
        )  # fmt: skip
        session = ClientSession([Wanted(name, name, sync_type)], datastores, setup)
        post = post_with(channel_agent(self._clock, channel), self._clock, MAX_SYNCML_DOCUMENT, name="the other device")

        def moved() -> None:
            progress({"phase": "transfer", "bytes": channel.wire_received, "bytes_sent": channel.wire_sent})

        try:
            # A reply that is lost on the channel cannot be asked for again: nothing else leads there.
            outcome = await drive(session, post, self._workshop.write, self._clock, self._now, moved, retries=0)
            failure, told = failure_of(outcome), None
            if failure is not None:
                # The other side shall know why; and what it says is better than a status.
                with suppress(TwsyncError):
                    answer = await post(f"{CHANNEL_URL}/{recordtold.FAILED}", _JSON, recordtold.failure(failure))
                    if answer.body:
                        told = recordtold.told_failure(answer.body)
                if told is not None:
                    raise told
            elif (own := skips_of(datastores, outcome)) or work.role is Side.CLIENT:
                # Who called shows what both left alone.
                with suppress(TwsyncError):
                    answer = await post(f"{CHANNEL_URL}/{recordtold.SKIPPED}", _JSON, recordtold.skips(own))
                    skipped += recordtold.told_skips(answer.body)
            return outcome
        finally:
            if session.remembered != remembered:
                await self._workshop.write(servers.store, "", work.partner, session.remembered)

    async def _server(
        self, channel: DataChannel, greeting: Greeting, work: Work, sync_type: SyncType, datastores: RecordDatastores,
        skipped: list[Skipped], progress: Progress,
    ) -> Result | None:  # fmt: skip
        """:param skipped: gets what the client left alone."""
        user = work.partner.partition("/")[0]
        journal, now_ns = self._records.journal, self._records.now_ns
        setup = ServerSetup(self._own("server"))
        server = Server(setup, _Alone(datastores), SyncmlNonces(journal, now_ns), SyncmlDevices(journal, now_ns), threading.Lock)
        peer = KnownPeer(work.partner, user, sync_type)

        def answer(body: bytes, content_type: str | None) -> Answer:
            """In a thread."""
            reply = server.receive(None, body, content_type, self._now(), self._token, None, peer)
            return Answer(200, reply.body, reply.content_type) if isinstance(reply, Reply) else _refused(reply)

        told: list[TwsyncError] = []

        def give_up() -> None:
            told.append(SessionError("The other device does not go on; it may be busy. Start the session again.", "timeout"))
            channel.close(told[0])

        patience = Patience(self._clock, lambda: server.moved, give_up)

        def answers(
            base: str, token: str, body: bytes, content_type: str | None, origin: str, gone: Callable[[], bool]
        ) -> Deferred[Answer]:
            if token == recordtold.FAILED:
                if not told:
                    told.append(recordtold.told_failure(body))
                own = next((store.error for store in datastores.opened if store.error is not None), None)
                return succeed(Answer(200, b"" if own is None else recordtold.failure(own)))
            if token == recordtold.SKIPPED:
                skipped[:] = recordtold.told_skips(body)
                return succeed(Answer(200, recordtold.skips(skips_of(datastores, None))))
            progress({"phase": "transfer", "bytes": channel.wire_received, "bytes_sent": channel.wire_sent})
            return patience.during(self._workshop.write(answer, body, content_type))

        greeting.switch()
        serve(channel, site(answers), self._clock)
        try:
            await greeting.over()
        finally:
            patience.stop()
            await self._workshop.write(server.close)
        if told:
            raise told[0]
        return None

    async def _soon(self, work: Work, heard: Coroutine[Any, Any, None]) -> None:
        """Wait for what the other side has to say, but not for ever."""
        try:
            await within(Deferred.fromCoroutine(heard), IDLE_TIMEOUT, self._clock)
        except TimeoutError:
            raise no_hello(work.partner) from None

    def _own(self, kind: str) -> OwnDevice:
        return OwnDevice(self._device(), __version__, kind)


class _Alone:
    """The accounts of a server that one proved host talks to: none but itself."""

    def __init__(self, datastores: RecordDatastores) -> None:
        self._datastores = datastores

    def account(self, name: str) -> Account | None:
        """There is no other way in."""
        return None

    def datastores(self, account: str, device: str, twsync: bool) -> Datastores:
        """The one collection of this session."""
        return self._datastores


def _close(datastores: RecordDatastores) -> None:
    for store in datastores.opened:
        store.close()


def _refused(refusal: Refusal) -> Answer:
    return Answer(refusal.status, f"{refusal.text}\n".encode())
