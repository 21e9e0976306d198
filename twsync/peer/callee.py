"""Sessions that others start: the server's side, from the offer to the end of the data."""

from __future__ import annotations

from dataclasses import replace
from os.path import isdir

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from twsync.errors import ConfigError, FormatError, TwsyncError
from twsync.peer.calls import Call, Offer
from twsync.peer.host import Host
from twsync.peer.looking import Look
from twsync.peer.sessions import Running, Work, failed, failure_of
from twsync.peer.settings import CollectionSettings
from twsync.peer.waiting import within
from twsync.reconcile.model import Side
from twsync.session.datatypes import DataType, SyncProtocol
from twsync.session.description import Candidate, Description, from_xml
from twsync.session.negotiate import Facts, KeyState, answer
from twsync.session.result import SessionResult
from twsync.transport.datachannel import DataChannel

#: Bytes of a one-time token.
TOKEN_BYTES = 32
#: Seconds that the caller has to end the call after the data is done; then this side does.
BYE_PATIENCE = 10.0

_log = Logger()


class Callee:
    """Answers offers and serves the sessions that come of them."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def offered(self, offer: Offer) -> None:
        """Decide about an offer, and answer it."""
        try:
            self._decide(offer)
        except TwsyncError as error:
            # Its own disk, most of all: a session that the journal cannot know of is none.
            self._refuse(offer, 500, error.code, f"{self._host.settings.full_name}: {error.message}")
        except Exception:
            _log.failure("An offer of {partner} could not be answered.", partner=offer.partner)
            self._refuse(offer, 500, "defect", "The called device failed; look into its log.")

    def _decide(self, offer: Offer) -> None:
        host = self._host
        try:
            signed = from_xml(offer.body)
        except FormatError as error:
            self._refuse(offer, 400, "bad-offer", f"The called device got {error.message}.")
            return
        wanted = signed.description
        key = host.acquaintance.state(offer.partner, signed.fingerprint)
        collection = self._collection(wanted.collection)
        facts = Facts(
            device=host.settings.full_name, session=offer.session, caller=offer.partner, key=key, fresh=wanted.fresh(host.moment()),
            allowed=collection is None or collection.allows(offer.partner, host.settings.user),
            data_type=DataType(collection.type) if collection is not None else None, protocols=frozenset(SyncProtocol),
            ready=collection is not None and isdir(collection.path) and not host.sessions.stopping,  # noqa: PTH112 - Path raises what a broken disk says
            busy=collection is not None and host.sessions.busy(collection.name),
        )  # fmt: skip
        decision = answer(wanted, facts)
        if decision.status == 200 or key is KeyState.CHANGED:
            host.acquaintance.meet(offer.partner, signed.fingerprint)
        if decision.status != 200 or collection is None:
            self._refuse(offer, decision.status, decision.code, decision.reason)
            return
        candidates = host.candidates()
        if not candidates:
            self._refuse(offer, 480, "no-address", f"{host.settings.full_name} has no address that others could reach.")
            return
        self._accept(offer, wanted, collection, candidates)

    def _collection(self, name: str) -> CollectionSettings | None:
        try:
            return self._host.settings.collection(name)
        except ConfigError:
            return None

    def _refuse(self, offer: Offer, status: int, code: str, reason: str) -> None:
        _log.info("Refused a session of {partner}: {code}: {reason}", partner=offer.partner, code=code, reason=reason)
        self._host.agent.calls.refuse(offer, status, code, reason)
        self._host.tracer.forget(offer.session)

    def _accept(self, offer: Offer, wanted: Description, collection: CollectionSettings, candidates: list[tuple[str, int]]) -> None:
        host = self._host
        token = host.token(TOKEN_BYTES)
        reply = replace(
            wanted, fingerprint=host.device.fingerprint, created=host.moment(), token=token, destination_ip=candidates[0][0],
            destination_port=candidates[0][1], candidates=tuple(Candidate(*candidate) for candidate in candidates),
        )  # fmt: skip
        running = Running(offer.session, collection.name, offer.partner, Side.SERVER, wanted.sync_type, 0, wanted.sync_protocol)
        if not host.sessions.take(collection.name, running):
            self._refuse(offer, 486, "busy", f"{host.settings.full_name} is synchronising '{collection.name}' already.")
            return
        arriving: Deferred[DataChannel] | None = None
        try:
            body = host.signed(reply)
            # Whatever may fail does so before the 200: after it, the caller counts on this side.
            host.sessions.begin(running)
            arriving = host.listener.expect(token, wanted.fingerprint)
            call = host.agent.calls.accept(offer, body)
        except Exception as error:  # whatever it was, nothing of what was begun must stay; `offered` says what it was
            self._take_back(running, arriving, failure_of(running, error))
            raise
        if call is None:
            self._take_back(running, arriving, failed(running, "caller-gone", f"{offer.partner} has gone before it was answered."))
            return
        running.task = Deferred.fromCoroutine(self._serve(running, collection, wanted, call, arriving))
        running.task.addErrback(lambda failure: _log.failure("Session {session} failed.", failure=failure, session=running.session))

    def _take_back(self, running: Running, arriving: Deferred[DataChannel] | None, result: SessionResult) -> None:
        """There is no call: nothing is kept for it."""
        host = self._host
        if arriving is not None:
            _void(arriving)
        host.sessions.release(running.collection)
        host.tracer.forget(running.session)
        if running in host.sessions.running:
            host.sessions.finish(running, result)
            host.sessions.over(running)

    async def _serve(
        self, running: Running, collection: CollectionSettings, wanted: Description, call: Call, arriving: Deferred[DataChannel]
    ) -> None:
        host = self._host
        try:
            result = await self._exchange(running, collection, wanted, call, arriving)
        except CancelledError:
            result = failed(running, "interrupted", "The session was broken off; the next one goes on where this one was.")
        except TwsyncError as error:
            result = failure_of(running, error)
        except Exception as error:
            _log.failure("Session {session} failed.", session=running.session)
            result = failure_of(running, error)
        finally:
            _void(arriving)
            host.sessions.release(collection.name)
        if running in host.sessions.running:
            host.sessions.finish(running, result)
        running.task = None
        try:
            # The caller ends the call, as it knows when both sides are done.
            await within(_either(call.ended), BYE_PATIENCE, host.clock)
        except TimeoutError:
            await host.agent.calls.bye(call)
        finally:
            host.sessions.over(running)

    async def _exchange(
        self, running: Running, collection: CollectionSettings, wanted: Description, call: Call, arriving: Deferred[DataChannel]
    ) -> SessionResult:
        host = self._host
        look = host.begin_look(collection, running.session, Side.SERVER, wanted.sync_type)
        try:
            return await self._data(running, collection, wanted, call, arriving, look)
        finally:
            if look is not None:
                await look.close()

    async def _data(
        self, running: Running, collection: CollectionSettings, wanted: Description, call: Call, arriving: Deferred[DataChannel],
        look: Look | None,
    ) -> SessionResult:  # fmt: skip
        host = self._host
        came = False

        def hung_up(_: None) -> None:
            if not came:
                arriving.cancel()

        call.ended.addCallback(hung_up)
        try:
            channel = await arriving
        except CancelledError:
            if not call.ended.called:
                raise
            return failed(running, "caller-gone", f"{running.partner} ended the call before the data connection stood.")
        came = True
        host.tracer.data(running.session)
        work = Work(running.session, collection, running.partner, Side.SERVER, wanted.sync_type, wanted.policy, False, None, look)
        return await host.exchange(channel, work, host.progress_of(running, call, lambda event: None))


def _void(arriving: Deferred[DataChannel]) -> None:
    """Nobody waits for the data connection any more, if it has not come."""
    arriving.addErrback(lambda _: None)
    arriving.cancel()


def _either(ended: Deferred[None]) -> Deferred[None]:
    """A Deferred of its own that fires with `ended`; cancelling it leaves `ended` alone."""
    own: Deferred[None] = Deferred()

    def fire(result: None) -> None:
        if not own.called:
            own.callback(None)

    ended.addCallback(fire)
    return own
