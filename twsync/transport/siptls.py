"""SIP over TLS and TCP: flows, and the transaction layer (RFC 3261 sections 17 and 18) on top of them.

Reliable transports only. Responses go back on the flow that the request came by (RFC 5626 demands it, and addresses in Via lie);
requests go where the user says: finding the flow is a registrar's or a user agent's knowledge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal
from typing import Protocol as Interface

import sipmessage
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from twsync import limits
from twsync.errors import ProtocolError
from twsync.sip.message import Message, Request, Response, adopt, pop_via, push_via, response_to
from twsync.sip.values import Parameters, Via
from twsync.transport.interfaces import Clock
from twsync.transport.sipadmission import Admission, AdmissionLimits
from twsync.transport.sipfactory import ConnectingFactory, ListeningFactory
from twsync.transport.sipflow import Flow, FlowLimits
from twsync.transport.siptransactions import ClientTransaction, Key, Lost, ServerTransaction, client_key, new_via, server_key

__all__ = ["AdmissionLimits", "ClientTransaction", "Flow", "FlowLimits", "Lost", "ServerTransaction", "SipTransport", "SipUser"]


class SipUser(Interface):
    """What stands above the transport: a user agent or a proxy."""

    def flow_opened(self, flow: Flow) -> None:
        """A connection stands (after the TLS handshake)."""

    def flow_closed(self, flow: Flow, reason: str) -> None:
        """An opened connection ended; its client transactions were told before (`Lost.FLOW`)."""

    def request_received(self, request: Request, flow: Flow, transaction: ServerTransaction | None) -> None:
        """A new request; its top Via has ``received`` and ``rport``. `transaction` is what to respond to.

        ACK to a 2xx has None. For CANCEL, `transaction` is the *INVITE's* that is to be cancelled: the CANCEL itself was already
        answered 200 (or 481 if nothing matched, and is not told); respond 487 to the INVITE, or cancel its branches.
        """

    def response_received(self, response: Response, flow: Flow) -> None:
        """A response that belongs to no transaction here (a late 2xx), its top Via still on."""

    def message_traced(self, flow: Flow, direction: Literal["sent", "received"], message: Message) -> None:
        """Every well-formed message as it goes over the wire, for ladders; must not change it."""


class ClientEndpoint(Interface):
    """A Twisted client endpoint (`IStreamClientEndpoint`)."""

    def connect(self, factory: Factory, /) -> Deferred[Any]:
        """Connect; fires with the protocol that the factory built."""


class SipTransport:
    """Flows and transactions.

    :param clock: for timers.
    :param token: gives that many random bytes: for branches, tags and flow names.
    :param user: is told of flows and messages.
    :param sent_by: host and port for the own Via; None takes each flow's local address.
    :param merged: whether a request that came by two ways is answered 482 the second time (RFC 3261 section 8.2.2.2): for user agents
        only, as a proxy may meet one twice rightly.
    """

    log = Logger()

    def __init__(
        self,
        clock: Clock,
        token: Callable[[int], bytes],
        user: SipUser,
        *,
        sent_by: tuple[str, int] | None = None,
        merged: bool = False,
        flow_limits: FlowLimits | None = None,
        admission: AdmissionLimits | None = None,
    ) -> None:
        self._clock = clock
        self._token = token
        self._user = user
        self._sent_by = sent_by
        self._merged = merged
        self._flow_limits = flow_limits or FlowLimits()
        self._admission = Admission(admission)
        self._admitted: dict[Flow, tuple[str, bool]] = {}
        "Connections that came in: from where, and whether they are strangers."
        self._strangers: dict[Flow, None] = {}
        "The oldest first."
        self._flows: dict[str, Flow] = {}
        self._clients: dict[Flow, dict[Key, ClientTransaction]] = {}
        self._servers: dict[Flow, dict[Key, ServerTransaction]] = {}
        self._opening: dict[Flow, Deferred[Flow]] = {}
        self._standing: dict[tuple[str, ...], ServerTransaction] = {}

    # --- flows -----------------------------------------------------------------------------------------------------------------

    @property
    def flows(self) -> Mapping[str, Flow]:
        """The flows that stand, by their `id`."""
        return MappingProxyType(self._flows)

    def factory(self) -> Factory:
        """For listening endpoints: limits on connections hold, and new ones must authenticate in time."""
        return ListeningFactory(self._admit)

    def connect(self, endpoint: ClientEndpoint) -> Deferred[Flow]:
        """Open a flow. Fires when it stands, TLS handshake included, just after `flow_opened`; fails with what went wrong.

        Cancelling it ends the attempt.
        """
        flow = self._build(initiator=True)
        attempt: Deferred[Any]

        def give_up(_: Deferred[Flow]) -> None:
            attempt.cancel()
            flow.close("The attempt to connect was cancelled.")

        opened: Deferred[Flow] = Deferred(give_up)
        self._opening[flow] = opened

        def failed(failure: Failure) -> None:
            if self._opening.pop(flow, None) is not None:
                opened.errback(failure)

        attempt = endpoint.connect(ConnectingFactory(flow))
        attempt.addErrback(failed)
        return opened

    def close(self, reason: str) -> None:
        """Close all flows."""
        for flow in tuple(self._clients):
            flow.close(reason)

    def _build(self, initiator: bool) -> Flow:
        return Flow(self, self._clock, self._token, initiator, self._flow_limits)

    def _admit(self, host: str) -> Flow | None:
        allowed = self._admission.allows(host, self._clock.seconds())
        if allowed and self._admission.full:
            self._make_place()
        if not allowed or self._admission.full:
            self.log.debug("A connection from {host} was refused: too many", host=host)
            return None
        self._admission.enter(host)
        flow = self._build(initiator=False)
        self._admitted[flow] = (host, True)
        self._strangers[flow] = None
        return flow

    def _make_place(self) -> None:
        """Close the stranger that has stood for longest."""
        for flow in self._strangers:
            self._left(flow)
            flow.close("All places are taken, and it has not authenticated.")
            return

    def _left(self, flow: Flow) -> None:
        """A connection that came in has ended, or its place is another's."""
        if (place := self._admitted.pop(flow, None)) is not None:
            self._admission.leave(*place)
        self._strangers.pop(flow, None)

    def flow_authenticated(self, flow: Flow) -> None:
        """A flow has shown who it is; called by it."""
        host, stranger = self._admitted.get(flow, ("", False))
        if stranger:
            self._admitted[flow] = (host, False)
            self._strangers.pop(flow)
            self._admission.authenticated(host)

    def flow_made(self, flow: Flow) -> None:
        """A flow stands; called by it."""
        self._flows[flow.id] = flow
        self._clients[flow] = {}
        self._servers[flow] = {}
        self._tell("flow_opened", self._user.flow_opened, flow)
        if (opened := self._opening.pop(flow, None)) is not None:
            opened.callback(flow)

    def flow_lost(self, flow: Flow, reason: str, opened: bool) -> None:
        """A flow ended; called by it."""
        self._left(flow)
        if (opening := self._opening.pop(flow, None)) is not None:
            opening.errback(Failure(ProtocolError(f"The connection could not be made: {reason}", "connection-failed")))
        if not opened:
            return
        self._flows.pop(flow.id, None)
        for client in tuple(self._clients.pop(flow).values()):
            client.flow_lost()
        for server in tuple(self._servers.pop(flow).values()):
            server.flow_lost()
        self._tell("flow_closed", self._user.flow_closed, flow, reason)

    # --- sending ---------------------------------------------------------------------------------------------------------------

    def request(self, flow: Flow, request: sipmessage.Request, on_response: Callable[[Response | Lost], None]) -> ClientTransaction:
        """Send a request in a new transaction. A copy gets our Via on top, and Max-Forwards if absent.

        Not for ACK and CANCEL: use `send` and `cancel`.

        :param on_response: is called for each provisional (100 too) and the final response, our Via still on top (`message.pop_via`);
            after a 2xx to INVITE also for its repetitions and forks, during 32 s. Or once with `Lost`; not before this returned, if the
            flow is already closed. ACK for other final responses is sent here.
        """
        sent = self._prepared(flow, request)
        table = self._clients.get(flow, {})
        transaction = ClientTransaction(self._clock, flow, sent, on_response, lambda: _drop(table, transaction))
        table[transaction.key] = transaction
        transaction.start()
        return transaction

    def cancel(self, transaction: ClientTransaction, reason: str = "") -> None:
        """Cancel an INVITE: sent as soon as a provisional response is there (RFC 3261 section 9.1); no effect after a final one.

        :param reason: a Reason header (RFC 3326).
        """

        def send(cancel: Request) -> None:
            if reason:
                cancel.headers.set("Reason", reason)
            table = self._clients.get(cancel_flow, {})
            cancelling = ClientTransaction(self._clock, cancel_flow, cancel, lambda _: None, lambda: _drop(table, cancelling))
            table[cancelling.key] = cancelling
            cancelling.start()

        cancel_flow = transaction.flow
        transaction.cancel(send)

    def respond(self, transaction: ServerTransaction, response: sipmessage.Response) -> None:
        """Send a response on the flow that the request came by.

        After the flow's end it has no effect; after a final response only a 2xx after a 2xx to an INVITE has.
        """
        transaction.respond(response)

    def send(self, flow: Flow, message: sipmessage.Request | sipmessage.Response) -> None:
        """Send outside transactions: an ACK to a 2xx (a copy gets our Via on top), or a late response as it is."""
        flow.send(self._prepared(flow, message) if isinstance(message, sipmessage.Request) else message)

    def _prepared(self, flow: Flow, request: sipmessage.Request) -> Request:
        sent = adopt(request)
        assert isinstance(sent, Request)
        push_via(sent, new_via(flow, self._token, self._sent_by))
        if sent.headers.get("Max-Forwards") is None:
            sent.headers.set("Max-Forwards", str(limits.MAX_FORWARDS))
        return sent

    # --- receiving -------------------------------------------------------------------------------------------------------------

    def message_received(self, flow: Flow, message: Message) -> None:
        """A well-formed message came; called by the flow."""
        if isinstance(message, Response):
            if (client := self._clients[flow].get(client_key(message))) is not None:
                client.response(message)
            else:
                self._tell("response_received", self._user.response_received, message, flow)
            return
        _repair_via(message, flow)
        if message.method == "ACK":
            self._ack(flow, message)
        elif message.method == "CANCEL":
            self._cancelled(flow, message)
        else:
            self._new_request(flow, message)

    def message_seen(self, flow: Flow, direction: Literal["sent", "received"], message: Message) -> None:
        """A message went over the wire; called by the flow."""
        self._tell("message_traced", self._user.message_traced, flow, direction, message)

    def _ack(self, flow: Flow, ack: Request) -> None:
        if (invite := self._servers[flow].get(server_key(ack, "INVITE"))) is not None:
            invite.ack(ack)
        else:
            self._tell("request_received", self._user.request_received, ack, flow, None)

    def _cancelled(self, flow: Flow, cancel: Request) -> None:
        invite = self._servers[flow].get(server_key(cancel, "INVITE"))
        if invite is None:
            flow.send(response_to(cancel, 481, tag=self._token(8).hex()))
            return
        # Of one hop, and answered at once: it needs no transaction of its own (RFC 3261 section 9.2).
        flow.send(response_to(cancel, 200, tag=self._token(8).hex()))
        if not invite.final and not invite.cancelled:
            invite.cancelled = True
            self._tell("request_received", self._user.request_received, cancel, flow, invite)

    def _new_request(self, flow: Flow, request: Request) -> None:
        table = self._servers[flow]
        key = server_key(request, request.method)
        if (standing := table.get(key)) is not None:
            standing.repeated()
            return
        if not _make_room(table):
            flow.send(response_to(request, 503, tag=self._token(8).hex(), headers=[("Retry-After", "10")]))
            return
        merge_key = (request.call_id, request.from_tag, str(request.cseq), str(request.uri))
        watched = self._merged and not request.to_tag
        if watched and merge_key in self._standing:
            flow.send(response_to(request, 482, tag=self._token(8).hex()))
            return

        def over() -> None:
            _drop(table, transaction)
            if self._standing.get(merge_key) is transaction:
                del self._standing[merge_key]

        def told(message: Request, answering: ServerTransaction | None) -> None:
            if not self._tell("request_received", self._user.request_received, message, flow, answering):
                transaction.respond(response_to(request, 500, tag=self._token(8).hex()))

        transaction = ServerTransaction(self._clock, flow, request, key, told, over)
        table[key] = transaction
        if watched:
            self._standing[merge_key] = transaction
        transaction.start()

    def _tell(self, name: str, call: Callable[..., None], *arguments: object) -> bool:
        """Call the user; a fault in it must not take the connection's other business down."""
        try:
            call(*arguments)
        except Exception:
            self.log.failure("{name} failed", name=name)
            return False
        return True


