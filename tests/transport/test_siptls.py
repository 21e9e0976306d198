"""SIP flows and transactions on a fake wire and a fake clock."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher
from zope.interface import implementer

from twsync import limits
from twsync.sip.framing import Event, Framer, serialize
from twsync.sip.message import URI, CSeq, Message, Request, Response, response_to
from twsync.sip.transaction import State
from twsync.transport.siptls import AdmissionLimits, ClientTransaction, Flow, FlowLimits, Lost, ServerTransaction, SipTransport

Received = tuple[Request, ServerTransaction | None]


@implementer(ITCPTransport)
class Wire(StringTransport):
    """A transport that ends like a real one."""

    def __init__(self, host: str = "203.0.113.5") -> None:
        super().__init__(hostAddress=IPv4Address("TCP", "192.0.2.1", 5060), peerAddress=IPv4Address("TCP", host, 40112))
        self.aborted = False
        self.no_delay = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def abortConnection(self) -> None:
        self.aborted = True
        super().abortConnection()


class User:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.opened: list[Flow] = []
        self.closed: list[tuple[Flow, str]] = []
        self.requests: list[Received] = []
        self.strays: list[Response] = []
        self.traced: list[tuple[str, str]] = []
        self.on_request: Callable[[Request, ServerTransaction | None], None] = lambda request, transaction: None

    def flow_opened(self, flow: Flow) -> None:
        self.opened.append(flow)

    def flow_closed(self, flow: Flow, reason: str) -> None:
        self.closed.append((flow, reason))

    def request_received(self, request: Request, flow: Flow, transaction: ServerTransaction | None) -> None:
        self.requests.append((request, transaction))
        self.on_request(request, transaction)

    def response_received(self, response: Response, flow: Flow) -> None:
        self.strays.append(response)

    def message_traced(self, flow: Flow, direction: str, message: Message) -> None:
        self.traced.append((direction, message.method if isinstance(message, Request) else str(message.code)))


class Rig:
    """A transport, its user, and the far ends of its flows."""

    def __init__(self, *, merged: bool = False, flow_limits: FlowLimits | None = None, admission: AdmissionLimits | None = None) -> None:
        self.clock = Clock()
        self.user = User()
        counter = itertools.count(1)
        self.sip = SipTransport(
            self.clock,
            lambda size: next(counter).to_bytes(size, "big"),
            self.user,
            merged=merged,
            flow_limits=flow_limits,
            admission=admission,
        )
        self.factory = self.sip.factory()

    def accept(self, host: str = "203.0.113.5") -> tuple[Flow, Wire]:
        flow = self.factory.buildProtocol(IPv4Address("TCP", host, 40112))
        assert isinstance(flow, Flow)
        wire = Wire(host)
        flow.makeConnection(wire)
        return flow, wire

    def refused(self, host: str) -> bool:
        protocol = self.factory.buildProtocol(IPv4Address("TCP", host, 40112))
        assert protocol is not None
        wire = Wire(host)
        protocol.makeConnection(wire)
        return wire.aborted


def sent(wire: Wire) -> list[Event]:
    """What went out since the last look."""
    data = wire.value()
    wire.clear()
    return Framer(initiator=True).feed(data) if data else []


def one_request(wire: Wire) -> Request:
    (found,) = sent(wire)
    assert isinstance(found, Request)
    return found


def codes(wire: Wire) -> list[int]:
    return [event.code for event in sent(wire) if isinstance(event, Response)]


def request(method: str = "OPTIONS", number: int = 1, *, branch: str = "z9hG4bKb1", call: str = "c1", to_tag: str = "") -> Request:
    """A request as a client on the far end writes it."""
    made = Request(method, URI.parse("sips:bob@example.org"))
    made.headers.set("Via", f"SIP/2.0/TCP client.invalid:5060;branch={branch};rport")
    made.headers.set("From", "<sips:alice@example.org>;tag=a1")
    made.headers.set("To", "<sips:bob@example.org>" + (f";tag={to_tag}" if to_tag else ""))
    made.headers.set("Call-ID", call)
    made.cseq = CSeq(sequence=number, method=method)
    if method == "INVITE":
        made.headers.set("Contact", "<sips:alice@client.invalid>")
    return made


def outgoing(method: str) -> Request:
    """A request of our own: no Via yet."""
    made = request(method)
    made.headers.remove("Via")
    return made


def answer(to: Request, code: int) -> bytes:
    return serialize(response_to(to, code, tag="b1"))


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture
def flow(rig: Rig) -> Flow:
    return rig.accept()[0]


@pytest.fixture
def wire(flow: Flow) -> Wire:
    assert isinstance(flow.transport, Wire)
    return flow.transport


def start(rig: Rig, flow: Flow, method: str) -> tuple[ClientTransaction, list[int | Lost]]:
    """A client transaction, and what its user is told."""
    told: list[int | Lost] = []
    transaction = rig.sip.request(flow, outgoing(method), lambda what: told.append(what if isinstance(what, Lost) else what.code))
    return transaction, told


def test_messages_do_not_wait_for_an_acknowledgement(wire: Wire) -> None:
    assert wire.no_delay


# --- client transactions ---------------------------------------------------------------------------------------------------------


def test_a_request_gets_via_and_max_forwards_and_the_original_stays(rig: Rig, flow: Flow, wire: Wire) -> None:
    original = outgoing("OPTIONS")
    rig.sip.request(flow, original, lambda _: None)
    went = one_request(wire)
    assert original.headers.getlist("Via") == []
    assert went.top_via.branch is not None
    assert went.top_via.branch.startswith("z9hG4bK")
    assert (went.top_via.transport, went.top_via.host, went.top_via.port) == ("TCP", "192.0.2.1", 5060)
    assert "rport" in went.top_via.parameters
    assert went.max_forwards == 70


def test_provisional_and_final_responses_are_passed_with_our_via(rig: Rig, flow: Flow, wire: Wire) -> None:
    passed: list[Response] = []
    rig.sip.request(flow, outgoing("OPTIONS"), lambda what: passed.append(what))  # type: ignore[arg-type]
    went = one_request(wire)
    for code in (100, 183, 404):
        flow.dataReceived(answer(went, code))
    assert [response.code for response in passed] == [100, 183, 404]
    assert passed[2].top_via.branch == went.top_via.branch
    flow.dataReceived(answer(went, 404))
    assert [response.code for response in rig.user.strays] == [404]
    assert not rig.clock.getDelayedCalls() or all(
        call.getTime() == limits.SIP_AUTHENTICATION_TIMEOUT for call in rig.clock.getDelayedCalls()
    )


@pytest.mark.parametrize("method", ["OPTIONS", "INVITE"])
def test_no_answer_is_a_time_out(rig: Rig, flow: Flow, method: str) -> None:
    flow.authenticated()
    transaction, told = start(rig, flow, method)
    rig.clock.advance(31.9)
    assert told == []
    rig.clock.advance(0.2)
    assert told == [Lost.TIMEOUT]
    assert transaction.state is State.TERMINATED
    assert not rig.clock.getDelayedCalls()


def test_a_refused_invite_is_acknowledged_here(rig: Rig, flow: Flow, wire: Wire) -> None:
    _, told = start(rig, flow, "INVITE")
    went = one_request(wire)
    flow.dataReceived(answer(went, 486))
    ack = one_request(wire)
    assert told == [486]
    assert (ack.method, str(ack.uri), ack.top_via.branch, ack.to_tag) == ("ACK", str(went.uri), went.top_via.branch, "b1")
    assert (ack.cseq.sequence, ack.cseq.method, len(ack.via)) == (1, "ACK", 1)


def test_an_answered_invite_passes_further_2xx_and_its_user_acknowledges(rig: Rig, flow: Flow, wire: Wire) -> None:
    flow.authenticated()
    _, told = start(rig, flow, "INVITE")
    went = one_request(wire)
    for _ in range(2):
        flow.dataReceived(answer(went, 200))
    assert told == [200, 200]
    assert sent(wire) == []
    ack = outgoing("ACK")
    rig.sip.send(flow, ack)
    assert one_request(wire).top_via.branch != went.top_via.branch
    rig.clock.advance(33)
    flow.dataReceived(answer(went, 200))
    assert [response.code for response in rig.user.strays] == [200]


def test_a_lost_flow_tells_every_transaction_and_then_the_user(rig: Rig, flow: Flow, wire: Wire) -> None:
    order: list[object] = []
    rig.user.flow_closed = lambda flow, reason: order.append("closed")  # type: ignore[method-assign]
    for method in ("INVITE", "OPTIONS"):
        rig.sip.request(flow, outgoing(method), order.append)
    flow.connectionLost()
    assert order == [Lost.FLOW, Lost.FLOW, "closed"]
    assert not rig.clock.getDelayedCalls()
    assert rig.sip.flows == {}


def test_a_request_on_a_closed_flow_is_told_so_after_the_call(rig: Rig, flow: Flow) -> None:
    flow.connectionLost()
    _, told = start(rig, flow, "OPTIONS")
    assert told == []
    rig.clock.advance(0)
    assert told == [Lost.FLOW]
    assert not rig.clock.getDelayedCalls()


def test_another_flow_cannot_answer(rig: Rig, flow: Flow, wire: Wire) -> None:
    other, _ = rig.accept()
    _, told = start(rig, flow, "OPTIONS")
    other.dataReceived(answer(one_request(wire), 200))
    assert told == []
    assert len(rig.user.strays) == 1


def test_a_cancel_waits_for_a_provisional_response(rig: Rig, flow: Flow, wire: Wire) -> None:
    transaction, told = start(rig, flow, "INVITE")
    went = one_request(wire)
    rig.sip.cancel(transaction, "SIP;cause=200")
    assert sent(wire) == []
    flow.dataReceived(answer(went, 100))
    cancel = one_request(wire)
    assert (cancel.method, cancel.top_via.branch, cancel.to_tag, cancel.headers["Reason"]) == (
        "CANCEL",
        went.top_via.branch,
        "",
        "SIP;cause=200",
    )
    rig.sip.cancel(transaction)
    flow.dataReceived(answer(went, 180))
    flow.dataReceived(answer(cancel, 200))
    assert sent(wire) == []
    flow.dataReceived(answer(went, 487))
    assert told == [100, 180, 487]
    assert one_request(wire).method == "ACK"


def test_a_cancel_that_is_ignored_ends_in_a_time_out(rig: Rig, flow: Flow, wire: Wire) -> None:
    flow.authenticated()
    transaction, told = start(rig, flow, "INVITE")
    flow.dataReceived(answer(one_request(wire), 180))
    rig.sip.cancel(transaction)
    rig.clock.advance(33)
    assert told == [180, Lost.TIMEOUT]
    assert not rig.clock.getDelayedCalls()


def test_a_cancel_after_the_answer_has_no_effect(rig: Rig, flow: Flow, wire: Wire) -> None:
    transaction, _ = start(rig, flow, "INVITE")
    flow.dataReceived(answer(one_request(wire), 200))
    rig.sip.cancel(transaction)
    assert sent(wire) == []


def test_a_fault_in_what_is_told_stays_there(rig: Rig, flow: Flow, wire: Wire) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("broken user")

    events: list[dict[str, object]] = []
    globalLogPublisher.addObserver(events.append)  # type: ignore[arg-type]
    try:
        rig.sip.request(flow, outgoing("INVITE"), fail)
        went = one_request(wire)
        flow.dataReceived(answer(went, 486))
    finally:
        globalLogPublisher.removeObserver(events.append)  # type: ignore[arg-type]
    assert one_request(wire).method == "ACK"
    assert any("log_failure" in event for event in events)


# --- server transactions ---------------------------------------------------------------------------------------------------------


def test_a_request_comes_with_a_repaired_via(rig: Rig, flow: Flow) -> None:
    flow.dataReceived(serialize(request()))
    ((received, transaction),) = rig.user.requests
    assert transaction is not None
    assert received.top_via.parameters == {"branch": "z9hG4bKb1", "rport": "40112", "received": "203.0.113.5"}


def test_a_claimed_received_is_replaced_and_only_the_top_via_is_touched(rig: Rig, flow: Flow) -> None:
    made = request()
    made.headers.set("Via", "SIP/2.0/TCP 198.51.100.1;branch=z9hG4bKb1;received=10.0.0.1, SIP/2.0/TCP first;branch=z9hG4bKa")
    flow.dataReceived(serialize(made))
    received = rig.user.requests[0][0]
    assert received.top_via.parameters["received"] == "203.0.113.5"
    assert "rport" not in received.top_via.parameters
    assert str(received.via[1]) == "SIP/2.0/TCP first;branch=z9hG4bKa"


def test_a_repeated_request_gets_the_last_response_and_is_not_told_again(rig: Rig, flow: Flow, wire: Wire) -> None:
    for _ in range(2):
        flow.dataReceived(serialize(request("INVITE")))
    ((invite, transaction),) = rig.user.requests
    assert transaction is not None
    rig.sip.respond(transaction, response_to(invite, 180, tag="b1"))
    flow.dataReceived(serialize(request("INVITE")))
    rig.sip.respond(transaction, response_to(invite, 486, tag="b1"))
    rig.sip.respond(transaction, response_to(invite, 200, tag="b1"))
    flow.dataReceived(serialize(request("INVITE")))
    assert codes(wire) == [180, 180, 486, 486]
    flow.dataReceived(serialize(request("ACK", to_tag="b1")))
    assert transaction.state is State.TERMINATED
    assert len(rig.user.requests) == 1


def test_100_is_sent_after_200_ms_unless_the_user_was_faster(rig: Rig, flow: Flow, wire: Wire) -> None:
    flow.dataReceived(serialize(request("INVITE")))
    flow.dataReceived(serialize(request("MESSAGE", branch="z9hG4bKb2")))
    rig.clock.advance(0.19)
    assert codes(wire) == []
    rig.clock.advance(0.02)
    assert codes(wire) == [100]
    rig.user.on_request = lambda invite, transaction: rig.sip.respond(transaction, response_to(invite, 180, tag="b1"))  # type: ignore[arg-type]
    flow.dataReceived(serialize(request("INVITE", branch="z9hG4bKb3")))
    rig.clock.advance(1)
    assert codes(wire) == [180]


def test_a_user_may_answer_at_once_and_twice(rig: Rig, flow: Flow, wire: Wire) -> None:
    def both(got: Request, transaction: ServerTransaction | None) -> None:
        assert transaction is not None
        for code in (200, 500):
            rig.sip.respond(transaction, response_to(got, code, tag="b1"))

    rig.user.on_request = both
    for number, method in enumerate(("OPTIONS", "INVITE")):
        flow.dataReceived(serialize(request(method, branch=f"z9hG4bKb{number}")))
    assert codes(wire) == [200, 200]


def test_the_ack_to_a_2xx_goes_to_the_user_whatever_its_branch(rig: Rig, flow: Flow) -> None:
    rig.user.on_request = lambda got, transaction: (
        rig.sip.respond(transaction, response_to(got, 200, tag="b1")) if transaction is not None else None
    )
    flow.dataReceived(serialize(request("INVITE")))
    flow.dataReceived(serialize(request("ACK", branch="z9hG4bKother", to_tag="b1")))
    flow.dataReceived(serialize(request("ACK", to_tag="b1")))
    assert [(got.method, transaction is None) for got, transaction in rig.user.requests] == [
        ("INVITE", False),
        ("ACK", True),
        ("ACK", True),
    ]


def test_a_cancel_is_answered_here_and_told_once_with_the_invites_transaction(rig: Rig, flow: Flow, wire: Wire) -> None:
    flow.dataReceived(serialize(request("INVITE")))
    for _ in range(2):
        flow.dataReceived(serialize(request("CANCEL")))
    invite, cancel = rig.user.requests
    assert cancel[0].method == "CANCEL"
    assert cancel[1] is invite[1]
    assert cancel[1] is not None
    assert cancel[1].cancelled
    rig.sip.respond(cancel[1], response_to(invite[0], 487, tag="b1"))
    assert codes(wire) == [200, 200, 487]


def test_a_cancel_for_nothing_is_481_and_for_an_answered_invite_without_effect(rig: Rig, flow: Flow, wire: Wire) -> None:
    flow.dataReceived(serialize(request("CANCEL", branch="z9hG4bKnone")))
    flow.dataReceived(serialize(request("INVITE")))
    invite, transaction = rig.user.requests[0]
    assert transaction is not None
    rig.sip.respond(transaction, response_to(invite, 200, tag="b1"))
    flow.dataReceived(serialize(request("CANCEL")))
    assert codes(wire) == [481, 200, 200]
    assert len(rig.user.requests) == 1


def test_a_cancel_from_another_flow_matches_nothing(rig: Rig, flow: Flow) -> None:
    flow.dataReceived(serialize(request("INVITE")))
    other, other_wire = rig.accept()
    other.dataReceived(serialize(request("CANCEL")))
    assert codes(other_wire) == [481]
    assert len(rig.user.requests) == 1


@pytest.mark.parametrize("branch", ["z9hG4bK", "old-style"])
def test_without_a_proper_branch_more_of_the_request_is_compared(rig: Rig, flow: Flow, branch: str) -> None:
    for number in (1, 1, 2):
        flow.dataReceived(serialize(request("INVITE", number, branch=branch)))
    assert [got.cseq.sequence for got, _ in rig.user.requests] == [1, 2]
    invite, transaction = rig.user.requests[0]
    assert transaction is not None
    rig.sip.respond(transaction, response_to(invite, 486, tag="b1"))
    flow.dataReceived(serialize(request("ACK", 1, branch=branch, to_tag="b1")))
    assert transaction.state is State.TERMINATED


def test_a_user_agent_refuses_a_request_that_came_by_two_ways() -> None:
    rig = Rig(merged=True)
    (one, first), (two, second) = rig.accept(), rig.accept()
    one.dataReceived(serialize(request("INVITE")))
    two.dataReceived(serialize(request("INVITE", branch="z9hG4bKb2")))
    two.dataReceived(serialize(request("INVITE", branch="z9hG4bKb3", to_tag="b1")))
    assert codes(second) == [482]
    assert len(rig.user.requests) == 2
    one.connectionLost()
    two.dataReceived(serialize(request("INVITE", branch="z9hG4bKb4")))
    assert len(rig.user.requests) == 3
    assert codes(first) == []


def test_a_fault_in_the_user_is_500_for_that_request_alone(rig: Rig, flow: Flow, wire: Wire) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken user")

    rig.user.on_request = fail
    flow.dataReceived(serialize(request()) + serialize(request(branch="z9hG4bKb2")))
    assert codes(wire) == [500, 500]
    assert not wire.disconnecting


def test_too_many_open_requests_are_503_and_answered_ones_make_room(rig: Rig, flow: Flow, wire: Wire) -> None:
    for number in range(limits.MAX_SIP_TRANSACTIONS + 1):
        flow.dataReceived(serialize(request("INVITE", number, branch=f"z9hG4bKn{number}")))
    assert len(rig.user.requests) == limits.MAX_SIP_TRANSACTIONS
    (busy,) = sent(wire)
    assert isinstance(busy, Response)
    assert (busy.code, busy.headers["Retry-After"]) == (503, "10")
    for got, transaction in rig.user.requests:
        assert transaction is not None
        rig.sip.respond(transaction, response_to(got, 200, tag="b1"))
    wire.clear()
    rig.user.requests.clear()
    flow.dataReceived(serialize(request("INVITE", branch="z9hG4bKmore")))
    assert len(rig.user.requests) == 1


def test_an_answer_after_the_flow_died_goes_nowhere(rig: Rig, flow: Flow, wire: Wire) -> None:
    for method in ("INVITE", "OPTIONS"):
        flow.dataReceived(serialize(request(method, branch=f"z9hG4bK{method}")))
    flow.connectionLost()
    for got, transaction in rig.user.requests:
        assert transaction is not None
        rig.sip.respond(transaction, response_to(got, 200, tag="b1"))
    assert wire.value() == b""
    assert not rig.clock.getDelayedCalls()


def test_everything_on_the_wire_is_traced(rig: Rig, flow: Flow, wire: Wire) -> None:
    rig.user.on_request = lambda got, transaction: rig.sip.respond(transaction, response_to(got, 200, tag="b1"))  # type: ignore[arg-type]
    flow.dataReceived(serialize(request()))
    start(rig, flow, "OPTIONS")
    assert rig.user.traced == [("received", "OPTIONS"), ("sent", "200"), ("sent", "OPTIONS")]


# --- one connection --------------------------------------------------------------------------------------------------------------


def test_a_malformed_request_is_answered_and_the_connection_goes_on(rig: Rig, flow: Flow, wire: Wire) -> None:
    flow.dataReceived(serialize(request()).replace(b"CSeq: 1 OPTIONS", b"CSeq: 1 INVITE") + serialize(request()))
    assert codes(wire) == [400]
    assert len(rig.user.requests) == 1


def test_broken_framing_closes_after_what_was_complete(rig: Rig, flow: Flow, wire: Wire) -> None:
    flow.dataReceived(serialize(request()) + b"garbage\r\n" + serialize(request(branch="z9hG4bKb2")))
    assert len(rig.user.requests) == 1
    assert wire.disconnecting
    flow.dataReceived(serialize(request(branch="z9hG4bKb3")))
    assert len(rig.user.requests) == 1
    flow.connectionLost()
    assert rig.user.closed == [(flow, "A message must begin with a start line.")]


def test_pings_are_answered(flow: Flow, wire: Wire) -> None:
    flow.dataReceived(b"\r\n\r\n\r\n")
    assert wire.value() == b"\r\n"
    flow.dataReceived(b"\r\n")
    assert wire.value() == b"\r\n\r\n"


def test_an_unauthenticated_connection_is_closed_in_time(rig: Rig) -> None:
    (_, slow), (flow, quick) = rig.accept(), rig.accept()
    flow.authenticated()
    rig.clock.advance(29.9)
    assert not slow.disconnecting
    rig.clock.advance(0.2)
    assert slow.disconnecting
    assert not quick.disconnecting
    rig.clock.advance(5)
    assert slow.aborted


def test_an_unfinished_message_has_its_time_however_slowly_it_drips(rig: Rig, flow: Flow, wire: Wire) -> None:
    flow.authenticated()
    data = serialize(request())
    for position in range(9):
        flow.dataReceived(data[position : position + 1])
        rig.clock.advance(1)
    flow.dataReceived(data[9:] + data[:5])
    rig.clock.advance(9.9)
    assert not wire.disconnecting
    rig.clock.advance(0.2)
    assert wire.disconnecting


def test_a_finished_message_leaves_no_deadline(rig: Rig, flow: Flow, wire: Wire) -> None:
    flow.authenticated()
    data = serialize(request())
    flow.dataReceived(data[:50])
    flow.dataReceived(data[50:])
    rig.clock.advance(1000)
    assert not wire.disconnecting


def test_a_client_that_does_not_read_is_closed() -> None:
    rig = Rig(flow_limits=FlowLimits(write_buffer=1000))
    flow, wire = rig.accept()
    flow.pauseProducing()
    for number in range(10):
        flow.dataReceived(serialize(request("CANCEL", branch=f"z9hG4bK{number}")))
    assert wire.aborted
    assert len(wire.value()) < 2000


def test_a_client_that_catches_up_is_not_closed() -> None:
    rig = Rig(flow_limits=FlowLimits(write_buffer=1000))
    flow, wire = rig.accept()
    for number in range(10):
        flow.pauseProducing()
        flow.dataReceived(serialize(request("CANCEL", branch=f"z9hG4bK{number}")))
        flow.resumeProducing()
    assert not wire.disconnecting


def test_a_silent_connection_can_be_closed(rig: Rig, flow: Flow, wire: Wire) -> None:
    flow.authenticated()
    flow.close_when_silent(90)
    rig.clock.advance(60)
    flow.dataReceived(b"\r\n\r\n")
    rig.clock.advance(60)
    assert not wire.disconnecting
    rig.clock.advance(31)
    assert wire.disconnecting


def test_closing_is_final_and_all_timers_go(rig: Rig, flow: Flow, wire: Wire) -> None:
    flow.close("enough")
    flow.close("again")
    flow.send(request())
    flow.ping()
    assert wire.value() == b""
    flow.connectionLost()
    assert rig.user.closed == [(flow, "enough")]
    assert not rig.clock.getDelayedCalls()
    flow.close("late")
    flow.close_when_silent(1)
    assert not rig.clock.getDelayedCalls()


def test_all_flows_can_be_closed(rig: Rig) -> None:
    wires = [rig.accept()[1] for _ in range(3)]
    rig.sip.close("The server stops.")
    assert all(wire.disconnecting for wire in wires)


def test_credentials_are_never_logged(rig: Rig, flow: Flow) -> None:
    events: list[dict[str, object]] = []
    globalLogPublisher.addObserver(events.append)  # type: ignore[arg-type]
    try:
        bad = request()
        bad.headers.set("Authorization", "Digest hush-hush")
        flow.dataReceived(serialize(bad).replace(b"CSeq: 1 OPTIONS", b"CSeq: x"))
        flow.dataReceived(b"hush-hush garbage\r\n")
    finally:
        globalLogPublisher.removeObserver(events.append)  # type: ignore[arg-type]
    assert events
    assert "hush" not in repr(events)


# --- many connections ------------------------------------------------------------------------------------------------------------


def test_connections_are_limited_in_number() -> None:
    rig = Rig(admission=AdmissionLimits(flows=2))
    flow, _ = rig.accept("203.0.113.1")
    flow.authenticated()
    other, _ = rig.accept("203.0.113.2")
    other.authenticated()
    assert rig.refused("203.0.113.3")
    flow.connectionLost()
    rig.accept("203.0.113.3")


def test_when_all_places_are_taken_the_oldest_stranger_has_to_go() -> None:
    rig = Rig(admission=AdmissionLimits(flows=3))
    flow, wire = rig.accept("203.0.113.1")
    flow.authenticated()
    (old, old_wire), (_, young_wire) = rig.accept("203.0.113.2"), rig.accept("203.0.113.2")
    rig.accept("203.0.113.3")
    assert old_wire.disconnecting and not young_wire.disconnecting and not wire.disconnecting
    old.connectionLost()
    assert rig.sip._admission.standing == 3


def test_strangers_of_one_address_are_limited() -> None:
    rig = Rig(admission=AdmissionLimits(strangers=2))
    flow, _ = rig.accept("203.0.113.1")
    rig.accept("203.0.113.1")
    assert rig.refused("203.0.113.1")
    rig.accept("203.0.113.2")
    flow.authenticated()
    rig.accept("203.0.113.1")


def test_one_connection_does_not_take_all_turns() -> None:
    rig = Rig()
    flow, wire = rig.accept()
    flow.dataReceived(b"".join(serialize(request("CANCEL", branch=f"z9hG4bK{number}")) for number in range(100)))
    early = wire.value().count(b"SIP/2.0 481")
    assert 8 <= early < 40 and wire.producerState == "paused"
    for _ in range(20):
        rig.clock.advance(0)
    assert wire.value().count(b"SIP/2.0 481") == 100 and wire.producerState == "producing"


def test_a_flow_that_is_closed_between_two_turns_does_no_more() -> None:
    rig = Rig()
    flow, wire = rig.accept()
    flow.dataReceived(b"".join(serialize(request("CANCEL", branch=f"z9hG4bK{number}")) for number in range(100)))
    early = wire.value()
    flow.close("enough")
    assert wire.producerState == "producing"
    rig.clock.advance(1)
    assert wire.value() == early


def test_connections_are_limited_in_rate_per_address() -> None:
    rig = Rig(admission=AdmissionLimits(rate=8, burst=4))
    for _ in range(4):
        rig.accept("203.0.113.1")
    assert rig.refused("203.0.113.1")
    rig.accept("203.0.113.2")
    rig.clock.advance(0.126)
    rig.accept("203.0.113.1")
