"""Transactions bound to a flow and a clock: the tables of `sip.transaction` get their timers and their messages here.

A transaction lives on the flow that its request went over. Responses come back on that flow and nowhere else, so nobody else can
answer in another's name, and a lost flow ends its transactions at once.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TypeAlias

import sipmessage
from twisted.logger import Logger

from twsync import limits
from twsync.sip.message import CSeq, Request, Response, Via, adopt, response_to
from twsync.sip.transaction import Do, Event, Kind, Machine, Start, State, Stop, Timer, received, timer_event, to_send
from twsync.transport.interfaces import Clock, Delayed
from twsync.transport.sipflow import Flow

COOKIE = "z9hG4bK"
"What branches of RFC 3261 begin with; those without it are matched by more of the message (section 17.2.3)."

Key: TypeAlias = tuple[str, ...]

_log = Logger()


class Lost(enum.Enum):
    """Why no final response came."""

    TIMEOUT = "timeout"
    FLOW = "flow"


class _Transaction:
    """What both kinds have: a machine, timers, and a call when it is over."""

    def __init__(self, clock: Clock, kind: Kind, flow: Flow, request: Request, over: Callable[[], None]) -> None:
        self.flow = flow
        self.request = request
        self._clock = clock
        self._machine = Machine(kind)
        self._over: Callable[[], None] | None = over
        self._timers: dict[Timer, Delayed] = {}

    @property
    def state(self) -> State:
        """Where it stands."""
        return self._machine.state

    @property
    def final(self) -> bool:
        """Whether a final response was passed or sent, or can no longer be."""
        return self._machine.final

    def flow_lost(self) -> None:
        """The connection ended; for the transport."""
        if not self._machine.over:
            self._fire(Event.FLOW_LOST)

    def forget(self) -> None:
        """Stop all timers and be over, telling nobody; for the transport."""
        self._machine.state = State.TERMINATED
        self._finish()

    def _fire(self, event: Event, response: Response | None = None) -> None:
        # What an action calls may fire again (a user that responds at once, a flow that breaks while it is written to): the next state
        # stands before the first action, timers start before others are told, and nothing starts once all is over.
        actions = self._machine.fire(event)
        zero: list[Timer] = []
        for action in actions:
            if isinstance(action, Start):
                if not action.timer.seconds:
                    zero.append(action.timer)
                elif not self._machine.over:
                    self._timers[action.timer] = self._clock.callLater(action.timer.seconds, self._timer, action.timer)
            elif isinstance(action, Stop):
                if (running := self._timers.pop(action.timer, None)) is not None:
                    running.cancel()
            else:
                self._do(action, response)
        for timer in zero:
            if not self._machine.over:
                self._fire(timer_event(timer))
        if self._machine.over:
            self._finish()

    def _timer(self, timer: Timer) -> None:
        del self._timers[timer]
        self._fire(timer_event(timer))

    def _finish(self) -> None:
        for running in self._timers.values():
            running.cancel()
        self._timers.clear()
        if (over := self._over) is not None:
            self._over = None
            over()

    def _do(self, action: Do, response: Response | None) -> None:
        raise NotImplementedError


class ClientTransaction(_Transaction):
    """A request that was sent; made by `SipTransport.request`.

    `request` is what went out, our Via on top.
    """

    def __init__(
        self, clock: Clock, flow: Flow, request: Request, on_response: Callable[[Response | Lost], None], over: Callable[[], None]
    ) -> None:
        super().__init__(clock, Kind.INVITE_CLIENT if request.method == "INVITE" else Kind.CLIENT, flow, request, over)
        self._on_response = on_response
        self._cancel: Callable[[Request], None] | None = None

    @property
    def key(self) -> Key:
        """What responses are matched by (section 17.1.3)."""
        return client_key(self.request)

    def start(self) -> None:
        """Send it; for the transport."""
        self._fire(Event.START)
        if not self.flow.open:
            # Told later: a caller does not expect an answer before `request` returned.
            self._clock.callLater(0, self.flow_lost)

    def response(self, response: Response) -> None:
        """A response to it came; for the transport."""
        self._fire(received(response.code), response)
        if self._cancel is not None and self.state is State.PROCEEDING:
            self._send_cancel(self._cancel)

    def cancel(self, send: Callable[[Request], None]) -> None:
        """Cancel it as soon as that is allowed; `send` gets the CANCEL; for the transport."""
        if self._machine.kind is not Kind.INVITE_CLIENT or self.final or self._cancel is not None:
            return
        self._cancel = send
        if self.state is State.PROCEEDING:
            self._send_cancel(send)

    def _send_cancel(self, send: Callable[[Request], None]) -> None:
        # Once only: what is left behind does nothing.
        self._cancel = _already_cancelled
        if send is not _already_cancelled:
            self._fire(Event.CANCELLED)
            send(_hop_request("CANCEL", self.request, self.request.headers["To"]))

    def _do(self, action: Do, response: Response | None) -> None:
        if action is Do.SEND_REQUEST:
            self.flow.send(self.request)
        elif action is Do.SEND_ACK and response is not None:
            self.flow.send(_hop_request("ACK", self.request, response.headers["To"]))
        elif action is Do.PASS_RESPONSE and response is not None:
            self._tell(response)
        elif action is Do.REPORT_TIMEOUT:
            self._tell(Lost.TIMEOUT)
        elif action is Do.REPORT_FLOW:
            self._tell(Lost.FLOW)

    def _tell(self, what: Response | Lost) -> None:
        try:
            self._on_response(what)
        except Exception:
            _log.failure("A response to {method} could not be dealt with", method=self.request.method)


class ServerTransaction(_Transaction):
    """A request that was received; to be answered by `SipTransport.respond`."""

    def __init__(
        self,
        clock: Clock,
        flow: Flow,
        request: Request,
        key: Key,
        on_request: Callable[[Request, ServerTransaction | None], None],
        over: Callable[[], None],
    ) -> None:
        super().__init__(clock, Kind.INVITE_SERVER if request.method == "INVITE" else Kind.SERVER, flow, request, over)
        self.key = key
        self.cancelled = False
        "Whether a CANCEL for it came."
        self._on_request = on_request
        self._last: Response | None = None
        self._ack: Request | None = None

    def start(self) -> None:
        """Give the request to the user; for the transport."""
        self._fire(Event.START)

    def repeated(self) -> None:
        """The request came again; for the transport."""
        self._fire(Event.REQUEST)

    def ack(self, ack: Request) -> None:
        """An ACK with this INVITE's branch came; for the transport."""
        self._ack = ack
        self._fire(Event.ACK)

    def respond(self, response: sipmessage.Response) -> None:
        """Send a response, where the state still allows one; for the transport."""
        ours = adopt(response)
        assert isinstance(ours, Response)
        self._fire(to_send(response.code), ours)

    def _do(self, action: Do, response: Response | None) -> None:
        if action is Do.SEND_RESPONSE and response is not None:
            self._last = response
            self.flow.send(response)
        elif action is Do.SEND_RESPONSE_AGAIN:
            if self._last is not None:
                self.flow.send(self._last)
        elif action is Do.SEND_TRYING:
            self.respond(response_to(self.request, 100))
        elif action is Do.PASS_REQUEST:
            self._on_request(self.request, self)
        elif action is Do.PASS_ACK and self._ack is not None:
            self._on_request(self._ack, None)
        elif action is Do.REPORT_TIMEOUT:
            _log.info("{flow!r} never acknowledged the answer to an INVITE", flow=self.flow)