def _repair_via(request: Request, flow: Flow) -> None:
    """Write into the top Via where the request really came from (RFC 3261 section 18.2.1, RFC 3581 section 4)."""
    via = pop_via(request)
    if via is None:
        return
    host, port = flow.remote
    parameters = Parameters(via.parameters)
    asked = "rport" in parameters
    if host and (asked or via.host.strip("[]") != host):
        parameters = parameters.set({"received": host})
    elif not host:
        parameters = parameters.without("received")
    if asked:
        parameters = parameters.set({"rport": str(port)})
    push_via(request, Via(transport=via.transport, host=via.host, port=via.port, parameters=parameters))


def _make_room(table: dict[Key, ServerTransaction]) -> bool:
    """Whether one more request may stand; answered ones give way, the oldest first."""
    if len(table) < limits.MAX_SIP_TRANSACTIONS:
        return True
    answered = [transaction for transaction in table.values() if transaction.final]
    if len(table) - len(answered) >= limits.MAX_SIP_TRANSACTIONS:
        return False
    if len(answered) >= limits.MAX_SIP_ANSWERED:
        answered[0].forget()
    return True


def _drop(table: dict[Key, ServerTransaction] | dict[Key, ClientTransaction], transaction: ServerTransaction | ClientTransaction) -> None:
    if table.get(transaction.key) is transaction:
        del table[transaction.key]
