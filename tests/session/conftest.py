"""A device that signs, and descriptions to sign."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from twsync.session.datatypes import DataType, SyncProtocol
from twsync.session.description import Candidate, Description


@dataclass(frozen=True)
class Signer:
    """A key and its certificate."""

    certificate: bytes
    sign: Callable[[bytes], bytes]

    @property
    def fingerprint(self) -> str:
        return "sha256:" + hashlib.sha256(self.certificate).hexdigest()


def make_signer(kind: str = "p256") -> Signer:
    key: Any
    if kind == "rsa":
        key = rsa.generate_private_key(65537, 2048)
    else:
        key = ec.generate_private_key(ec.SECP256R1() if kind == "p256" else ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "twsync device")])
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    certificate = built.not_valid_before(begin).not_valid_after(begin.replace(year=2120)).sign(key, hashes.SHA256())

    def sign(data: bytes) -> bytes:
        if kind == "rsa":
            raise AssertionError("not reached")
        signature: bytes = key.sign(data, ec.ECDSA(hashes.SHA256()))
        return signature

    return Signer(certificate.public_bytes(serialization.Encoding.DER), sign)


@pytest.fixture(scope="session")
def signer() -> Signer:
    return make_signer()


@pytest.fixture(scope="session")
def new_signer() -> Callable[[str], Signer]:
    return make_signer


@pytest.fixture(scope="session")
def offer(signer: Signer) -> Description:
    """What a laptop offers to a desktop."""
    return Description(
        session="3f6a@192.0.2.7",
        caller="alice/laptop",
        callee="alice/desktop",
        source_ip="192.0.2.7",
        source_port=0,
        data_type=DataType.PICTURES,
        sync_protocol=SyncProtocol.RSYNC,
        collection="photos",
        sync_type="two-way",
        policy="keep-both",
        fingerprint=signer.fingerprint,
        created=datetime.datetime(2026, 11, 21, 12, 0, 0, tzinfo=datetime.UTC),
    )


@pytest.fixture(scope="session")
def reply(offer: Description) -> Description:
    """What the desktop answers."""
    return replace(
        offer,
        destination_ip="192.0.2.9",
        destination_port=40112,
        token=bytes(range(32)),
        candidates=(Candidate("192.0.2.9", 40112), Candidate("2001:db8::9", 40112)),
    )
