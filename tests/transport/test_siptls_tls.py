"""Flows over TLS: handshake, certificates, keepalive; both ends are ours."""

from __future__ import annotations

import datetime
import hashlib
import itertools

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL, crypto
from twisted.internet import ssl
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.test import iosim
from zope.interface import implementer

from twsync.errors import ProtocolError
from twsync.sip.message import URI, CSeq, Message, Request, Response, response_to
from twsync.transport.siptls import AdmissionLimits, Flow, Lost, ServerTransaction, SipTransport


def make_certificate(name: str) -> ssl.PrivateCertificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime(2026, 1, 1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=36500))
        .sign(key, hashes.SHA256())
    )
    pair = ssl.KeyPair(crypto.PKey.from_cryptography_key(key))
    return ssl.PrivateCertificate.fromCertificateAndKeyPair(ssl.Certificate(crypto.X509.from_cryptography(certificate)), pair)


SERVER, CLIENT = make_certificate("server"), make_certificate("client")


def fingerprint(certificate: ssl.PrivateCertificate) -> str:
    return "sha256:" + hashlib.sha256(certificate.original.to_cryptography().public_bytes(Encoding.DER)).hexdigest()


@implementer(IOpenSSLContextFactory)
class AskingOptions:
    """A TLS server that takes any certificate a client shows, as a control server does."""

    def getContext(self) -> SSL.Context:
        context = SERVER.options().getContext()
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        return context


class User:
    """Answers every request 200."""

    def __init__(self) -> None:
        self.sip: SipTransport | None = None
        self.flows: list[Flow] = []
        self.closed: list[str] = []

    def flow_opened(self, flow: Flow) -> None:
        self.flows.append(flow)

    def flow_closed(self, flow: Flow, reason: str) -> None:
        self.closed.append(reason)

    def request_received(self, request: Request, flow: Flow, transaction: ServerTransaction | None) -> None:
        assert self.sip is not None
        if transaction is not None:
            self.sip.respond(transaction, response_to(request, 200, tag="b1"))

    def response_received(self, response: Response, flow: Flow) -> None:
        raise AssertionError("no stray response was expected")

    def message_traced(self, flow: Flow, direction: str, message: Message) -> None:
        assert flow.open


class Pair:
    """Two SIP transports with a wire in memory between them."""

    def __init__(self, *, presents: bool = True, admission: AdmissionLimits | None = None) -> None:
        self.clock = Clock()
        tokens = itertools.count(1)
        self.here, self.there = User(), User()
        self.client = self.here.sip = SipTransport(self.clock, lambda size: next(tokens).to_bytes(size, "big"), self.here)
        self.server = self.there.sip = SipTransport(
            self.clock, lambda size: next(tokens).to_bytes(size, "big"), self.there, admission=admission
        )
        self.presents = presents
        self.pump: iosim.IOPump | None = None

    def connect(self, factory: Factory) -> Deferred[object]:
        """What a client endpoint does."""
        options = CLIENT.options() if self.presents else ssl.CertificateOptions()
        near = TLSMemoryBIOFactory(options, True, factory, self.clock).buildProtocol(None)
        far = TLSMemoryBIOFactory(AskingOptions(), False, self.server.factory(), self.clock).buildProtocol(None)
        assert near is not None
        assert far is not None
        attempt: Deferred[object] = Deferred()
        self.pump = iosim.connect(
            far, iosim.FakeTransport(far, isServer=True), near, iosim.FakeTransport(near, isServer=False), greet=False, clock=self.clock
        )
        attempt.callback(near.wrappedProtocol)
        return attempt

    def flush(self) -> None:
        assert self.pump is not None
        # Twisted's TLS puts small writes together until the next turn of the reactor.
        for _ in range(3):
            self.clock.advance(0)
            self.pump.flush()

    def open(self) -> tuple[Flow, Flow]:
        opened = self.client.connect(self)
        self.flush()
        found: list[object] = []
        opened.addBoth(found.append)
        (near,) = found
        assert isinstance(near, Flow)
        return near, self.there.flows[0]


