"""A whole control server in memory: no sockets, a clock that the test turns, a database that answers at once."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from twsync.control.policy import Grant, Policy
from twsync.control.service import assemble
from twsync.control.settings import LogSettings, RegistrationSettings, Settings
from twsync.sip.digest import Algorithm, Credentials, ha1
from twsync.sip.framing import Framer, serialize
from twsync.sip.message import URI, Address, CSeq, Request, Response, response_to
from twsync.store.control import ControlDatabase, sqlite_url
from twsync.store.control_values import User

REALM = "example.org"
HOST = "sync.example.org"
EPOCH = 1_800_000_000.0
PASSWORDS = {"alice": "wonderland", "bob": "builder", "carol": "singers"}


class World:
    """A control server, and the phones that are connected to it."""

    def __init__(self, folder: Path, grants=(), **registration):
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.url = sqlite_url(folder / "control.db")
        self.counter = itertools.count(1)
        self.settings = Settings(
            folder / "syncctl.toml", REALM, HOST, (), "", "", self.url, RegistrationSettings(**registration),
            Policy(Grant.parse(text) for text in grants), LogSettings(),
        )  # fmt: skip
        ControlDatabase.create(folder / "control.db", REALM)
        self.database = ControlDatabase.open(self.url, REALM)
        with self.database.transaction() as transaction:
            for name, password in PASSWORDS.items():
                transaction.add_user(self.user(name, password))
        self.start()

    def start(self):
        """A new life of the daemon."""
        self.parts = assemble(self.settings, self.clock, self.wall, self.token, maybeDeferred)
        with self.database.transaction() as transaction:
            self.parts.load(transaction)
        self.parts.records.attach(self.database)
        self.factory = self.parts.transport.factory()

    def restart(self):
        """The daemon is killed, without a chance to write anything, and started anew."""
        self.parts.records.close()
        self.start()

    @staticmethod
    def user(name, password, admin=False):
        return User(name, ha1(name, REALM, password, Algorithm.SHA256), ha1(name, REALM, password, Algorithm.MD5), admin, EPOCH)

    def wall(self):
        return EPOCH + self.clock.seconds()

    def token(self, size):
        return next(self.counter).to_bytes(size, "big")

    def phone(self, user="alice", device="", fingerprint="", host="192.0.2.1", password=None, secure=False):
        """A connected device; with a name a twsync device, else a stock agent."""
        return Phone(self, user, device, fingerprint, host, PASSWORDS.get(user, "?") if password is None else password, secure)

    def online(self, user="alice", device="laptop", **more):
        """A device that has registered."""
        phone = self.phone(user, device, **more)
        assert phone.register().code == 200
        return phone

    def pass_time(self, seconds, step=1.0):
        """Turn the clock, with the service's ticks."""
        end = self.clock.seconds() + seconds
        while self.clock.seconds() < end:
            self.clock.advance(min(step, end - self.clock.seconds()))
            self.parts.tick(self.clock.seconds())

    def administrator(self):
        """A transaction of `twsync ctl`."""
        return self.database.transaction()

    def rows(self, name, *arguments):
        with self.database.transaction() as transaction:
            return getattr(transaction, name)(*arguments)


