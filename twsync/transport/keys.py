"""A device's key and certificate, and what is derived from them: fingerprint, instance, signatures.

A device *is* the SHA-256 of its self-signed certificate (ECDSA P-256); no authority says who is who. Device certificates have fixed
dates, since a device with a wrong clock must be able to make one and nobody asks how old an identity is.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import ipaddress
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from twsync.errors import ConfigError
from twsync.store.wholefile import write_whole

_DEVICE_NOT_BEFORE = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_DEVICE_NOT_AFTER = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)
_SERVER_LIFETIME = datetime.timedelta(days=3650)


def fingerprint(der: bytes) -> str:
    """``sha256:`` and the lower hex digest of a certificate in DER."""
    return "sha256:" + hashlib.sha256(der).hexdigest()


def instance_urn(of: str) -> str:
    """The ``urn:uuid:`` of a device for SIP's `+sip.instance`: the first 16 bytes of its fingerprint with version 4's bits set.

    :param of: a fingerprint, ``sha256:`` and 64 hex digits.
    :raises ValueError: it is not one.
    """
    algorithm, _, digest = of.partition(":")
    if algorithm != "sha256" or len(digest) != 64:
        raise ValueError("not a sha256 fingerprint")
    return uuid.UUID(bytes=bytes.fromhex(digest)[:16], version=4).urn


def same_fingerprint(one: str, other: str) -> bool:
    """Whether two fingerprints are the same, in time that does not depend on where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


@dataclass(frozen=True, slots=True)
class Device:
    """This device's identity: its certificate and the key that proves it."""

    certificate: bytes
    "The certificate in DER."
    key: ec.EllipticCurvePrivateKey

    @property
    def fingerprint(self) -> str:
        """``sha256:`` and hex, by which others know this device."""
        return fingerprint(self.certificate)

    @property
    def instance(self) -> str:
        """Its ``urn:uuid:``."""
        return instance_urn(self.fingerprint)

    def sign(self, data: bytes) -> bytes:
        """ECDSA with SHA-256 over `data`; the signature in DER."""
        return sign(self.key, data)


def sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """ECDSA with SHA-256 over `data`; the signature in DER."""
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def new_device(name: str = "twsync device") -> Device:
    """A new key and self-signed certificate, in memory only.

    :param name: the common name; says nothing to anyone but a person reading the certificate.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _self_signed(key, name, (), _DEVICE_NOT_BEFORE, _DEVICE_NOT_AFTER)
    return Device(certificate.public_bytes(serialization.Encoding.DER), key)


def create_device(directory: Path, name: str = "twsync device") -> Device:
    """Make a device's key and certificate as ``key.pem`` (0600) and ``cert.pem`` in `directory`, which is made if missing.

    :raises ConfigError: there already is one; a key is never written over.
    """
    device = new_device(name)
    certificate = x509.load_der_x509_certificate(device.certificate)
    _write_pair(directory / "cert.pem", directory / "key.pem", certificate, device.key)
    return device


def load_device(directory: Path) -> Device:
    """The device of ``cert.pem`` and ``key.pem`` in `directory`.

    :raises ConfigError: a file is missing or damaged, or the two do not belong together.
    """
    certificate_path, key_path = directory / "cert.pem", directory / "key.pem"
    try:
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    except FileNotFoundError as error:
        raise ConfigError(f"There is no device key at {error.filename}; make one with 'twsync init'.", "no-device-key") from error
    except OSError as error:
        raise ConfigError(f"The device key in {directory} cannot be read: {error.strerror}.", "no-device-key") from error
    except (ValueError, TypeError) as error:
        raise ConfigError(f"The device key or certificate in {directory} is damaged; restore a backup.", "bad-device-key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise ConfigError(f"{certificate_path} and {key_path} do not belong together; restore both from a backup.", "bad-device-key")
    return Device(certificate.public_bytes(serialization.Encoding.DER), key)


def create_server_certificate(certificate_path: Path, key_path: Path, names: Sequence[str], now: datetime.datetime) -> str:
    """Make a self-signed server certificate for `names` (host names and IP addresses), valid ten years from the day before `now`.

    :returns: its fingerprint.
    :raises ConfigError: one of the files already exists.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    start = now - datetime.timedelta(days=1)
    certificate = _self_signed(key, names[0] if names else "twsync", names, start, start + _SERVER_LIFETIME)
    _write_pair(certificate_path, key_path, certificate, key)
    return fingerprint(certificate.public_bytes(serialization.Encoding.DER))


def certificate_fingerprint(path: Path) -> str:
    """The fingerprint of the first certificate in a PEM file.

    :raises ConfigError: it cannot be read.
    """
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"The certificate {path} cannot be read; check the path and that it is PEM.", "bad-certificate") from error
    return fingerprint(certificate.public_bytes(serialization.Encoding.DER))


def _self_signed(
    key: ec.EllipticCurvePrivateKey,
    common_name: str,
    names: Sequence[str],
    not_before: datetime.datetime,
    not_after: datetime.datetime,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    public = key.public_key()
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
    return builder.sign(key, hashes.SHA256())


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        return x509.DNSName(name.encode("idna").decode("ascii"))


def _write_pair(certificate_path: Path, key_path: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    """Key first: a certificate in place means that its key is too, whenever this is interrupted."""
    if certificate_path.exists():
        raise ConfigError(f"{certificate_path} already exists and is not written over; use it, or move it away first.", "exists")
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    # A key without its certificate is what an interrupted run left: nobody has seen its fingerprint, so it may be replaced.
    key_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(key_path, key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain), 0o600)
    certificate_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(certificate_path, certificate.public_bytes(pem), 0o644)