def options() -> Request:
    request = Request("OPTIONS", URI.parse("sips:example.org"))
    request.headers.set("From", "<sips:alice@example.org>;tag=a1")
    request.headers.set("To", "<sips:example.org>")
    request.headers.set("Call-ID", "c1")
    request.cseq = CSeq(sequence=1, method="OPTIONS")
    return request


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_both_sides_know_each_others_certificate(pair: Pair) -> None:
    near, far = pair.open()
    assert near.secure
    assert far.secure
    assert (near.peer_fingerprint, far.peer_fingerprint) == (fingerprint(SERVER), fingerprint(CLIENT))
    assert (near.initiator, far.initiator) == (True, False)


def test_a_client_without_a_certificate_has_no_fingerprint() -> None:
    _, far = Pair(presents=False).open()
    assert far.peer_fingerprint is None


def test_a_request_is_answered_over_tls(pair: Pair) -> None:
    near, _ = pair.open()
    told: list[Response | Lost] = []
    transaction = pair.client.request(near, options(), told.append)
    pair.flush()
    (response,) = told
    assert isinstance(response, Response)
    assert response.code == 200
    assert transaction.request.top_via.transport == "TLS"


def test_keepalive_pings_until_the_other_side_is_gone(pair: Pair) -> None:
    near, far = pair.open()
    far.authenticated()
    near.keepalive(25)
    near.keepalive(25)
    for _ in range(5):
        pair.clock.advance(25)
        pair.flush()
    assert near.open
    assert far.last_received >= 100
    pair.clock.advance(25)
    pair.clock.advance(10)
    pair.flush()
    assert pair.here.closed == ["No answer to a ping."]
    assert len(pair.there.closed) == 1
    assert not pair.clock.getDelayedCalls()


def test_a_probe_tells_at_once_whether_the_flow_lives(pair: Pair) -> None:
    near, far = pair.open()
    far.authenticated()
    near.ping()
    near.ping()
    pair.flush()
    pair.clock.advance(11)
    assert near.open


def test_a_handshake_that_stalls_ends_the_attempt(pair: Pair) -> None:
    opened = pair.client.connect(pair)
    failures: list[object] = []
    opened.addErrback(failures.append)
    pair.clock.advance(10)
    pair.clock.advance(5)
    pair.flush()
    assert len(failures) == 1
    assert pair.here.flows == pair.there.flows == []
    assert pair.here.closed == []
    assert not pair.clock.getDelayedCalls()


def test_a_connection_that_ends_during_the_handshake_fails_the_attempt(pair: Pair) -> None:
    opened = pair.client.connect(pair)
    assert pair.pump is not None
    pair.pump.serverIO.abortConnection()
    failures: list[object] = []
    opened.addErrback(lambda failure: failures.append(failure.check(ProtocolError)))
    pair.flush()
    assert failures == [ProtocolError]


def test_a_refused_connection_ends_before_the_handshake() -> None:
    pair = Pair(admission=AdmissionLimits(flows=0))
    opened = pair.client.connect(pair)
    failures: list[object] = []
    opened.addErrback(lambda failure: failures.append(failure.check(ProtocolError)))
    pair.flush()
    assert failures == [ProtocolError]
    assert pair.there.flows == []
    assert not pair.clock.getDelayedCalls()


def test_an_endpoint_that_fails_fails_the_attempt(pair: Pair) -> None:
    class Failing:
        def connect(self, factory: Factory) -> Deferred[object]:
            return fail(ConnectionRefusedError())

    failures: list[object] = []
    pair.client.connect(Failing()).addErrback(lambda failure: failures.append(failure.check(ConnectionRefusedError)))
    assert failures == [ConnectionRefusedError]


def test_an_attempt_can_be_cancelled() -> None:
    class Never:
        cancelled = False

        def connect(self, factory: Factory) -> Deferred[object]:
            def note(_: Deferred[object]) -> None:
                self.cancelled = True

            return Deferred(note)

    pair, endpoint = Pair(), Never()
    opened = pair.client.connect(endpoint)
    failures: list[object] = []
    opened.addErrback(failures.append)
    opened.cancel()
    assert endpoint.cancelled
    assert len(failures) == 1


def test_closing_reaches_the_other_side(pair: Pair) -> None:
    near, _ = pair.open()
    told: list[object] = []
    pair.server.close("The server stops.")
    pair.client.request(near, options(), told.append)
    pair.flush()
    assert told == [Lost.FLOW]
    assert pair.there.closed == ["The server stops."]
    assert len(pair.here.closed) == 1
    assert not pair.clock.getDelayedCalls()
