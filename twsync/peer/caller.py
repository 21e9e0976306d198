"""Sessions that this host starts: the client's side, from the INVITE to the BYE."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from twsync.errors import FormatError, SessionError, TwsyncError
from twsync.peer.calls import ANSWER_TIMEOUT, Call
from twsync.peer.host import Host
from twsync.peer.looking import Look
from twsync.peer.refusals import Refusal
from twsync.peer.sessions import INTERRUPTED, Progress, Running, Work, blank, failed, failure_of
from twsync.peer.settings import CollectionSettings
from twsync.peer.waiting import within
from twsync.reconcile.model import Side
from twsync.session.datatypes import DataType
from twsync.session.description import Description, check_answer, from_xml
from twsync.session.result import SessionResult, State

#: Seconds to wait for the registration of a daemon that was started a moment ago.
REGISTER_TIMEOUT = 10.0
#: Pause before a busy device is called again, seconds: the first, by how much it grows, the longest. Half to the whole of it again is
#: drawn, so that two devices that call each other at the same time do not do so again.
BUSY_FIRST, BUSY_GROWTH, BUSY_LONGEST = 0.4, 1.6, 10.0

_log = Logger()


@dataclass(frozen=True, slots=True)
class Order:
    """A session that someone wants."""

    collection: str
    device: str
    "``user/device``."
    sync_type: str
    allow_deletes: bool = False
    timeout: float = 60.0
    "Seconds to keep trying while the other device is busy or does not answer."


class Caller:
    """Starts sessions."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def start(self, order: Order, report: Progress = lambda event: None) -> tuple[Running, Deferred[SessionResult]]:
        """Start a session; the Deferred fires with its result, however it ends.

        :raises ConfigError: there is no such collection here.
        :raises SessionError: the collection is not shared with that device.
        """
        host = self._host
        collection = host.settings.collection(order.collection)
        if not collection.allows(order.device, host.settings.user):
            what = f"{order.collection} is not shared with {order.device}; add it to the collection's `devices` in {host.settings.file}."
            raise SessionError(what, "not-allowed")
        if host.sessions.stopping:
            raise SessionError("The daemon is stopping; start it again, then try again.", "stopping")
        protocol = DataType(collection.type).protocol
        running = Running(host.token(16).hex(), order.collection, order.device, Side.CLIENT, order.sync_type, 0, protocol)
        host.sessions.begin(running)
        task = Deferred.fromCoroutine(self._run(order, collection, running, report))
        running.task = task
        return running, task

    async def _run(self, order: Order, collection: CollectionSettings, running: Running, report: Progress) -> SessionResult:
        host = self._host
        ended: list[Call] = []
        try:
            result = await self._until_settled(order, collection, running, report, ended)
        except CancelledError:
            result = failed(running, *INTERRUPTED)
        except TwsyncError as error:
            result = failure_of(running, error)
        except Exception as error:
            _log.failure("Session {session} failed.", session=running.session)
            result = failure_of(running, error)
        if running in host.sessions.running:
            host.sessions.finish(running, result)
        try:
            for call in ended:
                await host.agent.calls.bye(call)
        except CancelledError:
            _log.debug("The daemon stops; nobody waits for the answer to BYE.")
        finally:
            host.sessions.over(running)
        return result

    async def _until_settled(
        self, order: Order, collection: CollectionSettings, running: Running, report: Progress, ended: list[Call]
    ) -> SessionResult:
        """One attempt after the other, while the other device, or this one, is busy and there is time."""
        host = self._host
        deadline = host.clock.seconds() + order.timeout
        report({"phase": "connecting"})
        if not await host.agent.wait_registered(min(order.timeout, REGISTER_TIMEOUT)):
            why = host.agent.describe()["message"] or "it does not answer"
            raise SessionError(f"This host is not connected to the server: {why}.", "server-unreachable")
        pause = BUSY_FIRST
        first = True
        while True:
            left = deadline - host.clock.seconds()
            if host.sessions.stopping:
                raise SessionError(INTERRUPTED[1], INTERRUPTED[0])
            if not host.sessions.take(collection.name, running):
                await self._wait_free(collection.name, left)
                continue
            try:
                outcome = await self._attempt(order, collection, running, report, min(ANSWER_TIMEOUT, max(left, 1.0)), ended, first)
            finally:
                host.sessions.release(collection.name)
            if isinstance(outcome, SessionResult):
                return outcome
            first = False
            wait = pause * (1.0 + 0.5 * host.uniform())
            if outcome.status != 486 or host.clock.seconds() + wait > deadline:
                return blank(running, State.QUEUED if outcome.stored else State.FAILED, outcome.code, outcome.message)
            report({"phase": "waiting", "message": outcome.message})
            await self._sleep(wait)
            pause = min(BUSY_LONGEST, pause * BUSY_GROWTH)

    async def _wait_free(self, collection: str, left: float) -> None:
        try:
            if left <= 0:
                raise TimeoutError
            await within(self._host.sessions.free(collection), left, self._host.clock)
        except TimeoutError:
            what = f"{collection} is being synchronised already; wait until that is done, `twsync status` shows it."
            raise SessionError(what, "busy") from None

    async def _sleep(self, seconds: float) -> None:
        slept: Deferred[None] = Deferred()
        timer = self._host.clock.callLater(seconds, slept.callback, None)
        try:
            await slept
        finally:
            if timer.active():
                timer.cancel()

    async def _attempt(
        self, order: Order, collection: CollectionSettings, running: Running, report: Progress, timeout: float, ended: list[Call],
        first: bool,
    ) -> SessionResult | Refusal:  # fmt: skip
        """One attempt.

        :param first: whether the disk is looked at while the other device is called: not again in vain for one that was busy.
        """
        look = self._host.begin_look(collection, running.session, Side.CLIENT, order.sync_type) if first else None
        try:
            return await self._call(order, collection, running, report, timeout, ended, look)
        finally:
            if look is not None:
                await look.close()

    async def _call(
        self, order: Order, collection: CollectionSettings, running: Running, report: Progress, timeout: float, ended: list[Call],
        look: Look | None,
    ) -> SessionResult | Refusal:  # fmt: skip
        host = self._host
        flow = host.agent.flow
        if flow is None:
            return Refusal(0, "server-unreachable", "The connection to the server broke off; it is being opened again, try then.")
        offer = Description(
            session=running.session, caller=host.settings.full_name, callee=order.device, source_ip=flow.local[0].partition("%")[0],
            source_port=0, data_type=DataType(collection.type), sync_protocol=running.protocol, collection=collection.name,
            sync_type=order.sync_type, policy=str(collection.policy), fingerprint=host.device.fingerprint, created=host.moment(),
        )  # fmt: skip
        report({"phase": "calling"})
        call = await host.agent.calls.call(order.device, running.session, host.signed(offer), timeout)
        if isinstance(call, Refusal):
            return call
        ended.append(call)
        try:
            answer = from_xml(call.body)
        except FormatError as error:
            raise SessionError(f"{order.device} answered with {error.message}; look into its log.", "bad-answer") from None
        check_answer(offer, answer.description)
        host.acquaintance.require(order.device, answer.fingerprint)
        report({"phase": "connecting"})
        candidates = [(candidate.address, candidate.port) for candidate in answer.description.candidates]
        connected = await host.connect(candidates, answer.fingerprint)
        host.tracer.data(running.session)
        work = Work(
            running.session, collection, order.device, Side.CLIENT, order.sync_type, str(collection.policy), order.allow_deletes,
            answer.description.token, look,
        )  # fmt: skip
        return await host.exchange(connected.channel, work, host.progress_of(running, call, report))
