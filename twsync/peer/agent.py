"""The SIP user agent of this device: one flow to the server, and everything that goes over it (docs/protocol/signalling.md).

:class:`Agent` wires the parts and sorts what comes in; each part holds one concept: the connection, the registration, presence, calls.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from twsync import limits
from twsync.errors import ConfigError, FormatError
from twsync.peer.asking import Asker
from twsync.peer.calls import Call, Calls, Offer
from twsync.peer.connection import Connection
from twsync.peer.connection import State as ConnectionState
from twsync.peer.identity import ALLOW, MEDIA_REQUEST, MEDIA_SESSION, SUPPORTED, Identity
from twsync.peer.presence import Device, Presence
from twsync.peer.refusals import Refusal, understood, warning
from twsync.peer.registration import REFUSED_PAUSE, Binding, Outcome, Registration
from twsync.peer.waiting import within
from twsync.sip.digest import Algorithm, Credentials
from twsync.sip.message import Message, Request, Response, response_to
from twsync.sip.request import SyncRequest
from twsync.sip.request import build as build_request
from twsync.sip.request import parse as parse_request
from twsync.transport.interfaces import Clock, Delayed
from twsync.transport.siptls import ClientEndpoint, Flow, ServerTransaction, SipTransport

#: Seconds between looks at the local address, or at the password's file while it is refused.
ADDRESS_CHECK = 5.0
#: A timer that comes this many seconds late means that the host was asleep: the flow may be gone.
ASLEEP = 15.0
#: Seconds to wait for the registration when attempts fail: for one more attempt, not for a server that is away.
WAIT_AFTER_FAILURE = 3.0
#: Seconds that taking back the registration may take when the daemon stops.
UNREGISTER_TIMEOUT = 2.0

_log = Logger()


class AgentState(enum.StrEnum):
    """What `twsync status` says of the connection."""

    STOPPED = "stopped"
    CONNECTING = "connecting"
    REGISTERING = "registering"
    REGISTERED = "registered"
    WAITING = "waiting"
    REFUSED = "refused"


class AgentUser(Protocol):
    """What stands above the agent: the service."""

    def registered(self, binding: Binding) -> None:
        """This device is registered, for the first time over a new flow."""

    def offered(self, offer: Offer) -> None:
        """Someone calls; to be answered by `agent.calls`."""

    def progressed(self, call: Call, body: bytes) -> None:
        """The other side of a call tells how far it is."""

    def requested(self, request: SyncRequest) -> tuple[int, str]:
        """The server, or another device, asks for a session.

        :returns: the code to answer with, 202 if it is opened, and a sentence for a refusal.
        """

    def devices_changed(self, devices: dict[str, Device]) -> None:
        """Someone came, went or changed."""

    def traced(self, direction: Literal["sent", "received"], message: Message) -> None:
        """A message went over the wire."""


class Agent:
    """One device at its server.

    :param endpoint: makes the endpoint of the server.
    :param password: reads the password, or raises `ConfigError`; called for each new flow, as it may have been corrected.
    :param clock: timers.
    :param now: seconds since the epoch.
    :param token: gives that many random bytes.
    :param uniform: random numbers from 0 to 1.
    :param route: the own address towards a numeric address, None without a route.
    """

    def __init__(
        self,
        identity: Identity,
        endpoint: Callable[[], ClientEndpoint],
        password: Callable[[], str],
        clock: Clock,
        now: Callable[[], float],
        token: Callable[[int], bytes],
        uniform: Callable[[], float],
        route: Callable[[str], str | None],
        user: AgentUser,
    ) -> None:
        self.identity = identity
        self.binding: Binding | None = None
        self._password = password
        self._clock = clock
        self._now = now
        self._token = token
        self._uniform = uniform
        self._route = route
        self._user = user
        self._transport = SipTransport(clock, token, self, merged=True)
        self._connection = Connection(self._transport, endpoint, clock, uniform, self._opened)
        self._asker: Asker | None = None
        self._registration: Registration | None = None
        self._outcome: Outcome | None = None
        self._tried = ""
        self._source: str | None = None
        self._checked = 0.0
        self._timer: Delayed | None = None
        self._waiting: list[Deferred[bool]] = []
        # Where else this device was last seen to be signed in, and until when that counts.
        self._elsewhere = ("", 0.0)
        self.presence = Presence(clock, self._devices_changed)
        self.calls = Calls(self._transport, clock, token, user)

    # --- life ---

    def start(self) -> None:
        """Connect and register, and stay so."""
        self._connection.start()
        self._checked = self._now()
        self._timer = self._clock.callLater(ADDRESS_CHECK, self._check_address)

    async def stop(self) -> None:
        """Take the registration back, and close the flow."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        registration, self._registration = self._registration, None
        self.presence.stop()
        if registration is not None and self.registered:
            removal = within(Deferred.fromCoroutine(registration.remove()), UNREGISTER_TIMEOUT, self._clock)
            await removal.addErrback(lambda _: None)  # without an answer the binding expires by itself
        elif registration is not None:
            registration.stop()
        self.binding = None
        self._connection.stop()
        self._resolve_waiting(False)

    @property
    def registered(self) -> bool:
        """Whether this device is registered now."""
        return self.binding is not None

    @property
    def state(self) -> AgentState:
        """What is known of the connection."""
        state = self._connection.state
        if state is ConnectionState.OPEN:
            return AgentState.REGISTERED if self.registered else AgentState.REGISTERING
        if state is ConnectionState.WAITING:
            return AgentState.REFUSED if self._outcome is Outcome.REFUSED else AgentState.WAITING
        return AgentState.CONNECTING if state is ConnectionState.CONNECTING else AgentState.STOPPED

    @property
    def flow(self) -> Flow | None:
        """The present flow."""
        return self._connection.flow

    def describe(self) -> dict[str, Any]:
        """The connection, for ``twsync status --json``."""
        binding, flow = self.binding, self._connection.flow
        return {
            "state": str(self.state),
            "message": self._displaced() if self.registered else self._connection.reason,
            "retry_in": None if (wait := self._connection.retry_in) is None else round(wait, 1),
            "local": _joined(flow.local) if flow is not None else None,
            "observed": _joined(binding.observed) if binding is not None and binding.observed else None,
            "clock_skew": round(binding.skew, 1) if binding is not None and binding.skew is not None else None,
            "certificate": flow.peer_fingerprint if flow is not None else None,
        }

    def _displaced(self) -> str:
        """What to say if another connection has this device's registration, or had it a moment ago; else nothing.

        Two machines with the same key take it from each other at each refresh.
        """
        address, until = self._elsewhere
        if self._clock.seconds() >= until:
            return ""
        what = f"this device signs in over another connection too, from {address}"
        return f"{what}; if its folder was copied to another machine, stop one of the two and make a new device there with: twsync init"

    def _devices_changed(self, devices: dict[str, Device]) -> None:
        own, binding = devices.get(self.identity.full_name), self.binding
        address = own.address if own is not None and own.online else None
        if address is not None and binding is not None and binding.observed is not None and address != _joined(binding.observed):
            # Each of the two refreshes before its term ends, so in two terms this one has seen the other again.
            self._elsewhere = (address, self._clock.seconds() + 2 * binding.expires)
        self._user.devices_changed(devices)

    def retry_now(self) -> None:
        """Connect at once if the next attempt is still due: the settings have changed, or someone waits. A refusal may be out of date."""
        self._outcome = None
        self._connection.retry_now()

    async def wait_registered(self, timeout: float) -> bool:
        """Wait until this device is registered, at most `timeout` seconds, less if attempts fail; tells whether it is."""
        if self.registered:
            return True
        self.retry_now()
        first = min(timeout, WAIT_AFTER_FAILURE)
        if await self._registered_within(first):
            return True
        if self.state in (AgentState.WAITING, AgentState.REFUSED) or first == timeout:
            return False
        return await self._registered_within(timeout - first)

    async def _registered_within(self, timeout: float) -> bool:
        answer: Deferred[bool] = Deferred()
        self._waiting.append(answer)
        try:
            return await within(answer, timeout, self._clock)
        except TimeoutError:
            return False

    # --- flow and registration ---

    def flow_opened(self, flow: Flow) -> None:
        """The connection tells of it itself, when it takes the flow."""

    def flow_closed(self, flow: Flow, reason: str) -> None:
        """Register again over another flow, unless this one was replaced already."""
        if self._connection.closed(flow, reason):
            self._down()

    def _opened(self, flow: Flow) -> None:
        # SHA-256 comes first; MD5, which is all that some servers know, only where TLS keeps it from others' eyes.
        algorithms = tuple(Algorithm) if flow.secure else (Algorithm.SHA256,)
        self._tried = ""
        try:
            password = self._tried = self._password()
        except ConfigError as error:
            self._failed(Outcome.REFUSED, str(error), REFUSED_PAUSE)
            return
        self._outcome = None
        self._source = self._route(flow.remote[0])
        self._down()
        asker = self._asker = Asker(self._transport, flow, Credentials(self.identity.user, password, algorithms=algorithms), self._token)
        self._registration = Registration(asker, self.identity, self._clock, self._now, self._uniform, self._registered, self._failed)
        self._registration.start()

    def _registered(self, binding: Binding, first: bool) -> None:
        self.binding = binding
        if not first or self._asker is None:
            return
        self._connection.succeeded()
        self._asker.flow.keepalive(limits.PING_INTERVAL)
        identity = self.identity if binding.realm is None else replace(self.identity, domain=binding.realm)
        self.calls.asker, self.calls.identity = self._asker, identity
        self.presence.start(self._asker, identity)
        _log.info("Registered as {name} from {local}.", name=identity.full_name, local=_joined(self._asker.flow.local))
        self._resolve_waiting(True)
        self._user.registered(binding)

    def _failed(self, outcome: Outcome, reason: str, pause: float | None) -> None:
        self._outcome = outcome
        self._down()
        if outcome is not Outcome.FAILED:
            self._connection.succeeded()  # earlier failures make no pause longer than the answer says
        self._connection.give_up(reason, pause)
        if outcome is not Outcome.FAILED:
            _log.error("Not registered: {reason}", reason=reason)
            self._resolve_waiting(False)

    def _down(self) -> None:
        """Nothing can be sent any more."""
        asker, self._asker = self._asker, None
        if self._registration is not None:
            self._registration.stop()
            self._registration = None
        self.binding = None
        self.presence.stop()
        if asker is not None:
            self.calls.flow_lost(asker.flow)

    def _resolve_waiting(self, registered: bool) -> None:
        waiting, self._waiting = self._waiting, []
        for answer in waiting:
            if not answer.called:
                answer.callback(registered)

    def _check_address(self) -> None:
        self._timer = self._clock.callLater(ADDRESS_CHECK, self._check_address)
        now, before = self._now(), self._checked
        self._checked = now
        flow = self._connection.flow
        if flow is None:
            self._try_changed_password()
            return
        source = self._route(flow.remote[0])
        if source is not None and source != self._source:
            _log.info("The local address is {source} now; registering again.", source=source)
            self._down()
            self._connection.renew(f"the local address is {source} now")
        elif now - before > ADDRESS_CHECK + ASLEEP:
            flow.ping()

    def _try_changed_password(self) -> None:
        """What the server made of the old one says nothing of a new one."""
        if self._connection.state is not ConnectionState.WAITING or self._outcome not in (Outcome.REFUSED, Outcome.DELAYED):
            return
        try:
            changed = self._password() != self._tried
        except ConfigError:
            return  # it is being written, or still missing, as `status` says
        if changed:
            self.retry_now()

    # --- what comes in ---

    def request_received(self, request: Request, flow: Flow, transaction: ServerTransaction | None) -> None:
        """Give a request to the part that it is for, or refuse it."""
        if transaction is None:
            if request.method == "ACK":
                self.calls.acknowledged(request)
            return
        match request.method:
            case "INVITE":
                self.calls.invited(request, transaction)
            case "CANCEL":
                self.calls.cancelled(transaction)
            case "BYE" | "INFO":
                self.calls.in_dialog(request, transaction)
            case "NOTIFY":
                self._answer(request, transaction, self.presence.notified(request))
            case "MESSAGE":
                self._message(request, transaction)
            case "OPTIONS":
                headers = (("Allow", ALLOW), ("Accept", f"{MEDIA_SESSION}, {MEDIA_REQUEST}"), ("Supported", SUPPORTED))
                self._transport.respond(transaction, response_to(request, 200, tag=self._token(8).hex(), headers=headers))
            case _:
                self._transport.respond(transaction, response_to(request, 405, tag=self._token(8).hex(), headers=(("Allow", ALLOW),)))

    def response_received(self, response: Response, flow: Flow) -> None:
        """A response that nobody waits for any more."""

    def message_traced(self, flow: Flow, direction: Literal["sent", "received"], message: Message) -> None:
        """Pass every message on to who keeps traces."""
        self._user.traced(direction, message)

    def _message(self, request: Request, transaction: ServerTransaction) -> None:
        if request.media_type != MEDIA_REQUEST:
            self._answer(request, transaction, 415, "Only requests for a session are understood here.")
            return
        try:
            wanted = parse_request(request.body)
        except FormatError as error:
            self._answer(request, transaction, 400, error.message)
            return
        self._answer(request, transaction, *self._user.requested(wanted))

    def _answer(self, request: Request, transaction: ServerTransaction, code: int, sentence: str = "") -> None:
        headers = [warning(sentence)] if sentence else []
        self._transport.respond(transaction, response_to(request, code, tag=self._token(8).hex(), headers=headers))

    # --- what goes out, beside calls ---

    async def alert(self, device: str, request: SyncRequest) -> Refusal | None:
        """Ask `device` to open a session; None if it was taken, else why not (also: stored until it is online)."""
        asker, identity = self.calls.asker, self.calls.identity
        if asker is None or identity is None:
            return Refusal(0, "server-unreachable", "There is no connection to the server; `twsync status` says why.")
        call_id, tag, sequence = asker.name(), asker.name(), 0

        def build() -> Request:
            nonlocal sequence
            sequence += 1
            return identity.message(device, call_id, sequence, tag, build_request(request))

        _, response = await asker.ask(build, header="Proxy-Authorization")
        if isinstance(response, Response) and 200 <= response.code < 300:
            return None
        return understood(response, device)


def _joined(address: tuple[str, int]) -> str:
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
