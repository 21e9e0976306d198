"""Device keys and TLS: what is written, who is believed, and that nobody is believed too early."""

from __future__ import annotations

import datetime
import os
import stat
import uuid
from contextlib import suppress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from tls_records import DATA, Direction
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.test import iosim

from twsync.errors import ConfigError
from twsync.limits import MAX_TLS_STEPS
from twsync.transport import tls

NOW = datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC)


class Ear(Protocol):
    """Remembers what it hears, and who was there."""

    def __init__(self, first=b""):
        self.first = first
        self.heard = b""
        self.lost = None

    def connectionMade(self):
        if self.first:
            self.transport.write(self.first)

    def dataReceived(self, data):
        self.heard += data
        self.peer = tls.peer_fingerprint(self.transport)

    def connectionLost(self, reason):
        self.lost = reason.value


def talk(client_tls, server_tls, client=None, server=None):
    """Client and server protocols after all bytes have flowed."""
    clock = Clock()
    client, server = client or Ear(b"from client"), server or Ear(b"from server")

    def wrapped(creator, is_client, protocol):
        return TLSMemoryBIOFactory(creator, is_client, Factory.forProtocol(lambda: protocol), clock=clock).buildProtocol(None)

    server_side = wrapped(server_tls, False, server)
    client_side = wrapped(client_tls, True, client)
    pump = iosim.connect(server_side, iosim.FakeTransport(server_side, True), client_side, iosim.FakeTransport(client_side, False))
    for _ in range(10):
        clock.advance(1)
        pump.flush()
    return client, server


@pytest.fixture(scope="module")
def devices():
    return tls.new_device("one"), tls.new_device("two"), tls.new_device("stranger")


@pytest.fixture(scope="module")
def server_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    tls.create_server_certificate(folder / "cert.pem", folder / "key.pem", ["sync.example.org", "192.0.2.7"], NOW)
    return folder / "cert.pem", folder / "key.pem"


# --- keys -----------------------------------------------------------------------------------------------------------------------------


def test_created_device_is_loaded_again(tmp_path):
    device = tls.create_device(tmp_path / "device")
    assert tls.load_device(tmp_path / "device").fingerprint == device.fingerprint
    assert sorted(path.name for path in (tmp_path / "device").iterdir()) == ["cert.pem", "key.pem"]
    assert stat.S_IMODE((tmp_path / "device" / "key.pem").stat().st_mode) == 0o600


