"""Authentication within SyncML: basic and md5 (fact sheet section 7). Digests, credentials and challenges; both sides use them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

import msgspec

from twsync.syncml.document import Cred, Meta, Protocol

BASIC = "syncml:auth-basic"
MD5 = "syncml:auth-md5"


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def basic(user: str, password: str) -> str:
    """Data of a basic Cred.

    >>> basic("Bruce2", "OhBehave")
    'QnJ1Y2UyOk9oQmVoYXZl'
    """
    return _b64(f"{user}:{password}".encode())


def user_digest(user: str, password: str) -> str:
    """B64(MD5(user ':' password)): all of a password that md5 from 1.1 on needs."""
    return _b64(_md5(f"{user}:{password}".encode()))


def md5(digest: str, nonce: bytes) -> str:
    """Data of an md5 Cred, SyncML 1.1 and 1.2.

    :param digest: see `user_digest`.
    :param nonce: raw.

    >>> md5(user_digest("Bruce2", "OhBehave"), b"Nonce")
    'Zz6EivR3yeaaENcRN6lpAQ=='
    """
    return _b64(_md5(digest.encode() + b":" + nonce))


def md5_v1_0(user: str, password: str, nonce: bytes) -> str:
    """Data of an md5 Cred, SyncML 1.0: no inner digest."""
    return _b64(_md5(f"{user}:{password}:".encode() + nonce))


def md5_for(protocol: Protocol, user: str, password: str, nonce: bytes) -> str:
    """Data of an md5 Cred in a version."""
    return md5_v1_0(user, password, nonce) if protocol is Protocol.V1_0 else md5(user_digest(user, password), nonce)


def credentials(scheme: str, protocol: Protocol, user: str, password: str, nonce: bytes) -> Cred:
    """A Cred to send.

    :param scheme: `BASIC` or `MD5`.
    """
    data = basic(user, password) if scheme == BASIC else md5_for(protocol, user, password, nonce)
    return Cred(data=data, meta=Meta(format="b64", type=scheme))


def challenge(scheme: str, nonce: bytes) -> Meta:
    """The Meta of a Chal.

    :param nonce: raw; basic has none.
    """
    return Meta(format="b64", type=scheme, next_nonce=_b64(nonce) if scheme == MD5 else None)


class Challenge(msgspec.Struct, frozen=True):
    """A Chal that came."""

    scheme: str
    "`BASIC`, `MD5`, or another that is not supported, in lower case."
    nonce: bytes | None
    "Raw; None: no nonce came."


def read_challenge(chal: Meta) -> Challenge:
    """Read a Chal; a nonce that is no base64 is taken as it stands."""
    nonce: bytes | None = None
    if chal.next_nonce is not None:
        try:
            nonce = base64.b64decode(chal.next_nonce.strip(), validate=True)
        except (binascii.Error, ValueError):
            nonce = chal.next_nonce.encode("latin-1", "replace")
    return Challenge((chal.type or "").strip().lower(), nonce)


class Presented(msgspec.Struct, frozen=True):
    """A Cred that came, taken apart; `repr` does not show it."""

    scheme: str
    "`BASIC`, `MD5`, or another in lower case."
    user: str | None = None
    "basic only."
    password: str | None = None
    "basic only."
    digest: bytes | None = None
    "md5 only: 16 bytes."

    def __repr__(self) -> str:
        """Without the secrets."""
        return f"Presented({self.scheme!r})"


def read_credentials(cred: Cred) -> Presented | None:
    """Take a Cred apart; None: its Data is not what its scheme says.

    Format missing: base64. A raw digest of 16 bytes is taken too (WBXML).
    """
    scheme = ((cred.meta.type if cred.meta else None) or "").strip().lower()
    raw = cred.data.encode() if isinstance(cred.data, str) else cred.data
    if scheme == BASIC:
        try:
            # Base64 once, whatever Format says; the password may hold colons.
            user, colon, password = base64.b64decode(b"".join(raw.split()), validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        return Presented(scheme, user=user, password=password) if colon else None
    if scheme == MD5:
        if len(raw) == 16:
            return Presented(scheme, digest=raw)
        try:
            digest = base64.b64decode(b"".join(raw.split()), validate=True)
        except (binascii.Error, ValueError):
            return None
        return Presented(scheme, digest=digest) if len(digest) == 16 else None
    return Presented(scheme)


def same(ours: str, theirs: bytes) -> bool:
    """Whether a digest in base64 is the one that came, in a time that does not depend on where they differ."""
    return hmac.compare_digest(base64.b64decode(ours), theirs)