def client_key(message: sipmessage.Request | sipmessage.Response) -> Key:
    """What a sent request and its responses have in common: the top Via's branch, and the method of CSeq."""
    return _own(message).top_via.branch or "", _own(message).cseq.method


def server_key(request: Request, method: str) -> Key:
    """What a received request has in common with its repetitions, its ACK and its CANCEL (section 17.2.3).

    :param method: INVITE for an ACK, and for the INVITE that a CANCEL is meant for; else the request's.
    """
    via = request.top_via
    branch = via.branch or ""
    if branch.startswith(COOKIE) and branch != COOKIE:
        return branch, via.host.lower(), str(via.port or ""), method
    # RFC 2543, or a cookie with nothing behind it (RFC 4475 section 3.2.1).
    return str(request.uri), request.from_tag, request.call_id, str(request.cseq.sequence), str(via), method


def new_via(flow: Flow, token: Callable[[int], bytes], sent_by: tuple[str, int] | None) -> Via:
    """Our Via for one request, with a branch of its own."""
    host, port = sent_by or flow.local
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host or "invalid"
    # RFC 3581: ask for the port that the other side sees, too.
    return Via.parse(f"SIP/2.0/{'TLS' if flow.secure else 'TCP'} {host}:{port};branch={COOKIE}{token(12).hex()};rport")


def _own(message: sipmessage.Request | sipmessage.Response) -> Request | Response:
    return message if isinstance(message, Request | Response) else adopt(message)


def _hop_request(method: str, invite: Request, to: str) -> Request:
    """ACK or CANCEL, which go by the INVITE's branch and only to the next hop (sections 9.1 and 17.1.1.3)."""
    request = Request(method, invite.uri)
    request.via = [invite.top_via]
    request.headers.set("From", invite.headers["From"])
    request.headers.set("To", to)
    request.headers.set("Call-ID", invite.headers["Call-ID"])
    request.cseq = CSeq(sequence=invite.cseq.sequence, method=method)
    request.headers.set("Max-Forwards", str(limits.MAX_FORWARDS))
    if routes := invite.headers.getlist("Route"):
        request.headers.setlist("Route", list(routes))
    return request


def _already_cancelled(_: Request) -> None:
    """Stands where the way to send a CANCEL stood."""