def test_key_is_private_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        tls.create_device(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600


def test_device_is_never_written_over(tmp_path):
    device = tls.create_device(tmp_path)
    with pytest.raises(ConfigError, match="already exists"):
        tls.create_device(tmp_path)
    assert tls.load_device(tmp_path).fingerprint == device.fingerprint


def test_certificate_has_fixed_dates_and_p256(devices):
    certificate = x509.load_der_x509_certificate(devices[0].certificate)
    assert certificate.not_valid_before_utc.year == 2020
    assert certificate.not_valid_after_utc.year == 2120
    assert isinstance(certificate.public_key().curve, ec.SECP256R1)


def test_fingerprint_is_sha256_of_der(devices):
    digest = hashes.Hash(hashes.SHA256())
    digest.update(devices[0].certificate)
    assert devices[0].fingerprint == "sha256:" + digest.finalize().hex()


def test_instance_is_a_uuid_of_the_fingerprint():
    urn = tls.instance_urn("sha256:" + "ff" * 32)
    assert urn == "urn:uuid:ffffffff-ffff-4fff-bfff-ffffffffffff"
    assert uuid.UUID(urn).variant == uuid.RFC_4122
    for wrong in ("", "sha1:" + "00" * 32, "sha256:00", "sha256:" + "zz" * 32):
        with pytest.raises(ValueError):
            tls.instance_urn(wrong)


def test_signature_verifies(devices):
    signature = devices[0].sign(b"words")
    x509.load_der_x509_certificate(devices[0].certificate).public_key().verify(signature, b"words", ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("name", ["cert.pem", "key.pem"])
def test_missing_or_damaged_files_are_said_plainly(tmp_path, name):
    tls.create_device(tmp_path)
    (tmp_path / name).write_bytes(b"-----BEGIN NOTHING-----")
    with pytest.raises(ConfigError, match="damaged"):
        tls.load_device(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ConfigError, match="twsync init"):
        tls.load_device(tmp_path)


def test_foreign_key_is_noticed(tmp_path):
    tls.create_device(tmp_path / "a")
    tls.create_device(tmp_path / "b")
    (tmp_path / "a" / "key.pem").write_bytes((tmp_path / "b" / "key.pem").read_bytes())
    with pytest.raises(ConfigError, match="belong together"):
        tls.load_device(tmp_path / "a")


def test_server_certificate_names_hosts_and_addresses(server_files):
    certificate = x509.load_pem_x509_certificate(server_files[0].read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["sync.example.org"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7"]
    assert tls.certificate_fingerprint(server_files[0]) == tls.fingerprint(certificate.public_bytes(serialization.Encoding.DER))


# --- data connections -------------------------------------------------------------------------------------------------------------------


def test_data_connection_between_two_that_know_each_other(devices):
    one, two, _ = devices
    client, server = talk(tls.data_client(one, two.fingerprint), tls.data_server(two, lambda shown: shown == one.fingerprint))
    assert (client.heard, server.heard) == (b"from server", b"from client")
    assert (client.peer, server.peer) == (two.fingerprint, one.fingerprint)
    assert tls.negotiated(client.transport) == "TLSv1.3 TLS_AES_128_GCM_SHA256"


def test_client_refuses_another_server(devices):
    one, two, stranger = devices
    client, server = talk(tls.data_client(one, two.fingerprint), tls.data_server(stranger, lambda _shown: True))
    assert client.lost is not None
    assert (client.heard, server.heard) == (b"", b"")


def test_server_refuses_another_client(devices):
    one, two, stranger = devices
    client, server = talk(tls.data_client(stranger, two.fingerprint), tls.data_server(two, lambda shown: shown == one.fingerprint))
    assert server.lost is not None
    assert (client.heard, server.heard) == (b"", b"")


def test_server_demands_a_client_certificate(devices):
    _, two, _ = devices
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_alpn_protos([tls.DATA_ALPN])
    _, server = talk(tls.ClientTls(context), tls.data_server(two, lambda _shown: True))
    assert server.heard == b"" and server.lost is not None


def test_check_after_the_handshake_holds_alone(devices):
    """Were the verify callback skipped, the pin would still be checked before a byte is handed on."""
    one, two, stranger = devices
    lenient_client = tls.data_client(one, two.fingerprint)
    lenient_client._context.set_verify(SSL.VERIFY_PEER, lambda *_arguments: True)
    client, _ = talk(lenient_client, tls.data_server(stranger, lambda _shown: True))
    assert client.heard == b"" and isinstance(client.lost, tls.PinError)

    lenient_server = tls.data_server(two, lambda shown: shown == one.fingerprint)
    lenient_server._context.set_verify(SSL.VERIFY_PEER, lambda *_arguments: True)
    _, server = talk(tls.data_client(stranger, two.fingerprint), lenient_server)
    assert server.heard == b"" and isinstance(server.lost, tls.PinError)


@pytest.mark.parametrize("protocols", [[], [b"h2"]])
def test_another_protocol_is_refused(devices, protocols):
    one, two, _ = devices
    context = SSL.Context(SSL.TLS_METHOD)
    tls._present(context, one)
    if protocols:
        context.set_alpn_protos(protocols)
    _, server = talk(tls.ClientTls(context), tls.data_server(two, lambda _shown: True))
    assert server.heard == b"" and server.lost is not None


def test_older_tls_is_refused(devices):
    one, two, _ = devices
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    tls._present(context, one)
    context.set_alpn_protos([tls.DATA_ALPN])
    client, server = talk(tls.ClientTls(context), tls.data_server(two, lambda _shown: True))
    assert (client.heard, server.heard) == (b"", b"")
    assert server.lost is not None


# --- control connections ----------------------------------------------------------------------------------------------------------------


def test_control_connection_pinned_shows_both_certificates(devices, server_files):
    pin = tls.certificate_fingerprint(server_files[0])
    client, server = talk(tls.control_client(devices[0], "anything", pin), tls.control_server(*server_files))
    assert (client.peer, server.peer) == (pin, devices[0].fingerprint)


def test_control_connection_refuses_a_wrong_pin(devices, server_files):
    client, server = talk(tls.control_client(devices[0], "sync.example.org", "sha256:" + "00" * 32), tls.control_server(*server_files))
    assert client.lost is not None and (client.heard, server.heard) == (b"", b"")


@pytest.mark.parametrize(
    ("host", "good"), [("sync.example.org", True), ("192.0.2.7", True), ("other.example.org", False), ("192.0.2.8", False)]
)
def test_control_connection_by_authority_and_name(devices, server_files, host, good):
    client, _ = talk(tls.control_client(devices[0], host, roots=server_files[0]), tls.control_server(*server_files))
    assert client.heard == (b"from server" if good else b"")
    assert (client.lost is None) == good


def test_control_connection_refuses_an_unknown_authority(devices, server_files):
    client, _ = talk(tls.control_client(devices[0], "sync.example.org"), tls.control_server(*server_files))
    assert client.heard == b"" and client.lost is not None


def test_control_server_takes_a_client_without_certificate(server_files):
    context = SSL.Context(SSL.TLS_METHOD)
    client, server = talk(tls.ClientTls(context), tls.control_server(*server_files))
    assert (client.heard, server.heard, server.peer) == (b"from server", b"from client", None)


def test_control_server_takes_tls_1_2(devices, server_files):
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    tls._present(context, devices[0])
    client, server = talk(tls.ClientTls(context), tls.control_server(*server_files))
    assert (client.heard, server.peer) == (b"from server", devices[0].fingerprint)


def test_sessions_are_not_resumed(devices):
    """A resumed connection would carry an identity over without a new proof."""
    one, two, _ = devices
    client_tls, server_tls = tls.data_client(one, two.fingerprint), tls.data_server(two, lambda shown: shown == one.fingerprint)
    first, _ = talk(client_tls, server_tls)
    session = first.transport.getHandle().get_session()

    class Again(tls.ClientTls):
        def clientConnectionForTLS(self, tlsProtocol):
            connection = super().clientConnectionForTLS(tlsProtocol)
            connection.set_session(session)
            return connection

    seen = []
    watched = tls.data_server(two, lambda shown: seen.append(shown) or True)
    talk(Again(client_tls._context), watched)
    assert one.fingerprint in seen


def test_server_files_that_do_not_fit_are_refused(tmp_path, server_files):
    with pytest.raises(ConfigError, match="cannot be used"):
        tls.control_server(tmp_path / "none", server_files[1])
    other = tmp_path / "key.pem"
    tls.create_server_certificate(tmp_path / "cert.pem", other, ["other.example.org"], NOW)
    with pytest.raises(ConfigError, match="cannot be used"):
        tls.control_server(server_files[0], other)


def test_peer_fingerprint_of_a_plain_transport_is_none():
    assert tls.peer_fingerprint(object()) is None
    assert tls.negotiated(object()) == ""


@pytest.mark.parametrize("kind", ["control", "data"])
def test_keys_cannot_be_changed_without_end(devices, server_files, kind):
    """Some changes are taken in, then the connection is over."""
    one, two, _ = devices
    if kind == "control":
        creators = (
            tls.control_client(one, "sync.example.org", tls.certificate_fingerprint(server_files[0])),
            tls.control_server(*server_files),
        )
    else:
        creators = tls.data_client(one, two.fingerprint), tls.data_server(two, lambda _shown: True)
    secrets = {}
    creators[0]._context.set_keylog_callback(lambda _connection, line: secrets.update([line.split()[::2]]))
    client, server = (SSL.Connection(creator._context, None) for creator in creators)
    client.set_connect_state()
    server.set_accept_state()
    for _ in range(3):
        for end, other in ((client, server), (server, client)):
            with suppress(SSL.WantReadError):
                end.do_handshake()
            with suppress(SSL.WantReadError):
                other.bio_write(end.bio_read(100_000))
    out = Direction(bytes.fromhex(secrets[b"CLIENT_TRAFFIC_SECRET_0"].decode()))
    server.bio_write(b"".join(out.key_update() for _ in range(100)) + out.seal(DATA, b"still here"))
    assert server.recv(100) == b"still here"
    server.bio_write(b"".join(out.key_update() for _ in range(MAX_TLS_STEPS)))
    with pytest.raises(SSL.ZeroReturnError):
        server.recv(100)