class Phone:
    """One connection to the server: a user agent that does what it is told."""

    def __init__(self, world, user, device, fingerprint, host, password, secure):
        self.world, self.user, self.device, self.host = world, user, device, host
        number = next(world.counter)
        self.port = 40_000 + number % 20_000
        self.fingerprint = fingerprint or ("sha256:" + f"{number:064x}" if device else "")
        self.call_id = f"registration-{number}"
        self.sequence = 0
        self.credentials = Credentials(user, password)
        self.framer = Framer(initiator=True)
        self.inbox = []
        self.transport = StringTransport(
            hostAddress=IPv4Address("TCP", "192.0.2.100", 5061), peerAddress=IPv4Address("TCP", host, self.port)
        )
        self.flow = world.factory.buildProtocol(IPv4Address("TCP", host, self.port))
        assert self.flow is not None, "the server admits no more connections"
        self.flow = getattr(self.flow, "wrappedProtocol", self.flow)
        self.flow.makeConnection(self.transport)
        if secure:
            self.flow.secure, self.flow.peer_fingerprint = True, self.fingerprint or None

    # --- bytes ---

    def send(self, message):
        self.flow.dataReceived(serialize(message))

    def read(self):
        """Everything that has come since the last look."""
        data = self.transport.value()
        self.transport.clear()
        self.inbox.extend(self.framer.feed(data))
        found, self.inbox = self.inbox, []
        return found

    def take(self, kind):
        """The first message of a kind: a method's name or a status code; others stay."""
        self.inbox = self.read()
        for message in self.inbox:
            if (message.method if isinstance(message, Request) else getattr(message, "code", None)) == kind:
                self.inbox.remove(message)
                return message
        raise AssertionError(f"no {kind} among {[str(getattr(m, 'method', getattr(m, 'code', m))) for m in self.inbox]}")

    @property
    def closed(self):
        return self.transport.disconnecting or self.transport.disconnected

    def hang_up(self):
        """The connection breaks."""
        from twisted.internet.error import ConnectionLost
        from twisted.python.failure import Failure

        self.transport.loseConnection()
        self.flow.connectionLost(Failure(ConnectionLost()))

    # --- requests ---

    @property
    def uri(self):
        return URI(scheme="sips", host=REALM, user=self.user)

    def request(self, method, uri, *, to=None, call_id=None, sequence=None, body=b"", media="", tag="from", **headers):
        uri = URI.parse(uri) if isinstance(uri, str) else uri
        request = Request(method, uri, body)
        branch = f"z9hG4bK{next(self.world.counter)}"
        request.headers.set("Via", f"SIP/2.0/TLS {self.host}:{self.port};rport;branch={branch}")
        request.headers.set("Max-Forwards", "70")
        request.headers.set("From", str(Address(self.uri).with_tag(tag)))
        request.headers.set("To", to or f"<{uri}>")
        request.call_id = call_id or f"call-{next(self.world.counter)}"
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        request.cseq = CSeq(sequence, method)
        request.headers.set("Contact", f"<{self.contact}>")
        if media:
            request.headers.set("Content-Type", media)
        for name, value in headers.items():
            name = name.replace("_", "-")
            if value is None:
                request.headers.remove(name)
            else:
                request.headers.set(name, value)
        return request

    @property
    def contact(self):
        return f"sips:{self.user}@{self.host}:{self.port}"

    @property
    def gruu(self):
        return f"sips:{self.user}@{REALM};gr={self.device}"

    def binding(self):
        """The Contact of REGISTER."""
        if not self.device:
            return f"<{self.contact}>"
        instance = "urn:uuid:" + self.fingerprint[-32:]
        return (
            f'<{self.contact};ob>;+sip.instance="<{instance}>";reg-id=1'
            f';+vnd.twsync.device="{self.device}";+vnd.twsync.fingerprint="{self.fingerprint}"'
        )

    def register_request(self, contact=None, **headers):
        more = {"Contact": self.binding() if contact is None else contact, "Supported": "path, outbound, gruu", "User_Agent": "test/1"}
        return self.request("REGISTER", f"sips:{REALM}", to=f"<{self.uri}>", call_id=self.call_id, **(more | headers))

    def answer(self, request, header="Authorization"):
        """Send a request and return the final answer, with credentials where they are asked for."""
        self.credentials.authorize(request, "cnonce-of-the-test", header)
        self.send(request)
        response = self.final(request)
        if response is not None and response.code in (401, 407) and self.credentials.challenged(response):
            if response.code == 407:
                self.acknowledge(request, response)
            again = self.again(request)
            self.credentials.authorize(again, "cnonce-of-the-test", header)
            self.send(again)
            self.sent = again
            return self.final(again)
        self.sent = request
        return response

    def again(self, request):
        """The same request as a new one, with the next number."""
        self.sequence = max(self.sequence, request.cseq.sequence) + 1
        twin = Request(request.method, request.uri, request.body)
        for name in tuple(request.headers.keys()):
            twin.headers.setlist(name, list(request.headers.getlist(name)))
        twin.cseq = CSeq(self.sequence, request.method)
        twin.headers.set("Via", f"SIP/2.0/TLS {self.host}:{self.port};rport;branch=z9hG4bK{next(self.world.counter)}")
        return twin

    def acknowledge(self, request, response):
        """The ACK of a failure, in the transaction of the INVITE."""
        if request.method != "INVITE":
            return
        ack = Request("ACK", request.uri)
        for name in ("From", "Call-ID"):
            ack.headers.set(name, request.headers[name])
        ack.headers.set("Via", request.headers["Via"])
        ack.headers.set("To", response.headers["To"])
        ack.headers.set("Max-Forwards", "70")
        ack.cseq = CSeq(request.cseq.sequence, "ACK")
        self.send(ack)

    def final(self, request):
        """The final answer to a request; None if there is none yet."""
        self.inbox = self.read()
        for message in self.inbox:
            final = isinstance(message, Response) and message.code >= 200
            if final and message.cseq == request.cseq and message.call_id == request.call_id:
                self.inbox.remove(message)
                return message
        return None

    def register(self, contact=None, **headers):
        return self.answer(self.register_request(contact, **headers))

    def invite(self, target, **more):
        """Call: a request, sent with credentials; `sent` is what went out last."""
        return self.answer(self.request("INVITE", target, **more), "Proxy-Authorization")

    def cancel(self):
        """Cancel the INVITE sent last."""
        request = Request("CANCEL", self.sent.uri)
        for name in ("From", "To", "Call-ID", "Via"):
            request.headers.set(name, self.sent.headers[name])
        request.headers.set("Max-Forwards", "70")
        request.cseq = CSeq(self.sent.cseq.sequence, "CANCEL")
        self.send(request)

    def respond(self, request, code, tag="to", **headers):
        self.send(response_to(request, code, tag=tag, headers=[("Contact", f"<{self.contact}>"), *headers.items()]))

    def inside(self, method, of, response=None, *, body=b"", media="", sequence=None, **headers):
        """A request inside the dialog of an INVITE: as the caller (with the response) or as the callee (without)."""
        if response is not None:
            to, tag, route = response.headers["To"], of.from_tag, list(reversed(response.headers.getlist("Record-Route")))
        else:
            to, tag, route = of.headers["From"], "to", list(of.headers.getlist("Record-Route"))
        target = (response or of).contact[0].uri
        more = {"body": body, "media": media, "sequence": sequence} | headers
        request = self.request(method, str(target), to=to, call_id=of.call_id, tag=tag, **more)
        if response is None:
            request.headers.set("From", f"{of.headers['To']};tag=to")
        if route:
            request.headers.setlist("Route", route)
        self.send(request)
        return request


@pytest.fixture
def new_world(tmp_path):
    """Makes a server with settings of its own."""
    worlds = []

    def make(grants=(), **registration):
        worlds.append(World(tmp_path, grants, **registration))
        return worlds[-1]

    yield make
    for each in worlds:
        each.database.close()


@pytest.fixture
def world(new_world):
    """A server with the usual settings."""
    return new_world()


SESSION = "application/vnd.twsync.session+xml"
REQUEST = "application/vnd.twsync.request+xml"


@pytest.fixture(scope="session")
def key():
    """A device key; the server does not mind whose."""
    from twsync.transport import keys

    return keys.new_device()


@pytest.fixture
def offer(key):
    """Makes session descriptions."""
    import datetime

    from twsync.session.datatypes import DataType, SyncProtocol
    from twsync.session.description import Description, to_xml

    def make(caller, callee, collection="photos", sync_type="two-way", session="session"):
        description = Description(
            session=session, caller=caller, callee=callee, source_ip="192.0.2.1", source_port=0, data_type=DataType.FILES,
            sync_protocol=SyncProtocol.RSYNC, collection=collection, sync_type=sync_type, policy="keep-both",
            fingerprint=key.fingerprint, created=datetime.datetime(2027, 1, 15, tzinfo=datetime.UTC),
        )  # fmt: skip
        return {"body": to_xml(description, key.certificate, key.sign), "media": SESSION}

    return make


@pytest.fixture
def wish():
    """Makes request documents."""
    from twsync.sip.request import SyncRequest, build

    def make(partner, collection="photos", sync_type="two-way"):
        return {"body": build(SyncRequest("id-1", partner, collection, sync_type)), "media": REQUEST}

    return make
